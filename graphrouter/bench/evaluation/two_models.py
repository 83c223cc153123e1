"""Routing between a strong and a weak model (RouteLLM, arXiv:2406.18665, section 2).

The router ranks the queries by how much more effect it expects of the strong model. Sending the
first of them to the strong model and the others to the weak one, from none to all, draws a curve of
mean effect over the share of strong calls. Equal expectations cannot be told apart: such queries go
together, and the straight line between two points of the curve is what sending some of them at
random brings. A router that expects the same everywhere gets the straight line from weak to strong.

In a larger pool the strong model is the best single one by training means, the weak one the
cheapest of the others by mean training cost; only queries on which both were run count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation.hulls import interpolate
from graphrouter.training.effect_scores import divide
from graphrouter.types import FloatArray, Predictions

NUM_STEPS = 20
"""Steps of the curve at most: groups of queries of about equal size, in the router's order."""
_TOLERANCE = 1e-12


class ModelPair(NamedTuple):
    """Columns of the two models."""

    strong: int
    weak: int


class CallCurve(NamedTuple):
    """Mean effect over the share of strong calls; `...` stands for the draws."""

    share: FloatArray
    """(..., num_steps + 1) from 0 to 1, never falling."""
    effect: FloatArray
    """(..., num_steps + 1): the weak model's at first, the strong model's at last, in between it
    need not rise."""


def pick_pair(best_single: Predictions) -> ModelPair | None:
    """The best model and the cheapest of the others; None when no other has a known cost.

    Args:
        best_single: Training means of effect and cost, the same in every row.
    """
    effect, cost = best_single.effect[0], np.nan_to_num(best_single.cost_usd[0], nan=np.inf)
    strong = int(np.lexsort((cost, -effect))[0])
    others = np.where(np.arange(len(cost)) == strong, np.inf, cost)
    weak = int(np.lexsort((-effect, others))[0])
    return ModelPair(strong, weak) if np.isfinite(others[weak]) else None


def collect_curve_parts(
    margin: FloatArray, *, weak: FloatArray, strong: FloatArray, num_steps: int = NUM_STEPS
) -> FloatArray:
    """What each query adds to the curve, (num_queries, 1 + 2 * num_steps).

    Nothing without both outcomes.

    First the effect of the weak model, then by step the number of queries, then by step the effect
    that the strong model adds.

    Args:
        margin: (num_queries,) expected effect of the strong model minus the weak one's; unknown
            (NaN) comes last.
        weak: (num_queries,) observed effect of the weak model or NaN.
        strong: (num_queries,) observed effect of the strong model or NaN.
        num_steps: Most groups to tell apart; with more distinct margins than that, neighbours share
            a group.
    """
    both = np.isfinite(weak) & np.isfinite(strong)
    known = np.nan_to_num(margin, nan=-np.inf)
    edges = np.unique(known[both])[1:]
    if len(edges) >= num_steps:
        edges = np.unique(
            np.quantile(known[both], np.arange(1, num_steps) / num_steps, method="inverted_cdf")
        )
    step = len(edges) - np.searchsorted(edges, known, side="right")
    parts = np.zeros((len(margin), 1 + 2 * num_steps))
    rows = np.flatnonzero(both)
    parts[rows, 0] = weak[rows]
    parts[rows, 1 + step[rows]] = 1
    parts[rows, 1 + num_steps + step[rows]] = strong[rows] - weak[rows]
    return parts


def build_curve(sums: FloatArray) -> CallCurve:
    """The curve from sums of `collect_curve_parts`, (..., 1 + 2 * num_steps).

    NaN without any query.
    """
    weak, (count, gain) = sums[..., :1], np.split(sums[..., 1:], 2, axis=-1)
    start = np.zeros(weak.shape)
    calls, total = (
        np.concatenate([start, count.cumsum(axis=-1)], axis=-1),
        count.sum(axis=-1, keepdims=True),
    )
    effect = weak + np.concatenate([start, gain.cumsum(axis=-1)], axis=-1)
    divisor = np.broadcast_to(total, calls.shape)
    return CallCurve(divide(calls, divisor), divide(effect, divisor))


def pgr(curve: CallCurve, *, share: float = 0.5) -> FloatArray:
    """Performance gap recovered at a share of strong calls, (...).

    It is (effect - weak) / (strong - weak).

    NaN when the strong model is not better than the weak one. RouteLLM gives it at any threshold;
    at one share of strong calls routers can be compared.
    """
    effect = interpolate(np.array([share]), curve.share, curve.effect)[..., 0]
    return divide(effect - curve.effect[..., 0], curve.effect[..., -1] - curve.effect[..., 0])


def apgr(curve: CallCurve) -> FloatArray:
    """Average performance gap recovered, (...); 0.5 for chance.

    The area under the curve between those of the two models.

    (AUC - AUC_weak) / (AUC_strong - AUC_weak) with the trapezoid rule over the share of strong
    calls.
    """
    width = np.diff(curve.share, axis=-1)
    area = (width * (curve.effect[..., 1:] + curve.effect[..., :-1]) / 2).sum(axis=-1)
    return divide(area - curve.effect[..., 0], curve.effect[..., -1] - curve.effect[..., 0])


def cpt(curve: CallCurve, level: float) -> FloatArray:
    """Call-performance threshold, (...), in (0, 1].

    The smallest share of strong calls that recovers `level` of the gap.

    Taken where the curve first gets there. RouteLLM's code reads the share off by interpolating
    over effect as if the curve rose everywhere, which it need not do; here the definition is
    followed. NaN when the strong model is not better.
    """
    weak, strong = curve.effect[..., :1], curve.effect[..., -1:]
    target = weak + level * (strong - weak)
    end = np.maximum(np.argmax(curve.effect >= target - _TOLERANCE, axis=-1), 1)[..., None]
    (low, high), (start, stop) = (
        [np.take_along_axis(values, i, axis=-1) for i in (end - 1, end)]
        for values in (curve.effect, curve.share)
    )
    within = np.clip(np.nan_to_num(divide(target - low, high - low), nan=1.0), 0, 1)
    found = start + within * (stop - start)
    return np.where(strong > weak, found, np.nan)[..., 0]
