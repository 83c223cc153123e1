"""How all pictures look: sizes, fonts, and lines that differ without their colours too.

Drawn by matplotlib, which needs no browser and writes text of an SVG as text. A series is told by
its dashes and markers first and by its colour second, so that a print in grey says the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphrouter.bench.evaluation.report.labels import place_labels
from graphrouter.bench.evaluation.report.plots import BLUE, GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "AREA",
    "BASELINE",
    "BLUE",
    "GREY",
    "GRID",
    "HATCH",
    "INK",
    "NARROW",
    "ORACLE_LINE",
    "ROUTER",
    "SOFT",
    "WIDE",
    "Size",
    "apply_style",
    "label_points",
    "show_dollars",
]


class Size(NamedTuple):
    """A width that pictures are drawn for, in inches; a picture says how high it is."""

    name: str
    width: float
    font: float
    """Points of the text."""

    @property
    def is_narrow(self) -> bool:
        """Whether it is the one for telephones."""
        return self.name == "narrow"


WIDE = Size("wide", 8.0, 10.5)
"""Of a screen, a slide, or a page of paper."""
NARROW = Size("narrow", 3.9, 9.0)
"""Of a telephone: text keeps its size, and the picture grows higher instead."""

GRID, SOFT = "#dde2e9", "#586172"
"""Of lines and words that stand back."""
AREA = "#b9d0e8"
"""Of filled areas: light enough to be told from `BLUE` in grey."""
HATCH = "////"
"""Over an area whose figures are expected and not observed."""
ROUTER: dict[str, Any] = {"color": BLUE, "linewidth": 2.6, "linestyle": "-"}
BASELINE: dict[str, Any] = {"color": "#a04a00", "linewidth": 1.8, "linestyle": (0, (5, 2))}
ORACLE_LINE: dict[str, Any] = {"color": INK, "linewidth": 1.4, "linestyle": (0, (1, 1.6))}

_SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # it comes with matplotlib
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.color": "#ffffff",
    "hatch.linewidth": 1.6,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "axes.unicode_minus": False,
    "text.parse_math": False,
}
"""Settings of matplotlib that hold while a picture is drawn and written, and no longer. Names come
from data: `$` in one of them is a dollar sign, never mathematics."""


@contextmanager
def apply_style(font: float, *, salt: str = "") -> Iterator[None]:
    """The settings hold as long as the context lasts.

    Args:
        font: Points of the text.
        salt: Tells apart what is named in two SVGs of one page.
    """
    from matplotlib import rc_context

    settings: Any = {**_SETTINGS, "font.size": font, "svg.hashsalt": salt}
    with warnings.catch_warnings(), rc_context(settings):
        # Of names in scripts that the font lacks; an SVG has them as text all the same.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def show_dollars(amount: float) -> str:
    """US dollars to the cent from a dime on, below with two digits that count.

    Example:
        >>> [show_dollars(amount) for amount in (0.000123, 0.5, 12.345, 12345.6)]
        ['$0.00012', '$0.50', '$12.35', '$12,346']
    """
    if abs(amount) >= 0.1:
        is_whole = abs(amount) >= 1000 or amount == round(amount)
        return f"${amount:,.0f}" if is_whole else f"${amount:,.2f}"
    return f"${np.format_float_positional(amount, precision=2, fractional=False, trim='-')}"


def label_points(
    axes: Axes,
    places: Sequence[tuple[float, float]],
    texts: Sequence[str],
    *,
    avoid: Sequence[tuple[float, float]] = (),
) -> list[str]:
    """Write the names of points where they cover nothing; those that found room come back.

    Args:
        axes: Whose limits are final.
        places: Of the points, in data coordinates, the most important first.
        texts: Of each point.
        avoid: Points of lines that names had better not cover.
    """
    figure = axes.get_figure(root=True)
    if figure is None or not places:
        return []
    figure.draw_without_rendering()  # a layout is known once it was laid out
    box = axes.get_window_extent()
    scale = 72 / figure.dpi  # points, in which labels are placed

    def locate(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        shown: Any = axes.transData.transform(list(points)) if points else []
        return [(scale * (x - box.x0), scale * (box.y1 - y)) for x, y in shown]

    offsets = place_labels(
        locate(places),
        texts,
        width=scale * box.width,
        height=scale * box.height,
        avoid=locate(avoid),
    )
    written = []
    for place, text, offset in zip(places, texts, offsets, strict=True):
        if offset is None:
            continue
        axes.annotate(
            text,
            place,
            (offset.x, -offset.y),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize="small",
            color=SOFT,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkB": 4},
        )
        written.append(text)
    return written
