"""What was spent, by whom or on what, and what the same tokens would have cost elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from graphrouter.chats.usage import Usage
from graphrouter.exceptions import UnknownModelError
from graphrouter.gateway.store.client_keys import ClientKey, read_keys
from graphrouter.gateway.store.client_teams import Team, read_teams
from graphrouter.gateway.store.spending import read_prices
from graphrouter.gateway.store.store_tables import calls, decisions, keys
from graphrouter.gateway.token_prices import NANOUSD, to_usd
from graphrouter.wording import suggest

__all__ = ["ObservedSpending", "SpendingRow", "read_observed", "read_spending"]

_NOBODY = "(nobody)"


class SpendingRow(NamedTuple):
    """Calls that have something in common."""

    name: str
    """Of the model, the key or the team; `(nobody)` for calls that no model answered, without a
    key, or of a key without a team."""
    num_calls: int
    num_unknown: int
    """Calls whose cost is unknown: the upstream told no usage, or the model has no price."""
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Of the calls whose cost is known."""
    baseline_usd: float | None
    """What the tokens of the same calls cost at the prices of the baseline; None without one."""

    @property
    def saved_usd(self) -> float | None:
        """What the baseline would have cost more."""
        return None if self.baseline_usd is None else self.baseline_usd - self.cost_usd


def read_spending(
    connection: sa.Connection,
    *,
    by: Literal["model", "key", "team"] = "model",
    baseline: str | None = None,
    since: float = 0.0,
    until: float | None = None,
) -> list[SpendingRow]:
    """What was spent, the dearest first.

    The baseline is billed for the very tokens that were read and written, cached ones as such. It
    might have written more or fewer: that is not known.

    Args:
        connection: Of the store.
        by: What calls are counted by; those of a key count for the team that it is in now.
        baseline: A model that could have answered all of them.
        since: Seconds since 1970, at which they begin.
        until: And before which they end; now without it.

    Raises:
        UnknownModelError: The store has no prices of the baseline.
    """
    prices = read_prices(connection)
    if baseline is not None and baseline not in prices:
        raise UnknownModelError(
            f"The store has no prices of {baseline!r}. {suggest(baseline, list(prices), 'Of: ')}"
        )
    group = {"model": calls.c.model, "key": decisions.c.key_id, "team": keys.c.team_id}[by]
    is_known = calls.c.cost_nanousd.is_not(None)

    def add(column: sa.Column[Any], where: Any = None) -> Any:
        total = sa.func.sum(column) if where is None else sa.func.sum(column).filter(where)
        return sa.cast(sa.func.coalesce(total, 0), sa.BigInteger)  # decimals in PostgreSQL

    wanted = (
        sa.select(
            group,
            sa.func.count(),
            sa.func.count().filter(~is_known),
            add(calls.c.input_tokens),
            add(calls.c.output_tokens),
            add(calls.c.cost_nanousd),
            add(calls.c.input_tokens, is_known),
            add(calls.c.cached_input_tokens, is_known),
            add(calls.c.output_tokens, is_known),
        )
        .select_from(
            calls.outerjoin(decisions, decisions.c.id == calls.c.decision_id).outerjoin(
                keys, keys.c.id == decisions.c.key_id
            )
        )
        .where(calls.c.time >= since)
        .group_by(group)
    )
    if until is not None:
        wanted = wanted.where(calls.c.time < until)
    named: dict[str, Iterable[ClientKey | Team]] = {
        "key": read_keys(connection),
        "team": read_teams(connection).values(),
    }
    names = {each.id: each.name for each in named.get(by, ())}
    found = []
    for name, num_calls, unknown, asked, answered, cost, *of_known in connection.execute(wanted):
        billed = None if baseline is None else prices[baseline].bill(Usage(*of_known))
        found.append(
            SpendingRow(
                _NOBODY if name is None else names.get(name, name),
                num_calls,
                unknown,
                asked,
                answered,
                cost / NANOUSD,
                to_usd(billed),
            )
        )
    return sorted(found, key=lambda row: (-row.cost_usd, row.name))


class ObservedSpending(NamedTuple):
    """Calls of models that clients named, beside what the router would have asked.

    Expectations are means a call, by what was predicted of the text that is routed by.
    """

    num_calls: int
    num_others: int
    """Calls in which it would have asked another model."""
    cost_usd: float
    """True cost of those whose cost is known."""
    named_effect: float
    chosen_effect: float
    named_usd: float
    chosen_usd: float

    @property
    def saved_usd(self) -> float:
        """What would have been saved if true costs changed as expected ones do."""
        return self.cost_usd * (1 - self.chosen_usd / self.named_usd) if self.named_usd else 0.0


def read_observed(
    connection: sa.Connection, *, since: float = 0.0, until: float | None = None
) -> ObservedSpending | None:
    """What `serve --observe` has seen; None where there is nothing that can be compared.

    Calls whose named model is no candidate, or has no expected cost, are left out.

    Args:
        connection: Of the store.
        since: Seconds since 1970, at which they begin.
        until: And before which they end; now without it.
    """
    wanted = (
        sa.select(
            decisions.c.chosen, decisions.c.asked, decisions.c.candidates, calls.c.cost_nanousd
        )
        .join_from(decisions, calls, calls.c.decision_id == decisions.c.id)
        .where(decisions.c.is_observed, decisions.c.time >= since)
    )
    if until is not None:
        wanted = wanted.where(decisions.c.time < until)
    rows, cost, num_others = [], 0, 0
    for chosen, asked, candidates, nanousd in connection.execute(wanted):
        known = {each["model"]: each for each in json.loads(candidates)}
        pair = [known.get(asked, {}), known.get(chosen, {})]
        values = [each.get(name) for name in ("effect", "cost_nanousd") for each in pair]
        if None not in values:
            rows.append(values)
            cost += nanousd or 0
            num_others += chosen != asked
    if not rows:
        return None
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    named_effect, chosen_effect, named, preferred = means
    return ObservedSpending(
        len(rows),
        num_others,
        cost / NANOUSD,
        named_effect,
        chosen_effect,
        named / NANOUSD,
        preferred / NANOUSD,
    )
