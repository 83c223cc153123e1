"""What long work shows on standard error, and how libraries are kept off standard output."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from typing import TypeVar

from graphrouter.cli.console import error_console

T = TypeVar("T")


class _NoticeHandler(logging.Handler):
    """Shows notices of the package (level INFO) as plain lines; warnings have a handler of their own."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.INFO:
            error_console.out(record.getMessage(), highlight=False)


def working(what: str) -> AbstractContextManager[object]:
    """A spinner beside `what` for as long as the context lasts; nothing where standard error is no terminal."""
    return error_console.status(f"{what} ...")


def track(parts: Sequence[T], what: str) -> Iterator[T]:
    """The parts one by one, with a progress bar where standard error is a terminal."""
    from rich.progress import track as rich_track

    # Two parts or fewer are done before a bar could be read.
    hidden = not error_console.is_terminal or len(parts) < 3
    yield from rich_track(parts, description=what, console=error_console, disable=hidden, transient=True)


@contextmanager
def training_output() -> Iterator[bool]:
    """Whether progress bars make sense; inside, all that libraries print goes to standard error.

    Notices of the training, such as that it goes on with an interrupted run, are shown. Ctrl-C stays Ctrl-C: Lightning turns it
    into an exit with status 1.
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
