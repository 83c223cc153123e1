"""What a request says of the trace that it is part of, and what is told to whoever traces it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphrouter.decision import Decision
    from graphrouter.gateway.api_forms import ApiForm
    from graphrouter.gateway.call_log import OpenCall
    from graphrouter.gateway.upstreams import Deployment

__all__ = ["Asking", "Trace", "Tracer"]

HEADERS = ("traceparent", "tracestate")
"""Of W3C's Trace Context."""


class Asking:
    """One attempt at an upstream."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """An attempt that begins.

        Args:
            headers: What the upstream is told of the trace.
        """
        self.headers = headers

    def note_response(self) -> None:
        """Say that an answer has begun, which ends with the call."""

    def fail(self, reason: str, status: int | None) -> None:
        """Say that no answer came.

        Args:
            reason: Why.
            status: Of the upstream's response; None without one.
        """


class Trace:
    """A request; nobody follows this one, and what its client says of the trace goes on."""

    trace_id: str | None = None
    """In hexadecimal; None where nobody follows it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """A request.

        Args:
            headers: Of the client.
        """
        self._headers = {name: headers[name] for name in HEADERS if name in headers}

    def note_choice(
        self, decision: Decision | None, session: str | None, reason: str, began_ns: int
    ) -> None:
        """Say whom it goes to.

        Args:
            decision: Why; None where a model was named.
            session: Of which it is.
            reason: Why the session stays on its model, or not.
            began_ns: When the choice began, in nanoseconds since 1970.
        """

    def note_call(self, call: OpenCall) -> None:
        """Follow a call until it ends.

        Args:
            call: That has begun.
        """

    def ask(self, deployment: Deployment, form: ApiForm) -> Asking:
        """Begin an attempt.

        Args:
            deployment: Who is asked.
            form: Of the request.
        """
        return Asking(self._headers)

    def note_answer(self, told: object) -> None:
        """Say what the upstream has answered, where that is no stream.

        Args:
            told: Its body.
        """

    def end(self, status: int) -> None:
        """End a request that has not ended with its call.

        Args:
            status: What the client was told.
        """


class Tracer:
    """Follows no request."""

    def begin(self, form: ApiForm, headers: Mapping[str, str]) -> Trace:
        """Begin to follow a request.

        Args:
            form: Of its body.
            headers: With small letters.
        """
        return Trace(headers)

    def close(self) -> None:
        """Send what has not been sent."""
