"""What all figures share: colours, layout and axes, as plain dicts of plotly.js."""

from __future__ import annotations

from html import escape
from typing import Any

Figure = dict[str, Any]
BLUE, INK, GREY = "#0b5394", "#1c2430", "#8a919c"
"""Of the evaluated router, of texts, and of what stands back."""


def build_layout(*, height: int) -> Figure:
    """Fonts, margins and background of a figure of this height in pixels."""
    return {
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 60, "r": 10, "t": 20, "b": 60},
        "height": height,
        "hovermode": "closest",
        "legend": {"font": {"size": 12}, "itemsizing": "constant"},
    }


def build_axis(title: str) -> Figure:
    """An axis with this title."""
    return {
        "title": {"text": title},
        "gridcolor": "#e3e7ec",
        "linecolor": GREY,
        "zeroline": False,
        "automargin": True,
    }


def escape_html(text: str) -> str:
    """The text as plotly shows it literally: it renders a subset of HTML.

    Example:
        >>> escape_html("gpt<b>4")
        'gpt&lt;b&gt;4'
    """
    return escape(text, quote=False)
