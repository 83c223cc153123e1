"""Logs of clients: lines of requests and responses, and inputs and outputs of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphrouter.logs.logged_calls import (
    FAILED,
    NO_CHAT,
    LoggedCall,
    Record,
    SkippedCall,
    find_first,
    make_call,
    measure_seconds,
    parse_member,
    read_number,
    read_scores,
)

__all__ = ["read_chat_log"]

_NO_INPUT = "no request of its custom_id"
_NO_OUTPUT = "no answer of its custom_id"


def read_chat_log(records: Iterable[Record]) -> Iterator[LoggedCall | SkippedCall]:
    """The calls of a log of OpenAI's or of Anthropic's client.

    A line holds `request` and `response`, bodies as they were sent and received; perhaps `model`,
    `latency_s` (or `started` and `ended`), `ttft_s`, `cost_usd`, `tags`, `metadata`, `scores` or
    one score such as `feedback`. Lines of a batch are joined by their `custom_id`: its input says
    what was asked (`body` or `params`), its output what was answered (`response` or `result`).
    """
    asked: dict[str, Record] = {}
    answered: dict[str, Record] = {}
    for record in records:
        if "request" in record:
            yield _read_line(record)
        elif "custom_id" not in record:
            yield SkippedCall(NO_CHAT)
        elif "body" in record or "params" in record:
            asked[str(record["custom_id"])] = record
        else:
            answered[str(record["custom_id"])] = record
    for key in dict.fromkeys((*asked, *answered)):
        if key not in asked:
            yield SkippedCall(_NO_INPUT)
        elif key not in answered:
            yield SkippedCall(_NO_OUTPUT)
        else:
            yield _join_batch(asked[key], answered[key])


def _read_line(record: Record) -> LoggedCall | SkippedCall:
    request = parse_member(record["request"])
    if find_first(record, "error") is not None:
        return SkippedCall(FAILED)
    status = record.get("status_code")
    if isinstance(status, int) and status >= 400:
        return SkippedCall(FAILED)
    notes = _read_notes(record, request)
    seconds = read_number(find_first(record, "latency_s", "latency", "duration_s"))
    if seconds != seconds:
        seconds = measure_seconds(record.get("started"), record.get("ended"))
    return make_call(
        request,
        record.get("response"),
        model=find_first(record, "model"),
        latency_s=seconds,
        ttft_s=read_number(record.get("ttft_s")),
        cost_usd=read_number(find_first(record, "cost_usd", "cost")),
        scores=read_scores(record),
        tags=_read_tags(record, notes),
        metadata=notes,
    )


def _join_batch(asked: Record, answered: Record) -> LoggedCall | SkippedCall:
    request = asked.get("body") or asked.get("params")
    held = answered.get("response") or answered.get("result")
    response = held if isinstance(held, Mapping) else {}
    if answered.get("error") or response.get("type", "succeeded") != "succeeded":
        return SkippedCall(FAILED)
    if response.get("status_code", 200) >= 400:
        return SkippedCall(FAILED)
    notes = _read_notes(answered, request)
    # Seconds of a batch are those of its queue, and no latency of the model.
    return make_call(
        request,
        response.get("body") or response.get("message"),
        scores={**read_scores(asked), **read_scores(answered)},
        tags=_read_tags(answered, notes),
        metadata=notes,
    )


def _read_notes(record: Record, request: object) -> dict[str, Any]:
    """The metadata of a line, and of its request, the task that it names among them."""
    of_request = request.get("metadata") if isinstance(request, Mapping) else None
    parts = (of_request, parse_member(record.get("metadata")))
    notes = {
        name: value for part in parts if isinstance(part, Mapping) for name, value in part.items()
    }
    task = find_first(record, "task")
    return notes if task is None else {**notes, "task": task}


def _read_tags(record: Record, notes: Record) -> tuple[str, ...]:
    tags = parse_member(find_first(record, "tags") or notes.get("tags"))
    return tuple(map(str, tags)) if isinstance(tags, list | tuple) else ()
