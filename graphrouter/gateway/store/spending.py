"""What calls cost, what they would have cost elsewhere, and what a key may still spend."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa

from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_tables import budgets, prices
from graphrouter.gateway.token_prices import TokenPrices

__all__ = [
    "name_day",
    "read_prices",
    "read_spent",
    "reserve",
    "settle",
    "write_prices",
]

_BUDGETS = 7_041_227
"""Of the advisory lock of PostgreSQL that budgets are changed under."""


def name_day(at: float) -> str:
    """The day of a time, in UTC, as budgets count it.

    Example:
        >>> name_day(0)
        '1970-01-01'
    """
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def reserve(
    store: Store,
    connection: sa.Connection,
    owner_id: str,
    day: str,
    nanousd: int,
    limit: int | None,
) -> bool:
    """Set aside what a call is expected to cost, and say whether the budget of the day had it.

    A budget that is used up has room for nothing, also where a call is expected to be free. One
    statement checks and takes, so that two calls cannot have the same cent.

    Args:
        store: Of the connection.
        connection: In a transaction.
        owner_id: A key or a team.
        day: By `name_day`.
        nanousd: Expected cost.
        limit: Of the day; None to set it aside whatever is left.
    """
    _wait_for_others(store, connection)
    empty = {"owner_id": owner_id, "day": day, "spent_nanousd": 0, "reserved_nanousd": 0}
    connection.execute(store.insert_new(budgets), empty)
    taken = budgets.c.spent_nanousd + budgets.c.reserved_nanousd
    update = _of(owner_id, day).values(reserved_nanousd=budgets.c.reserved_nanousd + nanousd)
    if limit is not None:
        update = update.where(taken + nanousd <= limit, taken < limit)
    return connection.execute(update).rowcount == 1


def settle(
    store: Store, connection: sa.Connection, owner_id: str, day: str, reserved: int, spent: int
) -> None:
    """Count what a call has cost in place of what was set aside for it.

    Args:
        store: Of the connection.
        connection: In a transaction.
        owner_id: A key or a team.
        day: On which it was reserved.
        reserved: What was.
        spent: Its true cost, both in nanodollars.
    """
    _wait_for_others(store, connection)
    connection.execute(
        _of(owner_id, day).values(
            reserved_nanousd=budgets.c.reserved_nanousd - reserved,
            spent_nanousd=budgets.c.spent_nanousd + spent,
        )
    )


def read_spent(connection: sa.Connection, owner_id: str, day: str) -> int:
    """What was spent on a day, in nanodollars.

    Args:
        connection: Of the store.
        owner_id: A key, a team, or what has a budget of its own.
        day: By `name_day`.
    """
    spent = sa.select(budgets.c.spent_nanousd)
    found = connection.execute(spent.where(budgets.c.owner_id == owner_id, budgets.c.day == day))
    return int(found.scalar_one_or_none() or 0)


def write_prices(store: Store, found: Mapping[str, TokenPrices]) -> None:
    """Keep the prices of models from now on, where they have changed.

    Args:
        store: Where.
        found: By name.
    """
    with store.engine.begin() as connection:
        known = read_prices(connection)
        rows = [
            {
                "model": model,
                "since": time.time(),
                "input_nanousd_per_mtok": each.input,
                "cached_input_nanousd_per_mtok": each.cached_input,
                "output_nanousd_per_mtok": each.output,
            }
            for model, each in found.items()
            if known.get(model) != each
        ]
        if rows:
            connection.execute(sa.insert(prices), rows)


def read_prices(connection: sa.Connection) -> dict[str, TokenPrices]:
    """The newest prices of every model, by name.

    Args:
        connection: Of the store.
    """
    rows = connection.execute(sa.select(prices).order_by(prices.c.since)).all()
    return {
        row.model: TokenPrices(
            row.input_nanousd_per_mtok,
            row.cached_input_nanousd_per_mtok,
            row.output_nanousd_per_mtok,
        )
        for row in rows
    }


def _wait_for_others(store: Store, connection: sa.Connection) -> None:
    # One transaction changes budgets of many owners, in the order in which calls come: two gateways
    # that did so at once could wait for each other. SQLite lets one write at a time anyway.
    if store.is_postgresql:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_BUDGETS)))


def _of(owner_id: str, day: str) -> sa.Update:
    return sa.update(budgets).where(budgets.c.owner_id == owner_id, budgets.c.day == day)
