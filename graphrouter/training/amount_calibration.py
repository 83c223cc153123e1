"""Amounts that come true on average: what validation outcomes correct in them.

Spends and latencies are multiplied by a factor a model; tokens of prompts are a mean of what the
network expects and what their characters promise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from graphrouter.features.bills import shrink_log_ratio
from graphrouter.features.channels import INPUT_TOKENS, ChannelScaler
from graphrouter.scoring.decoding import CALIBRATED, AmountCalibration, expect_amount
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.start import HeldScores
from graphrouter.types import FloatArray

EVEN_TRUST = 0.5
"""Weight of the counted tokens where no held query tells."""
_NETWORK_SPREAD = 0.2
"""Standard deviation of the logarithm of tokens around what start values expect: .10 to .25 on five
real sets (experiments/LOG.md)."""
_TRUSTING_QUERIES = 10.0
"""So many queries' worth of belief in `EVEN_TRUST`."""
_AMOUNT_VARIANCE = 1.0
"""Of one amount over what was expected of it; counts as much as one outcome."""


def fit_amounts(held: HeldScores, tables: TrainingTables) -> AmountCalibration:
    """The corrections of amounts that validation outcomes call for.

    Args:
        held: The validation queries.
        tables: What the network was trained on.
    """
    scaler, names = tables.transforms.channels, tables.pool.names
    factors = calibrate_amounts(held.named, held.labels, scaler, names)
    return dataclasses.replace(factors, token_trust=trust_counts([held], tables))


def trust_counts(held: Sequence[HeldScores], tables: TrainingTables) -> float:
    """The weight of tokens by characters, in [0, 1], against those that the network expects.

    Args:
        held: Queries whose outcomes the network does not see. Without any, what counts leave
            unexplained is compared with what start values usually do.
        tables: What the network was trained on.
    """
    if not held:
        spread = float(np.median(tables.tokens.spread))
        return _NETWORK_SPREAD**2 / (_NETWORK_SPREAD**2 + spread**2)
    joined = HeldScores.join(held)
    counted = tables.tokens.count_characters(
        joined.num_chars, joined.named.task_share.double().numpy()
    )
    return weigh_counts(joined.named, counted, joined.labels, tables.transforms.channels)


def weigh_counts(
    scored: PairPredictions, counted: FloatArray, labels: FloatArray, scaler: ChannelScaler
) -> float:
    """The weight of counted tokens, in [0, 1], that brings logarithms nearest to what was recorded.

    Least squares, drawn to `EVEN_TRUST`. A network reads lengths off a smooth map of texts; what a
    tokenizer makes of the characters is often known better, unless much is sent beside the text.

    Args:
        scored: Of B held queries and M models.
        counted: (B, M) tokens by the characters, > 0.
        labels: (C, B, M) standardised channels, NaN = not observed.
        scaler: Of the C channels.
    """
    location, log_scale = (part[INPUT_TOKENS].double().numpy() for part in scored[:2])
    expected = np.log(expect_amount(scaler, INPUT_TOKENS, location, log_scale))
    recorded = scaler.mean[INPUT_TOKENS] + scaler.scale[INPUT_TOKENS] * labels[INPUT_TOKENS]
    apart, missed = np.log(counted) - expected, recorded - expected
    known = np.isfinite(apart) & np.isfinite(missed)
    square, product = (np.where(known, apart * each, 0.0).sum() for each in (apart, missed))
    if square <= 0:  # nothing was recorded, or both say the same
        return EVEN_TRUST
    prior = _TRUSTING_QUERIES * square / known.any(axis=1).sum()
    return float(np.clip((product + EVEN_TRUST * prior) / (square + prior), 0, 1))


def calibrate_amounts(
    scored: PairPredictions, labels: FloatArray, scaler: ChannelScaler, models: Sequence[str]
) -> AmountCalibration:
    """The factors that bring the sum of what was expected to that of what was recorded.

    Args:
        scored: Of B validation queries and M models.
        labels: (C, B, M) standardised channels, NaN = not observed.
        scaler: Of the C channels.
        models: (M,) names of the columns.
    """
    factors = []
    for channel in CALIBRATED:
        location, log_scale = (part[channel].double().numpy() for part in scored[:2])
        recorded = np.exp(scaler.mean[channel] + scaler.scale[channel] * labels[channel])
        factors.append(_compare_sums(expect_amount(scaler, channel, location, log_scale), recorded))
    common, own = zip(*factors, strict=True)
    by_model = dict(zip(models, map(tuple, np.transpose(own).tolist()), strict=True))
    return AmountCalibration(common, by_model)


def _compare_sums(expected: FloatArray, recorded: FloatArray) -> tuple[float, FloatArray]:
    """Logarithms of recorded over expected sums: common to all models, and of each (M,).

    A random-effects mean (DerSimonian and Laird 1986), drawn to 0 as far as chance explains it; a
    model's own is drawn to that mean. So few outcomes, or a sum that one dear call makes up, move
    little.

    Args:
        expected: (B, M) amounts.
        recorded: (B, M) amounts, NaN = not observed.
    """
    known = np.isfinite(recorded) & np.isfinite(expected)
    count = known.sum(axis=0)
    told = count > 0
    own = np.zeros(len(count))
    if not told.any():
        return 0.0, own
    expected, recorded = (
        np.where(known, expected, 0.0)[:, told],
        np.where(known, recorded, 0.0)[:, told],
    )
    count, total = count[told], recorded.sum(axis=0)
    ratio = total / expected.sum(axis=0)
    # Divided before it is squared: the square of a tiny cost is 0.
    spread = count * (((recorded - ratio * expected) / total) ** 2).sum(axis=0)
    variance = (count * spread + _AMOUNT_VARIANCE) / (count + 1) / count
    weight, log_ratio = 1 / variance, np.log(ratio)
    heterogeneity = weight @ (log_ratio - weight @ log_ratio / weight.sum()) ** 2
    freedom = weight.sum() - weight @ weight / weight.sum()
    between = max(0.0, heterogeneity - (len(weight) - 1)) / freedom if len(weight) > 1 else 0.0
    weight = 1 / (variance + between)
    common = shrink_log_ratio(weight @ log_ratio / weight.sum(), 1 / weight.sum())
    own += common
    own[told] += between * weight * (log_ratio - common)
    return float(common), own
