"""Passes a stream of events on as it comes, translated where the client speaks another API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx2
from starlette.responses import ContentStream, StreamingResponse
from starlette.types import Receive, Scope, Send

from graphrouter.chats.usage import StreamedUsage
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import RESPONSES, ApiForm
from graphrouter.gateway.call_log import OpenCall
from graphrouter.gateway.forwarding import Reached
from graphrouter.gateway.sending import Outgoing, name_error
from graphrouter.gateway.server_events import EventReader, ServerEvent, write_event
from graphrouter.gateway.translation.pairs import find_translation
from graphrouter.gateway.translation.translator import StreamTranslator

__all__ = ["CLIENT_LEFT", "RelayedResponse", "relay"]

CLIENT_LEFT = 499
"""Status of a call whose client left before its end."""

_FINISHED = re.compile(rb'"finish_reason":\s*"|"error":\s*\{')
_DONE = b"[DONE]"
_LAST = {
    "responses": re.compile(
        rb'"type":\s*"(response\.(completed|incomplete|failed|cancelled)|error)"'
    ),
    "messages": re.compile(rb'"type":\s*"(message_stop|error)"'),
}
"""What only the last event of a stream has."""
_LONGEST_MARK = 64
"""Bytes of a piece that are looked at again with the next one."""


async def relay(
    reached: Reached,
    call: OpenCall,
    outgoing: Outgoing,
    note: Callable[[Reached, object], None],
    finish: Callable[[Reached, bool], None],
) -> AsyncIterator[bytes]:
    """The client's events, as they come; what breaks them off is told as one more.

    The call ends with it, and where the client leaves.

    Args:
        reached: The answer, of which nothing but the head has been read.
        call: To be ended.
        outgoing: What was asked, in the form that the client expects.
        note: Told of a response of OpenAI's when it begins.
        finish: Told when it is over, and whether the answer is whole.
    """
    response, usage, form = reached.response, StreamedUsage(), outgoing.form
    status = response.status_code
    translation = find_translation(form, reached.deployment.protocol)
    passed = (
        _Passed(form, lambda told: note(reached, told))
        if translation is None
        else _Translated(translation.read_stream(outgoing.body))
    )
    try:
        async for piece in response.aiter_bytes():
            usage.feed(piece)
            if written := passed.read(piece):
                yield written
        yield passed.end()
    except (httpx2.HTTPError, ApiError) as error:
        status = 502
        told = error if isinstance(error, ApiError) else _tell_broken(name_error(error))
        yield form.tell_in_stream(told)
    except (LookupError, TypeError, AttributeError):  # of a translator that reads what is no chunk
        status = 502
        yield form.tell_in_stream(_tell_broken("its events are not those of its protocol"))
    except (asyncio.CancelledError, GeneratorExit):
        status = CLIENT_LEFT
        raise
    finally:
        name = reached.deployment.candidate
        call.end(status, name, failures=reached.failures, usage=usage.usage)
        finish(reached, status == response.status_code)
        await response.aclose()


class RelayedResponse(StreamingResponse):
    """A stream that is ended at the upstream even where the client left before its first event.

    A generator that was never begun has no end of its own.
    """

    def __init__(
        self, content: ContentStream, *args: Any, leave: Callable[[], Awaitable[None]], **more: Any
    ) -> None:
        """A response.

        Args:
            content: The events.
            args: As `StreamingResponse` takes them.
            leave: Awaited when nobody reads any more; no harm to what has ended.
            more: As `StreamingResponse` takes them.
        """
        super().__init__(content, *args, **more)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._leave()


class _Translated:
    """A stream whose events are others for the client."""

    def __init__(self, translator: StreamTranslator) -> None:
        self._translator, self._events = translator, EventReader()

    def read(self, piece: bytes) -> bytes:
        return b"".join(self._translate(event) for event in self._events.feed(piece))

    def end(self) -> bytes:
        return b"".join(self._translator.end())

    def _translate(self, event: ServerEvent) -> bytes:
        return b"".join(self._translator.read(event))


class _Passed:
    """A stream that passes as it is, and of which only the end is looked for."""

    def __init__(self, form: ApiForm, note: Callable[[object], None]) -> None:
        self._last = _LAST.get(form.name, _FINISHED)
        self._has_ended, self._is_done, self._kept = False, form.name in _LAST, b""
        self._note = note
        self._first = EventReader() if form is RESPONSES else None

    def read(self, piece: bytes) -> bytes:
        seen = self._kept + piece
        self._has_ended = self._has_ended or self._last.search(seen) is not None
        self._is_done = self._is_done or _DONE in seen
        self._kept = seen[-_LONGEST_MARK:]
        if self._first is not None and (events := self._first.feed(piece)):
            self._first = None
            self._note((events[0].parse() or {}).get("response"))
        return piece

    def end(self) -> bytes:
        if not self._has_ended and not (self._is_done and self._last is _FINISHED):
            raise _tell_broken("its stream ended before its answer")
        return b"" if self._is_done else write_event(_DONE.decode())


def _tell_broken(why: str) -> ApiError:
    return ApiError(502, f"The upstream broke off: {why}.", code="upstream_broke_off")
