"""Predictions and choices for Arrow record batches, as engines hand their tables around."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graphrouter.data.new_outcomes import read_query_table
from graphrouter.exceptions import DataError
from graphrouter.types import Predictions, Queries
from graphrouter.wording import name_some

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.policy import Policy
    from graphrouter.router.choosing import ChoosingRouter

QUERIES_AT_ONCE = 256
"""So many prompts have their predictions in memory at a time."""
_SCORES = (
    "effect",
    "effect_low",
    "effect_high",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "latency_s",
    "ttft_s",
    "output_tokens_per_s",
    "familiarity",
)
SCORE_SCHEMA = pa.schema(
    [
        ("query_id", pa.string()),
        ("model", pa.string()),
        *[(name, pa.float64()) for name in _SCORES],
    ]
)
"""One row a (query, model) pair; null = cannot be predicted, or was not logged."""
CHOICE_SCHEMA = pa.schema(
    [
        ("query_id", pa.string()),
        ("model", pa.string()),
        *[(name, pa.float64()) for name in ("effect", "cost_usd", "latency_s")],
        ("used_fallback", pa.bool_()),
    ]
)
"""One row a query: the model chosen, and what is expected of it."""


def predict_each(
    router: ChoosingRouter, batches: Iterable[pa.RecordBatch], policy: Policy | None
) -> Iterator[pa.RecordBatch]:
    """What `Router.predict_batches` yields; arguments as there."""
    schema = SCORE_SCHEMA if policy is None else CHOICE_SCHEMA
    for number, batch in enumerate(batches, 1):
        for some in _read_batch(batch, f"record batch {number}"):
            rows = _score(router, some) if policy is None else _choose(router, some, policy)
            # NaN of the columns is null: what is not there, as in every table.
            columns = {
                field.name: pa.array(rows[field.name], field.type, from_pandas=True)
                if field.name in rows
                else pa.nulls(len(rows["model"]), field.type)
                for field in schema
            }
            yield pa.RecordBatch.from_pydict(columns, schema)


def score_each(
    router: ChoosingRouter, batch: pa.RecordBatch, source: str
) -> Iterator[tuple[list[str], Predictions]]:
    """Ids of some queries of a batch and what is expected of them, some at a time.

    Args:
        router: Who predicts.
        batch: As `Router.predict_batches` takes it.
        source: What the batch is, for errors.
    """
    for some in _read_batch(batch, source):
        yield some["query_id"].tolist(), _predict(router, some)


def _predict(router: ChoosingRouter, queries: pd.DataFrame) -> Predictions:
    return router._predict(router._check_queries(Queries.of_frame(queries)))


def _score(router: ChoosingRouter, queries: pd.DataFrame) -> pd.DataFrame:
    """Columns of what is expected of every model on the queries."""
    return _predict(router, queries).to_frame(queries["query_id"].tolist())


def _choose(router: ChoosingRouter, queries: pd.DataFrame, policy: Policy) -> Mapping[str, Any]:
    """Columns of the choices."""
    decisions = router.route_batch(Queries.of_frame(queries), policy=policy)
    told = CHOICE_SCHEMA.names[1:]
    columns = {name: [getattr(decision, name) for decision in decisions] for name in told}
    return {"query_id": queries["query_id"].tolist(), **columns}


def _read_batch(batch: pa.RecordBatch, source: str) -> Iterator[pd.DataFrame]:
    """The queries of a batch, checked, some at a time."""
    if not isinstance(batch, pa.RecordBatch | pa.Table):
        raise DataError(
            f"{source} is a {type(batch).__name__}; expected a pyarrow.RecordBatch with query_id, "
            "prompt and perhaps task."
        )
    if "query_id" not in batch.schema.names:
        raise DataError(
            f"{source} has the columns {name_some(batch.schema.names, most=10)}; expected query_id "
            "too, since rows that are numbered batch by batch could not be told apart."
        )
    table = batch.to_pandas()
    checked = read_query_table(table, source) if len(table) else table
    for start in range(0, len(checked), QUERIES_AT_ONCE):
        yield checked.iloc[start : start + QUERIES_AT_ONCE]
