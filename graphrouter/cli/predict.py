"""`graphrouter predict`: what to expect of every model on a table of queries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.inputs import QUERIES_HELP, QueryList, read_queries
from graphrouter.cli.outputs import TABLES, check_target
from graphrouter.cli.progress import show_working, track
from graphrouter.cli.render import say_line
from graphrouter.cli.routers import load_any_router
from graphrouter.files import replace_file
from graphrouter.wording import count_of

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.router.protocol import Router
    from graphrouter.types import Predictions, Queries

_QUERIES_AT_ONCE = 256


def predict(
    artifact: options.Artifact,
    queries: Annotated[
        str,
        typer.Argument(
            metavar="QUERIES",
            help=f"{QUERIES_HELP} With --engine ray a folder of .parquet files with query_id and "
            "prompt, or its address, such as s3://bucket/prompts.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            help="File to write, as .parquet, .csv or .jsonl; with --engine ray a folder, or its "
            "address.",
            show_default=False,
        ),
    ],
    engine: options.WhichEngine = options.Engine.local,
    workers: options.Workers = 2,
    ray_address: options.RayAddress = None,
    processes: options.Processes = 1,
    search_recall: options.SearchRecall = None,
) -> None:
    """Write what is expected of every model on every query: effect, cost, tokens, latency.

    One row a (query, model) pair. Columns: query_id, model, effect, effect_low and effect_high (an
    80 % interval of the expected effect), cost_usd, input_tokens, output_tokens, latency_s, ttft_s
    and output_tokens_per_s where they were logged, and familiarity, which is the same in all rows
    of a query: near 0 for a prompt like none that was solved. Empty means "cannot be predicted".
    Queries without query_id are numbered from 1.

    With --engine ray one file is written for each row group of the prompts; a run that was killed
    goes on where it was, and the artifact must lie where all machines see it.

    Example: graphrouter predict artifacts/demo/router prompts.csv --out predictions.csv
    """
    if engine is options.Engine.ray:
        if search_recall is not None:
            raise typer.BadParameter("--engine ray takes no --search-recall")
        options.check_processes(processes)
        _predict_on_ray(artifact, queries, out, workers, ray_address)
    else:
        _predict_here(artifact, Path(queries), Path(out), search_recall, processes)


def _predict_on_ray(
    artifact: Path, queries: str, out: str, workers: int, address: str | None
) -> None:
    from graphrouter.engines import predict_on_ray

    folder = str(artifact.resolve())
    with show_working("Predicting on Ray"):
        num_rows = predict_on_ray(folder, queries, out, num_workers=workers, address=address)
    say_line(f"Wrote {count_of(num_rows, 'row')} to {out}")


def _predict_here(
    artifact: Path, queries: Path, out: Path, search_recall: float | None, num_processes: int
) -> None:
    check_target(out, suffixes=TABLES, source=queries)

    from graphrouter.data.table_files import write_parts

    wanted = read_queries(queries)
    router = load_any_router(artifact, search_recall)
    replace_file(out, partial(write_parts, predict_tables(router, wanted, num_processes)))
    num_rows = len(wanted.ids) * len(router.models)
    say_line(
        f"Wrote {count_of(num_rows, 'row')} ({count_of(len(wanted.ids), 'query')} x "
        f"{count_of(len(router.models), 'model')}) "
        f"to {out}"
    )


def predict_tables(
    router: Router, queries: QueryList, num_processes: int = 1
) -> Iterator[pd.DataFrame]:
    """One row a (query, model) pair, query by query, with a progress bar for a long list.

    They come in parts, so that a long list need not fit in memory.
    """
    for rows, predictions in predict_in_parts(router, queries.queries, num_processes):
        yield predictions.to_frame([queries.ids[row] for row in rows])


def predict_in_parts(
    router: Router, queries: Queries, num_processes: int = 1
) -> Iterator[tuple[range, Predictions]]:
    """Numbers of some queries and their predictions, with a progress bar for a long list."""
    from graphrouter.router.record_batches import predict_parts

    places = range(len(queries))
    parts = (
        queries.take(places[start : start + _QUERIES_AT_ONCE])
        for start in range(0, len(queries), _QUERIES_AT_ONCE)
    )
    found = predict_parts(router, parts, num_processes)
    yield from zip(track(len(queries), "Predicting", at_once=_QUERIES_AT_ONCE), found, strict=True)
