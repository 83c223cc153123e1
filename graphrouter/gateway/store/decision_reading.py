"""What the store says of a decision: why it was made, what came of it, how it was graded."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.gateway.store.store_tables import calls, decisions, outcomes
from graphrouter.gateway.token_prices import to_usd

__all__ = ["read_decision"]


def read_decision(
    connection: sa.Connection, decision_id: str, *, key_id: str | None = None
) -> dict[str, Any] | None:
    """A decision as plain values, with its call and its grades; None where there is none.

    Args:
        connection: Of the store.
        decision_id: Its id.
        key_id: Whose it must be; anybody's without one.
    """
    if "\0" in decision_id:  # PostgreSQL would refuse to look
        return None
    wanted = sa.select(decisions).where(decisions.c.id == decision_id)
    if key_id is not None:
        wanted = wanted.where(decisions.c.key_id == key_id)
    found = connection.execute(wanted).one_or_none()
    if found is None:
        return None
    call = connection.execute(
        sa.select(calls).where(calls.c.decision_id == decision_id)
    ).one_or_none()
    graded = connection.execute(
        sa.select(outcomes).where(outcomes.c.decision_id == decision_id).order_by(outcomes.c.number)
    ).all()
    shown = _in_dollars(found._mapping)
    candidates = [_in_dollars(each) for each in json.loads(found.candidates)]
    told = ("id", "time", "model", "effect", "grader")
    return {
        **{name: value for name, value in shown.items() if name != "prompt_hash"},
        **{name: json.loads(shown[name]) for name in VIEWS[:2] if shown[name] is not None},
        "candidates": candidates,
        "call": None if call is None else _without(_in_dollars(call._mapping), "decision_id"),
        "outcomes": [{name: each._mapping[name] for name in told} for each in graded],
    }


def _in_dollars(row: Any) -> dict[str, Any]:
    return {
        name.replace("nanousd", "usd") if name.endswith("nanousd") else name: (
            to_usd(value) if name.endswith("nanousd") else value
        )
        for name, value in row.items()
    }


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
