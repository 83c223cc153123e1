"""Means that are pulled towards a prior where few outcomes stand behind them."""

from __future__ import annotations

import numpy as np

from graphrouter.types import FloatArray

PRIOR_OUTCOMES = 5.0
"""How many outcomes a prior mean counts for: one lucky outcome must not make the best model."""


def shrink_mean(
    total: FloatArray,
    count: FloatArray,
    prior: FloatArray,
    *,
    prior_outcomes: float = PRIOR_OUTCOMES,
) -> FloatArray:
    """Means of `count` outcomes that sum to `total`, and of a prior.

    `prior` counts as `prior_outcomes` more outcomes.

    Args:
        total: Sums of what was observed, any shape.
        count: Numbers of outcomes, same shape.
        prior: What to expect without outcomes, broadcast to the same shape; NaN gives NaN.
        prior_outcomes: Weight of the prior, in outcomes.
    """
    return np.asarray((total + prior_outcomes * prior) / (count + prior_outcomes), dtype=np.float64)


def shrink_effects(
    total: FloatArray, count: FloatArray, *, prior_outcomes: float = PRIOR_OUTCOMES
) -> FloatArray:
    """Mean effect of each model, pulled to the pool's, strictly inside (0, 1): (num_models,).

    Args:
        total: (num_models,) sums of effects.
        count: (num_models,) numbers of outcomes.
        prior_outcomes: Weight of the pool's mean, in outcomes.

    Example:
        >>> shrink_effects(np.array([9.0, 0.0]), np.array([10.0, 0.0])).round(2).tolist()
        [0.89, 0.86]
    """
    # One half of a success and one half of a failure keep a pool that always fails or always
    # succeeds off 0 and 1.
    pool = np.asarray((total.sum() + 0.5) / (count.sum() + 1.0))
    return shrink_mean(total, count, pool, prior_outcomes=prior_outcomes)
