"""How fast the answers of models come: time to the first token, and tokens a second after it.

Both are estimated by model, where they were logged, and not by the network. In logarithms, for an
outcome of model m with n output tokens,

    log y = level[m] + slope * (log(1 + n) - centre) + noise of variance v.

The slope is that of all models together, within models, with a ridge of `PRIOR_OUTCOMES`; a level
is the mean of what is left, shrunk to that of the pool as `PRIOR_OUTCOMES` more outcomes would.
What is expected is the mean of the log-normal, exp(... + v / 2), at the expected number of output
tokens.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from graphrouter.artifact_tables import Table
from graphrouter.features.channels import read_columns
from graphrouter.router.shrunk_means import PRIOR_OUTCOMES, shrink_mean
from graphrouter.types import FloatArray, IntArray, Predictions

_LEAST = 1e-3
"""Seconds, or tokens a second, that stand for none on the scale of logarithms."""


class Speed(NamedTuple):
    """One of the two, of M models."""

    level: FloatArray
    """(M,) logarithm at the usual length of an answer; NaN for a model that was never logged."""
    slope: float
    """How the logarithm grows with that of the length."""
    centre: float
    """Mean logarithm of the length, of one more than the output tokens."""
    half_variance: float
    """Half the variance of the logarithm about what is expected."""

    @classmethod
    def fit(
        cls, values: FloatArray, output_tokens: FloatArray, model: IntArray, num_models: int
    ) -> Speed | None:
        """The speed by outcomes; None where none was logged.

        Args:
            values: (E,) in its unit, at least 0; NaN = not logged.
            output_tokens: (E,) tokens of the answers; one of unknown length counts as usual.
            model: (E,) position of each outcome's model.
            num_models: How many there are.

        Example:
            >>> two = np.array([2.0, 2.0]), np.array([9.0, 9.0]), np.array([0, 0])
            >>> speed = Speed.fit(*two, num_models=2)
            >>> np.exp(speed.level).round(6).tolist()
            [2.0, nan]
        """
        logged = np.isfinite(values)
        if not logged.any():
            return None
        y, of, length = (
            np.log(np.fmax(values[logged], _LEAST)),
            model[logged],
            output_tokens[logged],
        )
        x = np.log1p(length)
        centre = float(np.nanmean(x)) if np.isfinite(x).any() else 0.0
        x = np.where(np.isnan(x), centre, x) - centre
        count = np.bincount(of, minlength=num_models).astype(np.float64)
        mean_x, mean_y = (np.bincount(of, v, num_models) / np.fmax(count, 1) for v in (x, y))
        dx, dy = x - mean_x[of], y - mean_y[of]
        slope = float((dx * dy).sum() / ((dx**2).sum() + PRIOR_OUTCOMES))
        left = mean_y - slope * mean_x
        pool = np.asarray(left[count > 0].mean())
        level = shrink_mean(left * count, count, pool)
        freedom = max(1.0, len(y) - float((count > 0).sum()))
        variance = float(((dy - slope * dx) ** 2).sum() / freedom)
        return cls(np.where(count > 0, level, np.nan), slope, centre, variance / 2)

    def expect(self, output_tokens: FloatArray) -> FloatArray:
        """What is expected, (num_queries, M), of answers of so many tokens; NaN as `level`."""
        length = np.log1p(output_tokens) - self.centre
        length = np.where(np.isnan(length), 0.0, length)
        return np.exp(self.level + self.slope * length + self.half_variance)


class Speeds(NamedTuple):
    """Both of a pool; None where nothing was logged."""

    ttft_s: Speed | None
    output_tokens_per_s: Speed | None

    @classmethod
    def fit(cls, outcomes: Table, model: IntArray, num_models: int) -> Speeds:
        """The speeds by outcomes.

        Args:
            outcomes: E rows with `output_tokens`, and with the speeds where they were logged.
            model: (E,) position of each outcome's model.
            num_models: How many there are.
        """
        (tokens,) = read_columns(outcomes, "output_tokens")
        return cls(
            *(
                Speed.fit(read_columns(outcomes, name)[0], tokens, model, num_models)
                if name in outcomes
                else None
                for name in cls._fields
            )
        )

    def add_to(self, predictions: Predictions) -> Predictions:
        """The predictions with what is expected of the speeds, if any was logged."""
        found: dict[str, Any] = {
            name: speed.expect(predictions.output_tokens)
            for name, speed in zip(self._fields, self, strict=True)
            if speed is not None
        }
        return dataclasses.replace(predictions, **found) if found else predictions
