"""What calls of a new model cost and how long they are.

Its level from its own calls, shrunk to what the pool leads to expect.

A level is what an amount (see `amounts.AMOUNTS`) is on a typical query. How the amount varies
around it, query by query, a new model takes from the pool. Where nothing was observed, tokens and
latency are the pool's mean, in logarithms; cost is tokens times list prices, scaled as the recorded
costs of the pool are, or, where that tells less about the pool's costs, the pool's mean cost per
unit of price. A model without price and without recorded cost has none.
"""

from __future__ import annotations

import numpy as np

from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.new_models import NewModels, join_columns
from graphrouter.bench.baselines.tools.shrinkage import sum_by_task
from graphrouter.router.shrunk_means import shrink_mean
from graphrouter.types import QUANTITIES, FloatArray, IntArray, QuantityArrays

AMOUNTS = QUANTITIES[1:]
"""Cost, input tokens, output tokens and latency: what rows of amounts stand for."""
LEVEL_OUTCOMES = 10.0
"""How many calls the pool's promise counts for: single calls differ far more than models do from
what is promised of them."""
FLOORS = {"cost_usd": 1e-9, "input_tokens": 1.0, "output_tokens": 1.0, "latency_s": 1e-3}
"""Smaller amounts count as this much: a free call has no logarithm."""


def stack_amounts(amounts: QuantityArrays) -> FloatArray:
    """The amounts, (4, num_rows, num_models), each at least its floor; NaN = not known."""
    return np.stack([np.maximum(getattr(amounts, name), FLOORS[name]) for name in AMOUNTS])


def take_geometric_mean(values: FloatArray, *, axis: int) -> FloatArray:
    """Geometric mean along an axis over what is not NaN; NaN without any."""
    known = np.isfinite(values)
    total = np.log(np.where(known, values, 1.0)).sum(axis=axis)
    count = known.sum(axis=axis)
    return np.where(count > 0, np.exp(total / np.maximum(count, 1)), np.nan)


def place_levels(levels: FloatArray, relative: FloatArray, new: NewModels) -> FloatArray:
    """Level of each amount of each new model, (4, num_new).

    NaN where there is neither a promise nor an outcome.

    Args:
        levels: (4, num_models) levels of the models that were there.
        relative: (4, num_queries, num_new) observed amounts, each divided by what the query makes
            of a level of 1.
        new: The new models.
    """
    total, count = np.nansum(relative, axis=1), np.isfinite(relative).sum(axis=1).astype(np.float64)
    promised = np.repeat(take_geometric_mean(levels, axis=1)[:, None], new.num_new, axis=1)
    placed = _place(total, count, promised)
    promised[0] = price_by_list(
        levels, placed, new
    )  # it follows from the tokens, so those come first
    return _place(total, count, promised)


def _place(total: FloatArray, count: FloatArray, promised: FloatArray) -> FloatArray:
    """Shrunk means, same shape.

    Plain ones where nothing is promised, NaN where nothing was observed either.
    """
    plain = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.where(
        np.isnan(promised),
        plain,
        shrink_mean(total, count, promised, prior_outcomes=LEVEL_OUTCOMES),
    )


def price_by_list(levels: FloatArray, new_levels: FloatArray, new: NewModels) -> FloatArray:
    """Cost of a typical query by list price alone, (num_new,) in US dollars.

    NaN where prices or the pool's costs are not known.

    Two units may tell what a call costs: tokens times prices, and the sum of the prices. The one
    whose quotient with the pool's recorded costs varies less over the models is taken.

    Args:
        levels: (4, num_models) levels of the models that were there.
        new_levels: (4, num_new) levels of the new models; the cost is not read.
        new: The new models.
    """
    num_old = levels.shape[1]
    prices, new_prices = new.pool.prices[:, :num_old], new.pool.prices[:, num_old:]
    units = [
        (np.sum(levels[1:3] * prices, axis=0), np.sum(new_levels[1:3] * new_prices, axis=0)),
        (prices.sum(axis=0), new_prices.sum(axis=0)),
    ]
    promised, smallest = np.full(new.num_new, np.nan), np.inf
    for old_unit, new_unit in units:
        priced = np.isfinite(old_unit) & (old_unit > 0) & np.isfinite(levels[0])
        if not priced.any():
            continue
        quotient = np.log(levels[0, priced] / old_unit[priced])
        if quotient.std() < smallest:
            smallest, promised = float(quotient.std()), np.exp(quotient.mean()) * new_unit
    return np.where(np.isnan(promised), np.nan, np.maximum(promised, FLOORS["cost_usd"]))


def place_amounts_in_cells(table: MeanTable, cell: IntArray, new: NewModels) -> FloatArray:
    """Expected amounts of the new models in each cell (task, cluster), (4, num_cells, num_new).

    The pool's profile over the cells, scaled to the model's level, is what the means in the cells
    are shrunk to.

    Args:
        table: What the models that were there need in each cell, (num_cells, num_models) each.
        cell: (num_queries,) cell of each of the new models' queries.
        new: The new models.
    """
    amounts = stack_amounts(table)
    levels = take_geometric_mean(amounts, axis=1)
    profile = take_geometric_mean(amounts / levels[:, None, :], axis=2)
    profile = np.where(np.isnan(profile), 1.0, profile)
    relative = stack_amounts(new.outcomes) / profile[:, cell, None]
    placed = place_levels(levels, relative, new)
    cells = []
    for row, level, shape in zip(relative, placed, profile, strict=True):
        total, count = sum_by_task(row, cell, num_tasks=len(shape))
        cells.append(shape[:, None] * shrink_mean(total, count, level))
    return np.stack(cells)


def add_model_columns(
    table: MeanTable, effect: FloatArray, amounts: FloatArray, new: NewModels
) -> MeanTable:
    """The table with columns of new models: `effect` (num_rows, num_new) and amounts.

    `amounts` is (4, num_rows, num_new).
    """
    return join_columns(table, MeanTable(new.outcomes.models, effect, *amounts))
