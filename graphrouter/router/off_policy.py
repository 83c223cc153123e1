"""What another policy would have brought, by a log of one that chose by chance.

A log says whom it asked, with which probability, and what came of it. What another policy asks is
worth what came of the rows where both ask the same, each weighed by one over its probability.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from graphrouter.exceptions import NotApplicableError
from graphrouter.types import BoolArray, FloatArray

__all__ = [
    "Estimate",
    "LoggedRewards",
    "bound_mean",
    "check_overlap",
    "doubly_robust_terms",
    "estimate_doubly_robust",
    "estimate_snips",
]

FEWEST_EFFECTIVE = 30
"""Least effective sample size of an estimate."""
_TWO_SIDED_95 = 0.975


class LoggedRewards(NamedTuple):
    """A log, one row a decision, as another policy reads it."""

    reward: FloatArray
    """(num_rows,), what came of the model that was asked."""
    agrees: BoolArray
    """(num_rows,), whether the other policy asks the same model."""
    propensity: FloatArray
    """(num_rows,), probability with which the model that was asked was to be asked, in (0, 1]."""
    target_propensity: FloatArray
    """(num_rows,), probability with which the log would have asked the other policy's model."""
    expected: FloatArray
    """(num_rows,), what is predicted of the model that was asked."""
    target_expected: FloatArray
    """(num_rows,), what is predicted of the other policy's model."""

    @property
    def weights(self) -> FloatArray:
        """(num_rows,), one over the propensity where both ask the same, else 0."""
        return np.where(self.agrees, 1.0 / self.propensity, 0.0)

    @property
    def effective_size(self) -> float:
        """Rows of equal weight that would say as much (Kish, 1965)."""
        weights = self.weights
        total = float(np.sum(weights**2))
        return float(np.sum(weights)) ** 2 / total if total else 0.0


class Estimate(NamedTuple):
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float


def check_overlap(log: LoggedRewards) -> None:
    """Refuse a log that cannot tell of another policy.

    Args:
        log: As that policy reads it.

    Raises:
        NotApplicableError: It asks a model that had no chance, or too little of the log agrees.
    """
    lacking = int(np.sum(log.target_propensity <= 0))
    if lacking:
        raise NotApplicableError(
            f"The other policy asks a model that had no chance in {lacking:,} of "
            f"{len(log.reward):,} decisions, so nothing is known of what would have come of them. "
            "Serve with --explore and --explore-by uniform for a while, or ask for less of a "
            "change."
        )
    if log.effective_size < FEWEST_EFFECTIVE:
        raise NotApplicableError(
            f"{int(np.sum(log.agrees)):,} of {len(log.reward):,} decisions agree with the other "
            f"policy, and say as much as {log.effective_size:.1f} equal ones; expected at least "
            f"{FEWEST_EFFECTIVE}. Grade or explore more."
        )


def estimate_snips(log: LoggedRewards) -> Estimate:
    """The self-normalised estimate: the weighted mean of what came where both ask the same.

    Swaminathan and Joachims, "The self-normalized estimator for counterfactual learning", 2015; its
    variance is that of the ratio, by its linear part (Owen, "Monte Carlo theory", 2013, eq. 9.8),
    with Student's t at the effective sample size.

    Args:
        log: As the other policy reads it.
    """
    weights = log.weights
    share = weights / weights.sum()
    value = float(share @ log.reward)
    size = log.effective_size
    error = float(np.sqrt(np.sum(share**2 * (log.reward - value) ** 2) * size / (size - 1)))
    return _bound(value, error, size - 1)


def estimate_doubly_robust(log: LoggedRewards) -> Estimate:
    """The doubly robust estimate: what is predicted, and what the log says against the predictions.

    Dudik, Langford and Li, "Doubly robust policy evaluation and learning", 2011, eq. 1. It is right
    on average where propensities are, however wrong the predictions; good ones make it sure.

    Args:
        log: As the other policy reads it.
    """
    return bound_mean(doubly_robust_terms(log), log.effective_size - 1)


def doubly_robust_terms(log: LoggedRewards) -> FloatArray:
    """What each row adds to the mean of `estimate_doubly_robust`, (num_rows,).

    Args:
        log: As the other policy reads it.
    """
    return log.target_expected + log.weights * (log.reward - log.expected)


def bound_mean(terms: FloatArray, freedom: float) -> Estimate:
    """The mean of terms with its 95 % interval.

    Args:
        terms: (num_rows,), of rows that are independent of each other; at least two.
        freedom: Degrees of freedom of Student's t.
    """
    error = float(np.std(terms, ddof=1) / np.sqrt(len(terms)))
    return _bound(float(np.mean(terms)), error, freedom)


def _bound(value: float, error: float, freedom: float) -> Estimate:
    reach = float(stdtrit(freedom, _TWO_SIDED_95)) * error
    return Estimate(value, value - reach, value + reach)
