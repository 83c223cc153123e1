"""RouterArena's figures, against its leaderboard and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.evaluation import arena
from graphrouter.types import BoolArray, FloatArray

NAN = float("nan")
LEADERBOARD = [
    ("MIRT-BERT", 66.88, 0.15, 66.89),
    ("Azure", 68.09, 0.54, 66.66),
    ("NIRT-BERT", 66.34, 0.21, 66.12),
    ("GPT-5", 73.96, 10.02, 64.32),
    ("R2-Router", 71.23, 0.061, 71.60),
]
"""Router, accuracy, US dollars for 1,000 queries, score: as published by RouterArena."""


@pytest.mark.parametrize(
    ("router", "accuracy", "usd", "score"), LEADERBOARD, ids=[row[0] for row in LEADERBOARD]
)
def test_the_published_scores_come_out(
    router: str, accuracy: float, usd: float, score: float
) -> None:
    found = arena.arena_score(np.array(accuracy / 100), np.array(usd / 1000))
    assert 100 * found == pytest.approx(score, abs=0.02)  # published costs have two digits


def test_cost_score_is_one_for_the_cheapest_and_zero_for_the_dearest() -> None:
    cost = np.array([0.0, 0.0044, 200.0, 5000.0]) / 1000
    np.testing.assert_allclose(arena.cost_score(cost), [1, 1, 0, 0], atol=1e-12)
    assert arena.cost_score(np.array(math.sqrt(0.0044 * 200) / 1000)) == pytest.approx(0.5)


def test_score_by_hand() -> None:
    half = math.sqrt(0.0044 * 200) / 1000
    assert arena.arena_score(np.array(0.8), np.array(half)) == pytest.approx(
        1.1 * 0.8 * 0.5 / (0.08 + 0.5)
    )
    assert arena.arena_score(np.array(0.0), np.array(1.0)) == 0.0
    assert math.isnan(arena.arena_score(np.array(NAN), np.array(1.0)))


@given(st.floats(0, 1), st.floats(0, 0.3), st.floats(0, 1), st.floats(0, 0.3))
def test_better_and_cheaper_is_never_lower(
    effect: float, cost: float, more: float, less: float
) -> None:
    better = arena.arena_score(np.array(max(effect, more)), np.array(min(cost, less)))
    assert better >= arena.arena_score(np.array(effect), np.array(cost)) - 1e-12
    assert 0 <= better <= 1


def optimality(
    effect: FloatArray, cost: FloatArray, choices: list[int], answered: BoolArray
) -> tuple[float, float, float]:
    rows = np.arange(len(effect))
    chosen, paid = (
        np.where(answered, np.nan_to_num(values[rows, choices]), 0) for values in (effect, cost)
    )
    sums = arena.collect_optimality_parts(
        chosen, paid, answered, observed_effect=effect, observed_usd=cost
    ).sum(axis=0)
    return (
        float(arena.opt_selection(sums)),
        float(arena.opt_accuracy(sums)),
        float(arena.opt_cost(sums)),
    )


def test_optimality_by_hand() -> None:
    """Optimal; solved but dear; not solved though solvable; unsolvable; nothing to choose from."""
    effect = np.array([[1.0, 1.0], [0.6, 1.0], [0.4, 1.0], [0.0, 0.2], [NAN, 1.0]])
    cost = np.array([[1.0, 4.0]] * 4 + [[1.0, NAN]])
    selection, accuracy, share = optimality(
        effect, cost, [0, 1, 0, 1, 0], np.array([True] * 4 + [False])
    )
    assert selection == pytest.approx(1 / 3)
    assert accuracy == pytest.approx((1 + 1 + 0.4 + 0.2) / (1 + 1 + 1 + 0.2))
    assert share == pytest.approx((1 + 1) / (1 + 4))


def test_the_oracle_is_optimal_and_never_beaten() -> None:
    rng = np.random.default_rng(0)
    effect = np.where(rng.random((60, 4)) < 0.2, NAN, rng.integers(0, 2, (60, 4)).astype(float))
    cost, answered = rng.uniform(0.1, 1, (60, 4)), np.asarray(np.isfinite(effect).any(axis=1))
    known = np.nan_to_num(effect, nan=-1.0)
    best = (known - 0.01 * cost).argmax(axis=1).tolist()
    assert optimality(effect, cost, best, answered) == pytest.approx((1, 1, 1))
    any_choice = [
        int(rng.choice(np.flatnonzero(np.isfinite(row)))) if np.isfinite(row).any() else 0
        for row in effect
    ]
    assert all(figure <= 1 for figure in optimality(effect, cost, any_choice, answered))


def test_equally_cheap_models_are_both_optimal() -> None:
    effect, cost = np.array([[1.0, 1.0]]), np.array([[0.3, 0.3]])
    for choice in (0, 1):
        assert optimality(effect, cost, [choice], np.array([True])) == (1, 1, 1)


def test_without_anything_solved_the_parts_are_unknown() -> None:
    found = optimality(np.array([[0.0, 0.0]]), np.array([[0.3, 0.3]]), [0], np.array([True]))
    assert all(math.isnan(figure) for figure in found)
