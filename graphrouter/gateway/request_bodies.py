"""What comes in: bodies, and clients that leave before they are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request

from graphrouter.exceptions import ChatError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.wording import show_value

__all__ = [
    "MOST_BYTES",
    "ClientLeftError",
    "parse_body",
    "read_body",
    "read_mapping",
    "telling_client",
    "unless_left",
]

MOST_BYTES = 10 * 1024 * 1024
"""Of a request's body."""

T = TypeVar("T")


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


async def read_body(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The JSON object that a request holds.

    Args:
        request: With its body.
        may_be_empty: Whether no body at all stands for an empty object.

    Raises:
        ApiError: It is larger than `MOST_BYTES`, or something else.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise ApiError(413, f"The body is larger than {MOST_BYTES:,} bytes.")
    return {} if may_be_empty and not content else parse_body(bytes(content))


def parse_body(content: bytes) -> dict[str, Any]:
    """The JSON object that some bytes are.

    Raises:
        ApiError: They are something else.
    """
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is no valid JSON ({error}).") from None
    if not isinstance(body, dict):
        raise ApiError(400, f"The body is {show_value(body)}; expected a JSON object.")
    return body


@contextmanager
def telling_client() -> Iterator[None]:
    """What is wrong with a chat is told to the client.

    Raises:
        ApiError: In place of a ChatError.
    """
    try:
        yield
    except ChatError as error:
        raise ApiError(400, str(error), error.member) from None


def read_mapping(value: object, name: str) -> Mapping[str, Any]:
    """An object that a request must hold.

    Raises:
        ApiError: It is something else.
    """
    if not isinstance(value, Mapping):
        raise ApiError(400, f"{name} is {show_value(value)}; expected an object.", name)
    return value


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What comes of some work, which is given up when the client leaves.

    Args:
        request: Whose body has been read.
        work: What is awaited.

    Raises:
        ClientLeftError: The client has left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_wait_until_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeftError
        return working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))


async def _wait_until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")
