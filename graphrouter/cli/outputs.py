"""Files that commands write: refused before the work and not after it, then written whole."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.cli.progress import show_working
from graphrouter.exceptions import DataError
from graphrouter.files import replace_file

if TYPE_CHECKING:
    from graphrouter.bench.evaluation import Evaluation
    from graphrouter.bench.evaluation.evaluate import SeedRun
    from graphrouter.bench.evaluation.on_request import OnRequest

PAGES = (".html", ".htm")
TABLES = (".parquet", ".csv", ".jsonl")


def check_target(
    file: Path, *, suffixes: tuple[str, ...] | None = None, source: Path | None = None
) -> None:
    """Refuse a file that cannot be written; to be asked before the work, not after.

    Args:
        file: What is to be written.
        suffixes: Those that are accepted; any without it.
        source: The file with the queries, which must not be lost.

    Raises:
        DataError: It is a folder, its suffix is not accepted, its folder cannot be made or
            written to, or it is the source.
    """
    if source is not None and file.resolve() == source.resolve():
        raise DataError(
            f"--out {file} is the file with the queries, which would be lost. Name another file."
        )
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
    """Refuse files of which one cannot be written, or two are the same.

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


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write each text to its file, in UTF-8."""
    for file, text in texts.items():
        replace_file(file, partial(_write_text, text))


def _write_text(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")


def write_reports(
    found: Sequence[tuple[Sequence[SeedRun], Evaluation]],
    page: Path,
    *,
    command: str,
    on_request: OnRequest | None = None,
) -> list[Path]:
    """The files written: the report as a web page, and beside it the same in Markdown.

    Args:
        found: Of each dataset, what was compared and what came out.
        page: Where to write the page.
        command: How the figures were made, to stand in the report.
        on_request: What else was measured, of a single dataset.
    """
    from graphrouter.bench.evaluation.report import build_report, render_html, render_markdown

    with show_working("Writing the report"):
        today = datetime.now(UTC).date().isoformat()
        reports = [
            build_report(runs, evaluation, date=today, command=command, on_request=on_request)
            for runs, evaluation in found
        ]
        texts = {page: render_html(reports), page.with_suffix(".md"): render_markdown(reports)}
        write_texts(texts)
    return list(texts)
