"""Keys of clients: made once, kept as hashes, and what each may do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple, get_args

import sqlalchemy as sa

from graphrouter.exceptions import ConfigError
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_tables import keys
from graphrouter.wording import suggest

__all__ = ["SCOPES", "ClientKey", "OverBudget", "add_key", "match_key", "read_keys", "revoke_key"]

SCOPES = ("route", "grade", "admin")
"""To ask models, to grade their answers, and to see everything; `admin` may do what all may."""
OverBudget = Literal["refuse", "cheapest"]
_MARK = "gr"


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

    def may(self, scope: str) -> bool:
        """Whether it is good for something.

        Example:
            >>> ClientKey("1", "ci", "", ("grade",), 0.0).may("route")
            False
        """
        return self.revoked is None and (scope in self.scopes or "admin" in self.scopes)


def add_key(
    store: Store,
    name: str,
    *,
    scopes: Sequence[str] = ("route",),
    nanousd_per_day: int | None = None,
    over_budget: OverBudget = "refuse",
) -> str:
    """A new key, which nobody can be told again.

    Args:
        store: Where it is kept, as a hash.
        name: Whose it is; no other key has it.
        scopes: Of `SCOPES`.
        nanousd_per_day: Most that its calls of a day, in UTC, may cost.
        over_budget: Refuse a call beyond that, or send it to the cheapest model.

    Raises:
        ConfigError: The name is empty or taken, a scope is unknown, or a budget is not above zero.
    """
    if not name.strip():
        raise ConfigError("The key has no name. Say whose it is.")
    for scope in scopes:
        if scope not in SCOPES:
            raise ConfigError(f"unknown scope {scope!r}. {suggest(scope, SCOPES, 'Scopes: ')}")
    if not scopes:
        raise ConfigError(f"The key is good for nothing. Give it scopes: {', '.join(SCOPES)}.")
    if nanousd_per_day is not None and nanousd_per_day <= 0:
        raise ConfigError("A budget of nothing a day; expected a number of dollars above zero.")
    if over_budget not in get_args(OverBudget):
        raise ConfigError(f"over_budget is {over_budget!r}; expected refuse or cheapest.")
    key_id = secrets.token_hex(4)
    key = f"{_MARK}-{key_id}-{secrets.token_urlsafe(32)}"
    row = {
        "id": key_id,
        "name": name,
        "hash": _hash(key),
        "scopes": ",".join(dict.fromkeys(scopes)),
        "created": time.time(),
        "revoked": None,
        "nanousd_per_day": nanousd_per_day,
        "over_budget": over_budget,
    }
    with store.engine.begin() as connection:
        if connection.execute(store.insert_new(keys), row).rowcount != 1:
            raise ConfigError(f"There is a key {name!r} already. Name the new one otherwise.")
    return key


def read_keys(connection: sa.Connection) -> list[ClientKey]:
    """All keys of a store, revoked ones too, the oldest first.

    Args:
        connection: Of the store.
    """
    rows = connection.execute(sa.select(keys).order_by(keys.c.created)).all()
    return [ClientKey(**{**row._mapping, "scopes": tuple(row.scopes.split(","))}) for row in rows]


def revoke_key(store: Store, name: str) -> None:
    """Make a key good for nothing; gateways see it within a second.

    Args:
        store: Where it is kept.
        name: Of the key, or its id.

    Raises:
        ConfigError: There is none, or it has been revoked.
    """
    with store.engine.begin() as connection:
        wanted = (keys.c.name == name) | (keys.c.id == name)
        update = sa.update(keys).where(wanted, keys.c.revoked.is_(None)).values(revoked=time.time())
        if connection.execute(update).rowcount == 1:
            return
        names = [each.name for each in read_keys(connection) if each.revoked is None]
    raise ConfigError(f"There is no key {name!r} in use. {suggest(name, names, 'In use: ')}")


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
