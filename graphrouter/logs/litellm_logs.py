"""Logs of LiteLLM's proxy: rows of its table of spend, and payloads of its logging callbacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphrouter.logs.logged_calls import (
    FAILED,
    FROM_CACHE,
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

__all__ = ["SPEND_TABLE", "read_litellm_log"]

SPEND_TABLE = "LiteLLM_SpendLogs"
_OWN_TAG = "User-Agent: "
"""How tags begin that LiteLLM adds itself."""


def read_litellm_log(records: Iterable[Record]) -> Iterator[LoggedCall | SkippedCall]:
    """The calls of a log of LiteLLM.

    Prompts stand in `proxy_server_request` or `messages`, where the proxy was told to store them
    (`store_prompts_in_spend_logs: true`). A model is called by its public name (`model_group`),
    which is what requests name.
    """
    for record in records:
        yield _read_row(record)


def _read_row(record: Record) -> LoggedCall | SkippedCall:
    if record.get("status") == "failure":
        return SkippedCall(FAILED)
    if str(record.get("cache_hit")).lower() == "true":
        return SkippedCall(FROM_CACHE)
    sent, messages = (
        parse_member(record.get(name)) for name in ("proxy_server_request", "messages")
    )
    request = sent if isinstance(sent, Mapping) and sent else messages
    start, end = record.get("startTime"), record.get("endTime")
    first = record.get("completionStartTime")
    notes = _read_notes(record, sent)
    tags = parse_member(record.get("request_tags"))
    return make_call(
        request,
        record.get("response"),
        model=find_first(record, "model_group", "model"),
        input_tokens=read_number(record.get("prompt_tokens")),
        output_tokens=read_number(record.get("completion_tokens")),
        cost_usd=read_number(find_first(record, "spend", "response_cost")),
        latency_s=measure_seconds(start, end),
        # It is the end where the answer was not streamed.
        ttft_s=measure_seconds(start, first) if first != end else None,
        scores=read_scores(notes),
        tags=tuple(tag for tag in map(str, tags or ()) if not tag.startswith(_OWN_TAG)),
        metadata=notes,
    )


def _read_notes(record: Record, sent: object) -> dict[str, Any]:
    """What the user has noted: LiteLLM keeps it as `spend_logs_metadata`, amid its own."""
    of_request = sent.get("metadata") if isinstance(sent, Mapping) else None
    notes: dict[str, Any] = {}
    for holder in (of_request, parse_member(record.get("metadata"))):
        found = holder.get("spend_logs_metadata") if isinstance(holder, Mapping) else None
        notes |= found if isinstance(found, Mapping) else {}
    return notes
