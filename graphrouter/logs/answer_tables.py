"""One flat table as a log: a row a call, with prompt, model and what is known of the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphrouter.logs.logged_calls import (
    LoggedCall,
    Record,
    SkippedCall,
    find_first,
    make_call,
    parse_member,
    read_number,
    read_scores,
)

__all__ = ["read_answer_table"]


def read_answer_table(records: Iterable[Record]) -> Iterator[LoggedCall | SkippedCall]:
    """The calls of a table with `prompt` (a text, or messages) and `model`.

    Perhaps with `effect`, `grade`, `score`, `rating` or `feedback`, with `cost` (US dollars),
    `tokens` (of the answer), `input_tokens`, `latency` (seconds), `task`, `tags` and `answer`.
    Columns that are none of these are metadata.
    """
    for record in records:
        tags = parse_member(record.get("tags"))
        yield make_call(
            find_first(record, "prompt", "messages"),
            find_first(record, "answer", "response"),
            model=find_first(record, "model"),
            input_tokens=read_number(find_first(record, "input_tokens", "prompt_tokens")),
            output_tokens=read_number(
                find_first(record, "output_tokens", "tokens", "completion_tokens")
            ),
            cost_usd=read_number(find_first(record, "cost_usd", "cost")),
            latency_s=read_number(find_first(record, "latency_s", "latency")),
            ttft_s=read_number(record.get("ttft_s")),
            scores=read_scores(record),
            tags=tuple(map(str, tags)) if isinstance(tags, list) else _split_tags(tags),
            metadata=record,
        )


def _split_tags(tags: object) -> tuple[str, ...]:
    words = tags.split(",") if isinstance(tags, str) else ()
    return tuple(word.strip() for word in words if word.strip())
