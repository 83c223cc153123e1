"""Every choice of a small plan, so that the best of them is known for sure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from graphrouter.multipliers import Limit
from graphrouter.steps.step_worth import PlanWorth
from graphrouter.types import BoolArray, FloatArray, IntArray

_MOST_WAYS = 200_000
"""Choices that are looked at; a plan with more is left to rounds and bounds."""
_ROUNDING = 1e-12
"""Share of a limit by which sums may differ for the order in which they are added."""


def search_plan(
    worth: PlanWorth, chance: FloatArray, is_open: BoolArray, limits: Sequence[Limit]
) -> IntArray | None:
    """The choice of the highest worth within the limits; None for a plan with too many choices.

    Args:
        worth: The plan.
        chance: (num_steps, num_models), own chance of each step with each model.
        is_open: Same shape, True at least once a row.
        limits: What the plan may use in all; some choice keeps them all.

    Example:
        >>> chain = PlanWorth(np.array([[False, False], [True, False]]), np.array([0.0, 1.0]))
        >>> chance, cost = np.array([[0.2, 0.9], [0.5, 0.6]]), np.array([[1.0, 3.0], [1.0, 2.0]])
        >>> search_plan(chain, chance, np.ones((2, 2), bool), [Limit(cost, 4.0)]).tolist()
        [1, 0]
    """
    columns = _list_undominated(chance, is_open, limits)
    if math.prod(len(options) for options in columns) > _MOST_WAYS:
        return None
    ways = np.stack(np.meshgrid(*columns, indexing="ij"), axis=-1).reshape(-1, len(columns))
    rows = np.arange(len(columns))
    fits = np.ones(len(ways), dtype=bool)
    for limit in limits:
        fits &= limit.usage[rows, ways].sum(axis=1) <= limit.most * (1 + _ROUNDING)
    ways = ways[fits]
    if not len(ways):
        return None
    own = chance[rows, ways]
    product = np.exp(np.log(np.maximum(worth.usable(own), _ROUNDING)) @ worth.before.T)
    return np.asarray(ways[(own * product @ worth.weight).argmax()], dtype=np.int64)


def _list_undominated(
    chance: FloatArray, is_open: BoolArray, limits: Sequence[Limit]
) -> list[IntArray]:
    """Of each step the models that no other equals in everything and beats in something."""
    kept = []
    for row, open_models in enumerate(is_open):
        columns = np.flatnonzero(open_models)
        usage = [limit.usage[row, columns] for limit in limits]
        costs = np.stack([-chance[row, columns], *usage], axis=1)
        is_as_good = (costs[:, None] <= costs[None]).all(axis=2)
        is_better = is_as_good & (costs[:, None] < costs[None]).any(axis=2)
        # Of equals the first one stays.
        is_twin = is_as_good & is_as_good.T & np.tri(len(columns), k=-1, dtype=bool).T
        kept.append(columns[~(is_better | is_twin).any(axis=0)])
    return kept
