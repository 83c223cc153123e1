"""New outcomes as they are checked: each with its query and what the router expects of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from graphrouter.data import RoutingDataset
from graphrouter.data.splits import prompt_key
from graphrouter.exceptions import DataError
from graphrouter.features.tables import find_positions
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.types import Queries

NO_TASK = ""
"""Stands for an unknown task; no task can have this name."""


def read_outcomes(router: Router, outcomes: pd.DataFrame, source: str) -> pd.DataFrame:
    """The outcomes, checked.

    Model, query (a key of its prompt), task, prompt, effect, `in_support`, and `old` (NaN = none).
    """
    for column in ("model", "effect"):
        if column not in outcomes.columns:
            there = ", ".join(map(str, outcomes.columns)) or "none"
            raise DataError(
                f"{source} has no column {column} (columns: {there}); expected model, effect and "
                "prompt or query_id."
            )
    if outcomes.empty:
        raise DataError(
            f"{source} has no rows; expected outcomes of the router's models (model, effect, "
            "prompt)."
        )
    unknown = ~outcomes["model"].isin(router.models).to_numpy(dtype=bool)
    if unknown.any():
        row, pool = int(np.argmax(unknown)), ", ".join(router.models)
        raise DataError(
            f"{source}, row {row + 1}: model {outcomes['model'].iloc[row]!r} is not in the pool, "
            f"which has: {pool}."
        )
    known = (
        router.support.queries
        if isinstance(router, GraphRouter)
        else pd.DataFrame(columns=["query_id", "task", "prompt"])
    )
    asked = _queries_of(outcomes, known, source)
    pairs = pd.DataFrame({"model": outcomes["model"].to_numpy(), "query": asked["query"]})
    if pairs.duplicated().any():
        row = int(np.argmax(pairs.duplicated()))
        first = int(np.argmax((pairs == pairs.iloc[row]).all(axis=1)))
        raise DataError(
            f"{source}, row {row + 1}: {pairs['model'].iloc[row]!r} has an outcome on this prompt "
            f"in row {first + 1} already. "
            "Keep one of the two rows."
        )
    checked = RoutingDataset.from_frames(
        queries=asked.drop_duplicates("query").rename(columns={"query": "query_id"}),
        models=pd.DataFrame([card.model_dump(by_alias=True) for card in router.pool]),
        outcomes=outcomes[["model", "effect"]].assign(query_id=asked["query"].to_numpy()),
    )
    old = pd.Series(dtype=float)
    if isinstance(router, GraphRouter):
        keys = known.set_index("query_id")["prompt"].map(prompt_key)
        theirs = router.support.outcomes
        old = theirs["effect"].groupby([theirs["query_id"].map(keys), theirs["model"]]).mean()
    return asked.assign(
        model=pairs["model"],
        effect=checked.outcomes["effect"].to_numpy(),
        in_support=asked["query"].isin(set(known["prompt"].map(prompt_key))),
        old=old.reindex(pd.MultiIndex.from_frame(pairs[["query", "model"]])).to_numpy(dtype=float),
    )


def _queries_of(outcomes: pd.DataFrame, known: pd.DataFrame, source: str) -> pd.DataFrame:
    """Query (a key of its prompt), task (None = unknown) and prompt of each outcome."""
    texts = dict(zip(known["query_id"], known["prompt"], strict=True))
    tasks = dict(zip(known["query_id"], known["task"], strict=True))
    empty: list[Any] = [None] * len(outcomes)
    given = [
        outcomes[name].tolist() if name in outcomes.columns else empty
        for name in ("query_id", "task", "prompt")
    ]
    asked = []
    for row, (identity, task, prompt) in enumerate(zip(*given, strict=True), start=1):
        query = None if pd.isna(identity) else str(identity)
        text = prompt if isinstance(prompt, str) and prompt.strip() else texts.get(query)
        if text is None:
            received = (
                "neither query_id nor prompt"
                if query is None
                else f"query_id {query!r}, which the router does not know"
            )
            raise DataError(f"{source}, row {row}: {received}. Give the prompt of the query.")
        named = task if isinstance(task, str) and task.strip() else tasks.get(query)
        asked.append((prompt_key(text), named if isinstance(named, str) else None, text))
    table = pd.DataFrame(asked, columns=["query", "task", "prompt"])
    # One prompt, one task: a row without the task shares it with the others.
    return table.assign(task=table.groupby("query")["task"].transform("first"))


def add_expected(router: Router, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `expected` effect, `repeated` or not, and the task as text (empty: unknown)."""
    asked = rows.drop_duplicates("query")
    effect = router.predict(Queries.of_frame(asked)).effect
    places = (
        find_positions(rows["query"], asked["query"].tolist()),
        find_positions(rows["model"], router.models),
    )
    repeated = rows["old"].notna()
    return rows.assign(
        place=places[1],
        task=[task if isinstance(task, str) else NO_TASK for task in rows["task"]],
        expected=np.where(repeated, rows["old"], effect[places]),
        repeated=repeated,
    )
