"""Sends a request on to a candidate, and to the next one where the first does not answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import httpx2

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import Failure
from graphrouter.gateway.sending import Outgoing, send, write_request
from graphrouter.gateway.upstream_health import UpstreamHealth
from graphrouter.gateway.upstreams import Deployment

__all__ = ["Forwarder", "NobodyAnsweredError", "Reached", "tell_failures"]

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
"""Seconds before a further attempt: twice as long each time, up to this, and half as much around
it."""

Sleep = Callable[[float], Awaitable[None]]


class Reached(NamedTuple):
    """The answer of a candidate."""

    deployment: Deployment
    response: httpx2.Response
    """Read to its end, unless it is a stream."""
    failures: tuple[Failure, ...]
    """Before it, those of other candidates too."""
    began: float
    """When it was asked, of `time.monotonic`."""
    number: int
    """Of the call, for `UpstreamHealth.end`."""


_LATE = "the deadline of"
_PAUSED = "left alone after failures"


class NobodyAnsweredError(ApiError):
    """Every attempt failed."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        """An error that names every attempt.

        Args:
            failures: The attempts.
        """
        status = 502
        if failures and all(failure.status == 429 for failure in failures):
            status = 429
        elif failures and failures[-1].reason.startswith(_LATE):
            status = 504
        super().__init__(status, f"No candidate has answered ({tell_failures(failures)}).")
        self.failures = tuple(failures)


class Forwarder:
    """Reaches the first of some deployments that answers, and minds how each of them fares."""

    def __init__(
        self, client: httpx2.AsyncClient, health: UpstreamHealth, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        """A forwarder.

        Args:
            client: Who sends.
            health: Told of what is seen, and asked whom to leave alone.
            sleep: Waits so many seconds.
        """
        self._client, self._health, self._sleep = client, health, sleep

    async def reach(self, deployments: Sequence[Deployment], outgoing: Outgoing) -> Reached:
        """The answer of the first of some deployments that gives one.

        A deployment whose attempt may be repeated is asked again after a wait, `Retry-After` where
        it names one of at most `LONGEST_WAIT_S`; at once another of the same model where there is
        one. Then come the next. Those that are paused are passed over, unless all are. One that
        hedges and takes longer than its 95th percentile is not waited for alone: the next one is
        asked too, and whoever is first counts.

        Args:
            deployments: The best first.
            outgoing: What is sent.

        Raises:
            NobodyAnsweredError: What it says.
            ApiError: The request has no counterpart in the protocol of a deployment.
        """
        failures: list[Failure] = []
        queue = deque(deployments)
        try:
            async with asyncio.timeout(outgoing.deadline_s):
                while queue:
                    found = await self._ask_hedged(queue.popleft(), queue, outgoing, failures)
                    if found is not None:
                        return found
                if deployments and all(each.reason == _PAUSED for each in failures):
                    found = await self._ask(
                        deployments[0], False, outgoing, failures, is_forced=True
                    )
                    if found is not None:
                        return found
        except TimeoutError:
            late = Failure("all", f"{_LATE} {outgoing.deadline_s:g} s has passed", None)
            raise NobodyAnsweredError([*failures, late]) from None
        raise NobodyAnsweredError(failures)

    async def _ask_hedged(
        self,
        deployment: Deployment,
        queue: deque[Deployment],
        outgoing: Outgoing,
        failures: list[Failure],
    ) -> Reached | None:
        has_sibling = bool(queue) and queue[0].candidate == deployment.candidate
        late_s = self._health.find_p95_s(deployment) if deployment.hedges and queue else None
        if late_s is None:
            return await self._ask(deployment, has_sibling, outgoing, failures)
        tasks = [asyncio.ensure_future(self._ask(deployment, has_sibling, outgoing, failures))]
        found = None
        try:
            await asyncio.wait(tasks, timeout=late_s)
            if not tasks[0].done():
                told = f"slower than {late_s:.2f} s, so another was asked too"
                failures.append(Failure(deployment.candidate, told, None))
                other = queue.popleft()
                tasks.append(asyncio.ensure_future(self._ask(other, False, outgoing, failures)))
            for next_done in asyncio.as_completed(tasks):
                if (found := await next_done) is not None:
                    break
            return found
        finally:
            await self._give_up(tasks, found)

    async def _give_up(
        self, tasks: list[asyncio.Task[Reached | None]], found: Reached | None
    ) -> None:
        """End attempts that are on their way, and answers that came too late."""
        for task in tasks:
            task.cancel()
        for other in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(other, Reached) and other is not found:
                await other.response.aclose()
                self._health.end(other.deployment, other.number)

    async def _ask(
        self,
        deployment: Deployment,
        has_sibling: bool,
        outgoing: Outgoing,
        failures: list[Failure],
        *,
        is_forced: bool = False,
    ) -> Reached | None:
        """The answer of one deployment; None where it gives none, and why is among the failures."""
        request = write_request(self._client, deployment, outgoing)
        for number in range(deployment.retries + 1):
            call = self._health.begin(deployment, is_forced=is_forced)
            if call is None:
                failures.append(Failure(deployment.candidate, _PAUSED, None))
                return None
            began, is_over = time.monotonic(), True
            asking = outgoing.trace.ask(deployment, outgoing.form)
            request.headers.update(asking.headers)
            try:
                attempt = await send(self._client, deployment, request, streams=outgoing.is_stream)
                if attempt.response is not None:
                    asking.note_response()
                    self._health.note_answer(deployment, time.monotonic() - began)
                    is_over = attempt.response.is_closed
                    return Reached(deployment, attempt.response, tuple(failures), began, call)
            finally:
                if is_over:
                    self._health.end(deployment, call)
            asking.fail(attempt.reason, attempt.status)
            self._health.note_failure(deployment, attempt.wait_s)
            failures.append(Failure(deployment.candidate, attempt.reason, attempt.status))
            wait_s = attempt.wait_s
            if wait_s is None:
                wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**number) * random.uniform(0.5, 1.5)
            is_last = number == deployment.retries
            if is_last or has_sibling or not attempt.may_repeat or wait_s > LONGEST_WAIT_S:
                return None
            await self._sleep(wait_s)
        return None


def tell_failures(failures: Sequence[Failure]) -> str:
    """The attempts in words, equal ones that follow each other once and counted.

    Example:
        >>> tell_failures([Failure("nano", "status 500", 500)] * 2)
        'nano: status 500 (2 times)'
    """
    runs = ((failure, len(list(same))) for failure, same in groupby(failures))
    return "; ".join(str(each) if n == 1 else f"{each} ({n} times)" for each, n in runs)
