"""What a metric is made of: sums over queries and a figure of them, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.training.effect_scores import divide
from graphrouter.types import FloatArray


class Unmeasured(NamedTuple):
    """Why a metric has no value."""

    reason: str


Measures = Mapping[str, Statistic | Unmeasured]
"""By name of the metric."""


Made = TypeVar("Made")


class FromSums(Generic[Made]):
    """A function of sums that remembers what it made last.

    Statistics that share their parts also share the work.

    Example:
        >>> total = FromSums(lambda sums: sums.sum(axis=1))
        >>> total(np.ones((2, 3))) is total(np.ones((2, 3)))
        True
    """

    def __init__(self, make: Callable[[FloatArray], Made]) -> None:
        self._make = make
        self._last: tuple[FloatArray, Made] | None = None

    def __call__(self, sums: FloatArray) -> Made:
        """What the function makes of the sums (num_draws, num_parts)."""
        if self._last is None or not np.array_equal(self._last[0], sums):
            self._last = (sums.copy(), self._make(sums))
        return self._last[1]

    def figure(self, read: Callable[[Made], FloatArray]) -> Callable[[FloatArray], FloatArray]:
        """The function of sums that reads a figure off what is made of them."""
        return lambda sums: read(self(sums))


def average_pairs(values: FloatArray) -> Statistic:
    """The mean over all entries that are not NaN of an array with a row a query."""
    values = values.reshape(len(values), -1)
    return Statistic(
        np.column_stack([np.nansum(values, axis=1), np.isfinite(values).sum(axis=1)]),
        divide_first_two,
    )


def divide_first_two(sums: FloatArray) -> FloatArray:
    """The first sum over the second, (num_draws,)."""
    return divide(sums[:, 0], sums[:, 1])


def divide_by_count(sums: FloatArray) -> FloatArray:
    """Every sum over the first one, which counts the queries.

    From (num_draws, num_parts) to (num_draws, num_parts - 1).
    """
    return divide(sums[:, 1:], np.broadcast_to(sums[:, :1], sums[:, 1:].shape))


def explain_no_costs(evaluation_set: EvaluationSet) -> str | None:
    """Why nothing that weighs cost can be measured; None when it can."""
    if not evaluation_set.cost_scale.is_known:
        return "no training outcome has a cost"
    if not (
        np.isfinite(evaluation_set.observed.cost_usd) & np.isfinite(evaluation_set.observed.effect)
    ).any():
        return "no evaluated outcome has a cost"
    return None
