"""Bars of differences and learning curves, as figures of plotly.js: plain dicts in its JSON
schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.quality.differences import difference, title_of
from graphrouter.bench.evaluation.benchmark import MAIN
from graphrouter.bench.evaluation.report.plots import (
    BLUE,
    Figure,
    build_axis,
    build_layout,
    escape_html,
)
from graphrouter.bench.evaluation.results import Evaluation, SettingName
from graphrouter.bench.evaluation.router_output import ORACLE

_COLORS = ("#0b5394", "#d9730d", "#2e7d32", "#7b3fa0", "#a61c3c", "#00838f", "#8d6e00", "#455a64")
_DASHES = ("dash", "dot", "dashdot", "longdash")
_BAR_HEIGHT, _LEAST_HEIGHT, _CURVE_HEIGHT = 14, 260, 460


def bar_figure(
    evaluations: Sequence[Evaluation], setting: SettingName, metric: str
) -> Figure | None:
    """What each variant has more or less than `graphrouter`, grouped by variant, a colour a
    dataset; None without any."""
    known = [
        found
        for found in evaluations
        if setting in found.settings
        and np.isfinite(found.settings[setting].routers[MAIN][metric].value)
    ]
    if not known:
        return None
    variants = list(
        dict.fromkeys(
            name for found in known for name in found.settings[setting].paired if name != ORACLE
        )
    )[::-1]
    traces = [
        _bars(found, setting, metric, variants, color=_COLORS[i % len(_COLORS)])
        for i, found in enumerate(known)
    ]
    height = max(_LEAST_HEIGHT, 120 + _BAR_HEIGHT * len(variants) * (len(known) + 1))
    base = build_layout(height=height)
    return {
        "data": traces[::-1],
        "layout": {
            **base,
            "barmode": "group",
            "legend": {**base["legend"], "traceorder": "reversed"},
            "xaxis": {**build_axis(f"difference in {title_of(metric)}"), "zeroline": True},
            "yaxis": {**build_axis(""), "type": "category"},
        },
    }


def _bars(
    found: Evaluation, setting: SettingName, metric: str, variants: Sequence[str], *, color: str
) -> Figure:
    differences = [difference(found, setting, variant, metric) for variant in variants]
    return {
        "type": "bar",
        "orientation": "h",
        "name": escape_html(found.dataset),
        "y": [escape_html(variant) for variant in variants],
        "x": [_number(each.value) for each in differences],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_number(each.high - each.value) for each in differences],
            "arrayminus": [_number(each.value - each.low) for each in differences],
            "thickness": 1,
            "width": 2,
        },
        "marker": {"color": color},
    }


def curve_figure(
    by_size: Mapping[str, Evaluation], setting: SettingName, metric: str
) -> Figure | None:
    """A figure over the number of queries to learn from, a line a router; None where there is
    nothing to show."""
    known = {
        size: found
        for size, found in by_size.items()
        if setting in found.settings
        and np.isfinite(found.settings[setting].routers[MAIN][metric].value)
    }
    if not known:
        return None
    routers = [
        name
        for name in next(iter(known.values())).settings[setting].routers
        if name != ORACLE
        and all(name in found.settings[setting].routers for found in known.values())
    ]
    base = build_layout(height=_CURVE_HEIGHT)
    return {
        "data": [_line(known, setting, metric, name, rank) for rank, name in enumerate(routers)][
            ::-1
        ],
        "layout": {
            **base,
            "legend": {**base["legend"], "traceorder": "reversed"},
            # Categories: `all` is no number.
            "xaxis": {
                **build_axis("training and validation queries"),
                "type": "category",
                "categoryarray": list(known),
            },
            "yaxis": build_axis(title_of(metric)),
        },
    }


def _line(
    known: Mapping[str, Evaluation], setting: SettingName, metric: str, name: str, rank: int
) -> Figure:
    is_mine = name == MAIN
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape_html(name),
        "x": list(known),
        "y": [
            _number(found.settings[setting].routers[name][metric].value) for found in known.values()
        ],
        "line": {
            "color": BLUE if is_mine else _COLORS[1 + rank % (len(_COLORS) - 1)],
            "width": 4 if is_mine else 2,
            "dash": "solid" if is_mine else _DASHES[rank % len(_DASHES)],
        },
    }


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
