"""RouterArena's score and its optimality parts (Lu et al. 2025, arXiv:2510.00202, section 4).

A query is solved from an effect of `SOLVED` on, so that soft effects have an optimum too. (The
published code looks at queries alone that the router itself answered without fault, for all three
optimality parts; the paper's definitions are followed.)
"""

from __future__ import annotations

import numpy as np

from graphrouter.bench.evaluation.robustness import SOLVED
from graphrouter.training.effect_scores import divide
from graphrouter.types import BoolArray, FloatArray

BETA = 0.1
"""Weight of cost against accuracy in the score."""
CHEAPEST_USD, DEAREST_USD = 0.0044, 200.0
"""Bounds of the cost of 1,000 queries in US dollars; costs beyond them count as these."""
_TOLERANCE = 1e-9
NUM_OPTIMALITY_PARTS = 6
_SOLVABLE, _OPTIMAL, _EFFECT, _BEST_EFFECT, _LEAST_USD, _USD = range(NUM_OPTIMALITY_PARTS)
"""Columns of `collect_optimality_parts`."""


def cost_score(cost_usd: FloatArray) -> FloatArray:
    """C of a mean cost in US dollars a query, same shape, in [0, 1], 1 for the cheapest.

    C = (log2 200 - log2 c) / (log2 200 - log2 0.0044), with c in US dollars for 1,000 queries, kept
    within those bounds.
    """
    cost = np.clip(1000 * cost_usd, CHEAPEST_USD, DEAREST_USD)
    return np.asarray(np.log2(DEAREST_USD / cost) / np.log2(DEAREST_USD / CHEAPEST_USD))


def arena_score(effect: FloatArray, cost_usd: FloatArray) -> FloatArray:
    """S of a mean effect and a mean cost, same shape, in [0, 1] (published times 100).

    The effect is in [0, 1], the cost in US dollars a query.

    S = (1 + beta) A C / (beta A + C); 0 when both A and C are 0.

    Example:
        >>> score = arena_score(np.array(0.6634), np.array(0.00021))  # published: 66.12
        >>> round(float(score), 3)
        0.661
    """
    cheap = cost_score(cost_usd)
    below = BETA * effect + cheap
    return np.where(below == 0, 0.0, divide((1 + BETA) * effect * cheap, below))


def collect_optimality_parts(
    effect: FloatArray,
    cost_usd: FloatArray,
    answered: BoolArray,
    *,
    observed_effect: FloatArray,
    observed_usd: FloatArray,
) -> FloatArray:
    """What each query adds to the optimality parts, (num_queries, NUM_OPTIMALITY_PARTS).

    Args:
        effect: (num_queries,) observed effect of the choices.
        cost_usd: (num_queries,) observed cost of the choices.
        answered: (num_queries,) False where there was nothing to choose from: such a query adds
            nothing.
        observed_effect: (num_queries, num_models) what could have been chosen, NaN = not observed.
        observed_usd: (num_queries, num_models) its cost, NaN = not observed.
    """
    known = np.isfinite(observed_effect) & np.isfinite(observed_usd)
    solves = known & (observed_effect >= SOLVED)
    least = np.where(solves, observed_usd, np.inf).min(axis=1)
    solved = answered & (effect >= SOLVED)
    parts = np.zeros((len(effect), NUM_OPTIMALITY_PARTS))
    parts[:, _SOLVABLE] = answered & solves.any(axis=1)
    parts[:, _OPTIMAL] = solved & (cost_usd <= least * (1 + _TOLERANCE))
    parts[:, _EFFECT] = np.where(answered, effect, 0)
    parts[:, _BEST_EFFECT] = np.where(answered, np.where(known, observed_effect, 0).max(axis=1), 0)
    parts[:, _LEAST_USD] = np.where(solved, least, 0)
    parts[:, _USD] = np.where(solved, cost_usd, 0)
    return parts


def opt_selection(sums: FloatArray) -> FloatArray:
    """Share of the solvable queries that went to the cheapest model that solves them.

    From sums of parts (..., 6) to (...).
    """
    return divide(sums[..., _OPTIMAL], sums[..., _SOLVABLE])


def opt_accuracy(sums: FloatArray) -> FloatArray:
    """The router's effect relative to the best that was possible.

    From sums of parts (..., 6) to (...).
    """
    return divide(sums[..., _EFFECT], sums[..., _BEST_EFFECT])


def opt_cost(sums: FloatArray) -> FloatArray:
    """Least possible cost relative to the router's, on the queries that it solved.

    From sums of parts (..., 6) to (...).
    """
    return divide(sums[..., _LEAST_USD], sums[..., _USD])
