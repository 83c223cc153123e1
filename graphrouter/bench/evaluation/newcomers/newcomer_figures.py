"""The curves of a comparison on newcomers, as plain dicts in the schema of plotly.js."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.newcomers.newcomer_cells import RETRAINED, SUGGESTED
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation
from graphrouter.bench.evaluation.newcomers.newcomer_tables import (
    LEARNED,
    LOG_LOSS,
    TRAFFIC,
    Measure,
    choose_title,
    read_oracle_traffic,
)
from graphrouter.bench.evaluation.report.plots import (
    BLUE,
    GREY,
    INK,
    Figure,
    build_axis,
    build_layout,
    escape_html,
)

_HEIGHT = 480
_COLORS = ("#d9730d", "#2e7d32", "#7b3fa0", "#a61c3c", "#00838f", "#8d6e00", "#455a64")
_DASHES = ("dash", "dot", "dashdot", "longdash")


def draw_curves(found: NewcomerEvaluation) -> dict[str, Figure]:
    """Log loss, learned share with intervals, and traffic, over the number of outcomes.

    The learned share is that of the graph routers alone.
    """
    graph_routers = [name for name in found.routers if name in (MAIN, SUGGESTED)]
    figures = {
        LOG_LOSS.name: _figure(found, LOG_LOSS, list(found.routers), with_intervals=False),
        LEARNED.name: _figure(found, LEARNED, graph_routers, with_intervals=True),
    }
    if found.hold_out == "models":
        traffic = _figure(found, TRAFFIC, list(found.routers), with_intervals=False)
        traffic["data"].append(_level(found, "oracle", read_oracle_traffic(found).value))
        figures[TRAFFIC.name] = traffic
    return figures


def _figure(
    found: NewcomerEvaluation, measure: Measure, names: list[str], *, with_intervals: bool
) -> Figure:
    lines = [_line(found, measure, name, with_intervals=with_intervals) for name in names]
    base = build_layout(height=_HEIGHT)
    outcomes = build_axis(
        "outcomes of each newcomer"
        if found.hold_out == "models"
        else "solved queries of the new task"
    )
    return {
        "data": lines[::-1],  # drawn last, the graph router lies on top
        "layout": {
            **base,
            "legend": {**base["legend"], "traceorder": "reversed"},
            # Categories: numbers of outcomes lie orders of magnitude apart, and `all` is no number.
            "xaxis": {**outcomes, "type": "category", "categoryarray": list(found.labels)},
            "yaxis": {
                **build_axis(choose_title(measure, found)),
                **({"tickformat": ".0%"} if measure.is_share else {}),
            },
        },
    }


def _line(
    found: NewcomerEvaluation, measure: Measure, name: str, *, with_intervals: bool
) -> Figure:
    intervals = [found.figure(name, label, measure.name) for label in found.labels]
    trace: Figure = {
        "type": "scatter",
        "mode": "lines" if name == RETRAINED else "lines+markers",
        "name": escape_html(name),
        "x": list(found.labels),
        "y": [_number(each.value) for each in intervals],
        "customdata": [[_number(each.low), _number(each.high)] for each in intervals],
        "hovertemplate": (
            f"{escape_html(name)}<br>k = %{{x}}: %{{y:{measure.form}}}<br>"
            f"[%{{customdata[0]:{measure.form}}}, %{{customdata[1]:{measure.form}}}]<extra></extra>"
        ),
        "line": _style(found, name),
    }
    if with_intervals:
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [_number(each.high - each.value) for each in intervals],
            "arrayminus": [_number(each.value - each.low) for each in intervals],
        }
    return trace


def _level(found: NewcomerEvaluation, name: str, value: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(found.labels),
        "y": [_number(value)] * len(found.labels),
        "hovertemplate": f"{name}: %{{y:.1%}}<extra></extra>",
        "line": {"color": INK, "width": 1.5, "dash": "dot"},
    }


def _style(found: NewcomerEvaluation, name: str) -> Figure:
    fixed = {
        MAIN: {"color": BLUE, "width": 4, "dash": "solid"},
        SUGGESTED: {"color": BLUE, "width": 2.5, "dash": "dash"},
        RETRAINED: {"color": GREY, "width": 2, "dash": "dot"},
    }
    if name in fixed:
        return fixed[name]
    rank = found.baselines.index(name)
    return {"color": _COLORS[rank % len(_COLORS)], "width": 2, "dash": _DASHES[rank % len(_DASHES)]}


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
