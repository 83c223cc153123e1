"""The plots of a study, as figures of plotly.js: plain dicts in its JSON schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from graphrouter.bench.evaluation.report.plots import (
    BLUE,
    GREY,
    INK,
    Figure,
    build_axis,
    build_layout,
    escape_html,
)
from graphrouter.bench.tuning.objectives import Objective
from graphrouter.bench.tuning.search_space import Choice, Range, Value
from graphrouter.bench.tuning.trial_records import TrialRecord
from graphrouter.bench.tuning.tuning_result import TuningResult

_HEIGHT = 420
_PALE = (0xD5, 0xDA, 0xE1)
_STRONG = (0x0B, 0x53, 0x94)


def draw_history(result: TuningResult, objective: Objective) -> Figure:
    """The value of each trial in order, and the best so far."""
    done = result.completed
    values = [trial.values[objective.name] for trial in done]
    best: list[float] = []
    for value in values:
        best.append(value if not best or objective.is_better(value, best[-1]) else best[-1])
    numbers = [trial.number for trial in done]
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": numbers,
        "y": best,
        "line": {"color": BLUE, "width": 2, "shape": "hv"},
        "hoverinfo": "skip",
    }
    points = _points(done, "trials", x=numbers, y=values, texts=_texts(result, done))
    layout = {
        **build_layout(height=_HEIGHT),
        "xaxis": build_axis("trial"),
        "yaxis": build_axis(f"validation {objective.title}"),
    }
    return {"data": [line, points, *_marked(result, "number", objective)], "layout": layout}


def draw_front(result: TuningResult) -> Figure:
    """The first two objectives against each other, the Pareto front as a line."""
    across, up = result.objectives[:2]
    front = sorted(result.front, key=lambda trial: trial.values[across.name])
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": [trial.values[across.name] for trial in front],
        "y": [trial.values[up.name] for trial in front],
        "line": {"color": BLUE, "width": 2},
        "hoverinfo": "skip",
    }
    x, y = ([trial.values[each.name] for trial in result.completed] for each in (across, up))
    points = _points(result.completed, "trials", x=x, y=y, texts=_texts(result, result.completed))
    titles = [
        f"{each.title} {'↓' if each.direction == 'minimize' else '↑'}" for each in (across, up)
    ]
    layout = {
        **build_layout(height=_HEIGHT),
        "xaxis": build_axis(titles[0]),
        "yaxis": build_axis(titles[1]),
    }
    return {"data": [line, points, *_marked(result, across.name, up)], "layout": layout}


def draw_importances(shares: Mapping[str, float]) -> Figure:
    """Share of each setting, the largest on top."""
    names = list(shares)[::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(shares[name], 4) for name in names],
        "y": [escape_html(name) for name in names],
        "marker": {"color": BLUE},
        "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
    }
    height = 120 + 26 * len(names)
    axis = {**build_axis("share of the variance between trials"), "tickformat": ".0%"}
    return {
        "data": [bars],
        "layout": {
            **build_layout(height=height),
            "xaxis": axis,
            "yaxis": build_axis(""),
            "showlegend": False,
        },
    }


def draw_parallel(result: TuningResult, objective: Objective) -> Figure:
    """A line a trial through the values of its settings; the last axis is the objective.

    The better, the darker and the higher.

    Lines of a plain scatter plot: plotly's own parallel coordinates compile code at run time, which
    the page forbids.
    """
    ranked = sorted(
        result.completed,
        key=lambda trial: trial.values[objective.name],
        reverse=objective.direction == "minimize",
    )
    values = [trial.values[objective.name] for trial in ranked]
    names = [*(key.rpartition(".")[2] for key in result.space.ranges), objective.title]
    texts = _texts(result, ranked)
    lines = []
    for rank, trial in enumerate(ranked):
        heights = [_height(each, trial.params[key]) for key, each in result.space.ranges.items()]
        heights.append(_share(trial.values[objective.name], values[0], values[-1]))
        lines.append(
            _line(result, trial, names, heights, rank / max(len(ranked) - 1, 1), texts[rank])
        )
    ends = [(_end(each, 0), _end(each, -1)) for each in result.space.ranges.values()]
    ends.append((f"{values[0]:.4f}", f"{values[-1]:.4f}"))
    axis = {
        **build_axis(""),
        "type": "category",
        "tickangle": -35,
        "range": [-0.5, len(names) - 0.5],
    }
    hidden = {"visible": False, "range": [-0.12, 1.12]}
    layout = {
        **build_layout(height=_HEIGHT + 80),
        "xaxis": axis,
        "yaxis": hidden,
        "showlegend": False,
    }
    return {"data": lines, "layout": {**layout, "annotations": _end_labels(ends)}}


def _line(
    result: TuningResult,
    trial: TrialRecord,
    names: Sequence[str],
    heights: list[float],
    share: float,
    text: str,
) -> Figure:
    is_chosen = trial is result.chosen
    style = {
        "color": _shade(share),
        "width": 4 if is_chosen else 1.5,
        "dash": "dash" if trial.is_start else "solid",
    }
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(names),
        "y": [round(height, 4) for height in heights],
        "line": style,
        "marker": {"size": 7 if is_chosen else 4},
        "text": [text] * len(names),
        "hovertemplate": "%{text}<extra></extra>",
    }


def _height(values: Range, value: Value) -> float:
    """Where a value lies between the ends of its range, 0 to 1."""
    if isinstance(values, Choice):
        return values.choices.index(value) / (len(values.choices) - 1)
    number = float(value or 0)
    if values.log:
        return _share(math.log(number), math.log(values.low), math.log(values.high))
    return _share(number, values.low, values.high)


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high == low else (value - low) / (high - low)


def _end(values: Range, position: int) -> str:
    """The lower (0) or the upper (-1) end of an axis."""
    if isinstance(values, Choice):
        return str(values.choices[position])
    return f"{(values.low, values.high)[position]:g}"


def _end_labels(ends: Sequence[tuple[str, str]]) -> list[Figure]:
    font = {"size": 10, "color": GREY}
    return [
        {"x": at, "y": height, "text": escape_html(text), "showarrow": False, "font": font}
        for at, (low, high) in enumerate(ends)
        for height, text in ((-0.07, low), (1.07, high))
    ]


def _shade(share: float) -> str:
    """From pale (0, the worst trial) to strong (1, the best one)."""
    return "#" + "".join(
        f"{round(pale + share * (strong - pale)):02x}"
        for pale, strong in zip(_PALE, _STRONG, strict=True)
    )


def _points(
    trials: Sequence[TrialRecord],
    name: str,
    *,
    x: Sequence[float],
    y: Sequence[float],
    texts: Sequence[str],
) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "text": list(texts),
        "marker": {"color": GREY, "size": 8},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _marked(result: TuningResult, across: str, up: Objective) -> list[Figure]:
    """The trial that the study began with, and the chosen one, on top of the others."""
    marks = []
    for trial, name, marker in (
        (
            result.start,
            result.start_name,
            {"color": "#ffffff", "size": 11, "line": {"color": INK, "width": 2}},
        ),
        (result.chosen, "chosen", {"color": BLUE, "size": 11, "symbol": "diamond"}),
    ):
        if trial is not None:
            x = trial.number if across == "number" else trial.values[across]
            point = _points(
                [trial], name, x=[x], y=[trial.values[up.name]], texts=_texts(result, [trial])
            )
            marks.append({**point, "marker": marker})
    return marks


def _texts(result: TuningResult, trials: Sequence[TrialRecord]) -> list[str]:
    """What a trial says when it is pointed at."""
    return [
        "<br>".join(
            [
                f"trial {trial.number}{f' ({result.start_name})' if trial.is_start else ''}",
                *(f"{each.title} {trial.values[each.name]:.4f}" for each in result.objectives),
                *(
                    escape_html(f"{key} {format_value(value)}")
                    for key, value in trial.params.items()
                ),
            ]
        )
        for trial in trials
    ]


def format_value(value: Value) -> str:
    """The value of a setting, a fraction with four significant digits.

    Example:
        >>> format_value(0.00123456), format_value(64), format_value(None)
        ('0.001235', '64', 'null')
    """
    if value is None:
        return "null"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
