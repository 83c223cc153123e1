"""Exit status and the one line on standard error, for every way a run can end."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest
import typer

from graphrouter import __version__
from graphrouter.cli import app as app_module
from graphrouter.cli.app import run
from graphrouter.exceptions import DataError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Puts an app whose only command, `do`, is the given function in place of the real one."""

    def use(function: Callable[[], None]) -> None:
        stand_in = typer.Typer(pretty_exceptions_enable=False)
        stand_in.callback()(app_module._global_options)
        stand_in.command("do")(function)
        monkeypatch.setattr(app_module, "app", stand_in)

    monkeypatch.delenv("GRAPHROUTER_DEBUG", raising=False)
    return use


def raises(error: BaseException) -> Callable[[], None]:
    def do() -> None:
        raise error

    return do


def test_success_is_0(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda: typer.echo("done"))
    assert run(["do"]) == 0
    assert capsys.readouterr() == ("done\n", "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            DataError("outcomes.csv, row 3: effect is 1.3;\n  expected 0 to 1."),
            2,
            "Error: outcomes.csv, row 3: effect is 1.3; expected 0 to 1.\n",
        ),
        (KeyboardInterrupt(), 130, "Error: interrupted.\n"),
        (typer.Exit(3), 3, ""),
    ],
)
def test_known_ends(
    command: Callable[[Callable[[], None]], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    line: str,
) -> None:
    command(raises(error))
    assert run(["do"]) == status
    assert capsys.readouterr() == ("", line)


def test_a_bug_is_1_with_a_hint_and_no_traceback(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raises(ZeroDivisionError("division by zero")))
    assert run(["do"]) == 1
    error = capsys.readouterr().err
    assert (
        error == "Error: ZeroDivisionError: division by zero. For the traceback run: graphrouter "
        "--debug ...\n"
    )


@pytest.mark.parametrize("by_environment", [True, False])
def test_debug_shows_the_traceback(
    command: Callable[[Callable[[], None]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    by_environment: bool,
) -> None:
    command(raises(ZeroDivisionError("division by zero")))
    if by_environment:
        monkeypatch.setenv("GRAPHROUTER_DEBUG", "1")
    assert run(["do"] if by_environment else ["--debug", "do"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last)")
    assert error.endswith("\nError: ZeroDivisionError: division by zero.\n")


def test_warnings_of_the_package_are_one_line_on_standard_error(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(
        lambda: logging.getLogger("graphrouter.data").warning(
            "the table %s has no prices", "models"
        )
    )
    assert run(["do"]) == 0
    assert capsys.readouterr() == ("", "Warning: the table models has no prices\n")


def test_bad_usage_is_one_line_that_names_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--xyzzy"]) == 2
    assert capsys.readouterr() == ("", "Error: No such option: --xyzzy. See graphrouter --help.\n")
    assert run(["no-such-command"]) == 2
    assert capsys.readouterr().err.startswith("Error: No such command 'no-such-command'.")


def test_help_lists_the_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr()
    assert "data" in shown.out
    assert shown.err == ""


def test_a_group_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data"]) == 2
    assert "describe" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rout"], "Did you mean 'route'"),
        (["pool", "lst"], "Did you mean 'list'?"),
        (["route", "x", "hi", "--cost-wieght", "1"], "--cost-weight"),
        (["route", "x", "hi", "--preset", "balnced"], "Did you mean 'balanced'?"),
        (["data", "convert", "x", "--from", "sprot", "--out", "y"], "Did you mean 'sprout'?"),
    ],
)
def test_what_was_mistyped_brings_the_nearest_name(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    said = capsys.readouterr().err
    assert hint in said
    assert "Value error" not in said
    assert said.count("\n") == 1


def test_version_from_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphrouter", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"graphrouter {__version__}\n", "")


def test_a_place_that_cannot_be_written_is_one_line(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raises(PermissionError(1, "Operation not permitted", "/sys/.figures.json.x7")))
    assert run(["do"]) == 2
    assert (
        capsys.readouterr().err
        == "Error: Cannot read or write /sys: Operation not permitted. Name another place.\n"
    )
    command(raises(OSError("something of its own")))
    assert run(["do"]) == 1
