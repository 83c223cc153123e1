"""`graphrouter benchmark-newcomers`: what is shown and written, resumed, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.bench.evaluation.newcomers import DEFAULT_ROUTERS, DEFAULT_SHOTS, parse_shots
from graphrouter.cli import newcomers
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def few(fast_options: list[str]) -> list[object]:
    return ["--routers", "task_mean", "--shots", "5,all", "--draws", 20, "--jobs", 1, *fast_options]


def test_table_verdict_files_and_nothing_twice(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status, shown, errors = invoke(
        "benchmark-newcomers", world, *few, "--out", out, "--json", tmp_path / "all.json"
    )
    assert (status, errors) == (0, "")
    for text in (
        "world: log loss on the newcomers",
        "graphrouter_suggested",
        "graphrouter_retrained",
        "rasch",
        "learned share",
    ):
        assert text in shown
    assert {path.name for path in out.iterdir()} == {
        "cells",
        "embeddings",
        "world-models.json",
        "world-models.html",
        "world-models.md",
    }
    plain = json.loads((tmp_path / "all.json").read_text())
    assert plain == json.loads((out / "world-models.json").read_text())
    assert plain["shots"] == ["0", "5", "all"]
    assert list(plain["routers"]) == [
        "graphrouter",
        "graphrouter_suggested",
        "graphrouter_retrained",
        "task_mean",
        "rasch",
    ]
    status, again, errors = invoke("benchmark-newcomers", world, *few, "--out", out, "--json", "-")
    assert (status, errors) == (0, "4 of 4 cells done already.\n")
    assert json.loads(again) == plain


def test_tasks_can_be_held_out(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    words = (*few, "--hold-out", "tasks", "--max-tasks", 1, "--html", page)
    status, shown, errors = invoke("benchmark-newcomers", world, *words, "--out", tmp_path / "out")
    assert (status, errors) == (0, "")
    assert "log loss on the new task" in shown
    assert "--hold-out tasks" in page.read_text()
    assert page.with_suffix(".md").is_file()
    assert (tmp_path / "out" / "world-tasks.json").is_file()


def test_without_the_graph_router_there_is_nothing_to_show(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(cls: type, /, *args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(GraphRouter, "fit", classmethod(fail))
    status, shown, errors = invoke("benchmark-newcomers", world, *few, "--out", tmp_path / "out")
    assert (status, shown) == (1, "")
    assert (
        "graphrouter has no result: failed on seed 0: ZeroDivisionError: no luck. Mend that"
        in errors
    )


def test_defaults_are_those_of_the_package() -> None:
    assert newcomers._DEFAULT_ROUTERS.split(",") == list(DEFAULT_ROUTERS)
    assert parse_shots("0,5,10,20,50,100,all") == DEFAULT_SHOTS


def test_bad_input_is_one_line_and_leaves_nothing(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for words, said in (
        ([tmp_path / "nowhere", *few], "There is no folder"),
        ([world, *few, "--shots", "5,many"], "'many' is no number of outcomes"),
        ([world, *few, "--routers", "knx"], "Unknown baseline 'knx'"),
        ([world, *few, "--held-out", 1.5], "between 0 and 1"),
        ([world, *few, "--hold-out", "queries"], "'queries'"),
        ([world, *few, "--html", tmp_path / "page.md"], "names no format"),
        ([world, *few, "--html", tmp_path / "x.html", "--json", tmp_path / "x.md"], "same name"),
        ([world, *few, "--set", "split.by=model"], "expected query"),
    ):
        status, shown, errors = invoke("benchmark-newcomers", *words, "--out", out)
        assert (status, shown) == (2, ""), words
        assert said in errors
        assert errors.count("\n") == 1
        assert not out.exists()
