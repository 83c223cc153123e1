"""The graded answers of a store as a dataset: the four tables that routers are trained on."""

from __future__ import annotations

import json
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.data.prompt_keys import prompt_key
from graphrouter.data.schema import RoutingDataset, build_dataset
from graphrouter.data.view_columns import list_view_keys, parse_views
from graphrouter.exceptions import DataError
from graphrouter.gateway.store.drift_watch import read_alarms
from graphrouter.gateway.store.kept_views import has_lesson, read_kept
from graphrouter.gateway.store.spending import read_prices
from graphrouter.gateway.store.store_tables import calls, outcomes
from graphrouter.gateway.token_prices import NANOUSD
from graphrouter.wording import name_some

__all__ = ["Feedback", "read_feedback"]

_MEANS = ("effect", "cost_usd", "input_tokens", "output_tokens", "latency_s")


class Feedback(NamedTuple):
    """What graders have said, to train on."""

    dataset: RoutingDataset
    num_unknown: int
    """Grades whose prompt is not known, or blank with nothing that goes with it."""
    num_outdated: int
    """Grades of what a model did before an alarm of its change made routers forget it."""
    unreadable: tuple[str, ...] = ()
    """Ids of the grades that what goes with their prompts is wrong of: an embedding of another
    length than most of its encoder have, a context without a text."""


def read_feedback(connection: sa.Connection) -> Feedback:
    """All grades whose prompts are known, but for those of models that have changed since.

    A query is a prompt with what goes with it, of a user where grades say so, whatever its task
    said first; grades of one model on one query are averaged. Costs, tokens and seconds are those
    of the calls that were graded: of whole conversations, where the prompt was their last turn.
    Models have the newest prices of the store.

    Args:
        connection: Of the store.

    Raises:
        DataError: No grade has its prompt.
    """
    call = {name: calls.c[name] for name in ("input_tokens", "output_tokens", "latency_s")}
    graded = ("number", "id", "prompt", "task", "user", "team", *VIEWS, "model", "effect")
    named = [outcomes.c[name] for name in graded]
    wanted = (
        sa.select(*named, calls.c.cost_nanousd, *call.values())
        .select_from(
            outcomes.outerjoin(
                calls,
                (calls.c.decision_id == outcomes.c.decision_id)
                & (calls.c.model == outcomes.c.model),
            )
        )
        .order_by(outcomes.c.number)
    )
    columns = [*graded, "cost_nanousd", *call]
    rows = pd.DataFrame.from_records(connection.execute(wanted).all(), columns=columns)
    since = {each.model: each.since for each in read_alarms(connection) if each.forgets}
    is_outdated = rows["number"] < rows["model"].map(since).fillna(0)
    cells = rows[["prompt", *VIEWS]].astype(object)
    cells = cells.where(cells.notna(), None)
    has_prompt = pd.Series(
        [has_lesson(*each) for each in cells[["prompt", *VIEWS[:2]]].itertuples(index=False)],
        index=rows.index,
        dtype=bool,
    )
    known = rows[has_prompt & ~is_outdated]
    read = read_kept(list(cells.loc[known.index, list(VIEWS)].itertuples(index=False)))
    is_off = pd.Series([each is None for each in read], index=known.index, dtype=bool)
    unreadable = tuple(known.loc[is_off, "id"])
    contexts = [each[0] and json.dumps(each[0]) for each in read if each is not None]
    known = known[~is_off].assign(context=pd.Series(contexts, known.index[~is_off], dtype=object))
    if known.empty:
        told = f" that can be read ({name_some(unreadable)})" if unreadable else ""
        raise DataError(
            f"The store has {len(rows)} grades and the prompt of none{told}. Send prompts with "
            "grades, or serve with --store-prompts full."
        )
    numbers = known[["effect", "cost_nanousd", *call]].astype("float64")
    known = known.assign(
        query_id=[
            "-".join(["q", prompt_key(prompt), *(prompt_key(each) for each in also if each)])
            for prompt, *also in zip(
                known["prompt"],
                known["user"].fillna(""),
                list_view_keys(parse_views(known, "outcomes")),
                strict=True,
            )
        ],
        cost_usd=numbers["cost_nanousd"] / NANOUSD,
        **{name: numbers[name] for name in ("effect", *call)},
    )
    of_query = known.groupby("query_id", sort=False)[["task", "prompt", "user", "team", *VIEWS]]
    queries = of_query.first().reset_index()
    pairs = known.groupby(["query_id", "model"], sort=False)
    means = pairs[list(_MEANS)].mean().reset_index()
    prices = read_prices(connection)
    models = pd.DataFrame(
        [
            {
                "model": name,
                "input_usd_per_mtok": _per_mtok(prices[name].input if name in prices else None),
                "output_usd_per_mtok": _per_mtok(prices[name].output if name in prices else None),
            }
            for name in dict.fromkeys([*prices, *means["model"]])
        ]
    )
    found = build_dataset(
        {"queries": queries, "models": models, "outcomes": means, "tasks": None}, name="feedback"
    )
    num_outdated = int((has_prompt & is_outdated).sum())
    return Feedback(found, int((~has_prompt).sum()), num_outdated, unreadable)


def _per_mtok(nanousd: int | None) -> float | None:
    return None if nanousd is None else nanousd / NANOUSD
