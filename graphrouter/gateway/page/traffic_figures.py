"""What a store says of the traffic of a period: counts over time, models, sessions, alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from graphrouter.gateway.store.client_keys import read_keys
from graphrouter.gateway.store.drift_watch import read_alarms
from graphrouter.gateway.store.spending import name_day
from graphrouter.gateway.store.store_tables import budgets, calls, decisions, outcomes
from graphrouter.gateway.token_prices import to_usd
from graphrouter.wording import count_of

__all__ = [
    "ModelTraffic",
    "Piece",
    "SessionPath",
    "Step",
    "Traffic",
    "read_session",
    "read_traffic",
]

NOBODY = "(nobody)"
"""In the place of a model, where none answered."""
NUM_BARS = 24
_MOST_LATENCIES = 20_000
_MOST_SESSIONS = 12
_MOST_STEPS = 200
_FAILING_FROM, _FEWEST_CALLS = 0.1, 5


class ModelTraffic(NamedTuple):
    """The calls that one model answered."""

    model: str
    num_calls: int
    num_failed: int
    """Calls that ended with a status of 400 or above."""
    cost_usd: float
    """Of the calls whose cost is known."""
    latency_p50_s: float
    latency_p95_s: float
    """Of the newest calls of the period."""
    num_graded: int
    mean_grade: float | None
    """In [0, 1]; None without grades."""


class SessionPath(NamedTuple):
    """A conversation that the gateway saw as one."""

    session: str
    num_calls: int
    last: float
    """Seconds since 1970."""
    cost_usd: float


class Step(NamedTuple):
    """One decision of a session."""

    decision_id: str
    time: float
    chosen: str | None
    """By the router; None where the client named a model."""
    answered: str | None
    status: int | None
    """None while the call goes on."""
    cost_usd: float | None


class Piece(NamedTuple):
    """The calls of one model in one part of a period."""

    rank: int
    """Of the model by its calls, from 0."""
    model: str
    num_calls: int
    below: int
    """Calls of the models before it in the same part."""


class Traffic(NamedTuple):
    """A period."""

    since: float
    until: float
    """Seconds since 1970."""
    counts: Mapping[str, tuple[int, ...]]
    """Calls of every model in each of `NUM_BARS` equal parts of the period, most calls first."""
    models: Sequence[ModelTraffic]
    sessions: Sequence[SessionPath]
    """The newest first."""
    alarms: Sequence[str]

    @property
    def bars(self) -> Sequence[Sequence[Piece]]:
        """The calls of each part of the period, piled up by model from below."""
        found: list[list[Piece]] = [[] for _ in range(NUM_BARS)]
        for rank, (model, parts) in enumerate(self.counts.items()):
            for pieces, number in zip(found, parts, strict=True):
                if number:
                    below = pieces[-1].below + pieces[-1].num_calls if pieces else 0
                    pieces.append(Piece(rank, model, number, below))
        return found

    @property
    def most_at_once(self) -> int:
        """Calls of the busiest part of the period, at least 1."""
        return max([1, *map(sum, zip(*self.counts.values(), strict=True))])

    @property
    def num_calls(self) -> int:
        """In all."""
        return sum(each.num_calls for each in self.models)

    @property
    def cost_usd(self) -> float:
        """Of the calls whose cost is known."""
        return sum(each.cost_usd for each in self.models)

    @property
    def num_failed(self) -> int:
        """Calls that ended with a status of 400 or above."""
        return sum(each.num_failed for each in self.models)


def read_traffic(connection: sa.Connection, since: float, until: float) -> Traffic:
    """The traffic of a period.

    Args:
        connection: Of the store.
        since: Seconds since 1970, at which it begins.
        until: And ends.
    """
    width = max(1, round((until - since) / NUM_BARS))
    part = (sa.cast(calls.c.time, sa.BigInteger) - round(since)) // width
    rows = connection.execute(
        sa.select(
            calls.c.model,
            part.label("part"),
            sa.func.count().label("number"),
            sa.func.count().filter(calls.c.status >= 400).label("failed"),
            _add(calls.c.cost_nanousd).label("cost"),
        )
        .where(calls.c.time >= since, calls.c.time <= until)
        .group_by(calls.c.model, "part")
    ).all()
    counts: dict[str, list[int]] = {}
    sums: dict[str, tuple[int, int, int]] = {}
    for row in rows:
        name = row.model or NOBODY
        counts.setdefault(name, [0] * NUM_BARS)[min(int(row.part), NUM_BARS - 1)] += row.number
        number, failed, cost = sums.get(name, (0, 0, 0))
        sums[name] = (number + row.number, failed + row.failed, cost + row.cost)
    quantiles, graded = _read_latencies(connection, since, until), _read_grades(connection, since)
    models = [
        ModelTraffic(
            name,
            number,
            failed,
            cost / 1e9,
            *quantiles.get(name, (float("nan"),) * 2),
            *graded.get(name, (0, None)),
        )
        for name, (number, failed, cost) in sorted(sums.items(), key=lambda item: -item[1][0])
    ]
    return Traffic(
        since,
        until,
        {each.model: tuple(counts[each.model]) for each in models},
        models,
        _read_sessions(connection, since),
        [
            *_tell_failing(models),
            *_tell_budgets(connection, until),
            *(each.describe() for each in read_alarms(connection) if each.closed is None),
        ],
    )


def read_session(connection: sa.Connection, session: str) -> list[Step]:
    """The decisions of a session, in their order.

    Args:
        connection: Of the store.
        session: Its id.
    """
    rows = connection.execute(
        sa.select(
            decisions.c.id,
            decisions.c.time,
            decisions.c.chosen,
            calls.c.model,
            calls.c.status,
            calls.c.cost_nanousd,
        )
        .select_from(decisions.outerjoin(calls, calls.c.decision_id == decisions.c.id))
        .where(decisions.c.session == session)
        .order_by(decisions.c.time)
        .limit(_MOST_STEPS)
    ).all()
    return [Step(*row[:-1], to_usd(row.cost_nanousd)) for row in rows]


def _add(column: sa.Column[int]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)  # else a decimal


def _read_latencies(
    connection: sa.Connection, since: float, until: float
) -> dict[str, tuple[float, float]]:
    rows = connection.execute(
        sa.select(calls.c.model, calls.c.latency_s)
        .where(calls.c.time >= since, calls.c.time <= until)
        .order_by(calls.c.time.desc())
        .limit(_MOST_LATENCIES)
    ).all()
    seconds: dict[str, list[float]] = {}
    for model, latency_s in rows:
        seconds.setdefault(model or NOBODY, []).append(latency_s)
    return {name: tuple(np.quantile(each, [0.5, 0.95]).tolist()) for name, each in seconds.items()}


def _read_grades(connection: sa.Connection, since: float) -> dict[str, tuple[int, float]]:
    rows = connection.execute(
        sa.select(outcomes.c.model, sa.func.count(), sa.func.avg(outcomes.c.effect))
        .where(outcomes.c.time >= since)
        .group_by(outcomes.c.model)
    ).all()
    return {model: (number, float(mean)) for model, number, mean in rows}


def _read_sessions(connection: sa.Connection, since: float) -> list[SessionPath]:
    last = sa.func.max(decisions.c.time)
    rows = connection.execute(
        sa.select(decisions.c.session, sa.func.count(), last, _add(calls.c.cost_nanousd))
        .select_from(decisions.outerjoin(calls, calls.c.decision_id == decisions.c.id))
        .where(decisions.c.time >= since, decisions.c.session.is_not(None))
        .group_by(decisions.c.session)
        .order_by(last.desc())
        .limit(_MOST_SESSIONS)
    ).all()
    return [SessionPath(name, number, at, cost / 1e9) for name, number, at, cost in rows]


def _tell_failing(models: Sequence[ModelTraffic]) -> list[str]:
    return [
        f"{each.model}: {each.num_failed} of {count_of(each.num_calls, 'call')} failed"
        for each in models
        if each.num_calls >= _FEWEST_CALLS and each.num_failed >= _FAILING_FROM * each.num_calls
    ]


def _tell_budgets(connection: sa.Connection, now: float) -> list[str]:
    limits = {each.owner_id: each for key in read_keys(connection) for each in key.budgets}
    rows = connection.execute(
        sa.select(budgets.c.owner_id, budgets.c.spent_nanousd).where(budgets.c.day == name_day(now))
    ).all()
    return [
        f"{limits[each].owner} has used up its {limits[each].nanousd_per_day / 1e9:g} USD of today"
        for each, spent in rows
        if each in limits and spent >= limits[each].nanousd_per_day
    ]
