"""Hulls and what is read off them: hand-computed cases, second implementations, many hulls at once,
then properties."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.spatial import ConvexHull

from graphrouter.bench.evaluation.hulls import (
    Hull,
    aiq,
    area_log,
    cost_save,
    cost_to_reach,
    deferral_area,
    effect_at,
    interpolate,
    mean_effect_over_cost,
    mean_effect_over_log_cost,
    pareto_dist,
    peak_effect,
    perf_gain,
    qnc,
    upper_hull,
)
from graphrouter.types import FloatArray

NAN = float("nan")
points = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1)), min_size=1, max_size=12)


def hull_of(pairs: list[tuple[float, float]]) -> Hull:
    return upper_hull(np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]))


def height(hull: Hull, cost: float) -> float:
    """A second implementation of `effect_at`."""
    return 0.0 if cost < hull.cost_usd[0] else float(np.interp(cost, hull.cost_usd, hull.effect))


def draws_of_points(
    seed: int, *, num_draws: int = 40, num_points: int = 15
) -> tuple[FloatArray, FloatArray]:
    """Points of many draws, with ties, with unknown points, and with a draw that has none."""
    rng = np.random.default_rng(seed)
    cost, effect = (
        rng.uniform(0.1, 2, (num_draws, num_points)).round(1),
        rng.random((num_draws, num_points)).round(2),
    )
    effect[rng.random(effect.shape) < 0.1] = NAN
    effect[3] = NAN
    effect[4], cost[4] = 0.5, 0.7
    return cost, effect


# --- hull


def test_hull_by_hand() -> None:
    hull = hull_of([(1, 0.2), (2, 0.3), (3, 0.8), (4, 0.7), (4.5, 0.8), (5, 0.9), (1, 0.1)])
    assert hull.cost_usd.tolist() == [1, 3, 5]
    assert hull.effect.tolist() == [0.2, 0.8, 0.9]
    np.testing.assert_allclose(
        effect_at(hull, np.array([0.5, 1, 2, 4, 9])), [0.0, 0.2, 0.5, 0.85, 0.9]
    )


def test_a_cheap_best_point_is_the_whole_hull() -> None:
    hull = hull_of([(1, 0.9), (2, 0.3), (3, 0.9)])
    assert hull.cost_usd.tolist() == [1]


def test_without_points_everything_is_unknown() -> None:
    hull = hull_of([(1, NAN), (NAN, 0.5)])
    assert np.isnan(hull.cost_usd).all()
    assert np.isnan(effect_at(hull, np.array([0.5, 2.0]))).all()
    figures = [
        cost_to_reach(hull, 0.5),
        area_log(hull, cheapest_usd=1.0, best_single_usd=2.0),
        aiq(hull, cheapest_usd=1.0, best_single_usd=2.0),
        peak_effect(hull),
        perf_gain(hull, best_single_effect=0.5),
        qnc(hull, best_single_effect=0.5, best_single_usd=1.0),
    ]
    assert np.isnan(figures).all()


@pytest.mark.parametrize("seed", range(5))
def test_hull_against_scipy(seed: int) -> None:
    """The corners of the convex hull that lie between its cheapest and its best one, on the upper
    side."""
    rng = np.random.default_rng(seed)
    cost, effect = rng.random(40), rng.random(40)
    corners = ConvexHull(np.column_stack([cost, effect])).vertices  # counterclockwise
    turn = np.roll(corners, -int(np.argmin(cost[corners])))
    upper = [turn[0], *reversed(turn[1:])]
    until_best = upper[: int(np.argmax(effect[upper])) + 1]
    hull = upper_hull(cost, effect)
    np.testing.assert_array_equal(hull.cost_usd, cost[until_best])
    np.testing.assert_array_equal(hull.effect, effect[until_best])


@pytest.mark.parametrize("seed", range(3))
def test_many_hulls_are_each_the_single_one(seed: int) -> None:
    cost, effect = draws_of_points(seed)
    many = upper_hull(cost, effect)
    for i in range(len(cost)):
        single = upper_hull(cost[i], effect[i])
        corners = len(single.cost_usd)
        for side in (0, 1):
            np.testing.assert_array_equal(many[side][i, :corners], single[side])
            np.testing.assert_array_equal(
                many[side][i, corners:], single[side][-1]
            )  # the last corner is repeated


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_many_hulls_are_each_the_single_one(seed: int) -> None:
    cost, effect = draws_of_points(seed)
    rng = np.random.default_rng(seed)
    low, high, wanted = (
        rng.uniform(0.05, 1, len(cost)),
        rng.uniform(0.2, 1.5, len(cost)),
        rng.random(len(cost)),
    )
    grid = rng.uniform(0.05, 3, (len(cost), 6))

    def figures(hull: Hull, row: int | slice) -> list[FloatArray]:
        return [
            area_log(hull, cheapest_usd=low[row], best_single_usd=high[row]),
            aiq(hull, cheapest_usd=low[row], best_single_usd=high[row]),
            deferral_area(hull, cheapest_usd=low[row], dearest_usd=high[row], share=0.5),
            peak_effect(hull),
            perf_gain(hull, best_single_effect=wanted[row]),
            cost_save(hull, best_single_effect=wanted[row], best_single_usd=high[row]),
            qnc(hull, best_single_effect=wanted[row], best_single_usd=high[row]),
            pareto_dist(hull, cost_usd=grid[row], effect=grid[row] / 3),
        ]

    together = np.array(figures(upper_hull(cost, effect), slice(None)))
    apart = np.array([figures(upper_hull(cost[i], effect[i]), i) for i in range(len(cost))]).T
    np.testing.assert_allclose(together, apart, rtol=1e-12)
    assert np.isfinite(together).sum(axis=1).min() >= 5


@given(points, st.tuples(st.floats(0.01, 10), st.floats(0, 1)))
def test_one_more_point_never_lowers_the_hull(
    pairs: list[tuple[float, float]], extra: tuple[float, float]
) -> None:
    grid = np.geomspace(0.005, 20, 200)
    before, after = effect_at(hull_of(pairs), grid), effect_at(hull_of([*pairs, extra]), grid)
    assert (after >= before - 1e-9).all()


@given(points)
def test_hull_is_above_every_point_rising_and_concave(pairs: list[tuple[float, float]]) -> None:
    hull = hull_of(pairs)
    cost, effect = (np.array(values) for values in zip(*pairs, strict=True))
    assert (effect_at(hull, cost) >= effect - 1e-9).all()
    assert (np.diff(hull.effect) > 0).all()
    assert (np.diff(hull.cost_usd) > 0).all()
    middle = (hull.cost_usd[1:] + hull.cost_usd[:-1]) / 2
    chords = [np.interp(c, hull.cost_usd[[0, -1]], hull.effect[[0, -1]]) for c in middle]
    assert (effect_at(hull, middle) >= np.array(chords) - 1e-9).all()


@given(points, st.randoms(use_true_random=False))
def test_the_order_of_points_changes_nothing(
    pairs: list[tuple[float, float]], random: object
) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for left, right in zip(hull_of(pairs), hull_of(shuffled), strict=True):
        np.testing.assert_array_equal(left, right)


# --- reading a hull


def test_interpolate_agrees_with_numpy_on_every_row() -> None:
    rng = np.random.default_rng(0)
    corners, heights, x = (
        np.sort(rng.random((30, 8))),
        rng.random((30, 8)),
        rng.uniform(-0.2, 1.2, (30, 20)),
    )
    expected = [np.interp(x[i], corners[i], heights[i]) for i in range(30)]
    np.testing.assert_allclose(interpolate(x, corners, heights), expected, rtol=1e-12)
    np.testing.assert_allclose(interpolate(x[0], corners, heights)[0], expected[0], rtol=1e-12)


def test_cost_to_reach_by_hand() -> None:
    hull = hull_of([(1, 0.2), (3, 0.8)])
    assert cost_to_reach(hull, 0.5) == pytest.approx(2.0)
    assert cost_to_reach(hull, 0.1) == 1.0
    assert cost_to_reach(hull, 0.8) == 3.0
    assert math.isnan(cost_to_reach(hull, 0.81))


# --- areas


def test_area_of_a_flat_hull_is_its_effect() -> None:
    assert mean_effect_over_log_cost(hull_of([(1, 0.7)]), 1.0, 100.0) == pytest.approx(0.7)
    assert mean_effect_over_cost(hull_of([(1, 0.7)]), 1.0, 100.0) == pytest.approx(0.7)


def test_area_by_hand() -> None:
    # 0.2 + 0.3 (c - 1) from 1 to 3, then flat 0.8 to 9. Integral over log cost: -0.1 log 3 + 0.3 *
    # 2, and 0.8 log 3.
    expected = (-0.1 * math.log(3) + 0.6 + 0.8 * math.log(3)) / math.log(9)
    assert mean_effect_over_log_cost(hull_of([(1, 0.2), (3, 0.8)]), 1.0, 9.0) == pytest.approx(
        expected
    )
    # Over linear cost: a trapezoid of mean height 0.5 over 2, then 0.8 over 6.
    assert mean_effect_over_cost(hull_of([(1, 0.2), (3, 0.8)]), 1.0, 9.0) == pytest.approx(
        (0.5 * 2 + 0.8 * 6) / 8
    )


def test_area_counts_nothing_below_the_cheapest_point() -> None:
    assert mean_effect_over_log_cost(hull_of([(10, 0.6)]), 1.0, 100.0) == pytest.approx(0.3)
    assert mean_effect_over_log_cost(hull_of([(100, 0.6)]), 1.0, 100.0) == 0.0
    assert mean_effect_over_cost(hull_of([(10, 0.6)]), 0.0, 40.0) == pytest.approx(0.45)


def test_two_corners_that_all_but_coincide_keep_their_digits() -> None:
    hull = hull_of([(0.01, 0.0), (0.010000000000000002, 1.0)])
    assert mean_effect_over_log_cost(hull, 0.01, 2.0) == pytest.approx(1.0)


@settings(max_examples=50)
@given(points, st.floats(0.01, 1), st.floats(2, 20))
def test_areas_agree_with_numeric_integration(
    pairs: list[tuple[float, float]], low: float, high: float
) -> None:
    hull = hull_of([*pairs, (0.01, 0.0)])
    cuts = [cost for cost in hull.cost_usd.tolist() if low < cost < high]
    edges = [low, *cuts, high]
    linear = sum(quad(lambda c: height(hull, c), a, b)[0] for a, b in pairwise(edges))
    log = sum(
        quad(lambda x: height(hull, math.exp(x)), math.log(a), math.log(b))[0]
        for a, b in pairwise(edges)
    )
    assert mean_effect_over_cost(hull, low, high) == pytest.approx(linear / (high - low), abs=1e-6)
    assert mean_effect_over_log_cost(hull, low, high) == pytest.approx(
        log / math.log(high / low), abs=1e-6
    )


def test_an_empty_range_has_no_area() -> None:
    hull = hull_of([(1, 0.5)])
    assert math.isnan(mean_effect_over_log_cost(hull, 2.0, 1.0))
    assert math.isnan(mean_effect_over_log_cost(hull, 0.0, 1.0))
    assert math.isnan(mean_effect_over_cost(hull, 1.0, 1.0))


# --- figures


def test_summaries_against_the_best_single() -> None:
    hull = hull_of([(1, 0.5), (2, 0.75), (6, 1.0)])
    assert peak_effect(hull) == 1.0
    assert perf_gain(hull, best_single_effect=0.8) == pytest.approx(0.25)
    assert cost_save(hull, best_single_effect=0.75, best_single_usd=8.0) == pytest.approx(0.75)
    assert math.isnan(cost_save(hull, best_single_effect=1.01, best_single_usd=8.0))
    assert math.isnan(perf_gain(hull, best_single_effect=0.0))
    assert area_log(hull_of([(1, 0.5)]), cheapest_usd=1.0, best_single_usd=8.0) == pytest.approx(
        0.5
    )
    assert area_log(hull_of([(0, 0.5)]), cheapest_usd=0.0, best_single_usd=8.0) == pytest.approx(
        0.5
    )  # a free model
    assert math.isnan(area_log(hull, cheapest_usd=20.0, best_single_usd=8.0))


def test_aiq_by_hand() -> None:
    # From 1 to 1.5 * 4 = 6: mean heights 0.625 over 1 and 0.875 over 4.
    hull = hull_of([(1, 0.5), (2, 0.75), (6, 1.0)])
    assert aiq(hull, cheapest_usd=1.0, best_single_usd=4.0) == pytest.approx(
        (0.625 + 0.875 * 4) / 5
    )


def test_aiq_follows_the_definition_where_the_published_code_does_not() -> None:
    """RouterBench's code: trapezoids from the router's own cheapest corner, flat to the end,
    divided by the largest cost."""
    hull = hull_of([(2, 0.4), (4, 0.8)])
    published = (np.trapezoid([0.4, 0.8, 0.8], [2, 4, 6])) / 6
    assert published == pytest.approx(2.8 / 6)
    assert aiq(hull, cheapest_usd=2.0, best_single_usd=4.0) == pytest.approx(2.8 / 4)


def test_deferral_area_by_hand() -> None:
    hull = hull_of([(1, 0.5), (3, 0.9)])
    assert deferral_area(hull, cheapest_usd=1.0, dearest_usd=5.0) == pytest.approx(
        (0.7 * 2 + 0.9 * 2) / 4
    )
    assert deferral_area(hull, cheapest_usd=1.0, dearest_usd=5.0, share=0.5) == pytest.approx(
        (0.5 + 0.8) / 2
    )
    assert math.isnan(deferral_area(hull, cheapest_usd=1.0, dearest_usd=1.5, share=0.5))


def test_qnc_by_hand() -> None:
    hull = hull_of([(1, 0.5), (3, 0.9)])
    assert qnc(hull, best_single_effect=0.7, best_single_usd=8.0) == pytest.approx(0.25)
    assert qnc(hull, best_single_effect=0.9, best_single_usd=2.0) == pytest.approx(1.5)
    assert math.isnan(qnc(hull, best_single_effect=0.91, best_single_usd=8.0))
    saved = cost_save(hull, best_single_effect=0.7, best_single_usd=8.0)
    assert qnc(hull, best_single_effect=0.7, best_single_usd=8.0) == pytest.approx(
        1 - saved
    )  # the same reference


def test_qnc_is_the_first_cost_of_a_fine_grid_that_matches() -> None:
    hull = hull_of([(0.5, 0.2), (1.0, 0.6), (2.0, 0.8), (4.0, 0.85)])
    grid = np.linspace(0.4, 5, 100_001)
    first = grid[np.argmax(np.interp(grid, hull.cost_usd, hull.effect, left=0) >= 0.7)]
    assert qnc(hull, best_single_effect=0.7, best_single_usd=3.0) == pytest.approx(
        first / 3, abs=1e-4
    )


def test_pareto_dist_by_hand() -> None:
    joint = hull_of([(1, 0.4), (3, 0.8)])
    # Shortfalls: 0.6 - 0.5, 0.8 - 0.6, on the hull, above it.
    distance = pareto_dist(
        joint, cost_usd=np.array([2.0, 5.0, 3.0, 1.0]), effect=np.array([0.5, 0.6, 0.8, 0.9])
    )
    assert distance == pytest.approx((0.1 + 0.2) / 4)


@given(points)
def test_nobody_is_above_the_joint_hull(pairs: list[tuple[float, float]]) -> None:
    hull = hull_of(pairs)
    cost, effect = (np.array(values) for values in zip(*pairs, strict=True))
    assert (effect_at(hull, cost) - effect >= -1e-9).all()
    assert pareto_dist(hull, cost_usd=hull.cost_usd, effect=hull.effect) == pytest.approx(
        0, abs=1e-12
    )
