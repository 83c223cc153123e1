"""One attempt: a request as a deployment is sent it, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import ApiForm
from graphrouter.gateway.request_bodies import telling_client
from graphrouter.gateway.tracing import Trace
from graphrouter.gateway.translation.pairs import find_translation
from graphrouter.gateway.translation.translator import tell_error
from graphrouter.gateway.upstreams import Deployment

__all__ = ["Attempt", "Outgoing", "name_error", "read_answer", "send"]

RETRIED = (408, 429)
"""Statuses below 500 after which a request is sent again."""


class Outgoing(NamedTuple):
    """A request on its way to whoever answers it."""

    form: ApiForm
    body: Mapping[str, Any]
    """The client's, without what is for the router alone."""
    headers: Mapping[str, str] = {}
    """The client's, those that are of use to an upstream of the same protocol."""

    deadline_s: float | None = None
    """Most seconds until the answer begins, whoever gives it; None where the client waits."""
    trace: Trace = Trace({})

    @property
    def is_stream(self) -> bool:
        """Whether the answer is to come as a stream of events."""
        return bool(self.body.get("stream"))


class Attempt(NamedTuple):
    """What has come of one attempt."""

    response: httpx2.Response | None
    """Read to its end, unless it is a stream; None where it is no answer."""
    reason: str = ""
    """Why it is none."""
    status: int | None = None
    """Of the upstream's response; None without one."""
    may_repeat: bool = False
    """Whether the same deployment may be asked again: it has surely not been at work."""
    wait_s: float | None = None
    """Seconds after which the upstream asks to come again; None where it does not say."""


async def send(
    client: httpx2.AsyncClient, deployment: Deployment, request: httpx2.Request, *, streams: bool
) -> Attempt:
    """Send a request to a deployment, once.

    A failed connection and the statuses 408, 429 and those from 500 may be tried again. What takes
    too long, breaks off or answers what is no JSON may not: it may be paid for. Any other response
    is an answer, refusals of the request among them.

    Args:
        client: Who sends.
        deployment: Who is asked.
        request: As `write_request` makes it.
        streams: Whether events are expected, which are not read here.
    """
    response = None
    try:
        response = await client.send(request, stream=True)
        if not (streams and _is_event_stream(response)):
            await response.aread()
    except httpx2.HTTPError as error:
        if response is not None:
            await response.aclose()
        is_idle = isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        is_at_work = response is not None or (
            isinstance(error, httpx2.TimeoutException) and not is_idle
        )
        return Attempt(None, name_error(error), may_repeat=not is_at_work)
    status = response.status_code
    if status >= 500 or status in RETRIED:
        await response.aclose()
        wait_s = _read_wait(response.headers.get("retry-after"))
        return Attempt(None, f"status {status}", status, may_repeat=True, wait_s=wait_s)
    if status < 300 and not _is_event_stream(response) and not _holds_object(response.content):
        return Attempt(None, "an answer that is no JSON object", status)
    return Attempt(response, status=status)


def read_answer(
    response: httpx2.Response, deployment: Deployment, form: ApiForm
) -> tuple[bytes, object]:
    """What the client is sent of an answer that is no stream, and what the upstream has said.

    Args:
        response: The answer.
        deployment: Who gave it.
        form: That the client expects.

    Raises:
        ApiError: It is not what the upstream's API answers.
    """
    try:
        told = json.loads(response.content)
    except (ValueError, RecursionError):
        told = None
    translation = find_translation(form, deployment.protocol)
    if translation is None:
        return response.content, told
    if response.status_code >= 400:
        return _dump(form.tell(tell_error(response.status_code, told))), told
    try:
        answer = translation.read_answer(told)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ApiError(
            502, f"{deployment.candidate} answered what its protocol does not have."
        ) from None
    return _dump(answer), told


def write_request(
    client: httpx2.AsyncClient, deployment: Deployment, outgoing: Outgoing
) -> httpx2.Request:
    """The request as a deployment is sent it.

    A member that a deployment states too stays as it is in the request, but for `model`.

    Args:
        client: Who sends.
        deployment: Who is asked.
        outgoing: The client's.

    Raises:
        ApiError: It has no counterpart in the protocol of the deployment.
    """
    translation = find_translation(outgoing.form, deployment.protocol)
    form, body, headers = outgoing.form, outgoing.body, dict(deployment.headers)
    defaults = deployment.body if form.takes_parameters else {}
    if translation is None:
        headers = {**headers, **outgoing.headers}
    else:
        with telling_client():
            body = translation.write_request(body)
        defaults = {**translation.defaults, **defaults}
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


def name_error(error: Exception) -> str:
    """An exception in words: its class, and what it says."""
    return f"{type(error).__name__} {error}".strip()
