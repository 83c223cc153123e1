"""What a model has answered, in any of the forms of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphrouter.chats.usage import Usage, read_usage

__all__ = ["ChatAnswer", "read_answer"]


class ChatAnswer(NamedTuple):
    """An answer, as far as it was recorded."""

    text: str | None
    """None where there is none, as where a tool was called."""
    model: str | None
    """As the provider names it."""
    usage: Usage
    has_failed: bool = False
    """Whether an error stands in the place of an answer."""


def read_answer(body: object) -> ChatAnswer:
    """An answer of OpenAI's chats, responses and completions, or of Anthropic's messages.

    A plain text is an answer without usage.

    Example:
        >>> message = {"role": "assistant", "content": "7"}
        >>> read_answer({"model": "nano-1", "choices": [{"message": message}]}).text
        '7'
        >>> read_answer({"content": [{"type": "text", "text": "7"}]}).text
        '7'
        >>> read_answer({"error": {"message": "Overloaded."}}).has_failed
        True
    """
    if isinstance(body, str):
        return ChatAnswer(body or None, None, Usage())
    if not isinstance(body, Mapping):
        return ChatAnswer(None, None, Usage())
    has_failed = bool(body.get("error")) or body.get("type") == "error"
    model = body.get("model")
    named = model if isinstance(model, str) and model else None
    return ChatAnswer(_find_text(body), named, read_usage(body), has_failed)


def _find_text(body: Mapping[str, Any]) -> str | None:
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        message = choices[0].get("message")
        content = message.get("content") if isinstance(message, Mapping) else choices[0].get("text")
        return _join(content)
    output = body.get("output")
    if isinstance(output, list):  # items of a response, of which messages have content
        contents = [item.get("content") for item in output if isinstance(item, Mapping)]
        return "\n".join(filter(None, map(_join, contents))) or None
    return _join(body.get("content"))


def _join(content: object) -> str | None:
    if isinstance(content, str):
        return content or None
    if not isinstance(content, list):
        return None
    texts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str)) or None
