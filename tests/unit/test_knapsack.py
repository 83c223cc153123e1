"""One budget: the total of trying everything, never beyond the budget, never above the bound."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.knapsack import list_hull_steps, solve_one_budget
from graphrouter.types import BoolArray, FloatArray, IntArray

ROUNDING = 1e-9


class Instance(NamedTuple):
    """A batch small enough to try everything."""

    effect: FloatArray
    usage: FloatArray
    is_open: BoolArray

    @property
    def cheapest(self) -> float:
        return float(np.where(self.is_open, self.usage, np.inf).min(axis=1).sum())

    @property
    def dearest(self) -> float:
        return float(np.where(self.is_open, self.usage, -np.inf).max(axis=1).sum())

    def total(self, values: FloatArray, columns: IntArray) -> float:
        return float(values[np.arange(len(columns)), columns].sum())

    def find_best(self, budget: float) -> float:
        """The highest total effect of all choices that fit."""
        everything = itertools.product(*(row.nonzero()[0] for row in self.is_open))
        return max(
            self.total(self.effect, np.array(columns))
            for columns in everything
            if self.total(self.usage, np.array(columns)) <= budget * (1 + 1e-12)
        )


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    """With ties, free models and closed ones: numbers are multiples of a tenth half of the time."""
    num_queries, num_models = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    shape, seed = (num_queries, num_models), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    if draw(st.booleans()):
        effect, usage = random.integers(0, 6, shape) / 5, random.integers(0, 6, shape) / 10
    else:
        effect, usage = random.random(shape), random.random(shape)
    is_open = random.random(shape) < 0.8
    is_open[np.arange(num_queries), random.integers(0, num_models, num_queries)] = True
    return Instance(effect, usage, is_open)


@given(batch=instances(), share=st.floats(0, 1.2))
def test_the_total_is_that_of_trying_everything(batch: Instance, share: float) -> None:
    budget = batch.cheapest + share * (batch.dearest - batch.cheapest)
    solution = solve_one_budget(batch.effect, batch.usage, batch.is_open, budget)
    total, best = batch.total(batch.effect, solution.columns), batch.find_best(budget)
    assert batch.is_open[np.arange(len(batch.effect)), solution.columns].all()
    assert batch.total(batch.usage, solution.columns) <= budget * (1 + ROUNDING)
    assert total == pytest.approx(best, abs=1e-9)
    assert solution.bound >= best - 1e-9


@given(batch=instances(), share=st.floats(0, 1))
def test_the_bound_is_the_dual_at_the_shadow_price(batch: Instance, share: float) -> None:
    """Written down here again: price * budget + sum of the best profits at that price."""
    budget = batch.cheapest + share * (batch.dearest - batch.cheapest)
    solution = solve_one_budget(batch.effect, batch.usage, batch.is_open, budget)
    price = solution.prices[0]
    profit = np.where(batch.is_open, batch.effect - price * batch.usage, -np.inf)
    assert solution.bound == pytest.approx(price * budget + profit.max(axis=1).sum(), abs=1e-9)
    assert price >= 0


@given(batch=instances())
def test_steps_climb_and_their_slopes_fall(batch: Instance) -> None:
    steps = list_hull_steps(batch.effect, batch.usage, batch.is_open)
    assert (steps.usage > 0).all()
    assert (steps.gain > 0).all()
    for query in range(len(batch.effect)):
        of_query = steps.query == query
        assert (np.diff(steps.slope[of_query]) <= 0).all()
        assert batch.is_open[query, steps.column[of_query]].all()


def test_by_hand() -> None:
    """A second dollar buys 0.4 on the first query and 0.3 on the second; there is one to spare."""
    effect, usage = np.array([[0.2, 0.6], [0.5, 0.8]]), np.array([[1.0, 2.0], [1.0, 2.0]])
    solution = solve_one_budget(effect, usage, np.ones((2, 2), bool), 3.0)
    assert solution.columns.tolist() == [1, 0]
    assert solution.prices.tolist() == pytest.approx([0.3])
    assert solution.bound == pytest.approx(1.1)


def test_what_is_left_is_filled_beyond_the_greedy_steps() -> None:
    """Steps by slope take the small one first, and the great one then fits no more."""
    effect = np.array([[0.0, 0.2], [0.0, 0.9]])
    usage = np.array([[0.0, 1.0], [0.0, 5.0]])
    solution = solve_one_budget(effect, usage, np.ones((2, 2), bool), 5.0)
    assert solution.columns.tolist() == [0, 1]


def test_a_budget_that_does_not_bind_has_no_price() -> None:
    effect, usage = np.array([[0.2, 0.6, 0.6]]), np.array([[1.0, 3.0, 2.0]])
    solution = solve_one_budget(effect, usage, np.ones((1, 3), bool), 10.0)
    assert (solution.columns.tolist(), solution.prices.tolist()) == ([2], [0.0])
    assert solution.bound == 0.6


def test_a_budget_of_nothing_takes_what_is_free() -> None:
    effect, usage = np.array([[0.2, 0.6], [0.1, 0.3]]), np.array([[0.0, 1.0], [0.0, 0.0]])
    solution = solve_one_budget(effect, usage, np.ones((2, 2), bool), 0.0)
    assert solution.columns.tolist() == [0, 1]


def test_a_large_batch_comes_near_its_bound() -> None:
    random = np.random.default_rng(0)
    effect = random.random((3000, 20))
    usage = np.exp(random.normal(size=(3000, 20))) * 1e-4
    budget = 1.5 * float(usage.min(axis=1).sum())
    solution = solve_one_budget(effect, usage, np.ones(effect.shape, bool), budget)
    rows = np.arange(3000)
    total = float(effect[rows, solution.columns].sum())
    assert total >= solution.bound * (1 - 1e-5)
    assert usage[rows, solution.columns].sum() <= budget * (1 + ROUNDING)


def test_equal_queries_share_a_budget() -> None:
    """All steps have one slope: as many are taken as fit."""
    effect, usage = np.tile([0.4, 0.9], (500, 1)), np.tile([1.0, 3.0], (500, 1))
    solution = solve_one_budget(effect, usage, np.ones((500, 2), bool), 701.0)
    assert int(solution.columns.sum()) == 100
