"""Keys of clients: made once, kept as hashes, and what each may do."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from graphrouter.exceptions import ConfigError
from graphrouter.gateway.stated_policies import read_policy_text
from graphrouter.gateway.store.client_teams import (
    Budget,
    OverBudget,
    Team,
    change_row,
    check_budget,
    find_team_id,
    read_teams,
)
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_notices import notify
from graphrouter.gateway.store.store_tables import keys
from graphrouter.wording import suggest

__all__ = [
    "SCOPES",
    "ClientKey",
    "KeyTerms",
    "add_key",
    "change_key",
    "match_key",
    "read_keys",
    "revoke_key",
]

SCOPES = ("route", "grade", "admin")
"""To ask models, to grade their answers, and to see everything; `admin` may do what all may."""
_MARK = "gr"


@dataclass(frozen=True)
class KeyTerms:
    """What a key may do, spend and have by default; None where it is not stated."""

    scopes: Sequence[str] | None = None
    """Of `SCOPES`."""
    nanousd_per_day: int | None = None
    """Most that its calls of a day, in UTC, may cost."""
    over_budget: OverBudget | None = None
    """Refuse a call beyond that, or send it to the cheapest model."""
    team: str | None = None
    """Its team by name, whose budget its calls count against too."""
    policy: str | None = None
    """What its requests are routed by unless they state a policy: a preset, or settings as JSON."""
    route: str | None = None
    """The named route of its requests for `auto` that state no policy."""
    models: Sequence[str] | None = None
    """The only models that answer it."""


class ClientKey(NamedTuple):
    """A key as the store knows it; the key itself is nowhere."""

    id: str
    name: str
    hash: str
    """SHA-256 of the whole key, in hexadecimal; keys are random, so that no salt is needed."""
    scopes: tuple[str, ...]
    created: float
    """Seconds since 1970."""
    revoked: float | None = None
    nanousd_per_day: int | None = None
    """Most that a day may cost; None without a limit."""
    over_budget: OverBudget = "refuse"
    """What becomes of a call that the budget has no room for."""
    team: Team | None = None
    policy: str | None = None
    """What its requests are routed by unless they state a policy, as `read_policy_text` reads."""
    route: str | None = None
    """The named route of its requests for `auto` that state no policy."""
    models: frozenset[str] | None = None
    """The only ones that answer it; None for all."""

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Those that its calls count against: its own, and that of its team."""
        own = None
        if self.nanousd_per_day is not None:
            told = f"the key {self.name!r}"
            own = Budget(self.id, told, self.nanousd_per_day, self.over_budget)
        of_team = None if self.team is None else self.team.budget
        return tuple(each for each in (own, of_team) if each is not None)

    def may(self, scope: str) -> bool:
        """Whether it is good for something.

        Example:
            >>> ClientKey("1", "ci", "", ("grade",), 0.0).may("route")
            False
        """
        return self.revoked is None and (scope in self.scopes or "admin" in self.scopes)


def add_key(store: Store, name: str, terms: KeyTerms | None = None) -> str:
    """A new key, which nobody can be told again.

    Args:
        store: Where it is kept, as a hash.
        name: Whose it is; no other key has it.
        terms: What it may do; ask models, where nothing is stated.

    Raises:
        ConfigError: The name is empty or taken, there is no such team, or something that is stated
            is not accepted.
    """
    if not name.strip():
        raise ConfigError("The key has no name. Say whose it is.")
    key_id = secrets.token_hex(4)
    key = f"{_MARK}-{key_id}-{secrets.token_urlsafe(32)}"
    with store.engine.begin() as connection:
        row = {
            **_to_row(connection, terms or KeyTerms()),
            "id": key_id,
            "name": name,
            "hash": _hash(key),
            "created": time.time(),
            "revoked": None,
        }
        row["scopes"] = row["scopes"] or SCOPES[0]
        row["over_budget"] = row["over_budget"] or "refuse"
        if connection.execute(store.insert_new(keys), row).rowcount != 1:
            raise ConfigError(f"There is a key {name!r} already. Name the new one otherwise.")
        notify(store, connection)
    return key


def change_key(store: Store, name: str, terms: KeyTerms) -> None:
    """Change what is stated of a key, which stays the same; gateways see it within a second.

    Args:
        store: Where it is kept.
        name: Of the key, or its id.
        terms: What is to change; what is None stays.

    Raises:
        ConfigError: There is none in use, or something that is stated is not accepted.
    """
    with store.engine.begin() as connection:
        stated = _to_row(connection, terms)
        if change_row(connection, keys, _in_use(name), stated) != 1:
            raise _tell_unknown(connection, name)
        notify(store, connection)


def _to_row(connection: sa.Connection, terms: KeyTerms) -> dict[str, Any]:
    """Columns of a key; None for what is not stated.

    Raises:
        ConfigError: Something is not accepted.
    """
    for scope in terms.scopes or ():
        if scope not in SCOPES:
            raise ConfigError(f"unknown scope {scope!r}. {suggest(scope, SCOPES, 'Scopes: ')}")
    if terms.scopes is not None and not terms.scopes:
        raise ConfigError(f"The key is good for nothing. Give it scopes: {', '.join(SCOPES)}.")
    if terms.models is not None and not terms.models:
        raise ConfigError("The key may ask no model. Name those that it may ask, or none at all.")
    check_budget(terms.nanousd_per_day, terms.over_budget)
    if terms.policy is not None:
        read_policy_text(terms.policy, "policy")
    return {
        "scopes": None if terms.scopes is None else ",".join(dict.fromkeys(terms.scopes)),
        "nanousd_per_day": terms.nanousd_per_day,
        "over_budget": terms.over_budget,
        "team_id": None if terms.team is None else find_team_id(connection, terms.team),
        "policy": terms.policy,
        "route": terms.route,
        "models": None if terms.models is None else json.dumps(list(terms.models)),
    }


def read_keys(connection: sa.Connection) -> list[ClientKey]:
    """All keys of a store, revoked ones too, the oldest first.

    Args:
        connection: Of the store.
    """
    known = read_teams(connection)
    found = []
    for row in connection.execute(sa.select(keys).order_by(keys.c.created)):
        told = dict(row._mapping)
        told["team"] = known.get(told.pop("team_id") or "")
        told["scopes"] = tuple(row.scopes.split(","))
        told["models"] = None if row.models is None else frozenset(json.loads(row.models))
        found.append(ClientKey(**told))
    return found


def revoke_key(store: Store, name: str) -> None:
    """Make a key good for nothing; gateways see it within a second.

    Args:
        store: Where it is kept.
        name: Of the key, or its id.

    Raises:
        ConfigError: There is none, or it has been revoked.
    """
    with store.engine.begin() as connection:
        if change_row(connection, keys, _in_use(name), {"revoked": time.time()}) != 1:
            raise _tell_unknown(connection, name)
        notify(store, connection)


def _in_use(name: str) -> sa.ColumnElement[bool]:
    return ((keys.c.name == name) | (keys.c.id == name)) & keys.c.revoked.is_(None)


def _tell_unknown(connection: sa.Connection, name: str) -> ConfigError:
    names = [each.name for each in read_keys(connection) if each.revoked is None]
    return ConfigError(f"There is no key {name!r} in use. {suggest(name, names, 'In use: ')}")


def match_key(known: Collection[ClientKey], key: str) -> ClientKey | None:
    """The key that somebody gives; None where there is none, or it has been revoked.

    Takes the same time whichever it is.

    Args:
        known: Keys of the store.
        key: As it was given.
    """
    given, found = _hash(key), None
    for each in known:
        if hmac.compare_digest(each.hash, given) and each.revoked is None:
            found = each
    return found


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
