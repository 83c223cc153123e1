"""Prompts that are chats: a list of messages in the place of a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from graphrouter.chats.anthropic_messages import read_messages
from graphrouter.chats.chat_completions import read_chat
from graphrouter.chats.conversation import Conversation
from graphrouter.chats.openai_responses import read_response_request
from graphrouter.chats.plain_inputs import read_completion
from graphrouter.chats.routed_text import read_prompt

__all__ = ["Chat", "Prompt", "is_chat", "read_any_chat", "read_any_request", "to_text"]

Chat = Sequence[Mapping[str, Any]]
"""Messages as OpenAI's chat completions or Anthropic's messages have them, the oldest first."""
Prompt = str | Chat
"""What routers take as a prompt: a text, or the messages of a chat."""
_ANTHROPIC_PARTS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"})


def is_chat(value: object) -> TypeGuard[Chat]:
    """Whether a value is a list of messages, each with a role.

    Example:
        >>> is_chat([{"role": "user", "content": "Hello."}]), is_chat(["Hello."]), is_chat([])
        (True, False, False)
    """
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    messages = list(value) if is_list else []  # type: ignore[call-overload]
    return bool(messages) and all(isinstance(each, Mapping) and "role" in each for each in messages)


def read_any_chat(messages: Chat) -> Conversation:
    """A chat in either API's form, told by its parts.

    Raises:
        ChatError: A content is neither text nor a list of parts.

    Example:
        >>> chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
        >>> [turn.role for turn in read_any_chat(chat).turns]
        ['system', 'user']
    """
    return read_any_request({"messages": messages})


def read_any_request(body: Mapping[str, Any]) -> Conversation:
    """What a request asks, whichever of the APIs it was written for.

    `messages` are a chat of OpenAI's, or of Anthropic's where a member or a part tells; `input` is
    that of a response, `prompt` that of a completion.

    Raises:
        ChatError: It is no request of theirs.

    Example:
        >>> chat = [{"role": "user", "content": "Hi."}]
        >>> asked = read_any_request({"system": "Be brief.", "messages": chat})
        >>> [turn.text for turn in asked.turns]
        ['Be brief.', 'Hi.']
        >>> read_any_request({"input": "Hello."}).turns[0].text
        'Hello.'
    """
    if "messages" not in body:
        return read_response_request(body) if "input" in body else read_completion(body)
    if not is_chat(body["messages"]):
        return read_chat(body)  # says what is wrong
    listed = [_to_plain(message) for message in body["messages"]]
    parts = (
        part.get("type")
        for message in listed
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if isinstance(part, Mapping)
    )
    is_anthropic = "system" in body or bool(_ANTHROPIC_PARTS.intersection(parts))
    read = read_messages if is_anthropic else read_chat
    return read({**body, "messages": listed})


def to_text(prompt: Prompt) -> str:
    r"""The text that a prompt is routed by: a chat's as the gateway reads it, or the text itself.

    Args:
        prompt: A text, or messages.

    Raises:
        ChatError: The messages are none, or none is of anybody but the system.

    Example:
        >>> chat = [{"role": "user", "content": "Prove that 17 is a prime, please."}]
        >>> more = [{"role": "assistant", "content": "By trial?"}, {"role": "user", "content": "Y"}]
        >>> to_text("Hello."), to_text(chat + more)
        ('Hello.', 'Prove that 17 is a prime, please.\nBy trial?\nY')
    """
    return prompt if isinstance(prompt, str) else read_prompt(read_any_chat(prompt))


def _to_plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message without members of no value, as Parquet fills them in, its parts as a list."""
    plain = {name: value for name, value in message.items() if value is not None}
    content = plain.get("content")
    if isinstance(content, Iterable) and not isinstance(content, str | Mapping):
        plain["content"] = [
            {name: value for name, value in part.items() if value is not None}
            if isinstance(part, Mapping)
            else part
            for part in content
        ]
    return plain
