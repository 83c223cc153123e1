"""What becomes of every decision and call: the one place that the endpoints tell of both.

An endpoint begins a call once it is decided, before anybody is asked, and ends it once the answer
is there or none will come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

from graphrouter.chats.usage import Usage
from graphrouter.decision import Decision
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.query_views import Context, Embedding

__all__ = ["CallEnd", "CallLog", "CallStart", "Failure", "OpenCall"]


class Failure(NamedTuple):
    """An attempt that brought no answer."""

    candidate: str
    reason: str
    status: int | None
    """Of the upstream's response; None without one."""

    def __str__(self) -> str:
        return f"{self.candidate}: {self.reason}"


@dataclass(frozen=True)
class CallStart:
    """A request whose model is settled."""

    endpoint: str
    """Path, such as `/v1/chat/completions`."""
    order: tuple[str, ...]
    """Candidates to ask, the best first; empty where nobody is to be asked."""
    prompt: str | None = None
    """What was routed by; None where a model was named."""
    task: str | None = None
    decision: Decision | None = None
    """None where a model was named and nothing was decided."""
    named: str | None = None
    """The model that the client named; with a decision beside it, that one was only observed."""
    policy: str = ""
    """In words."""
    key: str | None = None
    """Id of the client's key; None where none is asked for."""
    session: str | None = None
    is_settled: bool = False
    """Whether nobody else is to be tried in the place of the first, since its session stays."""
    request_id: str | None = None
    newcomers: Mapping[str, int] = field(default_factory=dict)
    """Models that are new, with the outcomes known of each."""
    artifact: str = ""
    """Which router decides."""
    trace_id: str | None = None
    context: Context | None = None
    embedding: Embedding | None = None
    """What went with the prompt beside its text, None where nothing did."""
    context_nanousd: Mapping[str, int] = field(default_factory=dict)
    """What each of `order` charges for all that is sent beside the prompt."""


class CallEnd(NamedTuple):
    """How a call ended."""

    status: int
    """What the client was told."""
    model: str | None
    """Who answered; None where nobody did."""
    failures: tuple[Failure, ...]
    """Attempts before it."""
    usage: Usage
    latency_s: float
    """From its beginning to its end."""
    ttft_s: float | None
    """To the first byte of an answer."""


class OpenCall:
    """A call that has begun."""

    def __init__(self, decision_id: str, order: Sequence[str]) -> None:
        """A call.

        Args:
            decision_id: What clients name the decision by.
            order: Candidates to ask, the best first.
        """
        self.decision_id, self.order = decision_id, tuple(order)
        self.prices: TokenPrices | None = None
        """Of whoever answers, once that is known."""
        self.watchers: list[Callable[[CallEnd], None]] = []
        """Told how it ended."""
        self._began, self._ended = time.perf_counter(), False
        self._ttft_s: float | None = None

    async def kept(self) -> None:
        """Wait until the decision is written down; nobody is given its id before."""

    def mark_first_byte(self, prices: TokenPrices | None = None) -> None:
        """Say that the answer begins now.

        Args:
            prices: Of whoever answers.
        """
        self.prices = prices
        if self._ttft_s is None:
            self._ttft_s = time.perf_counter() - self._began

    def end(
        self,
        status: int,
        model: str | None = None,
        *,
        failures: Sequence[Failure] = (),
        usage: Usage | None = None,
    ) -> Awaitable[None]:
        """Say that the call has ended; whoever awaits what comes back knows it written down.

        It is written without being awaited too, so that a client who leaves is counted. What is
        said after the first time is not counted.

        Args:
            status: What the client was told.
            model: Who answered.
            failures: Attempts before it.
            usage: Its tokens.
        """
        if self._ended:
            return _done()
        self._ended = True
        latency_s = time.perf_counter() - self._began
        spent = usage or Usage()
        end = CallEnd(status, model, tuple(failures), spent, latency_s, self._ttft_s)
        for watcher in self.watchers:
            watcher(end)
        return self._end(end)

    def _end(self, end: CallEnd) -> Awaitable[None]:
        return _done()


class CallLog:
    """Gives every call an id, and keeps nothing."""

    is_kept = False
    """Whether it keeps what it is told, so that the usage of every call is to be known."""
    marks = False
    """Whether answers name their decisions themselves, beside the headers."""
    observes = False
    """Whether requests that name a model are decided too, though that model answers them."""

    async def begin(self, start: CallStart) -> OpenCall:
        """Begin a call.

        The order of candidates of what comes back is to be asked, which may be another.

        Args:
            start: What is known of it.

        Raises:
            ApiError: It is not to be made.
        """
        return OpenCall(uuid4().hex, start.order)


def _done() -> Awaitable[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
