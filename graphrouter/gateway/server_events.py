"""Server-sent events: read from pieces of any size, and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["EventReader", "ServerEvent", "write_event"]


class ServerEvent(NamedTuple):
    """One event of a stream."""

    name: str | None
    """None for one without a name."""
    data: str

    def parse(self) -> dict[str, Any] | None:
        """The JSON object that it carries; None where it carries none, such as `[DONE]`."""
        try:
            value = json.loads(self.data)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


class EventReader:
    r"""Reads events from a stream that comes in pieces of any size.

    Example:
        >>> reader = EventReader()
        >>> reader.feed(b"event: ping\nda"), reader.feed(b"ta: {}\n\n")
        ([], [ServerEvent(name='ping', data='{}')])
    """

    def __init__(self) -> None:
        self._rest = b""
        self._name: str | None = None
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """The events that a further piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        found = []
        for line in lines:
            text = line.decode("utf-8", "replace").removesuffix("\r")
            if not text:
                if self._data:
                    found.append(ServerEvent(self._name, "\n".join(self._data)))
                self._name, self._data = None, []
                continue
            field, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                self._data.append(value)
            elif field == "event":
                self._name = value
        return found


def write_event(data: Mapping[str, Any] | str, name: str | None = None) -> bytes:
    r"""The bytes of an event.

    Example:
        >>> write_event({"a": 1}, "ping")
        b'event: ping\ndata: {"a":1}\n\n'
        >>> write_event("[DONE]")
        b'data: [DONE]\n\n'
    """
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {text}\n\n".encode()
