"""What is held out stays out: of the fit, of the validation, and test outcomes of whatever
newcomers are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import LearningData
from graphrouter.bench.evaluation.newcomers.newcomer_cells import HoldOut, NewcomerCell
from graphrouter.bench.evaluation.newcomers.newcomer_split import (
    NewcomerSplit,
    pick_tasks,
    prepare_newcomers,
)
from graphrouter.config import TrainConfig
from graphrouter.data import split_dataset
from graphrouter.exceptions import DataError


def bench_of(
    world: Path, quick: TrainConfig, tmp_path: Path, *, task: str | None = None, seed: int = 0
) -> NewcomerSplit:
    hold_out: HoldOut = "models" if task is None else "tasks"
    cell = NewcomerCell.of(
        str(world),
        name="world",
        fingerprint="f" * 8,
        router="graphrouter",
        seed=seed,
        config=quick,
        hold_out=hold_out,
        share=0.3,
        task=task,
        shots=(0, 5, None),
        folder=tmp_path,
    )
    return prepare_newcomers(cell)


def test_held_out_models_are_in_nothing_that_is_fitted(
    world: Path, quick: TrainConfig, tmp_path: Path
) -> None:
    prepared = bench_of(world, quick, tmp_path)
    assert 1 <= len(prepared.models) <= 2
    assert not set(prepared.view.data.outcomes["model"]) & set(prepared.models)
    assert not set(prepared.view.derive(LearningData.of_view).pool.names) & set(prepared.models)
    assert (
        prepared.evaluation_set.models == prepared.data.pool.names
    )  # everybody is evaluated among all models
    assert [
        name
        for name, scored in zip(prepared.evaluation_set.models, prepared.is_scored, strict=True)
        if scored
    ] == list(prepared.models)


def test_newcomers_are_shown_training_outcomes_alone_and_more_contain_fewer(
    world: Path, quick: TrainConfig, tmp_path: Path
) -> None:
    prepared = bench_of(world, quick, tmp_path)
    everything = prepared.shown(None)
    assert everything is not None
    assert set(everything["model"]) == set(prepared.models)
    assert set(everything["query_id"]) <= set(prepared.whole.split.train)
    assert prepared.shown(0) is None
    for model in prepared.models:
        order = everything.loc[everything["model"] == model, "query_id"].tolist()
        for shot in (1, 5, 20):
            shown = prepared.shown(shot)
            assert shown is not None
            assert shown.loc[shown["model"] == model, "query_id"].tolist() == order[:shot]
        recorded = prepared.data.outcomes.query("model == @model")["query_id"]
        assert len(order) == int(recorded.isin(prepared.whole.split.train).sum())


def test_a_held_out_task_is_in_nothing_that_is_fitted(
    world: Path, quick: TrainConfig, tmp_path: Path
) -> None:
    data = gr.load_dataset(world)
    split = split_dataset(data, quick.split)
    task = pick_tasks(data, split, seed=0, most=1)[0]
    prepared = bench_of(world, quick, tmp_path, task=task)
    theirs = set(data.queries.query("task == @task")["query_id"])
    assert not theirs & {*prepared.view.split.train, *prepared.view.split.validation}
    assert set(prepared.evaluation_set.query_ids) == theirs & set(split.test)
    assert prepared.is_scored.all()
    shown = prepared.shown(3)
    assert shown is not None
    assert shown["query_id"].nunique() == 3
    assert set(shown["query_id"]) <= theirs & set(split.train)
    # With the outcomes of all models.
    assert len(shown) == int(data.outcomes["query_id"].isin(shown["query_id"]).sum())


def test_tasks_are_drawn_by_the_seed(world: Path, quick: TrainConfig) -> None:
    data = gr.load_dataset(world)
    split = split_dataset(data, quick.split)
    assert pick_tasks(data, split, seed=0, most=3) == pick_tasks(data, split, seed=0, most=99)[:3]
    assert pick_tasks(data, split, seed=0, most=99) != pick_tasks(data, split, seed=1, most=99)
    alone = data.select_queries(data.queries.query("task == task.iloc[0]")["query_id"].tolist())
    with pytest.raises(DataError, match="has no task to hold out"):
        pick_tasks(alone, split_dataset(alone, quick.split), seed=0, most=3)


def test_seeds_hold_out_others(world: Path, quick: TrainConfig, tmp_path: Path) -> None:
    held = {bench_of(world, quick, tmp_path, seed=seed).models for seed in range(4)}
    assert len(held) > 1
    assert all(np.isin(models, gr.load_dataset(world).pool.names).all() for models in held)
