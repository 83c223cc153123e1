"""Cross entropy, calibration error and intervals of expected effects, held against outcomes.

For training and for evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphrouter.scoring.effects import Z_80
from graphrouter.types import BoolArray, FloatArray

PROBABILITY_MARGIN = 1e-6
"""Probabilities are clipped this far off 0 and 1, so that one certain mistake costs a finite log
loss."""
FEWEST_OUTCOMES = 15
"""A mean over fewer outcomes says too little to be compared with an interval."""
NUM_BINS = 15
"""Bins of the calibration error and of the reliability plot."""


def log_loss_of_pairs(probability: FloatArray, effect: FloatArray) -> FloatArray:
    """Cross entropy of each pair in nats, same shape; NaN where either side is NaN.

    Args:
        probability: Expected effect in [0, 1], any shape.
        effect: Observed effect in [0, 1], soft values allowed, same shape.
    """
    clipped = np.clip(probability, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return np.asarray(-(effect * np.log(clipped) + (1 - effect) * np.log1p(-clipped)))


def log_loss(probability: FloatArray, effect: FloatArray) -> float:
    """Mean cross entropy in nats over the observed pairs; NaN without any.

    Example:
        >>> round(log_loss(np.array([0.5, 0.9]), np.array([1.0, np.nan])), 4)
        0.6931
    """
    return mean_of_known(log_loss_of_pairs(probability, effect))


def mean_of_known(values: FloatArray) -> float:
    """Mean of the finite values, any shape; NaN without any."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def expected_calibration_error(
    probability: FloatArray, effect: FloatArray, *, num_bins: int = NUM_BINS
) -> float:
    """Mean distance of expected and observed effect over equal-width bins, weighted by their pairs.

    NaN without any.

    Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3.
    """
    bins = calibration_sums(probability.reshape(1, -1), effect.reshape(1, -1), num_bins=num_bins)
    return float(calibration_error_of_sums(bins)[0])


def calibration_sums(
    probability: FloatArray, effect: FloatArray, *, num_bins: int = NUM_BINS
) -> FloatArray:
    """What each query adds to the calibration bins, (num_queries, 3 * num_bins).

    The first num_bins columns sum the expected effect, the next the observed effect, the last count
    the pairs.

    Args:
        probability: (num_queries, num_models), in [0, 1] or NaN.
        effect: (num_queries, num_models), in [0, 1] or NaN.
        num_bins: Number of equal-width bins over [0, 1].
    """
    num_queries = len(probability)
    rows, columns = np.nonzero(np.isfinite(probability) & np.isfinite(effect))
    expected, observed = probability[rows, columns], effect[rows, columns]
    cell = rows * num_bins + np.minimum((expected * num_bins).astype(np.int64), num_bins - 1)
    size = num_queries * num_bins
    sums = [
        np.bincount(cell, weights=weights, minlength=size)
        for weights in (expected, observed, np.ones(len(rows)))
    ]
    return np.hstack([part.reshape(num_queries, num_bins) for part in sums])


def calibration_error_of_sums(sums: FloatArray) -> FloatArray:
    """Expected calibration error of each row of bin sums; NaN without pairs.

    (num_draws, 3 * num_bins) to (num_draws,).
    """
    expected, observed, count = np.split(sums, 3, axis=1)
    return divide(np.abs(expected - observed).sum(axis=1), count.sum(axis=1))


def divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """The quotient, and NaN where the denominator is not above 0."""
    quotient = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


@dataclass(frozen=True, eq=False)
class Cells:
    """Models on groups of queries, as means: what was observed and what was expected.

    G groups, B queries, M models.

    What is not known of a model is the same for all of its queries; so the interval of a cell runs
    from the mean of the lower ends to that of the upper ends. The observed mean has a sampling
    noise of its own, which must not pass for ignorance.
    """

    share: FloatArray
    """(G, B) what each query counts for in the sums of a group: 1 or 0."""
    is_observed: BoolArray
    """(B, M)."""
    num_outcomes: FloatArray
    """(G, M)."""
    observed: FloatArray
    """(G, M) mean observed effect; NaN without an outcome."""
    expected: FloatArray
    """(G, M) mean expected effect of the pairs that were observed."""
    noise: FloatArray
    """(G, M) standard deviation of the observed mean around the true one: sqrt(sum p (1 - p)) /
    count."""

    @classmethod
    def of(cls, observed: FloatArray, expected: FloatArray, groups: BoolArray) -> Cells:
        """The cells of outcomes and of what was expected.

        Args:
            observed: (B, M) effects, NaN where not observed.
            expected: (B, M) expected effects.
            groups: (G, B) which queries are in each group.

        Example:
            >>> effect = np.array([[1.0], [0.0], [np.nan]])
            >>> expected = np.array([[0.5], [0.5], [0.9]])
            >>> cells = Cells.of(effect, expected, np.ones((1, 3), dtype=bool))
            >>> cells.num_outcomes.item(), cells.observed.item(), round(cells.noise.item(), 3)
            (2.0, 0.5, 0.354)
        """
        share, known = groups.astype(np.float64), np.isfinite(observed)
        count = share @ known
        some = np.where(count > 0, count, np.nan)
        variance = share @ np.where(known, expected * (1 - expected), 0.0)
        reached, promised = (
            share @ np.where(known, values, 0.0) / some for values in (observed, expected)
        )
        return cls(share, known, count, reached, promised, np.sqrt(variance) / some)

    @property
    def is_counted(self) -> BoolArray:
        """(G, M) enough outcomes to compare."""
        return self.num_outcomes >= FEWEST_OUTCOMES

    def average_ends(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means of the ends (B, M) of the pairs that were observed: (G, M) each."""
        some = np.where(self.num_outcomes > 0, self.num_outcomes, np.nan)
        lower, upper = (
            self.share @ np.where(self.is_observed, each, 0.0) / some for each in (low, high)
        )
        return lower, upper

    def check_coverage(self, low: FloatArray, high: FloatArray) -> BoolArray:
        """(G, M) whether the observed mean lies in the interval.

        Its sampling noise is added in quadrature to either half-width.
        """
        lower, upper = self.average_ends(low, high)
        noise = Z_80 * self.noise
        below, above = (
            np.hypot(self.expected - lower, noise),
            np.hypot(upper - self.expected, noise),
        )
        return (self.observed >= self.expected - below) & (self.observed <= self.expected + above)


def group_queries(tasks: Sequence[object]) -> BoolArray:
    """Masks of all queries, then of each task where there are several: (num_groups, num_queries).

    None and -1 = unknown.

    Example:
        >>> group_queries(["law", None, "maths"]).astype(int).tolist()
        [[1, 1, 1], [1, 0, 0], [0, 0, 1]]
    """
    named = list(dict.fromkeys(task for task in tasks if task is not None and task != -1))
    of_task = [[task == name for task in tasks] for name in named] if len(named) > 1 else []
    return np.array([[True] * len(tasks), *of_task], dtype=bool)
