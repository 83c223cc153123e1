"""The frontier of effect against cost: what a router reaches at each price, over all trade-offs.

For a trade-off lambda, the router sends each query to the model with the best `effect - lambda *
cost_usd` by its own predictions; the observed (mean cost, mean effect) of the choices is a point.
Lambda runs over a log grid that the *training* cost scale fixes, plus both ends: 0 (only effect
counts) and infinity (only cost counts). A cascade is replayed at the same trade-offs.

Every router may send everything to the cheapest model, so that point (cheapest by training means)
joins every hull: all hulls cover the same range of cost.

Sparse data: the protocol of `choices`, with pairs whose effect *and* cost were observed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation.choices import Chooser
from graphrouter.bench.evaluation.hulls import Hull, upper_hull
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.policy import PRESETS, CostScale
from graphrouter.router.trade_offs import NUM_SWEPT, build_trade_off_grid
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions


class Frontier(NamedTuple):
    """What a router reaches on some queries, one point a trade-off."""

    trade_offs: FloatArray
    """(num_trade_offs,) effect that a US dollar is worth, from 0 to infinity."""
    cost_usd: FloatArray
    """(num_trade_offs,) mean US dollars a query."""
    effect: FloatArray
    """(num_trade_offs,) mean effect."""
    num_queries: int
    """Queries with at least one pair whose effect and cost were observed; the others are left
    out."""
    num_pairs: int
    """Pairs to choose from."""

    @property
    def hull(self) -> Hull:
        """Upper hull of the points of this router alone."""
        return upper_hull(self.cost_usd, self.effect)


class Sweep(NamedTuple):
    """What each query brings at each trade-off, before any mean is taken."""

    cost_usd: FloatArray
    """(num_queries, num_trade_offs) observed US dollars; 0 for a query that does not count."""
    effect: FloatArray
    """(num_queries, num_trade_offs) observed effect; 0 for a query that does not count."""
    counts: BoolArray
    """(num_queries,) whether there was anything to choose from."""


def sweep_frontier(
    output: RouterOutput, observed: ObservedOutcomes, *, cost_scale: CostScale
) -> Frontier:
    """The points that a router reaches on the observed outcomes, which have the same shape."""
    sweep = sweep_output(output, observed, cost_scale=cost_scale)
    num_queries = int(sweep.counts.sum())
    pairs = np.isfinite(observed.effect) & np.isfinite(observed.cost_usd)
    divisor = num_queries if num_queries else np.nan
    cost, effect = sweep.cost_usd.sum(axis=0) / divisor, sweep.effect.sum(axis=0) / divisor
    return Frontier(build_trade_off_grid(cost_scale), cost, effect, num_queries, int(pairs.sum()))


def list_replay_trade_offs(cost_scale: CostScale) -> FloatArray:
    """Trade-offs that a cascade is replayed at, (NUM_SWEPT + num_presets,).

    Those of `build_trade_off_grid`, then the equivalents of the presets in order.

    A preset weighs scaled cost; for costs within the bounds of the scale it ranks as the trade-off
    cost_weight / (effect_weight * (high_usd - low_usd)) does. Where no training outcome has a cost
    all are 0, since nothing can be weighed.

    Example:
        >>> trade_offs = list_replay_trade_offs(CostScale(0.0, 0.5))
        >>> len(trade_offs), trade_offs[-3:].tolist()  # performance_first, balanced, cost_first
        (53, [0.0, 2.0, 8.0])
    """
    if not cost_scale.is_known:
        return np.zeros(NUM_SWEPT + len(PRESETS))
    width = cost_scale.high_usd - cost_scale.low_usd
    # With equal costs everywhere the scaled cost is 0, and so is its weight.
    presets = [
        cost_weight / (effect_weight * width) if width > 0 else 0.0
        for effect_weight, cost_weight in PRESETS.values()
    ]
    return np.concatenate([build_trade_off_grid(cost_scale), presets])


def sweep_output(
    output: RouterOutput,
    observed: ObservedOutcomes,
    *,
    cost_scale: CostScale,
    points: IntArray | None = None,
) -> Sweep:
    """What the router's choices, or a cascade's replay, bring at each trade-off of the grid.

    Args:
        output: Predictions or replay of a router.
        observed: (num_queries, num_models) outcomes.
        cost_scale: Fixes the grid of trade-offs; a cascade has been replayed with the same one.
        points: Which trade-offs of the grid, by position; all by default.
    """
    which = np.arange(NUM_SWEPT) if points is None else points
    replayed = output.replayed
    if replayed is not None:
        return Sweep(replayed.cost_usd[:, which], replayed.effect[:, which], replayed.answered)
    return sweep_predictions(output.predictions, observed, build_trade_off_grid(cost_scale)[which])


def sweep_predictions(
    predictions: Predictions, observed: ObservedOutcomes, trade_offs: FloatArray
) -> Sweep:
    """What choosing by the predictions brings at each of the trade-offs, (num_trade_offs,)."""
    chooser = Chooser.among_observed(predictions, observed.effect, observed.cost_usd)
    cost, effect = np.empty((2, len(predictions), len(trade_offs)))
    for i, trade_off in enumerate(trade_offs):
        utility = predictions.effect
        if np.isinf(
            trade_off
        ):  # a model without expected effect is one that the router never chooses
            utility = np.where(np.isfinite(predictions.effect), -predictions.cost_usd, np.nan)
        if 0 < trade_off < np.inf:
            utility = predictions.effect - trade_off * predictions.cost_usd
        cost[:, i], effect[:, i] = chooser.collect(utility, observed.cost_usd, observed.effect)
    return Sweep(cost, effect, chooser.has_choice)


def sweep_singles(best_single: Predictions, observed: ObservedOutcomes) -> Sweep:
    """What sending everything to one model brings, each model in turn: (num_queries, num_models).

    A model that was not run on a query gives way to the best observed one by training means, as the
    best single model does.

    Args:
        best_single: What the best single baseline predicts.
        observed: (num_queries, num_models) outcomes.
    """
    fallback = sweep_predictions(best_single, observed, np.zeros(1))
    known = np.isfinite(observed.effect) & np.isfinite(observed.cost_usd)
    cost, effect = (
        np.where(known, observed.cost_usd, fallback.cost_usd),
        np.where(known, observed.effect, fallback.effect),
    )
    return Sweep(cost, effect, fallback.counts)
