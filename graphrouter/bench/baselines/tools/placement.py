"""Where a new model stands: its own parameters from its outcomes.

Everything that was fitted before stays.

All methods share one idea of what to expect of a newcomer. Unknown, it is what the pool is on
average, query for query. Known by some outcomes, that is moved by one offset in logits, the most
probable one under a normal prior (`rasch_fit.ABILITY_SD`). Only what is left beyond that offset is
counted by task, by cluster or by neighbourhood, and shrunk there as it was in fitting. A newcomer
with twenty outcomes has one or two in a cluster: shrunk to its flat mean, as models with thousands
are, it would lose what the pool knows about how hard each cluster is.
"""

from __future__ import annotations

import numpy as np

from graphrouter.bench.baselines.tools.rasch_fit import ABILITY_SD
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.bench.baselines.tools.shrinkage import sum_by_task
from graphrouter.router.shrunk_means import PRIOR_OUTCOMES, shrink_mean
from graphrouter.types import FloatArray, IntArray

MARGIN = 1e-4
"""Expected effects stay this far off 0 and 1."""
_MAX_ROUNDS = 50
_MAX_STEP = 2.0


def take_log_odds_inside(effect: FloatArray) -> FloatArray:
    """log(p / (1 - p)) of effects that are first kept off 0 and 1, any shape."""
    inside = np.clip(effect, MARGIN, 1 - MARGIN)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def fit_most_probable(
    features: FloatArray,
    start: FloatArray,
    effect: FloatArray,
    *,
    mean: FloatArray,
    precision: FloatArray,
) -> FloatArray:
    """Parameters (num_new, num_features) of the highest posterior.

    The model is `P(success) = sigmoid(start + features . theta)`.

    Newton's method for a logistic likelihood with a normal prior; soft effects are allowed.

    Args:
        features: (num_queries, num_features).
        start: (num_queries,) logits that are known.
        effect: (num_queries, num_new) in [0, 1], NaN = not observed.
        mean: (num_features,) mean of the prior, which is what a model without outcomes gets.
        precision: (num_features, num_features) inverse covariance of the prior.

    Example:
        >>> prior = {"mean": np.zeros(1), "precision": np.eye(1)}
        >>> theta = fit_most_probable(np.ones((2, 1)), np.zeros(2), np.ones((2, 1)), **prior)
        >>> theta.round(2).tolist()  # twice the residual 1 - sigmoid(theta) is the prior's pull
        [[0.67]]
    """
    theta = np.tile(mean, (effect.shape[1], 1)).astype(np.float64)
    for model, observed in enumerate(effect.T):
        known = np.isfinite(observed)
        x, logit, y = features[known], start[known], observed[known]
        for _ in range(_MAX_ROUNDS if known.any() else 0):
            expected = sigmoid(logit + x @ theta[model])
            gradient = x.T @ (y - expected) - precision @ (theta[model] - mean)
            curvature = (x * (expected * (1 - expected))[:, None]).T @ x + precision
            step = np.linalg.solve(curvature, gradient)
            # Shortened in logits: far from the solution the curvature misleads.
            theta[model] += step * min(1.0, _MAX_STEP / max(float(np.abs(x @ step).max()), 1e-12))
            if np.abs(step).max() < 1e-10:
                break
    return theta


def fit_offsets(expected: FloatArray, effect: FloatArray) -> FloatArray:
    """How much better each new model is than the pool, (num_new,) in logits; 0 without outcomes.

    Args:
        expected: (num_queries,) what the pool achieves on each query, on average.
        effect: (num_queries, num_new), NaN = not observed.
    """
    prior = np.full((1, 1), ABILITY_SD**-2)
    ones = np.ones((len(effect), 1))
    return fit_most_probable(
        ones, take_log_odds_inside(expected), effect, mean=np.zeros(1), precision=prior
    )[:, 0]


def apply_offset(expected: FloatArray, offset: FloatArray) -> FloatArray:
    """What the pool achieves, moved by each model's offset: (num_queries, num_new).

    From (num_queries,) and (num_new,).
    """
    return sigmoid(take_log_odds_inside(expected)[:, None] + offset)


def subtract_offset(expected: FloatArray, offset: FloatArray, effect: FloatArray) -> FloatArray:
    """What the offset leaves of each outcome, (num_queries, num_new), NaN = not observed.

    Its mean is 0 for each model.

    The offset stops short of the outcomes' level, by the pull of its prior. The rest of the level
    is no matter of any one cluster, so it is taken off: counted again it would undo the prior.
    """
    left = effect - apply_offset(expected, offset)
    count = np.isfinite(left).sum(axis=0)
    return np.asarray(left - np.nansum(left, axis=0) / np.maximum(count, 1))


def place_in_cells(profile: FloatArray, cell: IntArray, effect: FloatArray) -> FloatArray:
    """Expected effect of each new model in each cell, (num_cells, num_new) inside (0, 1).

    A cell is a task, a cluster or a tag.

    Args:
        profile: (num_cells,) mean effect of the pool in each cell.
        cell: (num_queries,) cell of each query.
        effect: (num_queries, num_new), NaN = not observed.
    """
    offset = fit_offsets(profile[cell], effect)
    total, count = sum_by_task(
        subtract_offset(profile[cell], offset, effect), cell, num_tasks=len(profile)
    )
    placed = apply_offset(profile, offset) + shrink_mean(total, count, np.zeros(effect.shape[1]))
    return np.clip(placed, MARGIN, 1 - MARGIN)


def shrink_to_pool(effect: FloatArray, pool_mean: float) -> FloatArray:
    """Mean effect of each new model, shrunk to the pool's as in fitting: (num_new,).

    Args:
        effect: (num_queries, num_new), NaN = not observed.
        pool_mean: Mean of the pool's model means, inside (0, 1).
    """
    count = np.isfinite(effect).sum(axis=0).astype(np.float64)
    return shrink_mean(
        np.nansum(effect, axis=0), count, np.asarray(pool_mean), prior_outcomes=PRIOR_OUTCOMES
    )
