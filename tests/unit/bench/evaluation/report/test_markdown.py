"""The Markdown says what the page says, and no more than text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.evaluation.report import Report, build_report, render_markdown
from graphrouter.bench.evaluation.report.layout import lay_out
from graphrouter.bench.evaluation.report.markdown import escape_text
from tests.unit.bench.evaluation.report.conftest import Scored

_BAR = re.compile(r"(?<!\\)\|")


@pytest.fixture(scope="module")
def report(scored: Scored) -> Report:
    return build_report(scored.runs, scored.evaluation, date="2026-01-31")


def tables(markdown: str) -> list[list[str]]:
    """The lines of each table."""
    return [
        block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE)
    ]


def test_every_table_of_the_report_is_there(report: Report) -> None:
    found = tables(render_markdown([report]))
    grids = [
        grid
        for section in report.sections
        for block in lay_out(report, section)
        for grid in block.grids
    ]
    assert len(found) == len(grids)
    for lines, grid in zip(found, grids, strict=True):
        assert len(lines) == 2 + len(grid.rows)
        assert {len(_BAR.findall(line)) for line in lines} == {len(grid.columns) + 1}


def test_contents_verdict_and_frontier_levels(report: Report) -> None:
    text = render_markdown([report, report])
    for anchor in ("d0-task_known", "d1-task_hidden"):
        assert f"](#{anchor})" in text
        assert f'<a id="{anchor}"></a>' in text
    assert escape_text(report.sections[0].conclusion.sentence) in text
    (header,) = [
        lines[0] for lines in tables(render_markdown([report])) if lines[0].count("$") == 7
    ][:1]
    assert header.startswith("| router | $")


def test_hostile_texts_stay_text(hostile: Scored) -> None:
    text = render_markdown([build_report(hostile.runs, hostile.evaluation)])
    assert "<script" not in text
    assert "</title" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for lines in tables(text):
        assert len({len(_BAR.findall(line)) for line in lines}) == 1


@given(st.text())
def test_escaped_text_is_one_line_without_markup(text: str) -> None:
    escaped = escape_text(text)
    assert len(escaped.splitlines()) <= 1
    assert "<" not in escaped
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`*_\[\]]", escaped)
