"""Exports of Langfuse: generations among observations, and the scores beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphrouter.logs.logged_calls import (
    FAILED,
    LoggedCall,
    Record,
    SkippedCall,
    find_first,
    make_call,
    measure_seconds,
    parse_member,
    read_number,
)

__all__ = ["read_langfuse_log"]

NO_GENERATION = "no generation"


def read_langfuse_log(records: Iterable[Record]) -> Iterator[LoggedCall | SkippedCall]:
    """The calls of an export: observations of type GENERATION, with the scores of theirs.

    Names may be written as the API has them (`traceId`) or as the export to a bucket
    (`trace_id`). A trace may hold its observations and scores. A score without an observation is of
    its trace, and counts for the generation of that trace where it has only one.
    """
    generations: list[Record] = []
    scores: list[Record] = []
    for record in _list_parts(records):
        if _is_score(record):
            scores.append(record)
        elif str(record.get("type", "GENERATION")).upper() == "GENERATION":
            generations.append(record)
        else:
            yield SkippedCall(NO_GENERATION)
    by_observation: dict[str, dict[str, Any]] = {}
    by_trace: dict[str, dict[str, Any]] = {}
    for score in scores:
        subject = parse_member(score.get("subject"))
        of = subject if isinstance(subject, Mapping) else score
        value = find_first(score, "value", "stringValue", "string_value")
        kind, name = str(of.get("kind", "")), str(score.get("name"))
        observation = find_first(of, "observationId", "observation_id")
        trace = find_first(of, "traceId", "trace_id")
        if kind == "observation":
            observation = observation or of.get("id")
        elif kind == "trace":
            trace = trace or of.get("id")
        if observation is not None:
            by_observation.setdefault(str(observation), {})[name] = value
        elif trace is not None:
            by_trace.setdefault(str(trace), {})[name] = value
    traces = [str(find_first(each, "traceId", "trace_id")) for each in generations]
    for record, trace in zip(generations, traces, strict=True):
        found = by_observation.get(str(record.get("id")), {})
        if traces.count(trace) == 1:
            found = {**by_trace.get(trace, {}), **found}
        yield _read_generation(record, found)


def _list_parts(records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        held = [record.get(name) for name in ("observations", "scores")]
        if not any(isinstance(part, list) for part in held):
            yield record
            continue
        shared = parse_member(record.get("trace")) or record
        of_trace = {
            "traceId": shared.get("id"),
            "traceName": shared.get("name"),
            "tags": shared.get("tags"),
        }
        for part in held:
            for each in part if isinstance(part, list) else ():
                if isinstance(each, Mapping):
                    yield {**of_trace, **each}


def _is_score(record: Record) -> bool:
    names = {"dataType", "data_type", "stringValue", "string_value"}
    return "value" in record or bool(names & record.keys())


def _read_generation(record: Record, scores: Mapping[str, Any]) -> LoggedCall | SkippedCall:
    if str(record.get("level")).upper() == "ERROR":
        return SkippedCall(FAILED)
    usage = parse_member(find_first(record, "usageDetails", "usage_details", "usage")) or {}
    costs = parse_member(find_first(record, "costDetails", "cost_details")) or {}
    start = find_first(record, "startTime", "start_time")
    seconds = measure_seconds(start, find_first(record, "endTime", "end_time"))
    if seconds != seconds:
        seconds = read_number(record.get("latency"))
    notes = parse_member(record.get("metadata"))
    named = find_first(record, "traceName", "trace_name", "name")
    tags = parse_member(record.get("tags"))
    return make_call(
        record.get("input"),
        record.get("output"),
        model=find_first(record, "model", "providedModelName", "provided_model_name"),
        input_tokens=read_number(find_first(usage, "input", "promptTokens", "prompt_tokens")),
        output_tokens=read_number(
            find_first(usage, "output", "completionTokens", "completion_tokens")
        ),
        cost_usd=read_number(
            find_first(record, "totalCost", "total_cost", "calculatedTotalCost")
            or find_first(costs, "total")
        ),
        latency_s=seconds,
        ttft_s=read_number(find_first(record, "timeToFirstToken", "time_to_first_token")),
        scores=scores,
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        metadata={"trace_name": named, **(notes if isinstance(notes, Mapping) else {})},
    )
