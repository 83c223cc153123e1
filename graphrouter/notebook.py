"""Tables for notebooks: what `_repr_html_` of the public values gives back."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

MAX_ROWS = 20
"""Rows of a table; a line below says how many more there are."""
_MAX_CHARS = 120


def render_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table with a caption; every text is escaped, and cut where it is long.

    Args:
        title: The caption.
        columns: Headings.
        rows: A value for each column: None and NaN are shown as "-", numbers with four
            significant digits.

    Example:
        >>> print(render_table("Prices", ["model", "USD"], [("a<b", 0.25), ("c", None)]))
        <table><caption>Prices</caption><tr><th>model</th><th>USD</th></tr>
        <tr><td>a&lt;b</td><td>0.25</td></tr>
        <tr><td>c</td><td>-</td></tr></table>
    """
    all_rows = list(rows)
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = [f"<tr>{head}</tr>"]
    for row in all_rows[:MAX_ROWS]:
        lines.append(f"<tr>{''.join(f'<td>{_show(value)}</td>' for value in row)}</tr>")
    hidden = len(all_rows) - MAX_ROWS
    if hidden > 0:
        lines.append(f'<tr><td colspan="{len(columns)}">and {hidden:,} more</td></tr>')
    return f"<table><caption>{html.escape(title)}</caption>" + "\n".join(lines) + "</table>"


def cut_text(text: str, width: int = _MAX_CHARS) -> str:
    r"""The text on one line of at most `width` characters.

    Example:
        >>> cut_text("one line\nand another", 12)
        'one line ...'
    """
    flat = " ".join(text[: 4 * width].split())
    return flat if len(flat) <= width and len(text) <= 4 * width else f"{flat[: width - 3]}..."


def _show(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return html.escape(cut_text(str(value)))
