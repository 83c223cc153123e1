"""New outcomes as they are checked: each with its query and what the router expects of it."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from graphrouter.data.columns import PEOPLE, VIEWS
from graphrouter.data.new_outcomes import read_new_outcomes
from graphrouter.data.prompt_keys import question_key, withhold_person
from graphrouter.data.repeats import average_repeats
from graphrouter.data.values import make_row_error
from graphrouter.data.view_columns import list_view_keys
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

    Model, query (a key of what was asked, and by whom), effect, `in_support`, `old` (NaN = none),
    and what `Queries.of_frame` reads.
    """
    known = _list_known(router)
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
        keys = known.set_index("query_id")["query"]
        theirs = router.support.outcomes
        old = theirs["effect"].groupby([theirs["query_id"].map(keys), theirs["model"]]).mean()
    return asked.assign(
        model=pairs["model"],
        effect=graded["effect"].to_numpy(),
        in_support=asked["query"].isin(set(known["query"])),
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


def _list_known(router: Router) -> pd.DataFrame:
    """The queries that the router has: id, task, prompt and user, and their keys as of outcomes."""
    if not isinstance(router, GraphRouter):
        return pd.DataFrame(columns=["query_id", "task", "prompt", "user", "asked", "query"])
    support = router.support
    table = support.queries[["query_id", "task", "prompt"]]
    user = support.queries["user"] if "user" in support.queries else pd.Series([None] * len(table))
    keys = [_key_of(*pair) for pair in zip(support.query_keys, user.tolist(), strict=True)]
    return table.assign(user=user.to_numpy(dtype=object), asked=support.query_keys, query=keys)


def _key_of(asked: str, user: object) -> str:
    """What tells queries apart: what is asked, and by whom, with a name that is withheld or not."""
    return f"{asked}-{withhold_person(user, 'user')}" if isinstance(user, str) else asked


def _queries_of(outcomes: pd.DataFrame, known: pd.DataFrame, source: str) -> pd.DataFrame:
    """The query of each outcome: its key, and what `Queries.of_frame` reads of it.

    What another user asks, or with other documents or another embedding, is another query, as it
    is where outcomes are added. A row that names a query of the router, and nobody, is of whoever
    asked that.
    """
    there = dict(
        zip(
            known["query_id"],
            known[["task", "prompt", "user", "asked"]].itertuples(index=False, name=None),
            strict=True,
        )
    )
    facts = ["query_id", "task", "prompt", *PEOPLE]
    given = outcomes.reindex(columns=facts).astype(object)
    asked = []
    for row, (cells, view) in enumerate(
        zip(given.itertuples(index=False, name=None), list_view_keys(outcomes), strict=True),
        start=1,
    ):
        query, task, prompt, user, team = (x if isinstance(x, str) else None for x in cells)
        known_task, text, asker, key = there.get(query, (None, None, None, None))
        if prompt is not None or view:
            text = prompt or ""
            own = question_key(text, view) + view
            asker, key = asker if own == key else None, own
        elif text is None:
            received = (
                f"query_id {query!r}, which the router does not know"
                if query is not None
                else "neither query_id nor prompt"
            )
            raise DataError(f"{source}, row {row}: {received}. Give the prompt of the query.")
        elif user is not None and _key_of(key, user) != _key_of(key, asker):
            raise DataError(
                f"{source}, row {row}: query_id {query!r} is not of user {user!r}. Give the prompt "
                "of the query, and no query_id."
            )
        user = user or (asker if isinstance(asker, str) else None)
        named = task or (known_task if isinstance(known_task, str) else None)
        asked.append((_key_of(key, user), named, text, user, team))
    table = pd.DataFrame(asked, columns=["query", *facts[1:]], index=outcomes.index)
    views = outcomes[[name for name in VIEWS if name in outcomes.columns]]
    # One query, one task: a row without the task shares it with the others.
    return table.assign(task=table.groupby("query")["task"].transform("first")).join(views)


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
