"""How the command line behaves: tables, completion, JSON, colours, silence in pipes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer

from graphrouter.cli.app import app
from graphrouter.cli.console import console
from tests.unit.cli.conftest import Invoke

CLI = Path(__file__).parents[3] / "graphrouter" / "cli"
WITHOUT_JSON = {
    "assign": "writes a file",
    "card": "prints a page",
    "changes forget": "tells how many",
    "data convert": "writes a dataset",
    "data fetch": "writes files",
    "demo": "is to be looked at",
    "envoy": "serves",
    "export routerarena": "writes files",
    "feedback apply": "writes an artifact",
    "feedback delete-prompts": "tells how many",
    "feedback export": "writes a file",
    "feedback forget-user": "tells how many",
    "keys add": "prints the key alone",
    "keys revoke": "prints nothing",
    "keys set": "prints nothing",
    "keys team": "prints nothing",
    "migrate": "writes an artifact",
    "pool add": "writes an artifact",
    "pool add-task": "writes an artifact",
    "pool forget-user": "writes an artifact",
    "pool remove": "writes an artifact",
    "pool set-price": "writes an artifact",
    "predict": "writes a file",
    "serve": "serves",
}
"""Commands that print no data, and what they do instead."""


def commands_below(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, below in command.commands.items():
        yield from commands_below(below, (*path, name))


def test_every_command_that_prints_data_has_json() -> None:
    without = {
        name
        for name, command in commands_below(typer.main.get_command(app))
        if "--json" not in {option for each in command.params for option in each.opts}
    }
    assert without == set(WITHOUT_JSON)


def test_json_is_all_that_stands_on_standard_output(
    world: Path, artifact: Path, tmp_path: Path, invoke: Invoke
) -> None:
    prompts, routes = tmp_path / "prompts.txt", tmp_path / "routes.yaml"
    prompts.write_text("Say hello.\nProve that 17 is prime.\n", encoding="utf-8")
    routes.write_text("- {name: talk, description: Small talk., policy: cost_first}\n")
    for words in (
        ("data", "validate", world),
        ("data", "simulate", "--out", tmp_path / "new", "--queries", 20),
        ("pool", "show", artifact, "tarn-grand"),
        ("routes", "match", artifact, routes, prompts),
        ("config",),
    ):
        status, shown, _ = invoke(*words, "--json")
        assert status == 0, words
        assert json.loads(shown), words


def test_a_dataset_is_counted_in_json(world: Path, invoke: Invoke) -> None:
    found = json.loads(invoke("data", "validate", world, "--json")[1])
    assert (found["queries"], found["models"]) == (150, 4)
    assert found["data"] == str(world)


def test_tables_have_one_look() -> None:
    """They are made by `make_table`, and so look alike."""
    makers = [
        file.name
        for file in sorted(CLI.glob("*.py"))
        if re.search(r"= Table\(", file.read_text(encoding="utf-8"))
    ]
    assert makers == ["render.py"]


def test_tables_fit_80_columns(
    world: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke, tmp_path: Path
) -> None:
    for words in (
        ("data", "describe", world),
        ("graph", "inspect", world),
        ("pool", "list", artifact),
        ("pool", "suggest-probes", artifact, "-n", 3),
        ("route", artifact, "Translate into French: The museum opens at nine."),
        ("versions", artifact),
        ("doctor", "--folder", tmp_path),
    ):
        monkeypatch.setattr(console, "_width", 80)
        status, shown, _ = invoke(*words)
        assert status == 0, words
        too_long = [line for line in shown.splitlines() if len(line.rstrip()) > 80]
        assert too_long == [], words


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("graphrouter ro", {"route", "route-steps", "routes"}),
        ("graphrouter data de", {"describe"}),
        ("graphrouter route x hi --pre", {"--preset"}),
        ("graphrouter route x hi --preset bal", {"balanced"}),
    ],
)
def test_the_shell_completes_commands_options_and_values(typed: str, completed: set[str]) -> None:
    asked = {
        "_GRAPHROUTER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    words = [sys.executable, "-m", "graphrouter"]
    done = subprocess.run(
        words, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == completed


def run_in_terminal(**environment: str) -> str:
    """What the help looks like in a terminal."""
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment = {**inherited, "TERM": "xterm-256color", "COLUMNS": "80", **environment}
    words = [sys.executable, "-m", "graphrouter", "--help"]
    with subprocess.Popen(words, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        pieces = []
        with suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 4096):
                pieces.append(piece)
    os.close(ours)
    return b"".join(pieces).decode()


def test_no_color_is_obeyed() -> None:
    colour = re.compile(r"\x1b\[[\d;]*3[0-8]")
    assert colour.search(run_in_terminal())
    assert not colour.search(run_in_terminal(NO_COLOR="1"))


def test_a_pipe_gets_neither_colours_nor_progress(world: Path) -> None:
    words = [sys.executable, "-m", "graphrouter", "data", "describe", str(world)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Dataset world")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stderr
