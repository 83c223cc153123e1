"""Picture of what a training takes by the number of outcomes, carried on to a billion."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from experiments.pictures.svg import ACCENT, FAINT, INK, PALE, Drawing
from experiments.scaling.growth import FAR, carry_on, read_growth

LEFT, RIGHT = 84, 560
_LEAST, _MOST = 1e4, 1e9
_PARTS = (
    ("epochs", "epochs", ACCENT, "dot"),
    ("texts", "texts and their transforms", INK, "cross"),
    ("tables", "tables read and split", INK, "square"),
    ("states", "states, and saving", ACCENT, "ring"),
    ("calibration", "calibration, intervals", PALE, "pale"),
)


def draw() -> str:
    """Seconds by part of a training and its peak of memory, over outcomes; dashes are reckoned."""
    trainings = read_growth()
    far = carry_on(trainings)
    drawing = Drawing(
        height=870,
        title="Seconds by part of a training and its peak memory, from ten thousand outcomes to "
        "ten million, and carried on to a billion.",
    )
    drawing.text(20, 34, "Seconds of a processor, by part", size=21, bold=True)
    _draw_grid(drawing, 62, 390, (0.1, 1, 10, 100, 1000, 10_000), "{:g}")
    for part, _, colour, mark in _PARTS:
        seconds = [max(each["seconds"][part], 0.1) for each in trainings]
        _draw_curve(
            drawing,
            trainings,
            [*seconds, far["seconds"][part]],
            (_scale(0.1, 1e4, 390, 62), colour, mark),
        )
    for number, (_, words, colour, mark) in enumerate(_PARTS):
        x, y = 40 + (number % 2) * 262, 448 + 32 * (number // 2)
        _draw_mark(drawing, x, y, mark, colour)
        drawing.text(x + 18, y + 6, words, size=18)
    drawing.text(20, 570, "Peak of memory, GiB", size=21, bold=True)
    _draw_grid(drawing, 594, 806, (1, 10, 100, 1000), "{:g}")
    peaks = [each["peak_mib"] / 1024 for each in (*trainings, far)]
    _draw_curve(drawing, trainings, peaks, (_scale(0.5, 1000, 806, 594), ACCENT, "dot"))
    drawing.text((LEFT + RIGHT) / 2, 858, "graded outcomes; dashes: reckoned", anchor="middle")
    return drawing.svg()


def _scale(low: float, high: float, bottom: float, top: float) -> Callable[[float], float]:
    """Where a value lies on a logarithmic axis."""
    span = math.log(high / low)
    return lambda value: round(bottom - math.log(value / low) / span * (bottom - top), 1)


def _to_x(outcomes: float) -> float:
    return round(LEFT + math.log(outcomes / _LEAST) / math.log(_MOST / _LEAST) * (RIGHT - LEFT), 1)


def _draw_grid(
    drawing: Drawing, top: float, bottom: float, ticks: Sequence[float], form: str
) -> None:
    to_y = _scale(0.1 if ticks[0] < 1 else 0.5, ticks[-1], bottom, top)
    for tick in ticks:
        drawing.line([(LEFT, to_y(tick)), (RIGHT, to_y(tick))], colour=FAINT)
        drawing.text(LEFT - 10, to_y(tick) + 6, form.format(tick), anchor="end", size=18)
    names = ("10 k", "100 k", "1 M", "10 M", "100 M", "1 bn")
    for power, name in enumerate(names, start=4):
        drawing.text(_to_x(10**power), bottom + 26, name, anchor="middle", size=18)


def _draw_curve(
    drawing: Drawing,
    trainings: Sequence[dict[str, Any]],
    values: Sequence[float],
    style: tuple[Callable[[float], float], str, str],
) -> None:
    """A line through what was measured, and dashes to the last value, which was not."""
    to_y, colour, mark = style
    places = [*(each["outcomes"] for each in trainings), FAR]
    points = [(_to_x(x), to_y(y)) for x, y in zip(places, values, strict=True)]
    drawing.line(points[:-1], colour=colour, width=3)
    drawing.line(points[-2:], colour=colour, width=3, dashes="3 7")
    for x, y in points[:-1]:
        _draw_mark(drawing, x, y, mark, colour)


def _draw_mark(drawing: Drawing, x: float, y: float, mark: str, colour: str) -> None:
    if mark == "cross":
        drawing.cross(x, y, arm=6)
    elif mark == "square":
        drawing.square(x, y, side=12)
    elif mark == "pale":
        drawing.box(x - 7, y - 7, 14, 14, fill=colour)
    else:
        drawing.dot(x, y, radius=6, filled=mark == "dot")
