"""The baselines that look at the task alone: best single, task mean and Rasch.

All three end in one table, a row for each task and a last one for "task unknown"; only the fitting
differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import Baseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.tools.levels import add_model_columns, place_amounts_in_cells
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import (
    apply_offset,
    fit_offsets,
    place_in_cells,
    shrink_to_pool,
)
from graphrouter.bench.baselines.tools.rasch_fit import fit_rasch
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.bench.baselines.tools.shrinkage import average_by_task, sum_by_task
from graphrouter.types import QUANTITIES, FloatArray, IntArray, Predictions, Queries


@dataclass(frozen=True, eq=False)
class TaskTableRouter(Baseline):
    """Predicts from a table with one row a task; the prompt itself is not read."""

    tasks: tuple[str, ...]
    """Tasks seen in training, in row order."""
    table: MeanTable
    """num_tasks + 1 rows; the last one serves queries whose task is unknown or was never seen."""

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """Tasks seen in training; None when there is one row for all of them."""
        return self.tasks or None

    def _predict(self, queries: Queries) -> Predictions:
        """Expected effect, cost, tokens and latency: the row of each prompt's task."""
        return self.table.look_up(self._rows(queries))

    @cached_property
    def _row_of(self) -> dict[str | None, int]:
        return {task: row for row, task in enumerate(self.tasks)}

    def _rows(self, queries: Queries) -> IntArray:
        """Row of the table of each query, (num_queries,)."""
        return np.array(
            [self._row_of.get(task, len(self.tasks)) for task in queries.tasks], dtype=np.int64
        )

    def _with_columns(self, new: NewModels, effect: FloatArray) -> Self:
        """This router with columns for new models: effects (num_rows, num_new) and amounts."""
        amounts = place_amounts_in_cells(self.table, self._rows(new.queries), new)
        return replace(
            self, pool=new.pool, table=add_model_columns(self.table, effect, amounts, new)
        )


class BestSingle(TaskTableRouter):
    """Ranks the models by their mean effect on the training queries, the same for every query.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = BestSingle.fit(data, encoder=HashingEncoder(64))
        >>> router.best_model in router.models
        True
    """

    name: ClassVar[str] = "best_single"
    source: ClassVar[str] = "the constant router of every comparison"
    can_extend: ClassVar[bool] = True

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Models without outcomes get the pool's mean effect and no cost.
        """
        return cls(data.pool, data.cost_scale, tasks=(), table=data.means)

    @property
    def best_model(self) -> str:
        """The model with the best mean effect in training."""
        return self.models[int(np.argmax(self.table.effect[-1]))]

    def _extend(self, new: NewModels) -> Self:
        """Mean effect, shrunk to the mean of the pool's means."""
        return self._with_columns(
            new, shrink_to_pool(new.effect, float(self.table.effect.mean()))[None, :]
        )


class TaskMean(TaskTableRouter):
    """Mean effect and cost of each (task, model): the best model of each task.

    Means are shrunk to the model's mean.
    """

    name: ClassVar[str] = "task_mean"
    source: ClassVar[str] = "LLMRouterBench's per-dataset best, with shrunk means"
    can_extend: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Models without outcomes get the pool's mean effect and no cost.
        """
        tasks, task_index = data.tasks
        return cls(
            data.pool,
            data.cost_scale,
            tasks,
            average_by_task(data.outcomes, task_index, num_tasks=len(tasks)),
        )

    def _extend(self, new: NewModels) -> Self:
        """Task means, shrunk to the pool's moved by the model's offset.

        A flat mean would forget which tasks are hard.
        """
        return self._with_columns(
            new, place_in_cells(self.table.effect.mean(axis=1), self._rows(new.queries), new.effect)
        )


@dataclass(frozen=True, eq=False)
class RaschRouter(TaskTableRouter):
    """Ability of the model plus easiness of the task (`fit_rasch`).

    Cost, tokens and latency are task means.

    A query of unknown task gets the mean probability over the tasks, weighted by their share of the
    training queries.
    """

    name: ClassVar[str] = "rasch"
    source: ClassVar[str] = (
        "Rasch, Probabilistic models for some intelligence and attainment tests (1960)"
    )
    can_extend: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True

    easiness: FloatArray
    """(num_tasks + 1,) log odds of success of a model of average ability; the last one is of
    training queries without a task."""
    shares: FloatArray
    """(num_tasks + 1,) share of the training queries."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Models without outcomes get an average ability and no cost.
        """
        tasks, task_index = data.tasks
        means = average_by_task(data.outcomes, task_index, num_tasks=len(tasks))
        # Queries without a task are one more group: they still tell how able the models are.
        group = np.where(task_index < 0, len(tasks), task_index)
        total, count = sum_by_task(data.outcomes.effect, group, num_tasks=len(tasks) + 1)
        fitted = fit_rasch(total, count)
        share = np.bincount(group, minlength=len(tasks) + 1) / len(group)
        probability = fitted.probability
        effect = np.vstack([probability[:-1], share @ probability])
        others = (getattr(means, name) for name in QUANTITIES[1:])
        easiness = fitted.intercept + fitted.easiness
        return cls(
            data.pool,
            data.cost_scale,
            tasks,
            MeanTable(data.pool.names, effect, *others),
            easiness,
            share,
        )

    def _extend(self, new: NewModels) -> Self:
        """The most probable ability under the prior of all abilities; easiness stays as fitted."""
        known = sigmoid(self.easiness)
        ability = fit_offsets(known[self._rows(new.queries)], new.effect)
        probability = apply_offset(known, ability)
        return self._with_columns(new, np.vstack([probability[:-1], self.shares @ probability]))
