"""Deletes texts of a store that are older than they may be."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_tables import changes, decisions, outcomes

__all__ = ["delete_prompts"]

DAY_S = 86_400.0
MOST_AT_ONCE = 5_000
"""Rows of one transaction, so that those who answer requests need not wait for long."""
_TEXTS = ("prompt", *VIEWS)
"""Columns of what was asked, and of what went with it."""


def delete_prompts(store: Store, before: float) -> int:
    """Delete the prompts that came before a time, what went with them, and their hashes.

    How many those were comes back.

    Decisions, calls, costs and grades stay. A grade whose prompt is gone teaches no router that is
    read from then on.

    Args:
        store: Where they are.
        before: Seconds since 1970.
    """
    count = 0
    for table, key, texts in (
        (decisions, decisions.c.id, (*_TEXTS, "prompt_hash")),
        (outcomes, outcomes.c.number, _TEXTS),
    ):
        holds = sa.or_(*(table.c[name].is_not(None) for name in texts))
        old = sa.select(key).where(table.c.time < before, holds).limit(MOST_AT_ONCE)
        while found := _delete(store, table, key, old, dict.fromkeys(texts)):
            count += found
    return count + _delete_from_changes(store, before)


def forget_user(store: Store, user: str) -> int:
    """Delete the grades of a user, and the prompts that they were of; how many grades those were.

    Decisions, calls and costs stay: they do not say who asked. A gateway that runs knows the user
    until it is started again.

    Args:
        store: Where they are.
        user: As the grades named them.
    """
    theirs = sa.func.trim(outcomes.c.user) == user.strip()
    graded = sa.select(outcomes.c.decision_id).where(theirs, outcomes.c.decision_id.is_not(None))
    nothing = dict.fromkeys((*_TEXTS, "prompt_hash"))
    with store.engine.begin() as connection:
        connection.execute(sa.update(decisions).where(decisions.c.id.in_(graded)).values(nothing))
        return connection.execute(sa.delete(outcomes).where(theirs)).rowcount


def _delete(
    store: Store, table: sa.Table, key: Any, old: sa.Select[Any], none: dict[str, None]
) -> int:
    with store.engine.begin() as connection:
        keys = connection.execute(old).scalars().all()
        if keys:
            connection.execute(sa.update(table).where(key.in_(keys)).values(none))
        return len(keys)


def _delete_from_changes(store: Store, before: float) -> int:
    """Outcomes that admins have sent with new models."""
    count = 0
    with store.engine.begin() as connection:
        wanted = sa.select(changes).where(
            changes.c.time < before, changes.c.body.contains('"outcomes"')
        )
        for row in connection.execute(wanted).all():
            body = json.loads(row.body)
            count += len(body.pop("outcomes", ()))
            update = sa.update(changes).where(changes.c.revision == row.revision)
            connection.execute(update.values(body=json.dumps(body)))
    return count
