"""Which of many correlated means are off beyond a common shift, with one error rate for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from graphrouter.types import FloatArray

NUM_DRAWS = 4000
"""Draws of what chance alone does; the smallest p-value is 1 / (NUM_DRAWS + 1)."""


class Contrasts(NamedTuple):
    """What to test, observed and drawn: differences from a shift in common."""

    value: FloatArray
    """(num_tests,)."""
    draws: FloatArray
    """(num_draws, num_tests) the same under no change."""
    shift: float
    """The shift in common that was taken off the observed values."""

    @property
    def spread(self) -> FloatArray:
        """(num_tests,) standard deviation of each contrast under no change, above 0."""
        return np.asarray(np.maximum(self.draws.std(axis=0), 1e-12))


@dataclass(frozen=True, eq=False)
class Chance:
    """Draws of mean zero with a given covariance: how far means stray when nothing has changed."""

    draws: FloatArray
    """(num_draws, num_means)."""

    @classmethod
    def of(cls, covariance: FloatArray, *, num_draws: int = NUM_DRAWS, seed: int = 0) -> Chance:
        """Normal draws of a positive semi-definite covariance (num_means, num_means)."""
        try:
            root = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            # Means that move together leave it singular, and rounding then puts it below.
            values, vectors = np.linalg.eigh(covariance)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
        return cls(
            np.random.default_rng(seed).standard_normal((num_draws, len(covariance))) @ root.T
        )

    def contrasts(self, means: FloatArray, weights: FloatArray) -> Contrasts:
        """Weighted means less the shift that they share, observed and drawn.

        Args:
            means: (num_means,) observed, as the columns of `draws`.
            weights: (num_tests, num_means) which means make up each test.
        """
        value = weights @ means
        shift = float(find_common_shift(value[None, :])[0])
        # Drawn around the observed shift: how the shift is estimated depends on where it lies.
        draws = shift + self.draws @ weights.T
        return Contrasts(value - shift, draws - find_common_shift(draws)[:, None], shift)


def find_common_shift(values: FloatArray) -> FloatArray:
    """The median of each row.

    For an even number of columns the point nearest to zero between the two middle values.

    A median stays where it is when fewer than half of the values move. Of two values of which one
    has moved, it is the other.

    Args:
        values: (num_rows, num_columns). A single column has nothing in common with others: its
            shift is 0.

    Example:
        >>> find_common_shift(np.array([[0.3, 0.0, -0.1], [0.2, 0.3, 0.1]])).tolist()
        [0.0, 0.2]
        >>> find_common_shift(np.array([[0.3, 0.0], [0.2, 0.3], [-0.1, 0.1]])).tolist()
        [0.0, 0.2, 0.0]
    """
    count = values.shape[1]
    if count < 2:
        return np.zeros(len(values))
    ordered = np.sort(values, axis=1)
    middle: FloatArray = np.clip(0.0, ordered[:, (count - 1) // 2], ordered[:, count // 2])
    return middle


def adjust_p_values(score: FloatArray, draws: FloatArray) -> FloatArray:
    """Two-sided p-value of each test, (num_tests,).

    Any false alarm among them is as rare as the level says.

    Step-down maxT: Westfall and Young, "Resampling-Based Multiple Testing" (1993), algorithm 2.8.
    The largest score is compared with the largest of each draw, the next with the largest of those
    left, and so on.

    Args:
        score: (num_tests,) standardised statistics.
        draws: (num_draws, num_tests) the same under no change.

    Example:
        >>> draws = np.random.default_rng(0).standard_normal((999, 3))
        >>> (adjust_p_values(np.array([9.0, 0.1, -0.2]), draws) < 0.05).tolist()
        [True, False, False]
    """
    order = np.argsort(-np.abs(score), kind="stable")
    # From the smallest score up: the largest draw among the tests that are not larger.
    largest = np.maximum.accumulate(np.abs(draws[:, order[::-1]]), axis=1)[:, ::-1]
    exceeded = (largest >= np.abs(score[order])).sum(axis=0)
    p_values = np.empty(len(score))
    p_values[order] = np.maximum.accumulate((1 + exceeded) / (1 + len(draws)))
    return p_values
