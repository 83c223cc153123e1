"""`graphrouter predict`: what to expect of every model on a table of queries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.files import check_target
from graphrouter.cli.progress import track, working
from graphrouter.cli.render import say_line
from graphrouter.cli.tasks import warn_of_unknown_tasks
from graphrouter.exceptions import DataError
from graphrouter.files import replace_file

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.router.protocol import Router

SUFFIXES = (".parquet", ".csv", ".jsonl")
_QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class QueryList:
    """Queries to predict for."""

    ids: list[str]
    prompts: list[str]
    tasks: list[str | None]


def predict(
    artifact: options.Artifact,
    queries: Annotated[
        Path,
        typer.Argument(
            metavar="QUERIES",
            help="Table with a column prompt, and perhaps query_id and task, as .parquet, .csv or "
            ".jsonl.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="File to write, as .parquet, .csv or .jsonl.", show_default=False
        ),
    ],
) -> None:
    """Write the expected effect, cost, tokens and latency of every model on every query: one row a pair.

    Columns: query_id, model, effect, effect_low and effect_high (an 80 % interval of the expected
    effect), cost_usd, input_tokens, output_tokens, latency_s. Empty means "cannot be predicted".
    Queries without query_id are numbered from 1.

    Example: graphrouter predict artifacts/demo/router prompts.csv --out predictions.csv
    """
    check_target(out, suffixes=SUFFIXES)
    if out.resolve() == queries.resolve():
        raise DataError(
            f"--out {out} is the file with the queries, which would be lost. Name another file."
        )

    from graphrouter.data.table_files import write_table
    from graphrouter.router.loading import load_router

    wanted = read_queries(queries)
    with working("Loading the router"):
        router = load_router(artifact)
    warn_of_unknown_tasks(router, wanted.tasks)
    table = predict_table(router, wanted)
    replace_file(out, partial(write_table, table))
    say_line(
        f"Wrote {len(table):,} rows ({len(wanted.ids):,} queries x {len(router.models)} models) "
        f"to {out}"
    )


def read_queries(file: Path) -> QueryList:
    """The queries in a file.

    Raises:
        DataError: The file is missing, no table, empty, without prompts, or has the same query_id
            twice.
    """
    from graphrouter.data.table_files import read_table
    from graphrouter.data.values import parse_ids, parse_texts

    frame = read_table(file)
    if "prompt" not in frame.columns:
        there = ", ".join(str(name) for name in frame.columns) or "none"
        raise DataError(
            f"{file} has no column prompt (columns: {there}). Rename the column that holds the "
            "prompts."
        )
    if frame.empty:
        raise DataError(f"{file} holds no queries; expected at least one row.")
    ids = [str(row + 1) for row in range(len(frame))]
    if "query_id" in frame.columns:
        parsed = parse_ids(frame["query_id"], file.name, "query_id")
        if parsed.duplicated().any():
            row = int(parsed.duplicated().to_numpy().argmax())
            raise DataError(
                f"{file.name}, row {row + 1}: query_id {parsed.iloc[row]!r} occurs before. Make "
                "the ids distinct."
            )
        ids = parsed.tolist()
    tasks: list[str | None] = [None] * len(frame)
    if "task" in frame.columns:
        tasks = [
            task if isinstance(task, str) else None
            for task in parse_texts(frame["task"], file.name, "task")
        ]
    return QueryList(ids, _prompts(frame["prompt"], file.name), tasks)


def predict_table(router: Router, queries: QueryList) -> pd.DataFrame:
    """One row a (query, model) pair, in the order of the queries, with a progress bar for a long
    list.
    """
    import pandas as pd

    starts = range(0, len(queries.ids), _QUERIES_AT_ONCE)
    parts = []
    for start in track(starts, "Predicting"):
        rows = slice(start, start + _QUERIES_AT_ONCE)
        predictions = router.predict(queries.prompts[rows], tasks=queries.tasks[rows])
        parts.append(predictions.to_frame(queries.ids[rows]))
    return pd.concat(parts, ignore_index=True)


def _prompts(column: pd.Series, source: str) -> list[str]:
    """The prompts; an empty text is allowed, a missing one is not."""
    values = column.tolist()
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise DataError(
                f"{source}, row {row + 1}: prompt is {value!r}; expected text. Write one, or "
                "delete the row."
            )
    return values
