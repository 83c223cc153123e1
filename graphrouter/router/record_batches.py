"""Predictions and choices for Arrow record batches, as engines hand their tables around."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from graphrouter.data.new_outcomes import read_query_table
from graphrouter.exceptions import DataError
from graphrouter.moment import Moment
from graphrouter.processes import map_in_order
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
    router: ChoosingRouter,
    batches: Iterable[pa.RecordBatch],
    policy: Policy | None,
    num_processes: int,
) -> Iterator[pa.RecordBatch]:
    """What `Router.predict_batches` yields; arguments as there."""
    read = (
        _Asked(some["query_id"].tolist(), router._check_queries(Queries.of_frame(some)))
        for number, batch in enumerate(batches, 1)
        for some in _read_batch(batch, f"record batch {number}")
    )
    return map_in_order(read, _Answering(router, policy), num_processes=num_processes)


def predict_parts(
    router: ChoosingRouter, parts: Iterable[Queries], num_processes: int
) -> Iterator[Predictions]:
    """What is expected on each part of some queries.

    Args:
        router: Who predicts.
        parts: Of the queries, each as large as fits into memory with its predictions.
        num_processes: As of `Router.predict_batches`.
    """
    checked = map(router._check_queries, parts)
    return map_in_order(checked, router._predict, num_processes=num_processes)


class _Asked(NamedTuple):
    """Queries that the router has checked, which tells what it does not know once."""

    query_ids: list[str]
    queries: Queries


@dataclass(frozen=True, eq=False)
class _Answering:
    """What makes a record batch of the answers to some queries, in any process."""

    router: ChoosingRouter
    policy: Policy | None

    def __call__(self, asked: _Asked) -> pa.RecordBatch:
        if self.policy is None:
            return _tabulate_scores(asked.query_ids, self.router._predict(asked.queries))
        policies = [self.policy] * len(asked.queries)
        decisions = self.router._decide(asked.queries, policies, Moment())
        told = CHOICE_SCHEMA.names[1:]
        columns = {name: [getattr(decision, name) for decision in decisions] for name in told}
        return _tabulate({"query_id": asked.query_ids, **columns}, CHOICE_SCHEMA)


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


def _tabulate_scores(query_ids: list[str], predictions: Predictions) -> pa.RecordBatch:
    """What is expected of every model on some queries, a row a pair."""
    num_queries, num_models = predictions.effect.shape
    query = np.repeat(np.arange(num_queries), num_models)
    model = np.tile(np.arange(num_models), num_queries)
    columns = {
        "query_id": pa.array(query_ids, pa.string()).take(pa.array(query)),
        "model": pa.array(predictions.models, pa.string()).take(pa.array(model)),
    }
    for name in _SCORES:
        values = getattr(predictions, name)
        if values is not None:
            columns[name] = values.ravel() if values.ndim == 2 else values[query]
    return _tabulate(columns, SCORE_SCHEMA)


def _tabulate(columns: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    """The columns in the order of a schema, all null where one is lacking.

    NaN is null too: what is not there, as in every table.
    """
    num_rows = len(columns["query_id"])
    arrays = [
        pa.array(columns[field.name], field.type, from_pandas=True)
        if field.name in columns
        else pa.nulls(num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


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
