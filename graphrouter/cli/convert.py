"""`graphrouter data convert` and `graphrouter data fetch`: logs, and what others publish."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrouter.cli.console import error_console
from graphrouter.cli.outputs import check_target
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say, say_line
from graphrouter.exceptions import DataError
from graphrouter.wording import count_of, name_some

if TYPE_CHECKING:
    from graphrouter.bench.hub.fetch import Progress
    from graphrouter.data import RoutingDataset


class Format(StrEnum):
    """File format of the tables."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"


class SourceForm(StrEnum):
    """Whose form the source has: `graphrouter.logs.LOG_FORMS`, then `bench.formats.READERS`."""

    openai = "openai"
    anthropic = "anthropic"
    litellm = "litellm"
    langfuse = "langfuse"
    mlflow = "mlflow"
    helicone = "helicone"
    table = "table"
    embedllm = "embedllm"
    graphrouter_paper = "graphrouter_paper"
    llmrouter = "llmrouter"
    llmrouterbench = "llmrouterbench"
    routellm = "routellm"
    routerarena = "routerarena"
    routerbench = "routerbench"
    routereval = "routereval"
    sprout = "sprout"


_LOGS = (
    SourceForm.openai,
    SourceForm.anthropic,
    SourceForm.litellm,
    SourceForm.langfuse,
    SourceForm.mlflow,
    SourceForm.helicone,
    SourceForm.table,
)


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="File or folder of the form that --from names, or the address of a database.",
            show_default=False,
        ),
    ],
    form: Annotated[
        SourceForm,
        typer.Option(
            "--from", metavar="NAME", help="Whose form SOURCE has, see above.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="New or empty folder for the tables.", show_default=False)
    ],
    format: Annotated[
        Format, typer.Option("--format", help="File format of the tables.")
    ] = Format.parquet,
    grade: Annotated[
        str | None,
        typer.Option(
            "--grade",
            metavar="NAME[=SCALE]",
            help="Score that is the grade of an answer: NAME of thumbs or of shares from 0 to 1, "
            "NAME=LOW..HIGH, or NAME=word:effect,word:effect. The only score of the log without "
            "it. Of logs alone.",
            show_default=False,
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            "--tasks",
            help="Where tasks come from: metadata:KEY, tags (the first of a call), clusters or "
            "clusters:N (of prompts, named by their words), none, or auto: whichever there is "
            "first. Of logs alone.",
            show_default="auto",
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            metavar="presidio|MODULE:FUNCTION",
            help="What hides personal data in prompts, system prompts and answers: presidio "
            "(patterns; presidio:PIPELINE of spaCy for names too), or a function that takes a "
            "text and gives it back. Of logs alone.",
            show_default=False,
        ),
    ] = None,
    users: Annotated[
        str | None,
        typer.Option(
            "--users",
            metavar="KEY",
            help="Metadata that says who asked, for the column user; nobody is named without it. "
            "Of logs alone.",
            show_default=False,
        ),
    ] = None,
    answers: Annotated[
        bool,
        typer.Option(
            "--answers",
            help="Keep what models said: of logs, llmrouter, llmrouterbench, routerbench and "
            "sprout.",
        ),
    ] = False,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            help="Table of a PostgreSQL database. Of logs alone.",
            show_default="LiteLLM_SpendLogs",
        ),
    ] = None,
) -> None:
    """Turn a log, or outcomes that others publish, into a dataset.

    What SOURCE is, by --from, for logs (docs/logs.md):

    - openai: lines of request and response (.jsonl), or a folder with inputs and outputs of batches

    - anthropic: the same of Anthropic's client

    - litellm: rows of its table of spend (.jsonl, .csv, .parquet or postgresql://...), or payloads
      of its callbacks

    - langfuse: an export of observations, or a folder with it and the scores

    - mlflow: traces (.json, .jsonl), or where they are kept (sqlite:///..., http://...)

    - helicone: an export with bodies

    - table: a flat table with prompt, model, and perhaps effect, cost, tokens, latency, task, tags

    For outcomes that others publish (docs/formats.md):

    - embedllm: a label file (.csv), or the folder with train.csv, val.csv and test.csv

    - graphrouter_paper: router_data.csv, or the folder with it and LLM_Descriptions.json

    - llmrouter: a routing file (.jsonl), or the folder with such files and the candidates (.json)

    - llmrouterbench: the folder results/bench with a .json file a run

    - routellm: battles (.parquet, .csv, .jsonl or .json), or a folder of them

    - routerarena: a prediction file (.json), or a folder of them with queries, prices and configs

    - routerbench: the wide table (.parquet or .csv)

    - routereval: a pool of models (.json), or a folder of them

    - sprout: the folder with the .parquet files, or one of them

    Pickles are refused: docs/formats.md says how to convert them, and what each form maps to.

    Example: graphrouter data convert --from litellm spend.jsonl --grade rating=1..5 --out data/mine

    Example: graphrouter data convert --from embedllm downloads/embedllm --out data/embedllm
    """
    _check_new_folder(out)
    of_logs = {"--grade": grade, "--tasks": tasks, "--mask": mask, "--users": users}
    of_logs["--table"] = table
    if form in _LOGS:
        _convert_log(form, source, out, of_logs, keep_answers=answers, format=format)
        return
    given = [name for name, value in of_logs.items() if value is not None]
    if given:
        raise DataError(f"{given[0]} is of logs alone; {form.value} is none. Leave it out.")

    from graphrouter.bench.formats import read_format

    with show_working(f"Reading {form.value}"):
        dataset = read_format(form.value, Path(source), keep_answers=answers)
        _save_whole(dataset, out, format=format)
    counts = (
        f"{count_of(len(dataset.queries), 'query')}, {count_of(len(dataset.models), 'model')} and "
        f"{count_of(len(dataset.outcomes), 'outcome')}"
    )
    with_cost = dataset.outcomes["cost_usd"].notna().mean()
    say_line(
        f"Wrote {counts} (mean effect {dataset.outcomes['effect'].mean():.3f}, {with_cost:.0%} "
        f"with cost) to {out}"
    )


def _convert_log(
    form: SourceForm,
    source: str,
    out: Path,
    asked: Mapping[str, Any],
    *,
    keep_answers: bool,
    format: Format,
) -> None:
    from graphrouter.logs import TaskSource, load_mask, read_log

    stated = asked["--tasks"]
    with show_working(f"Reading {form.value}"):
        found = read_log(
            form.value,
            source,
            grade=asked["--grade"],
            tasks=None if stated is None else TaskSource.parse(stated),
            mask=None if asked["--mask"] is None else load_mask(asked["--mask"]),
            keep_answers=keep_answers,
            users=asked["--users"],
            **({} if asked["--table"] is None else {"table": asked["--table"]}),
        )
        _save_whole(found.data, out, format=format)
    outcomes, data = found.data.outcomes, found.data
    say_line(
        f"Wrote {count_of(len(data.queries), 'query')}, {count_of(len(data.models), 'model')} and "
        f"{count_of(len(outcomes), 'outcome')} of {count_of(found.num_calls, 'call')} to {out}"
    )
    graded = int(outcomes["effect"].notna().sum())
    scale = "no score" if found.scale is None else f"the score {found.scale.name!r}"
    shares = {
        name: outcomes[column].notna().mean()
        for name, column in (
            ("cost", "cost_usd"),
            ("tokens", "output_tokens"),
            ("time", "latency_s"),
        )
    }
    known = ", ".join(f"{share:.0%} with {name}" for name, share in shares.items())
    say_line(f"Graded      {graded:,} of {len(outcomes):,}, by {scale}; {known}")
    say_line(f"Tasks       {count_of(len(data.tasks), 'task')}, {found.tasks}")
    if found.num_listed_prices:
        models = count_of(found.num_listed_prices, "model")
        say_line(f"Prices      of {models} by the list of graphrouter, since no cost was logged")
    if found.unpriced:
        say_line(
            f"No cost     of {name_some(found.unpriced)}: log it, or add prices to models.{format}"
        )
    if found.skipped:
        left = count_of(sum(found.skipped.values()), "record")
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in found.skipped.items())
        say_line(f"Left out    {left}: {reasons}")
    say_line(f"\nNext:\n  graphrouter data describe {out}")


def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="embedllm, llmrouterbench, routellm, routerarena (queries only), routerbench, "
            "routereval or sprout.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="New folder, or one that an earlier fetch began.", show_default=False
        ),
    ],
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            help="Address of the hub; HF_ENDPOINT or the public hub by default.",
            show_default=False,
        ),
    ] = None,
    revision: Annotated[str, typer.Option("--revision", help="Branch, tag or commit.")] = "main",
) -> None:
    """Download a public dataset as its authors publish it, with checksums.

    An interrupted download goes on.

    The commit and the checksums are written to SOURCE.json beside the files. A complete folder is
    left as it is.

    Example: graphrouter data fetch embedllm --out downloads/embedllm
    """
    from graphrouter.bench.hub import PUBLIC, fetch_dataset

    with _show_downloads() as progress:
        result = fetch_dataset(name, out, endpoint=endpoint, revision=revision, progress=progress)
    what = "already there" if result.num_downloaded == 0 else f"{result.num_downloaded} downloaded"
    say_line(
        f"{result.repo} at {result.commit[:12]}: {count_of(result.num_files, 'file')} "
        f"({result.num_bytes / 1e6:,.1f} MB), {what}, in {out}"
    )
    say("\nNext:")
    for line in PUBLIC[name].suggest_next(name, out):
        say_line(f"  {line}")


def _check_new_folder(out: Path) -> None:
    """Refuse a folder that is not absent or empty, or cannot be made.

    Raises:
        DataError: It is not.
    """
    if out.is_dir() and any(out.iterdir()):
        raise DataError(
            f"{out} already holds files, which a conversion could mix up. Name another folder, or "
            "empty this one."
        )
    if out.is_file():
        raise DataError(
            f"Cannot write the folder {out}: there is a file of that name. Name another folder."
        )
    check_target(out / f"queries.{Format.parquet.value}")


def _save_whole(dataset: RoutingDataset, out: Path, *, format: Format) -> None:
    """Write all tables to `out`; after a crash it holds none."""
    place = out.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as folder:
        tables = Path(folder) / "tables"
        dataset.save(tables, format=format.value)
        tables.replace(place)  # onto an absent or an empty folder


@contextmanager
def _show_downloads() -> Iterator[Progress | None]:
    """What to tell of each piece, shown as one bar a file.

    None where standard error is no terminal.
    """
    if not error_console.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, TimeRemainingColumn(), console=error_console) as bars:
        rows = {}

        def show(path: str, there: int, total: int) -> None:
            if path not in rows:
                rows[path] = bars.add_task(path, total=total)
            bars.update(rows[path], completed=there)

        yield show
