"""Traces and metrics of requests: what is in them, whose trace it is, and that they arrive."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import openai
import pytest
from fastapi import FastAPI, Request
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.responses import Response

import graphrouter as gr
from graphrouter.exceptions import ConfigError
from graphrouter.gateway import create_app
from graphrouter.gateway.metrics import REQUESTS
from graphrouter.gateway.telemetry import Telemetry, read_environment
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_gateway import ASKED, connect
from tests.unit.gateway.test_memory import wait_for

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=1"}


class Seen:
    """What was told."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(tracers, MeterProvider([self.reader]))

    def wait(self, count: int) -> list[ReadableSpan]:
        """So many spans, in the order in which they began."""
        wait_for(lambda: len(self.exporter.get_finished_spans()) >= count)
        spans: Sequence[ReadableSpan] = self.exporter.get_finished_spans()
        return sorted(spans, key=lambda span: span.start_time or 0)

    def read_points(self) -> dict[str, list[Any]]:
        """Points of every metric by its name."""
        data: Any = self.reader.get_metrics_data()
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def address(router: gr.GraphRouter, deployments: Deployments, serve: Serve, seen: Seen) -> str:
    return serve(create_app(router, deployments, tracer=seen.telemetry))


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_is_a_span_with_its_choice_and_its_call_in_the_trace_of_the_client(
    router: gr.GraphRouter, provider: Provider, address: str, seen: Seen
) -> None:
    raw = connect(address).chat.completions.with_raw_response
    found = raw.create(model="auto", messages=ASKED, extra_headers=CALLER)
    request, choice, call = seen.wait(3)
    chosen = router.route("Add 3 and 4.").model
    assert request.name == "POST /v1/chat/completions"
    assert (request.kind, choice.kind, call.kind) == (
        SpanKind.SERVER,
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
    )
    for span in (request, choice, call):
        assert f"{span.context.trace_id:032x}" == TRACE
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    assert choice.parent == call.parent == request.context
    assert provider.headers[-1]["traceparent"] == f"00-{TRACE}-{call.context.span_id:016x}-01"
    assert provider.headers[-1]["tracestate"] == "a=1"
    assert told(request)["http.response.status_code"] == 200
    assert told(request)["graphrouter.decision"] == found.headers["x-graphrouter-decision"]
    assert told(request)["graphrouter.model"] == told(choice)["graphrouter.chosen"] == chosen
    assert call.name == f"chat at-{chosen}"
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": f"at-{chosen}",
        "gen_ai.response.model": f"at-{chosen}",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "server.address": "127.0.0.1",
        "http.response.status_code": 200,
    }
    assert {name: told(call).get(name) for name in expected} == expected
    everything = json.dumps([told(span) for span in (request, choice, call)], default=str)
    assert "Add 3" not in everything


def test_metrics_are_those_of_the_conventions(
    router: gr.GraphRouter, address: str, seen: Seen
) -> None:
    name = router.models[0]
    stream = connect(address).chat.completions.create(
        model=name, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    list(stream)
    seen.wait(3)
    points = seen.read_points()
    (duration,) = points["gen_ai.client.operation.duration"]
    assert (duration.count, duration.attributes["gen_ai.request.model"]) == (1, f"at-{name}")
    assert "error.type" not in duration.attributes
    tokens = points["gen_ai.client.token.usage"]
    assert {each.attributes["gen_ai.token.type"]: each.sum for each in tokens} == {
        "input": 3,
        "output": 2,
    }
    (first,) = points["gen_ai.client.operation.time_to_first_chunk"]
    assert 0 < first.sum < duration.sum


def test_attempts_that_fail_and_requests_that_are_refused(
    router: gr.GraphRouter, provider: Provider, address: str, seen: Seen
) -> None:
    name = router.models[0]
    provider.statuses[f"at-{name}"] = [500, 200]
    connect(address).chat.completions.create(model=name, messages=ASKED)
    _, _, failed, answered = seen.wait(4)
    assert (failed.status.status_code, told(failed)["error.type"]) == (StatusCode.ERROR, "500")
    assert "gen_ai.usage.input_tokens" not in told(failed)
    assert told(answered)["gen_ai.usage.input_tokens"] == 3
    with pytest.raises(openai.NotFoundError):
        connect(address).chat.completions.create(model="nobody", messages=ASKED)
    *_, refused = seen.wait(5)
    assert told(refused)["http.response.status_code"] == 404
    assert refused.status.status_code is StatusCode.UNSET  # the client's fault
    provider.statuses[f"at-{name}"] = [500, 500]
    with pytest.raises(openai.InternalServerError):
        connect(address).chat.completions.create(model=name, messages=ASKED)
    request = next(span for span in seen.wait(9)[5:] if span.kind is SpanKind.SERVER)
    assert (request.status.status_code, told(request)["error.type"]) == (StatusCode.ERROR, "502")


def test_a_client_that_leaves_ends_its_spans(
    router: gr.GraphRouter, provider: Provider, address: str, seen: Seen
) -> None:
    stream = connect(address).chat.completions.create(
        model=router.models[0], messages=ASKED, stream=True, user="long"
    )
    next(iter(stream))
    stream.close()
    request, _, call = seen.wait(3)
    assert told(request)["http.response.status_code"] == 499
    assert told(call)["error.type"] == "499"


def test_without_telemetry_the_trace_of_the_client_goes_on_as_it_is(
    router: gr.GraphRouter, provider: Provider, gateway: str
) -> None:
    raw = connect(gateway).chat.completions
    raw.create(model=router.models[0], messages=ASKED, extra_headers=CALLER)
    assert {name: provider.headers[-1][name] for name in CALLER} == CALLER
    raw.create(model=router.models[0], messages=ASKED)
    assert "traceparent" not in provider.headers[-1]


class Collector:
    """A receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        self.traces, self.metrics = list[Any](), list[Any]()
        self.headers: list[dict[str, str]] = []
        self.got = threading.Event()

    def make_app(self) -> FastAPI:
        app = FastAPI()

        async def take(request: Request) -> Response:
            body = await request.body()
            self.headers.append(dict(request.headers))
            if request.url.path.endswith("traces"):
                self.traces.append(ExportTraceServiceRequest.FromString(body))
            else:
                self.metrics.append(ExportMetricsServiceRequest.FromString(body))
            return Response(media_type="application/x-protobuf")

        for kind in ("traces", "metrics"):
            app.add_api_route(f"/v1/{kind}", take, methods=["POST"])
        return app


@pytest.fixture
def collector() -> Collector:
    return Collector()


def test_traces_and_metrics_arrive_at_a_collector_named_by_the_standard_variables(
    router: gr.GraphRouter,
    deployments: Deployments,
    serve: Serve,
    collector: Collector,
    monkeypatch: Any,
) -> None:
    place = serve(collector.make_app()).removesuffix("/v1")
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": place,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=k",
        "OTEL_SERVICE_NAME": "router-of-tests",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    telemetry = read_environment(variables)
    assert telemetry is not None
    address = serve(create_app(router, deployments, tracer=telemetry))
    connect(address).chat.completions.create(model="auto", messages=ASKED, extra_headers=CALLER)
    telemetry.close()  # what waits is sent
    (resource,) = collector.traces[0].resource_spans
    assert {each.key: each.value.string_value for each in resource.resource.attributes}[
        "service.name"
    ] == "router-of-tests"
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert len(spans) == 3
    names = {
        metric.name
        for told in collector.metrics
        for of_resource in told.resource_metrics
        for scope in of_resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"} <= names
    assert {each["x-api-key"] for each in collector.headers} == {"k"}


def test_the_line_of_a_request_names_its_trace(
    router: gr.GraphRouter, address: str, seen: Seen, caplog: Any
) -> None:
    with caplog.at_level("INFO", logger=REQUESTS.name):
        connect(address).chat.completions.create(
            model="auto", messages=ASKED, extra_headers=CALLER | {"x-request-id": "r-1"}
        )
        wait_for(lambda: caplog.records)
    line = json.loads(caplog.records[-1].message)
    assert (line["trace_id"], line["request_id"]) == (TRACE, "r-1")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; expected otlp"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"),
    ],
)
def test_what_is_not_sent_is_told(variables: dict[str, str], told: str) -> None:
    place = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    with pytest.raises(ConfigError, match=told):
        read_environment(place | variables)


def test_nothing_is_sent_unless_it_is_asked_for(monkeypatch: Any) -> None:
    place = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    none = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    for variables in ({}, none | place, place | {"OTEL_SDK_DISABLED": "true"}):
        assert read_environment(variables) is None
