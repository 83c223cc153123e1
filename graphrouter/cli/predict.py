"""`graphrouter predict`: what to expect of every model on a table of queries."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.inputs import QueryList, read_queries
from graphrouter.cli.outputs import TABLES, check_target
from graphrouter.cli.progress import track
from graphrouter.cli.render import say_line
from graphrouter.cli.routers import load_any_router
from graphrouter.exceptions import DataError
from graphrouter.files import replace_file

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.router.protocol import Router

_QUERIES_AT_ONCE = 256


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
    """Write what is expected of every model on every query: effect, cost, tokens, latency.

    One row a (query, model) pair. Columns: query_id, model, effect, effect_low and effect_high (an
    80 % interval of the expected effect), cost_usd, input_tokens, output_tokens, latency_s, and
    familiarity, which is the same in all rows of a query: near 0 for a prompt like none that was
    solved. Empty means "cannot be predicted". Queries without query_id are numbered from 1.

    Example: graphrouter predict artifacts/demo/router prompts.csv --out predictions.csv
    """
    check_target(out, suffixes=TABLES)
    if out.resolve() == queries.resolve():
        raise DataError(
            f"--out {out} is the file with the queries, which would be lost. Name another file."
        )

    from graphrouter.data.table_files import write_table

    wanted = read_queries(queries)
    router = load_any_router(artifact)
    table = predict_table(router, wanted)
    replace_file(out, partial(write_table, table))
    say_line(
        f"Wrote {len(table):,} rows ({len(wanted.ids):,} queries x {len(router.models)} models) "
        f"to {out}"
    )


def predict_table(router: Router, queries: QueryList) -> pd.DataFrame:
    """One row a (query, model) pair, query by query, with a progress bar for a long list."""
    import pandas as pd

    starts = range(0, len(queries.ids), _QUERIES_AT_ONCE)
    parts = []
    for start in track(starts, "Predicting"):
        rows = range(len(queries.ids))[start : start + _QUERIES_AT_ONCE]
        predictions = router.predict(queries.queries.take(rows))
        parts.append(predictions.to_frame([queries.ids[row] for row in rows]))
    return pd.concat(parts, ignore_index=True)
