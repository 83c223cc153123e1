"""Branch and bound: the same as trying everything, and true bounds where it is cut short."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import eye_array, kron

from graphrouter import branching
from graphrouter.branching import Question, branch_and_bound
from graphrouter.multipliers import Limit, solve_limits
from graphrouter.types import FloatArray, IntArray


def ask(effect: FloatArray, usage: FloatArray, most: FloatArray) -> Question:
    """Without prices: what a model loses is what it is below the best of its query."""
    best = effect.max(axis=1, keepdims=True)
    return Question(effect, usage, most, best - effect, float(best.sum()), 1e-12)


def total(values: FloatArray, columns: IntArray) -> float:
    return float(values[np.arange(len(columns)), columns].sum())


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_queries=st.integers(1, 6),
    num_models=st.integers(1, 4),
    num_limits=st.integers(1, 3),
    tight=st.floats(0.1, 0.9),
    is_coarse=st.booleans(),
)
def test_the_best_choice_as_by_trying_everything(
    seed: int, num_queries: int, num_models: int, num_limits: int, tight: float, is_coarse: bool
) -> None:
    random = np.random.default_rng(seed)
    shape = (num_queries, num_models)
    usage = random.integers(0, 4, (num_limits, *shape)) / 3 / num_queries
    effect = random.integers(0, 4, shape) / 4 if is_coarse else random.random(shape)
    most = np.full(num_limits, tight)
    everything = map(np.array, itertools.product(range(num_models), repeat=num_queries))
    totals = [
        total(effect, columns)
        for columns in everything
        if all(total(each, columns) <= tight * (1 + 1e-12) for each in usage)
    ]
    found = branch_and_bound(ask(effect, usage, most), None)
    if not totals:
        assert found.columns is None
        return
    assert found.columns is not None
    assert total(effect, found.columns) == pytest.approx(max(totals), abs=1e-8)
    assert found.bound == pytest.approx(max(totals), abs=1e-8)


def test_cut_short_it_keeps_what_there_is_and_its_bound_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    effect, usage = random.random((40, 4)), random.random((2, 40, 4)) / 20
    question = ask(effect, usage, np.array([0.8, 0.7]))
    exact = branch_and_bound(question, None)
    assert exact.columns is not None
    for most_nodes in (1, 2, 5):
        monkeypatch.setattr(branching, "_MOST_NODES", most_nodes)
        cut = branch_and_bound(question, exact.columns)
        assert cut.columns is exact.columns
        assert cut.bound >= exact.bound


@pytest.mark.parametrize("seed", range(6))
def test_small_batches_come_as_near_as_a_solver_of_integer_programmes(
    seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Dollars, seconds, and calls of two models; without branches up to .3 % are lost."""
    random, shape = np.random.default_rng(seed), (60, 4)
    hard = np.exp(random.normal(0, 0.5, (60, 1)))
    effect = np.clip(np.linspace(0.4, 0.8, 4) + random.normal(0, 0.1, shape), 0, 1)
    amounts = [np.geomspace(0.0005, 0.03, 4) * hard, np.linspace(1, 6, 4) * hard]
    limits = [
        Limit(each, float(0.7 * each.min(1).sum() + 0.3 * each.max(1).sum())) for each in amounts
    ]
    for column in (1, 2):
        is_call = np.zeros(shape)
        is_call[:, column] = 1.0
        limits.append(Limit(is_call, 12.0))
    found = solve_limits(effect, np.ones(shape, dtype=bool), limits)
    reached = milp(
        -effect.ravel(),
        constraints=[
            LinearConstraint(np.stack([each.usage.ravel() / each.most for each in limits]), ub=1.0),
            LinearConstraint(kron(eye_array(60), np.ones((1, 4))), 1.0, 1.0),
        ],
        integrality=np.ones(240),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-6, "time_limit": 20},
    )
    capfd.readouterr()  # the solver writes to standard output
    assert all(total(each.usage, found.columns) <= each.most * (1 + 1e-9) for each in limits)
    assert total(effect, found.columns) >= -reached.fun * (1 - 3e-4)
    assert -reached.fun * (1 - 1e-6) <= found.bound <= -reached.fun * 1.005


def test_choosing_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(1)
    effect, usage = random.random((40, 4)), random.random((2, 40, 4)) / 20
    branch_and_bound(ask(effect, usage, np.array([0.8, 0.7])), None)
    assert capfd.readouterr() == ("", "")
