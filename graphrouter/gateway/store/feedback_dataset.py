"""The graded answers of a store as a dataset: the four tables that routers are trained on."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from graphrouter.data.schema import RoutingDataset, build_dataset
from graphrouter.data.splits import prompt_key
from graphrouter.exceptions import DataError
from graphrouter.gateway.store.spending import read_prices
from graphrouter.gateway.store.store_tables import calls, outcomes
from graphrouter.gateway.token_prices import NANOUSD

__all__ = ["read_feedback"]

_MEANS = ("effect", "cost_usd", "input_tokens", "output_tokens", "latency_s")


def read_feedback(connection: sa.Connection) -> tuple[RoutingDataset, int]:
    """All grades whose prompts are known, and the number of those whose are not.

    A query is a prompt, whatever its task said first; grades of one model on one prompt are
    averaged. Costs, tokens and seconds are those of the calls that were graded: of whole
    conversations, where the prompt was their last turn. Models have the newest prices of the store.

    Args:
        connection: Of the store.

    Raises:
        DataError: No grade has its prompt.
    """
    call = {name: calls.c[name] for name in ("input_tokens", "output_tokens", "latency_s")}
    named = [outcomes.c[name] for name in ("prompt", "task", "model", "effect")]
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
    columns = ["prompt", "task", "model", "effect", "cost_nanousd", *call]
    rows = pd.DataFrame.from_records(connection.execute(wanted).all(), columns=columns)
    known = rows[rows["prompt"].notna()]
    if known.empty:
        raise DataError(
            f"The store has {len(rows)} grades and the prompt of none. Send prompts with grades, "
            "or serve with --store-prompts full."
        )
    numbers = known[["effect", "cost_nanousd", *call]].astype("float64")
    known = known.assign(
        query_id=["q-" + prompt_key(prompt) for prompt in known["prompt"]],
        cost_usd=numbers["cost_nanousd"] / NANOUSD,
        **{name: numbers[name] for name in ("effect", *call)},
    )
    queries = known.groupby("query_id", sort=False)[["task", "prompt"]].first().reset_index()
    pairs = known.groupby(["query_id", "model"], sort=False)
    graded = pairs[list(_MEANS)].mean().reset_index()
    prices = read_prices(connection)
    models = pd.DataFrame(
        [
            {
                "model": name,
                "input_usd_per_mtok": _per_mtok(prices[name].input if name in prices else None),
                "output_usd_per_mtok": _per_mtok(prices[name].output if name in prices else None),
            }
            for name in dict.fromkeys([*prices, *graded["model"]])
        ]
    )
    found = build_dataset(
        {"queries": queries, "models": models, "outcomes": graded, "tasks": None}, name="feedback"
    )
    return found, len(rows) - len(known)


def _per_mtok(nanousd: int | None) -> float | None:
    return None if nanousd is None else nanousd / NANOUSD
