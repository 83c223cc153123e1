"""From a dataset to tensors: what is refused, and what must not matter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

import graphrouter as gr
from graphrouter.data import Split
from graphrouter.encoders import HashingEncoder
from graphrouter.exceptions import DataError
from graphrouter.features import outcome_edges, row_files
from graphrouter.features import tables as tables_module
from graphrouter.features.row_files import RowFile
from graphrouter.training.checkpoints import hash_run
from graphrouter.training.episodes import draw_episode
from graphrouter.training.prepare import prepare


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=80, num_models=4, seed=4).data


@pytest.fixture(scope="module")
def split(data: gr.RoutingDataset) -> Split:
    return gr.split_dataset(data, gr.TrainConfig().split)


def test_the_order_of_the_outcome_rows_does_not_matter(
    data: gr.RoutingDataset, split: Split
) -> None:
    encoder = HashingEncoder(32)
    shuffled = dataclasses.replace(
        data, outcomes=data.outcomes.sample(frac=1, random_state=1).reset_index(drop=True)
    )
    first, second = prepare(data, split, encoder), prepare(shuffled, split, encoder)
    assert torch.equal(first.train.query, second.train.query)
    assert torch.equal(first.train.channels.nan_to_num(), second.train.channels.nan_to_num())


def test_tasks_without_training_queries_are_not_seen(data: gr.RoutingDataset) -> None:
    by_task = gr.split_dataset(
        data, gr.load_config(overrides=["split.by=task", "split.test=0.3"]).split
    )
    tables = prepare(data, by_task, HashingEncoder(32))
    held_out = set(data.queries.set_index("query_id").loc[list(by_task.test), "task"])
    assert tables.nodes.task_text.shape[0] == len(_tasks_of(data, by_task.train)) < len(data.tasks)
    assert held_out
    other = data.tasks.assign(
        description=data.tasks["description"].mask(
            data.tasks["task"].isin(held_out), "Something else."
        )
    )
    same = prepare(dataclasses.replace(data, tasks=other), by_task, HashingEncoder(32))
    assert torch.equal(same.nodes.task_text, tables.nodes.task_text)


def _tasks_of(data: gr.RoutingDataset, query_ids: tuple[str, ...]) -> set[str]:
    return set(data.queries.set_index("query_id").loc[list(query_ids), "task"])


@pytest.mark.parametrize("side", ["train", "validation"])
def test_a_side_without_outcomes_is_refused(
    data: gr.RoutingDataset, split: Split, side: str
) -> None:
    gone = data.outcomes["query_id"].isin(getattr(split, side))
    empty = dataclasses.replace(data, outcomes=data.outcomes[~gone].reset_index(drop=True))
    with pytest.raises(DataError, match="training" if side == "train" else "validation"):
        prepare(empty, split, HashingEncoder(32))


BAD_SPLITS: dict[str, tuple[Callable[[Split], Split], str]] = {
    "on two sides": (
        lambda s: dataclasses.replace(s, test=(*s.test, s.train[0])),
        "both in train and in test",
    ),
    "unknown": (
        lambda s: dataclasses.replace(s, test=("nobody",)),
        "names the query 'nobody' in test",
    ),
    "no validation": (lambda s: dataclasses.replace(s, validation=()), "no validation queries"),
    "one to train on": (
        lambda s: dataclasses.replace(s, train=s.train[:1]),
        "has 1 training quer",
    ),
}


@pytest.mark.parametrize("name", BAD_SPLITS)
def test_a_split_that_does_not_divide_the_data_is_refused(
    data: gr.RoutingDataset, split: Split, name: str
) -> None:
    spoil, message = BAD_SPLITS[name]
    with pytest.raises(DataError, match=message):
        gr.GraphRouter.fit(data, split=spoil(split))


def test_a_long_log_is_filed_and_gives_the_same_tables(
    data: gr.RoutingDataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, config = HashingEncoder(32), gr.TrainConfig()
    in_memory = prepare(data, split, encoder)
    monkeypatch.setattr(row_files, "MOST_IN_MEMORY", 16)
    monkeypatch.setattr(tables_module, "_PROMPTS_AT_ONCE", 16)
    monkeypatch.setattr(outcome_edges, "_OUTCOMES_AT_ONCE", 50)
    filed = prepare(data, split, encoder)
    assert isinstance(filed.nodes.query_text, RowFile)
    assert isinstance(filed.nodes.query_principal, RowFile)
    assert hash_run(filed, config) == hash_run(in_memory, config)
    episodes = [
        draw_episode(tables, config, torch.Generator().manual_seed(3))
        for tables in (filed, in_memory)
    ]
    texts, principals = zip(*((e["query"].text, e["query"].x) for e in episodes), strict=True)
    assert torch.equal(*texts)
    assert torch.equal(*principals)
    rows = np.array([1, 5, 6])
    assert np.array_equal(
        filed.raw.take_queries(rows).prompts, in_memory.raw.take_queries(rows).prompts
    )
