"""What an upstream says that it has read and written, in any of the forms of its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["StreamedUsage", "Usage", "read_usage"]


class Usage(NamedTuple):
    """Tokens of a call; None where the upstream does not tell."""

    input_tokens: int | None = None
    """Those of the prompt, cached ones among them."""
    cached_input_tokens: int | None = None
    """Those of them that came from the upstream's cache of prompts."""
    output_tokens: int | None = None

    def joined_by(self, later: Usage) -> Usage:
        """What a later part of an answer tells, and from this where it tells nothing.

        Example:
            >>> Usage(25, 5).joined_by(Usage(output_tokens=7))
            Usage(input_tokens=25, cached_input_tokens=5, output_tokens=7)
        """
        pairs = zip(self, later, strict=True)
        return Usage(*(old if new is None else new for old, new in pairs))


def read_usage(body: object) -> Usage:
    """Tokens by the member `usage` of an answer, or of an event of a stream.

    Chats and completions name them `prompt_tokens` and `completion_tokens`; responses and
    Anthropic's messages `input_tokens` and `output_tokens`, of which Anthropic leaves cached ones
    out. The event that ends a response holds it under `response`, the one that begins a message
    under `message`.

    Example:
        >>> read_usage({"usage": {"prompt_tokens": 3, "completion_tokens": 2}})
        Usage(input_tokens=3, cached_input_tokens=None, output_tokens=2)
        >>> read_usage({"usage": {"input_tokens": 3, "cache_read_input_tokens": 20}})
        Usage(input_tokens=23, cached_input_tokens=20, output_tokens=None)
    """
    if not isinstance(body, Mapping):
        return Usage()
    for holder in (body, body.get("response"), body.get("message")):
        found = holder.get("usage") if isinstance(holder, Mapping) else None
        if isinstance(found, Mapping):
            return _read(found)
    return Usage()


def _read(usage: Mapping[str, Any]) -> Usage:
    asked = _first_count(usage, "prompt_tokens", "input_tokens")
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = _first_count(details, "cached_tokens") if isinstance(details, Mapping) else None
    read, written = (
        _first_count(usage, f"cache_{kind}_input_tokens") for kind in ("read", "creation")
    )
    if asked is not None and (read or written):
        asked += (read or 0) + (written or 0)
    cached = cached if read is None else read
    return Usage(asked, cached, _first_count(usage, "completion_tokens", "output_tokens"))


def _first_count(values: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


class StreamedUsage:
    r"""Reads the usage of a stream of events that passes by, in pieces of any size.

    Example:
        >>> reader = StreamedUsage()
        >>> reader.feed(b'data: {"usage": {"prompt_')
        >>> reader.feed(b'tokens": 3}}\n\n')
        >>> reader.usage.input_tokens
        3
    """

    def __init__(self) -> None:
        self.usage = Usage()
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the stream."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            # Most events hold none; parsing them all would cost more than passing them on.
            if line.startswith(b"data:") and b'"usage"' in line:
                try:
                    event = json.loads(line[5:])
                except ValueError:
                    continue
                self.usage = self.usage.joined_by(read_usage(event))
