"""The plots of a report, as figures of plotly.js: plain dicts in its JSON schema.

They are built without plotly's Python classes, which take a second to import and add a template of
several kilobytes to each figure; a test validates them by these classes. Names come from data:
plotly renders a subset of HTML in texts, so they are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation.budget_curves import BudgetCurve
from graphrouter.bench.evaluation.call_curves import CallCurve
from graphrouter.bench.evaluation.report.content import Section
from graphrouter.bench.evaluation.report.curves import FrontierCurve, Frontiers, ReliabilityCurve
from graphrouter.bench.evaluation.report.grids import OUTCOME_MARK, format_usd
from graphrouter.bench.evaluation.report.labels import Point, place_labels
from graphrouter.bench.evaluation.report.plots import (
    BLUE,
    GREY,
    INK,
    Figure,
    build_axis,
    build_layout,
    escape_html,
)
from graphrouter.bench.evaluation.router_output import ORACLE
from graphrouter.types import FloatArray

PLOT_WIDTH, PLOT_HEIGHT = 860, 460
"""Pixels inside the axes, for which labels are placed; a narrow screen leaves them out."""
_COLORS = (BLUE, "#d9730d", "#2e7d32", "#7b3fa0", "#a61c3c", "#00838f", "#8d6e00", "#ad1457")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_NUM_SAMPLES = 80
_LARGEST_LOG_RANGE = 4.0  # powers of ten left of the dearest point: a free model has no logarithm


def draw_frontier(section: Section, frontiers: Frontiers) -> Figure:
    """Mean cost against mean effect: a line a router, a labelled point a model."""
    low, high = _cost_range(frontiers)
    samples = np.geomspace(low, high, _NUM_SAMPLES)
    lines = [_line(curve.router, _sample(curve, samples), section) for curve in frontiers.curves]
    effects = [value for curve in frontiers.curves for value in curve.effect] + [
        point.effect for point in frontiers.models
    ]
    bottom, top = min(effects), max(effects)
    margin = max(0.05 * (top - bottom), 0.01)
    axes = _Axes(math.log10(low), math.log10(high), bottom - margin, top + margin)
    return {
        "data": [_model_trace(frontiers, low), *_sort_evaluated_last(lines)],
        "layout": {
            **build_layout(height=PLOT_HEIGHT + 80),
            "xaxis": _cost_axis(axes.left, axes.right),
            "yaxis": _axis("mean effect", [axes.bottom, axes.top]),
            "annotations": _model_labels(
                frontiers, axes, lines=[line for line in lines if line["visible"] is True]
            ),
            "shapes": _area_range(frontiers, low),
        },
    }


def draw_calls(section: Section) -> Figure:
    """Mean cost against mean effect, and below against mean calls: a point a trade-off."""
    low, high = _find_log_ends([cost for curve in section.calls for cost in curve.cost_usd])
    lines = [
        _call_line(curve, rank, section, low=low, is_below=is_below)
        for is_below in (True, False)
        for rank, curve in reversed(list(enumerate(section.calls)))  # the evaluated router on top
    ]
    most = max(max(curve.num_calls) for curve in section.calls)
    cost_axis = _cost_axis(math.log10(low / 1.25), math.log10(high * 1.25))
    return {
        "data": lines,
        "layout": {
            **build_layout(height=PLOT_HEIGHT + 180),
            "xaxis": {**cost_axis, "anchor": "y2"},
            "yaxis": {**_axis("mean effect", None), "domain": [0.42, 1]},
            "yaxis2": {**_axis("calls a query", [0.8, most + 0.2]), "domain": [0, 0.34]},
        },
    }


def _call_line(
    curve: CallCurve, rank: int, section: Section, *, low: float, is_below: bool
) -> Figure:
    """A router in the upper plot, or in the one of calls below."""
    name = escape_html(curve.router)
    color, dash = _COLORS[rank % len(_COLORS)], _DASHES[rank % len(_DASHES)]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name + (OUTCOME_MARK if curve.router in section.sees_outcomes else ""),
        "x": [max(cost, low) for cost in curve.cost_usd],
        "y": list(curve.num_calls if is_below else curve.effect),
        **({"yaxis": "y2"} if is_below else {}),
        "customdata": [
            [format_usd(cost), f"{effect:.3f}", f"{calls:.2f}"]
            for cost, effect, calls in zip(
                curve.cost_usd, curve.effect, curve.num_calls, strict=True
            )
        ],
        "hovertemplate": f"{name}<br>%{{customdata[0]}} a query<br>effect %{{customdata[1]}}<br>"
        "%{customdata[2]} calls a query<extra></extra>",
        "line": {"color": color, "width": 2 if rank else 4, "dash": dash},
        "marker": {"size": 5},
        "legendgroup": name,
        "legendrank": rank,
        "showlegend": not is_below,
        "visible": True,
    }


def draw_budgets(curve: BudgetCurve, *, router: str) -> Figure:
    """What a batch spends against what that brings, and what else the same dollars could bring."""
    costs = [point.spent_usd for point in curve.points]
    low, high = _find_log_ends(costs)
    brings = {
        f"{escape_html(router)}, the batch": [point.effect for point in curve.points],
        f"{escape_html(router)}, single calls": [point.single_call for point in curve.points],
        "best single, else cheapest model": [point.best_single for point in curve.points],
        f"optimum{OUTCOME_MARK}": [point.optimum for point in curve.points],
    }
    lines = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [max(cost, low) for cost in costs],
            "y": [effect if math.isfinite(effect) else None for effect in effects],
            "customdata": [format_usd(cost) for cost in costs],
            "hovertemplate": f"{name}<br>%{{customdata}} a query<br>effect %{{y:.3f}}"
            "<extra></extra>",
            "line": {"color": color, "width": 2 if rank else 4, "dash": dash},
            "marker": {"size": 5},
            "legendrank": rank,
        }
        for rank, ((name, effects), color, dash) in enumerate(
            zip(brings.items(), (*_COLORS[:3], INK), (*_DASHES[:2], "dashdot", "dot"), strict=True)
        )
    ]
    return {
        "data": lines[::-1],  # the batch on top
        "layout": {
            **build_layout(height=PLOT_HEIGHT + 80),
            "xaxis": _cost_axis(math.log10(low / 1.25), math.log10(high * 1.25)),
            "yaxis": _axis("mean effect", None),
        },
    }


def draw_reliability(section: Section) -> Figure:
    """Expected against observed effect; the evaluated router's pairs in each bin below."""
    lines = [_reliability_line(curve, section) for curve in section.reliability]
    diagonal = {
        "type": "scatter",
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "line": {"color": GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    evaluated = section.reliability[0]
    bars = {
        "type": "bar",
        "x": list(evaluated.expected),
        "y": list(evaluated.count),
        "width": 0.04,
        "yaxis": "y2",
        "marker": {"color": _COLORS[0], "opacity": 0.6},
        "name": "pairs",
        "hovertemplate": "%{y:,} pairs<extra></extra>",
        "showlegend": False,
    }
    return {
        "data": [diagonal, *_sort_evaluated_last(lines), bars],
        "layout": {
            **build_layout(height=PLOT_HEIGHT + 80),
            "xaxis": {**_axis("expected effect", [-0.02, 1.02]), "anchor": "y2"},
            "yaxis": {**_axis("observed effect", [-0.03, 1.03]), "domain": [0.26, 1]},
            "yaxis2": {**_axis("pairs", None), "domain": [0, 0.18], "nticks": 3},
        },
    }


def _line(name: str, points: tuple[list[float], list[float]], section: Section) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escape_html(name) + (OUTCOME_MARK if name in section.sees_outcomes else ""),
        "x": points[0],
        "y": points[1],
        "customdata": [format_usd(cost) for cost in points[0]],
        "hovertemplate": f"{escape_html(name)}<br>%{{customdata}} a query<br>effect "
        f"%{{y:.3f}}<extra></extra>",
        **_style(name, section),
    }


def _sort_evaluated_last(lines: list[Figure]) -> list[Figure]:
    """The lines in drawing order, the evaluated router last; the legend keeps their order."""
    ranked = [{**line, "legendrank": rank} for rank, line in enumerate(lines)]
    return [*ranked[1:], *ranked[:1]]


def _style(name: str, section: Section) -> Figure:
    """The evaluated router bold, a few others in colour, the oracle dotted.

    The rest is grey and hidden until asked for.
    """
    if name == ORACLE:
        return {"line": {"color": INK, "width": 1.5, "dash": "dot"}, "visible": True}
    if name not in section.shown_first:
        return {"line": {"color": GREY, "width": 1.5}, "visible": "legendonly"}
    rank = section.shown_first.index(name)
    width = 4 if rank == 0 else 2
    style = {
        "color": _COLORS[rank % len(_COLORS)],
        "width": width,
        "dash": _DASHES[rank % len(_DASHES)],
    }
    return {"line": style, "visible": True}


def _sample(curve: FrontierCurve, costs: FloatArray) -> tuple[list[float], list[float]]:
    """The hull at many costs: straight over cost, it bends over log cost."""
    start = max(curve.cost_usd[0], float(costs[0]))
    corners = [cost for cost in curve.cost_usd if cost >= start]
    at = sorted({start, *corners, *(cost for cost in costs.tolist() if cost > start)})
    return at, [round(effect, 6) for effect in curve.at(at)]


def _find_log_ends(costs: Sequence[float]) -> tuple[float, float]:
    """The cheapest and the dearest cost that a log axis can show."""
    high = max(costs) if max(costs) > 0 else 1e-6  # every call is free
    return max(min(costs), high / 10**_LARGEST_LOG_RANGE), high


def _cost_range(frontiers: Frontiers) -> tuple[float, float]:
    """Ends of the cost axis in US dollars."""
    costs = [cost for curve in frontiers.curves for cost in curve.cost_usd] + [
        point.cost_usd for point in frontiers.models
    ]
    high = max(*costs, frontiers.high_usd)
    floor = high / 10**_LARGEST_LOG_RANGE
    if not high > 0:
        return 1e-9, 1e-6  # every call is free
    low = max(min(costs), floor)
    return low / 1.25, high * 1.25


def _model_trace(frontiers: Frontiers, low: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "single models",
        "x": [max(point.cost_usd, low) for point in frontiers.models],
        "y": [point.effect for point in frontiers.models],
        "customdata": [
            [escape_html(point.model), format_usd(point.cost_usd)] for point in frontiers.models
        ],
        "marker": {"color": "#ffffff", "size": 8, "line": {"color": INK, "width": 1.5}},
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]} a query<br>effect "
        "%{y:.3f}<extra></extra>",
    }


class _Axes(NamedTuple):
    """Ends of the axes: log10 of US dollars, effect."""

    left: float
    right: float
    bottom: float
    top: float

    def pixel(self, cost_usd: float, effect: float) -> Point:
        """Where a point lies in the plot."""
        across = (math.log10(max(cost_usd, 10**self.left)) - self.left) / (self.right - self.left)
        return across * PLOT_WIDTH, (self.top - effect) / (self.top - self.bottom) * PLOT_HEIGHT


def _model_labels(frontiers: Frontiers, axes: _Axes, *, lines: Sequence[Figure]) -> list[Figure]:
    """The names of the models, with a thin line to the point where they had to move away from it.

    Best models first.
    """
    models = sorted(frontiers.models, key=lambda point: -point.effect)
    offsets = place_labels(
        [axes.pixel(point.cost_usd, point.effect) for point in models],
        [point.model for point in models],
        width=PLOT_WIDTH,
        height=PLOT_HEIGHT,
        avoid=[
            axes.pixel(x, y) for line in lines for x, y in zip(line["x"], line["y"], strict=True)
        ],
    )
    return [
        {
            "x": math.log10(max(point.cost_usd, 10**axes.left)),
            "y": point.effect,
            "ax": offset.x,
            "ay": offset.y,
            "text": escape_html(point.model),
            "font": {"size": 11, "color": "#444b57"},
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 0.7,
            "arrowcolor": "#b3bac4",
            "borderpad": 0,
            "standoff": 5,
        }
        for point, offset in zip(models, offsets, strict=True)
        if offset is not None
    ]


def _area_range(frontiers: Frontiers, low: float) -> list[Figure]:
    """The range of costs over which `area_log` averages, shaded."""
    start = max(frontiers.low_usd, frontiers.high_usd / 10**_LARGEST_LOG_RANGE, low)
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": start,
            "x1": frontiers.high_usd,
            "y0": 0,
            "y1": 1,
            "fillcolor": "#eef3f9",
            "line": {"width": 0},
            "layer": "below",
        }
    ]


def _reliability_line(curve: ReliabilityCurve, section: Section) -> Figure:
    most = max(curve.count)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape_html(curve.router),
        "marker": {
            "size": [round(4 + 7 * math.sqrt(count / most), 1) for count in curve.count]
        },  # the eye weighs them
        "x": list(curve.expected),
        "y": list(curve.observed),
        "customdata": list(curve.count),
        "hovertemplate": (
            f"{escape_html(curve.router)}<br>expected %{{x:.3f}}, observed "
            f"%{{y:.3f}}<br>%{{customdata:,}} pairs<extra></extra>"
        ),
        **_style(curve.router, section),
    }


def _cost_axis(left: float, right: float) -> Figure:
    """A log axis with a tick at 1, 2 and 5 of each power of ten.

    At 1 and 3 where that would be too many.
    """
    steps = (1, 2, 5) if right - left < 2.5 else (1, 3)
    ticks = [
        step * 10.0**power
        for power in range(math.floor(left), math.ceil(right) + 1)
        for step in steps
    ]
    inside = [tick for tick in ticks if left <= math.log10(tick) <= right]
    return {
        **_axis("mean cost a query, US dollars (log scale)", [left, right]),
        "type": "log",
        "tickvals": inside,
        "ticktext": [format_usd(tick) for tick in inside],
    }


def _axis(title: str, extent: list[float] | None) -> Figure:
    axis = build_axis(title)
    return axis if extent is None else {**axis, "range": extent}
