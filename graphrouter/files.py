"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def replace_file(file: Path, write: Callable[[Path], None]) -> None:
    """Nothing; `file` holds what `write` wrote to the path that it was given, which has the same suffix.

    A crash leaves the old file, if there was one.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        partial = Path(folder) / file.name
        write(partial)
        partial.replace(file)


def write_json(value: Any, file: Path) -> None:
    """Nothing; `file` holds the plain value as indented UTF-8 JSON; NaN is refused.

    Raises:
        ValueError: The value holds NaN or an infinity.
    """
    file.write_text(
        json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
