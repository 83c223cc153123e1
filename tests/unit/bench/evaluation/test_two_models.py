"""Strong and weak model: hand-computed curves, a second implementation by thresholds, then
properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc

from graphrouter.bench.evaluation.two_models import (
    NUM_STEPS,
    CallCurve,
    ModelPair,
    apgr,
    build_curve,
    collect_curve_parts,
    cpt,
    pgr,
    pick_pair,
)
from graphrouter.types import FloatArray, Predictions

NAN = float("nan")


def curve_of(
    margin: FloatArray, weak: FloatArray, strong: FloatArray, *, num_steps: int = NUM_STEPS
) -> CallCurve:
    return build_curve(
        collect_curve_parts(margin, weak=weak, strong=strong, num_steps=num_steps).sum(axis=0)
    )


def random_case(seed: int, *, num_queries: int = 15) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    margin = rng.normal(size=num_queries).round(1)  # with ties
    weak, strong = rng.integers(0, 2, (2, num_queries)).astype(float)
    strong[:3], weak[:3] = 1.0, 0.0  # mostly the strong model is better
    return margin, weak, strong


def test_curve_by_hand() -> None:
    """Four queries; the two of margin 0.5 go together, and the strong model hurts on the last."""
    curve = curve_of(
        np.array([0.9, 0.5, 0.5, -0.2]),
        np.array([0.0, 0.0, 1.0, 1.0]),
        np.array([1.0, 1.0, 1.0, 0.5]),
    )
    steps = 4
    assert curve.share[:steps].tolist() == [0, 0.25, 0.75, 1]
    assert curve.effect[:steps].tolist() == [0.5, 0.75, 1.0, 0.875]
    assert (curve.share[steps:] == 1).all()
    assert (curve.effect[steps:] == 0.875).all()
    assert pgr(curve) == pytest.approx((0.875 - 0.5) / 0.375)
    area = 0.25 * 0.625 + 0.5 * 0.875 + 0.25 * 0.9375
    assert apgr(curve) == pytest.approx((area - 0.5) / 0.375)
    assert cpt(curve, 0.5) == pytest.approx(0.25 * (0.5 * 0.375 / 0.25))
    assert cpt(curve, 0.8) == pytest.approx(0.25 + 0.5 * (0.05 / 0.25))


def test_cpt_is_where_the_curve_first_gets_there() -> None:
    """It rises to 0.8 and falls to 0.3 before it ends at 1."""
    curve = CallCurve(
        np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), np.array([0.0, 0.8, 0.3, 0.35, 0.4, 1.0])
    )
    assert cpt(curve, 0.5) == pytest.approx(0.125)
    assert cpt(curve, 0.8) == pytest.approx(0.2)
    assert cpt(curve, 1.0) == pytest.approx(1.0)


def test_chance_recovers_what_it_pays_for() -> None:
    """The random router of RouteLLM's tables: APGR 0.5, and half of the gap for half of the
    calls."""
    rng = np.random.default_rng(0)
    weak, strong = rng.random((2, 200))
    curve = curve_of(np.zeros(200), weak, strong + 0.5)
    assert apgr(curve) == pytest.approx(0.5)
    assert pgr(curve) == pytest.approx(0.5)
    assert cpt(curve, 0.5) == pytest.approx(0.5)
    assert cpt(curve, 0.8) == pytest.approx(0.8)


@pytest.mark.parametrize("seed", range(6))
def test_curve_against_every_threshold(seed: int) -> None:
    margin, weak, strong = random_case(seed)
    thresholds = [np.inf, *sorted(set(margin.tolist()), reverse=True)]
    calls = [margin >= threshold for threshold in thresholds]
    share, effect = [c.mean() for c in calls], [np.where(c, strong, weak).mean() for c in calls]
    curve = curve_of(margin, weak, strong)
    gap = strong.mean() - weak.mean()
    assert apgr(curve) == pytest.approx((auc(share, effect) - weak.mean()) / gap)
    assert pgr(curve, share=0.3) == pytest.approx(
        (np.interp(0.3, share, effect) - weak.mean()) / gap
    )
    fine = np.linspace(0, 1, 200_001)
    for level in (0.5, 0.8):
        first = fine[np.argmax(np.interp(fine, share, effect) >= weak.mean() + level * gap - 1e-12)]
        assert cpt(curve, level) == pytest.approx(first, abs=1e-5)


def test_many_queries_share_steps_of_equal_size() -> None:
    rng = np.random.default_rng(0)
    margin, weak, strong = rng.normal(size=1000), rng.random(1000), rng.random(1000) + 0.3
    coarse, fine = curve_of(margin, weak, strong), curve_of(margin, weak, strong, num_steps=1000)
    np.testing.assert_allclose(np.diff(coarse.share), 0.05, atol=0.0011)
    assert apgr(coarse) == pytest.approx(float(apgr(fine)), abs=0.02)


def test_only_queries_with_both_outcomes_count() -> None:
    margin, weak, strong = (
        np.array([0.9, 0.1, 0.5]),
        np.array([0.0, 0.5, NAN]),
        np.array([1.0, 0.5, 1.0]),
    )
    np.testing.assert_array_equal(collect_curve_parts(margin, weak=weak, strong=strong)[2], 0)
    left = curve_of(margin, weak, strong)
    right = curve_of(margin[:2], weak[:2], strong[:2])
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_unknown_margin_comes_last() -> None:
    curve = curve_of(np.array([NAN, -5.0]), np.array([0.0, 0.0]), np.array([1.0, 0.5]))
    assert curve.effect[1] == 0.25


def test_a_strong_model_that_is_not_better_has_no_gap() -> None:
    curve = curve_of(np.array([0.1, 0.2]), np.array([1.0, 1.0]), np.array([0.5, 1.0]))
    assert all(math.isnan(figure) for figure in (pgr(curve), apgr(curve), cpt(curve, 0.5)))
    nobody = curve_of(np.array([0.1]), np.array([NAN]), np.array([0.5]))
    assert all(math.isnan(figure) for figure in (pgr(nobody), apgr(nobody), cpt(nobody, 0.5)))


def test_many_curves_are_each_the_single_one() -> None:
    margin, weak, strong = random_case(0, num_queries=40)
    parts = collect_curve_parts(margin, weak=weak, strong=strong)
    sums = np.random.default_rng(0).integers(0, 3, (30, 40)) @ parts
    together = build_curve(sums)
    for i in range(30):
        single = build_curve(sums[i])
        for figure in (pgr, apgr, lambda curve: cpt(curve, 0.8)):
            np.testing.assert_allclose(figure(together)[i], figure(single), rtol=1e-12)


@given(st.integers(0, 10_000))
def test_the_oracle_is_never_beaten(seed: int) -> None:
    margin, weak, strong = random_case(seed)
    oracle, router = curve_of(strong - weak, weak, strong), curve_of(margin, weak, strong)
    grid = np.linspace(0, 1, 50)
    best, other = (np.interp(grid, curve.share, curve.effect) for curve in (oracle, router))
    assert (best >= other - 1e-9).all()
    if strong.mean() > weak.mean():
        assert apgr(oracle) >= apgr(router) - 1e-9
        assert cpt(oracle, 0.5) <= cpt(router, 0.5) + 1e-9


@given(st.integers(0, 10_000))
def test_the_order_of_queries_changes_nothing(seed: int) -> None:
    case = random_case(seed, num_queries=30)
    order = np.random.default_rng(seed).permutation(30)
    for one, other in zip(
        curve_of(*case), curve_of(*(values[order] for values in case)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_the_pair_is_the_best_model_and_the_cheapest_other() -> None:
    def pair(effect: list[float], cost: list[float]) -> ModelPair | None:
        names = tuple(f"m{i}" for i in range(len(effect)))
        return pick_pair(
            Predictions.from_arrays(names, np.array([effect]), cost_usd=np.array([cost]))
        )

    assert pair([0.5, 0.9, 0.7], [2.0, 5.0, 1.0]) == (1, 2)
    assert pair([0.5, 0.9, 0.7], [2.0, 0.1, NAN]) == (
        1,
        0,
    )  # the best is the cheapest: the next cheapest is weak
    assert pair([0.9, 0.9], [2.0, 1.0]) == (1, 0)
    assert pair([0.9], [1.0]) is None
    assert pair([0.9, 0.5], [1.0, NAN]) is None
