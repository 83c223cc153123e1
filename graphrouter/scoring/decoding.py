"""From channels to amounts: expected tokens, dollars and seconds, and what corrects them.

The way back from `ChannelScaler.encode`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from graphrouter.features.channels import (
    EFFECT,
    INPUT_TOKENS,
    LATENCY,
    SPEND,
    ChannelScaler,
    Tariff,
)
from graphrouter.features.token_rates import TokenEstimate
from graphrouter.types import FloatArray, Predictions

CALIBRATED = (SPEND, LATENCY)
"""Channels whose means are calibrated; tokens of a prompt are weighed against its characters."""
_MOST_LOCATION = 6.0
"""Standard deviations from the mean of training rows: a linear extrapolation of a logarithm can
reach any sum."""
_MOST_FACTORS = 4
"""Kept of a calibration."""
_MAX_LOG_SCALE = 1.5  # a log-normal with a larger spread has a mean that says nothing


@dataclass(frozen=True)
class AmountCalibration:
    """What corrects expected amounts; nothing as it stands.

    A network of logarithms, with a spread, has the mean of the amounts right on average over models
    at best, and it is the mean that is paid (Duan 1983). `training.amount_calibration` fits it.

    Example:
        >>> AmountCalibration((0.0, 0.1), {"a": (0.2, 0.3)}).shift(("a", "newcomer")).tolist()
        [[0.2, 0.0], [0.3, 0.1]]
    """

    common: tuple[float, ...] = (0.0,) * len(CALIBRATED)
    """Natural logarithms of the factors of a model that was not trained on, one a channel of
    `CALIBRATED`."""
    by_model: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Those of the models that were."""
    token_trust: float = 0.0
    """Weight, in [0, 1], of the tokens that a prompt's characters promise, against those that the
    network expects."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The calibration that `dataclasses.asdict` took apart, JSON in between or not."""
        own = {name: tuple(each) for name, each in values["by_model"].items()}
        return cls(tuple(values["common"]), own, values.get("token_trust", 0.0))

    def shift(self, models: Sequence[str]) -> FloatArray:
        """Natural logarithms of the factors: (len(CALIBRATED), num_models)."""
        return np.array([self.by_model.get(name, self.common) for name in models]).T

    def find_factors(self, models: tuple[str, ...]) -> FloatArray:
        """What amounts are multiplied by: (len(CALIBRATED), num_models)."""
        kept = self._factors.get(id(models))
        if kept is None or kept[0] is not models:
            kept = models, np.exp(self.shift(models))
            # The models of a router are the same from prompt to prompt; those of a policy are not.
            if len(self._factors) >= _MOST_FACTORS:
                self._factors.clear()
            self._factors[id(models)] = kept
        return kept[1]

    @cached_property
    def _factors(self) -> dict[int, tuple[tuple[str, ...], FloatArray]]:
        """By the identity of the names: to compare them all would take as long as the rest."""
        return {}


def decode_channels(
    scaler: ChannelScaler,
    models: tuple[str, ...],
    location: FloatArray,
    log_scale: FloatArray,
    *,
    tariff: Tariff,
    count_tokens: Callable[[FloatArray], TokenEstimate],
    effect: FloatArray | None = None,
    amounts: AmountCalibration | None = None,
    num_chars: FloatArray | None = None,
    task_share: FloatArray | None = None,
    ends: tuple[FloatArray, FloatArray] | None = None,
    familiarity: FloatArray | None = None,
) -> Predictions:
    """Expected effect, tokens, cost and latency: the way back from `ChannelScaler.encode`.

    Args:
        scaler: Means and scales of the channels.
        models: Names of the columns.
        location: (NUM_CHANNELS, num_queries, num_models): effect probability, then means of
            standardised logarithms.
        log_scale: (NUM_CHANNELS, num_queries, num_models): logarithm of the standard deviation;
            ignored for the effect.
        tariff: What the models charge.
        count_tokens: Prompt tokens of the same pairs, from what the network expects of them, NaN
            where it cannot say; see `TokenRates.estimate`.
        effect: (num_queries, num_models) probabilities; those in `location` without it.
        amounts: What expected amounts are multiplied by; nothing without it.
        num_chars: (num_queries, NUM_KINDS) characters of the prompts, and
        task_share: (num_queries, T + 1) belief over tasks; without them spend is as expected among
            prompts like those seen, and no answer is counted whose spend is not tokens.
        ends: Of the intervals of the effect, (num_queries, num_models) each; none without them.
        familiarity: (num_queries,) of the prompts; not told without it.
    """
    expected = expect_amounts(scaler, location, log_scale)
    if amounts is not None:
        for channel, factor in zip(CALIBRATED, amounts.find_factors(models), strict=True):
            expected[channel] *= factor
    input_tokens, most_input_tokens, beyond = count_tokens(expected[INPUT_TOKENS])
    spend, answers = expected[SPEND], expected[EFFECT]
    if num_chars is not None and task_share is not None:
        if tariff.text is not None:
            spend = tariff.text.follow(num_chars, task_share, spend)
        if tariff.answers is not None:
            answers = tariff.answers.expect(
                num_chars,
                _limit(location[SPEND]),
                np.minimum(np.exp(log_scale[SPEND]), _MAX_LOG_SCALE / scaler.scale[SPEND]),
            )
    # Of a free model nothing needs to be known: 0 times NaN is not 0.
    charged = np.where(tariff.spend_usd == 0, 0.0, spend * tariff.spend_usd)
    charged = charged + beyond * tariff.beyond_usd
    return Predictions(
        models=models,
        effect=location[EFFECT] if effect is None else effect,
        cost_usd=input_tokens * tariff.input_usd + charged,
        input_tokens=input_tokens,
        output_tokens=np.where(tariff.counts_tokens, spend, answers),
        latency_s=expected[LATENCY],
        most_input_tokens=most_input_tokens,
        effect_low=None if ends is None else ends[0],
        effect_high=None if ends is None else ends[1],
        familiarity=familiarity,
    )


def expect_amounts(
    scaler: ChannelScaler, location: FloatArray, log_scale: FloatArray
) -> FloatArray:
    """`expect_amount` of all channels at once, (NUM_CHANNELS, num_queries, num_models).

    NaN for the effect, which is no amount.
    """
    expected = np.empty_like(location)
    expected[EFFECT] = np.nan
    told = slice(EFFECT + 1, None)
    mean, scale = scaler.mean[told, None, None], scaler.scale[told, None, None]
    expected[told] = _expect(mean, scale, location[told], log_scale[told])
    for channel, is_observed in enumerate(scaler.observed):
        if not is_observed:
            expected[channel] = np.nan
    return expected


def expect_amount(
    scaler: ChannelScaler, channel: int, location: FloatArray, log_scale: FloatArray
) -> FloatArray:
    """Mean of the log-normal, exp(mu + sigma^2 / 2): what a call costs on average.

    Not at the median.
    """
    if not scaler.observed[channel]:
        return np.full_like(location, np.nan)
    return _expect(scaler.mean[channel], scaler.scale[channel], location, log_scale)


def _expect(
    mean: FloatArray, scale: FloatArray, location: FloatArray, log_scale: FloatArray
) -> FloatArray:
    sigma = np.minimum(np.exp(log_scale) * scale, _MAX_LOG_SCALE)
    mu = mean + scale * _limit(location)
    expectation: FloatArray = np.exp(mu + sigma**2 / 2)
    return expectation


def _limit(location: FloatArray) -> FloatArray:
    """Standardised logarithms no further out than `_MOST_LOCATION`."""
    return np.minimum(np.maximum(location, -_MOST_LOCATION), _MOST_LOCATION)
