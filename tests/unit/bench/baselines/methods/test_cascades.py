"""What all cascades do with recorded outcomes: calls, payments, gaps, operating points."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.cascade_methods import (
    AutoMix,
    FrugalGPT,
    RouterBenchCascade,
)
from graphrouter.bench.baselines.methods.cascade_routing import CascadeRouting
from graphrouter.bench.baselines.methods.cascades import (
    Cascade,
    find_best_point,
    pick_shortlist,
)
from graphrouter.bench.baselines.methods.replays import Recorded, Replay, call_in_turn
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import DataError, NotApplicableError, PolicyError
from graphrouter.types import BoolArray, FloatArray, Predictions

IN_TURN = (FrugalGPT, AutoMix, RouterBenchCascade)
CASCADES = (*IN_TURN, CascadeRouting)
NAN = float("nan")


def predictions(effect: FloatArray, cost: FloatArray, names: str = "abc") -> Predictions:
    return Predictions.from_arrays(
        tuple(names), np.array(effect, dtype=float), cost_usd=np.array(cost, dtype=float)
    )


def learn(effect: FloatArray, cost: FloatArray) -> LearningData:
    """Training rows from matrices, models a, b, c ...; NaN = no outcome."""
    names = [chr(97 + i) for i in range(effect.shape[1])]
    ids = [f"q{i}" for i in range(len(effect))]
    rows = [
        (ids[i], names[j], effect[i, j], cost[i, j])
        for i, j in np.ndindex(*effect.shape)
        if not np.isnan(effect[i, j])
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": ids, "task": None, "prompt": [f"prompt {i}" for i in ids]}
        ),
        models=pd.DataFrame({"model": names}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )
    return LearningData.of(data, ids, encoder=HashingEncoder(64), seed=0)


@pytest.fixture(scope="module")
def learning() -> LearningData:
    data = gr.simulate(num_queries=600, num_models=8, seed=2, missing=0.2).data
    return LearningData.of(
        data, data.queries["query_id"].tolist(), encoder=HashingEncoder(64), seed=0
    )


@pytest.fixture(scope="module")
def fitted(learning: LearningData) -> dict[str, Cascade]:
    return {kind.name: kind.learn(learning) for kind in CASCADES}


def replay_training(router: Cascade, learning: LearningData, trade_off: float) -> Replay:
    return router.replay(learning.train.prompts, learning.outcomes, trade_off=trade_off)


def test_calls_are_paid_until_the_judge_is_content() -> None:
    effect, cost = (
        np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5], [0.2, NAN, 0.9]]),
        np.full((3, 3), [1.0, 2.0, 4.0]),
    )
    recorded = Recorded(("x", "y", "z"), effect, np.where(np.isnan(effect), NAN, cost))
    accepted: BoolArray = np.array(
        [[False, True, False], [True, False, False], [False, True, False]]
    )
    steps = list(call_in_turn(recorded, [0, 1, 2], accepted))
    np.testing.assert_array_equal(steps[0].cost_usd, [1, 1, 1])
    np.testing.assert_array_equal(
        steps[-1].cost_usd, [3, 1, 5]
    )  # z: the second cannot be called, so it cannot be accepted
    np.testing.assert_array_equal(steps[-1].effect, [1.0, 1.0, 0.9])
    assert steps[-1].answered.all()
    assert [step.num_calls.tolist() for step in steps] == [[1, 1, 1], [2, 1, 1], [2, 1, 2]]


@pytest.mark.parametrize("name", [kind.name for kind in CASCADES])
def test_calls_are_counted_where_they_are_paid(
    name: str, fitted: dict[str, Cascade], learning: LearningData
) -> None:
    cost = learning.outcomes.cost_usd
    bounds = np.sort(np.nan_to_num(cost), axis=1)
    for trade_off in (0.0, 30.0, np.inf):
        run = replay_training(fitted[name], learning, trade_off)
        assert np.array_equal(run.num_calls > 0, run.answered)
        assert np.array_equal(run.cost_usd > 0, run.answered)
        # No run is dearer than as many of the dearest calls; AutoMix may call one model twice.
        most = np.where(run.num_calls > 0, run.num_calls * bounds[:, -1], 0)
        assert (run.cost_usd <= most + 1e-12).all()
    assert run.num_calls.max() == 1  # where only cost counts nobody asks twice


def test_shortlist_keeps_the_efficient_and_fills_with_the_best_others() -> None:
    means = predictions(
        np.array([[0.2, 0.6, 0.5, 0.9, 0.3, 0.7]]),
        np.array([[1.0, 2.0, 3.0, 9.0, 4.0, NAN]]),
        "abcdef",
    )
    assert pick_shortlist(means, 3).tolist() == [0, 1, 3]
    assert pick_shortlist(means, 4).tolist() == [0, 1, 2, 3]
    assert pick_shortlist(means, 99).tolist() == [0, 1, 2, 4, 3]
    assert pick_shortlist(means, 2).tolist() == [0, 3]


def test_best_point_over_the_trade_offs() -> None:
    effect, cost = np.array([0.9, 0.5, 0.9, 0.6]), np.array([3.0, 1.0, 2.0, 1.0])
    assert find_best_point(effect, cost, 0.0) == 0
    assert find_best_point(effect, cost, 0.1) == 2
    assert find_best_point(effect, cost, 10.0) == 3
    assert find_best_point(effect, cost, np.inf) == 3


@pytest.mark.parametrize("name", [kind.name for kind in CASCADES])
def test_operating_points_follow_the_trade_off(
    name: str, fitted: dict[str, Cascade], learning: LearningData
) -> None:
    """Replayed on its own training rows, a dearer dollar never makes a cascade spend more, up to
    shrinkage."""
    runs = [
        replay_training(fitted[name], learning, trade_off)
        for trade_off in (0.0, 1.0, 30.0, 300.0, 1e4, np.inf)
    ]
    costs = [run.cost_usd.mean() for run in runs]
    assert all(later <= earlier * 1.05 for earlier, later in pairwise(costs))
    assert costs[-1] < costs[0] / 3
    assert runs[0].effect.mean() > runs[-1].effect.mean()
    cheapest = np.nanmin(learning.means.cost_usd)
    assert costs[-1] < 2 * cheapest


@pytest.mark.parametrize("kind", [FrugalGPT, AutoMix, CascadeRouting])
def test_it_beats_every_single_model_by_looking_at_answers(kind: type[Cascade]) -> None:
    data = gr.simulate(num_queries=600, num_models=8, seed=2, missing=0.0).data
    learning = LearningData.of(
        data, data.queries["query_id"].tolist(), encoder=HashingEncoder(64), seed=0
    )
    router, effect, cost = (
        kind.learn(learning),
        learning.outcomes.effect,
        learning.outcomes.cost_usd,
    )
    for trade_off in (0.0, 10.0, 100.0):
        run = replay_training(router, learning, trade_off)
        single = (effect - trade_off * cost).mean(axis=0).max()
        assert (run.effect - trade_off * run.cost_usd).mean() > single + 0.01


@pytest.mark.parametrize("name", [kind.name for kind in CASCADES])
@pytest.mark.parametrize("trade_off", [0.0, 50.0, np.inf])
def test_a_replay_does_not_depend_on_batch_mates_or_columns(
    name: str, trade_off: float, fitted: dict[str, Cascade], learning: LearningData
) -> None:
    router, seen = fitted[name], learning.outcomes
    whole = replay_training(router, learning, trade_off)
    order = np.random.default_rng(0).permutation(len(seen.models))
    for i in (0, 7, 101):
        alone = Predictions(
            tuple(seen.models[j] for j in order),
            *(
                getattr(seen, q)[i : i + 1, order]
                for q in ("effect", "cost_usd", "input_tokens", "output_tokens", "latency_s")
            ),
        )
        run = router.replay([learning.train.prompts[i]], alone, trade_off=trade_off)
        np.testing.assert_array_equal([part[0] for part in run], [part[i] for part in whole])


@pytest.mark.parametrize("kind", CASCADES)
def test_a_judge_is_drawn_from_the_seed(kind: type[Cascade], learning: LearningData) -> None:
    again, other = kind.learn(learning), kind.learn(dataclasses.replace(learning, seed=1))
    first = replay_training(kind.learn(learning), learning, 20.0)
    np.testing.assert_array_equal(replay_training(again, learning, 20.0).cost_usd, first.cost_usd)
    assert (replay_training(other, learning, 20.0).cost_usd != first.cost_usd).any()


@pytest.mark.parametrize("kind", CASCADES)
def test_gaps_go_to_the_next_and_to_whoever_is_there(kind: type[Cascade]) -> None:
    rng = np.random.default_rng(0)
    effect = np.column_stack(
        [rng.random(200) < 0.3, rng.random(200) < 0.6, rng.random(200) < 0.8]
    ).astype(float)
    router = kind.learn(learn(effect, np.full((200, 3), [0.001, 0.004, 0.02])))
    observed = predictions(
        np.array([[NAN, 1.0, NAN], [NAN, NAN, NAN], [1.0, 1.0, 1.0], [NAN, NAN, 0.7]]),
        np.array([[0.1, 0.2, 0.3], [0.1, NAN, 0.3], [NAN, NAN, NAN], [NAN, NAN, 0.5]]),
    )
    for trade_off in (0.0, 10.0, 1e6, np.inf):
        run = router.replay(["p", "q", "r", "s"], observed, trade_off=trade_off)
        assert run.answered.tolist() == [True, False, False, True]
        assert run.effect.tolist() == [1.0, 0.0, 0.0, 0.7]
        np.testing.assert_allclose(run.cost_usd, [0.2, 0.0, 0.0, 0.5])


@pytest.mark.parametrize("kind", IN_TURN)
def test_predict_is_the_training_mean(kind: type[Cascade], learning: LearningData) -> None:
    predicted = kind.learn(learning).predict(["x", ""], tasks=["t", None])
    np.testing.assert_array_equal(predicted.effect, np.repeat(learning.means.effect, 2, axis=0))
    np.testing.assert_array_equal(predicted.cost_usd, np.repeat(learning.means.cost_usd, 2, axis=0))


@pytest.mark.parametrize("kind", CASCADES)
def test_odd_training_rows(kind: type[Cascade]) -> None:
    three = learn(np.array([[1.0, NAN], [NAN, 0.5], [0.0, NAN]]), np.full((3, 2), 0.01))
    alike = learn(np.ones((6, 2)), np.zeros((6, 2)))
    partly = learn(
        np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]), np.array([[0.1, NAN, 0.2], [0.1, NAN, NAN]])
    )
    for data in (three, alike, partly):
        router = kind.learn(data)
        for trade_off in (0.0, 1.0, np.inf):
            run = router.replay(data.train.prompts, data.outcomes, trade_off=trade_off)
            assert run.answered.all()
            assert ((run.effect >= 0) & (run.effect <= 1)).all()
    assert router.replay(
        [], predictions(np.empty((0, 3)), np.empty((0, 3))), trade_off=1.0
    ).answered.shape == (0,)


@pytest.mark.parametrize("kind", CASCADES)
def test_without_costs_it_does_not_apply(kind: type[Cascade]) -> None:
    with pytest.raises(NotApplicableError, match=f"{kind.name} needs costs"):
        kind.learn(learn(np.ones((3, 2)), np.full((3, 2), NAN)))


def test_bad_arguments(fitted: dict[str, Cascade], learning: LearningData) -> None:
    router = fitted["frugal_gpt"]
    with pytest.raises(PolicyError, match="trade_off is -1"):
        router.replay(learning.train.prompts, learning.outcomes, trade_off=-1)
    with pytest.raises(PolicyError, match="trade_off is nan"):
        router.replay(learning.train.prompts, learning.outcomes, trade_off=NAN)
    with pytest.raises(DataError, match="600 rows for 2 prompts"):
        router.replay(["a", "b"], learning.outcomes, trade_off=1.0)
