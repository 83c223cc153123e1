"""The exact choice under several limits where few are in question: branch and bound.

The linear programme over what is left in question leaves at most a query a limit divided. Of those
queries every whole choice is tried beside the rest, and where that is below what the programme
reaches, a divided query is branched on: its likeliest model taken, or never (Land and Doig 1960,
"An Automatic Method of Solving Discrete Programming Problems", Econometrica 28(3)). Nodes are taken
by their bound, so that at any moment the best bound left holds for all choices.

SciPy's `milp` does the same with cuts, but what solves it writes lines of its own to standard
output, where a table or JSON may go.
"""

from __future__ import annotations

import heapq
import itertools
from typing import NamedTuple

import numpy as np

from graphrouter.types import BoolArray, FloatArray, IntArray

__all__ = ["Question", "Whole", "branch_and_bound"]

_MOST_NODES = 150
_MOST_PAIRS = 40_000
"""Pairs of all linear programmes together, about a second of work, after which the search ends. No
clock ends it, so that the same batch has the same answer on every machine."""
_MOST_WHOLE = 2_000
"""Choices of the divided queries that are tried at a node."""
_DIVIDED = 1e-7
"""Share from which a model counts as taken in part."""
_EQUAL = 1e-9
"""Share of the total by which a better choice has to be better."""


class Question(NamedTuple):
    """Which choice of one model a query is best."""

    effect: FloatArray
    """(num_queries, num_models)."""
    usage: FloatArray
    """(num_limits, num_queries, num_models), in units in which the limits are about 1."""
    most: FloatArray
    """(num_limits,)."""
    loss: FloatArray
    """(num_queries, num_models), how far each model is below the best of its query at some shadow
    prices, >= 0; infinite for a model that is not open."""
    bound: float
    """No choice has a higher total at these prices, less what it loses."""
    rounding: float
    """Share of a limit by which a choice may exceed it."""


class Whole(NamedTuple):
    """The best choice that was found, and what is known of better ones."""

    columns: IntArray | None
    """(num_queries,); None where none was found that fits."""
    bound: float
    """No choice that fits has a higher total; minus infinity where none fits."""


class _Relaxed(NamedTuple):
    total: float
    share: FloatArray
    """(num_pairs,), of those in question."""


def branch_and_bound(question: Question, start: IntArray | None) -> Whole:
    """The best choice, exactly where the nodes are enough.

    Args:
        question: What is asked.
        start: (num_queries,), a choice that fits; None where none is known.
    """
    search = _Search(question, start)
    return search.run()


class _Search:
    """Pairs (query, model) that are still in question, and the best choice in hand."""

    def __init__(self, question: Question, start: IntArray | None) -> None:
        self.question = question
        self.rows = np.arange(len(question.effect))
        self.columns, self.total = start, -np.inf
        if start is not None:
            self.total = float(question.effect[self.rows, start].sum())
        row, column = self._is_in_question(question.loss).nonzero()
        self.row: IntArray = row
        self.column: IntArray = column
        self.effect: FloatArray = question.effect[row, column]
        self.usage: FloatArray = question.usage[:, row, column]
        self.loss: FloatArray = question.loss[row, column]

    def _is_in_question(self, loss: FloatArray) -> BoolArray:
        """Which pairs lose so little that a choice with them can be better than that in hand."""
        few: BoolArray = loss <= self.question.bound - self.total + self._tolerance
        return few & np.isfinite(loss)

    @property
    def _tolerance(self) -> float:
        return _EQUAL * max(1.0, abs(self.question.bound))

    def run(self) -> Whole:
        """Nodes by their bound, until none can be better or there were enough."""
        count = itertools.count()
        everything = np.ones(len(self.row), dtype=bool)
        nodes: list[tuple[float, int, BoolArray, _Relaxed]] = []
        asked, work, num_nodes = [everything], 0, 0
        while True:
            for pairs in asked:
                found, work = self._relax(pairs), work + int(pairs.sum())
                if found is None or found.total <= self.total + self._tolerance:
                    continue
                if self._try_whole(pairs, found):
                    heapq.heappush(nodes, (-found.total, next(count), pairs, found))
            num_nodes += 1
            is_found = not nodes or -nodes[0][0] <= self.total + self._tolerance
            if is_found or num_nodes == _MOST_NODES or work > _MOST_PAIRS:
                break
            _, _, pairs, relaxed = heapq.heappop(nodes)
            asked = self._branch(pairs & self._is_in_question(self.loss), relaxed)
        left = max((-node[0] for node in nodes), default=-np.inf)
        return Whole(self.columns, max(self.total, min(left, self.question.bound)))

    def _relax(self, pairs: BoolArray) -> _Relaxed | None:
        """The linear programme over these pairs; None where it has no solution."""
        from scipy.optimize import linprog  # here: what has one limit need not load it
        from scipy.sparse import csr_array

        at = pairs.nonzero()[0]
        choices = np.bincount(self.row[at], minlength=len(self.rows))
        if not choices.all():
            return None
        is_set = choices[self.row[at]] == 1
        alone, at = at[is_set], at[~is_set]
        left = self.question.most - self.usage[:, alone].sum(axis=1)
        share, total = np.zeros(len(pairs)), float(self.effect[alone].sum())
        share[alone] = 1.0
        if not len(at):
            slack = self.question.rounding * self.question.most
            return _Relaxed(total, share) if (left >= -slack).all() else None
        number = np.cumsum(choices > 1)[self.row[at]] - 1
        solved = linprog(
            -self.effect[at],
            A_ub=self.usage[:, at],
            b_ub=left,
            A_eq=csr_array((np.ones(len(at)), (number, np.arange(len(at))))),
            b_eq=np.ones(int((choices > 1).sum())),
            bounds=(0, None),
            method="highs",
        )
        if solved.x is None:
            return None
        share[at] = solved.x
        return _Relaxed(total - float(solved.fun), share)

    def _try_whole(self, pairs: BoolArray, relaxed: _Relaxed) -> bool:
        """Whether a query is divided; the best whole choice near the shares is kept if it fits."""
        effect, usage, row = self.effect, self.usage, self.row
        divided = np.unique(row[(relaxed.share > _DIVIDED) & (relaxed.share < 1 - _DIVIDED)])
        likeliest = self._take_likeliest(relaxed.share)
        kept = np.isin(row[likeliest], divided, invert=True)
        options, num_whole = [], 1
        for query in divided.tolist():
            mine = np.flatnonzero(pairs & (row == query))
            if num_whole * len(mine) > _MOST_WHOLE:
                mine = likeliest[[query]]
            num_whole *= len(mine)
            options.append(mine)
        grid = np.array(list(itertools.product(*options)), dtype=np.int64).reshape(num_whole, -1)
        used = usage[:, likeliest[kept]].sum(axis=1) + usage[:, grid].sum(axis=2).T
        total = effect[likeliest[kept]].sum() + effect[grid].sum(axis=1)
        fits = (used <= self.question.most * (1 + self.question.rounding)).all(axis=1)
        total = np.where(fits, total, -np.inf)
        best = int(total.argmax())
        if total[best] > self.total:
            self.total = float(total[best])
            self.columns = self.column[likeliest]
            self.columns[row[grid[best]]] = self.column[grid[best]]
        return len(divided) > 0

    def _take_likeliest(self, share: FloatArray) -> IntArray:
        """(num_queries,) positions of the pairs with the largest share of each query."""
        order = np.lexsort((np.arange(len(share)), -share, self.row))
        first = np.concatenate([[True], np.diff(self.row[order]) > 0])
        likeliest: IntArray = order[first]
        return likeliest

    def _branch(self, pairs: BoolArray, relaxed: _Relaxed) -> list[BoolArray]:
        """The node with one pair taken, and the node without it."""
        part = np.where(relaxed.share < 1 - _DIVIDED, relaxed.share, 0.0)
        pair = int(part.argmax())
        without, others = pairs.copy(), pairs & (self.row == self.row[pair])
        without[pair] = False
        others[pair] = False
        return [pairs & ~others, without]
