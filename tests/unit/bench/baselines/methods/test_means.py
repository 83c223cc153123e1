"""Best single, task mean and Rasch against means and odds computed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.means import (
    BestSingle,
    RaschRouter,
    TaskMean,
    TaskTableRouter,
)
from graphrouter.bench.baselines.tools.rasch_fit import fit_rasch
from graphrouter.bench.observations import Observations
from graphrouter.data import RoutingDataset, load_dataset
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import DataError
from graphrouter.policy import Policy

ROUTERS = (BestSingle, TaskMean, RaschRouter)
Row = tuple[str, str, float, float]


def learning(
    data: RoutingDataset, ids: Sequence[str], held_out: Sequence[str] = ()
) -> LearningData:
    return LearningData.of(data, ids, encoder=HashingEncoder(64), held_out_models=held_out)


def dataset(
    rows: Sequence[Row], tasks: dict[str, str | None], models: Sequence[str]
) -> RoutingDataset:
    """Outcomes (query, model, effect, cost) on queries whose prompts are their ids."""
    return RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": list(tasks),
                "task": list(tasks.values()),
                "prompt": [f"prompt {q}" for q in tasks],
            }
        ),
        models=pd.DataFrame({"model": list(models)}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )


@pytest.fixture
def small() -> RoutingDataset:
    """Two tasks and one query without; `new` was never run."""
    rows: list[Row] = [
        ("q1", "a", 1.0, 0.02),
        ("q1", "b", 0.0, 0.01),
        ("q2", "a", 1.0, 0.04),
        ("q3", "a", 0.0, 0.06),
        ("q3", "b", 1.0, float("nan")),
        ("q4", "a", 1.0, 0.08),
    ]
    return dataset(rows, {"q1": "sums", "q2": "sums", "q3": "words", "q4": None}, ["a", "b", "new"])


ALL = ("q1", "q2", "q3", "q4")


def test_best_single_shrinks_towards_the_pool(small: RoutingDataset) -> None:
    router = BestSingle.learn(learning(small, ALL))
    predictions = router.predict(["anything", ""], tasks=["sums", None])
    pool_mean = (4 + 0.5) / (6 + 1)
    expected = [(3 + 5 * pool_mean) / 9, (1 + 5 * pool_mean) / 7, pool_mean]
    np.testing.assert_allclose(predictions.effect, [expected, expected])
    np.testing.assert_allclose(predictions.cost_usd[0], [0.05, 0.01, np.nan])
    assert router.best_model == "a"
    assert np.isnan(predictions.latency_s).all()


def test_task_mean_shrinks_towards_the_model(small: RoutingDataset) -> None:
    router = TaskMean.learn(learning(small, ALL))
    means = BestSingle.learn(learning(small, ALL)).predict([""])
    predictions = router.predict(["", "", "", ""], tasks=["sums", "words", None, "never seen"])
    a, b, new = means.effect[0]
    np.testing.assert_allclose(predictions.effect[0], [(2 + 5 * a) / 7, (0 + 5 * b) / 6, new])
    np.testing.assert_allclose(predictions.effect[1], [(0 + 5 * a) / 6, (1 + 5 * b) / 6, new])
    np.testing.assert_array_equal(predictions.effect[2:], np.repeat(means.effect, 2, axis=0))
    np.testing.assert_allclose(
        predictions.cost_usd[0], [(0.06 + 5 * 0.05) / 7, (0.01 + 5 * 0.01) / 6, np.nan]
    )
    np.testing.assert_allclose(
        predictions.cost_usd[1, 1], 0.01
    )  # b's cost on words was not observed


def test_only_the_given_queries_are_used(small: RoutingDataset) -> None:
    router = TaskMean.learn(learning(small, ("q1", "q2")))
    pool_mean = (2 + 0.5) / (3 + 1)
    assert router.predict([""]).effect[0, 0] == pytest.approx((2 + 5 * pool_mean) / 7)
    assert router.tasks == ("sums",)


def test_held_out_models_are_unseen(small: RoutingDataset) -> None:
    for router_class in ROUTERS:
        router = router_class.learn(learning(small, ALL, ("a",)))
        without = dataset(
            [("q1", "b", 0.0, 0.01), ("q3", "b", 1.0, np.nan)],
            dict(zip(ALL, ["sums", "sums", "words", None], strict=True)),
            ["a", "b", "new"],
        )
        blind = router_class.learn(learning(without, ALL))
        np.testing.assert_array_equal(
            router.predict([""], tasks=["sums"]).effect, blind.predict([""], tasks=["sums"]).effect
        )
        assert np.isnan(router.predict([""]).cost_usd[0, 0])


@pytest.mark.parametrize("router_class", ROUTERS)
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_probabilities_stay_inside_when_all_outcomes_agree(
    router_class: type[TaskTableRouter], effect: float
) -> None:
    rows: list[Row] = [(f"q{i}", "a", effect, 0.01) for i in range(50)]
    data = dataset(rows, {f"q{i}": "sums" for i in range(50)}, ["a", "b"])
    router = router_class.learn(learning(data, [f"q{i}" for i in range(50)]))
    predicted = router.predict(["", ""], tasks=["sums", None]).effect
    assert ((predicted > 0) & (predicted < 1)).all()
    assert (np.abs(predicted - effect) < 0.5).all()


@pytest.mark.parametrize("router_class", ROUTERS)
def test_alone_in_a_batch_and_in_any_order(
    router_class: type[TaskTableRouter], small: RoutingDataset
) -> None:
    router = router_class.learn(learning(small, ALL))
    tasks = ["sums", None, "words"]
    batch = router.predict(["x", "y", "z"], tasks=tasks)
    for i, task in enumerate(tasks):
        np.testing.assert_array_equal(
            router.predict(["w"], tasks=[task]).effect[0], batch.effect[i]
        )
    assert router.predict([]).effect.shape == (0, 3)


def test_routes_and_refuses_a_bare_string(small: RoutingDataset) -> None:
    router = TaskMean.learn(learning(small, ALL))
    assert router.route("x", task="words", policy=Policy.preset("performance_first")).model == "b"
    assert router.route("x", task="sums", policy=Policy.preset("performance_first")).model == "a"
    with pytest.raises(DataError, match="single string"):
        router.predict("x")


def test_observations_refuse_unknown_and_no_queries(small: RoutingDataset) -> None:
    with pytest.raises(DataError, match="nope"):
        Observations.of(small, ["q1", "nope"])
    with pytest.raises(DataError, match="at least one"):
        Observations.of(small, [])


def test_observations_keep_the_order_and_the_gaps(small: RoutingDataset) -> None:
    seen = Observations.of(small, ["q4", "q1"])
    assert seen.tasks == (None, "sums")
    assert seen.prompts == ("prompt q4", "prompt q1")
    np.testing.assert_array_equal(seen.outcomes.effect, [[1.0, np.nan, np.nan], [1.0, 0.0, np.nan]])


def test_rasch_recovers_abilities_and_easinesses() -> None:
    rng = np.random.default_rng(0)
    ability, easiness = rng.normal(0, 1, 6), rng.normal(0, 1.5, 8)
    truth = 1 / (1 + np.exp(-(easiness[:, None] + ability[None, :])))
    count = np.full((8, 6), 20_000.0)
    np.testing.assert_allclose(fit_rasch(truth * count, count).probability, truth, atol=2e-3)


def test_rasch_is_at_the_maximum_of_its_posterior() -> None:
    """At the solution each ability's residual equals its prior's pull: ability / sd squared."""
    total, count = (
        np.array([[3.0, 0.0], [5.0, 1.0]]),
        np.array([[4.0, 2.0], [5.0, 0.0]]) + np.array([[0, 0], [0, 3]]),
    )
    fit = fit_rasch(total, count)
    residual = total - count * fit.probability
    np.testing.assert_allclose(residual.sum(axis=0), fit.ability, atol=1e-8)
    np.testing.assert_allclose(residual.sum(axis=1), fit.easiness / 1.5**2, atol=1e-8)


def test_rasch_fills_a_gap_that_task_means_cannot() -> None:
    """`strong` was never run on hard tasks, `weak` on both: strong is expected to do better on the
    hard one."""
    rows: list[Row] = []
    for i in range(40):
        rows += [
            (f"e{i}", "weak", float(i % 2), 0.01),
            (f"e{i}", "strong", float(i % 8 > 0), 0.1),
            (f"h{i}", "weak", float(i % 10 == 0), 0.01),
        ]
    tasks: dict[str, str | None] = {f"e{i}": "easy" for i in range(40)} | {
        f"h{i}": "hard" for i in range(40)
    }
    router = RaschRouter.learn(learning(dataset(rows, tasks, ["weak", "strong"]), list(tasks)))
    weak, strong = router.predict([""], tasks=["hard"]).effect[0]
    assert weak < strong < router.predict([""], tasks=["easy"]).effect[0, 1]


def test_rasch_without_a_task_averages_over_the_tasks(small: RoutingDataset) -> None:
    router = RaschRouter.learn(learning(small, ("q1", "q2", "q3")))
    sums, words = router.predict(["", ""], tasks=["sums", "words"]).effect
    np.testing.assert_allclose(router.predict([""]).effect[0], (2 * sums + words) / 3)
    assert not np.allclose(sums, words)


def test_best_single_on_real_data(shared_data: Callable[[str], Path]) -> None:
    data = load_dataset(shared_data("bfcl_v1"))
    ids = tuple(data.queries["query_id"])
    means = np.nanmean(data.outcome_matrix("effect"), axis=0)
    assert (
        BestSingle.learn(learning(data, ids)).best_model == data.pool.names[int(np.argmax(means))]
    )
