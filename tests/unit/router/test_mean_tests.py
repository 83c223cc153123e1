"""Tests of means keep their error at any number of values, and find what is plain to see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from graphrouter.router.mean_tests import bet_on_means, compare_wins, estimate_num_values
from graphrouter.types import FloatArray

NUM_STUDIES = 4000


def draw_differences(
    rng: np.random.Generator, size: tuple[int, int], *, keep: float, same: float, edge: float = 0.0
) -> FloatArray:
    """Effects minus `keep` times those of a reference that solves 0.8, their mean `edge`.

    The two are the same outcome on a share of the queries.
    """
    reference = rng.random(size) < 0.8
    chance = (edge + keep * 0.8 - same * 0.8) / (1 - same)
    chosen = np.where(rng.random(size) < same, reference, rng.random(size) < chance)
    return np.asarray(chosen - keep * reference, dtype=np.float64)


def at_most(error: float) -> int:
    """Rejections that a valid test does not exceed in 999 of 1000 such simulations."""
    return int(binom.ppf(0.999, NUM_STUDIES, error))


@pytest.mark.parametrize("error", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("num_values", [5, 40, 300])
@pytest.mark.parametrize(("keep", "same"), [(0.99, 0.7), (0.95, 0.9), (0.5, 0.0)])
def test_a_mean_of_zero_is_found_to_be_above_as_rarely_as_the_level_says(
    error: float, num_values: int, keep: float, same: float
) -> None:
    values = draw_differences(
        np.random.default_rng(0), (num_values, NUM_STUDIES), keep=keep, same=same
    )
    found = bet_on_means(values, -keep, error=error)
    assert (found <= error).sum() <= at_most(error)


@pytest.mark.parametrize("level", [0.01, 0.05, 0.3])
def test_the_p_value_is_valid_at_levels_it_was_not_made_for(level: float) -> None:
    values = draw_differences(np.random.default_rng(1), (200, NUM_STUDIES), keep=0.95, same=0.7)
    assert (bet_on_means(values, -0.95, error=0.05) <= level).sum() <= at_most(level)


def test_rare_and_large_losses_do_not_fool_it() -> None:
    """What the normal test falls for: with few values no loss is seen, and nothing varies."""
    rng = np.random.default_rng(2)
    values = np.where(rng.random((100, NUM_STUDIES)) < 0.01, -0.99, 0.01)
    normal = np.sqrt(100) * values.mean(axis=0) / np.maximum(values.std(axis=0), 1e-9) > 1.645
    assert normal.mean() > 0.3
    assert (bet_on_means(values, -0.99, error=0.05) <= 0.05).sum() <= at_most(0.05)


def test_with_many_values_it_finds_nearly_what_the_normal_test_finds() -> None:
    values = draw_differences(
        np.random.default_rng(3), (1000, 1000), keep=0.99, same=0.6, edge=0.03
    )
    normal = (np.sqrt(1000) * values.mean(axis=0) / values.std(axis=0) > 1.645).mean()
    found = (bet_on_means(values, -0.99, error=0.05) <= 0.05).mean()
    assert 0.75 < normal - 0.1 < found <= normal


def test_values_that_are_all_lowest_leave_a_capital_of_nothing_and_a_p_value_of_one() -> None:
    assert bet_on_means(np.full((50, 1), -1.0), -1.0, error=0.05).tolist() == [1.0]
    assert bet_on_means(np.zeros((50, 1)), -1.0, error=0.05).tolist() == [1.0]
    assert bet_on_means(np.empty((0, 2)), -1.0, error=0.05).tolist() == [1.0, 1.0]


def test_each_column_is_tested_by_itself() -> None:
    values = draw_differences(np.random.default_rng(4), (80, 6), keep=0.9, same=0.5, edge=0.1)
    lows = np.array([-0.9, -0.9, -0.95, -1.0, -1.0, -0.9])
    alone = [bet_on_means(values[:, [i]], float(lows[i]), error=0.05)[0] for i in range(len(lows))]
    np.testing.assert_allclose(bet_on_means(values, lows, error=0.05), alone, rtol=1e-12)


@given(st.integers(0, 400), st.integers(0, 400))
def test_wins_are_compared_by_the_exact_sign_test(num_wins: int, num_losses: int) -> None:
    expected = 1.0
    if num_wins:
        expected = binomtest(num_wins, num_wins + num_losses, alternative="greater").pvalue
    assert compare_wins(num_wins, num_losses) == pytest.approx(expected, rel=1e-9)


def test_more_wins_are_more_sure() -> None:
    found = [compare_wins(wins, 20) for wins in range(41)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("keep", "edge"), [(0.99, 0.02), (0.95, 0.05), (0.9, 0.1)])
def test_the_estimated_number_is_enough_in_most_cases(keep: float, edge: float) -> None:
    rng = np.random.default_rng(5)
    seen = draw_differences(rng, (20_000, 1), keep=keep, same=0.7, edge=edge)[:, 0]
    number = estimate_num_values(seen, -keep, error=0.05)
    assert number is not None
    again = draw_differences(rng, (number, 500), keep=keep, same=0.7, edge=edge)
    assert 0.65 < (bet_on_means(again, -keep, error=0.05) <= 0.05).mean() < 0.95


def test_values_that_do_not_vary_still_take_some() -> None:
    number = estimate_num_values(np.full(9, 0.01), -0.99, error=0.05)
    assert number is not None
    assert number == pytest.approx(np.log(20) * 0.99 / 0.9 / 0.01, rel=0.01)


def test_no_number_is_enough_for_a_mean_that_is_not_above_zero() -> None:
    assert estimate_num_values(np.array([1.0, -1.0]), -1.0, error=0.05) is None
