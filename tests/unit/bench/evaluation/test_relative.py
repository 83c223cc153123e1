"""Effect relative to random choice, best single and oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from graphrouter.bench.evaluation.relative import (
    entropy_of_counts,
    find_references,
    relative_gain,
    relative_gap,
)
from graphrouter.types import FloatArray

NAN = float("nan")


def test_references_look_at_the_observed_models_alone() -> None:
    found = find_references(np.array([[1.0, 0.0, NAN], [NAN, 0.25, 0.75], [NAN, NAN, NAN]]))
    np.testing.assert_array_equal(found.random, [0.5, 0.5, NAN])
    np.testing.assert_array_equal(found.oracle, [1.0, 0.75, NAN])


def test_random_choice_agrees_with_drawing_models_at_random() -> None:
    rng = np.random.default_rng(0)
    effect = rng.random((50, 4))
    drawn = [effect[np.arange(50), rng.integers(4, size=50)].mean() for _ in range(4000)]
    assert find_references(effect).random.mean() == pytest.approx(np.mean(drawn), abs=0.003)


def test_gains_by_hand() -> None:
    """Average accuracies that LLMRouterBench publishes: random 48.8, Avengers 71.9, best model per
    dataset 73.1, oracle 91.6."""
    assert relative_gain(np.array(71.9), np.array(48.8)) == pytest.approx(0.47336, abs=1e-5)
    assert relative_gain(np.array(71.9), np.array(73.1)) == pytest.approx(-0.01642, abs=1e-5)
    assert relative_gap(np.array(71.9), np.array(91.6)) == pytest.approx(0.21507, abs=1e-5)


def test_nothing_is_relative_to_zero() -> None:
    assert math.isnan(relative_gain(np.array(0.5), np.array(0.0)))
    assert math.isnan(relative_gap(np.array(0.0), np.array(0.0)))


@given(
    arrays(np.float64, (5, 3), elements=st.floats(0, 1)),
    st.lists(st.integers(0, 2), min_size=5, max_size=5),
)
def test_the_oracle_is_never_beaten(effect: FloatArray, choices: list[int]) -> None:
    chosen, found = effect[np.arange(5), choices], find_references(effect)
    assert (found.oracle >= chosen).all()
    assert (found.oracle >= found.random - 1e-12).all()
    if found.oracle.sum() > 0:
        assert relative_gap(chosen.sum(), found.oracle.sum()) >= 0


def test_entropy_agrees_with_scipy() -> None:
    counts = np.random.default_rng(0).integers(0, 20, (30, 5)).astype(float) + 0.1
    np.testing.assert_allclose(entropy_of_counts(counts), entropy(counts, axis=1))
    assert math.isnan(entropy_of_counts(np.zeros(3)))
