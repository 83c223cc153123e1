"""Traces of MLflow: spans that called a model, with what people and judges said of the trace."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.logs.logged_calls import (
    FAILED,
    LoggedCall,
    Record,
    SkippedCall,
    find_first,
    make_call,
    parse_member,
    read_number,
)

__all__ = ["is_tracking_server", "read_mlflow_log", "search_traces"]

NO_MODEL_CALL = "a trace without a call of a model"
_KINDS = ("LLM", "CHAT_MODEL")
_STORES = ("sqlite:///", "http://", "https://", "postgresql://", "mysql://")
_PAGE = 200


def is_tracking_server(source: str) -> bool:
    """Whether a source is where MLflow keeps its traces, and no file.

    Example:
        >>> is_tracking_server("sqlite:///mlflow.db"), is_tracking_server("traces.jsonl")
        (True, False)
    """
    return source.startswith(_STORES)


def search_traces(address: str) -> Iterator[Record]:
    """All traces of a tracking server, as `Trace.to_dict` writes them.

    Raises:
        DataError: It does not answer.
        MissingExtraError: MLflow is not installed.
    """
    require_extra("mlflow", "mlflow", purpose="Reading traces of MLflow")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=address)
        places = [each.experiment_id for each in client.search_experiments()]
        token = None
        while True:
            page = client.search_traces(locations=places, max_results=_PAGE, page_token=token)
            yield from (trace.to_dict() for trace in page)
            token = page.token
            if not token:
                return
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"Cannot read traces of MLflow: {reason}") from None


def read_mlflow_log(records: Iterable[Record]) -> Iterator[LoggedCall | SkippedCall]:
    """The calls of traces: spans of type LLM or CHAT_MODEL that have none of their kind below.

    Scores are the assessments of the trace, and count where it has one call of a model.
    """
    for record in records:
        info = record.get("info") if isinstance(record.get("info"), Mapping) else {}
        data = record.get("data") if isinstance(record.get("data"), Mapping) else {}
        spans = [each for each in data.get("spans", ()) if isinstance(each, Mapping)]  # type: ignore[union-attr]
        calls = _find_calls(spans)
        if not calls:
            yield SkippedCall(NO_MODEL_CALL)
        scores = _read_assessments(info) if len(calls) == 1 else {}  # type: ignore[arg-type]
        for span in calls:
            yield _read_span(span, info, scores)  # type: ignore[arg-type]


def _find_calls(spans: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    calls = [span for span in spans if _attribute(span, "mlflow.spanType") in _KINDS]
    # A chain's wrapper is a call too, and holds the call itself below.
    parents = {find_first(span, "parent_span_id", "parent_id") for span in calls}
    return [span for span in calls if span.get("span_id") not in parents]


def _attribute(span: Mapping[str, Any], name: str) -> Any:
    """An attribute, which MLflow writes as JSON."""
    value = (span.get("attributes") or {}).get(name)
    if isinstance(value, str) and value.startswith('"') and value.endswith('"'):
        return value[1:-1]
    return parse_member(value)


def _read_span(
    span: Mapping[str, Any], info: Mapping[str, Any], scores: Mapping[str, Any]
) -> LoggedCall | SkippedCall:
    status = span.get("status") or {}
    code = status.get("code") if isinstance(status, Mapping) else status
    if "ERROR" in str(code).upper():
        return SkippedCall(FAILED)
    usage = _attribute(span, "mlflow.chat.tokenUsage") or {}
    cost = _attribute(span, "mlflow.llm.cost") or {}
    notes = {**(info.get("trace_metadata") or {}), **(info.get("tags") or {})}
    return make_call(
        _attribute(span, "mlflow.spanInputs"),
        _attribute(span, "mlflow.spanOutputs"),
        model=_attribute(span, "mlflow.llm.model"),
        input_tokens=read_number(usage.get("input_tokens")),
        output_tokens=read_number(usage.get("output_tokens")),
        cost_usd=read_number(cost.get("total_cost") if isinstance(cost, Mapping) else cost),
        latency_s=_measure(span),
        scores=scores,
        metadata={name: value for name, value in notes.items() if not name.startswith("mlflow.")},
    )


def _measure(span: Mapping[str, Any]) -> float:
    start, end = (read_number(span.get(f"{name}_time_unix_nano")) for name in ("start", "end"))
    return (end - start) / 1e9 if end >= start else math.nan


def _read_assessments(info: Mapping[str, Any]) -> dict[str, Any]:
    """What feedback says, by its name; the newest of a name stands last."""
    found = {}
    for each in info.get("assessments") or ():
        feedback = each.get("feedback")
        if isinstance(feedback, Mapping) and not feedback.get("error") and each.get("valid", True):
            found[str(each.get("assessment_name") or each.get("name"))] = feedback.get("value")
    return found
