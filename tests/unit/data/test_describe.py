from __future__ import annotations

import math

import pandas as pd
import pytest

from graphrouter.bench.simulate import Simulation
from graphrouter.data import RoutingDataset
from graphrouter.data.describe import describe_dataset


def test_counts_by_hand(small: RoutingDataset) -> None:
    summary = describe_dataset(small)
    assert (summary.num_queries, summary.num_models, summary.num_tasks, summary.num_outcomes) == (
        3,
        2,
        1,
        4,
    )
    assert summary.density == pytest.approx(4 / 6)
    assert summary.mean_effect == pytest.approx(0.625)
    assert (
        summary.share_with_cost,
        summary.share_with_output_tokens,
        summary.share_with_latency,
    ) == (0.75, 0.75, 0.0)
    assert (summary.num_priced_models, summary.num_described_models) == (1, 0)
    assert (summary.num_queries_without_task, summary.num_duplicate_prompts) == (1, 0)
    assert (summary.prompt_chars.min, summary.prompt_chars.median, summary.prompt_chars.max) == (
        6,
        6.0,
        10,
    )
    assert summary.split is None


def test_tasks_and_models_by_hand(small: RoutingDataset) -> None:
    sums, unknown = describe_dataset(small).tasks
    assert (sums.task, sums.description, sums.num_queries, sums.num_outcomes) == (
        "sums",
        "Add numbers.",
        2,
        3,
    )
    assert (sums.density, sums.mean_effect, sums.best_model) == (0.75, 0.5, "grand")
    assert (unknown.task, unknown.num_queries, unknown.num_outcomes) == (None, 1, 1)
    nano, grand = describe_dataset(small).models
    assert (nano.model, nano.num_outcomes, nano.mean_effect) == ("nano", 2, 0.25)
    assert nano.mean_cost_usd == pytest.approx((2e-4 + 0.5) / 2)
    assert grand.coverage == pytest.approx(2 / 3)
    assert grand.mean_latency_s is None


def test_gaps_are_counted(small: RoutingDataset) -> None:
    queries = pd.concat(
        [small.queries, pd.DataFrame({"query_id": ["004"], "task": ["sums"], "prompt": ["1 + 1?"]})]
    )
    models = pd.DataFrame({"model": ["nano", "grand", "new"]})
    tasks = pd.DataFrame({"task": ["sums", "unused"]})
    summary = describe_dataset(
        RoutingDataset.from_frames(
            queries=queries, models=models, outcomes=small.outcomes, tasks=tasks
        )
    )
    assert (
        summary.num_queries_without_outcomes,
        summary.num_models_without_outcomes,
        summary.num_duplicate_prompts,
    ) == (1, 1, 1)
    assert summary.num_missing_outcomes == 6 + 6 + 8
    assert (summary.models[2].num_outcomes, summary.models[2].mean_effect) == (0, None)
    assert (summary.tasks[1].task, summary.tasks[1].num_queries, summary.tasks[1].density) == (
        "unused",
        0,
        None,
    )


def test_split_counts(small: RoutingDataset) -> None:
    queries = small.queries.assign(split=["train", "train", "test"])
    data = RoutingDataset.from_frames(queries=queries, models=small.models, outcomes=small.outcomes)
    assert describe_dataset(data).split == {"train": 2, "validation": 0, "test": 1}


def test_the_world_is_described(world: Simulation) -> None:
    summary = describe_dataset(world.data)
    assert summary.density == pytest.approx(0.85)
    assert [task.num_queries for task in summary.tasks] == [240] * 10
    assert sum(model.num_outcomes for model in summary.models) == summary.num_outcomes


def test_runs_that_were_averaged_are_counted(frames: dict[str, pd.DataFrame]) -> None:
    assert describe_dataset(RoutingDataset.from_frames(**frames)).num_runs == 4
    frames["outcomes"] = pd.concat([frames["outcomes"], frames["outcomes"].head(3)])
    summary = describe_dataset(RoutingDataset.from_frames(**frames))
    assert (summary.num_outcomes, summary.num_runs) == (4, 7)


def test_ungraded_calls_are_counted_apart(frames: dict[str, pd.DataFrame]) -> None:
    outcomes = frames["outcomes"]
    frames["outcomes"] = outcomes.assign(effect=[0.0, None, 0.5, None])
    data = RoutingDataset.from_frames(**frames)
    summary = describe_dataset(data)
    assert (summary.num_outcomes, summary.num_graded, summary.mean_effect) == (4, 2, 0.25)
    assert [model.num_graded for model in summary.models] == [2, 0]
    assert summary.models[1].mean_effect is None
    assert summary.models[1].mean_output_tokens == 35
    assert summary.tasks[0].best_model == "nano"
    assert summary.num_missing_outcomes == 6 + 8
    frames["outcomes"] = outcomes.assign(effect=math.nan)
    nothing = describe_dataset(RoutingDataset.from_frames(**frames))
    assert (nothing.num_graded, nothing.mean_effect, nothing.tasks[0].best_model) == (0, None, None)
