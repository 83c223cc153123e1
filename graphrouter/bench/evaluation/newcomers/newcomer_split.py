"""One split with models, or a task, held out: what is fitted on, shown later, evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.grid import PreparedSplit, prepare_split
from graphrouter.bench.evaluation.newcomers.newcomer_cells import HoldOut, NewcomerCell
from graphrouter.bench.evaluation.newcomers.shots import shuffle, take_first_of_each
from graphrouter.data import RoutingDataset, Split
from graphrouter.data.columns import OUTCOME_NUMBERS
from graphrouter.data.splits import hold_out_models
from graphrouter.exceptions import DataError
from graphrouter.pool import ModelCard
from graphrouter.router.training_view import TrainingView
from graphrouter.types import BoolArray

_SHOWN = ["query_id", "model", *OUTCOME_NUMBERS]


@dataclass(frozen=True, eq=False)
class NewcomerSplit:
    """What all routers of one split share. No router is shown an outcome of a test query."""

    whole: TrainingView
    """Everything, with the training rows of who is held out: what a retrained router gets."""
    view: TrainingView
    """Without the held-out models, or the training rows of the held-out task: what the others are
    fitted on."""
    models: tuple[str, ...]
    """Held-out models, in the order of the dataset; empty where a task is held out."""
    task: str | None
    """The held-out task."""
    evaluation_set: EvaluationSet
    """The test queries, those of the held-out task alone where there is one; all models."""
    newcomers: pd.DataFrame
    """Training outcomes of who is held out with `prompt` and `task`, in the order in which they are
    shown."""

    @property
    def cards(self) -> list[ModelCard]:
        """Cards of the held-out models."""
        return [self.data.pool[model] for model in self.models]

    @property
    def is_scored(self) -> BoolArray:
        """(num_models,) whose outcomes count for the log loss: the newcomers.

        All models where a task is held out.
        """
        return np.array(
            [not self.models or model in self.models for model in self.evaluation_set.models]
        )

    @property
    def data(self) -> RoutingDataset:
        """Everything."""
        return self.whole.data

    def shown(self, shot: int | None) -> pd.DataFrame | None:
        """The first outcomes of each held-out model, or those of the first queries of the task.

        None for none at all.
        """
        return take_first_of_each(
            self.newcomers, shot, by="task" if self.task is not None else "model"
        )


def pick_tasks(data: RoutingDataset, split: Split, *, seed: int, most: int) -> list[str]:
    """At most `most` tasks to hold out in turn, drawn by the seed.

    Each has outcomes on both sides, and leaves another task to learn from.

    Raises:
        DataError: There is no such task.
    """
    task_of = data.queries.set_index("query_id")["task"]
    answered = set(data.outcomes["query_id"])
    sides = [
        set(task_of.loc[[i for i in ids if i in answered]].dropna())
        for ids in (split.train, split.test, split.validation)
    ]
    fit = sides[0] & sides[1] if len(sides[0]) > 1 else set()
    # Something must be left to validate on.
    eligible = [task for task in fit if sides[2] - {task}]
    if not eligible:
        raise DataError(
            f"{data.name!r} has no task to hold out: expected two with training, validation and "
            "test queries."
        )
    return shuffle(eligible, seed=seed, whose="task")[:most]


def prepare_newcomers(cell: NewcomerCell) -> NewcomerSplit:
    """The split of the cell's dataset, seed and task.

    The last one is kept, since cells come sorted by it.
    """
    return _prepare(prepare_split(cell), cell.seed, cell.hold_out, cell.share, cell.task)


@lru_cache(maxsize=1)
def _prepare(
    whole: PreparedSplit, seed: int, hold_out: HoldOut, share: float, task: str | None
) -> NewcomerSplit:
    dataset, full = whole.data, whole.split
    models = hold_out_models(dataset, share, seed=seed) if hold_out == "models" else ()
    # The ruler is the same for everybody: its prices and its best single model are those of all
    # training outcomes.
    known, split, evaluation_set = dataset, full, whole.evaluation_set
    if models:
        known = dataset.select_models([name for name in dataset.pool.names if name not in models])
    if task is not None:
        theirs = set(dataset.queries.loc[dataset.queries["task"] == task, "query_id"])
        train, validation = (
            tuple(i for i in ids if i not in theirs) for ids in (full.train, full.validation)
        )
        split = replace(full, train=train, validation=validation)
        evaluation_set = whole.build_evaluation_set([i for i in full.test if i in theirs])
    newcomers = _newcomer_outcomes(dataset, full, models, task, seed=seed)
    view = TrainingView.of(known, whole.view.config, split=split, encoder=whole.view.encoder)
    return NewcomerSplit(whole.view, view, models, task, evaluation_set, newcomers)


def _newcomer_outcomes(
    data: RoutingDataset, split: Split, models: tuple[str, ...], task: str | None, *, seed: int
) -> pd.DataFrame:
    """Training outcomes of the held-out models, or on the held-out task.

    There is one random order of the queries for each of them.
    """
    queries = data.queries.loc[
        data.queries["query_id"].isin(split.train), ["query_id", "task", "prompt"]
    ]
    if task is not None:
        queries = queries[queries["task"] == task]
    outcomes = data.outcomes[_SHOWN].merge(queries, on="query_id")
    if task is not None:
        return _in_order(outcomes, seed=seed, whose=task)
    parts = [
        _in_order(outcomes[outcomes["model"] == model], seed=seed, whose=model) for model in models
    ]
    return pd.concat(parts, ignore_index=True) if parts else outcomes.head(0)


def _in_order(outcomes: pd.DataFrame, *, seed: int, whose: str) -> pd.DataFrame:
    rank = {
        query: i
        for i, query in enumerate(shuffle(list(set(outcomes["query_id"])), seed=seed, whose=whose))
    }
    return outcomes.sort_values(
        "query_id", key=lambda ids: ids.map(rank), kind="stable"
    ).reset_index(drop=True)
