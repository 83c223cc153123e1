"""`graphrouter savings`: what a log's calls would have cost under other policies, on one page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.outputs import PAGES, check_target, check_targets, write_texts
from graphrouter.cli.policy_options import read_policy_file
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import make_table, say, say_line, show_table
from graphrouter.cli.routers import load_graph_router
from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.policy import PRESETS, Policy, parse_policy

if TYPE_CHECKING:
    from graphrouter.bench.savings import Period, Savings
    from graphrouter.router.graph_router import GraphRouter

_SQLITE = b"SQLite format 3\0"
_MONTH_S = 30 * 86_400


def savings(
    artifact: options.Artifact,
    log: Annotated[
        str,
        typer.Argument(
            metavar="LOG",
            help="The calls: a dataset (folder or name, see docs/data.md), or the store of a "
            "gateway (a file, or postgresql://user@host/name).",
            show_default=False,
        ),
    ],
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="MODEL",
            help="The model that everything is compared with.",
            show_default=False,
        ),
    ],
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="PRESET|FILE",
            help="A way to choose: a preset, or a file as graphrouter promise --out writes one; "
            "repeat it for more. The three presets without it.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "--html", metavar="PAGE.html", help="Write the page here.", show_default=False
        ),
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option(
            "--pdf", metavar="PAGE.pdf", help="Write one page of PDF here.", show_default=False
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=options.DAYS,
            help="Of a store: from then on, in UTC; the last 30 days without it.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            formats=options.DAYS,
            help="Of a store: before then, in UTC.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show what the calls of a log would have cost, and how good they would have been.

    Under three ways to choose, beside one model for every call, with ranges; what the log tells is
    kept apart from what is predicted.

    Example: graphrouter savings artifacts/demo/router artifacts/demo/data --baseline tarn-grand
    --out savings.html --pdf savings.pdf
    """
    check_targets(out, pdf)
    for file, suffixes in ((out, PAGES), (pdf, (".pdf",))):
        if file is not None:
            check_target(file, suffixes=suffixes)
    require_extra("bench", "matplotlib", "jinja2", purpose="graphrouter savings")
    chosen = _read_policies(policies or [])

    from graphrouter.bench.savings import find_savings

    router = load_graph_router(artifact)
    with show_working("Reading the log"):
        period, when = _read_log(router, log, since, until)
    with show_working("Measuring"):
        found = find_savings(router, period, baseline=baseline, policies=chosen)
    written = _write(found, when, out, pdf, command=_join(artifact, log, baseline, policies or []))
    if as_json:
        print_json({**found.to_json(), "files": written})
        return
    _show(found)
    for file in written:
        say_line(f"Wrote {file}")


def _read_policies(words: Sequence[str]) -> dict[str, Policy] | None:
    """The policies by name; None where none is named."""
    from graphrouter.bench.savings.savings_result import PRESET_LABELS

    found = {}
    for word in words:
        if word in PRESETS:
            found[PRESET_LABELS[word]] = Policy.preset(word)
            continue
        file = Path(word)
        if not file.is_file():
            raise DataError(
                f"--policy received {word!r}; expected a preset ({', '.join(PRESETS)}) or a file "
                "with settings of a policy."
            )
        found[file.stem] = parse_policy(read_policy_file(file), source=str(file))
    return found or None


def _read_log(
    router: GraphRouter, log: str, since: datetime | None, until: datetime | None
) -> tuple[Period, str]:
    """The calls, and when they were made in words; empty where that is not known."""
    if not _is_store(log):
        if since is not None or until is not None:
            raise DataError(
                f"--since and --until are for the store of a gateway; {log} is a dataset. Leave "
                "them out, or give the rows of that time."
            )
        from graphrouter.bench.savings import read_period
        from graphrouter.data import load_dataset

        return read_period(router, load_dataset(log)), ""
    require_extra("serve", purpose="The store of a gateway")
    end = time.time() if until is None else until.replace(tzinfo=UTC).timestamp()
    start = end - _MONTH_S if since is None else since.replace(tzinfo=UTC).timestamp()
    from graphrouter.cli.stored_period import read_stored_period

    days = [datetime.fromtimestamp(moment, UTC).date().isoformat() for moment in (start, end)]
    return read_stored_period(router, log, since=start, until=end), " to ".join(days)


def _is_store(log: str) -> bool:
    if log.startswith(("postgresql:", "postgresql+", "sqlite:")):
        return True
    file = Path(log)
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE)) == _SQLITE


def _write(
    found: Savings, when: str, out: Path | None, pdf: Path | None, *, command: str
) -> list[Path]:
    from graphrouter.bench.savings import render_savings_html, write_savings_pdf

    with show_working("Writing the page"):
        if out is not None:
            write_texts({out: render_savings_html(found, period=when, command=command)})
        if pdf is not None:
            write_savings_pdf(found, pdf, period=when)
    return [file for file in (out, pdf) if file is not None]


def _join(artifact: Path, log: str, baseline: str, policies: Sequence[str]) -> str:
    more = [word for name in policies for word in ("--policy", name)]
    place = "STORE" if "://" in log else log  # it may hold a password
    return options.join_command(["savings", str(artifact), place, "--baseline", baseline, *more])


def _show(found: Savings) -> None:
    from graphrouter.bench.savings.savings_page import tell_row
    from graphrouter.bench.savings.savings_words import give_headline, list_sure, list_unsure

    say(give_headline(found), style="bold")
    say()
    title = f"{found.num_calls:,} calls"
    table = make_table(title, "way to choose", "cost", "less or more", "points of 100")
    for policy in (found.baseline, *found.policies):
        table.add_row(*tell_row(policy))
    show_table(table)
    for title, lines in (("Sure", list_sure(found)), ("Not sure", list_unsure(found))):
        say(f"{title}:")
        for line in lines:
            say(f"- {line}")
