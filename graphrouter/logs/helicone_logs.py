"""Exports of Helicone: one object a request, with or without bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphrouter.logs.logged_calls import (
    FAILED,
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


def read_helicone_log(records: Iterable[Record]) -> Iterator[LoggedCall | SkippedCall]:
    """The calls of an export: requests with their bodies (`--include-body`).

    Custom properties are metadata and the rating is a thumb called `feedback`. Helicone keeps
    whole numbers as scores; of which range, `--grade` says.
    """
    for record in records:
        status = read_number(record.get("response_status"))
        if status == status and not 200 <= status < 300:
            yield SkippedCall(FAILED)
            continue
        request = parse_member(record.get("request_body"))
        if not request:
            yield SkippedCall(NO_CHAT)
            continue
        notes = parse_member(find_first(record, "request_properties", "properties"))
        rating = record.get("feedback_rating")
        delay = find_first(record, "delay_ms", "latency")
        first = read_number(record.get("time_to_first_token"))
        yield make_call(
            request,
            record.get("response_body"),
            model=find_first(record, "request_model", "response_model", "model"),
            input_tokens=read_number(record.get("prompt_tokens")),
            output_tokens=read_number(record.get("completion_tokens")),
            cost_usd=read_number(find_first(record, "costUSD", "cost_usd", "cost")),
            latency_s=read_number(delay) / 1000,
            ttft_s=first / 1000 if first > 0 else None,
            scores={**read_scores(record), **({} if rating is None else {"feedback": rating})},
            metadata=notes if isinstance(notes, Mapping) else {},
        )
