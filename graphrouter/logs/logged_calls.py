"""What a log says of one call, whoever wrote it, and why some calls are left out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from graphrouter.chats.chat_answers import read_answer
from graphrouter.chats.chat_prompts import read_any_request
from graphrouter.chats.conversation import Conversation
from graphrouter.exceptions import ChatError

__all__ = [
    "LogReader",
    "LoggedCall",
    "Record",
    "SkippedCall",
    "find_first",
    "make_call",
    "measure_seconds",
    "parse_member",
    "read_number",
    "read_scores",
]

Record = Mapping[str, Any]
"""A row, a line or an object of a log."""
NO_CHAT = "no chat"
FAILED = "the call failed"
NO_MODEL = "no model named"
FROM_CACHE = "answered from a cache"
_SCORES = ("effect", "grade", "score", "rating", "feedback", "thumb", "thumbs", "thumbs_up")
"""What a single grade of an answer may be called."""


class LoggedCall(NamedTuple):
    """One call of a model."""

    conversation: Conversation
    model: str
    answer: str | None = None
    input_tokens: float = math.nan
    output_tokens: float = math.nan
    cost_usd: float = math.nan
    """US dollars; NaN here and above = not recorded."""
    latency_s: float = math.nan
    ttft_s: float = math.nan
    scores: Mapping[str, Any] = {}
    """What people and judges said of the answer, by the name of the score."""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = {}
    """What the user has noted of it."""


class SkippedCall(NamedTuple):
    """A record that makes no outcome."""

    reason: str


LogReader = Callable[[Iterable[Record]], Iterator[LoggedCall | SkippedCall]]


def make_call(
    request: object, response: object, *, model: str | None = None, **known: Any
) -> LoggedCall | SkippedCall:
    """The call of a request and the response to it.

    The model is the one that was asked for, since that is what can be routed to, or else the one
    that the response names. Tokens are those that the response tells.

    Args:
        request: Its body, in the form of any API.
        response: The body of the answer; None where it was not recorded.
        model: In the place of the request's.
        known: Further fields of `LoggedCall`, which count before what the response tells.
    """
    body, answer = parse_member(request), read_answer(parse_member(response))
    if answer.has_failed:
        return SkippedCall(FAILED)
    if isinstance(body, list):
        body = {"messages": body}
    if isinstance(body, str) and body:
        body = {"prompt": body}
    if not isinstance(body, Mapping) or not body:
        return SkippedCall(NO_CHAT)
    try:
        conversation = read_any_request(body)
    except ChatError:
        return SkippedCall(NO_CHAT)
    asked = body.get("model")
    named = model or (asked if isinstance(asked, str) and asked else answer.model)
    if not named:
        return SkippedCall(NO_MODEL)
    told = {
        "input_tokens": _to_float(answer.usage.input_tokens),
        "output_tokens": _to_float(answer.usage.output_tokens),
        "answer": answer.text,
    }
    stated = {name: value for name, value in known.items() if not _is_unknown(value)}
    return LoggedCall(conversation, named, **{**told, **stated})


def parse_member(value: object) -> Any:
    """A member that may be JSON as text, as databases and tables have it; anything else as it is.

    Example:
        >>> parse_member('{"a": 3}'), parse_member("Hello."), parse_member("[broken")
        ({'a': 3}, 'Hello.', '[broken')
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def find_first(record: Record, *names: str) -> Any:
    """The first of some members that says something; None where none does.

    Example:
        >>> find_first({"a": None, "b": ""}, "a", "b"), find_first({"a": 0}, "a")
        (None, 0)
    """
    return next((record[name] for name in names if not _is_unknown(record.get(name))), None)


def read_number(value: object) -> float:
    """A number at least 0, NaN where it is none.

    Example:
        >>> read_number("0.5"), read_number(None), read_number(-1)
        (0.5, nan, nan)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if 0 <= number < math.inf else math.nan


def measure_seconds(start: object, end: object) -> float:
    """Seconds between two moments: numbers of seconds, or texts as ISO 8601 has them.

    NaN where one is no moment, or they are the wrong way round.

    Example:
        >>> measure_seconds("2026-01-01T00:00:00Z", "2026-01-01T00:00:02.5Z"), measure_seconds(3, 4)
        (2.5, 1.0)
    """
    began, ended = _read_moment(start), _read_moment(end)
    return ended - began if ended >= began else math.nan


def read_scores(record: Record) -> dict[str, Any]:
    """The scores of a record: `scores`, by name or as a list, and single ones.

    Example:
        >>> read_scores({"scores": [{"name": "style", "value": 4}], "feedback": "up"})
        {'style': 4, 'feedback': 'up'}
    """
    listed, found = parse_member(record.get("scores")), {}
    if isinstance(listed, Mapping):
        found = {str(name): _take_value(value) for name, value in listed.items()}
    elif isinstance(listed, list):
        found = {
            str(each["name"]): _take_value(each)
            for each in listed
            if isinstance(each, Mapping) and "name" in each
        }
    found |= {name: record[name] for name in _SCORES if name in record}
    return {name: value for name, value in found.items() if not _is_unknown(value)}


def _take_value(score: object) -> Any:
    """What a score says, whether it stands alone or with its kind."""
    return find_first(score, "value", "stringValue") if isinstance(score, Mapping) else score


def _read_moment(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return math.nan
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return read_number(value)


def _is_unknown(value: object) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or (isinstance(value, str) and not value)


def _to_float(count: int | None) -> float:
    return math.nan if count is None else float(count)
