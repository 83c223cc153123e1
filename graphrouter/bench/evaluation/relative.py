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


def token_elasticity(
    effect: FloatArray, tokens: FloatArray, *, base_effect: FloatArray, base_tokens: FloatArray
) -> FloatArray:
    """Relative change of effect over relative change of tokens, against a base, same shape.

    EllieSQL's token elasticity of performance (arXiv:2503.22402): 1 where effect grows by as large
    a share as tokens, above 1 where each token more brings more than the base's did, below 0 where
    it costs effect. NaN where as many tokens are spent as by the base, or the base has no effect.

    Args:
        effect: Mean or total of the choices.
        tokens: Of the same choices, prompt and completion together.
        base_effect: Of the base, on the same queries.
        base_tokens: Of the base.

    Example:
        >>> found = token_elasticity(*(np.array([x]) for x in (0.6, 300.0)),
        ...     base_effect=np.array([0.4]), base_tokens=np.array([100.0]))
        >>> found.round(3).tolist()  # half as good again, for twice as many more
        [0.25]
    """
    return divide(divide(effect, base_effect) - 1, divide(tokens, base_tokens) - 1)


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
