"""Cross entropy of expected effects: what baselines are tuned by, and what everybody is judged by."""

from __future__ import annotations

import numpy as np

from graphrouter.types import FloatArray

PROBABILITY_MARGIN = 1e-6
"""Probabilities are clipped this far off 0 and 1, so that one certain mistake costs a finite log loss."""


def log_loss_of_pairs(probability: FloatArray, effect: FloatArray) -> FloatArray:
    """Cross entropy of each pair in nats, same shape; NaN where either side is NaN.

    Args:
        probability: Expected effect in [0, 1], any shape.
        effect: Observed effect in [0, 1], soft values allowed, same shape.
    """
    clipped = np.clip(probability, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return np.asarray(-(effect * np.log(clipped) + (1 - effect) * np.log1p(-clipped)))


def log_loss(probability: FloatArray, effect: FloatArray) -> float:
    """Mean cross entropy in nats over the observed pairs; NaN without any.

    Example:
        >>> round(log_loss(np.array([0.5, 0.9]), np.array([1.0, np.nan])), 4)
        0.6931
    """
    return mean_of_known(log_loss_of_pairs(probability, effect))


def mean_of_known(values: FloatArray) -> float:
    """Mean of the finite values, any shape; NaN without any."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
