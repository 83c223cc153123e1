"""The only way out to the terminal: results on standard output, all else on standard error."""

from __future__ import annotations

import json
import logging
from typing import Any

from rich.console import Console

from graphrouter.files import to_plain

console = Console()
error_console = Console(stderr=True)


def print_json(value: Any) -> None:
    """Write `value` to standard output as indented JSON, with null for NaN and infinity.

    Takes what `to_plain` takes.
    """
    text = json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    console.out(text, highlight=False)  # raw: neither wrapped nor read as markup


def print_error(message: str) -> None:
    """Write `message` to standard error as one line."""
    error_console.out("Error: " + " ".join(message.split()), highlight=False)


class WarningHandler(logging.Handler):
    """Shows the package's warnings on standard error, one line each, beside any progress bar."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as `Warning: ...`."""
        error_console.out(
            f"{record.levelname.capitalize()}: {record.getMessage()}", highlight=False
        )
