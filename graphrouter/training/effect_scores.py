"""Cross entropy and calibration error of expected effects, for training and for evaluation."""

from __future__ import annotations

import numpy as np

from graphrouter.types import FloatArray

PROBABILITY_MARGIN = 1e-6
"""Probabilities are clipped this far off 0 and 1, so that one certain mistake costs a finite log
loss."""
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
