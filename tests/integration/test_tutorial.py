"""The tutorial on a new model prints what the page says it prints, and its steps lead where the
page says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.test_docs import ROOT, blocks_of

PAGE = ROOT / "docs" / "newcomers.md"
SECTION = ("## A new model, three ways", "**With commands.**")
CLOSE = 0.12
"""Another processor, or another version of a library, trains a little differently."""


def figures_of(line: str) -> list[float]:
    """The numbers of a line, percent as shares."""
    return [
        float(number) / (100 if percent else 1)
        for number, percent in re.findall(r"(\d+(?:\.\d+)?)(%?)", line)
    ]


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the page says that its blocks print, line by line."""
    return [line for block in section_blocks("text") for line in block.splitlines()]


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What they print."""
    names: dict[str, Any] = {"__name__": "tutorial"}
    lines: list[str] = []
    names["print"] = lines.append
    for block in section_blocks("python"):
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return lines


def section_blocks(language: str) -> list[str]:
    """The blocks of the section in one language."""
    text = PAGE.read_text(encoding="utf-8")
    first, last = (text[: text.index(mark)].count("\n") for mark in SECTION)
    return [
        block.text
        for block in blocks_of(PAGE)
        if block.language == language and first < block.line < last
    ]


def test_the_page_shows_what_is_printed(told: list[str], printed: list[str]) -> None:
    assert len(told) == len(printed) == 5
    for shown, line in zip(told, printed, strict=True):
        assert re.sub(r"[\d.]+", "", shown) == re.sub(r"[\d.]+", "", line)
        assert figures_of(line) == pytest.approx(figures_of(shown), abs=CLOSE), (shown, line)


def test_outcomes_tell_more_than_the_card(printed: list[str]) -> None:
    shares, _, expected, true, reached = (
        list(row) for row in zip(*map(figures_of, printed[1:]), strict=True)
    )
    assert shares[0] == 0  # a cautious estimate is nowhere the highest
    assert min(shares[1:]) > 0
    assert max(abs(figure - true[0]) for figure in expected[1:]) < abs(expected[0] - true[0])
    assert min(reached[1:]) > reached[0]
