"""What tells models apart on a single query: how each departs from its level and from all others.

An outcome is written as level + ease + deviation. The level belongs to the model in the task, the
ease is the mean of what is left over the models that answered the query, and the deviation is the
rest. Levels are known without looking at a prompt, and the ease is the same for every choice: only
the deviation is what a router has to find in the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphrouter.bench.baselines.tools.shrinkage import sum_by_task
from graphrouter.training.effect_scores import divide
from graphrouter.types import BoolArray, FloatArray

_ROUNDS = 20
_SETTLED = 1e-12
"""Levels that move less than this in a round have settled."""
_LEVEL_MASS = 5.0
"""Outcomes of a task that weigh as much as the model's level over all tasks."""
_ROUNDING = 1e-9
"""Smaller deviations are what rounding left of none."""


@dataclass(frozen=True)
class Levels:
    """What each model reaches in each task, fitted on other rows than those that are judged.

    Example:
        >>> effect = np.array([[1.0, 0.0], [1.0, 1.0], [np.nan, 0.0]])
        >>> levels = Levels.fit(effect, ["sums", "sums", "sums"])
        >>> levels.of(["sums", None]).shape
        (2, 2)
    """

    overall: FloatArray
    """(num_models,) over all tasks, as if everyone had answered the same queries."""
    by_task: dict[str | None, FloatArray]
    """(num_models,) each; shrunk towards `overall`, shifted to the ease of the task."""

    @classmethod
    def fit(cls, effect: FloatArray, tasks: Sequence[str | None]) -> Levels:
        """The levels of the given rows, at least one of which has an outcome.

        A model without any outcome gets the mean outcome of all models, a task without any the
        levels over all tasks.

        Args:
            effect: (num_queries, num_models), in [0, 1], NaN = not observed.
            tasks: Task of each query, None = unknown.
        """
        overall = np.nan_to_num(_mean(effect, axis=0), nan=float(np.nanmean(effect)))
        for _ in range(_ROUNDS):
            ease = _mean(effect - overall, axis=1)
            ease -= np.nanmean(ease)
            fitted = _mean(effect - ease[:, None], axis=0)
            before, overall = overall, np.where(np.isfinite(fitted), fitted, overall)
            if np.abs(overall - before).max() < _SETTLED:
                break
        ease = _mean(effect - overall, axis=1)
        numbers = {task: number for number, task in enumerate(dict.fromkeys(tasks))}
        index = np.array([numbers[task] for task in tasks], dtype=np.int64)
        own, count = sum_by_task(effect - ease[:, None], index, num_tasks=len(numbers))
        shift, answered = sum_by_task(ease[:, None], index, num_tasks=len(numbers))
        pulled = (own + _LEVEL_MASS * overall) / (count + _LEVEL_MASS)
        levels = pulled + shift / np.maximum(answered, 1)
        return cls(overall, dict(zip(numbers, levels, strict=True)))

    def of(self, tasks: Sequence[str | None]) -> FloatArray:
        """The level of every model on queries of the given tasks, (num_queries, num_models)."""
        return np.array([self.by_task.get(task, self.overall) for task in tasks])


def centred(rest: FloatArray) -> FloatArray:
    """What is left when the mean over the known models of each query is taken off.

    Same shape, NaN where the rest has it.
    """
    return np.asarray(rest - _mean(rest, axis=1)[:, None])


def sum_deviations(rest: FloatArray, predicted: FloatArray) -> FloatArray:
    """Squares that a prediction misses, and all squares, of each query: (num_queries, 2).

    A query with fewer than two known pairs adds 0 to both.

    Args:
        rest: (num_queries, num_models) outcome minus level, NaN = not observed.
        predicted: The same of the prediction, NaN = not predicted; what it says of the query as a
            whole does not count.
    """
    known = np.isfinite(rest) & np.isfinite(predicted)
    seen, told = (centred(np.where(known, values, np.nan)) for values in (rest, predicted))
    seen = np.where(np.abs(seen) < _ROUNDING, 0.0, seen)
    return np.column_stack(
        [np.where(known, values, 0.0).sum(axis=1) for values in ((seen - told) ** 2, seen**2)]
    )


def explained_share(sums: FloatArray) -> FloatArray:
    """Share of the squares that is not missed, (num_draws,), from sums of `sum_deviations`.

    At most 1, 0 for levels alone, negative where the prediction does harm; NaN where no query has
    two models that differ from their levels.
    """
    return 1 - divide(sums[:, 0], sums[:, 1])


def share_predicted(rest: FloatArray, predicted: FloatArray) -> float:
    """`explained_share` of all queries; the arguments are those of `sum_deviations`.

    Example:
        >>> rest = np.array([[0.3, -0.1], [0.0, 0.4]])
        >>> share_predicted(rest, np.zeros((2, 2))), share_predicted(rest, rest + 5)
        (0.0, 1.0)
    """
    return float(explained_share(sum_deviations(rest, predicted).sum(axis=0, keepdims=True))[0])


def average_deviations(own: FloatArray, other: FloatArray, usable: BoolArray) -> FloatArray:
    """The first prediction, its deviations replaced by the mean of its own and the other's.

    Level and ease stay those of the first. Same shape, in [0, 1]; NaN where not usable.

    Args:
        own: (num_queries, num_models) effect that one router expects.
        other: The same of another one.
        usable: Pairs to look at; both predict all of them.

    Example:
        >>> own, other = np.array([[0.5, 0.5]]), np.array([[0.1, 0.3]])
        >>> average_deviations(own, other, np.full((1, 2), True)).tolist()
        [[0.45, 0.55]]
    """
    mine, theirs = (np.where(usable, values, np.nan) for values in (own, other))
    return np.asarray(np.clip(mine + (centred(theirs) - centred(mine)) / 2, 0, 1))


def _mean(values: FloatArray, *, axis: int) -> FloatArray:
    """Mean of the known values; NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
