"""The hull of a frontier and the figures read off it, for one or for many bootstrap draws.

The hull is the non-decreasing concave upper hull of the points (RouterBench, Hu et al. 2024,
arXiv:2403.12031, section 3): two trade-offs can be mixed at random, and nobody needs to pay more
for less. To the right of its last corner it stays flat. Below its cheapest corner a router reaches
nothing: there it counts as 0.

Shapes: `...` stands for the draws, none for a single hull. A hull without any point makes every
figure NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation.relative import relative_gain
from graphrouter.router.trade_offs import LARGEST_COST_RATIO
from graphrouter.training.effect_scores import divide
from graphrouter.types import FloatArray, IntArray

_TOLERANCE = 1e-9


class Hull(NamedTuple):
    """Corners of non-decreasing concave hulls; cost and effect both increase strictly.

    Hulls with fewer corners than others beside them repeat their last one.
    """

    cost_usd: FloatArray
    """(..., num_corners) mean US dollars a query."""
    effect: FloatArray
    """(..., num_corners) mean effect."""


def upper_hull(cost_usd: FloatArray, effect: FloatArray) -> Hull:
    """The hull of the points (..., num_points).

    Points with NaN are skipped, and a hull without points has one NaN corner.

    From the cheapest point (of equals the best) it goes on to the point of the steepest rise, until
    nothing rises any more.

    Example:
        >>> hull = upper_hull(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.2, 0.3, 0.8, 0.7]))
        >>> hull.cost_usd.tolist(), hull.effect.tolist()
        ([1.0, 3.0], [0.2, 0.8])
    """
    known = np.isfinite(cost_usd) & np.isfinite(effect)
    shape = (*cost_usd.shape[:-1], -1)
    x = np.where(known, cost_usd, np.inf).reshape(-1, cost_usd.shape[-1])
    y = np.where(known, effect, -np.inf).reshape(x.shape)
    rows = np.arange(len(x))
    corner: IntArray = np.argmax(np.where(x == x.min(axis=1, keepdims=True), y, -np.inf), axis=1)
    path = [corner]
    while True:
        following = _steepest(x[rows], y[rows], corner[rows])
        rows, following = rows[following >= 0], following[following >= 0]
        if rows.size == 0:
            break
        corner = corner.copy()
        corner[rows] = following
        path.append(corner)
    empty = ~known.any(axis=-1).reshape(-1, 1)
    reached = (
        np.where(empty, np.nan, np.take_along_axis(values, np.column_stack(path), axis=1))
        for values in (x, y)
    )
    return Hull(*(values.reshape(shape) for values in reached))


def _steepest(x: FloatArray, y: FloatArray, corner: IntArray) -> IntArray:
    """The point of the steepest rise from the corner, for each row (num_rows, num_points).

    The farthest of equals; -1 = none.
    """
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # unknown points lie at infinity; a step of cost may be too small
        width = x - np.take_along_axis(x, corner[:, None], axis=1)
        rise = y - np.take_along_axis(y, corner[:, None], axis=1)
        slope = np.full(x.shape, -np.inf)
        np.divide(rise, width, out=slope, where=(width > 0) & (rise > 0))
    best = slope.max(axis=1, keepdims=True)
    farthest = np.argmax(np.where(slope == best, rise, -np.inf), axis=1)
    return np.where(best[:, 0] > 0, farthest, -1)


def interpolate(x: FloatArray, corner_x: FloatArray, corner_y: FloatArray) -> FloatArray:
    """Height of polylines at `x`, (..., num_x); level beyond both ends.

    Args:
        x: (..., num_x) where to read them, or (num_x,) for all of them.
        corner_x: (..., num_corners) rising; repeated corners are allowed.
        corner_y: (..., num_corners).
    """
    last = corner_x.shape[-1] - 1
    left = np.maximum((corner_x[..., None, :] <= x[..., :, None]).sum(axis=-1) - 1, 0)
    right = np.minimum(left + 1, last)
    start_x, end_x = (np.take_along_axis(corner_x, i, axis=-1) for i in (left, right))
    start_y, end_y = (np.take_along_axis(corner_y, i, axis=-1) for i in (left, right))
    share = np.zeros(left.shape)
    np.divide(x - start_x, end_x - start_x, out=share, where=end_x > start_x)
    return np.asarray(start_y + np.clip(share, 0, 1) * (end_y - start_y))


def effect_at(hull: Hull, cost_usd: FloatArray) -> FloatArray:
    """Mean effect that each hull reaches at each mean cost, (..., num_costs).

    0 below its cheapest corner.

    Args:
        hull: One or many.
        cost_usd: (..., num_costs), or (num_costs,) for all hulls.
    """
    return np.where(
        cost_usd < hull.cost_usd[..., :1], 0.0, interpolate(cost_usd, hull.cost_usd, hull.effect)
    )


def cost_to_reach(hull: Hull, effect: FloatArray | float) -> FloatArray:
    """Smallest mean cost in US dollars at which each hull reaches `effect` (...).

    NaN when it never does.
    """
    wanted = np.broadcast_to(np.asarray(effect, dtype=np.float64), hull.cost_usd.shape[:-1])
    cost = interpolate(wanted[..., None], hull.effect, hull.cost_usd)[..., 0]
    return np.where(wanted <= hull.effect[..., -1] + _TOLERANCE, cost, np.nan)


def mean_effect_over_log_cost(
    hull: Hull, low_usd: FloatArray | float, high_usd: FloatArray | float
) -> FloatArray:
    """Mean of each hull over log cost between two costs (...), exactly.

    NaN for an empty hull or range.
    """
    pieces, low, high = _pieces(hull, low_usd, high_usd)
    # Between corners the hull is a + b * cost, whose integral over log cost is a * log(cost) + b *
    # cost. With x = right / left - 1 that is at_left * log(1 + x) + rise * (1 - log(1 + x) / x),
    # which also keeps its digits where two corners all but coincide and b is huge.
    x = np.zeros(pieces.left.shape)
    np.divide(pieces.right - pieces.left, pieces.left, out=x, where=pieces.left > 0)
    mean_log = np.ones(x.shape)
    np.divide(np.log1p(x), x, out=mean_log, where=x > 0)
    area = (pieces.at_left * np.log1p(x) + (pieces.at_right - pieces.at_left) * (1 - mean_log)).sum(
        axis=-1
    )
    return np.where(low > 0, divide(area, np.log(high / np.where(low > 0, low, np.nan))), np.nan)


def mean_effect_over_cost(
    hull: Hull, low_usd: FloatArray | float, high_usd: FloatArray | float
) -> FloatArray:
    """Mean of each hull over linear cost between two costs (...), exactly.

    NaN for an empty hull or range.
    """
    pieces, low, high = _pieces(hull, low_usd, high_usd)
    area = ((pieces.right - pieces.left) * (pieces.at_left + pieces.at_right) / 2).sum(axis=-1)
    return divide(area, high - low)


class _Pieces(NamedTuple):
    """The straight pieces of hulls within a range of cost, (..., num_corners) each.

    The level one at the end is included.
    """

    left: FloatArray
    right: FloatArray
    at_left: FloatArray
    at_right: FloatArray


def _pieces(
    hull: Hull, low_usd: FloatArray | float, high_usd: FloatArray | float
) -> tuple[_Pieces, FloatArray, FloatArray]:
    """The pieces between two costs, pieces outside shrunk to nothing; both costs are (...)."""
    low, high = (
        np.broadcast_to(np.asarray(cost, dtype=np.float64), hull.cost_usd.shape[:-1])
        for cost in (low_usd, high_usd)
    )
    empty = ~(low < high)
    low, high = np.where(empty, np.nan, low), np.where(empty, np.nan, high)
    start, end = (
        hull.cost_usd,
        np.concatenate(
            [hull.cost_usd[..., 1:], np.maximum(high, hull.cost_usd[..., -1])[..., None]], -1
        ),
    )
    begin, finish = (
        hull.effect,
        np.concatenate([hull.effect[..., 1:], hull.effect[..., -1:]], axis=-1),
    )
    left, right = (np.clip(edge, low[..., None], high[..., None]) for edge in (start, end))
    heights = []
    for edge in (left, right):
        share = np.zeros(edge.shape)
        np.divide(edge - start, end - start, out=share, where=end > start)
        heights.append(begin + np.clip(share, 0, 1) * (finish - begin))
    return _Pieces(left, right, *heights), low, high


def area_log(
    hull: Hull, *, cheapest_usd: FloatArray | float, best_single_usd: FloatArray | float
) -> FloatArray:
    """Mean effect over log cost, (...), from the cheapest model's cost to 1.5 times the best's.

    Both are mean costs; the best is the best single model.
    """
    high = 1.5 * np.asarray(best_single_usd)
    return mean_effect_over_log_cost(
        hull, np.maximum(cheapest_usd, high / LARGEST_COST_RATIO), high
    )


def aiq(
    hull: Hull, *, cheapest_usd: FloatArray | float, best_single_usd: FloatArray | float
) -> FloatArray:
    """Average improvement in quality, (...): mean effect over linear cost.

    Over the same range as `area_log`.

    RouterBench (arXiv:2403.12031), section 3: the integral of the hull from c_min to c_max, divided
    by c_max - c_min, one range for all routers, hulls extended flat. Its code differs from that
    definition: it integrates from the router's own cheapest point but divides by the largest cost,
    so a router loses what lies to the left of its cheapest point and everybody loses the share
    c_min / c_max. Here the definition is followed.
    """
    return mean_effect_over_cost(hull, cheapest_usd, 1.5 * np.asarray(best_single_usd))


def deferral_area(
    hull: Hull,
    *,
    cheapest_usd: FloatArray | float,
    dearest_usd: FloatArray | float,
    share: float = 1.0,
) -> FloatArray:
    """Mean effect over linear cost, (...), up to a share of the dearest model's.

    From the cheapest model's mean cost to that share of the dearest single model's.

    UniRoute (Jitkrittum et al. 2025, arXiv:2502.08773) gives the area under the deferral curve up
    to 50 % and 100 % of the largest cost. Its curve is the raw sweep; this one is the hull of the
    sweep.
    """
    return mean_effect_over_cost(hull, cheapest_usd, share * np.asarray(dearest_usd))


def peak_effect(hull: Hull) -> FloatArray:
    """Best effect at any cost, (...) (peak accuracy: UniRoute, arXiv:2502.08773)."""
    return hull.effect[..., -1]


def perf_gain(hull: Hull, *, best_single_effect: FloatArray | float) -> FloatArray:
    """Best effect on the hull relative to the best single model's, minus 1, (...).

    NaN when the latter is 0 (LLMRouterBench).
    """
    return relative_gain(peak_effect(hull), np.asarray(best_single_effect))


def cost_save(
    hull: Hull, *, best_single_effect: FloatArray | float, best_single_usd: FloatArray | float
) -> FloatArray:
    """Share of the best single model's cost saved at its effect, (...).

    NaN when it is never reached (LLMRouterBench).
    """
    return 1 - qnc(hull, best_single_effect=best_single_effect, best_single_usd=best_single_usd)


def qnc(
    hull: Hull, *, best_single_effect: FloatArray | float, best_single_usd: FloatArray | float
) -> FloatArray:
    """Quality-neutral cost (UniRoute, arXiv:2502.08773), (...).

    The smallest cost that matches the best single model, relative to its cost.

    1 saves nothing. UniRoute takes the most accurate model of the test queries in hindsight; here
    it is the one that training picks, as everywhere, so that no reference is chosen on the rows it
    is measured on. NaN when no mixture of trade-offs reaches that effect: no finite price buys it.
    """
    return divide(
        cost_to_reach(hull, best_single_effect), np.asarray(best_single_usd, dtype=np.float64)
    )


def pareto_dist(hull: Hull, *, cost_usd: FloatArray, effect: FloatArray) -> FloatArray:
    """Mean shortfall of effect below a joint hull at the same cost, (...).

    It is taken over the points (..., num_points).

    LLMRouterBench (arXiv:2601.07206) reports the mean distance to the Pareto frontier of everything
    compared, but its normalisation is not published. Here the distance is vertical, in units of
    effect, to the hull of the points of all compared routers and of all single models; a point
    above it (a router outside the comparison) counts as 0.
    """
    return np.asarray(np.maximum(effect_at(hull, cost_usd) - effect, 0).mean(axis=-1))
