"""`graphrouter data convert` and `graphrouter data fetch`: datasets that others publish."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli.console import error_console
from graphrouter.cli.outputs import check_target
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say, say_line
from graphrouter.exceptions import DataError
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.bench.hub.fetch import Progress
    from graphrouter.data import RoutingDataset


class Format(StrEnum):
    """File format of the tables."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"


class SourceForm(StrEnum):
    """Whose form the source has; the names of `graphrouter.bench.formats.READERS`."""

    embedllm = "embedllm"
    graphrouter_paper = "graphrouter_paper"
    llmrouter = "llmrouter"
    llmrouterbench = "llmrouterbench"
    routellm = "routellm"
    routerarena = "routerarena"
    routerbench = "routerbench"
    routereval = "routereval"
    sprout = "sprout"


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="File or folder of the form that --from names.",
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
) -> None:
    """Turn outcomes that others publish into a dataset.

    What SOURCE is, by --from:

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

    Example: graphrouter data convert --from embedllm downloads/embedllm --out data/embedllm
    """
    _check_new_folder(out)

    from graphrouter.bench.formats import read_format

    with show_working(f"Reading {form.value}"):
        dataset = read_format(form.value, source)
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
