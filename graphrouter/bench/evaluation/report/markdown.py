"""Reports in Markdown: the content of the HTML file, tables in place of plots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from graphrouter.bench.evaluation.report.content import Report, Section
from graphrouter.bench.evaluation.report.grids import Grid, GridRow
from graphrouter.bench.evaluation.report.layout import lay_out, name_section
from graphrouter.bench.evaluation.table import Cell

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")
_SYMBOLS = {"better": "▲ ", "worse": "▼ ", "": ""}


def render_markdown(reports: Sequence[Report]) -> str:
    """The reports as GitHub-flavoured Markdown, one chapter a dataset, with a table of contents.

    Everything that comes from data is escaped: it cannot end a table cell, start a tag or a link.
    """
    lines = ["# Routers compared", "", *_contents(reports), ""]
    for number, report in enumerate(reports):
        lines += [f"## {escape_text(report.dataset)}", "", _basis(report), ""]
        for section in report.sections:
            lines += _section(report, section, number)
    return "\n".join(lines).rstrip() + "\n"


def escape_text(text: str) -> str:
    r"""The text as Markdown shows it literally, in one line.

    Example:
        >>> escape_text("gpt_4|<b>")
        'gpt\\_4\\|&lt;b&gt;'
    """
    return _SPECIAL.sub(r"\\\1", escape(" ".join(text.split()), quote=False))


def list_table_lines(grid: Grid) -> Iterator[str]:
    """The table and its notes, without its caption; an empty line behind each."""
    text = grid.num_text_columns
    yield _line([escape_text(title) for title in grid.columns])
    yield _line(["---"] * text + ["---:"] * (len(grid.columns) - text))
    for row in grid.rows:
        yield _line([_cell(cell, row) for cell in row.cells])
    yield ""
    yield from _paragraphs(grid.notes)


def _contents(reports: Sequence[Report]) -> Iterator[str]:
    for number, report in enumerate(reports):
        for section in report.sections:
            title, sentence = (
                escape_text(text)
                for text in (name_section(report, section), section.conclusion.sentence)
            )
            yield f"- [{title}](#{_anchor(section, number)}): {sentence}"


def _basis(report: Report) -> str:
    return (
        "; ".join(
            f"{escape_text(label)}: {escape_text(value)}" for label, value in report.basis.items()
        )
        + "."
    )


def _section(report: Report, section: Section, number: int) -> Iterator[str]:
    yield from (
        f'<a id="{_anchor(section, number)}"></a>',
        "",
        f"### {escape_text(name_section(report, section))}",
        "",
    )
    yield from (f"**{escape_text(section.conclusion.sentence)}**", "")
    yield from _paragraphs(section.conclusion.details)
    for block in lay_out(report, section):
        yield from (f"#### {escape_text(block.title)}", "")
        yield from _paragraphs(block.text)
        for grid in block.grids:
            yield from (f"{escape_text(grid.caption)}:", "", *list_table_lines(grid))
        yield from _paragraphs(block.notes)


def _paragraphs(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from (escape_text(sentence), "")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, row: GridRow) -> str:
    value = escape_text(f"{cell.value} {cell.interval}")
    if row.is_evaluated:
        value = f"**{value}**"
    symbol = _SYMBOLS[cell.mark]
    return (
        f"{value}<br>{symbol}{escape_text(cell.difference)}"
        if cell.difference
        else f"{symbol}{value}"
    )


def _anchor(section: Section, number: int) -> str:
    return f"d{number}-{section.setting}"
