"""Savings as one page of PDF, drawn by matplotlib: no browser is needed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from graphrouter import __version__
from graphrouter.bench.pictures.picture_style import INK, SOFT, WIDE, apply_style
from graphrouter.bench.savings.savings_page import name_period, tell_row
from graphrouter.bench.savings.savings_pictures import draw_costs, draw_quality, draw_traffic
from graphrouter.bench.savings.savings_result import Savings
from graphrouter.bench.savings.savings_words import give_headline, list_sure, list_unsure
from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.files import replace_file, to_path

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

_A4 = (8.27, 11.69)
_FONT = 8.0
_CHARS = 124
"""Of a line of small print."""


def write_savings_pdf(savings: Savings, file: str | Path, *, period: str = "") -> None:
    """Write the page: the headline, three pictures, a table, what is sure and what is not.

    Args:
        savings: From `find_savings`.
        file: Where to.
        period: When the calls were made, in any form; empty where that is not known.

    Raises:
        DataError: `file` is no path.
        MissingExtraError: matplotlib is not installed.
    """
    require_extra("bench", "matplotlib", purpose="A page of PDF")
    path = to_path(file, "a page", DataError)
    replace_file(path, partial(_write, savings, period))


def _write(savings: Savings, period: str, file: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with apply_style(_FONT):
        margins = ConstrainedLayoutEngine(rect=(0.03, 0.02, 0.94, 0.96))
        page = Figure(figsize=_A4, layout=margins)
        parts: Any = page.subfigures(5, 1, height_ratios=[2.5, 2.4, 2.4, 2.7, 3.4])
        head, costs, quality, traffic, foot = parts
        lines = [fill(give_headline(savings), 88), ""]
        lines += [period] if period else []
        head.text(0.04, 0.95, name_period(savings), fontsize=14, fontweight="bold", va="top")
        head.text(0.04, 0.78, "\n".join(lines), fontsize=10, va="top")
        _write_table(head, savings)
        for part, title in (
            (costs, "What it costs (solid: the log tells it; striped: predicted)"),
            (quality, "How good the answers are (hollow: mostly predicted)"),
            (traffic, "Who answers"),
        ):
            part.suptitle(title, x=0.04, ha="left", fontweight="bold")
        draw_costs(costs.subplots(), savings, WIDE)
        draw_quality(quality.subplots(), savings, WIDE)
        draw_traffic(traffic, traffic.subplots(), savings, WIDE)
        foot.text(0.04, 0.97, _list_text(savings), va="top", color=INK, linespacing=1.35)
        foot.text(0.04, 0.01, f"Made by graphrouter {__version__}.", color=SOFT, fontsize="small")
        told = {"CreationDate": None, "Title": name_period(savings)}
        page.savefig(file, format="pdf", metadata=told)


def _write_table(part: SubFigure, savings: Savings) -> None:
    rows = [tell_row(each) for each in (savings.baseline, *savings.policies)]
    head = ("way to choose", "cost of the period", "less or more", "quality, points of 100")
    for column, x in enumerate((0.04, 0.32, 0.60, 0.75)):
        text = "\n".join([head[column], *(row[column] for row in rows)])
        part.text(x, 0.47, text, va="top", linespacing=1.5)


def _list_text(savings: Savings) -> str:
    lines: list[str] = []
    for title, found in (
        ("What is sure", list_sure(savings)),
        ("What is not sure", list_unsure(savings)),
    ):
        lines.append(title)
        lines += [fill(f"- {line}", _CHARS, subsequent_indent="  ") for line in found]
    return "\n".join(lines)
