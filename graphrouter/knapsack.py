"""The best choice of one model a query under one budget: the multiple-choice knapsack.

Maximise sum_i effect[i, x_i] subject to sum_i usage[i, x_i] <= budget. The relaxation is solved
exactly: of each query only the models on the upper concave hull of (usage, effect) count, and the
steps along all hulls are taken in the order of their slopes (Sinha and Zoltners 1979, "The
Multiple-Choice Knapsack Problem", Operations Research 27(3), section 2). The slope at which the
budget runs out is the multiplier of Everett 1963 ("Generalized Lagrange Multiplier Method",
Operations Research 11(3)): the shadow price. What is left of the budget is then filled by `finish`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.types import BoolArray, FloatArray, IntArray

__all__ = ["Core", "HullSteps", "Solution", "finish", "list_hull_steps", "solve_one_budget"]

_ROUNDING = 1e-12
"""Share of a budget by which sums may differ for the order in which they are added."""
_CORES = (8, 32, 128)
"""Queries that the search may change, in one try after another."""
_MOST_STATES = 4_000
"""States that the search keeps; with several limits so many numbers of what is used."""
_MOST_OPTIONS = 8
_MOST_CHANGES = 50


class HullSteps(NamedTuple):
    """Steps from the cheapest model of each query to the dearest that is worth it.

    The arrays hold one value a step; within a query the steps are in order and slopes fall.
    """

    start: IntArray
    """(num_queries,), column of the cheapest open model, the best among equals."""
    query: IntArray
    column: IntArray
    """The model that the step goes to."""
    usage: FloatArray
    """How much more it uses than the model before, > 0."""
    gain: FloatArray
    """How much more effect it has, > 0."""
    slope: FloatArray
    """Gain by usage; never above that of the step before."""

    def by_slope(self) -> IntArray:
        """Numbers of the steps, the most worth first, those of a query in order."""
        return np.argsort(-self.slope, kind="stable")


class Solution(NamedTuple):
    """A choice for every query, and what is known of the best there can be."""

    columns: IntArray
    """(num_queries,), the column chosen."""
    prices: FloatArray
    """(num_limits,), shadow price of each limit: effect for one more unit of it."""
    bound: float
    """No choice that keeps the limits has a higher total effect."""


class Core(NamedTuple):
    """What `finish` searches: queries that may change, and what is left of each limit."""

    columns: IntArray
    """(num_queries,), the choice to start from."""
    left: FloatArray
    """(num_limits,), what it leaves of each limit; negative where it uses too much."""
    loss: FloatArray
    """(num_queries, num_models), how far each model is below the best of its query at the shadow
    prices, >= 0; infinite for a model that is not open."""
    usage: tuple[FloatArray, ...]
    """For each limit (num_queries, num_models), in a unit in which the limits are about 1."""
    prices: FloatArray
    """(num_limits,)."""


def list_hull_steps(effect: FloatArray, usage: FloatArray, is_open: BoolArray) -> HullSteps:
    """The steps along the upper concave hull of each query, all queries at once.

    Args:
        effect: (num_queries, num_models).
        usage: Same shape, >= 0.
        is_open: Same shape, True at least once a row; the others are ignored.

    Example:
        >>> effect, usage = np.array([[0.2, 0.6, 0.5, 0.7]]), np.array([[1.0, 2.0, 4.0, 5.0]])
        >>> steps = list_hull_steps(effect, usage, np.ones((1, 4), bool))
        >>> steps.start.tolist(), steps.column.tolist(), steps.slope.round(3).tolist()
        ([0], [1, 3], [0.4, 0.033])
    """
    cost = np.where(is_open, usage, np.inf)
    is_cheapest = cost == cost.min(axis=1, keepdims=True)
    start = np.where(is_cheapest, effect, -np.inf).argmax(axis=1)
    # Rows of effect and usage shrink to those that still climb: later rounds are nearly free.
    rows, at = np.arange(len(effect)), start
    worth, ceiling = np.where(is_open, effect, -np.inf), np.full(len(effect), np.inf)
    found: list[tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]] = []
    while len(rows):
        here = np.arange(len(rows))
        more = cost - cost[here, at][:, None]
        gain = worth - worth[here, at][:, None]
        slope = np.full(more.shape, -np.inf)
        np.divide(gain, more, out=slope, where=(gain > 0) & (more > 0) & np.isfinite(more))
        step = slope.argmax(axis=1)
        climbs = slope[here, step] > 0
        here, step, rows = here[climbs], step[climbs], rows[climbs]
        # Rounding must not put a step before the one that it stands on.
        ceiling = np.minimum(ceiling[climbs], slope[here, step])
        found.append((rows, step, more[here, step], gain[here, step], ceiling))
        cost, worth, at = cost[climbs], worth[climbs], step
    query, column, used, gained, slopes = (
        np.concatenate([part[i] for part in found]) for i in range(5)
    )
    order = np.argsort(query, kind="stable")
    return HullSteps(start, *(values[order] for values in (query, column, used, gained, slopes)))


def solve_one_budget(
    effect: FloatArray, usage: FloatArray, is_open: BoolArray, budget: float
) -> Solution:
    """The best choice under one budget; see the module for how.

    The cheapest choices have to fit; the caller sees to that.

    Args:
        effect: (num_queries, num_models).
        usage: Same shape, >= 0: what each call takes of the budget.
        is_open: Same shape, True at least once a row.
        budget: At least the sum of the cheapest of each row.

    Example:
        >>> effect, usage = np.array([[0.2, 0.6], [0.5, 0.8]]), np.array([[1.0, 2.0], [1.0, 2.0]])
        >>> solution = solve_one_budget(effect, usage, np.ones((2, 2), bool), 3.0)
        >>> solution.columns.tolist(), solution.prices.round(3).tolist(), round(solution.bound, 3)
        ([1, 0], [0.3], 1.1)
    """
    steps, rows = list_hull_steps(effect, usage, is_open), np.arange(len(effect))
    columns = steps.start.copy()
    order = steps.by_slope()
    left = budget * (1 + _ROUNDING) - float(usage[rows, columns].sum())
    spent = np.cumsum(steps.usage[order])
    num_taken = int(np.searchsorted(spent, left, side="right"))
    taken = order[:num_taken]
    # Later steps of a query overwrite earlier ones: taken in the order of the steps.
    taken = np.sort(taken)
    columns[steps.query[taken]] = steps.column[taken]
    left = max(0.0, left - float(spent[num_taken - 1])) if num_taken else max(0.0, left)
    total = float(effect[rows, columns].sum())
    if num_taken == len(order):
        return Solution(columns, np.zeros(1), total)
    price = float(steps.slope[order[num_taken]])
    profit = np.where(is_open, effect - price * usage, -np.inf)
    best = profit[rows, columns]
    loss = np.maximum(best[:, None] - profit, 0.0)
    prices = np.array([price])
    unit = max(budget, float(usage.max(initial=0, where=is_open))) or 1.0  # tolerances are absolute
    core = Core(columns, np.array([left / unit]), loss, (usage / unit,), prices * unit)
    finished = finish(core, effect)
    return Solution(columns if finished is None else finished, prices, total + price * left)


def finish(core: Core, effect: FloatArray) -> IntArray | None:
    """The choice after the exact search over the last queries; None where none was found that fits.

    Total effect = bound - losses - prices * (what is left of the limits). So a choice that beats
    the one in hand has no loss above its gap: the other models of a query need not be looked at
    (reduced costs: Dantzig 1957, "Discrete-Variable Extremum Problems"; the core: Pisinger 1995, "A
    minimal algorithm for the multiple-choice knapsack problem"). What remains is searched state by
    state, a wider core each time. The answer is the exact optimum wherever the search had not to be
    cut short, which takes more than `_CORES[-1]` queries or `_MOST_STATES` states.

    Args:
        core: Where to start, and what may be changed.
        effect: (num_queries, num_models).
    """
    columns, everyone = core.columns.copy(), np.arange(len(core.columns))
    is_start = np.arange(core.loss.shape[1]) == core.columns[:, None]
    second = np.where(is_start, np.inf, core.loss).min(axis=1)
    gap, fits = np.inf, bool((core.left >= -_ROUNDING).all())
    if fits:
        gap = core.loss[everyone, columns].sum() + max(0.0, float(core.prices @ core.left))
        if len(core.left) == 1:
            near = np.flatnonzero(second < gap)
            columns[near], left = _fill_greedily(core, near, effect)
            gap = core.loss[everyone, columns].sum() + max(0.0, float(core.prices[0]) * left)
    order = np.argsort(second, kind="stable")
    for size in _CORES:
        rows = order[:size]
        rows = rows[second[rows] < gap]
        found = _search(core, rows, gap)
        if found is not None:
            chosen, gap = found
            columns, fits = core.columns.copy(), True
            columns[rows] = chosen
        if size >= len(order) or second[order[size]] >= gap:
            break
    return columns if fits else None


def _fill_greedily(core: Core, rows: IntArray, effect: FloatArray) -> tuple[IntArray, float]:
    """Columns of `rows` after the best single change that fits, again and again; what is left."""
    columns, here = core.columns[rows], np.arange(len(rows))
    is_open, usage, worth = np.isfinite(core.loss[rows]), core.usage[0][rows], effect[rows]
    left = float(core.left[0])
    for _ in range(_MOST_CHANGES if len(rows) else 0):
        gain = np.where(is_open, worth - worth[here, columns][:, None], 0.0)
        more = usage - usage[here, columns][:, None]
        gain[~(more <= left)] = 0.0
        row, column = divmod(int(gain.argmax()), gain.shape[1])
        if not gain[row, column] > 0:
            break
        left -= float(more[row, column])
        columns[row] = column
    return columns, left


def _search(core: Core, rows: IntArray, gap: float) -> tuple[IntArray, float] | None:
    """The best columns of `rows`, all else as it is, and the gap that they leave.

    None where nothing fits that leaves less than `gap`. A state is what a choice for the first rows
    uses beyond the start, and its loss.
    """
    limits = len(core.left)
    used, loss = np.zeros((1, limits)), np.zeros(1)
    fixed = core.loss[np.arange(len(core.loss)), core.columns]
    spare = float(fixed.sum() - fixed[rows].sum())
    options = [_list_options(core, row, gap) for row in rows.tolist()]
    change = [
        np.stack([usage[row, at] - usage[row, core.columns[row]] for usage in core.usage], axis=1)
        for row, at in zip(rows.tolist(), options, strict=True)
    ]
    least = np.zeros((len(rows) + 1, limits))  # what the rows to come can save of each limit
    for i in range(len(rows) - 1, -1, -1):
        least[i] = least[i + 1] + change[i].min(axis=0)
    trail: list[tuple[IntArray, IntArray]] = []
    for i, (row, at) in enumerate(zip(rows.tolist(), options, strict=True)):
        used = (used[:, None] + change[i][None]).reshape(-1, limits)
        loss = (loss[:, None] + core.loss[row, at][None]).ravel()
        fits = (used + least[i + 1] <= core.left + _ROUNDING).all(axis=1)
        kept = np.flatnonzero(fits & (loss + spare < gap))
        kept = kept[_thin(used[kept], loss[kept], core.prices)]
        trail.append((kept // len(at), at[kept % len(at)]))
        used, loss = used[kept], loss[kept]
    total = loss + spare + np.maximum(core.left - used, 0.0) @ core.prices
    total = np.where((used <= core.left + _ROUNDING).all(axis=1), total, np.inf)
    if not len(total) or not total.min() < gap:
        return None
    state = int(total.argmin())
    chosen, reached = np.empty(len(rows), np.int64), float(total[state])
    for i in range(len(rows) - 1, -1, -1):
        before, columns = trail[i]
        chosen[i], state = columns[state], int(before[state])
    return chosen, reached


def _list_options(core: Core, row: int, gap: float) -> IntArray:
    """Columns that may be chosen; the nearest and the thriftiest while nothing is in hand yet."""
    loss = core.loss[row]
    if gap < np.inf or len(loss) <= _MOST_OPTIONS:
        return np.flatnonzero(loss < gap)
    is_open = np.isfinite(loss)
    thrifty = [int(np.where(is_open, usage[row], np.inf).argmin()) for usage in core.usage]
    nearest = np.argsort(loss, kind="stable")[:_MOST_OPTIONS]
    return np.unique([core.columns[row], *thrifty, *nearest[is_open[nearest]].tolist()])


def _thin(used: FloatArray, loss: FloatArray, prices: FloatArray) -> IntArray:
    """Which states to keep: not those that use more for no more effect, and not too many."""
    if used.shape[1] == 1:
        worth = prices[0] * used[:, 0] - loss  # effect beyond the start
        order = np.lexsort((-worth, used[:, 0]))
        best_before = np.concatenate(([-np.inf], np.maximum.accumulate(worth[order])[:-1]))
        kept: IntArray = order[worth[order] > best_before]
    else:
        kept = np.arange(len(loss))
    most = _MOST_STATES // used.shape[1]
    return kept if len(kept) <= most else kept[np.argpartition(loss[kept], most)[:most]]
