"""Grades of answers: what a client may say, how it is written down once, and what routers read."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pandas as pd
import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.kept_views import has_lesson, read_kept
from graphrouter.gateway.store.store_tables import calls, decisions, outcomes
from graphrouter.wording import name_some, show_value, suggest

__all__ = ["Graded", "NewGrade", "add_grade", "read_grade", "read_grades", "read_lessons"]

_logger = logging.getLogger(__name__)
_MEMBERS = (
    "id",
    "decision",
    "model",
    "prompt",
    "task",
    "effect",
    "thumb",
    "grader",
    "user",
    "team",
)
_THUMBS = {"up": 1.0, "down": 0.0}
_LONGEST = 200
MOST_AT_ONCE = 1_000
"""Grades of one request."""
WINDOW = 1_000
"""Numbers before the last one seen that are looked at again: PostgreSQL gives numbers before it
commits, so a smaller one may come to be seen later."""


@dataclass(frozen=True)
class NewGrade:
    """What a client says of an answer."""

    id: str
    """Of the grade; one that is said again counts once."""
    effect: float
    decision_id: str | None
    model: str | None
    prompt: str | None
    task: str | None
    grader: str
    user: str | None = None
    """Who asked, and whose taste it is; None where nobody is named."""
    team: str | None = None


@dataclass(frozen=True)
class Graded:
    """A grade that is in the store."""

    id: str
    decision_id: str | None
    model: str
    effect: float
    grader: str
    is_new: bool
    """False for one that had been said before."""
    teaches: bool
    """Whether routers learn from it; not where nobody has given the text of the prompt, or it is
    blank and nothing goes with it."""


def read_grade(body: object) -> NewGrade:
    """A grade as a client sends it.

    `effect` in [0, 1], or `thumb` up or down; the `decision`, or `model` and `prompt`; perhaps
    `id`, `task`, `grader`, `user` and `team`. With a decision, `model` is who answered unless
    stated, and `prompt` the text that was routed by.

    Args:
        body: Plain JSON values.

    Raises:
        ApiError: A member is unknown, missing or out of range.

    Example:
        >>> read_grade({"decision": "0f3c", "thumb": "up"}).effect
        1.0
    """
    if not isinstance(body, Mapping):
        raise ApiError(400, f"The grade is {show_value(body)}; expected an object.")
    for name in body:
        if name not in _MEMBERS:
            raise ApiError(
                400, f"unknown member {name!r}. {suggest(name, _MEMBERS, 'Members: ')}", name
            )
    texts = {name: _read_text(body, name) for name in _MEMBERS if name not in ("effect", "thumb")}
    decision, model, prompt = texts["decision"], texts["model"], texts["prompt"]
    if decision is None and (model is None or prompt is None):
        raise ApiError(400, "Whose answer is graded? Expected decision, or model and prompt.")
    return NewGrade(
        id=texts["id"] or uuid4().hex,
        effect=_read_effect(body),
        decision_id=decision,
        model=model,
        prompt=prompt,
        task=texts["task"],
        grader=texts["grader"] or "client",
        user=texts["user"],
        team=texts["team"],
    )


def read_grades(body: Mapping[str, Any]) -> list[NewGrade]:
    """The grades of a request: itself one, or a list of them under `outcomes`.

    Args:
        body: Plain JSON values.

    Raises:
        ApiError: As `read_grade`, or there are too many.
    """
    if "outcomes" not in body:
        return [read_grade(body)]
    several = body["outcomes"]
    if not isinstance(several, list) or not 0 < len(several) <= MOST_AT_ONCE:
        raise ApiError(400, f"Expected a list of 1 to {MOST_AT_ONCE} grades.", "outcomes")
    return [read_grade(each) for each in several]


def add_grade(
    store: Store, connection: sa.Connection, grade: NewGrade, key_id: str | None
) -> Graded:
    """Write a grade down, once.

    Args:
        store: Of the connection.
        connection: In a transaction.
        grade: What was said.
        key_id: By whom.

    Raises:
        ApiError: There is no such decision, it was never called and no model is named, or the id is
            that of another grade.
    """
    model, prompt, task = grade.model, grade.prompt, grade.task
    views = dict.fromkeys(VIEWS)
    if grade.decision_id is not None:
        found = _find_decision(connection, grade.decision_id)
        model, task = model or found.model, task or found.task
        if found.prompt is not None:
            prompt, views = found.prompt, {name: found._mapping[name] for name in VIEWS}
    if model is None:
        raise ApiError(400, "Nobody has answered that decision; expected model.", "model")
    row = {
        "id": grade.id,
        "time": time.time(),
        "decision_id": grade.decision_id,
        "model": model,
        "effect": grade.effect,
        "grader": grade.grader,
        "key_id": key_id,
        "task": task,
        "prompt": prompt,
        "user": grade.user,
        "team": grade.team,
        **views,
    }
    is_new = connection.execute(store.insert_new(outcomes), row).rowcount == 1
    kept = connection.execute(sa.select(outcomes).where(outcomes.c.id == grade.id)).one()
    said = (kept.decision_id, kept.model, kept.effect, kept.grader)
    if not is_new and said != (grade.decision_id, model, grade.effect, grade.grader):
        raise ApiError(
            409,
            f"There is another grade with the id {grade.id!r}. Give each grade an id of its own.",
            "id",
        )
    teaches = has_lesson(kept.prompt, kept.context, kept.embedding)
    return Graded(kept.id, kept.decision_id, kept.model, kept.effect, kept.grader, is_new, teaches)


def read_lessons(connection: sa.Connection, *, after: int = 0) -> pd.DataFrame:
    """The grades that routers learn from, as `Router.add_outcomes` takes them.

    Columns `number`, `prompt`, `task`, `model`, `effect`, in the order of their numbers; `user`,
    `team`, `context` and `embedding` (JSON) and `embedding_encoder` where any grade has them. Those
    whose context or embedding cannot be read are left out, with a warning.

    Args:
        connection: Of the store.
        after: The number behind which they begin.
    """
    rare = ("user", "team", *VIEWS)
    named = ("number", "prompt", "task", "model", "effect", *rare)
    columns = [outcomes.c[name] for name in ("id", *named)]
    wanted = sa.select(*columns).where(outcomes.c.number > after, outcomes.c.prompt.is_not(None))
    rows = _leave_unreadable(connection.execute(wanted.order_by(outcomes.c.number)).all())
    frame = pd.DataFrame.from_records(rows, columns=list(named))
    idle = [name for name in rare if frame[name].isna().all()]
    return frame.drop(columns=idle).astype({"number": "int64", "effect": "float64"})


def _leave_unreadable(rows: Sequence[sa.Row[Any]]) -> list[dict[str, Any]]:
    """The rows that teach, blank documents left out of their contexts."""
    rows = [row for row in rows if has_lesson(row.prompt, row.context, row.embedding)]
    views = read_kept([(row.context, row.embedding, row.embedding_encoder) for row in rows])
    off = [row.id for row, read in zip(rows, views, strict=True) if read is None]
    if off:
        _logger.warning("Grades whose context or embedding cannot be read: %s.", name_some(off))
    return [
        {**row._mapping, "context": None if read[0] is None else json.dumps(read[0])}
        for row, read in zip(rows, views, strict=True)
        if read is not None
    ]


def _find_decision(connection: sa.Connection, decision_id: str) -> Any:
    """Its `model` (who answered), `task`, `prompt`, and what went with that."""
    of_decision = [decisions.c[name] for name in ("task", "prompt", *VIEWS)]
    wanted = (
        sa.select(calls.c.model, *of_decision)
        .select_from(decisions.outerjoin(calls, calls.c.decision_id == decisions.c.id))
        .where(decisions.c.id == decision_id)
    )
    found = connection.execute(wanted).one_or_none()
    if found is None:
        raise ApiError(404, f"There is no decision {decision_id!r}.", "decision")
    return found


def _read_text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ApiError(400, f"{name} is {show_value(value)}; expected a text.", name)
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ApiError(400, f"{name} holds what is no valid Unicode text.", name)
    if len(value) > _LONGEST and name != "prompt":
        raise ApiError(400, f"{name} has {len(value)} characters; expected up to {_LONGEST}.", name)
    return value.strip() if name in ("user", "team") else value


def _read_effect(body: Mapping[str, Any]) -> float:
    effect, thumb = body.get("effect"), body.get("thumb")
    if (effect is None) == (thumb is None):
        raise ApiError(400, "Expected one of effect and thumb.", "effect")
    if thumb is not None:
        if not isinstance(thumb, str) or thumb not in _THUMBS:
            raise ApiError(400, f"thumb is {show_value(thumb)}; expected up or down.", "thumb")
        return _THUMBS[thumb]
    if isinstance(effect, int | float) and not isinstance(effect, bool) and 0 <= effect <= 1:
        return float(effect)
    raise ApiError(400, f"effect is {show_value(effect)}; expected a number from 0 to 1.", "effect")
