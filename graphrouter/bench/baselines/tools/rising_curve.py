"""From scores that only rank to expected effects: one rising curve for all models."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit

from graphrouter.types import FloatArray

_RIDGE = 1e-3
_MAX_ROUNDS = 100


class EffectCurve(NamedTuple):
    """`sigmoid(slope * score + intercept)`, fitted on validation rows.

    Platt, "Probabilistic Outputs for SVMs" (1999).

    The slope is never below 0, so the ranking stays the router's own; a score that carries no
    signal gives a constant.

    Example:
        >>> score, effect = np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([[0.0, 0.0, 1.0, 1.0]])
        >>> curve = EffectCurve.fit(score, effect)
        >>> curve.slope > 0
        True
    """

    slope: float
    intercept: float

    @classmethod
    def fit(cls, score: FloatArray, effect: FloatArray) -> Self:
        """The curve of the highest likelihood.

        Soft effects allowed, pairs with NaN on either side are skipped.

        Args:
            score: Any shape and unit, NaN = no score.
            effect: Observed effect in [0, 1], same shape, NaN = not observed.
        """
        known = np.isfinite(score) & np.isfinite(effect)
        x, y = score[known], effect[known]
        if x.size == 0:
            return cls(0.0, 0.0)
        centre, spread = float(x.mean()), float(x.std())
        z = (x - centre) / spread if spread > 1e-12 else np.zeros_like(x)
        features = np.column_stack([z, np.ones_like(z)])
        theta = np.zeros(2)
        for _ in range(_MAX_ROUNDS):
            expected = sigmoid(features @ theta)
            gradient = features.T @ (y - expected) - _RIDGE * theta
            weight = np.maximum(expected * (1 - expected), 1e-6)
            step = np.linalg.solve(
                (features * weight[:, None]).T @ features + _RIDGE * np.eye(2), gradient
            )
            theta = theta + np.clip(step, -2.0, 2.0)
            if np.abs(step).max() < 1e-9:
                break
        if theta[0] <= 0 or spread <= 1e-12:
            mean = float(np.clip(y.mean(), 0.5 / y.size, 1 - 0.5 / y.size))
            return cls(0.0, float(np.log(mean / (1 - mean))))
        return cls(float(theta[0] / spread), float(theta[1] - theta[0] * centre / spread))

    def apply(self, score: FloatArray) -> FloatArray:
        """Expected effect inside (0, 1), same shape; NaN stays NaN.

        A curve without slope adds a trace of the score, so that equal expectations still rank as
        the scores do.
        """
        logit = self.slope * score + self.intercept
        return sigmoid(logit if self.slope > 0 else logit + 1e-6 * np.tanh(score))


def sigmoid(logit: FloatArray) -> FloatArray:
    """1 / (1 + exp(-logit)), any shape, without overflow."""
    return np.asarray(expit(logit), dtype=np.float64)
