"""Effect relative to random choice, the best single model and the oracle (arXiv:2601.07206)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from graphrouter.training.effect_scores import divide
from graphrouter.types import FloatArray


class References(NamedTuple):
    """What two references reach on each query; NaN where nothing was observed."""

    random: FloatArray
    """(num_queries,) mean effect of the observed models: what a uniform random choice brings in
    expectation."""
    oracle: FloatArray
    """(num_queries,) effect of the best observed model."""


def find_references(effect: FloatArray) -> References:
    """Effect of random choice and of the oracle among the observed models.

    Args:
        effect: (num_queries, num_models), in [0, 1], NaN = not observed.

    Example:
        >>> found = find_references(np.array([[1.0, 0.0], [0.5, np.nan]]))
        >>> found.random.tolist(), found.oracle.tolist()
        ([0.5, 0.5], [1.0, 0.5])
    """
    known = np.isfinite(effect)
    oracle = np.where(known, effect, -np.inf).max(axis=1)
    return References(
        divide(np.where(known, effect, 0).sum(axis=1), known.sum(axis=1)),
        np.where(known.any(axis=1), oracle, np.nan),
    )


def relative_gain(effect: FloatArray, reference: FloatArray) -> FloatArray:
    """The quotient effect / reference, minus 1, same shape; NaN where the reference is 0.

    With the mean effect of random choice as reference this is LLMRouterBench's Gain@R, with the
    best single model's Gain@B.
    """
    return divide(effect, reference) - 1


def relative_gap(effect: FloatArray, oracle: FloatArray) -> FloatArray:
    """One minus effect / oracle, same shape.

    NaN where the oracle's effect is 0 (LLMRouterBench's Gap@O).
    """
    return 1 - divide(effect, oracle)


def entropy_of_counts(counts: FloatArray) -> FloatArray:
    """Entropy in nats of the shares that the counts (..., num_models) stand for, (...).

    NaN where all are 0.

    Example:
        >>> entropy_of_counts(np.array([[5.0, 5.0], [9.0, 0.0]])).round(4).tolist()
        [0.6931, 0.0]
    """
    total = counts.sum(axis=-1, keepdims=True)
    share = divide(counts, np.broadcast_to(total, counts.shape))
    return np.asarray(entr(share).sum(axis=-1))
