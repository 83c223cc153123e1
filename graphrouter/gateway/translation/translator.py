"""What a translation between two APIs does, and how what cannot be read is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.server_events import ServerEvent

__all__ = ["StreamTranslator", "Translation", "read_arguments", "tell_error"]


class StreamTranslator(Protocol):
    """Turns the events of an upstream into those that the client expects."""

    def read(self, event: ServerEvent) -> list[bytes]:
        """The client's events for one of the upstream's; raises ApiError for an error in it."""
        ...

    def end(self) -> list[bytes]:
        """What is left to be said at the end; raises ApiError where it comes too soon."""
        ...


@dataclass(frozen=True)
class Translation:
    """Requests of one API to an upstream of another, and answers back."""

    path: str
    """Behind the upstream's address."""
    write_request: Callable[[Mapping[str, Any]], dict[str, Any]]
    """The request in the upstream's form; raises ApiError where it has no counterpart."""
    read_answer: Callable[[Mapping[str, Any]], dict[str, Any]]
    """The answer in the client's form; raises LookupError, TypeError, ValueError or AttributeError
    where it is none."""
    read_stream: Callable[[Mapping[str, Any]], StreamTranslator]
    """For one answer, to the client's request."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What is sent where neither request nor upstream states it."""


def tell_error(status: int, body: object) -> ApiError:
    """What an upstream says is wrong, from either API's form of errors.

    Example:
        >>> tell_error(400, {"error": {"message": "Too long."}}).message
        'Too long.'
    """
    found = body.get("error") if isinstance(body, Mapping) else None
    message = found.get("message") if isinstance(found, Mapping) else found
    code = found.get("code") if isinstance(found, Mapping) else None
    told = message if isinstance(message, str) and message else f"The upstream says {status}."
    return ApiError(status, told, code=code if isinstance(code, str) else None)


def read_arguments(text: object) -> dict[str, Any]:
    """The arguments of a call of a tool; what is no JSON object stands under `invalid_json`.

    Example:
        >>> read_arguments('{"a": 3}'), read_arguments(""), read_arguments("{a")
        ({'a': 3}, {}, {'invalid_json': '{a'})
    """
    if text in (None, ""):
        return {}
    try:
        value = json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"invalid_json": text}
