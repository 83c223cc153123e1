"""How upstreams are reached: aiohttp beneath httpx's client, since a request costs it far less."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies

import aiohttp
import httpx2
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

__all__ = ["AiohttpTransport", "choose_transport"]

KEPT_S = 4.0
"""Seconds that an idle connection is kept: fewer than the five after which uvicorn and Node close
theirs, so that no request meets one that is just being closed."""
MOST_OF_HEADER = 64 * 1024
"""Bytes of one header of an upstream, and of its first line."""
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that httpx has settled already."""


class _NotTakenError(TimeoutError):
    """An upstream has not taken a request within the limit of time."""


_ERRORS: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (_NotTakenError, httpx2.WriteTimeout),
    (TimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ClientOSError, httpx2.ReadError),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.ClientError, httpx2.RemoteProtocolError),
    (ValueError, httpx2.LocalProtocolError),
)
"""What httpx calls an error of aiohttp: the first that fits."""


def choose_transport() -> httpx2.AsyncBaseTransport | None:
    """The transport to upstreams; None for httpx's own, where the environment names proxies.

    Call it in the event loop that it works in.
    """
    return None if getproxies() else AiohttpTransport()


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends requests of httpx by aiohttp, which raises errors of httpx's names.

    Redirects, content encodings and limits of time are those of httpx's client: it asks for them
    as of its own transport. There is no limit of connections. Without HTTP/2 and proxies.

    Example:
        >>> import asyncio
        >>> async def ask() -> str:
        ...     async with httpx2.AsyncClient(transport=AiohttpTransport()) as client:
        ...         try:
        ...             return (await client.get("http://127.0.0.1:1/v1")).text
        ...         except httpx2.ConnectError:
        ...             return "nobody listens"
        >>> asyncio.run(ask())
        'nobody listens'
    """

    def __init__(self) -> None:
        """A transport with no connection yet; made in the event loop that it works in."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=KEPT_S, ssl=httpx2.create_ssl_context()
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_ADDED,
            max_line_size=MOST_OF_HEADER,
            max_field_size=MOST_OF_HEADER,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The head of an answer, and its body as a stream.

        Raises:
            TransportError: Of httpx: there is none.
        """
        limits: dict[str, Any] = request.extensions.get("timeout", {})
        content = await request.aread()
        # httpx has made a header of user and password already, and aiohttp refuses both.
        with _naming_errors():
            answer = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True).with_user(None),
                data=_BoundedBytes(content, limits.get("write")) if content else None,
                headers=[
                    (name.decode(), value.decode("latin-1")) for name, value in request.headers.raw
                ],
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=limits.get("connect"), sock_read=limits.get("read")
                ),
            )
        return httpx2.Response(
            answer.status,
            headers=list(answer.raw_headers),
            stream=_Body(answer),
            extensions={"reason_phrase": (answer.reason or "").encode("latin-1", "replace")},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _BoundedBytes(aiohttp.BytesPayload):
    """The body of a request, which an upstream must take within a limit of time."""

    def __init__(self, content: bytes, limit_s: float | None) -> None:
        super().__init__(content)
        self._limit_s = limit_s

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        try:
            async with asyncio.timeout(self._limit_s):  # as httpx, which bounds the whole of it
                await super().write_with_length(writer, content_length)
        except BaseException as error:
            # What is left to send would keep a connection that is closed open for as long.
            if writer.transport is not None:
                writer.transport.abort()
            if isinstance(error, TimeoutError):
                told = f"The request was not taken within {self._limit_s:g} s."
                raise _NotTakenError(told) from None
            raise


class _Body(httpx2.AsyncByteStream):
    """What follows the head, as it comes."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _naming_errors():
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        # A connection whose answer has been read to its end is kept, any other one is not.
        self._answer.close()


@contextmanager
def _naming_errors() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        named = next(known for seen, known in _ERRORS if isinstance(error, seen))
        raise named(str(error) or type(error).__name__) from error
