"""Reports of evaluations and benchmarks as files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.cli.progress import working
from graphrouter.files import replace_file

if TYPE_CHECKING:
    from graphrouter.bench.evaluation import Evaluation
    from graphrouter.bench.evaluation.evaluate import SeedRun


def write_reports(
    found: Sequence[tuple[Sequence[SeedRun], Evaluation]], page: Path, *, command: str
) -> list[Path]:
    """The files written: the report as a web page, and beside it the same in Markdown.

    Args:
        found: Of each dataset, what was compared and what came out.
        page: Where to write the page.
        command: How the figures were made, to stand in the report.
    """
    from graphrouter.bench.evaluation.report import build_report, render_html, render_markdown

    with working("Writing the report"):
        today = datetime.now(UTC).date().isoformat()
        reports = [
            build_report(runs, evaluation, date=today, command=command)
            for runs, evaluation in found
        ]
        texts = {page: render_html(reports), page.with_suffix(".md"): render_markdown(reports)}
        for file, text in texts.items():
            replace_file(file, partial(_write, text))
    return list(texts)


def _write(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")
