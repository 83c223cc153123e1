"""What the outcome of one model on a query tells of the others on the same query.

The logit of each model's effect on a query is what the network expects plus a normal deviation of
mean 0: a logistic model with random effects of queries (Breslow and Clayton 1993). The covariance
of the deviations is found from solved queries, each scored without its own outcomes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from graphrouter.types import FloatArray, IntArray

PROBIT = math.pi / 8
"""sigmoid(f) of a normal f with mean m and variance v is about sigmoid(m / sqrt(1 + v pi / 8)) on
average (MacKay 1992)."""
_USUAL_COVARIANCE, _USUAL_WEIGHT = 1.0, 1.0
"""What two models share where no query says, in logits squared; weighs as about 25 queries."""
_PAIR_FLOOR = 0.1
"""Variance that the covariance of any pair has left: pairs with many queries do not count alone."""
_LEAST_VARIANCE = 1e-3
_MOST_LOGIT = 30.0
_NEWTON_STEPS = 100
_LONGEST_STEP = 2.0
_TOLERANCE = 1e-9


def to_chance(logit: FloatArray) -> FloatArray:
    """Sigmoid of logits, any shape; written out, since SciPy is a tenth of what a load takes."""
    return np.asarray(1 / (1 + np.exp(-logit)))


def to_logit(chance: FloatArray) -> FloatArray:
    """Logits of chances in [0, 1], any shape, in [-30, 30]."""
    with np.errstate(divide="ignore"):
        logit = np.log(chance) - np.log1p(-chance)
    return np.asarray(np.clip(logit, -_MOST_LOGIT, _MOST_LOGIT))


class OutcomeCovariance(NamedTuple):
    """Covariances of the deviations of M models on one query, (M, M) float64, logits squared."""

    named: FloatArray
    """Where the task of the query is named."""
    hidden: FloatArray
    """Where it is not."""


class Told(NamedTuple):
    """What is expected of B queries after K outcomes on each are known. M models."""

    mean: FloatArray
    """(B, M) mean of the effect logit."""
    variance: FloatArray
    """(B, M) its variance."""
    prior: FloatArray
    """(M,) its variance before anything was known."""
    cavity: FloatArray
    """(B, K) effect that the other outcomes of the query promise of each answer, in [0, 1]."""
    lift: FloatArray
    """(B, K) by how much the logit of `cavity` moves for one unit of covariance with a model whose
    log-likelihood gets a slope of 1."""
    to_all: FloatArray
    """(B, K, M) covariance of the models that were graded with all."""
    gain: FloatArray
    """(B, K, M) what takes `to_all` from the covariance: it is that less `to_all' gain`."""

    @property
    def logit(self) -> FloatArray:
        """(B, M) logit of the expected effect."""
        return np.asarray(self.mean / np.sqrt(1 + PROBIT * self.variance))

    @property
    def shrunk(self) -> FloatArray:
        """(B, M) standard deviation as a share of what it was, in (0, 1]."""
        return np.asarray(np.sqrt(np.minimum(self.variance / self.prior, 1.0)))

    def covariance_among(self, columns: IntArray, covariance: FloatArray) -> FloatArray:
        """Covariances of some models, (B, L, L).

        Args:
            columns: (B, L) models of each query.
            covariance: (M, M) before anything was known.
        """
        before = covariance[columns[:, :, None], columns[:, None, :]]
        to, gain = (
            np.take_along_axis(each, columns[:, None, :], axis=2)
            for each in (self.to_all, self.gain)
        )
        return np.asarray(before - to.transpose(0, 2, 1) @ gain)


def estimate_covariance(logit: FloatArray, observed: FloatArray) -> FloatArray:
    """Covariance of the models' deviations, (M, M), positive definite.

    By the method of moments: the product of two residuals is p (1 - p) p' (1 - p') times the
    covariance, to first order. Each pair is drawn to what all pairs share, by the variance between
    pairs (DerSimonian and Laird 1986). A model without outcomes shares with others what all do. To
    second order the slope of the sigmoid is smaller by sqrt(1 + v pi / 8), v the variance of the
    deviation, which is corrected for by the variance that was found to first order: large ones stay
    too small, and the told outcomes are believed a little less than they could be. Outcomes of 0
    and 1 do not show the variance that is a model's own, which acts as the noise of an outcome
    does; its place is taken by what pairs usually differ by.

    Args:
        logit: (Q, M) effect logits of solved queries, each scored without its own outcomes.
        observed: (Q, M) effects in [0, 1], NaN where not observed.
    """
    known, chance = np.isfinite(observed), to_chance(logit)
    residual = np.where(known, observed - chance, 0.0)
    slope = np.where(known, chance * (1 - chance), 0.0)
    product, weight = residual.T @ residual, slope.T @ slope
    apart = ~np.eye(len(product), dtype=bool)
    common = (product[apart].sum() + _USUAL_COVARIANCE * _USUAL_WEIGHT) / (
        weight[apart].sum() + _USUAL_WEIGHT
    )
    common = max(float(common), 0.0)
    noise = 1 / np.maximum(weight, 1e-9)
    beside = np.where(weight > 0, product / np.maximum(weight, 1e-9) - common, 0.0)
    trust = np.where(apart & (weight > 0), (noise + _PAIR_FLOOR) ** -2, 0.0)
    between = float((trust * (beside**2 - noise)).sum()) / max(float(trust.sum()), 1e-12)
    between = max(between, 0.0)
    covariance = common + beside * (between / (between + noise))
    np.fill_diagonal(covariance, common + math.sqrt(between))
    value, vector = np.linalg.eigh(covariance)
    covariance = (vector * np.maximum(value, _LEAST_VARIANCE)) @ vector.T
    widened = np.sqrt(1 + PROBIT * covariance.diagonal())
    return np.asarray(covariance * widened * widened[:, None])


def condition(
    logit: FloatArray,
    covariance: FloatArray,
    column: IntArray,
    effect: FloatArray,
    hit_rate: FloatArray,
    false_alarm_rate: FloatArray,
) -> Told:
    """What grades of some models on B queries tell of all models on them.

    A normal approximation at the mode (Laplace; Rasmussen and Williams 2006, algorithm 3.1), by
    Fisher scoring: a grade is passed with chance `false + (hit - false) * sigmoid(f)`. Queries do
    not influence one another, to the bit.

    Args:
        logit: (B, M) effect logits that nothing was told of.
        covariance: (M, M) from `estimate_covariance`.
        column: (B, K) models that were graded, each at most once a query.
        effect: (B, K) their grades in [0, 1].
        hit_rate: (B, K), see `graphrouter.grades.Grade`.
        false_alarm_rate: (B, K).
    """
    prior = covariance.diagonal()
    mean = np.clip(logit, -_MOST_LOGIT, _MOST_LOGIT) * np.sqrt(1 + PROBIT * prior)
    start = np.take_along_axis(mean, column, axis=1)
    among = covariance[column[:, :, None], column[:, None, :]]
    value, eye = start.copy(), np.eye(column.shape[1])
    moving = np.arange(len(value))
    for _ in range(_NEWTON_STEPS):
        score, weight = differentiate(
            value[moving], effect[moving], hit_rate[moving], false_alarm_rate[moving]
        )
        right = weight * (value[moving] - start[moving]) + score
        pull = _solve(eye + weight[:, :, None] * among[moving], right)
        step = start[moving] + _multiply(among[moving], pull) - value[moving]
        longest = np.abs(step).max(axis=1, keepdims=True, initial=0.0)
        value[moving] += step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        moving = moving[longest[:, 0] > _TOLERANCE]
        if not len(moving):
            break
    score, weight = differentiate(value, effect, hit_rate, false_alarm_rate)
    to_all = covariance[column]
    gain = np.linalg.solve(eye + weight[:, :, None] * among, weight[:, :, None] * to_all)
    variance = np.asarray(np.maximum(prior - (to_all * gain).sum(axis=1), _LEAST_VARIANCE**2))
    own = np.take_along_axis(variance, column, axis=1)
    left = 1 / np.maximum(1 / own - weight, 1e-12)
    cavity = _leave_out(value, left, score)
    lift = left / own / np.sqrt(1 + PROBIT * left)
    told = mean + _multiply(to_all.transpose(0, 2, 1), score)
    return Told(told, variance, prior, cavity, lift, to_all, np.asarray(gain, dtype=np.float64))


def differentiate(
    value: FloatArray, effect: FloatArray, hit_rate: FloatArray, false_alarm_rate: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """First derivative of the log-likelihood of grades along logits, and its expected curvature."""
    chance = to_chance(np.clip(value, -_MOST_LOGIT, _MOST_LOGIT))
    rise = (hit_rate - false_alarm_rate) * chance * (1 - chance)
    passed = false_alarm_rate + (hit_rate - false_alarm_rate) * chance
    spread = np.maximum(passed * (1 - passed), 1e-300)
    return (effect - passed) * rise / spread, rise**2 / spread


def _leave_out(value: FloatArray, left: FloatArray, score: FloatArray) -> FloatArray:
    """The effect of each graded answer by all but its own grade (a cavity distribution).

    Args:
        value: (B, K) logits at the mode.
        left: (B, K) variances without the own grade.
        score: (B, K) slope of the log-likelihood of the own grade.
    """
    logit = np.clip((value - score * left) / np.sqrt(1 + PROBIT * left), -_MOST_LOGIT, _MOST_LOGIT)
    return to_chance(logit)


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, right[:, :, None])[:, :, 0])


def _multiply(matrix: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray((matrix @ right[:, :, None])[:, :, 0])
