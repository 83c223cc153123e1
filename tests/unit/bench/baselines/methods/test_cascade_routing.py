"""Cascade routing against simulation and a plain loop over single queries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.answer_judges import SimulatedJudge
from graphrouter.bench.baselines.methods.cascade_routing import (
    MOST_CALLS,
    CascadeRouting,
    _expect_greatest,
    _list_sets,
)
from graphrouter.bench.baselines.methods.judges import find_noise, simulate_score
from graphrouter.bench.baselines.methods.replays import Recorded
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.types import FloatArray, Queries


@pytest.fixture(scope="module")
def learning() -> LearningData:
    data = gr.simulate(num_queries=400, num_models=5, seed=4, missing=0.2).data
    ids = data.queries["query_id"].tolist()
    return LearningData.of(data, ids[:300], encoder=HashingEncoder(64), validation_ids=ids[300:])


@pytest.fixture(scope="module")
def recorded(learning: LearningData) -> Recorded:
    return Recorded.of(learning.pool, learning.train.prompts, learning.outcomes)


def simulate_greatest(mean: FloatArray, deviation: FloatArray, in_hand: float) -> float:
    drawn = mean + deviation * np.random.default_rng(0).standard_normal((200_000, len(mean)))
    return float(np.maximum(drawn.max(axis=1), in_hand).mean())


def test_the_expected_greatest_is_that_of_a_simulation() -> None:
    rng = np.random.default_rng(0)
    mean, in_hand = rng.uniform(0, 1, (5, 4)), np.array([-np.inf, 0.2, 0.5, 0.9, 0.1])
    deviation, sets = np.array([0.2, 0.05, 0.0, 0.4]), _list_sets(4, 3)
    assert len(sets) == 4 + 6 + 4
    greatest = _expect_greatest(mean, deviation, in_hand, sets)
    for row, column in np.ndindex(*greatest.shape):
        models = list(sets[column])
        simulated = simulate_greatest(mean[row, models], deviation[models], in_hand[row])
        assert greatest[row, column] == pytest.approx(simulated, abs=3e-3)


@pytest.mark.parametrize("trade_off", [0.0, 20.0, 300.0])
@pytest.mark.parametrize("auc", [0.8, 1.0])
def test_query_by_query(
    learning: LearningData, recorded: Recorded, auc: float, trade_off: float
) -> None:
    router = CascadeRouting.learn_with(learning, SimulatedJudge(0, auc))
    run, before = router.call(recorded, trade_off), router.predict(recorded.prompts)
    score = simulate_score(recorded, router.models, np.arange(5), seed=router.seed, auc=auc)
    columns, num_calls = router.columns, []
    for i in range(40):
        expected, price = before.effect[i, columns], trade_off * before.cost_usd[i, columns]
        effect, seen = recorded.effect[i, columns], dict[int, float]()
        while len(seen) < MOST_CALLS:
            in_hand = max(seen.values(), default=-np.inf)
            sets = _list_sets(5, MOST_CALLS - len(seen))
            greatest = _expect_greatest(expected[None], router.doubt, np.array([in_hand]), sets)[0]
            worth = {
                chosen: greatest[number] - price[list(chosen)].sum()
                for number, chosen in enumerate(sets)
                if np.isfinite(effect[list(chosen)]).all() and not set(chosen) & set(seen)
            }
            best = max(worth, key=lambda chosen: worth[chosen], default=())
            if not best or worth[best] <= in_hand:
                break
            called = min(best, key=lambda place: price[place])
            evidence = (score[i, columns[called]] - 0.5) / find_noise(0.8) ** 2
            weighed = float(expit(logit(expected[called]) + evidence))
            seen[called] = weighed if auc < 1 else float(effect[called])
        paid = sum(recorded.cost_usd[i, columns[place]] for place in seen)
        assert run.cost_usd[i] == pytest.approx(paid)
        assert run.effect[i] == effect[max(seen, key=lambda place: seen[place])]
        num_calls.append(len(seen))
        assert run.num_calls[i] == len(seen)
    assert max(num_calls) > 1


def test_with_a_coin_it_is_one_call_of_the_best_expectation(
    learning: LearningData, recorded: Recorded
) -> None:
    router = CascadeRouting.learn_with(learning, SimulatedJudge(0, 0.5))
    np.testing.assert_allclose(router.doubt, 0, atol=1e-12)
    run, before = router.call(recorded, 30.0), router.predict(recorded.prompts)
    worth = np.where(np.isfinite(recorded.effect), before.effect - 30.0 * before.cost_usd, -np.inf)
    model = worth.argmax(axis=1)
    rows = np.arange(len(model))
    np.testing.assert_array_equal(run.cost_usd, recorded.cost_usd[rows, model])
    np.testing.assert_array_equal(run.effect, recorded.effect[rows, model])


def test_a_surer_judge_brings_more(learning: LearningData, recorded: Recorded) -> None:
    runs = [
        CascadeRouting.learn_with(learning, SimulatedJudge(0, auc)).call(recorded, 0.0)
        for auc in (0.6, 0.8, 1)
    ]
    effects = [run.effect.mean() for run in runs]
    assert effects[0] < effects[1] < effects[2]


def test_it_predicts_what_it_expects_before_a_call(learning: LearningData) -> None:
    router = CascadeRouting.learn(learning)
    predicted = router.predict(Queries.of(["What is 2 + 2?", ""]))
    assert ((predicted.effect > 0) & (predicted.effect < 1)).all()
    assert np.isfinite(predicted.cost_usd).all()
