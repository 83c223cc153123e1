"""Choices, hull and area: hand-computed cases, then properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.evaluation.choices import Chooser
from graphrouter.evaluation.frontier import (
    Hull,
    area_log,
    cost_save,
    cost_to_reach,
    effect_at,
    mean_effect_over_log_cost,
    perf_gain,
    sweep_frontier,
    trade_off_grid,
    upper_hull,
)
from graphrouter.policy import CostScale
from graphrouter.types import FloatArray, Predictions

NAN = float("nan")
SCALE = CostScale(0.01, 1.0)
points = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1)), min_size=1, max_size=12)


def predictions(effect: FloatArray, cost: FloatArray) -> Predictions:
    return Predictions.from_arrays(tuple(f"m{i}" for i in range(effect.shape[1])), effect, cost_usd=cost)


def hull_of(pairs: list[tuple[float, float]]) -> Hull:
    return upper_hull(np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]))


# --- choices


def test_chooses_among_the_observed_only() -> None:
    predicted = predictions(np.array([[0.9, 0.5, 0.1]]), np.array([[3.0, 2.0, 1.0]]))
    chooser = Chooser.among_observed(predicted, np.array([[NAN, 0.0, 1.0]]))
    assert chooser.choose(predicted.effect).tolist() == [1]
    assert chooser.collect(predicted.effect, np.array([[NAN, 0.0, 1.0]]))[0].tolist() == [0.0]


def test_equals_go_to_the_cheaper_then_to_the_better() -> None:
    predicted = predictions(np.array([[0.5, 0.5, 0.7]]), np.array([[3.0, 2.0, 2.0]]))
    chooser = Chooser(predicted, np.ones((1, 3), dtype=bool))
    assert chooser.choose(np.zeros((1, 3))).tolist() == [2]


def test_unknown_utility_comes_last_but_is_taken_when_alone() -> None:
    predicted = predictions(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[NAN, 2.0], [NAN, 2.0]]))
    chooser = Chooser(predicted, np.array([[True, True], [True, False]]))
    assert chooser.choose(predicted.effect - predicted.cost_usd).tolist() == [1, 0]


def test_a_query_without_a_choice_adds_nothing() -> None:
    predicted = predictions(np.array([[0.9, 0.1]]), np.array([[1.0, 2.0]]))
    chooser = Chooser(predicted, np.zeros((1, 2), dtype=bool))
    assert chooser.has_choice.tolist() == [False]
    assert chooser.collect(predicted.effect, predicted.effect)[0].tolist() == [0.0]


# --- hull


def test_hull_by_hand() -> None:
    hull = hull_of([(1, 0.2), (2, 0.3), (3, 0.8), (4, 0.7), (4.5, 0.8), (5, 0.9), (1, 0.1)])
    assert hull.cost_usd.tolist() == [1, 3, 5]
    assert hull.effect.tolist() == [0.2, 0.8, 0.9]
    np.testing.assert_allclose(effect_at(hull, np.array([0.5, 1, 2, 4, 9])), [0.0, 0.2, 0.5, 0.85, 0.9])


def test_a_cheap_best_point_is_the_whole_hull() -> None:
    hull = hull_of([(1, 0.9), (2, 0.3), (3, 0.9)])
    assert hull.cost_usd.tolist() == [1]


def test_cost_to_reach_by_hand() -> None:
    hull = hull_of([(1, 0.2), (3, 0.8)])
    assert cost_to_reach(hull, 0.5) == pytest.approx(2.0)
    assert cost_to_reach(hull, 0.1) == 1.0
    assert cost_to_reach(hull, 0.8) == 3.0
    assert math.isnan(cost_to_reach(hull, 0.81))


def test_area_of_a_flat_hull_is_its_effect() -> None:
    assert mean_effect_over_log_cost(hull_of([(1, 0.7)]), 1.0, 100.0) == pytest.approx(0.7)


def test_area_by_hand() -> None:
    # 0.2 + 0.3 (c - 1) from 1 to 3, then flat 0.8 to 9. Integral over log cost: -0.1 log 3 + 0.3 * 2, and 0.8 log 3.
    expected = (-0.1 * math.log(3) + 0.6 + 0.8 * math.log(3)) / math.log(9)
    assert mean_effect_over_log_cost(hull_of([(1, 0.2), (3, 0.8)]), 1.0, 9.0) == pytest.approx(expected)


def test_area_counts_nothing_below_the_cheapest_point() -> None:
    assert mean_effect_over_log_cost(hull_of([(10, 0.6)]), 1.0, 100.0) == pytest.approx(0.3)
    assert mean_effect_over_log_cost(hull_of([(100, 0.6)]), 1.0, 100.0) == 0.0


def test_two_corners_that_all_but_coincide_keep_their_digits() -> None:
    hull = hull_of([(0.01, 0.0), (0.010000000000000002, 1.0)])
    assert mean_effect_over_log_cost(hull, 0.01, 2.0) == pytest.approx(1.0)


@settings(deadline=None)
@given(points, st.floats(0.01, 1), st.floats(2, 20))
def test_area_agrees_with_a_fine_grid(pairs: list[tuple[float, float]], low: float, high: float) -> None:
    hull = hull_of([*pairs, (0.01, 0.0)])
    grid = np.exp(np.linspace(math.log(low), math.log(high), 20_001))
    steps = (effect_at(hull, grid)[1:] + effect_at(hull, grid)[:-1]) / 2
    assert mean_effect_over_log_cost(hull, low, high) == pytest.approx(steps.mean(), abs=2e-3)


@settings(deadline=None)
@given(points, st.tuples(st.floats(0.01, 10), st.floats(0, 1)))
def test_one_more_point_never_lowers_the_hull(pairs: list[tuple[float, float]], extra: tuple[float, float]) -> None:
    grid = np.geomspace(0.005, 20, 200)
    before, after = effect_at(hull_of(pairs), grid), effect_at(hull_of([*pairs, extra]), grid)
    assert (after >= before - 1e-9).all()


@settings(deadline=None)
@given(points)
def test_hull_is_above_every_point_rising_and_concave(pairs: list[tuple[float, float]]) -> None:
    hull = hull_of(pairs)
    cost, effect = (np.array(values) for values in zip(*pairs, strict=True))
    assert (effect_at(hull, cost) >= effect - 1e-9).all()
    assert (np.diff(hull.effect) > 0).all()
    assert (np.diff(hull.cost_usd) > 0).all()
    slopes = np.diff(hull.effect) / np.diff(hull.cost_usd)
    assert (np.diff(slopes) <= 1e-9 * slopes[:-1]).all()


def test_summaries_against_the_best_single() -> None:
    hull = hull_of([(1, 0.5), (2, 0.75), (6, 1.0)])
    assert perf_gain(hull, best_single_effect=0.8) == pytest.approx(0.25)
    assert cost_save(hull, best_single_effect=0.75, best_single_usd=8.0) == pytest.approx(0.75)
    assert math.isnan(cost_save(hull, best_single_effect=1.01, best_single_usd=8.0))
    assert math.isnan(perf_gain(hull, best_single_effect=0.0))
    assert area_log(hull_of([(1, 0.5)]), cheapest_usd=1.0, best_single_usd=8.0) == pytest.approx(0.5)
    assert area_log(hull_of([(0, 0.5)]), cheapest_usd=0.0, best_single_usd=8.0) == pytest.approx(0.5)  # a free model
    assert math.isnan(area_log(hull, cheapest_usd=20.0, best_single_usd=8.0))


# --- sweep


def test_grid_has_both_ends_and_rises() -> None:
    grid = trade_off_grid(SCALE)
    assert grid[0] == 0
    assert math.isinf(grid[-1])
    assert (np.diff(grid[:-1]) > 0).all()
    assert np.isfinite(trade_off_grid(CostScale(0.0, 0.0))[:-1]).all()  # all models are free


def test_sweep_by_hand() -> None:
    """Cheap 0.01 USD with effect 0.4, dear 1 USD with 0.9: between trade-off 0 and infinity the choice flips once."""
    observed = predictions(
        np.array([[0.0, 1.0], [1.0, 1.0], [0.0, NAN], [NAN, NAN]]), np.array([[0.01, 1.0], [0.01, 1.0], [0.01, 1.0], [0.01, 1.0]])
    )
    predicted = predictions(np.tile([0.4, 0.9], (4, 1)), np.tile([0.01, 1.0], (4, 1)))
    frontier = sweep_frontier(predicted, observed, cost_scale=SCALE)
    assert (frontier.num_queries, frontier.num_pairs) == (3, 5)
    assert frontier.cost_usd[0] == pytest.approx(2.01 / 3)  # the third query has no outcome of the dear model
    assert frontier.effect[0] == pytest.approx(2 / 3)
    assert frontier.cost_usd[-1] == pytest.approx(0.01)
    assert frontier.effect[-1] == pytest.approx(1 / 3)
    flips = frontier.trade_offs[np.flatnonzero(np.diff(frontier.effect)) + 1]
    assert len(flips) == 1
    assert flips[0] > 0.5 / 0.99
    assert frontier.hull.effect.tolist() == pytest.approx([1 / 3, 2 / 3])


def test_a_constant_router_has_a_constant_frontier() -> None:
    rng = np.random.default_rng(0)
    observed = predictions(rng.random((20, 4)), rng.random((20, 4)))
    constant = predictions(np.full((20, 4), 0.5), np.full((20, 4), 0.1))
    frontier = sweep_frontier(constant, observed, cost_scale=SCALE)
    assert np.ptp(frontier.cost_usd) == 0
    assert np.ptp(frontier.effect) == 0
    assert len(frontier.hull.effect) == 1


def test_a_router_without_costs_follows_effect_everywhere() -> None:
    rng = np.random.default_rng(0)
    observed = predictions(rng.random((20, 4)), rng.random((20, 4)))
    predicted = Predictions.from_arrays(observed.models, rng.random((20, 4)))
    frontier = sweep_frontier(predicted, observed, cost_scale=SCALE)
    assert np.ptp(frontier.cost_usd) == 0
    chosen = np.argmax(predicted.effect, axis=1)
    assert frontier.effect[0] == pytest.approx(observed.effect[np.arange(20), chosen].mean())


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_a_dominated_model_never_lowers_the_hull(seed: int) -> None:
    rng = np.random.default_rng(seed)
    effect, cost = rng.random((12, 3)), rng.uniform(0.01, 1, (12, 3))
    guess, guess_cost = rng.random((12, 3)), rng.uniform(0.01, 1, (12, 3))
    worse = np.column_stack([guess, guess[:, 0] - 0.1]), np.column_stack([guess_cost, guess_cost[:, 0] + 0.1])
    seen = np.column_stack([effect, effect[:, 0] * 0.9]), np.column_stack([cost, cost[:, 0] + 0.1])
    before = sweep_frontier(predictions(guess, guess_cost), predictions(effect, cost), cost_scale=SCALE)
    after = sweep_frontier(predictions(*worse), predictions(*seen), cost_scale=SCALE)
    grid = np.geomspace(0.01, 2, 50)
    assert (effect_at(after.hull, grid) >= effect_at(before.hull, grid) - 1e-9).all()


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_the_oracle_is_above_at_every_trade_off(seed: int) -> None:
    rng = np.random.default_rng(seed)
    effect = np.where(rng.random((15, 4)) < 0.3, NAN, rng.integers(0, 2, (15, 4)).astype(float))
    observed = predictions(effect, rng.uniform(0.01, 1, (15, 4)))
    router = predictions(rng.random((15, 4)), rng.uniform(0.01, 1, (15, 4)))
    best, other = (sweep_frontier(each, observed, cost_scale=SCALE) for each in (observed, router))
    if best.num_queries == 0:
        return
    finite = best.trade_offs[:-1]
    assert ((best.effect - other.effect)[:-1] - finite * (best.cost_usd - other.cost_usd)[:-1] >= -1e-9 * (1 + finite)).all()
