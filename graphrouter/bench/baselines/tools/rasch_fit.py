"""The Rasch model over (group, model) totals: log odds of success = intercept + ability + easiness.

Rasch, "Probabilistic models for some intelligence and attainment tests" (1960); here the maximum a
posteriori estimate with normal priors on ability and easiness, by Newton's method. Soft outcomes in
[0, 1] are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from graphrouter.types import FloatArray

ABILITY_SD = 1.0
EASINESS_SD = 1.5
"""Standard deviations of the priors, in logits: what separates models, and tasks, before anything
was observed."""


@dataclass(frozen=True, slots=True)
class RaschFit:
    """Estimates in logits."""

    intercept: float
    ability: FloatArray
    """(num_models,)."""
    easiness: FloatArray
    """(num_groups,)."""

    @property
    def probability(self) -> FloatArray:
        """(num_groups, num_models) expected effect, strictly inside (0, 1)."""
        return _apply_sigmoid(self.intercept + self.easiness[:, None] + self.ability[None, :])


def fit_rasch(
    total: FloatArray, count: FloatArray, *, max_rounds: int = 50, tolerance: float = 1e-10
) -> RaschFit:
    """Abilities and easinesses that best explain the totals.

    Args:
        total: (num_groups, num_models) sum of the effects.
        count: (num_groups, num_models) number of outcomes; 0 where nothing was observed.
        max_rounds: Most Newton steps.
        tolerance: Stop once no estimate moves by more, in logits.
    """
    num_groups, num_models = total.shape
    # The intercept has a very wide prior, so that a pool that always succeeds still has a finite
    # estimate.
    precision = np.concatenate(
        [[1e-2], np.full(num_models, ABILITY_SD**-2), np.full(num_groups, EASINESS_SD**-2)]
    )
    theta = np.zeros(1 + num_models + num_groups)
    objective = _log_posterior(theta, total, count, precision)
    for _ in range(max_rounds):
        gradient, hessian = _derivatives(theta, total, count, precision)
        step = np.linalg.solve(hessian, gradient)
        scale = 1.0
        while (
            scale > 1e-6
        ):  # halve a step that overshoots: far from the solution the curvature misleads
            proposal = theta + scale * step
            reached = _log_posterior(proposal, total, count, precision)
            if reached >= objective:
                theta, objective = proposal, reached
                break
            scale /= 2
        if scale <= 1e-6 or np.max(np.abs(scale * step)) < tolerance:
            break
    return RaschFit(float(theta[0]), theta[1 : 1 + num_models], theta[1 + num_models :])


def _logits(theta: FloatArray, num_models: int) -> FloatArray:
    return np.asarray(theta[0] + theta[1 + num_models :, None] + theta[None, 1 : 1 + num_models])


def _log_posterior(
    theta: FloatArray, total: FloatArray, count: FloatArray, precision: FloatArray
) -> float:
    logits = _logits(theta, total.shape[1])
    likelihood = np.sum(total * logits - count * np.logaddexp(0.0, logits))
    return float(likelihood - 0.5 * np.sum(precision * theta**2))


def _derivatives(
    theta: FloatArray, total: FloatArray, count: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log posterior, and its negative Hessian.

    For (intercept, abilities, easinesses).
    """
    num_models = total.shape[1]
    probability = _apply_sigmoid(_logits(theta, num_models))
    residual, weight = total - count * probability, count * probability * (1 - probability)
    gradient = (
        np.concatenate([[residual.sum()], residual.sum(axis=0), residual.sum(axis=1)])
        - precision * theta
    )
    models, groups = slice(1, 1 + num_models), slice(1 + num_models, None)
    hessian = np.diag(
        precision + np.concatenate([[weight.sum()], weight.sum(axis=0), weight.sum(axis=1)])
    )
    hessian[0, models] = hessian[models, 0] = weight.sum(axis=0)
    hessian[0, groups] = hessian[groups, 0] = weight.sum(axis=1)
    hessian[groups, models] = weight
    hessian[models, groups] = weight.T
    return gradient, hessian


def _apply_sigmoid(logits: FloatArray) -> FloatArray:
    return np.asarray(expit(logits), dtype=np.float64)
