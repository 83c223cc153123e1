"""Output files of commands: refused before the work and not after it."""

from __future__ import annotations

import os
from pathlib import Path

from graphrouter.exceptions import DataError

PAGES = (".html", ".htm")


def check_target(file: Path, *, suffixes: tuple[str, ...] | None = None) -> None:
    """Nothing; `file` can be written. Ask before the work, not after.

    Raises:
        DataError: It is a folder, its suffix is not accepted, or its folder cannot be made or
            written to.
    """
    if suffixes is not None and file.suffix not in suffixes:
        raise DataError(
            f"Cannot write {file}: the suffix {file.suffix!r} names no format. Use one of "
            f"{', '.join(suffixes)}, "
            f"for example {file.stem or 'out'}{suffixes[0]}."
        )
    if file.is_dir():
        raise DataError(f"Cannot write {file}: it is a folder; expected the name of a file.")
    nearest = next(path for path in file.absolute().parents if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        what = "no folder" if not nearest.is_dir() else "not writable for you"
        raise DataError(f"Cannot write {file}: {nearest} is {what}. Name another place.")


def check_targets(*files: Path | None) -> None:
    """Nothing; all the files that are given can be written, and no two of them are the same.

    Raises:
        DataError: One of them cannot be written, or would be overwritten by another.
    """
    given = [file for file in files if file is not None]
    for i, file in enumerate(given):
        check_target(file)
        if file.resolve() in {other.resolve() for other in given[:i]}:
            raise DataError(
                f"Cannot write {file} twice: two outputs have the same name. Give each a name of "
                "its own."
            )
