"""The frontier of effect against cost: what a router reaches at each price, over all trade-offs.

For a trade-off lambda, the router sends each query to the model with the best `effect - lambda * cost_usd` by its own
predictions; the observed (mean cost, mean effect) of the choices is a point. Lambda runs over a log grid that the
*training* cost scale fixes, plus both ends: 0 (only effect counts) and infinity (only cost counts).

The hull is the non-decreasing concave upper hull of the points (RouterBench, Hu et al. 2024, section 3): two
trade-offs can be mixed at random, and nobody needs to pay more for less. To the right of its last point it stays flat.
Below its cheapest point a router reaches nothing. Every router may send everything to the cheapest model, so that
point (cheapest by training means) joins every hull: all hulls cover the same range of cost. (RouterBench's code
instead integrates from the router's own cheapest point and divides by the whole range.)

Sparse data: the protocol of `choices`, with pairs whose effect *and* cost were observed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.evaluation.choices import Chooser
from graphrouter.policy import CostScale
from graphrouter.types import FloatArray, Predictions

NUM_TRADE_OFFS = 48
LARGEST_COST_RATIO = 1e4
"""The log range of `area_log` spans at most this ratio, so that a free model does not stretch it without end."""
_TOLERANCE = 1e-9


class Hull(NamedTuple):
    """Corner points of a non-decreasing concave hull; cost and effect both increase strictly."""

    cost_usd: FloatArray
    """(num_corners,) mean US dollars a query."""
    effect: FloatArray
    """(num_corners,) mean effect."""


class Frontier(NamedTuple):
    """What a router reaches on some queries, one point a trade-off."""

    trade_offs: FloatArray
    """(num_trade_offs,) effect that a US dollar is worth, from 0 to infinity."""
    cost_usd: FloatArray
    """(num_trade_offs,) mean US dollars a query."""
    effect: FloatArray
    """(num_trade_offs,) mean effect."""
    num_queries: int
    """Queries with at least one pair whose effect and cost were observed; the others are left out."""
    num_pairs: int
    """Pairs to choose from."""

    @property
    def hull(self) -> Hull:
        """Upper hull of the points of this router alone."""
        return upper_hull(self.cost_usd, self.effect)


def sweep_frontier(predictions: Predictions, observed: Predictions, *, cost_scale: CostScale) -> Frontier:
    """The points that a router reaches on the observed outcomes (`observed`: same shape, NaN = not observed)."""
    trade_offs = trade_off_grid(cost_scale)
    cost, effect, count = frontier_sums(predictions, observed, trade_offs)
    num_queries = int(count.sum())
    pairs = np.isfinite(observed.effect) & np.isfinite(observed.cost_usd)
    divisor = num_queries if num_queries else np.nan
    return Frontier(trade_offs, cost.sum(axis=0) / divisor, effect.sum(axis=0) / divisor, num_queries, int(pairs.sum()))


def trade_off_grid(cost_scale: CostScale) -> FloatArray:
    """Trade-offs from 0 to infinity in effect per US dollar, (NUM_TRADE_OFFS + 2,), dense where choices change.

    From "the dearest call is worth 0.01 of effect" to "the cheapest call is worth 10", by the training costs.
    """
    high = max(cost_scale.high_usd, 1e-9)
    low = max(cost_scale.low_usd, high / LARGEST_COST_RATIO)
    return np.concatenate([[0.0], np.geomspace(0.01 / high, 10.0 / low, NUM_TRADE_OFFS), [np.inf]])


def frontier_sums(
    predictions: Predictions, observed: Predictions, trade_offs: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Observed cost and effect of the choices, (num_queries, num_trade_offs) each, and whether the query counts.

    The third array, (num_queries,), is 1 for a query with something to choose from; all entries of others are 0.
    """
    chooser = Chooser.among_observed(predictions, observed.effect, observed.cost_usd)
    cost, effect = np.empty((2, len(predictions), len(trade_offs)))
    for i, trade_off in enumerate(trade_offs):
        utility = -predictions.cost_usd if np.isinf(trade_off) else predictions.effect
        if 0 < trade_off < np.inf:
            utility = predictions.effect - trade_off * predictions.cost_usd
        cost[:, i], effect[:, i] = chooser.collect(utility, observed.cost_usd, observed.effect)
    return cost, effect, chooser.has_choice.astype(np.float64)


def upper_hull(cost_usd: FloatArray, effect: FloatArray) -> Hull:
    """The non-decreasing concave upper hull of the points (num_points,) each; NaN points are skipped.

    Example:
        >>> hull = upper_hull(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.2, 0.3, 0.8, 0.7]))
        >>> hull.cost_usd.tolist(), hull.effect.tolist()
        ([1.0, 3.0], [0.2, 0.8])
    """
    points = sorted(zip(cost_usd.tolist(), (-effect).tolist(), strict=True))
    corners: list[tuple[float, float]] = []
    for cost, negative in points:
        point = (cost, -negative)
        if not point[1] > (corners[-1][1] if corners else -np.inf) or cost != cost:
            continue  # dearer and no better
        while len(corners) >= 2 and _rise(corners[-2], corners[-1]) <= _rise(corners[-2], point):
            corners.pop()
        corners.append(point)
    return Hull(np.array([corner[0] for corner in corners]), np.array([corner[1] for corner in corners]))


def effect_at(hull: Hull, cost_usd: FloatArray) -> FloatArray:
    """Mean effect that the hull reaches at each mean cost; 0 below its cheapest corner, flat to the right."""
    if len(hull.cost_usd) == 0:
        return np.full(np.shape(cost_usd), np.nan)
    return np.asarray(np.interp(cost_usd, hull.cost_usd, hull.effect, left=0.0))


def cost_to_reach(hull: Hull, effect: float) -> float:
    """Smallest mean cost in US dollars at which the hull reaches `effect`; NaN when it never does."""
    if len(hull.effect) == 0 or not effect <= hull.effect[-1] + _TOLERANCE:
        return float("nan")
    return float(np.interp(effect, hull.effect, hull.cost_usd))


def mean_effect_over_log_cost(hull: Hull, low_usd: float, high_usd: float) -> float:
    """Mean of the hull over log cost between two costs, exactly; NaN for an empty hull or range.

    Between corners the hull is `a + b * cost`, whose integral over log cost is `a * log(cost) + b * cost`.
    """
    if len(hull.cost_usd) == 0 or not 0 < low_usd < high_usd:
        return float("nan")
    inside = hull.cost_usd[(hull.cost_usd > low_usd) & (hull.cost_usd < high_usd)]
    cuts = np.concatenate([[low_usd], inside, [high_usd]])
    left, right = cuts[:-1], cuts[1:]
    # The value just right of each cut: a hull that starts inside the range jumps from 0 to its first corner there.
    at_left, at_right = effect_at(hull, left), effect_at(hull, right)
    at_right = np.where(right <= hull.cost_usd[0], 0.0, at_right)
    # With x = right / left - 1 that integral is at_left * log(1 + x) + rise * (1 - log(1 + x) / x), which also keeps its digits
    # where two corners all but coincide and `b` is huge.
    stretch = (right - left) / left
    area = at_left * np.log1p(stretch) + (at_right - at_left) * (1 - np.log1p(stretch) / stretch)
    return float(area.sum() / np.log(high_usd / low_usd))


def area_log(hull: Hull, *, cheapest_usd: float, best_single_usd: float) -> float:
    """Mean effect over log cost from the cheapest model's mean cost to 1.5 times the best single model's."""
    high = 1.5 * best_single_usd
    return mean_effect_over_log_cost(hull, max(cheapest_usd, high / LARGEST_COST_RATIO), high)


def perf_gain(hull: Hull, *, best_single_effect: float) -> float:
    """Best effect on the hull relative to the best single model's, minus 1; NaN when the latter is 0 (LLMRouterBench)."""
    if len(hull.effect) == 0 or not best_single_effect > 0:
        return float("nan")
    return float(hull.effect[-1] / best_single_effect - 1)


def cost_save(hull: Hull, *, best_single_effect: float, best_single_usd: float) -> float:
    """Share of the best single model's cost that is saved at its effect; NaN when never reached (LLMRouterBench)."""
    if not best_single_usd > 0:
        return float("nan")
    return 1 - cost_to_reach(hull, best_single_effect) / best_single_usd


def _rise(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Slope from one point to a dearer one; infinite over a step of cost too small for the quotient."""
    width = end[0] - start[0]
    return (end[1] - start[1]) / width if width > 0 else np.inf
