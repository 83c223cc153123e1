"""The best choice of one model a query under several limits at once: dollars, seconds, calls.

The dual of the relaxation has one multiplier a limit (Everett 1963, "Generalized Lagrange
Multiplier Method", Operations Research 11(3)). It is minimised by cutting planes, one set of cuts a
block of queries (Kelley 1960, "The Cutting-Plane Method for Solving Convex Programs", Journal of
SIAM 8(4); read from the other side that is the decomposition of Dantzig and Wolfe 1960). Every
value of the dual is an upper bound on what any choice reaches. The linear programme over the models
that are near the best at these prices then leaves at most one query a limit divided, and
`knapsack.finish` settles those. On small batches `branching` goes on to the exact choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from graphrouter.branching import Question, branch_and_bound
from graphrouter.exceptions import PolicyError
from graphrouter.knapsack import Core, Solution, finish, list_hull_steps, solve_one_budget
from graphrouter.types import BoolArray, FloatArray, IntArray

__all__ = ["Limit", "find_least", "solve_limits"]

_MOST_ROUNDS = 60
_MOST_BLOCKS = 48
_CLOSE = 1e-7
"""Share of the dual by which cuts and value may differ at the end."""
_NEAR_SHARE = 0.05
"""Share of the queries that the linear programme may divide at first; four times as many in each
further try."""
_MOST_BRANCHED = 3_000
"""Open (query, model) pairs up to which branch and bound goes on to the exact choice."""
_ROUNDING = 1e-12
"""Share of a limit by which sums may differ for the order in which they are added."""
_MOST_SAVED = 2
"""Limits, the first ones, by whose thriftiest choice a batch is saved for which none was found."""
_SMALL = 1e-6
"""Share of the largest call below which a limit is no unit to count in."""
_FEW_PAIRS = 2_000
"""Open (query, model) pairs up to which it takes all of them at once."""


class Limit(NamedTuple):
    """What a choice may use at most, summed over the batch."""

    usage: FloatArray
    """(num_queries, num_models), >= 0: what each call uses; what is not open is not read."""
    most: float


def solve_limits(effect: FloatArray, is_open: BoolArray, limits: Sequence[Limit]) -> Solution:
    """The choice with the highest total effect that keeps every limit, as near as it is found.

    Exactly the highest for one limit (see `knapsack`) and for few queries.

    Args:
        effect: (num_queries, num_models).
        is_open: Same shape, True at least once a row.
        limits: Each can be kept by itself; the caller sees to that.

    Raises:
        PolicyError: All limits together cannot be kept, or no choice was found that keeps them.

    Example:
        >>> effect, cost = np.array([[0.2, 0.9], [0.3, 0.8]]), np.array([[1.0, 2.0], [1.0, 2.0]])
        >>> calls = Limit(np.array([[0.0, 1.0], [0.0, 1.0]]), 1)
        >>> everything = np.ones((2, 2), bool)
        >>> solve_limits(effect, everything, [Limit(cost, 9.0), calls]).columns.tolist()
        [1, 0]
    """
    found = _solve(effect, is_open, limits)
    columns = found.columns
    for i, limit in enumerate(limits[:_MOST_SAVED]):
        if columns is None and found.bound > -np.inf:  # the thriftiest of one limit may fit
            thrifty = _find_thriftiest(limit.usage, is_open, [*limits[:i], *limits[i + 1 :]])
            if thrifty is not None and thrifty.total <= limit.most:
                columns = thrifty.columns
    if columns is None:
        raise PolicyError(
            "No choice was found that keeps all limits together, though each can be kept by "
            "itself. Raise one of them."
        )
    return Solution(columns, found.prices, max(found.bound, _sum(effect, columns)))


class _Found(NamedTuple):
    """A solution, perhaps without one."""

    columns: IntArray | None
    """(num_queries,); None where no choice was found that keeps the limits."""
    prices: FloatArray
    bound: float
    """Minus infinity where it is sure that none keeps them."""


def _solve(effect: FloatArray, is_open: BoolArray, limits: Sequence[Limit]) -> _Found:
    """The best choice that is found."""
    if not len(effect):
        return _Found(np.zeros(0, np.int64), np.zeros(len(limits)), 0.0)
    if not limits:
        worth = np.where(is_open, effect, -np.inf)
        return _Found(worth.argmax(axis=1), np.zeros(0), float(worth.max(axis=1).sum()))
    if len(limits) == 1:
        return _Found(*solve_one_budget(effect, limits[0].usage, is_open, limits[0].most))
    units = np.array([_choose_unit(limit, is_open) for limit in limits])
    usage = [
        np.where(is_open, limit.usage, 0.0) / unit
        for limit, unit in zip(limits, units, strict=True)
    ]
    most = np.array([limit.most for limit in limits]) / units
    least = _Dual(np.zeros_like(effect), is_open, usage, most).minimise(np.ones(len(limits)))
    if least.bound < -1e-9:
        return _Found(None, np.zeros(len(limits)), -np.inf)
    slopes = [list_hull_steps(effect, each, is_open).slope for each in usage]
    ceiling = np.array([2 * slope.max(initial=0.5) for slope in slopes])
    prices, bound = _Dual(effect, is_open, usage, most).minimise(ceiling)
    columns = _round(effect, is_open, usage, most, prices)
    if is_open.sum() <= _MOST_BRANCHED:
        loss = -_take_off(effect, is_open, usage, prices)
        loss -= loss.min(axis=1, keepdims=True)
        question = Question(effect, np.stack(usage), most, loss, bound, _ROUNDING)
        columns, bound = branch_and_bound(question, columns)
    return _Found(columns, prices / units, bound)


def _choose_unit(limit: Limit, is_open: BoolArray) -> float:
    """The limit itself, or where hardly any call fits it the largest call."""
    largest = float(limit.usage.max(initial=0.0, where=is_open))
    return limit.most if limit.most > _SMALL * largest else largest or 1.0


class _Thrifty(NamedTuple):
    """The choice that uses the least of something, as near as it is found."""

    columns: IntArray
    """(num_queries,)."""
    total: float
    """What it uses."""


def _find_thriftiest(
    usage: FloatArray, is_open: BoolArray, limits: Sequence[Limit]
) -> _Thrifty | None:
    """The choice with the least total usage that keeps the limits; None where none was found."""
    scale = float(usage.max(initial=0.0, where=is_open)) or 1.0
    columns = _solve(np.where(is_open, -usage / scale, 0.0), is_open, limits).columns
    return None if columns is None else _Thrifty(columns, _sum(usage, columns))


def find_least(usage: FloatArray, is_open: BoolArray, limits: Sequence[Limit]) -> float:
    """How much of `usage` is enough to keep the limits: the least total that was found.

    With that much, and the same limits in the same order, `solve_limits` has a solution. Infinite
    where no choice was found that keeps them.
    """
    found = _find_thriftiest(usage, is_open, limits)
    return np.inf if found is None else found.total


class _Prices(NamedTuple):
    """Where the dual is lowest, and its value there."""

    prices: FloatArray
    bound: float


@dataclass(frozen=True)
class _Dual:
    """sum_r price_r most_r + sum_i max_m (effect_im - sum_r price_r usage_rim) of open models m."""

    effect: FloatArray
    is_open: BoolArray
    usage: Sequence[FloatArray]
    most: FloatArray

    def minimise(self, ceiling: FloatArray) -> _Prices:
        """The lowest point with prices between 0 and `ceiling`, by cutting planes."""
        num_queries, num_limits = len(self.effect), len(self.most)
        rows = np.arange(num_queries)
        starts = np.unique(np.linspace(0, num_queries, _MOST_BLOCKS + 1).astype(np.int64)[:-1])
        choices = [np.where(self.is_open, each, np.inf).argmin(axis=1) for each in self.usage]
        tried, best = np.zeros(num_limits), _Prices(np.zeros(num_limits), np.inf)
        lines: list[FloatArray] = []
        for _ in range(_MOST_ROUNDS):
            profit = _take_off(self.effect, self.is_open, self.usage, tried)
            choices.append(profit.argmax(axis=1))
            value = float(self.most @ tried + profit[rows, choices[-1]].sum())
            if value < best.bound:
                best = _Prices(tried, value)
            for chosen in choices:
                parts = (self.effect, *self.usage)
                sums = [np.add.reduceat(part[rows, chosen], starts) for part in parts]
                lines.append(np.stack(sums, axis=1))
            choices = []
            tried, lowest = _solve_cuts(lines, self.most, ceiling)
            if best.bound - lowest <= _CLOSE * max(1.0, abs(best.bound)):
                break
        return best


def _solve_cuts(
    lines: Sequence[FloatArray], most: FloatArray, ceiling: FloatArray
) -> tuple[FloatArray, float]:
    """Where the lower envelope of the cuts is lowest, and its value there.

    A line holds effect and usages of one choice, summed over each block: the block's part of the
    dual is at least effect - prices * usages.
    """
    from scipy.optimize import linprog  # here: what has one limit need not load it
    from scipy.sparse import csr_array, hstack, vstack

    blocks = len(lines[0])
    minus_one = csr_array(-np.eye(blocks))
    rows = [hstack([csr_array(-line[:, 1:]), minus_one]) for line in lines]
    right = np.concatenate([-line[:, 0] for line in lines])
    bounds = [*((0.0, top) for top in ceiling.tolist()), *[(None, None)] * blocks]
    solved = linprog(
        np.concatenate([most, np.ones(blocks)]),
        A_ub=vstack(rows, format="csr"),
        b_ub=right,
        bounds=bounds,
        method="highs",
    )
    if solved.x is None:  # cuts that contradict each other by rounding: keep the best so far
        return np.zeros(len(most)), np.inf
    return np.clip(solved.x[: len(most)], 0.0, ceiling), float(solved.fun)


def _take_off(
    effect: FloatArray, is_open: BoolArray, usage: Sequence[FloatArray], prices: FloatArray
) -> FloatArray:
    """Effect less what the usage costs at the prices; -inf for what is not open."""
    profit = np.where(is_open, effect, -np.inf)
    for price, used in zip(prices.tolist(), usage, strict=True):
        if price:
            profit -= price * used
    return profit


def _round(
    effect: FloatArray,
    is_open: BoolArray,
    usage: Sequence[FloatArray],
    most: FloatArray,
    prices: FloatArray,
) -> IntArray | None:
    """Whole choices near the prices, by the linear programme and the finish; None if none fits."""
    profit = _take_off(effect, is_open, usage, prices)
    loss = profit.max(axis=1, keepdims=True) - profit
    order = np.sort(np.partition(loss, 1, axis=1)[:, 1] if loss.shape[1] > 1 else loss[:, 0])
    near, chosen = max(1, round(_NEAR_SHARE * len(order))), None
    if is_open.sum() <= _FEW_PAIRS:
        near = len(order)
    while True:
        reach = np.inf if near >= len(order) else max(float(order[near - 1]), 1e-9)
        columns = _solve_relaxed(effect, loss, usage, most, reach)
        if columns is not None:
            used = np.array([_sum(each, columns) for each in usage])
            core = Core(columns, most - used, loss, tuple(usage), prices)
            chosen = finish(core, effect)
        if chosen is not None or reach == np.inf:
            return chosen
        near *= 4


def _solve_relaxed(
    effect: FloatArray,
    loss: FloatArray,
    usage: Sequence[FloatArray],
    most: FloatArray,
    reach: float,
) -> IntArray | None:
    """The largest share of each query in the linear programme over models that lose little.

    None where the programme has no solution.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    columns: IntArray = loss.argmin(axis=1)
    is_near = (loss <= reach) & np.isfinite(loss)
    is_divided = is_near.sum(axis=1) > 1
    row, column = (is_near & is_divided[:, None]).nonzero()
    fixed = (~is_divided).nonzero()[0]
    left = most - np.array([float(each[fixed, columns[fixed]].sum()) for each in usage])
    if not len(row):
        return columns if (left >= -1e-9).all() else None
    number = np.cumsum(is_divided)[row] - 1
    solved = linprog(
        -effect[row, column],
        A_ub=np.stack([each[row, column] for each in usage]),
        b_ub=left,
        A_eq=csr_array((np.ones(len(row)), (number, np.arange(len(row))))),
        b_eq=np.ones(int(is_divided.sum())),
        bounds=(0, None),
        method="highs",
    )
    if solved.x is None:
        return None
    shares = np.zeros(loss.shape)
    shares[row, column] = solved.x
    columns[is_divided] = shares[is_divided].argmax(axis=1)
    return columns


def _sum(values: FloatArray, columns: IntArray) -> float:
    """The values of the chosen columns, added up."""
    return float(values[np.arange(len(columns)), columns].sum())
