"""How much of the deviations of one model follows from those of the others on the same query.

Levels and deviations are those of `graphrouter.bench.evaluation.deviations`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation.deviations import centred
from graphrouter.types import BoolArray, FloatArray, IntArray

_COVARIANCE_ROUNDS = 10
MASSES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Queries that the structureless covariance may weigh."""


class VarianceShares(NamedTuple):
    """Shares of the variance of outcomes; they sum to 1."""

    level: float
    ease: float
    deviation: float


def variance_shares(effect: FloatArray, level: FloatArray) -> VarianceShares:
    """How much of the variance around the mean outcome is level, ease of the query, and deviation.

    Example:
        >>> effect = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
        >>> [round(share, 3) for share in variance_shares(effect, np.array([[0.5, 1.0, 0.0]] * 2))]
        [0.667, 0.111, 0.222]
    """
    total = _squares(effect - np.nanmean(effect))
    rest, deviation = _squares(effect - level), _squares(centred(effect - level))
    return VarianceShares(1 - rest / total, (rest - deviation) / total, deviation / total)


def fit_scatter(rest: FloatArray) -> FloatArray:
    """Sum over the queries of outer products of `rest`, (num_models, num_models).

    As if all outcomes had been observed.

    Expectation maximisation of a Gaussian with missing values (Little and Rubin, Statistical
    Analysis with Missing Data, 2002, section 11.2), a little shrunk, with the mean fixed at 0:
    levels are taken off already.
    """
    scatter = structureless(
        np.where(np.isfinite(rest), rest, 0.0).T @ np.where(np.isfinite(rest), rest, 0.0)
    )
    for _ in range(_COVARIANCE_ROUNDS):
        covariance = shrunk(scatter, len(rest), MASSES[0])
        scatter = np.zeros_like(covariance)
        for rows, known in _patterns(rest):
            filled = expected_rest(rest[rows], covariance, known=known)
            scatter += filled.T @ filled
            scatter[np.ix_(~known, ~known)] += (
                len(rows) * _conditional(covariance, known).covariance
            )
    return scatter


def structureless(scatter: FloatArray) -> FloatArray:
    """The same matrix with all variances and all covariances replaced by their means: queries
    differ in ease alone."""
    size = len(scatter)
    variance = np.trace(scatter) / size
    shared = (scatter.sum() - np.trace(scatter)) / max(size * (size - 1), 1)
    return np.asarray(np.full((size, size), shared) + (variance - shared) * np.eye(size))


def shrunk(scatter: FloatArray, num_queries: int, mass: float) -> FloatArray:
    """The covariance of `num_queries` rows, shrunk by `mass` pseudo queries towards the
    structureless one."""
    ridge = 1e-6 * np.trace(scatter) / len(scatter) / num_queries
    mixed = (scatter + mass * structureless(scatter) / num_queries) / (num_queries + mass)
    return np.asarray(mixed + ridge * np.eye(len(scatter)))


class _Conditional(NamedTuple):
    weights: FloatArray
    """(num_hidden, num_known)"""
    covariance: FloatArray
    """(num_hidden, num_hidden)"""


def _conditional(covariance: FloatArray, known: BoolArray) -> _Conditional:
    across = covariance[np.ix_(~known, known)]
    weights = np.linalg.solve(covariance[np.ix_(known, known)], across.T).T
    return _Conditional(
        np.asarray(weights, dtype=np.float64),
        covariance[np.ix_(~known, ~known)] - weights @ across.T,
    )


def expected_rest(rest: FloatArray, covariance: FloatArray, *, known: BoolArray) -> FloatArray:
    """The rest of every model given that of the `known` ones, which keep their own.

    (num_queries, num_models), no NaN.

    Args:
        rest: (num_queries, num_models), observed for the known models.
        covariance: (num_models, num_models).
        known: (num_models,) whose outcomes may be looked at.
    """
    filled = np.zeros_like(rest)
    filled[:, known] = rest[:, known]
    filled[:, ~known] = rest[:, known] @ _conditional(covariance, known).weights.T
    return filled


def given_others(rest: FloatArray, covariance: FloatArray, hidden: BoolArray) -> FloatArray:
    """Expected rest of the hidden models given the observed ones of the others on the same query.

    NaN for the others.

    Args:
        rest: (num_queries, num_models), NaN = not observed.
        covariance: (num_models, num_models).
        hidden: (num_models,) whose outcomes are not looked at.
    """
    expected = np.full(rest.shape, np.nan)
    for rows, observed in _patterns(rest):
        filled = expected_rest(rest[rows], covariance, known=observed & ~hidden)
        expected[np.ix_(rows, np.flatnonzero(hidden))] = filled[:, hidden]
    return expected


def share_given_others(rest: FloatArray, covariance: FloatArray, families: IntArray) -> float:
    """Share of the deviations that follows from other models' outcomes on the very same query.

    The sum of squared deviations of a query is the mean over pairs of models of their squared
    difference. Each pair is predicted from all models but the families of the two, so that neither
    an outcome nor that of a sibling helps to predict itself.

    Args:
        rest: (num_queries, num_models) outcome minus level, NaN = not observed.
        covariance: (num_models, num_models), fitted on other rows.
        families: (num_models,) number of each model's family.
    """
    missed = total = 0.0
    weight = 1 / np.maximum(np.isfinite(rest).sum(axis=1), 1)
    for first, second in combinations_with_replacement(np.unique(families), 2):
        expected = given_others(rest, covariance, (families == first) | (families == second))
        left, right = np.flatnonzero(families == first), np.flatnonzero(families == second)
        pairs = [(i, j) for i in left for j in right if first != second or i < j]
        if pairs:
            one, other = np.array(pairs).T
            seen, told = rest[:, one] - rest[:, other], expected[:, one] - expected[:, other]
            total += float(weight @ np.nansum(seen**2, axis=1))
            missed += float(weight @ np.nansum((seen - told) ** 2, axis=1))
    return 1 - missed / total


def _patterns(rest: FloatArray) -> Iterator[tuple[IntArray, BoolArray]]:
    """Rows that were answered by the same models, and who these are."""
    observed, group = np.unique(np.isfinite(rest), axis=0, return_inverse=True)
    for number, known in enumerate(observed):
        if known.any():
            yield np.flatnonzero(group.ravel() == number), known


def _squares(values: FloatArray) -> float:
    return float(np.nansum(values**2))
