"""Exports of Helicone: one object a request, with or without bodies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphrouter.logs.logged_calls import (
    FAILED,
    FROM_CACHE,
    NO_CHAT,
    LoggedCall,
    Record,
    SkippedCall,
    find_first,
    make_call,
    parse_member,
    read_number,
    read_scores,
)

__all__ = ["read_helicone_log"]

_NO_REFERENCE = "00000000-0000-0000-0000-000000000000"
"""Where others name the request whose kept answer was given again."""
_THUMB, _YES_OR_NO = "helicone-score-feedback", "-hcone-bool"
"""How Helicone calls its rating among the scores, and how it ends names of yes-or-no scores."""
_BODY_ELSEWHERE = "helicone_message"
"""A body that was left in the bucket says this and no more."""
NO_BODY = "no body (export with --include-body)"
_BODIES = ("request_body", "response_body")


def read_helicone_log(records: Iterable[Record]) -> Iterator[LoggedCall | SkippedCall]:
    """The calls of an export: requests with their bodies (`--include-body`).

    Custom properties are metadata and the rating is a thumb called `feedback`. Helicone keeps
    whole numbers as scores; of which range, `--grade` says. Statuses that are no HTTP status
    (below 0: timed out, pending, cancelled) are calls that failed.
    """
    for record in records:
        if not _has_succeeded(record.get("response_status")):
            yield SkippedCall(FAILED)
            continue
        if find_first(record, "cache_reference_id") not in (None, _NO_REFERENCE):
            yield SkippedCall(FROM_CACHE)
            continue
        request, response = (_read_body(record.get(body)) for body in _BODIES)
        if not request:
            yield SkippedCall(NO_CHAT)
            continue
        if isinstance(request, Mapping) and _BODY_ELSEWHERE in request:
            yield SkippedCall(NO_BODY)
            continue
        notes = _read_body(find_first(record, "request_properties", "properties"))
        cost = read_number(find_first(record, "costUSD", "cost_usd", "cost"))
        delay = find_first(record, "delay_ms", "latency")
        first = read_number(record.get("time_to_first_token"))
        yield make_call(
            request,
            response,
            model=find_first(record, "request_model", "response_model", "model"),
            input_tokens=read_number(record.get("prompt_tokens")),
            output_tokens=read_number(record.get("completion_tokens")),
            cost_usd=cost if cost > 0 else math.nan,  # 0 where it does not know the price
            latency_s=read_number(delay) / 1000,
            ttft_s=first / 1000 if first > 0 else None,
            scores=_read_scores(record),
            metadata=notes if isinstance(notes, Mapping) else {},
        )


def _has_succeeded(status: object) -> bool:
    """Whether a request was answered; one without a status is taken to be."""
    try:
        return status in (None, "") or 200 <= float(str(status)) < 300
    except ValueError:
        return False


def _read_body(value: object) -> Any:
    """A member that may be JSON as text; in tables the export tool doubles its quotes once more."""
    found = parse_member(value)
    return parse_member(found.replace('""', '"')) if isinstance(found, str) else found


def _read_scores(record: Record) -> dict[str, Any]:
    """Scores by the names that people gave them, and the rating as `feedback`."""
    scores = {name.removesuffix(_YES_OR_NO): v for name, v in read_scores(record).items()}
    rating = find_first(scores | dict(record), "feedback_rating", _THUMB)
    scores.pop(_THUMB, None)
    return scores if rating is None else {**scores, "feedback": rating}
