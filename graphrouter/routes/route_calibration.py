"""From standard scores to the probabilities of routes and of none: a line, fitted on examples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.types import FloatArray, IntArray

USUAL = np.array([1.85, -3.5])
_SPREAD = np.array([0.9, 1.5])
"""Mean and standard deviation of the prior of a and b: as they came out on the tasks of six sets
(experiments/routes)."""
_LEAST_SLOPE = 0.1
_NEWTON_STEPS = 50
_TOLERANCE = 1e-8


class Evidence(NamedTuple):
    """Rows whose route is known, or known to be none. n rows, R routes."""

    standard: FloatArray
    """(n, R) z; -inf for a route that is not in question."""
    weight: FloatArray
    """(n, R) w."""
    route: IntArray
    """(n,) the true one, R = none."""
    mass: FloatArray
    """(n,) what each row counts for."""


def find_probabilities(
    standard: FloatArray, weight: FloatArray, parameters: FloatArray, none_share: float
) -> FloatArray:
    """Softmax over routes and none, (n, R + 1); arguments as in `Evidence`."""
    prior = np.log((1 - none_share) / standard.shape[1])
    logits = np.full((len(standard), standard.shape[1] + 1), np.log(none_share))
    there = np.isfinite(standard)
    kept = np.where(there, standard, 0.0)
    score = prior + parameters[0] * weight * kept + parameters[1] * weight**2
    logits[:, :-1] = np.where(there, score, -np.inf)
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    probability: FloatArray = odds / odds.sum(axis=1, keepdims=True)
    return probability


def fit_line(evidence: Evidence) -> FloatArray:
    """A and b with the highest penalised likelihood: a convex problem in two numbers."""
    there = np.isfinite(evidence.standard)
    slopes = np.where(there, evidence.weight * np.where(there, evidence.standard, 0.0), 0.0)
    features = np.zeros((2, len(slopes), slopes.shape[1] + 1))  # those of none are 0
    features[0, :, :-1], features[1, :, :-1] = slopes, evidence.weight**2
    rows = np.arange(len(slopes))
    of_true = features[:, rows, evidence.route]
    precision = np.diag(_SPREAD**-2.0)

    def lose(parameters: FloatArray) -> tuple[float, FloatArray]:
        probability = find_probabilities(evidence.standard, evidence.weight, parameters, 0.5)
        surprise = -np.log(np.maximum(probability[rows, evidence.route], 1e-300))
        away = parameters - USUAL
        return float(evidence.mass @ surprise + away @ precision @ away / 2), probability

    parameters = USUAL.copy()
    loss, probability = lose(parameters)
    for _ in range(_NEWTON_STEPS):
        mean = (features * probability).sum(axis=2)
        gradient = (evidence.mass * (mean - of_true)).sum(axis=1) + precision @ (parameters - USUAL)
        off = features - mean[:, :, None]
        curved = np.einsum("inr,jnr,nr,n->ij", off, off, probability, evidence.mass) + precision
        step = np.linalg.solve(curved, gradient)
        size = 1.0
        while size > 1e-6:
            tried = parameters - size * step
            tried[0] = max(tried[0], _LEAST_SLOPE)
            new_loss, new_probability = lose(tried)
            if new_loss <= loss:
                break
            size /= 2
        else:
            break
        is_done = loss - new_loss < _TOLERANCE
        parameters, loss, probability = tried, new_loss, new_probability
        if is_done:
            break
    return parameters
