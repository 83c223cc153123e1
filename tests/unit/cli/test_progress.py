"""What a benchmark tells while it runs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from graphrouter.cli import progress
from graphrouter.cli.progress import FinishedCell, follow_cells, track

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


def test_a_long_list_is_gone_through_once_in_order() -> None:
    parts = list(track(10, "Routing", at_once=4))
    assert parts == [range(4), range(4, 8), range(8, 10)]
    assert list(track(0, "Routing", at_once=4)) == []


def test_a_terminal_sees_how_fast_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "error_console", console)
    with progress.open_progress() as bar:
        bar.get_time = iter(range(100)).__next__  # a second from one look to the next
        task = bar.add_task("Routing", total=30)
        for _ in range(3):
            bar.advance(task, 10)
        bar.refresh()
    shown = written.getvalue()
    assert "Routing" in shown
    assert "30/30" in shown
    assert re.search(r"\d(\.\d)?/(s|min)", shown)


def test_a_pipe_sees_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(track(100, "Routing", at_once=1))) == 100
    assert capsys.readouterr() == ("", "")
