"""Teams that keys of clients belong to, and budgets of both."""

from __future__ import annotations

import secrets
import time
from typing import Any, Literal, NamedTuple, get_args

import sqlalchemy as sa

from graphrouter.exceptions import ConfigError
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_notices import notify
from graphrouter.gateway.store.store_tables import teams
from graphrouter.wording import suggest

__all__ = ["Budget", "OverBudget", "Team", "change_row", "check_budget", "put_team", "read_teams"]

OverBudget = Literal["refuse", "cheapest"]


class Budget(NamedTuple):
    """What a key or a team may spend on a day of UTC."""

    owner_id: str
    owner: str
    """In words, such as "the key 'ada'"."""
    nanousd_per_day: int
    over_budget: OverBudget
    """What becomes of a call that it has no room for."""


class Team(NamedTuple):
    """Keys that share a budget."""

    id: str
    name: str
    created: float
    """Seconds since 1970."""
    nanousd_per_day: int | None = None
    """Most that the calls of all its keys may cost on a day; None without a limit."""
    over_budget: OverBudget = "refuse"

    @property
    def budget(self) -> Budget | None:
        """None without a limit."""
        if self.nanousd_per_day is None:
            return None
        return Budget(self.id, f"the team {self.name!r}", self.nanousd_per_day, self.over_budget)


def put_team(
    store: Store,
    name: str,
    *,
    nanousd_per_day: int | None = None,
    over_budget: OverBudget | None = None,
) -> None:
    """Make a team, or change what is stated of one; gateways see it within a second.

    Args:
        store: Where it is kept.
        name: Of the team.
        nanousd_per_day: Most that the calls of its keys may cost on a day, in UTC.
        over_budget: Refuse a call beyond that, or send it to the cheapest model.

    Raises:
        ConfigError: The name is empty, or the budget is not above zero.
    """
    if not name.strip():
        raise ConfigError("The team has no name. Say which it is.")
    check_budget(nanousd_per_day, over_budget)
    row = {
        "id": f"team-{secrets.token_hex(4)}",
        "name": name,
        "created": time.time(),
        "nanousd_per_day": nanousd_per_day,
        "over_budget": over_budget or "refuse",
    }
    stated = {"nanousd_per_day": nanousd_per_day, "over_budget": over_budget}
    with store.engine.begin() as connection:
        if connection.execute(store.insert_new(teams), row).rowcount != 1:
            change_row(connection, teams, teams.c.name == name, stated)
        notify(store, connection)


def read_teams(connection: sa.Connection) -> dict[str, Team]:
    """All teams of a store by their ids, the oldest first.

    Args:
        connection: Of the store.
    """
    rows = connection.execute(sa.select(teams).order_by(teams.c.created)).all()
    return {row.id: Team(**row._mapping) for row in rows}


def find_team_id(connection: sa.Connection, name: str) -> str:
    """The id of a team.

    Args:
        connection: Of the store.
        name: Of the team.

    Raises:
        ConfigError: There is none.
    """
    known = {each.name: each.id for each in read_teams(connection).values()}
    if name not in known:
        raise ConfigError(
            f"There is no team {name!r}. {suggest(name, list(known), 'There are: ')} Make one "
            "with graphrouter keys team."
        )
    return known[name]


def check_budget(nanousd_per_day: int | None, over_budget: str | None) -> None:
    """Refuse a budget that cannot be.

    Args:
        nanousd_per_day: None without a limit.
        over_budget: None where it is not stated.

    Raises:
        ConfigError: It is not above zero, or what is to become of calls beyond it is unknown.
    """
    if nanousd_per_day is not None and nanousd_per_day <= 0:
        raise ConfigError("A budget of nothing a day; expected a number of dollars above zero.")
    if over_budget is not None and over_budget not in get_args(OverBudget):
        raise ConfigError(f"over_budget is {over_budget!r}; expected refuse or cheapest.")


def change_row(
    connection: sa.Connection, table: sa.Table, where: Any, stated: dict[str, Any]
) -> int:
    """Change what is stated of a row, and leave what is None as it is; the number of rows found.

    Args:
        connection: In a transaction.
        table: Of the store.
        where: Which row.
        stated: Its columns.
    """
    given = {name: value for name, value in stated.items() if value is not None}
    if not given:
        return len(connection.execute(sa.select(table).where(where)).all())
    return connection.execute(sa.update(table).where(where).values(given)).rowcount
