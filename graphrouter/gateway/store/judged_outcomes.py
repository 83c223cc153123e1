"""Grades of judges in the store: what they said, how far it is believed, with which chance."""

from __future__ import annotations

import time
from typing import Protocol
from uuid import uuid4

import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.store_tables import decisions, outcomes
from graphrouter.grades import Judge

__all__ = ["Judged", "add_judged", "read_overlap"]

_NEWEST = 1_000


class Judged(Protocol):
    """An answer that was judged."""

    @property
    def decision_id(self) -> str:
        """Why the model was asked."""

    @property
    def model(self) -> str:
        """Who answered."""

    @property
    def expected(self) -> float:
        """Effect that was expected, in [0, 1]."""

    @property
    def chance(self) -> float:
        """With which it was judged, in [0, 1]."""


def add_judged(
    store: Store,
    connection: sa.Connection,
    grader: str,
    judged: Judged,
    *,
    score: float,
    judge: Judge,
    teaches: bool,
) -> None:
    """Write down what a judge said of an answer.

    What routers learn is what is to be believed of the answer: what was expected of it, moved by
    the grade as far as the judge is reliable (`Grade.believe`).

    Args:
        store: Of the connection.
        connection: In a transaction.
        grader: Who judged.
        judged: What.
        score: What it said, in [0, 1].
        judge: How far it is to be believed.
        teaches: Whether routers learn it, where the store has the prompt.
    """
    texts = ("prompt", *VIEWS)
    wanted = sa.select(decisions.c.task, *(decisions.c[name] for name in texts))
    found = connection.execute(wanted.where(decisions.c.id == judged.decision_id)).one_or_none()
    if found is None:  # deleted meanwhile
        return
    has_rates = judge.slope is None  # else each score has rates of its own
    row = {
        "id": uuid4().hex,
        "time": time.time(),
        "decision_id": judged.decision_id,
        "model": judged.model,
        "effect": judge.read(score).believe(judged.expected),
        "grader": grader,
        "task": found.task,
        **{name: found._mapping[name] if teaches else None for name in texts},
        "score": score,
        "hit_rate": judge.hit_rate if has_rates else None,
        "false_alarm_rate": judge.false_alarm_rate if has_rates else None,
        "chance": judged.chance,
    }
    connection.execute(store.insert_new(outcomes), row)


def read_overlap(connection: sa.Connection, grader: str) -> tuple[list[float], list[float]]:
    """What a judge said of the newest answers that others have graded too, and what they said.

    Args:
        connection: Of the store.
        grader: The judge.
    """
    judged, other = outcomes.alias(), outcomes.alias()
    same = (judged.c.decision_id == other.c.decision_id) & (judged.c.model == other.c.model)
    wanted = (
        sa.select(judged.c.score, other.c.effect)
        .select_from(judged.join(other, same))
        .where(judged.c.grader == grader, judged.c.score.is_not(None), other.c.score.is_(None))
        .order_by(judged.c.number.desc())
        .limit(_NEWEST)
    )
    rows = connection.execute(wanted).all()
    return [score for score, _ in rows], [effect for _, effect in rows]
