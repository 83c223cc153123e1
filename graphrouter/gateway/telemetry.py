"""Traces and metrics of OpenTelemetry, by its semantic conventions for generative AI.

Names are those of the conventions for clients of models ("Semantic Conventions for Generative AI
client spans" and "metrics", OpenTelemetry 1.37 and later), which are marked as in development.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from graphrouter import __version__
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.tracing import Asking, Trace, Tracer

if TYPE_CHECKING:
    from graphrouter.decision import Decision
    from graphrouter.gateway.api_forms import ApiForm
    from graphrouter.gateway.call_log import CallEnd, OpenCall
    from graphrouter.gateway.upstreams import Deployment

__all__ = ["Telemetry", "read_environment"]

_SCOPE = "graphrouter.gateway"
_OPERATIONS = {"completions": "text_completion", "embeddings": "embeddings"}
"""Of forms by their names; the others are chats."""
_SECONDS = [0.01 * 2**power for power in range(14)]
_TOKENS = [4.0**power for power in range(14)]
"""Buckets, as the conventions state them."""
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_KINDS = ("TRACES", "METRICS")
_PROTOCOL = "http/protobuf"


def read_environment(environ: Mapping[str, str]) -> Telemetry | None:
    """What the standard variables of OpenTelemetry ask for; None where they ask for nothing.

    It is asked for by an address, `OTEL_EXPORTER_OTLP_ENDPOINT` or that of traces or metrics alone,
    unless `OTEL_SDK_DISABLED` is true. The libraries of OpenTelemetry read all others: headers,
    sampling, batches, names of the service and its resource.

    Args:
        environ: Of the process.

    Raises:
        ConfigError: It asks for what is not sent: another exporter than OTLP, or OTLP by gRPC.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    wanted = {kind: _is_wanted(environ, kind) for kind in _KINDS}
    if not any(wanted.values()):
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "graphrouter"}))
    resource = resource.merge(Resource({SERVICE_VERSION: __version__}))
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if wanted["TRACES"]:
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if wanted["METRICS"] else []
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    return Telemetry(tracers, meters)


def _is_wanted(environ: Mapping[str, str], kind: str) -> bool:
    exporter = environ.get(f"OTEL_{kind}_EXPORTER", "otlp").strip()
    addresses = (_ENDPOINT, f"OTEL_EXPORTER_OTLP_{kind}_ENDPOINT")
    if exporter == "none" or not any(environ.get(name, "").strip() for name in addresses):
        return False
    if exporter != "otlp":
        raise ConfigError(f"OTEL_{kind}_EXPORTER is {exporter!r}; expected otlp or none.")
    for name in ("OTEL_EXPORTER_OTLP_PROTOCOL", f"OTEL_EXPORTER_OTLP_{kind}_PROTOCOL"):
        protocol = environ.get(name, "").strip() or _PROTOCOL
        if protocol != _PROTOCOL:
            raise ConfigError(f"{name} is {protocol!r}; expected {_PROTOCOL}, which is sent.")
    return True


class Telemetry(Tracer):
    """Follows every request: one span of the gateway, one of the choice, one of every attempt."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        """A telemetry; closed, it closes both.

        Args:
            tracers: Of spans.
            meters: Of metrics.
        """
        self._tracers, self._meters = tracers, meters
        self.tracer = tracers.get_tracer(_SCOPE, __version__)
        meter = meters.get_meter(_SCOPE, __version__)

        def measure(name: str, unit: str, told: str, bounds: list[float]) -> Histogram:
            return meter.create_histogram(
                name, unit, told, explicit_bucket_boundaries_advisory=bounds
            )

        self.duration = measure(
            "gen_ai.client.operation.duration", "s", "Of attempts at upstreams.", _SECONDS
        )
        self.tokens = measure(
            "gen_ai.client.token.usage", "{token}", "That upstreams told.", _TOKENS
        )
        self.first_chunk = measure(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "From an attempt to the first byte of its answer.",
            _SECONDS,
        )

    def begin(self, form: ApiForm, headers: Mapping[str, str]) -> Trace:
        """Begin to follow a request, in the trace that its client names."""
        return _FollowedTrace(self, form, headers)

    def close(self) -> None:
        """Send what has not been sent."""
        self._tracers.shutdown()
        self._meters.shutdown()


class _FollowedTrace(Trace):
    def __init__(self, telemetry: Telemetry, form: ApiForm, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.telemetry, self._askings = telemetry, list[_FollowedAsking]()
        path = f"/v1{form.path}"
        self._span = telemetry.tracer.start_span(
            f"POST {path}",
            TraceContextTextMapPropagator().extract(self._headers),
            SpanKind.SERVER,
            {"http.request.method": "POST", "http.route": path, "url.path": path},
        )
        self._context = set_span_in_context(self._span)
        self._session: str | None = None
        self.trace_id = format_trace_id(self._span.get_span_context().trace_id)

    def note_choice(
        self, decision: Decision | None, session: str | None, reason: str, began_ns: int
    ) -> None:
        told: dict[str, Any] = {}
        if decision is not None:
            told["graphrouter.chosen"] = decision.model
            told["graphrouter.effect"] = decision.effect
            told["graphrouter.num_candidates"] = len(decision.candidates)
            if decision.cost_usd is not None:
                told["graphrouter.expected_cost_usd"] = decision.cost_usd
            if decision.route is not None:
                told["graphrouter.route"] = decision.route
        if reason:
            told["graphrouter.session.reason"] = reason
        self._session = session
        span = self.telemetry.tracer.start_span(
            "choose model", self._context, SpanKind.INTERNAL, told, start_time=began_ns
        )
        span.end()

    def note_call(self, call: OpenCall) -> None:
        self._span.set_attribute("graphrouter.decision", call.decision_id)
        call.watchers.append(self._end_call)

    def ask(self, deployment: Deployment, form: ApiForm) -> Asking:
        asking = _FollowedAsking(self, deployment, form)
        self._askings.append(asking)
        return asking

    def note_answer(self, told: object) -> None:
        if isinstance(told, Mapping) and self._askings:
            self._askings[-1].note_answer(told)

    def start_asking(self, name: str, told: Mapping[str, Any]) -> tuple[Span, dict[str, str]]:
        """A span of an attempt, and what the upstream is told of it."""
        if self._session is not None:
            told = {**told, "gen_ai.conversation.id": self._session}
        span = self.telemetry.tracer.start_span(name, self._context, SpanKind.CLIENT, told)
        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers, set_span_in_context(span, self._context))
        return span, headers

    def _end_call(self, end: CallEnd) -> None:
        for asking in self._askings:
            asking.end(end)
        if end.model is not None:
            self._span.set_attribute("graphrouter.model", end.model)
        self.end(end.status)

    def end(self, status: int) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
            self._span.set_attribute("error.type", str(status))
        self._span.end()


class _FollowedAsking(Asking):
    def __init__(self, trace: _FollowedTrace, deployment: Deployment, form: ApiForm) -> None:
        self._telemetry, self._candidate = trace.telemetry, deployment.candidate
        operation = _OPERATIONS.get(form.name, "chat")
        model, place = str(deployment.body.get("model", "")), urlsplit(deployment.address)
        self._told: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": deployment.protocol,
            "gen_ai.request.model": model,
            "server.address": place.hostname or "",
            "server.port": place.port or (443 if place.scheme == "https" else 80),
        }
        self._began, self._is_open, self._has_response = time.perf_counter(), True, False
        self._span, headers = trace.start_asking(f"{operation} {model}", self._told)
        super().__init__(headers)

    def note_response(self) -> None:
        self._has_response = True

    def note_answer(self, told: Mapping[str, Any]) -> None:
        for name, key in (("id", "gen_ai.response.id"), ("model", "gen_ai.response.model")):
            if isinstance(told.get(name), str):
                self._span.set_attribute(key, told[name])
        choices = told.get("choices")
        reasons = [
            str(each["finish_reason"])
            for each in (choices if isinstance(choices, list) else ())
            if isinstance(each, Mapping) and each.get("finish_reason")
        ]
        if isinstance(told.get("stop_reason"), str):
            reasons.append(told["stop_reason"])
        if reasons:
            self._span.set_attribute("gen_ai.response.finish_reasons", reasons)

    def fail(self, reason: str, status: int | None) -> None:
        if self._is_open:
            kind = reason.split(maxsplit=1)[0] if status is None else str(status)
            self._span.set_status(StatusCode.ERROR, reason)
            if status is not None:
                self._span.set_attribute("http.response.status_code", status)
            self._close(kind)

    def end(self, end: CallEnd) -> None:
        """End it with its call."""
        if not self._is_open:
            return
        if not self._has_response or end.model != self._candidate:
            self._close("given_up")
            return
        self._span.set_attribute("http.response.status_code", end.status)
        usage = end.usage
        for name, value in (
            ("input_tokens", usage.input_tokens),
            ("cache_read.input_tokens", usage.cached_input_tokens),
            ("output_tokens", usage.output_tokens),
        ):
            if value is not None:
                self._span.set_attribute(f"gen_ai.usage.{name}", value)
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count is not None:
                self._telemetry.tokens.record(count, {**self._told, "gen_ai.token.type": kind})
        if end.ttft_s is not None:
            asked_s = time.perf_counter() - self._began
            first_s = max(end.ttft_s - (end.latency_s - asked_s), 0.0)  # since it was asked
            self._telemetry.first_chunk.record(first_s, self._told)
        if end.status >= 400:
            self._span.set_status(StatusCode.ERROR)
        self._close(None if end.status < 400 else str(end.status))

    def _close(self, error: str | None) -> None:
        self._is_open = False
        told = self._told if error is None else {**self._told, "error.type": error}
        if error is not None:
            self._span.set_attribute("error.type", error)
        self._telemetry.duration.record(time.perf_counter() - self._began, told)
        self._span.end()
