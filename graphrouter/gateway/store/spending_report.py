"""What was spent, by whom or on what, and what the same tokens would have cost elsewhere."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from graphrouter.exceptions import UnknownModelError
from graphrouter.gateway.store.client_keys import read_keys
from graphrouter.gateway.store.spending import read_prices
from graphrouter.gateway.store.store_tables import calls, decisions
from graphrouter.gateway.token_prices import to_usd
from graphrouter.gateway.usage import Usage
from graphrouter.wording import suggest

__all__ = ["SpendingRow", "read_spending"]

_NOBODY = "(nobody)"


class SpendingRow(NamedTuple):
    """Calls that have something in common."""

    name: str
    """Of the model or the key; `(nobody)` for calls that no model answered, or without a key."""
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
    by: Literal["model", "key"] = "model",
    baseline: str | None = None,
    since: float = 0.0,
    until: float | None = None,
) -> list[SpendingRow]:
    """What was spent, the dearest first.

    The baseline is billed for the very tokens that were read and written, cached ones as such. It
    might have written more or fewer: that is not known.

    Args:
        connection: Of the store.
        by: What calls are counted by.
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
    group = calls.c.model if by == "model" else decisions.c.key_id
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
        .select_from(calls.outerjoin(decisions, decisions.c.id == calls.c.decision_id))
        .where(calls.c.time >= since)
        .group_by(group)
    )
    if until is not None:
        wanted = wanted.where(calls.c.time < until)
    names = {each.id: each.name for each in read_keys(connection)} if by == "key" else {}
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
                cost / 1e9,
                to_usd(billed),
            )
        )
    return sorted(found, key=lambda row: (-row.cost_usd, row.name))
