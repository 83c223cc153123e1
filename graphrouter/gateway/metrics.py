"""Figures of a gateway for Prometheus, and one line of JSON a request for logs.

Neither holds a prompt, an answer or a key.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.responses import Response

from graphrouter.gateway.access import Access
from graphrouter.gateway.call_log import CallEnd, CallStart, OpenCall
from graphrouter.gateway.token_prices import to_usd

__all__ = ["Metrics"]

REQUESTS = logging.getLogger("graphrouter.gateway.requests")
"""Gets a line of JSON for each request at the level INFO."""
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_NOBODY = ""


class Metrics:
    """Counts the calls of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def count(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"graphrouter_{name}", told, labels, registry=self._registry)

        def measure(name: str, told: str) -> Histogram:
            labels, name = ("model",), f"graphrouter_{name}_seconds"
            return Histogram(name, told, labels, registry=self._registry, buckets=_SECONDS)

        self._requests = count("requests", "Requests.", "endpoint", "model", "status")
        self._failures = count("failed_attempts", "Attempts before an answer.", "model")
        self._tokens = count("tokens", "Tokens that upstreams told.", "model", "kind")
        self._cost = count("cost_usd", "US dollars that calls have cost.", "model")
        self._unknown = count("unknown_costs", "Calls whose cost is unknown.", "model")
        self._latency = measure("request", "From the decision to the end of the answer.")
        self._ttft = measure("first_byte", "From the decision to the first byte of the answer.")
        self._in_flight = Gauge(
            "graphrouter_requests_in_flight", "Calls that have begun.", registry=self._registry
        )

    def add_figures(self, figures: Collector) -> None:
        """Tell what another part of the gateway counts, too.

        Args:
            figures: Of that part.
        """
        self._registry.register(figures)

    def watch(self, start: CallStart, call: OpenCall) -> None:
        """Count a call that has begun, and how it ends.

        Args:
            start: What is known of it.
            call: The call.
        """
        if not start.order:
            self._requests.labels(start.endpoint, _NOBODY, "200").inc()
            return
        self._in_flight.inc()
        call.watchers.append(lambda end: self._count(start, call, end))

    def count_refused(self, start: CallStart, status: int) -> None:
        """Count a call that was not to begin.

        Args:
            start: What is known of it.
            status: What the client was told.
        """
        self._requests.labels(start.endpoint, _NOBODY, str(status)).inc()

    def add_endpoint(self, app: FastAPI, access: Access) -> None:
        """Add `GET /metrics`.

        Args:
            app: Of the gateway.
            access: Who may see them: keys for admins where keys are asked for.
        """

        async def tell(request: Request) -> Response:
            access.admit(request, "admin")
            return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

        app.add_api_route("/metrics", tell, methods=["GET"])

    def _count(self, start: CallStart, call: OpenCall, end: CallEnd) -> None:
        model, usage = end.model or _NOBODY, end.usage
        self._in_flight.dec()
        self._requests.labels(start.endpoint, model, str(end.status)).inc()
        self._latency.labels(model).observe(end.latency_s)
        if end.ttft_s is not None:
            self._ttft.labels(model).observe(end.ttft_s)
        for failure in end.failures:
            self._failures.labels(failure.candidate).inc()
        for kind, tokens in usage._asdict().items():
            if tokens:
                self._tokens.labels(model, kind.removesuffix("_tokens")).inc(tokens)
        cost = to_usd(None if call.prices is None else call.prices.bill(usage))
        if cost is not None:
            self._cost.labels(model).inc(cost)
        elif end.status < 400:
            self._unknown.labels(model).inc()
        if REQUESTS.isEnabledFor(logging.INFO):
            REQUESTS.info(json.dumps(_describe(start, call, end, cost)))


def _describe(
    start: CallStart, call: OpenCall, end: CallEnd, cost_usd: float | None
) -> dict[str, object]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": start.request_id,
        "trace_id": start.trace_id,
        "decision": call.decision_id,
        "endpoint": start.endpoint,
        "key": start.key,
        "session": start.session,
        "route": None if start.decision is None else start.decision.route,
        "model": end.model,
        "status": end.status,
        "num_attempts": len(end.failures) + (end.model is not None),
        "latency_s": round(end.latency_s, 6),
        "ttft_s": None if end.ttft_s is None else round(end.ttft_s, 6),
        **end.usage._asdict(),
        "cost_usd": cost_usd,
    }
