"""Means that are pulled towards a prior where few outcomes stand behind them."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.router.shrunk_means import PRIOR_OUTCOMES, shrink_effects, shrink_mean
from graphrouter.types import QUANTITIES, FloatArray, IntArray


def average_by_model(
    outcomes: ObservedOutcomes, *, prior_outcomes: float = PRIOR_OUTCOMES
) -> MeanTable:
    """Mean of every quantity for each model, one row.

    Effect is shrunk to the pool's mean and lies strictly inside (0, 1). The others are plain means:
    a price level is no matter of luck, and a model without observed cost has NaN.
    """
    seen = np.isfinite(outcomes.effect)
    effect = shrink_effects(
        np.nansum(outcomes.effect, axis=0),
        seen.sum(axis=0).astype(float),
        prior_outcomes=prior_outcomes,
    )
    others = [_take_plain_mean(getattr(outcomes, name)) for name in QUANTITIES[1:]]
    return MeanTable(outcomes.models, *(row[None, :] for row in (effect, *others)))


def average_by_task(
    outcomes: ObservedOutcomes,
    task_index: IntArray,
    *,
    num_tasks: int,
    prior_outcomes: float = PRIOR_OUTCOMES,
) -> MeanTable:
    """Mean of every quantity for each (task, model), shrunk to the model's mean.

    Args:
        outcomes: What was observed, (num_queries, num_models) each.
        task_index: (num_queries,) number of the task of each query, -1 = unknown.
        num_tasks: Number of tasks.
        prior_outcomes: How many outcomes the model's mean counts for.

    Returns:
        num_tasks + 1 rows; the last one holds the models' means, for queries of unknown task.
    """
    means = average_by_model(outcomes, prior_outcomes=prior_outcomes)
    tables = []
    for name in QUANTITIES:
        total, count = sum_by_task(getattr(outcomes, name), task_index, num_tasks=num_tasks)
        prior = getattr(means, name)
        tables.append(
            np.vstack([shrink_mean(total, count, prior, prior_outcomes=prior_outcomes), prior])
        )
    return MeanTable(outcomes.models, *tables)


def sum_by_task(
    values: FloatArray, task_index: IntArray, *, num_tasks: int
) -> tuple[FloatArray, FloatArray]:
    """Sum and number of the observed values of each (task, model), each (num_tasks, num_models).

    Args:
        values: (num_queries, num_models), NaN = not observed.
        task_index: (num_queries,) number of the task of each query; -1 = unknown, left out.
        num_tasks: Number of tasks.
    """
    total = np.zeros((num_tasks, values.shape[1]))
    count = np.zeros_like(total)
    known = task_index >= 0
    np.add.at(total, task_index[known], np.nan_to_num(values[known]))
    np.add.at(count, task_index[known], np.isfinite(values[known]).astype(float))
    return total, count


def _take_plain_mean(values: FloatArray) -> FloatArray:
    count = np.isfinite(values).sum(axis=0)
    mean = np.full(values.shape[1], np.nan)
    np.divide(np.nansum(values, axis=0), count, out=mean, where=count > 0)
    return mean
