"""The command `graphrouter`: all commands on one app, every failure as one line and a status.

Modules of commands are imported here at the top; torch, pandas and their like are imported inside
the commands, so that `graphrouter --help` answers at once.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from graphrouter import __version__
from graphrouter.cli import (
    assign,
    benchmark,
    changes,
    collect,
    data,
    demo,
    doctor,
    envoy,
    evaluate,
    export,
    feedback,
    graph,
    keys,
    migrate,
    newcomers,
    plan,
    plot,
    pool,
    predict,
    promise,
    replay,
    route,
    route_steps,
    routes,
    savings,
    serve,
    settings,
    sharing,
    spend,
    train,
    tune,
    versions,
)
from graphrouter.cli.console import WarningHandler, console, error_console, print_error
from graphrouter.cli.next_step import show_next_step
from graphrouter.exceptions import GraphRouterError
from graphrouter.wording import suggest

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
_make_command = cache(typer.main.get_command)
"""It reads the signatures of all commands, which takes a while: once a process."""

app = typer.Typer(
    name="graphrouter",
    help="Learn from outcomes which language model to ask, and what the answer will cost.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(train.train)
app.command()(tune.tune)
app.command()(evaluate.evaluate)
app.command()(benchmark.benchmark)
app.command()(newcomers.benchmark_newcomers)
app.command()(route.route)
app.command()(plan.plan)
app.command()(route_steps.route_steps)
app.command()(predict.predict)
app.command()(collect.collect)
app.command()(assign.assign)
app.command()(serve.serve)
app.command()(envoy.envoy)
app.command()(spend.spend)
app.command()(replay.replay)
app.command()(promise.promise)
app.command()(savings.savings)
app.command()(settings.config)
app.command()(versions.versions)
app.command()(doctor.doctor)
app.command()(sharing.push)
app.command()(sharing.pull)
app.command()(sharing.card)
app.command()(migrate.migrate)
app.add_typer(changes.app, name="changes")
app.add_typer(data.app, name="data")
app.add_typer(export.app, name="export")
app.add_typer(feedback.app, name="feedback")
app.add_typer(graph.app, name="graph")
app.add_typer(keys.app, name="keys")
app.add_typer(plot.app, name="plot")
app.add_typer(pool.app, name="pool")
app.add_typer(routes.app, name="routes")


@dataclass
class RunState:
    """What the global options of one run said."""

    debug: bool = False


def _show_version(wanted: bool) -> None:
    if wanted:
        console.out(f"graphrouter {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _global_options(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="GRAPHROUTER_DEBUG", help="Show the traceback of a failure."
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
) -> None:
    if isinstance(context.obj, RunState):
        context.obj.debug = debug
    if context.invoked_subcommand is None:
        show_next_step(Path())


def run(args: Sequence[str] | None = None) -> int:
    """The exit status of one run: 0, 1 (failed), 2 (bad usage or bad input) or 130 (interrupted).

    Args:
        args: The words after `graphrouter`; those of the process without it.
    """
    state = RunState(debug=os.environ.get("GRAPHROUTER_DEBUG", "") not in ("", "0"))
    try:
        with _show_warnings():
            status = _make_command(app).main(
                args, prog_name="graphrouter", standalone_mode=False, obj=state
            )
    except typer.Abort:
        status = INTERRUPTED
    except typer.TyperException as error:
        # Bad usage; its message is empty where the help was shown instead.
        message = _suggest_choice(error.format_message())
        return (
            _fail(f"{_end_sentence(message)} See {_find_help(error)}.", error.exit_code)
            if message
            else BAD_INPUT
        )
    except GraphRouterError as error:
        return _fail(str(error), BAD_INPUT, debug=state.debug)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            return _fail(
                _end_sentence(f"{type(error).__name__}: {error}"), FAILED, debug=state.debug
            )
        # Files are written beside their place under a hidden name; the folder is what the user
        # knows.
        place = Path(str(error.filename))
        shown = place.parent if place.name.startswith(".") else place
        return _fail(
            f"Cannot read or write {shown}: {error.strerror}. Name another place.",
            BAD_INPUT,
            debug=state.debug,
        )
    except Exception as error:  # the border of the program: whatever is left becomes one line
        hint = "" if state.debug else " For the traceback run: graphrouter --debug ..."
        return _fail(
            _end_sentence(f"{type(error).__name__}: {error}") + hint, FAILED, debug=state.debug
        )
    if status == INTERRUPTED:  # typer's answer to Ctrl-C
        return _fail("interrupted.", INTERRUPTED)
    return status if isinstance(status, int) else 0


def main() -> None:
    """Run the command line of this process, and end it with the status of the run."""
    sys.exit(run())


def _fail(message: str, status: int, *, debug: bool = False) -> int:
    if debug:
        error_console.out(traceback.format_exc(), highlight=False)
    print_error(message)
    return status


def _end_sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _suggest_choice(message: str) -> str:
    """The message about a value that is none of those there are, with the nearest of them.

    Example:
        >>> _suggest_choice("'balnced' is not one of 'performance_first', 'balanced'")
        "'balnced' is not one of 'performance_first', 'balanced'. Did you mean 'balanced'?"
    """
    message = message.replace("Value error, ", "")
    found = re.search(r"'([^']*)' is not one of ('.+')", message)
    hint = suggest(found[1], re.findall(r"'([^']*)'", found[2])) if found else ""
    return f"{_end_sentence(message)} {hint}" if hint else message


def _find_help(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'graphrouter'} --help"


@contextmanager
def _show_warnings() -> Iterator[None]:
    logger = logging.getLogger("graphrouter")
    handler = WarningHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
