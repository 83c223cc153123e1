"""Expected cost, tokens and latency for baselines that have no predictor of their own: a log-linear regression a model.

Every router that is compared needs costs to trade against, and few publications say how to get them. All baselines
without a method of their own share this one, so that none of them wins or loses by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from graphrouter.routers.observations import QUANTITIES
from graphrouter.types import FloatArray, Predictions

AMOUNTS = QUANTITIES[1:]
NUM_DIRECTIONS = 32
PENALTIES = (30.0, 3.0, 300.0)
"""Ridge penalties to choose from, in outcomes; the first one without validation rows."""
SMALLEST_SPREAD = 1e-6
"""Singular value of the training vectors below which a direction is left out."""
FLOORS = {"cost_usd": 1e-9, "input_tokens": 1.0, "output_tokens": 1.0, "latency_s": 1e-3}
"""Smaller amounts count as this much: a free call has no logarithm."""
_Rows = tuple[FloatArray, Sequence[str], Predictions]


@dataclass(frozen=True, eq=False)
class Amounts:
    """One ridge regression for each (quantity, model), on prompt length and the principal directions of the prompts.

    The logarithm is what is fitted; the exponential is scaled so that the training mean comes out (Duan, "Smearing
    Estimate", 1983, with one factor a model), and kept inside the range that was observed of the model.
    """

    centre: FloatArray
    """(dimension,) mean of the training vectors."""
    directions: FloatArray
    """(dimension, num_directions) principal directions, scaled to unit variance in training."""
    weights: FloatArray
    """(4, num_features, num_models) coefficients of the log amounts, in the order of `AMOUNTS`; NaN = never observed."""
    factor: FloatArray
    """(4, num_models) from exponential to mean."""
    bounds: FloatArray
    """(4, 2, num_models) smallest and largest training amount."""

    @classmethod
    def fit(cls, vectors: FloatArray, prompts: Sequence[str], outcomes: Predictions, *, held: _Rows | None = None) -> Self:
        """The predictor that the training outcomes make.

        Args:
            vectors: (num_train, dimension) text embeddings of unit length.
            prompts: The training prompts.
            outcomes: What was observed, (num_train, num_models) each, NaN = not observed.
            held: The same three for validation rows, to choose the penalty on.
        """
        centre = vectors.mean(axis=0)
        rank = min(NUM_DIRECTIONS, vectors.shape[1], max(1, len(vectors) // 10))
        _, singular, axes = np.linalg.svd(vectors - centre, full_matrices=False)
        # Prompts that hardly differ have no direction: what is left of them is rounding.
        spread = singular[:rank]
        scale = np.where(spread > SMALLEST_SPREAD, np.sqrt(len(vectors)) / np.maximum(spread, SMALLEST_SPREAD), 0.0)
        directions = np.ascontiguousarray(axes[:rank].T * scale)  # as it comes back from a file: products round alike
        features = _features(vectors, prompts, centre, directions)
        fits = [
            cls(centre, directions, *_solve(features, outcomes, penalty)) for penalty in PENALTIES[: 1 if held is None else 3]
        ]
        if held is None:
            return fits[0]
        return min(fits, key=lambda fit: fit._log_error(*held))

    def predict(self, vectors: FloatArray, prompts: Sequence[str]) -> list[FloatArray]:
        """Expected amounts in the order of `AMOUNTS`, (num_queries, num_models) each; NaN for what was never observed."""
        features = _features(vectors, prompts, self.centre, self.directions)
        return [self._amount(features, i) for i in range(len(AMOUNTS))]

    def _amount(self, features: FloatArray, i: int) -> FloatArray:
        low, high = self.bounds[i]
        # Clipped before the exponential too: far outside the training texts a regression may say anything.
        logs = np.clip(features @ self.weights[i], np.log(low) - 1, np.log(high) + 1)
        return np.asarray(np.clip(np.exp(logs) * self.factor[i], low, high))

    def _log_error(self, vectors: FloatArray, prompts: Sequence[str], outcomes: Predictions) -> float:
        """Mean squared log error over all quantities, each counted the same."""
        errors = []
        for name, predicted in zip(AMOUNTS, self.predict(vectors, prompts), strict=True):
            observed = np.maximum(getattr(outcomes, name), FLOORS[name])
            known = np.isfinite(observed) & np.isfinite(predicted)
            if known.any():
                errors.append(float(np.mean((np.log(predicted[known]) - np.log(observed[known])) ** 2)))
        return float(np.mean(errors)) if errors else 0.0


def _features(vectors: FloatArray, prompts: Sequence[str], centre: FloatArray, directions: FloatArray) -> FloatArray:
    """(num_queries, 2 + num_directions): one, log length, principal coordinates."""
    length = np.log1p([len(prompt) for prompt in prompts])
    return np.column_stack([np.ones(len(vectors)), length, (vectors - centre) @ directions])


def _solve(features: FloatArray, outcomes: Predictions, penalty: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights, factors and bounds; see the fields of `Amounts`."""
    shape = (len(AMOUNTS), len(outcomes.models))
    weights = np.full((len(AMOUNTS), features.shape[1], len(outcomes.models)), np.nan)
    factor, bounds = np.full(shape, np.nan), np.full((len(AMOUNTS), 2, len(outcomes.models)), np.nan)
    # Prompt length is worth a coefficient of its own only when it varies; the constant is not penalised.
    ridge = penalty * np.diag(np.concatenate([[1e-6], np.full(features.shape[1] - 1, 1.0)]))
    for i, name in enumerate(AMOUNTS):
        amounts = np.maximum(getattr(outcomes, name), FLOORS[name])
        for model in np.flatnonzero(np.isfinite(amounts).any(axis=0)):
            known = np.isfinite(amounts[:, model])
            x, y = features[known], amounts[known, model]
            coefficients = np.linalg.solve(x.T @ x + ridge, x.T @ np.log(y))
            weights[i, :, model] = coefficients
            bounds[i, :, model] = y.min(), y.max()
            fitted = np.exp(np.clip(x @ coefficients, np.log(y.min()) - 1, np.log(y.max()) + 1))
            factor[i, model] = y.mean() / fitted.mean()
    return weights, factor, bounds
