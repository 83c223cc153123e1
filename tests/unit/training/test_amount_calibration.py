"""Amounts that come true on average: factors from validation outcomes, careful where few tell."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import graphrouter as gr
from graphrouter.features.channels import (
    INPUT_TOKENS,
    LATENCY,
    NUM_CHANNELS,
    SPEND,
    ChannelScaler,
    SpendUnit,
)
from graphrouter.scoring.decoding import AmountCalibration, expect_amount
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.training.amount_calibration import EVEN_TRUST, calibrate_amounts, weigh_counts
from graphrouter.types import FloatArray

NAMES = ("a", "b", "c", "d")
SCALER = ChannelScaler(
    spend_unit=SpendUnit.TOKENS,
    mean=np.array([0.0, 4.0, 6.0, 1.0]),
    scale=np.array([1.0, 0.5, 1.5, 0.8]),
    observed=(True,) * NUM_CHANNELS,
)


def make_scored(num_queries: int) -> PairPredictions:
    shape = (NUM_CHANNELS, num_queries, len(NAMES))
    location = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.3
    nothing = torch.zeros(num_queries, 1)
    return PairPredictions(location, torch.full(shape, -0.7), nothing, nothing, nothing)


def record(
    scored: PairPredictions, factors: FloatArray, spread: float = 0.4, seed: int = 0
) -> FloatArray:
    """Standardised labels whose amounts are on average `factors` (M,) times what is expected."""
    rng = np.random.default_rng(seed)
    labels = np.full(tuple(scored.location.shape), np.nan)
    for channel in (SPEND, LATENCY):
        location, log_scale = (part[channel].double().numpy() for part in scored[:2])
        noise = np.exp(spread * rng.standard_normal(location.shape) - spread**2 / 2)
        amount = expect_amount(SCALER, channel, location, log_scale) * factors * noise
        labels[channel] = (np.log(amount) - SCALER.mean[channel]) / SCALER.scale[channel]
    return labels


def test_each_model_gets_its_factor() -> None:
    factors, scored = np.array([0.7, 1.0, 1.3, 2.5]), make_scored(400)
    found = calibrate_amounts(scored, record(scored, factors), SCALER, NAMES)
    np.testing.assert_allclose(np.exp(found.shift(NAMES)), [factors, factors], rtol=0.07)
    # Models that differ so much say little of one that nobody trained on.
    assert 0 <= found.shift(("new",))[0, 0] < np.log(factors).mean()


def test_a_newcomer_has_what_is_common_to_all() -> None:
    scored = make_scored(400)
    found = calibrate_amounts(scored, record(scored, np.full(4, 1.5)), SCALER, NAMES)
    np.testing.assert_allclose(np.exp(found.shift(("new",))), 1.5, rtol=0.05)


def test_most_of_what_chance_explains_changes_nothing() -> None:
    scored, shifts, by_chance = make_scored(30), [], []
    for seed in range(20):
        labels = record(scored, np.ones(4), 1.0, seed)
        shifts.append(calibrate_amounts(scored, labels, SCALER, NAMES).shift(NAMES)[0])
        location, log_scale = (part[SPEND].double().numpy() for part in scored[:2])
        recorded = np.exp(SCALER.mean[SPEND] + SCALER.scale[SPEND] * labels[SPEND])
        expected = expect_amount(SCALER, SPEND, location, log_scale)
        by_chance.append(np.log(recorded.sum(axis=0) / expected.sum(axis=0)))
    assert np.square(shifts).mean() < 0.5 * np.square(by_chance).mean()


def test_one_dear_call_moves_little() -> None:
    scored = make_scored(40)
    labels = record(scored, np.ones(4), 0.1)
    labels[SPEND, 0, 0] += np.log(200) / SCALER.scale[SPEND]  # its sum is six times the expected
    found = np.exp(calibrate_amounts(scored, labels, SCALER, NAMES).shift(NAMES)[0])
    assert found[0] < 1.5
    np.testing.assert_allclose(found[1:], 1.0, atol=0.1)


@pytest.mark.parametrize("num_known", [0, 1, 2])
def test_few_outcomes_move_little(num_known: int) -> None:
    scored = make_scored(40)
    labels = record(scored, np.array([1.0, 1.0, 1.0, 3.0]), 0.1)
    labels[:, num_known:, 3] = np.nan
    found = np.exp(calibrate_amounts(scored, labels, SCALER, NAMES).shift(NAMES)[0])
    assert 0.9 < found[3] < 3
    np.testing.assert_allclose(found[:3], 1.0, atol=0.1)


def test_nothing_recorded_changes_nothing() -> None:
    scored = make_scored(10)
    labels = np.full(tuple(scored.location.shape), np.nan)
    assert not calibrate_amounts(scored, labels, SCALER, NAMES).shift(NAMES).any()


def test_one_model_alone() -> None:
    whole = make_scored(200)
    scored = PairPredictions(whole.location[..., :1], whole.log_scale[..., :1], *whole[2:])
    found = calibrate_amounts(scored, record(scored, np.array([2.0])), SCALER, ("a",))
    np.testing.assert_allclose(np.exp(found.shift(("a", "new"))), 2.0, rtol=0.1)


class TestWeighCounts:
    """Counted tokens and those that the network expects, each as far off as it is."""

    @pytest.mark.parametrize(
        ("off_network", "off_counted", "best"),
        [(0.3, 0.0, 1.0), (0.0, 0.3, 0.0), (0.3, 0.3, 0.5), (0.4, 0.2, 0.8)],
    )
    def test_by_what_each_misses(self, off_network: float, off_counted: float, best: float) -> None:
        scored, rng = make_scored(400), np.random.default_rng(1)
        location, log_scale = (part[INPUT_TOKENS].double().numpy() for part in scored[:2])
        expected = expect_amount(SCALER, INPUT_TOKENS, location, log_scale)
        # Independent errors: the best weight is in proportion to the other's variance.
        true = expected * np.exp(off_network * rng.standard_normal(expected.shape))
        counted = true * np.exp(off_counted * rng.standard_normal(expected.shape))
        labels = np.full(tuple(scored.location.shape), np.nan)
        mean, scale = SCALER.mean[INPUT_TOKENS], SCALER.scale[INPUT_TOKENS]
        labels[INPUT_TOKENS] = (np.log(true) - mean) / scale
        assert weigh_counts(scored, counted, labels, SCALER) == pytest.approx(best, abs=0.05)
        labels[:, 1:] = np.nan  # one query says little
        assert weigh_counts(scored, counted, labels, SCALER) == pytest.approx(EVEN_TRUST, abs=0.1)

    def test_nothing_recorded(self) -> None:
        scored = make_scored(10)
        labels = np.full(tuple(scored.location.shape), np.nan)
        counted = np.full(labels.shape[1:], 9.0)
        assert weigh_counts(scored, counted, labels, SCALER) == EVEN_TRUST


def test_a_router_multiplies_and_keeps_its_factors(router: gr.GraphRouter, tmp_path: Path) -> None:
    first, second, *_ = router.models
    twice = AmountCalibration((0.0, 0.0), {first: (float(np.log(2)), float(np.log(3)))})
    learned = dataclasses.replace(router.learned, amounts=AmountCalibration())
    plain, corrected = (
        gr.GraphRouter(each, router.support, router.provenance, router.encoder)
        for each in (learned, dataclasses.replace(learned, amounts=twice))
    )
    before, after = plain.predict(["Sum these."]), corrected.predict(["Sum these."])
    for channel, factor in (("output_tokens", 2.0), ("latency_s", 3.0)):
        old, new = getattr(before, channel)[0], getattr(after, channel)[0]
        assert new[0] == pytest.approx(factor * old[0])
        assert new[1] == old[1]
    corrected.save(tmp_path / "a")
    assert json.loads((tmp_path / "a" / "manifest.json").read_text())["amount_calibration"][
        "by_model"
    ] == {first: [np.log(2), np.log(3)]}
    loaded = gr.load_router(tmp_path / "a")
    np.testing.assert_array_equal(loaded.predict(["Sum these."]).cost_usd, after.cost_usd)
    assert second in loaded.models
