"""The reference routers that look at the task alone: best single, task mean and Rasch.

All three end in one table, a row for each task and a last one for "task unknown"; only the fitting differs.
The neighbours-based reference is in `neighbours`, the upper bound in `oracle`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.routers.base import Router, check_prompts
from graphrouter.routers.observations import QUANTITIES, Observations
from graphrouter.routers.rasch import fit_rasch
from graphrouter.routers.shrinkage import model_means, task_means, task_totals
from graphrouter.types import IntArray, Predictions

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset


@dataclass(frozen=True, eq=False)
class TaskTableRouter(Router):
    """Predicts from a table with one row a task; the prompt itself is not read."""

    pool: ModelPool
    cost_scale: CostScale
    tasks: tuple[str, ...]
    """Tasks seen in training, in row order."""
    table: Predictions
    """num_tasks + 1 rows; the last one serves queries whose task is unknown or was never seen."""

    def predict(self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None) -> Predictions:
        """Expected effect, cost, tokens and latency of every model: the row of each prompt's task."""
        known = check_prompts(prompts, tasks)
        rows = np.array([self._row_of.get(task, len(self.tasks)) for task in known], dtype=np.int64)
        return Predictions(self.pool.names, *(getattr(self.table, name)[rows] for name in QUANTITIES))

    @cached_property
    def _row_of(self) -> dict[str | None, int]:
        return {task: row for row, task in enumerate(self.tasks)}


class BestSingle(TaskTableRouter):
    """Ranks the models by their mean effect on the training queries, the same for every query.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = BestSingle.fit(data, tuple(data.queries["query_id"]))
        >>> router.best_model in router.models
        True
    """

    @classmethod
    def fit(cls, data: RoutingDataset, query_ids: Sequence[str], *, held_out_models: Collection[str] = ()) -> Self:
        """The router that the given training queries make; held-out models get the pool's mean effect and no cost."""
        seen = Observations.of(data, query_ids, held_out_models=held_out_models)
        return cls(seen.pool, CostScale.fit(seen.outcomes.cost_usd), tasks=(), table=model_means(seen.outcomes))

    @property
    def best_model(self) -> str:
        """The model with the best mean effect in training."""
        return self.models[int(np.argmax(self.table.effect[-1]))]


class TaskMean(TaskTableRouter):
    """Mean effect and cost of each (task, model), shrunk to the model's mean: the best model of each task."""

    @classmethod
    def fit(cls, data: RoutingDataset, query_ids: Sequence[str], *, held_out_models: Collection[str] = ()) -> Self:
        """The router that the given training queries make; held-out models get the pool's mean effect and no cost."""
        seen = Observations.of(data, query_ids, held_out_models=held_out_models)
        tasks, task_index = number_tasks(seen.tasks)
        table = task_means(seen.outcomes, task_index, num_tasks=len(tasks))
        return cls(seen.pool, CostScale.fit(seen.outcomes.cost_usd), tasks=tasks, table=table)


class RaschRouter(TaskTableRouter):
    """Ability of the model plus easiness of the task (`fit_rasch`); cost, tokens and latency are task means.

    A query of unknown task gets the mean probability over the tasks, weighted by their share of the training queries.
    """

    @classmethod
    def fit(cls, data: RoutingDataset, query_ids: Sequence[str], *, held_out_models: Collection[str] = ()) -> Self:
        """The router that the given training queries make; held-out models get an average ability and no cost."""
        seen = Observations.of(data, query_ids, held_out_models=held_out_models)
        tasks, task_index = number_tasks(seen.tasks)
        means = task_means(seen.outcomes, task_index, num_tasks=len(tasks))
        # Queries without a task are one more group: they still tell how able the models are.
        group = np.where(task_index < 0, len(tasks), task_index)
        total, count = task_totals(seen.outcomes.effect, group, num_tasks=len(tasks) + 1)
        probability = fit_rasch(total, count).probability
        share = np.bincount(group, minlength=len(tasks) + 1) / len(group)
        effect = np.vstack([probability[:-1], share @ probability])
        others = (getattr(means, name) for name in QUANTITIES[1:])
        return cls(
            seen.pool, CostScale.fit(seen.outcomes.cost_usd), tasks=tasks, table=Predictions(seen.pool.names, effect, *others)
        )


def number_tasks(tasks: Sequence[str | None]) -> tuple[tuple[str, ...], IntArray]:
    """The task names, sorted, and the number of each query's task, (num_queries,) with -1 = unknown."""
    names = tuple(sorted({task for task in tasks if task is not None}))
    index: dict[str | None, int] = {task: i for i, task in enumerate(names)}
    return names, np.array([index.get(task, -1) for task in tasks], dtype=np.int64)
