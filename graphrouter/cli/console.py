"""The only way out to the terminal: tables and JSON on standard output, everything else on standard
error.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console

console = Console()
error_console = Console(stderr=True)


def print_json(value: Any) -> None:
    """Writes `value` to standard output as indented JSON, with null for NaN and infinity.

    Takes what the package hands around: mappings, sequences, dataclasses, settings, paths, NumPy
    arrays and scalars.
    """
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    console.out(text, highlight=False)  # raw: neither wrapped nor read as markup


def print_error(message: str) -> None:
    """Writes `message` to standard error as one line."""
    error_console.out("Error: " + " ".join(message.split()), highlight=False)


class WarningHandler(logging.Handler):
    """Shows the package's warnings on standard error, one line each, without breaking a progress
    bar.
    """

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record as `Warning: ...`."""
        error_console.out(
            f"{record.levelname.capitalize()}: {record.getMessage()}", highlight=False
        )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json", by_alias=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float):  # also numpy.float64
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, without importing NumPy here
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    raise TypeError(
        f"print_json received a {type(value).__name__}; expected numbers, text, mappings, "
        "sequences or dataclasses."
    )
