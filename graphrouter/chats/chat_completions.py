"""Requests of `POST /v1/chat/completions`, as OpenAI's API has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrouter.chats.conversation import (
    Conversation,
    Role,
    Turn,
    read_list,
    tells_failure,
)
from graphrouter.exceptions import ChatError
from graphrouter.wording import show_value

__all__ = ["read_chat", "read_content"]

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_IMAGES = ("image_url", "input_image", "image")
_NATIVE = (
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "prediction",
    "top_logprobs",
    "web_search_options",
)
"""Members that other protocols have no counterpart of."""
_NATIVE_UNLESS: Mapping[str, object] = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0}
"""The same, for another value than these."""
_NATIVE_PARTS = ("input_audio", "audio")


def read_chat(body: Mapping[str, Any]) -> Conversation:
    r"""What a chat asks.

    Raises:
        ChatError: Its messages are none.

    Example:
        >>> system = {"role": "system", "content": "Be brief."}
        >>> parts = [{"type": "text", "text": "And"}, {"type": "text", "text": "this?"}]
        >>> read_chat({"messages": [system, {"role": "user", "content": parts}]}).turns[1].text
        'And\nthis?'
    """
    messages = read_list(body.get("messages"), "messages", of="messages")
    form = body.get("response_format")
    kind = form.get("type") if isinstance(form, Mapping) else None
    return Conversation.of(
        [_read_turn(message) for message in messages],
        tools=body.get("tools") or body.get("functions"),
        wants_json=kind in ("json_object", "json_schema"),
        max_output_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        native=_list_native(body, kind, messages),
    )


def read_content(content: object, name: str = "messages") -> tuple[str, int]:
    """Text of a message's content, and how many images it has.

    Text parts are joined by line breaks; images and files have none.

    Raises:
        ChatError: It is neither text nor a list of parts.
    """
    if isinstance(content, str):
        return content, 0
    if content is None:
        return "", 0
    if not isinstance(content, list):
        raise ChatError(
            f"content is {show_value(content)}; expected text or a list of parts.", member=name
        )
    parts = [part for part in content if isinstance(part, Mapping)]
    texts = [part.get("text") for part in parts]
    num_images = sum(part.get("type") in _IMAGES for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str)), num_images


def _read_turn(message: Mapping[str, Any]) -> Turn:
    text, num_images = read_content(message.get("content"))
    named = message.get("role")
    role = _ROLES.get(named, "user") if isinstance(named, str) else "user"
    calls = tuple(_name_calls(message.get("tool_calls")))
    return Turn(role, text, num_images, calls, role == "tool" and tells_failure(text))


def _name_calls(calls: object) -> list[str]:
    functions = [
        call.get("function")
        for call in (calls if isinstance(calls, list) else ())
        if isinstance(call, Mapping)
    ]
    return [str(each.get("name")) for each in functions if isinstance(each, Mapping)]


def _list_native(
    body: Mapping[str, Any], kind: object, messages: list[Mapping[str, Any]]
) -> list[str]:
    found = [name for name in _NATIVE if body.get(name)]
    found += [
        name
        for name, common in _NATIVE_UNLESS.items()
        if body.get(name) is not None and body[name] != common
    ]
    if kind == "json_object":
        found.append("response_format json_object")
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, Mapping) and tool.get("type") != "function":
            found.append(f"a tool of type {tool.get('type')}")
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") in _NATIVE_PARTS:
                found.append(f"a part of type {part['type']}")
    return found
