"""What a router can do unless it says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.exceptions import DataError, NotApplicableError
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router import BudgetStream
from graphrouter.router.protocol import Router
from graphrouter.types import Predictions, Queries

EFFECT_ALONE = Policy.preset("performance_first")


class Fixed(Router):
    """Expects the same of everybody."""

    pool = ModelPool.of([ModelCard(model="a")])
    cost_scale = CostScale(0.0, 1.0)

    def _predict(self, queries: Queries) -> Predictions:
        return Predictions.from_arrays(self.models, np.full((len(queries), len(self.pool)), 0.5))


class Open(Fixed):
    """Takes in models, and keeps what it was given."""

    given: pd.DataFrame | None = None

    def add_models(
        self, cards: Sequence[ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> Open:
        wider = Open()
        wider.pool, wider.given = ModelPool.of([*self.pool, *cards]), outcomes
        return wider


def test_a_router_that_says_nothing_takes_in_nobody() -> None:
    card, message = (
        ModelCard(model="b"),
        "Fixed cannot take in a model without being fitted again: fit it again",
    )
    with pytest.raises(NotApplicableError, match=message):
        Fixed().add_models([card])
    with pytest.raises(NotApplicableError, match=message):
        Fixed().add_model(card)


def test_one_model_is_added_as_several_are() -> None:
    outcomes = pd.DataFrame({"prompt": ["x"], "effect": [1.0]})
    wider = Open().add_model(ModelCard(model="b"), outcomes=outcomes)
    assert wider.models == ("a", "b")
    assert wider.given is not None
    assert wider.given["model"].tolist() == ["b"]
    assert "model" not in outcomes.columns, "the table given stays as it was"
    assert Open().add_model(ModelCard(model="b")).given is None


def test_outcomes_of_another_model_are_refused() -> None:
    theirs = {"model": ["b", "c"], "prompt": ["x", "y"], "effect": [1.0, 0.0]}
    with pytest.raises(DataError, match=r"outcomes are of 'c' too; expected outcomes of 'b' alone"):
        Open().add_model(ModelCard(model="b"), outcomes=pd.DataFrame(theirs))


class Listening(Fixed):
    """Keeps the queries that it was asked."""

    def __init__(self) -> None:
        self.asked: list[Queries] = []

    def _predict(self, queries: Queries) -> Predictions:
        self.asked.append(queries)
        return super()._predict(queries)


def test_the_queries_of_the_caller_reach_the_method_as_they_are() -> None:
    router, queries = Listening(), Queries.of(["a", "b"], ["t", None])
    router.predict(queries)
    router.route_batch(queries, policy=EFFECT_ALONE)
    assert all(asked is queries for asked in router.asked)
    assert len(router.asked) == 2


def test_prompts_become_queries_once() -> None:
    router = Listening()
    router.predict(["a", "b"], tasks=["t", None])
    router.route_batch(["a"], policy=EFFECT_ALONE)
    router.route("a", task="t", policy=EFFECT_ALONE)
    assert router.asked == [
        Queries(("a", "b"), ("t", None)),
        Queries(("a",), (None,)),
        Queries(("a",), ("t",)),
    ]
    with pytest.raises(DataError, match="single string"):
        router.predict("a")
    with pytest.raises(DataError, match="tasks has 1 entry for 2 prompts"):
        router.route_batch(["a", "b"], tasks=["t"])
    assert len(router.asked) == 3


class Knowing(Fixed):
    """Knows two tasks."""

    @property
    def known_tasks(self) -> tuple[str, ...]:
        return ("coding", "translation")


def test_an_unknown_task_is_warned_of_once_with_the_nearest_that_is_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = Knowing()
    router.predict(["a", "b"], tasks=["codng", "codng"])
    router.route("a", task="codng", policy=EFFECT_ALONE)
    router.route("a", task="coding", policy=EFFECT_ALONE)
    router.route_batch(["a", "b"], tasks=[None, "haiku"], policy=EFFECT_ALONE)
    assert [record.getMessage() for record in caplog.records] == [
        "The router has never seen the task 'codng', which counts as unknown. Did you mean "
        "'coding'?",
        "The router has never seen the task 'haiku', which counts as unknown. Known tasks: coding, "
        "translation.",
    ]


def test_a_server_does_not_fill_its_log_with_unknown_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = Knowing()
    for number in range(150):
        router.route("a", task=f"made up {number}", policy=EFFECT_ALONE)
    assert len(caplog.records) == 100


def test_a_router_that_reads_no_tasks_warns_of_none(caplog: pytest.LogCaptureFixture) -> None:
    Fixed().route("a", task="coding", policy=EFFECT_ALONE)
    assert not caplog.records


class Timed(Fixed):
    """Expects a second of everybody."""

    def _predict(self, queries: Queries) -> Predictions:
        shape = (len(queries), len(self.pool))
        seconds, half = np.ones(shape), np.full(shape, 0.5)
        return Predictions.from_arrays(self.models, half, cost_usd=half, latency_s=seconds)


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": EFFECT_ALONE},
        {},
        {"policy": Policy(usd_per_second=0)},
        {"budget_usd": 1},
        {"policy": Policy(usd_per_effect=1, usd_per_second=1), "budget_usd": 1},
    ],
)
def test_seconds_of_the_moment_that_change_no_choice_are_told_once(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    router = Timed()
    router.route_batch(["x"], **settings)
    router.route_batch(["x"], unavailable=(), extra_latency_s={}, **settings)
    assert "extra_latency_s" not in caplog.text
    for _ in range(3):
        router.route_batch(["x"], extra_latency_s={"a": 100}, **settings)
    [said] = [each for each in caplog.messages if each.startswith("extra_latency_s changes no")]
    assert "max_latency_s, max_ttft_s, budget_s, deadline_s" in said
    assert "usd_per_second" in said


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": Policy(usd_per_effect=1, usd_per_second=0.1)},
        {"policy": Policy(max_latency_s=1000)},
        {"budget_s": 1000},
        {"policy": Policy(max_latency_s=1000), "budget_usd": 1},
    ],
)
def test_seconds_of_the_moment_that_count_are_not_told(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    Timed().route_batch(["x"], extra_latency_s={"a": 100}, **settings)
    assert not caplog.messages


def test_a_stream_tells_what_its_budget_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    stream = BudgetStream(budget_usd=9, num_prompts=9, policy=Policy(cost_weight=0.3))
    for _ in range(2):
        stream.route(Timed(), "x", extra_latency_s={"a": 100})
    first, second = caplog.messages
    assert first.startswith("effect_weight and cost_weight of the policy do not count")
    assert second.startswith("extra_latency_s changes no choice")
    caplog.clear()
    quick = BudgetStream(budget_usd=9, num_prompts=9, policy=Policy(max_latency_s=1000))
    quick.route(Timed(), "x", extra_latency_s={"a": 100})
    assert not caplog.messages
