"""The text of an answer, as a client of any form was sent it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from graphrouter.gateway.server_events import EventReader

__all__ = ["read_answer_text", "read_streamed_text"]


def read_answer_text(content: bytes) -> str:
    """The text of an answer that is no stream; empty where it has none.

    Args:
        content: Of a chat, a completion, a response or a message.

    Example:
        >>> read_answer_text(b'{"choices": [{"message": {"content": "Four."}}]}')
        'Four.'
        >>> read_answer_text(b'{"content": [{"type": "text", "text": "Four."}]}')
        'Four.'
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, Mapping):
        return ""
    choice = _first(told.get("choices"))
    if choice:
        message = choice.get("message")
        text = choice.get("text") if message is None else _mapping(message).get("content")
        return text if isinstance(text, str) else _join(_mappings(text))
    items = [each for each in _mappings(told.get("output")) if each.get("type") == "message"]
    parts = [part for each in items for part in _mappings(each.get("content"))]
    return _join(parts or _mappings(told.get("content")))


def read_streamed_text(stream: bytes) -> str:
    r"""The text of a stream of events; empty where it has none.

    Args:
        stream: All of it.

    Example:
        >>> read_streamed_text(b'data: {"choices": [{"delta": {"content": "Four."}}]}\n\n')
        'Four.'
    """
    found: list[str] = []
    for event in EventReader().feed(stream + b"\n\n"):
        told = event.parse() or {}
        choice, delta = _first(told.get("choices")), told.get("delta")
        if choice:
            text = choice.get("text", _mapping(choice.get("delta")).get("content"))
        elif told.get("type") == "response.output_text.delta":
            text = delta
        else:
            text = _mapping(delta).get("text")
        if isinstance(text, str):
            found.append(text)
    return "".join(found)


def _join(parts: Iterable[Mapping[str, Any]]) -> str:
    return "".join(each["text"] for each in parts if isinstance(each.get("text"), str))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _first(value: object) -> Mapping[str, Any]:
    return next(iter(_mappings(value)), {})
