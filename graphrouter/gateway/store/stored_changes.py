"""Changes of what gateways serve, as a store has them: the one order in which all make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_notices import notify
from graphrouter.gateway.store.store_tables import changes

__all__ = ["FORGET", "StoredChange", "append_change", "forget_changes", "read_changes"]

FORGET = "forget"
"""Kind of a row that says: gateways that start from now on make none of the changes before it."""


class StoredChange(NamedTuple):
    """A change that was made."""

    revision: int
    """Of what is served after it."""
    time: float
    """Seconds since 1970."""
    key_id: str | None
    """Whose key made it; None for a command, `rule` where nobody did."""
    artifact: str
    """That served before it."""
    kind: str
    name: str | None
    """Of a model."""
    body: Mapping[str, Any]


def append_change(store: Store, change: StoredChange) -> bool:
    """Write a change down; False where another one has its revision.

    Args:
        store: Where.
        change: With the revision that follows the last one that its maker knows.
    """
    row = {**change._asdict(), "body": json.dumps(change.body)}
    with store.engine.begin() as connection:
        is_new = bool(connection.execute(store.insert_new(changes), row).rowcount == 1)
        if is_new:
            notify(store, connection)
    return is_new


def read_changes(connection: sa.Connection, *, after: int = 0) -> list[StoredChange]:
    """The changes of a store, the oldest first.

    Args:
        connection: Of the store.
        after: The revision behind which they begin.
    """
    wanted = sa.select(changes).where(changes.c.revision > after).order_by(changes.c.revision)
    rows = connection.execute(wanted).all()
    return [StoredChange(**{**row._mapping, "body": json.loads(row.body)}) for row in rows]


def forget_changes(store: Store, at: float) -> int:
    """Let gateways that start from now on make none of the changes so far; how many those are.

    Those that run keep them, so that they are started again.

    Args:
        store: Where.
        at: Seconds since 1970.
    """
    while True:
        with store.reader.connect() as connection:
            made = read_changes(connection)
        kinds = [each.kind for each in made]
        begin = len(kinds) - kinds[::-1].index(FORGET) if FORGET in kinds else 0
        if begin == len(kinds):
            return 0
        last = made[-1]
        if append_change(
            store, StoredChange(last.revision + 1, at, None, last.artifact, FORGET, None, {})
        ):
            return len(kinds) - begin
