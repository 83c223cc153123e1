"""Alarms of models whose grades are not what was expected, in the store for all its gateways."""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_tables import alarms, decisions, outcomes
from graphrouter.grades import Judge
from graphrouter.monitoring.drift_detector import Drift, DriftDetector

__all__ = ["Alarm", "DriftSettings", "DriftWatch", "close_alarm", "read_alarms"]

LOOKED_BACK = 5_000
"""Grades before the newest that a gateway looks at again when it starts."""
_FEWEST_OF_OTHERS = 30
_SHARED = 0.5
"""Share of a model's drift that the other models have too, from which it is nobody's own."""
_RAISING = 7_041_227
"""Of the advisory lock of PostgreSQL that alarms are raised under."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriftSettings:
    """When an alarm is raised, and what follows."""

    run_length: float = 10_000
    """Grades until a false alarm, at least, on average; over all models together."""
    forgets: bool = True
    """Whether routers forget what a model did before the change seems to have begun."""


class Alarm(NamedTuple):
    """A model whose grades are not what was expected."""

    id: int
    time: float
    """Seconds since 1970."""
    model: str
    direction: str
    """`worse` or `better`."""
    since: int
    """Number of the grade with which it seems to have begun."""
    number: int
    """Of the grade that raised the alarm."""
    num_outcomes: int
    """Grades of the model from the one to the other."""
    expected: float
    observed: float
    """Means of these, in [0, 1]."""
    is_shared: bool
    """Whether other models have drifted too, so that prompts or graders may be what has changed."""
    forgets: bool
    """Whether routers forget what the model did before."""
    closed: float | None
    """When an admin has closed it."""

    def describe(self) -> str:
        """The alarm in words."""
        told = (
            f"{self.model} answers {self.direction} than expected: {self.observed:.2f} in place of "
            f"{self.expected:.2f} over {self.num_outcomes} grades"
        )
        if self.is_shared:
            return f"{told}; other models too, so prompts or graders may have changed"
        return f"{told}; what it did before is {'forgotten' if self.forgets else 'kept'}"


class DriftWatch:
    """Compares grades with what was expected of the answers when they were decided on.

    Each gateway of a store sees all grades and comes to the same alarms; the first one writes an
    alarm down.
    """

    def __init__(self, store: Store, settings: DriftSettings) -> None:
        """A watch that has seen nothing.

        Args:
            store: Where grades are and alarms go.
            settings: When, and what follows.
        """
        self._store, self._settings = store, settings
        self.detectors: dict[str, DriftDetector] = {}
        """Of the models that were graded."""
        self.open: tuple[Alarm, ...] = ()
        """Alarms that nobody has closed, as they were when the store was looked at last."""
        self._begins: dict[str, _Begin] = {}
        """The last alarm of each model, behind which its detector has begun anew."""
        self._recent: deque[tuple[int, str, float]] = deque(maxlen=LOOKED_BACK)
        self._graded: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._last_alarm, self._has_begun = 0, False

    def take_alarms(self, connection: sa.Connection) -> list[Alarm]:
        """The alarms that are new since this was asked last, of any gateway of the store.

        Args:
            connection: Of the store.
        """
        found = read_alarms(connection)
        new = [each for each in found if each.id > self._last_alarm]
        self.open = tuple(each for each in found if each.closed is None)
        for each in new:
            self._last_alarm = max(self._last_alarm, each.id)
            begin = self._begins.get(each.model)
            if begin is None or each.number > begin.number:
                self._begins[each.model] = _Begin(each.number, each.time)
                self.detectors.pop(each.model, None)
        return new

    def observe(self, connection: sa.Connection, numbers: Collection[int]) -> None:
        """Take in grades, and raise the alarms that they give reason for.

        A second grade of one answer says nothing new, nor does one of an answer of which nothing
        was expected, since its model was named and nothing was decided.

        Args:
            connection: Of the store.
            numbers: Of the grades.
        """
        first = min(numbers)
        if not self._has_begun:  # a gateway that starts goes on where others were
            first, self._has_begun = max(numbers) - LOOKED_BACK, True
            numbers = range(first, max(numbers) + 1)
        for row in _read_expected(connection, first):
            is_known = (row.decision_id, row.model) in self._graded
            begin = self._begins.get(row.model)
            # What was decided before an alarm expects what the alarm says is not so.
            is_old = begin is not None and (row.number <= begin.number or row.time <= begin.time)
            if row.number not in numbers or is_known or is_old:
                continue
            found = _compare(row)
            if found is None:
                continue
            self._graded[row.decision_id, row.model] = None
            if len(self._graded) > LOOKED_BACK:
                self._graded.popitem(last=False)
            expected, effect = found
            self._recent.append((row.number, row.model, effect - expected))
            if row.model not in self.detectors:
                self.detectors[row.model] = DriftDetector(self._settings.run_length)
            drift = self.detectors[row.model].observe(row.number, expected=expected, effect=effect)
            if drift is not None:
                self._raise(row.model, row.number, drift)

    def _raise(self, model: str, number: int, drift: Drift) -> None:
        is_shared = self._is_shared(model, drift)
        forgets = self._settings.forgets and not is_shared
        row: dict[str, Any] = {
            "time": time.time(),
            "model": model,
            "is_shared": is_shared,
            "forgets": forgets,
            "number": number,
            **drift._asdict(),
        }
        begin = self._begins.get(model)
        last = 0 if begin is None else begin.number
        self._begins[model] = _Begin(number, row["time"])
        self.detectors.pop(model)
        with self._store.engine.begin() as connection:
            if self._store.is_postgresql:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_RAISING)))
            of_model = [each for each in read_alarms(connection) if each.model == model]
            is_raised = any(each.number > last for each in of_model)  # by another gateway
            if is_raised or (not forgets and any(map(_is_kept_open, of_model))):
                return
            connection.execute(sa.insert(alarms), row)
        _logger.warning("Drift: %s.", Alarm(0, closed=None, **row).describe())

    def _is_shared(self, model: str, drift: Drift) -> bool:
        others = [
            residual
            for number, name, residual in self._recent
            if number >= drift.since and name != model
        ]
        if len(others) < _FEWEST_OF_OTHERS:
            return False
        own = drift.observed - drift.expected
        return sum(others) / len(others) / own >= _SHARED


def read_alarms(connection: sa.Connection, *, after: int = 0) -> list[Alarm]:
    """The alarms of a store, the oldest first.

    Args:
        connection: Of the store.
        after: Number of the grade behind which they were raised.
    """
    columns = [alarms.c[name] for name in Alarm._fields]
    wanted = sa.select(*columns).where(alarms.c.number > after).order_by(alarms.c.id)
    return [Alarm._make(row) for row in connection.execute(wanted).all()]


def close_alarm(connection: sa.Connection, alarm_id: int) -> bool:
    """Note that an alarm is dealt with; whether there was such an open one.

    Args:
        connection: In a transaction.
        alarm_id: Its number.
    """
    is_open = (alarms.c.id == alarm_id) & alarms.c.closed.is_(None)
    closed = sa.update(alarms).where(is_open).values(closed=time.time())
    return connection.execute(closed).rowcount == 1


def _is_kept_open(alarm: Alarm) -> bool:
    """Whether it goes on being told, and nothing is done about it."""
    return alarm.closed is None and not alarm.forgets


class _Begin(NamedTuple):
    number: int
    time: float


class _Row(NamedTuple):
    time: float
    number: int
    model: str
    decision_id: str
    effect: float
    score: float | None
    hit_rate: float | None
    false_alarm_rate: float | None
    candidates: str


def _read_expected(connection: sa.Connection, first: int) -> list[_Row]:
    columns = [outcomes.c[name] for name in _Row._fields[1:-1]]
    wanted = (
        sa.select(decisions.c.time, *columns, decisions.c.candidates)
        .select_from(outcomes.join(decisions, decisions.c.id == outcomes.c.decision_id))
        .where(outcomes.c.number >= first)
        .order_by(outcomes.c.number)
    )
    return [_Row._make(row) for row in connection.execute(wanted).all()]


def _compare(row: _Row) -> tuple[float, float] | None:
    """What was expected of a grade, and what it was; None where nothing was expected."""
    for each in json.loads(row.candidates):
        expected = each.get("effect")
        if each["model"] == row.model and expected is not None:
            expected = min(1.0, max(0.0, expected))
            if row.score is None or row.hit_rate is None or row.false_alarm_rate is None:
                return expected, row.effect
            return Judge(row.hit_rate, row.false_alarm_rate).expect_pass(expected), row.score
    return None
