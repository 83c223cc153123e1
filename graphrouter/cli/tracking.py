"""Runs in MLflow, as the terminal tells of them: one line on standard error that says where."""

from __future__ import annotations

from graphrouter.cli.console import error_console
from graphrouter.cli.progress import working
from graphrouter.tracking import TrackedRun, Tracking, open_run


def begin_run(tracking: Tracking | None, name: str, *, command: str) -> TrackedRun:
    """A new run, its place shown.

    One that logs nothing where there is to be none, or cannot be one.

    Args:
        tracking: Where; None for nowhere.
        name: What to call it.
        command: The command that it tells of.
    """
    if tracking is None:
        return TrackedRun.off()
    with working("Opening a run in MLflow"):
        run = open_run(tracking, name, command=command)
    if run.is_on:
        error_console.out(f"MLflow run  {name}: {run.location}", highlight=False)
    return run
