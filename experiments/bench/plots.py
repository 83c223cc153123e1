"""The figures of a run as a picture: ratios by measure, and how a route grows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.pictures.svg import ACCENT, FAINT, INK, Drawing

LEFT, RIGHT = 40, 560
_ROW, _TOP = 62, 66
_GROWN = re.compile(r"route with (?P<times>[\d.]+) x the (?P<what>\w+), ms")


def draw(result: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> str:
    """SVG of each ratio to a yardstick on a logarithmic axis, and of the growth of a route.

    Args:
        result: What a run found.
        old: What an earlier one found, drawn as rings.
    """
    rows = _list_ratios(result)
    before = {} if old is None else {name: ratio for name, _, ratio in _list_ratios(old)}
    growth = read_growth(result)
    height = _TOP + _ROW * len(rows) + 70
    drawing = Drawing(
        height=height + (380 if growth else 0),
        title="Ratios of what was measured to its yardsticks, and the growth of a route.",
    )
    drawing.text(20, 34, "Times its yardstick (less is better)", size=21, bold=True)
    _draw_ratios(drawing, rows, before)
    if growth:
        _draw_growth(drawing, growth, height + 20)
    return drawing.svg()


def read_growth(result: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """By what grew, how many times it was there, and how many times a route took; from 1 and 1.

    Example:
        >>> found = {"route with 4 x the models, ms": {"over": {"route": 1.5}}}
        >>> read_growth({"measures": found})
        {'models': [(1.0, 1.0), (4.0, 1.5)]}
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for name, measure in result["measures"].items():
        if grown := _GROWN.fullmatch(name):
            curve = found.setdefault(grown["what"], [(1.0, 1.0)])
            curve.append((float(grown["times"]), measure["over"]["route"]))
    return {what: sorted(curve) for what, curve in found.items()}


def _list_ratios(result: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """What each row is called, its yardstick, and the ratio."""
    return [
        (f"{name.removesuffix(', ms').removesuffix(', s')} / {yard}", yard, ratio)
        for name, measure in result["measures"].items()
        if not _GROWN.fullmatch(name)
        for yard, ratio in measure["over"].items()
    ]


def _draw_ratios(
    drawing: Drawing, rows: Sequence[tuple[str, str, float]], before: Mapping[str, float]
) -> None:
    ratios = [ratio for _, _, ratio in rows] + list(before.values())
    low = math.floor(min(map(math.log10, ratios), default=0))
    high = max(low + 1, math.ceil(max(map(math.log10, ratios), default=1)))

    def to_x(ratio: float) -> float:
        return round(LEFT + (math.log10(ratio) - low) / (high - low) * (RIGHT - LEFT), 1)

    bottom = _TOP + _ROW * len(rows)
    for power in range(low, high + 1):
        drawing.line([(to_x(10.0**power), _TOP - 14), (to_x(10.0**power), bottom)], colour=FAINT)
        drawing.text(to_x(10.0**power), bottom + 24, f"{10.0**power:g}", anchor="middle", size=18)
    for row, (name, _, ratio) in enumerate(rows):
        y = _TOP + _ROW * row
        drawing.text(LEFT, y + 12, name, size=18)
        drawing.line([(LEFT, y + 32), (to_x(ratio), y + 32)], colour=ACCENT, width=4)
        if name in before:
            drawing.dot(to_x(before[name]), y + 32, radius=7, filled=False)
        drawing.dot(to_x(ratio), y + 32, radius=6)


def _draw_growth(
    drawing: Drawing, growth: Mapping[str, Sequence[tuple[float, float]]], top: float
) -> None:
    drawing.text(20, top + 20, "A route in larger worlds, times as long", size=21, bold=True)
    points = [point for curve in growth.values() for point in curve]
    sizes, took = sorted({times for times, _ in points}), [took for _, took in points]
    least, most = min(took), max(*took, 2.0)
    first, bottom = top + 50, top + 280

    def to_point(times: float, took: float) -> tuple[float, float]:
        share = math.log(times / sizes[0]) / math.log(sizes[-1] / sizes[0])
        y = bottom - (took - least) / (most - least) * (bottom - first)
        return round(LEFT + 30 + share * (RIGHT - LEFT - 30), 1), round(y, 1)

    for tick in (1.0, most):
        drawing.line([to_point(sizes[0], tick), to_point(sizes[-1], tick)], colour=FAINT)
        y = to_point(sizes[0], tick)[1] + 6
        drawing.text(LEFT + 20, y, f"{tick:.2g}", anchor="end", size=18)
    for times in sizes:
        x = to_point(times, least)[0]
        drawing.text(x, bottom + 26, f"x {times:g}", anchor="middle", size=18)
    styles = zip(growth, ((ACCENT, ""), (INK, ""), (INK, "8 6")), strict=True)
    for number, (what, (colour, dashes)) in enumerate(styles):
        curve = [to_point(*point) for point in growth[what]]
        drawing.line(curve, colour=colour, width=3, dashes=dashes)
        x = 40 + 180 * number
        drawing.line([(x, top + 330), (x + 40, top + 330)], colour=colour, width=3, dashes=dashes)
        drawing.text(x + 48, top + 336, what, size=18)
