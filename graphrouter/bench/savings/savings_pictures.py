"""The three pictures of savings: what it costs, how good it is, and who answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.bench.pictures.picture import Heights, Picture
from graphrouter.bench.pictures.picture_style import (
    BLUE,
    GREY,
    HATCH,
    INK,
    SOFT,
    Size,
    show_dollars,
)
from graphrouter.bench.savings.policy_amounts import Amount
from graphrouter.bench.savings.savings_result import MOSTLY, PolicySavings, Savings
from graphrouter.bench.savings.savings_words import show_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

AS_IT_WAS = "As it was"
_MOST_NAMED = 5
"""Models with a shade of their own; the others share one."""
_SHADES = ("#0b3a66", "#d9e4f0", "#5f8fc0", "#ffffff", "#9fbfdf", "#e8e8e8")
"""Dark and light take turns, so that neighbours differ in grey."""
_HATCHES = ("", "..", "", "//", "xx", "--")


def draw_savings(savings: Savings) -> tuple[Picture, Picture, Picture]:
    """What it costs, how good it is, and who answers.

    Args:
        savings: From `find_savings`.
    """
    rows = (savings.baseline, *savings.policies)
    heights = Heights(1.0 + 0.52 * (len(rows) + 1), 1.2 + 0.62 * (len(rows) + 1))
    cost = Picture(
        title="What it costs",
        says="US dollars of the period. Solid: what the log tells; striped: what is predicted. The "
        "line across an end shows between which amounts the truth is expected.",
        draw=lambda figure, size: draw_costs(figure.subplots(), savings, size),
        columns=("way", "US dollars", "from", "to", "told by the log"),
        rows=[
            (each.name, each.cost_usd.value, each.cost_usd.low, each.cost_usd.high,
             _told(each.cost_usd))
            for each in rows
        ],
        heights=heights,
    )  # fmt: skip
    quality = Picture(
        title="How good the answers are",
        says="Mean grade in points of 100. A filled mark: what the log tells; a hollow one: mostly "
        "predicted. The line shows between which values the truth is expected.",
        draw=lambda figure, size: draw_quality(figure.subplots(), savings, size),
        columns=("way", "points of 100", "from", "to", "told by the log"),
        rows=[
            (each.name, *(100 * value for value in each.effect_ends), _told(each.effect))
            for each in rows
        ],
        heights=heights,
    )  # fmt: skip
    traffic = Picture(
        title="Who answers",
        says="Share of the calls that each model gets.",
        draw=lambda figure, size: draw_traffic(figure, figure.subplots(), savings, size),
        columns=("way", "model", "share of the calls"),
        rows=[
            (each.name, model, f"{share:.0%}")
            for each in rows
            for model, share in each.shares.items()
        ],
        heights=Heights(heights.wide + 0.4, heights.narrow + 1.2),
    )
    return cost, quality, traffic


def draw_costs(axes: Axes, savings: Savings, size: Size) -> None:
    """Bars of US dollars, the striped part of each predicted.

    Args:
        axes: Empty.
        savings: What is drawn.
        size: What for.
    """
    rows = (savings.baseline, *savings.policies)
    names = [each.name for each in rows]
    for place, each in enumerate(rows):
        amount = each.cost_usd
        known = max(min(amount.value_from_log, amount.value), 0.0)
        axes.barh(place, known, color=BLUE, edgecolor=INK, height=0.6)
        axes.barh(
            place,
            amount.value - known,
            left=known,
            color="white",
            edgecolor=BLUE,
            hatch=HATCH,
            hatchcolor=BLUE,
            height=0.6,
        )
        _draw_ends(axes, place, amount.low, amount.high)
    if savings.logged is not None:
        names.append(AS_IT_WAS)
        axes.barh(len(rows), savings.logged.paid_usd, color=GREY, edgecolor=INK, height=0.6)
    ends = [value for each in rows for value in (each.cost_usd.value, each.cost_usd.high)]
    ends += [] if savings.logged is None else [savings.logged.paid_usd]
    most = max(value for value in ends if not math.isnan(value))
    axes.set_xlim(0, 1.18 * most or 1.0)
    amounts = [each.cost_usd.value for each in rows]
    amounts += [] if savings.logged is None else [savings.logged.paid_usd]
    for place, value in enumerate(amounts):
        high = rows[place].cost_usd.high if place < len(rows) else value
        right = max(value, high if not math.isnan(high) else value)
        axes.text(right + 0.015 * most, place, show_dollars(value), va="center", fontweight="bold")
    axes.xaxis.set_major_formatter(lambda value, _: show_dollars(value))
    axes.xaxis.set_major_locator(_few_ticks(size))
    axes.set_xlabel("US dollars of the period")
    _name_rows(axes, names)


def draw_quality(axes: Axes, savings: Savings, size: Size) -> None:
    """Marks of mean quality with their ranges.

    Args:
        axes: Empty.
        savings: What is drawn.
        size: What for.
    """
    rows = (savings.baseline, *savings.policies)
    names = [each.name for each in rows]
    for place, each in enumerate(rows):
        value, low, high = each.effect_ends
        _draw_ends(axes, place, 100 * low, 100 * high)
        is_told = each.effect.share_from_log >= MOSTLY
        axes.plot(
            100 * value,
            place,
            "o",
            markersize=9,
            color=BLUE,
            markerfacecolor=BLUE if is_told else "white",
            markeredgewidth=2,
        )
        axes.annotate(
            show_points(value),
            (100 * (value if math.isnan(high) else high), place),
            (7, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold",
        )
    axes.axvline(100 * savings.baseline.effect.value, color=SOFT, linestyle=(0, (1, 1.6)))
    if savings.logged is not None and savings.logged.num_graded:
        names.append(AS_IT_WAS)
        axes.plot(100 * savings.logged.effect, len(rows), "D", color=GREY, markeredgecolor=INK)
    axes.set_xlabel(
        "mean grade, points of 100" if size.is_narrow else "mean grade in points of 100"
    )
    axes.margins(x=0.12)
    _name_rows(axes, names)


def draw_traffic(figure: Figure, axes: Axes, savings: Savings, size: Size) -> None:
    """Bars of shares of the calls, a shade for each of the models that get most.

    Args:
        figure: Where the names of the models stand.
        axes: Empty.
        savings: What is drawn.
        size: What for.
    """
    rows = (savings.baseline, *savings.policies)
    total: Counter[str] = Counter()
    for each in rows:
        total.update(each.shares)
    named = [model for model, _ in total.most_common(_MOST_NAMED)]
    bands = [*named, *(["others"] if len(total) > _MOST_NAMED else [])]
    left = np.zeros(len(rows))
    for place, model in enumerate(bands):
        width = np.array([_share_of(each, model, named) for each in rows])
        dark = place in (0, 2)
        axes.barh(
            range(len(rows)),
            width,
            left=left,
            height=0.6,
            color=_SHADES[place],
            hatch=_HATCHES[place],
            edgecolor=INK if not dark else "white",
            label=model,
        )
        for row in np.flatnonzero(width >= 0.12):
            axes.text(
                left[row] + width[row] / 2,
                float(row),
                f"{width[row]:.0%}",
                ha="center",
                va="center",
                color="white" if dark else INK,
                bbox=None if dark else {"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )
        left += width
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("share of the calls")
    axes.grid(visible=False)
    _name_rows(axes, [each.name for each in rows])
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 if size.is_narrow else 3)


def _told(amount: Amount) -> str:
    return f"{amount.share_from_log:.0%}"


def _share_of(policy: PolicySavings, model: str, named: Sequence[str]) -> float:
    if model in named:
        return policy.shares.get(model, 0.0)
    return sum(share for name, share in policy.shares.items() if name not in named)


def _draw_ends(axes: Axes, place: int, low: float, high: float) -> None:
    if math.isnan(low) or math.isnan(high):
        return
    axes.plot([max(low, 0.0), high], [place, place], color=INK, linewidth=1.4)
    for end in (max(low, 0.0), high):
        axes.plot([end, end], [place - 0.14, place + 0.14], color=INK, linewidth=1.4)


def _few_ticks(size: Size) -> MaxNLocator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3 if size.is_narrow else 6)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_break(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(names) - 0.5, -0.5)


def _break(name: str) -> str:
    """A long name on two lines."""
    if len(name) <= 16 or " " not in name:
        return name if len(name) <= 26 else f"{name[:25]}…"
    first, rest = name.split(" ", 1)
    return f"{first}\n{rest if len(rest) <= 20 else rest[:19] + '…'}"
