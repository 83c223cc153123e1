"""Which model predictions would have chosen among the pairs whose outcome is known.

The protocol for sparse data: for each query, every router (best single and oracle included) chooses
among the models whose outcome was observed for that query; a query without any such pair is left
out. What an unobserved choice would have brought is not known, and a stand-in value (0, or a mean)
would pay or punish routers for going there.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions


class Chooser:
    """Takes the best allowed model of every query, for one utility after the other.

    Equal utilities go to the smaller expected cost, then to the larger expected effect, then to
    pool order. A model of unknown utility is taken only when the query has no other.
    """

    def __init__(self, predictions: Predictions, allowed: BoolArray) -> None:
        cost = np.nan_to_num(predictions.cost_usd, nan=np.inf)
        effect = np.nan_to_num(predictions.effect, nan=-np.inf)
        # Columns in order of preference among equals: argmax returns the first of the largest.
        self._order: IntArray = np.lexsort(
            (np.broadcast_to(np.arange(cost.shape[1]), cost.shape), -effect, cost), axis=-1
        )
        self._allowed: BoolArray = np.take_along_axis(allowed, self._order, axis=1)
        self.has_choice: BoolArray = np.asarray(allowed.any(axis=1))
        """(num_queries,) whether any model is allowed."""

    def choose(self, utility: FloatArray) -> IntArray:
        """Column of the chosen model, (num_queries,); without meaning where `has_choice` is False.

        Args:
            utility: (num_queries, num_models) what to maximise; NaN = unknown.
        """
        known = np.nan_to_num(
            np.take_along_axis(utility, self._order, axis=1), nan=-np.finfo(np.float64).max
        )
        best = np.argmax(np.where(self._allowed, known, -np.inf), axis=1)
        return np.take_along_axis(self._order, best[:, None], axis=1)[:, 0]

    def collect(self, utility: FloatArray, *observed: FloatArray) -> list[FloatArray]:
        """What the choices bring: (num_queries,) for each observed matrix.

        0 for a query without a choice.

        Args:
            utility: (num_queries, num_models) what to maximise; NaN = unknown.
            observed: (num_queries, num_models) matrices, known wherever a model is allowed.
        """
        columns = self.choose(utility)
        rows = np.arange(len(columns))
        return [np.where(self.has_choice, values[rows, columns], 0.0) for values in observed]

    @classmethod
    def among_observed(cls, predictions: Predictions, *observed: FloatArray) -> Self:
        """Chooses where all the given matrices (num_queries, num_models) are known."""
        return cls(predictions, np.asarray(np.isfinite(np.stack(observed)).all(axis=0)))
