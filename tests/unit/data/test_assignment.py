"""Whether a prompt decides who is asked, on logs in which it does and in which it does not."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from graphrouter.bench.simulate.simulation import simulate
from graphrouter.data import RoutingDataset
from graphrouter.data.assignment import Assignment, measure_assignment, warn_of_assignment
from tests.unit.bench.simulate.chosen_logs import Tasks, make_chosen_logs


@pytest.mark.parametrize("tasks", ["one", "kind", "none"])
def test_a_choice_by_difficulty_is_found_and_measured(tasks: Tasks) -> None:
    # Asked for 90 % of the one kind and 10 % of the other: (0.8)^2 of the variance is told.
    found = measure_assignment(make_chosen_logs(0, tasks=tasks)[0])
    assert found.depends_on_prompt
    assert found.share_explained == pytest.approx(0.64, abs=0.1)
    assert found.share_answered_once == 1.0
    some = measure_assignment(make_chosen_logs(0, tasks=tasks, share_both=0.3)[0])
    assert some.depends_on_prompt
    assert some.share_answered_once == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("seed", range(8))
def test_a_choice_at_random_is_none(seed: int) -> None:
    found = measure_assignment(make_chosen_logs(seed, share_strong=0.5)[0])
    assert not found.depends_on_prompt
    assert found.describe() == ""
    world = simulate(num_queries=200, num_models=4, seed=seed, missing=0.6).data
    assert not measure_assignment(world).depends_on_prompt


def test_where_everybody_was_asked_everything_there_is_no_choice() -> None:
    found = measure_assignment(simulate(num_queries=60, num_models=3, missing=0.0).data)
    assert found == Assignment(0.0, None, False)


def test_a_task_that_a_model_was_never_run_on_counts() -> None:
    data = simulate(num_queries=300, num_models=4, missing=0.0).data
    outcomes = data.outcomes.merge(data.queries[["query_id", "task"]], on="query_id")
    first = data.tasks["task"].iloc[0]
    dropped = (outcomes["task"] == first) & (outcomes["model"] == data.models["model"].iloc[0])
    thin = RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes[~dropped], tasks=data.tasks
    )
    share = measure_assignment(thin).share_explained
    assert share is not None
    assert share > 0.7


def test_it_is_said_once_with_the_figures(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_assignment(make_chosen_logs(0)[0])
        warn_of_assignment(make_chosen_logs(0, share_strong=0.5)[0])
    [said] = [record.getMessage() for record in caplog.records]
    assert "depends on the prompt" in said
    assert "100% of the queries have the outcome of one model" in said


def test_odd_data_are_measured() -> None:
    rows = [(str(i), "sums", f"{i} + 1?") for i in range(25)]
    queries = pd.DataFrame(rows, columns=["query_id", "task", "prompt"])
    outcomes = pd.DataFrame({"query_id": queries["query_id"], "model": "a", "effect": 1.0})
    data = RoutingDataset.from_frames(
        queries=queries, models=pd.DataFrame({"model": ["a", "b"]}), outcomes=outcomes
    )
    assert measure_assignment(data) == Assignment(1.0, None, False)
