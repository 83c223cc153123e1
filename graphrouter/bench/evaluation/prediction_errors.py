"""How far predictions are from outcomes. Pure array functions.

A pair with NaN on either side is skipped.

Every metric comes twice: as losses of pairs or sums of queries, which the bootstrap resamples, and
as one number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphrouter.training.effect_scores import NUM_BINS, calibration_sums, divide, mean_of_known
from graphrouter.types import FloatArray


def brier_of_pairs(probability: FloatArray, effect: FloatArray) -> FloatArray:
    """Squared error of each pair, same shape; NaN where either side is NaN."""
    return np.asarray((probability - effect) ** 2)


def log_error_of_pairs(predicted: FloatArray, observed: FloatArray, *, floor: float) -> FloatArray:
    """Natural log of predicted / observed for each pair, same shape; NaN where either side is NaN.

    Args:
        predicted: Expected amount >= 0, any shape and unit.
        observed: Observed amount, same shape and unit.
        floor: Smaller amounts count as this much: a free call has no logarithm.
    """
    return np.asarray(np.log(np.maximum(predicted, floor)) - np.log(np.maximum(observed, floor)))


def brier(probability: FloatArray, effect: FloatArray) -> float:
    """Mean squared error of the expected effect over the observed pairs.

    NaN without any (Brier, 1950).
    """
    return mean_of_known(brier_of_pairs(probability, effect))


def log_rmse(predicted: FloatArray, observed: FloatArray, *, floor: float = 1e-9) -> float:
    """Root mean square of log(predicted / observed) over the observed pairs; NaN without any.

    0.69 means: typically off by a factor of two. For `floor` see `log_error_of_pairs`.
    """
    return float(np.sqrt(mean_of_known(log_error_of_pairs(predicted, observed, floor=floor) ** 2)))


class ReliabilityBins(NamedTuple):
    """Expected against observed effect, over equal-width bins of the expected effect."""

    expected: FloatArray
    """(num_bins,) mean expected effect; NaN for an empty bin."""
    observed: FloatArray
    """(num_bins,) mean observed effect; NaN for an empty bin."""
    num_pairs: FloatArray
    """(num_bins,) pairs in each bin."""


def reliability_bins(
    probability: FloatArray, effect: FloatArray, *, num_bins: int = NUM_BINS
) -> ReliabilityBins:
    """The points of a reliability plot (Guo et al., 2017, figure 1).

    The bins are those that `expected_calibration_error` averages.

    Args:
        probability: Expected effect in [0, 1] or NaN, any shape.
        effect: Observed effect in [0, 1] or NaN, same shape.
        num_bins: Number of equal-width bins over [0, 1].

    Example:
        >>> expected, observed = np.array([0.2, 0.4, 0.9]), np.array([0.0, 1.0, 1.0])
        >>> bins = reliability_bins(expected, observed, num_bins=2)
        >>> bins.expected.round(2).tolist(), bins.observed.tolist(), bins.num_pairs.tolist()
        ([0.3, 0.9], [0.5, 1.0], [2.0, 1.0])
    """
    sums = calibration_sums(probability.reshape(1, -1), effect.reshape(1, -1), num_bins=num_bins)[0]
    expected, observed, count = np.split(sums, 3)
    return ReliabilityBins(divide(expected, count), divide(observed, count), count)


def kendall_tau_of_queries(predicted: FloatArray, observed: FloatArray) -> FloatArray:
    """Kendall's tau-b of each query's models, (num_queries,), in [-1, 1].

    How well the expected effects rank the models of a query: (concordant - discordant) pairs of
    models over sqrt(pairs not tied in the one * pairs not tied in the other) (Kendall, "The
    treatment of ties in ranking problems", 1945). NaN where either side ties all models, as on a
    query that all of them solve.

    Args:
        predicted: (num_queries, num_models) expected effect; NaN = not predicted.
        observed: (num_queries, num_models) observed effect; NaN = not observed.
    """
    known = np.isfinite(predicted) & np.isfinite(observed)
    # Models first: each model is compared with those before it, rows of memory at a time.
    first, second = (
        np.ascontiguousarray(np.where(known, values, np.nan).T) for values in (predicted, observed)
    )
    agreement, untied_first, untied_second = np.zeros((3, len(predicted)))
    for model in range(1, len(first)):
        signs = [_order(values[:model], values[model]) for values in (first, second)]
        agreement += (signs[0] * signs[1]).sum(axis=0)
        untied_first += np.abs(signs[0]).sum(axis=0)
        untied_second += np.abs(signs[1]).sum(axis=0)
    return divide(agreement, np.sqrt(untied_first * untied_second))


def kendall_tau(predicted: FloatArray, observed: FloatArray) -> float:
    """Mean of `kendall_tau_of_queries` over the queries where it is defined; NaN without any.

    Example:
        >>> expected = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1]])
        >>> round(kendall_tau(expected, np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])), 4)
        0.8165
    """
    return mean_of_known(kendall_tau_of_queries(predicted, observed))


def _order(values: FloatArray, other: FloatArray) -> NDArray[np.int8]:
    """1 where above the other, -1 where below, 0 where equal or unknown; same shape as `values`."""
    return (values > other).astype(np.int8) - (values < other).astype(np.int8)
