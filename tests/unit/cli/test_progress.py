"""What a benchmark tells while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graphrouter.cli.progress import FinishedCell, follow_cells

DONE = FinishedCell("world", 0, "rasch", "done", "")
LACKING = FinishedCell("world", 0, "smoothie", "not_applicable", "no column answer.")
BROKEN = FinishedCell("world", 1, "knn", "failed", "ZeroDivisionError: no luck")


def test_each_trouble_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    cells = [DONE, LACKING, LACKING._replace(seed=1), BROKEN, BROKEN._replace(seed=2)]
    follow_cells(cells, Path("out"), num_open=5, num_cells=7)
    assert capsys.readouterr().err.splitlines() == [
        "2 of 7 cells done already.",
        "smoothie cannot be used on world: no column answer.",
        "knn failed on world, seed 1: ZeroDivisionError: no luck",
        "knn failed on world, seed 2: ZeroDivisionError: no luck",
    ]


def test_nothing_is_said_when_all_goes_well(capsys: pytest.CaptureFixture[str]) -> None:
    follow_cells([DONE], Path("out"), num_open=1, num_cells=1)
    assert capsys.readouterr() == ("", "")


def test_an_interruption_says_where_the_rest_is(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> Iterator[FinishedCell]:
        yield DONE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow_cells(stopped(), Path("kept"), num_open=2, num_cells=2)
    assert (
        capsys.readouterr().err
        == "What is finished is kept in kept; the same command goes on from there.\n"
    )
