"""What long work shows on standard error, and how libraries are kept off standard output."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from graphrouter.cli.console import error_console
from graphrouter.tracking import TrackedRun, Tracking, open_run
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.status import Status

T = TypeVar("T")
_NAME_CHARS = 60


class FinishedCell(NamedTuple):
    """A part of a benchmark that has just come to an end, as the terminal tells of it."""

    data: str
    """Name of the dataset."""
    seed: int
    router: str
    status: str
    message: str
    """Why there is no result; empty for a cell that is done."""

    @property
    def name(self) -> str:
        """What it was about."""
        return f"{self.data}, seed {self.seed}: {self.router}"

    @property
    def trouble(self) -> str:
        """Why it has no figures.

        Empty when it has. What a dataset lacks it lacks for every seed, so that names none.
        """
        if self.status == "not_applicable":
            return f"{self.router} cannot be used on {self.data}: {self.message}"
        return (
            f"{self.router} failed on {self.data}, seed {self.seed}: {self.message}"
            if self.status == "failed"
            else ""
        )


class _NoticeHandler(logging.Handler):
    """Shows notices of the package (level INFO) as plain lines.

    Warnings have a handler of their own.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.INFO:
            error_console.out(record.getMessage(), highlight=False)


def show_working(what: str) -> Status:
    """A spinner beside `what` for as long as the context lasts, where there is a terminal."""
    return error_console.status(f"{what} ...")


def track(num: int, what: str, *, at_once: int) -> Iterator[range]:
    """Places from 0 to below `num`, some at once, with a bar where standard error is a terminal.

    Args:
        num: How many there are.
        what: What is done with them.
        at_once: Most in a part.
    """
    # Two parts or fewer are done before a bar could be read.
    with open_progress(hidden=num <= 2 * at_once) as bar:
        task = bar.add_task(what, total=num)
        for start in range(0, num, at_once):
            part = range(num)[start : start + at_once]
            yield part
            bar.advance(task, len(part))


def open_progress(*, hidden: bool = False) -> Progress:
    """The one look of a progress bar: what, how far, how fast, how long it took and will take.

    It is shown where standard error is a terminal, and gone when all is done.

    Args:
        hidden: Whether it is shown nowhere.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """How many are done in a second, a minute or an hour."""

        def render(self, task: Task) -> Text:
            return Text(format_rate(task.speed))

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
        disable=hidden or not error_console.is_terminal,
    )


def format_rate(per_second: float | None) -> str:
    """A rate in the unit in which it is at least 1, or by the hour; nothing while it is unknown.

    Example:
        >>> format_rate(1234.5), format_rate(0.25), format_rate(0.001), format_rate(None)
        ('1,234/s', '15/min', '3.6/h', '')
    """
    if not per_second:
        return ""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        rate = per_second * seconds
        if rate >= 1 or unit == "h":
            return f"{rate:,.0f}/{unit}" if rate >= 10 else f"{rate:.1f}/{unit}"
    return ""


def follow_cells(
    finished: Iterable[FinishedCell], out: Path, *, num_open: int, num_cells: int
) -> None:
    """Run the open cells of a benchmark, with a progress bar, and tell each trouble once.

    Args:
        finished: Each cell as soon as it has ended.
        out: Where results are kept; named when the run is interrupted.
        num_open: How many there are to run.
        num_cells: Those that were done before, too.
    """
    if num_open < num_cells:
        error_console.out(
            f"{num_cells - num_open} of {count_of(num_cells, 'cell')} done already.",
            highlight=False,
        )
    try:
        with open_progress() as bar:
            task = bar.add_task("Routers on splits", total=num_open)
            told: set[str] = set()
            for cell in finished:
                bar.update(task, advance=1, description=cell.name[:_NAME_CHARS].ljust(40))
                if cell.trouble and cell.trouble not in told:
                    error_console.out(cell.trouble, highlight=False)
                    told.add(cell.trouble)
    except KeyboardInterrupt:
        error_console.out(
            f"What is finished is kept in {out}; the same command goes on from there.",
            highlight=False,
        )
        raise


def begin_run(tracking: Tracking | None, name: str, *, command: str) -> TrackedRun:
    """A new run in MLflow, its place told on one line of standard error.

    One that logs nothing where there is to be none, or cannot be one.

    Args:
        tracking: Where; None for nowhere.
        name: What to call it.
        command: The command that it tells of.
    """
    if tracking is None:
        return TrackedRun.off()
    with show_working("Opening a run in MLflow"):
        run = open_run(tracking, name, command=command)
    if run.is_on:
        error_console.out(f"MLflow run  {name}: {run.location}", highlight=False)
    return run


@contextmanager
def guard_output() -> Iterator[bool]:
    """Whether progress bars make sense; inside, all that libraries print goes to standard error.

    Notices of the training, such as that it goes on with an interrupted run, are shown. Ctrl-C
    stays Ctrl-C: Lightning turns it into an exit with status 1.
    """
    logger = logging.getLogger("graphrouter.training")
    level, handler = logger.level, _NoticeHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with redirect_stdout(sys.stderr):
            yield error_console.is_terminal
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
