"""Sends a request on to a candidate, and to the next one where the first does not answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import httpx2

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import Failure
from graphrouter.gateway.forms.api_form import ApiForm
from graphrouter.gateway.translation.pairs import find_translation
from graphrouter.gateway.translation.translator import Translation, tell_error
from graphrouter.gateway.upstreams import Deployment

RETRIED = (408, 429)
"""Statuses below 500 after which a request is sent again."""
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
"""Seconds before a further attempt: twice as long each time, up to this, and half as much around
it."""

Sleep = Callable[[float], Awaitable[None]]


class Outgoing(NamedTuple):
    """A request on its way to whoever answers it."""

    form: ApiForm
    body: Mapping[str, Any]
    """The client's, without what is for the router alone."""
    headers: Mapping[str, str] = {}
    """The client's, those that are of use to an upstream of the same protocol."""

    @property
    def is_stream(self) -> bool:
        """Whether the answer is to come as a stream of events."""
        return bool(self.body.get("stream"))


class Reached(NamedTuple):
    """The answer of a candidate."""

    deployment: Deployment
    response: httpx2.Response
    """Read to its end, unless it is a stream."""
    failures: tuple[Failure, ...]
    """Before it, those of other candidates too."""
    translation: Translation | None = None
    """How it becomes what the client expects; None where it is that."""


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
    outgoing: Outgoing,
    *,
    sleep: Sleep = asyncio.sleep,
) -> Reached:
    """The answer of the first of some deployments that gives one.

    Where a connection fails, or the status is 408, 429 or 500 and above, a deployment is asked
    again after a wait, `Retry-After` where it names one of at most `LONGEST_WAIT_S`, then the next
    one. One that takes too long, breaks off, or answers what is no JSON is not asked again: it may
    have been paid for. Any other response is an answer, refusals of the request among them.

    Args:
        client: Who sends.
        deployments: The best first.
        outgoing: What is sent; a member that a deployment states too stays as it is here, but for
            `model`.
        sleep: Waits so many seconds.

    Raises:
        NobodyAnsweredError: What it says.
        ApiError: The request has no counterpart in the protocol of a deployment.
    """
    failures: list[Failure] = []
    for deployment in deployments:
        translation = find_translation(outgoing.form, deployment.protocol)
        request = _write(client, deployment, outgoing, translation)
        for attempt in range(deployment.retries + 1):
            response, failure, wait_s = await _try(client, deployment, request, outgoing, attempt)
            if response is not None:
                return Reached(deployment, response, tuple(failures), translation)
            failures.append(failure)
            if wait_s is None or attempt == deployment.retries:
                break
            await sleep(wait_s)
    raise NobodyAnsweredError(failures)


def read_answer(reached: Reached, form: ApiForm) -> tuple[bytes, object]:
    """What the client is sent of an answer that is no stream, and what the upstream has said.

    Args:
        reached: The answer.
        form: That the client expects.

    Raises:
        ApiError: It is not what the upstream's API answers.
    """
    response = reached.response
    try:
        told = json.loads(response.content)
    except (ValueError, RecursionError):
        told = None
    if reached.translation is None:
        return response.content, told
    if response.status_code >= 400:
        return _dump(form.tell(tell_error(response.status_code, told))), told
    try:
        answer = reached.translation.read_answer(told)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ApiError(
            502, f"{reached.deployment.candidate} answered what its protocol does not have."
        ) from None
    return _dump(answer), told


def _write(
    client: httpx2.AsyncClient,
    deployment: Deployment,
    outgoing: Outgoing,
    translation: Translation | None,
) -> httpx2.Request:
    """The request as a deployment is sent it."""
    form, body, headers = outgoing.form, outgoing.body, dict(deployment.headers)
    defaults = deployment.body if form.takes_parameters else {}
    if translation is None:
        headers = {**headers, **outgoing.headers}
    else:
        body, defaults = translation.write_request(body), {**translation.defaults, **defaults}
    payload = {**defaults, **body, "model": deployment.body["model"]}
    path = form.path if translation is None else translation.path
    return client.build_request(
        "POST",
        deployment.address + path,
        content=_dump(payload),
        headers={"content-type": "application/json", **headers},
        timeout=httpx2.Timeout(deployment.timeout_s, connect=min(10.0, deployment.timeout_s)),
    )


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _try(
    client: httpx2.AsyncClient,
    deployment: Deployment,
    request: httpx2.Request,
    outgoing: Outgoing,
    attempt: int,
) -> tuple[httpx2.Response | None, Failure, float | None]:
    """A response, or what went wrong and the seconds to wait; None to go on to the next one."""
    name, response = deployment.candidate, None
    wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.5)
    try:
        response = await client.send(request, stream=True)
        if not (outgoing.is_stream and _is_event_stream(response)):
            await response.aread()
    except httpx2.HTTPError as error:
        if response is not None:
            await response.aclose()
        is_idle = isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        may_be_at_work = response is not None or (
            isinstance(error, httpx2.TimeoutException) and not is_idle
        )
        return None, Failure(name, name_error(error), None), None if may_be_at_work else wait_s
    status = response.status_code
    if status >= 500 or status in RETRIED:
        await response.aclose()
        asked_s = _read_wait(response.headers.get("retry-after"))
        if asked_s is not None:
            wait_s = asked_s
        failure = Failure(name, f"status {status}", status)
        return None, failure, wait_s if wait_s <= LONGEST_WAIT_S else None
    if status < 300 and not _is_event_stream(response) and not _holds_object(response.content):
        return None, Failure(name, "an answer that is no JSON object", status), None
    return response, Failure(name, f"status {status}", status), None


def _is_event_stream(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _holds_object(content: bytes) -> bool:
    # Whether it is whole is seen by who reads it: parsing every answer twice would cost too much.
    return content.lstrip()[:1] == b"{" and content.rstrip()[-1:] == b"}"


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


def name_error(error: Exception) -> str:
    """An exception in words: its class, and what it says."""
    return f"{type(error).__name__} {error}".strip()
