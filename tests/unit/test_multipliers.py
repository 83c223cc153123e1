"""Several limits: the same total as trying everything on few queries, near the bound on many."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.exceptions import PolicyError
from graphrouter.multipliers import Limit, find_least, solve_limits
from graphrouter.types import FloatArray, IntArray


def total(values: FloatArray, columns: IntArray) -> float:
    return float(values[np.arange(len(columns)), columns].sum())


def fits(limits: list[Limit], columns: IntArray) -> bool:
    return all(total(each.usage, columns) <= each.most * (1 + 1e-9) + 1e-9 for each in limits)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_queries=st.integers(1, 5),
    num_models=st.integers(1, 4),
    tight=st.floats(0, 1),
    calls=st.integers(0, 5),
)
def test_dollars_seconds_and_calls_as_by_trying_everything(
    seed: int, num_queries: int, num_models: int, tight: float, calls: int
) -> None:
    random = np.random.default_rng(seed)
    shape = (num_queries, num_models)
    effect = random.random(shape)
    is_first = np.zeros(shape)
    is_first[:, 0] = 1.0
    limits = [Limit(is_first, float(calls))]
    for _ in range(2):
        usage = random.integers(0, 6, shape) / 10 if seed % 2 else random.random(shape)
        low, high = usage.min(axis=1).sum(), usage.max(axis=1).sum()
        limits.append(Limit(usage, float(low + tight * (high - low))))
    is_open = random.random(shape) < 0.8
    is_open[np.arange(num_queries), random.integers(0, num_models, num_queries)] = True
    everything = map(np.array, itertools.product(*(row.nonzero()[0] for row in is_open)))
    totals = [total(effect, columns) for columns in everything if fits(limits, columns)]
    if not totals:
        with pytest.raises(PolicyError):
            solve_limits(effect, is_open, limits)
        return
    solution = solve_limits(effect, is_open, limits)
    assert fits(limits, solution.columns)
    assert total(effect, solution.columns) == pytest.approx(max(totals), abs=1e-9)
    assert solution.bound >= max(totals) - 1e-9
    assert (solution.prices >= 0).all()


def test_a_large_batch_comes_near_its_bound() -> None:
    random = np.random.default_rng(0)
    shape = (2000, 12)
    effect, cost = random.random(shape), np.exp(random.normal(size=shape)) * 1e-4
    seconds, is_best = np.exp(random.normal(size=shape)), np.zeros(shape)
    is_best[:, 3] = 1.0
    limits = [
        Limit(cost, 2 * float(cost.min(axis=1).sum())),
        Limit(seconds, 2 * float(seconds.min(axis=1).sum())),
        Limit(is_best, 100.0),
    ]
    solution = solve_limits(effect, np.ones(shape, bool), limits)
    assert fits(limits, solution.columns)
    assert total(effect, solution.columns) >= solution.bound * (1 - 1e-4)


def test_without_limits_the_best_of_each_query_is_taken() -> None:
    solution = solve_limits(np.array([[0.2, 0.9], [0.7, 0.1]]), np.ones((2, 2), bool), [])
    assert (solution.columns.tolist(), solution.bound) == ([1, 0], 1.6)


@pytest.mark.parametrize("num_limits", [0, 1, 2])
def test_no_queries_are_no_trouble(num_limits: int) -> None:
    nothing = np.zeros((0, 3))
    solution = solve_limits(nothing, nothing.astype(bool), [Limit(nothing, 1.0)] * num_limits)
    assert (solution.columns.tolist(), solution.bound) == ([], 0.0)


def test_limits_that_exclude_each_other_are_refused() -> None:
    """The cheap model is slow: each limit can be kept, both together cannot."""
    cost, seconds = np.array([[1.0, 9.0]] * 4), np.array([[9.0, 1.0]] * 4)
    limits = [Limit(cost, 5.0), Limit(seconds, 5.0)]
    everything = np.ones((4, 2), bool)
    with pytest.raises(PolicyError, match="keeps all limits together, though each can"):
        solve_limits(np.full((4, 2), 0.5), everything, limits)
    assert find_least(cost, everything, [limits[1]]) == pytest.approx(36 - 8 * 0.125, abs=1.0)
    assert find_least(cost, everything, [Limit(seconds, 1.0), limits[1]]) == np.inf


def test_a_limit_of_next_to_nothing_is_no_trouble() -> None:
    effect, everything = np.array([[0.1, 0.5]]), np.ones((1, 2), dtype=bool)
    limits = [
        Limit(np.array([[1.0, 0.0]]), 0.0),
        Limit(np.array([[0.3, 0.3]]), 0.3),
        Limit(np.array([[0.4, 0.0]]), 5e-39),
    ]
    assert solve_limits(effect, everything, limits).columns.tolist() == [1]
