"""What a policy costs and brings over a period, with intervals, and how much of that is predicted.

Of a call whose chosen model had a known chance to be in the log, what the log says counts, by the
doubly robust estimate (Dudik, Langford and Li, 2011); of any other the prediction alone. The two
are kept apart to the end: nothing that is predicted passes for something that was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from graphrouter.bench.savings.logged_period import Measured, Period
from graphrouter.router.off_policy import (
    FEWEST_EFFECTIVE,
    LoggedRewards,
    bound_mean,
    doubly_robust_terms,
)
from graphrouter.training.effect_scores import divide
from graphrouter.types import BoolArray, FloatArray, IntArray

_LEAST_CHANCE = 0.02
"""A smaller chance would let one call stand for more than fifty."""
_FEWEST_PAIRS = 10
"""Of a model, to say by how much its costs are predicted wrongly."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A mean a call with its 95 % interval, and what it rests on."""

    value: float
    low: float
    high: float
    """Both ends allow for the luck of the calls, and for what is predicted with the error that
    predictions are known to have."""
    share_from_log: float
    """Share of the calls of which the log tells, in [0, 1]; the rest is predicted."""
    value_from_log: float
    """Of `value`, what the log tells."""

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends lie on one side of zero."""
        return self.low > 0 or self.high < 0

    def times(self, number: float) -> Amount:
        """The amount of so many calls."""
        return Amount(
            self.value * number,
            self.low * number,
            self.high * number,
            self.share_from_log,
            self.value_from_log * number,
        )


class CallRows(NamedTuple):
    """What each of n calls adds to the mean of a policy."""

    target: IntArray
    """(n,) column of the model that is asked."""
    value: FloatArray
    """(n,) by the log, or as predicted."""
    is_logged: BoolArray
    """(n,) whether the log tells it."""
    below: FloatArray
    """(n,) how far what is predicted may lie too high; 0 where the log tells."""
    above: FloatArray
    """(n,) how far it may lie too low."""
    effective_size: float
    """Calls of equal weight that say as much."""


def lay_rows(period: Period, name: Measured, target: IntArray) -> CallRows:
    """What each call of the period adds, if these models are asked.

    Args:
        period: The calls.
        name: Effect or cost.
        target: (n,) columns of the models.
    """
    rows = np.arange(len(target))
    expected = getattr(period.predictions, name)[rows, target]
    observed, chance = (values[name][rows, target] for values in (period.observed, period.chance))
    agrees = np.isfinite(observed)
    is_logged = np.nan_to_num(chance) >= _LEAST_CHANCE
    if is_logged.any():
        known = np.flatnonzero(is_logged)
        log = LoggedRewards(
            reward=np.where(agrees, observed, 0.0)[known],
            agrees=agrees[known],
            propensity=chance[known],
            target_propensity=chance[known],
            expected=np.nan_to_num(expected)[known],
            target_expected=np.nan_to_num(expected)[known],
        )
        if log.effective_size >= FEWEST_EFFECTIVE:
            value = expected.copy()
            value[known] = doubly_robust_terms(log)
            size = log.effective_size + len(target) - len(known)
            return _add_error(period, name, target, value, is_logged, size)
    nothing = np.zeros(len(target), dtype=bool)
    return _add_error(period, name, target, expected, nothing, len(target))


def _add_error(
    period: Period,
    name: Measured,
    target: IntArray,
    value: FloatArray,
    is_logged: BoolArray,
    effective_size: float,
) -> CallRows:
    rows = np.arange(len(target))
    low, high = period.predictions.effect_low, period.predictions.effect_high
    if name == "effect":
        ends = (
            (np.zeros(len(target)), np.ones(len(target)))
            if low is None or high is None
            else (low[rows, target], high[rows, target])
        )
    else:
        ratio = measure_cost_error(period)
        ends = value * ratio[0], value * ratio[1]
    below, above = value - ends[0], ends[1] - value
    return CallRows(
        target,
        value,
        is_logged,
        np.where(is_logged, 0.0, np.maximum(below, 0.0)),
        np.where(is_logged, 0.0, np.maximum(above, 0.0)),
        effective_size,
    )


def measure_cost_error(period: Period) -> tuple[float, float]:
    """The least and the largest ratio of observed to predicted cost of a model, and 1.

    NaN where no model has ten costs in the log.
    """
    observed, predicted = period.observed["cost_usd"], period.predictions.cost_usd
    both = np.isfinite(observed) & np.isfinite(predicted)
    enough = both.sum(axis=0) >= _FEWEST_PAIRS
    if not enough.any():
        return float("nan"), float("nan")
    sums = (np.where(both, values, 0.0).sum(axis=0)[enough] for values in (observed, predicted))
    ratio = divide(*sums)
    ratio = ratio[np.isfinite(ratio)]
    return float(min(1.0, *ratio)), float(max(1.0, *ratio))


def measure_amount(rows: CallRows) -> Amount:
    """The mean of the rows.

    Args:
        rows: What each call adds.
    """
    found = bound_mean(rows.value, rows.effective_size - 1)
    from_log = np.where(rows.is_logged, rows.value, 0.0)
    return Amount(
        found.value,
        found.low - float(rows.below.mean()),
        found.high + float(rows.above.mean()),
        float(rows.is_logged.mean()),
        float(from_log.mean()),
    )


def compare(one: CallRows, other: CallRows) -> Amount:
    """The mean of `one` minus `other`, paired call by call.

    Where both ask the same model nothing differs, whatever is predicted of it.

    Args:
        one: Of the same calls as
        other: this.
    """
    differs = one.target != other.target
    return measure_amount(
        CallRows(
            one.target,
            np.where(differs, one.value - other.value, 0.0),
            ~differs | (one.is_logged & other.is_logged),
            np.where(differs, one.below + other.above, 0.0),
            np.where(differs, one.above + other.below, 0.0),
            min(one.effective_size, other.effective_size),
        )
    )
