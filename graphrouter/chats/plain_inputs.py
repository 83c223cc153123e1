"""Requests that hold texts and no messages: `POST /v1/completions` and `POST /v1/embeddings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.exceptions import ChatError
from graphrouter.wording import show_value

__all__ = ["read_completion", "read_embedding"]


def read_completion(body: Mapping[str, Any]) -> Conversation:
    """What a request for a completion asks: its prompts, joined; tokens have no text.

    Raises:
        ChatError: There is no prompt.

    Example:
        >>> read_completion({"prompt": "Once upon"}).turns[0].text
        'Once upon'
    """
    text = _join(body, "prompt")
    return Conversation.of([Turn("user", text)], max_output_tokens=body.get("max_tokens"))


def read_embedding(body: Mapping[str, Any]) -> Conversation:
    """What a request for embeddings asks.

    Raises:
        ChatError: There is no input.
    """
    return Conversation.of([Turn("user", _join(body, "input"))])


def _join(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise ChatError(f"{name} is {show_value(value)}; expected text or a list.", member=name)
    return "\n".join(each for each in value if isinstance(each, str))
