"""Sends a request on to a candidate, and to the next one where the first does not answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import httpx2

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import Failure, OpenCall
from graphrouter.gateway.upstreams import Deployment
from graphrouter.gateway.usage import StreamedUsage

RETRIED = (408, 429)
"""Statuses below 500 after which a request is sent again."""
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
"""Seconds before a further attempt: twice as long each time, up to this, and half as much around
it."""

CLIENT_LEFT = 499
"""Status of a call whose client left before its end."""

Sleep = Callable[[float], Awaitable[None]]


class Reached(NamedTuple):
    """The response of a candidate, of which nothing but the head has been read."""

    deployment: Deployment
    response: httpx2.Response
    failures: tuple[Failure, ...]
    """Before it, those of other candidates too."""


class NobodyAnsweredError(ApiError):
    """Every attempt failed."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        """An error that names every attempt.

        Args:
            failures: The attempts.
        """
        is_busy = bool(failures) and all(failure.status == 429 for failure in failures)
        told = tell_failures(failures)
        super().__init__(429 if is_busy else 502, f"No candidate has answered ({told}).")
        self.failures = tuple(failures)


async def reach(
    client: httpx2.AsyncClient,
    deployments: Sequence[Deployment],
    path: str,
    body: Mapping[str, Any],
    *,
    sleep: Sleep = asyncio.sleep,
) -> Reached:
    """The response of the first of some candidates that answers.

    Where a connection fails, or the status is 408, 429 or 500 and above, a candidate is asked again
    after a wait, `Retry-After` where it names one of at most `LONGEST_WAIT_S`, then the next one. A
    candidate that takes too long is not asked again: it may be at work. Any other response is an
    answer, refusals of the request among them.

    Args:
        client: Who sends.
        deployments: The best first.
        path: Behind their addresses, such as `/chat/completions`.
        body: Of the request; a member that a deployment states too stays as it is here, but for
            `model`.
        sleep: Waits so many seconds.

    Raises:
        NobodyAnsweredError: What it says.
    """
    failures: list[Failure] = []
    for deployment in deployments:
        payload = {**deployment.body, **body, "model": deployment.body["model"]}
        for attempt in range(deployment.retries + 1):
            response, failure, wait_s = await _try(client, deployment, path, payload, attempt)
            if response is not None:
                return Reached(deployment, response, tuple(failures))
            failures.append(failure)
            if wait_s is None or attempt == deployment.retries:
                break
            await sleep(wait_s)
    raise NobodyAnsweredError(failures)


async def relay(reached: Reached, call: OpenCall) -> AsyncIterator[bytes]:
    """The body of a response as it comes; what breaks it off is told as one more event.

    The call ends with it, and where the client leaves.
    """
    response, read = reached.response, StreamedUsage()
    status = response.status_code
    try:
        async for chunk in response.aiter_bytes():
            read.feed(chunk)
            yield chunk
    except httpx2.HTTPError as error:
        status = 502
        told = ApiError(502, f"The upstream broke off: {_name(error)}.", code="upstream_broke_off")
        yield f"data: {json.dumps(told.to_dict())}\n\n".encode()
    except (asyncio.CancelledError, GeneratorExit):
        status = CLIENT_LEFT
        raise
    finally:
        name = reached.deployment.candidate
        call.end(status, name, failures=reached.failures, usage=read.usage)
        await response.aclose()


async def _try(
    client: httpx2.AsyncClient,
    deployment: Deployment,
    path: str,
    payload: Mapping[str, Any],
    attempt: int,
) -> tuple[httpx2.Response | None, Failure, float | None]:
    """A response, or what went wrong and the seconds to wait; None to go on to the next one."""
    request = client.build_request(
        "POST",
        deployment.address + path,
        json=payload,
        headers=dict(deployment.headers),
        timeout=httpx2.Timeout(deployment.timeout_s, connect=min(10.0, deployment.timeout_s)),
    )
    name = deployment.candidate
    wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.5)
    try:
        response = await client.send(request, stream=True)
    except httpx2.TimeoutException as error:
        is_idle = isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        return None, Failure(name, _name(error), None), wait_s if is_idle else None
    except httpx2.HTTPError as error:
        return None, Failure(name, _name(error), None), wait_s
    failure = Failure(name, f"status {response.status_code}", response.status_code)
    if response.status_code < 500 and response.status_code not in RETRIED:
        return response, failure, None
    asked_s = _read_wait(response.headers.get("retry-after"))
    await response.aclose()
    if asked_s is not None:
        return None, failure, asked_s if asked_s <= LONGEST_WAIT_S else None
    return None, failure, wait_s


def _read_wait(text: str | None) -> float | None:
    """Seconds that a header asks to wait; None where it names none, or a date."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def tell_failures(failures: Sequence[Failure]) -> str:
    """The attempts in words, equal ones that follow each other once and counted.

    Example:
        >>> tell_failures([Failure("nano", "status 500", 500)] * 2)
        'nano: status 500 (2 times)'
    """
    runs = ((failure, len(list(same))) for failure, same in groupby(failures))
    return "; ".join(str(each) if n == 1 else f"{each} ({n} times)" for each, n in runs)


def _name(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
