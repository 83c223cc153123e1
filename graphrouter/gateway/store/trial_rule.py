"""Whether an artifact on trial does worse than the one that serves, by what a store knows."""

from __future__ import annotations

import math
from typing import NamedTuple

import sqlalchemy as sa

from graphrouter.gateway.store.store_tables import calls, decisions, outcomes

__all__ = ["Arm", "Measure", "read_trial", "tell_worse"]

FEWEST = 20
"""Values of a measure that either artifact must have before they are compared."""
ALPHA = 0.01
"""Chance that a measure in which both are alike ever aborts a trial, however long it goes on."""
_CLIENT_LEFT = 499
_TIGHTEST_AT = 200.0
"""Values at which the bounds are the tightest that they can be made at one place."""


class Measure(NamedTuple):
    """Values that were seen of something."""

    num: int = 0
    total: float = 0.0
    total_squared: float = 0.0

    @property
    def mean(self) -> float | None:
        """None where nothing was seen."""
        return self.total / self.num if self.num else None

    @property
    def radius(self) -> float:
        """How far the true mean is from that of the values, at most, whenever one looks.

        An asymptotic confidence sequence (Waudby-Smith et al. 2021, Time-uniform central limit
        theory and asymptotic confidence sequences, Theorem 2.2, and section B.2 for where it is
        tightest): it holds at all times at once with a chance of 1 - ALPHA / 2. Values that have
        not varied yet count as if one of them had.
        """
        n, alpha = self.num, ALPHA / 2
        mean = self.total / n
        variance = max(self.total_squared / n - mean * mean, 1 / (n + 2))
        most = -2 * math.log(alpha)
        rho = (most + math.log(most + 1)) / _TIGHTEST_AT
        grown = n * rho + 1
        return math.sqrt(variance * 2 * grown / (n * n * rho) * math.log(math.sqrt(grown) / alpha))


class Arm(NamedTuple):
    """What has come of the sessions of one artifact since a trial began."""

    failed: Measure = Measure()
    """Calls: 1 for an answer of status 400 or above, 0 for others; clients that left are none."""
    grade: Measure = Measure()
    """In [0, 1]."""
    reward: Measure = Measure()
    """Utility that its own router expected of whom it chose."""


def read_trial(connection: sa.Connection, began: float) -> dict[str, Arm]:
    """What has come of each artifact since a trial began; of the router's choices alone.

    Args:
        connection: Of the store.
        began: Seconds since 1970.
    """
    is_chosen = decisions.c.chosen.is_not(None) & ~decisions.c.is_observed
    since = (decisions.c.time >= began) & is_chosen
    has_failed = (calls.c.status >= 400) & (calls.c.status != _CLIENT_LEFT)
    utility = decisions.c.expected_utility
    both = sa.join(decisions, calls, calls.c.decision_id == decisions.c.id)
    called = connection.execute(
        sa.select(
            decisions.c.artifact,
            sa.func.count().label("num"),
            sa.func.count().filter(has_failed).label("failed"),
            sa.func.count(utility).label("rewards"),
            sa.func.sum(utility).label("total"),
            sa.func.sum(utility * utility).label("squared"),
        )
        .select_from(both)
        .where(since)
        .group_by(decisions.c.artifact)
    ).all()
    effect = outcomes.c.effect
    graded = connection.execute(
        sa.select(
            decisions.c.artifact,
            sa.func.count().label("num"),
            sa.func.sum(effect).label("total"),
            sa.func.sum(effect * effect).label("squared"),
        )
        .select_from(sa.join(decisions, outcomes, outcomes.c.decision_id == decisions.c.id))
        .where(since)
        .group_by(decisions.c.artifact)
    ).all()
    grades = {row.artifact: Measure(row.num, row.total, row.squared) for row in graded}
    return {
        row.artifact: Arm(
            Measure(row.num, row.failed, row.failed),
            grades.get(row.artifact, Measure()),
            Measure(row.rewards, row.total or 0.0, row.squared or 0.0),
        )
        for row in called
    }


def tell_worse(old: Arm, new: Arm, *, by_reward: bool = False) -> str | None:
    """Why an artifact on trial is surely worse than the one that serves; None where it is not.

    It fails more often, or its grades are lower, beyond what chance brings.

    Args:
        old: Of the artifact that serves.
        new: Of the one on trial.
        by_reward: Whether it is worse, too, where its router expects a lower utility of its choices
            than the old one does. Neither is asked whether it is right.

    Example:
        >>> tell_worse(Arm(Measure(900, 18, 18)), Arm(Measure(100, 30, 30)))
        'calls that failed: 0.300 on trial, 0.020 before'
        >>> tell_worse(Arm(Measure(900, 18, 18)), Arm(Measure(100, 3, 3)))
    """
    compared = [
        ("calls that failed", old.failed, new.failed, 1),
        ("grades", old.grade, new.grade, -1),
    ]
    if by_reward:
        compared.append(("expected rewards", old.reward, new.reward, -1))
    for name, before, after, sign in compared:
        if min(before.num, after.num) < FEWEST:
            continue
        was, now = before.total / before.num, after.total / after.num
        if sign * (now - was) > before.radius + after.radius:
            return f"{name}: {now:.3f} on trial, {was:.3f} before"
    return None
