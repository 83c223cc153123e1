"""New outcomes as they are checked: each with its query and what the router expects of it."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from graphrouter.data.new_outcomes import read_new_outcomes
from graphrouter.data.prompt_keys import prompt_key
from graphrouter.data.repeats import average_repeats
from graphrouter.data.values import make_row_error
from graphrouter.exceptions import DataError
from graphrouter.features.tables import find_positions
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.types import BoolArray, Queries
from graphrouter.wording import count_of, name_some

_logger = logging.getLogger(__name__)
NO_TASK = ""
"""Stands for an unknown task; no task can have this name."""


def read_outcomes(router: Router, outcomes: pd.DataFrame, source: str) -> pd.DataFrame:
    """The outcomes, checked.

    Model, query (a key of its prompt), task, prompt, effect, `in_support`, and `old` (NaN = none).
    """
    known = (
        router.support.queries
        if isinstance(router, GraphRouter)
        else pd.DataFrame(columns=["query_id", "task", "prompt"])
    )
    clean = read_new_outcomes(outcomes, source, models=router.models, query_ids=known["query_id"])
    unknown = np.flatnonzero(~clean["model"].isin(router.models).to_numpy(dtype=bool))
    if len(unknown):
        pool = name_some(router.models, most=8)
        raise make_row_error(
            source,
            unknown.tolist(),
            f"model {clean['model'].iloc[unknown[0]]!r} is not in the pool, which has: {pool}",
            "Leave the row out, or add the model first.",
        )
    is_graded = _find_graded(clean, source)
    asked = _queries_of(clean, known, source)[is_graded].reset_index(drop=True)
    clean = clean[is_graded].reset_index(drop=True)
    graded = clean[["model", "effect"]].assign(query_id=asked["query"])
    if "num_runs" in clean.columns:
        graded["num_runs"] = clean["num_runs"]
    if graded.duplicated(["query_id", "model"]).any():
        graded = average_repeats(graded, source=source)
    asked = asked.drop_duplicates("query").set_index("query").loc[graded["query_id"]].reset_index()
    pairs = pd.DataFrame({"query": graded["query_id"], "model": graded["model"]})
    old = pd.Series(dtype=float)
    if isinstance(router, GraphRouter):
        keys = known.set_index("query_id")["prompt"].map(prompt_key)
        theirs = router.support.outcomes
        old = theirs["effect"].groupby([theirs["query_id"].map(keys), theirs["model"]]).mean()
    return asked.assign(
        model=pairs["model"],
        effect=graded["effect"].to_numpy(),
        in_support=asked["query"].isin(set(known["prompt"].map(prompt_key))),
        old=old.reindex(pd.MultiIndex.from_frame(pairs)).to_numpy(dtype=float),
    )


def _find_graded(outcomes: pd.DataFrame, source: str) -> BoolArray:
    """Which outcomes have an effect: the others do not say whether a model has changed.

    Raises:
        DataError: None has.
    """
    is_graded = outcomes["effect"].notna().to_numpy(dtype=bool)
    if not is_graded.any():
        raise DataError(f"{source} has no graded outcome; expected an effect in one row at least.")
    if not is_graded.all():
        num_ungraded = count_of(int((~is_graded).sum()), "outcome", "has", "have")
        _logger.warning("%s: %s no effect, and no part in this.", source, num_ungraded)
    return is_graded


def _queries_of(outcomes: pd.DataFrame, known: pd.DataFrame, source: str) -> pd.DataFrame:
    """Query (a key of its prompt), task (None = unknown) and prompt of each outcome."""
    texts = dict(zip(known["query_id"], known["prompt"], strict=True))
    tasks = dict(zip(known["query_id"], known["task"], strict=True))
    given = outcomes[["query_id", "task", "prompt"]].astype(object)
    asked = []
    for row, (query, task, prompt) in enumerate(given.itertuples(index=False, name=None), start=1):
        text = prompt if isinstance(prompt, str) else texts.get(query)
        if text is None:
            received = (
                f"query_id {query!r}, which the router does not know"
                if isinstance(query, str)
                else "neither query_id nor prompt"
            )
            raise DataError(f"{source}, row {row}: {received}. Give the prompt of the query.")
        named = task if isinstance(task, str) else tasks.get(query)
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
