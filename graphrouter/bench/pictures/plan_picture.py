"""A picture of a plan: whom to ask first, and what follows from a pass and from a failure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from graphrouter.bench.pictures.picture import Heights, Picture
from graphrouter.bench.pictures.picture_style import AREA, GREY, INK, Size, show_dollars
from graphrouter.notebook import cut_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from graphrouter.router import Plan
    from graphrouter.router.plan_tree import PlanStep

_WORDS = {"pass": "if it passes", "fail": "if it fails", "": "then"}


class _Row(NamedTuple):
    """A step on a line of its own, under the call that it follows."""

    step: PlanStep
    depth: int
    above: int
    """Number of the row that it follows; -1 for the first."""
    word: str
    chance: float
    """Probability that one comes here from the row above."""


def draw_plan(plan: Plan, *, depth: int = 3, title: str = "Whom to ask, and then whom?") -> Picture:
    """The calls of a plan as a tree: boxes are calls, rounded ones answers that are kept.

    Args:
        plan: From `router.plan`.
        depth: Most calls in a row that are drawn, >= 1.
        title: Above the picture, such as the prompt.

    Raises:
        DataError: The depth is no such number.
    """
    rows = list(_list_rows(plan.steps(depth), 0, -1, "", 1.0, start=0))
    reach = _reach(rows)
    kept = [(row, reach[i]) for i, row in enumerate(rows) if not row.step.branches]
    effect = sum(share * row.step.effect for row, share in kept if not math.isnan(row.step.effect))
    calls = sum(share for row, share in zip(rows, reach, strict=True) if row.step.is_call)
    cost = sum(
        share * row.step.cost_usd
        for row, share in zip(rows, reach, strict=True)
        if row.step.is_call and not math.isnan(row.step.cost_usd)
    )
    height = 0.4 + 0.62 * len(rows)
    return Picture(
        title=cut_text(title, 80),
        says=f"First {rows[0].step.describe()}. On average {calls:.2f} calls for "
        f"{show_dollars(cost)}, to an expected effect of {effect:.2f}.",
        draw=lambda figure, size: _draw(figure, size, rows),
        columns=("step", "after", "chance from there", "model", "effect", "US dollars"),
        rows=[
            (
                "ask" if row.step.is_call else "keep",
                _WORDS[row.word] if row.above >= 0 else "",
                row.chance,
                row.step.model,
                row.step.effect,
                row.step.cost_usd,
            )
            for row in rows
        ],
        heights=Heights(height, height),
    )


def _list_rows(
    step: PlanStep, depth: int, above: int, word: str, chance: float, *, start: int
) -> Iterator[_Row]:
    yield _Row(step, depth, above, word, chance)
    number = start + 1
    for name, share, then in step.branches:
        below = list(_list_rows(then, depth + 1, start, name, share, start=number))
        yield from below
        number += len(below)


def _reach(rows: list[_Row]) -> list[float]:
    """Probability that each row is reached."""
    reach: list[float] = []
    for row in rows:
        reach.append(row.chance * (reach[row.above] if row.above >= 0 else 1.0))
    return reach


def _draw(figure: Figure, size: Size, rows: list[_Row]) -> None:
    axes = figure.subplots()
    axes.set_axis_off()
    indent = 0.35 if size.is_narrow else 0.9  # inches
    width = size.width
    axes.set_xlim(0, width)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for number, row in enumerate(rows):
        left = row.depth * indent
        if row.above >= 0:
            start = (row.depth - 1) * indent + 0.12
            axes.plot(
                [start, start, left], [row.above + 0.3, number, number], color=GREY, linewidth=1.2
            )
        is_call = row.step.is_call
        text = _describe(row, size)
        axes.text(
            left + 0.08,
            number,
            text,
            va="center",
            fontweight="bold" if is_call else "normal",
            color=INK,
            bbox={
                "boxstyle": "square,pad=0.35" if is_call else "round,pad=0.35,rounding_size=0.8",
                "facecolor": AREA if is_call else "white",
                "edgecolor": INK,
                "linewidth": 1.0,
            },
        )


def _describe(row: _Row, size: Size) -> str:
    step = row.step
    came = ""
    if row.above >= 0 and row.word:
        came = f"{row.word} {row.chance:.0%}: " if size.is_narrow else (
            f"{_WORDS[row.word]} ({row.chance:.0%}): "
        )  # fmt: skip
    if step.model is None:
        return f"{came}nobody can be asked"
    if not step.is_call:
        return f"{came}keep {step.model}, {step.effect:.2f}"
    price = "" if math.isnan(step.cost_usd) else f", {show_dollars(step.cost_usd)}"
    return f"{came}ask {step.model}, {step.effect:.2f}{price}"
