"""Choices and sweeps: hand-computed cases, then properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.evaluation.choices import Chooser
from graphrouter.bench.evaluation.frontier import (
    Frontier,
    list_replay_trade_offs,
    sweep_frontier,
    sweep_output,
    sweep_singles,
)
from graphrouter.bench.evaluation.hulls import effect_at
from graphrouter.bench.evaluation.router_output import Replayed, RouterOutput
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.policy import PRESETS, CostScale, Policy
from graphrouter.router.trade_offs import NUM_SWEPT, build_trade_off_grid
from graphrouter.types import FloatArray, Predictions

NAN = float("nan")
SCALE = CostScale(0.01, 1.0)


def predictions(effect: FloatArray, cost: FloatArray) -> Predictions:
    return Predictions.from_arrays(
        tuple(f"m{i}" for i in range(effect.shape[1])), effect, cost_usd=cost
    )


def outcomes(effect: FloatArray, cost: FloatArray) -> ObservedOutcomes:
    names = predictions(effect, cost).models
    return ObservedOutcomes.from_arrays(names, effect, cost_usd=cost)


def frontier_of(predicted: Predictions, observed: ObservedOutcomes) -> Frontier:
    return sweep_frontier(RouterOutput(predicted), observed, cost_scale=SCALE)


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


# --- sweep


def test_grid_has_both_ends_and_rises() -> None:
    grid = build_trade_off_grid(SCALE)
    assert grid[0] == 0
    assert math.isinf(grid[-1])
    assert (np.diff(grid[:-1]) > 0).all()
    assert np.isfinite(build_trade_off_grid(CostScale(0.0, 0.0))[:-1]).all()  # all models are free


def test_sweep_by_hand() -> None:
    """Cheap 0.01 USD with effect 0.4, dear 1 USD with 0.9: between trade-off 0 and infinity the
    choice flips once."""
    observed = outcomes(
        np.array([[0.0, 1.0], [1.0, 1.0], [0.0, NAN], [NAN, NAN]]),
        np.array([[0.01, 1.0], [0.01, 1.0], [0.01, 1.0], [0.01, 1.0]]),
    )
    predicted = predictions(np.tile([0.4, 0.9], (4, 1)), np.tile([0.01, 1.0], (4, 1)))
    frontier = frontier_of(predicted, observed)
    assert (frontier.num_queries, frontier.num_pairs) == (3, 5)
    assert frontier.cost_usd[0] == pytest.approx(
        2.01 / 3
    )  # the third query has no outcome of the dear model
    assert frontier.effect[0] == pytest.approx(2 / 3)
    assert frontier.cost_usd[-1] == pytest.approx(0.01)
    assert frontier.effect[-1] == pytest.approx(1 / 3)
    flips = frontier.trade_offs[np.flatnonzero(np.diff(frontier.effect)) + 1]
    assert len(flips) == 1
    assert flips[0] > 0.5 / 0.99
    assert frontier.hull.effect.tolist() == pytest.approx([1 / 3, 2 / 3])


def test_a_constant_router_has_a_constant_frontier() -> None:
    rng = np.random.default_rng(0)
    observed = outcomes(rng.random((20, 4)), rng.random((20, 4)))
    constant = predictions(np.full((20, 4), 0.5), np.full((20, 4), 0.1))
    frontier = frontier_of(constant, observed)
    assert np.ptp(frontier.cost_usd) == 0
    assert np.ptp(frontier.effect) == 0
    assert len(frontier.hull.effect) == 1


def test_a_router_without_costs_follows_effect_everywhere() -> None:
    rng = np.random.default_rng(0)
    observed = outcomes(rng.random((20, 4)), rng.random((20, 4)))
    predicted = Predictions.from_arrays(observed.models, rng.random((20, 4)))
    frontier = frontier_of(predicted, observed)
    assert np.ptp(frontier.cost_usd) == 0
    chosen = np.argmax(predicted.effect, axis=1)
    assert frontier.effect[0] == pytest.approx(observed.effect[np.arange(20), chosen].mean())


@given(st.integers(0, 1000))
def test_a_dominated_model_never_lowers_the_hull(seed: int) -> None:
    rng = np.random.default_rng(seed)
    effect, cost = rng.random((12, 3)), rng.uniform(0.01, 1, (12, 3))
    guess, guess_cost = rng.random((12, 3)), rng.uniform(0.01, 1, (12, 3))
    worse = (
        np.column_stack([guess, guess[:, 0] - 0.1]),
        np.column_stack([guess_cost, guess_cost[:, 0] + 0.1]),
    )
    seen = np.column_stack([effect, effect[:, 0] * 0.9]), np.column_stack([cost, cost[:, 0] + 0.1])
    before = frontier_of(predictions(guess, guess_cost), predictions(effect, cost))
    after = frontier_of(predictions(*worse), predictions(*seen))
    grid = np.geomspace(0.01, 2, 50)
    assert (effect_at(after.hull, grid) >= effect_at(before.hull, grid) - 1e-9).all()


@given(st.integers(0, 1000))
def test_the_oracle_is_above_at_every_trade_off(seed: int) -> None:
    rng = np.random.default_rng(seed)
    effect = np.where(rng.random((15, 4)) < 0.3, NAN, rng.integers(0, 2, (15, 4)).astype(float))
    observed = outcomes(effect, rng.uniform(0.01, 1, (15, 4)))
    router = predictions(rng.random((15, 4)), rng.uniform(0.01, 1, (15, 4)))
    best, other = (frontier_of(each, observed) for each in (observed.to_predictions(), router))
    if best.num_queries == 0:
        return
    finite = best.trade_offs[:-1]
    assert (
        (best.effect - other.effect)[:-1] - finite * (best.cost_usd - other.cost_usd)[:-1]
        >= -1e-9 * (1 + finite)
    ).all()


# --- cascades and single models


def test_replay_trade_offs_choose_as_the_presets_do() -> None:
    """Within the bounds of the scale, effect - trade_off * cost ranks any two models as the
    preset's utility does."""
    scale = CostScale(0.2, 0.7)
    trade_offs = list_replay_trade_offs(scale)
    assert trade_offs[:NUM_SWEPT].tolist() == build_trade_off_grid(scale).tolist()
    rng = np.random.default_rng(0)
    effect, cost = rng.random((200, 3)), rng.uniform(0.2, 0.7, (200, 3))
    for preset, trade_off in zip(PRESETS, trade_offs[NUM_SWEPT:], strict=True):
        utility = Policy.preset(preset).utility(effect, cost, scale)
        assert (utility.argmax(axis=1) == (effect - trade_off * cost).argmax(axis=1)).all()


def test_replay_trade_offs_without_a_price_of_anything() -> None:
    assert list_replay_trade_offs(CostScale(NAN, NAN)).tolist() == [0.0] * (NUM_SWEPT + 3)
    assert list_replay_trade_offs(CostScale(0.5, 0.5))[NUM_SWEPT:].tolist() == [0, 0, 0]


def test_a_cascade_that_calls_one_model_sweeps_like_that_router() -> None:
    rng = np.random.default_rng(0)
    effect = np.where(rng.random((20, 4)) < 0.5, NAN, rng.random((20, 4)))
    observed = outcomes(effect, rng.uniform(0.01, 1, (20, 4)))
    router = predictions(rng.random((20, 4)), rng.uniform(0.01, 1, (20, 4)))
    direct = sweep_output(RouterOutput(router), observed, cost_scale=SCALE)
    presets = np.zeros((20, 3))  # not looked at
    replayed = Replayed(
        np.hstack([direct.cost_usd, presets]),
        np.hstack([direct.effect, presets]),
        np.ones((20, NUM_SWEPT + 3)),
        direct.counts,
    )
    cascade = RouterOutput(router, replayed)
    one, other = (
        sweep_frontier(each, observed, cost_scale=SCALE) for each in (cascade, RouterOutput(router))
    )
    np.testing.assert_allclose(
        [one.trade_offs, one.cost_usd, one.effect], [other.trade_offs, other.cost_usd, other.effect]
    )
    assert one[3:] == other[3:]
    thin = np.array([0, 7, NUM_SWEPT - 1])
    for each in (cascade, RouterOutput(router)):
        np.testing.assert_array_equal(
            sweep_output(each, observed, cost_scale=SCALE, points=thin).effect,
            direct.effect[:, thin],
        )


def test_single_models_give_way_to_the_best_where_they_were_not_run() -> None:
    observed = outcomes(
        np.array([[0.1, 0.2, NAN], [NAN, NAN, 0.6], [NAN, NAN, NAN]]),
        np.array([[1.0, 2.0, 3.0]] * 3),
    )
    training = predictions(np.array([[0.3, 0.5, 0.9]] * 3), np.array([[1.0, 2.0, 3.0]] * 3))
    singles = sweep_singles(training, observed)
    assert singles.effect.tolist() == [[0.1, 0.2, 0.2], [0.6, 0.6, 0.6], [0, 0, 0]]
    assert singles.cost_usd.tolist() == [[1, 2, 2], [3, 3, 3], [0, 0, 0]]
    assert singles.counts.tolist() == [True, True, False]
