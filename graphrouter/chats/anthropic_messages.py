"""Requests of `POST /v1/messages`, as Anthropic's API has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphrouter.chats.conversation import Conversation, Turn, read_list, tells_failure
from graphrouter.exceptions import ChatError
from graphrouter.wording import show_value

__all__ = ["read_blocks", "read_messages"]

_NATIVE = ("container", "mcp_servers")
"""Members that other protocols have no counterpart of."""
_NATIVE_BLOCKS = ("server_tool_use", "container_upload", "search_result", "mcp_tool_use")


def read_messages(body: Mapping[str, Any]) -> Conversation:
    """What a request asks.

    Raises:
        ChatError: Its messages are none.

    Example:
        >>> result = {"type": "tool_result", "tool_use_id": "a", "content": "7", "is_error": True}
        >>> read_messages({"messages": [{"role": "user", "content": [result]}]}).turns
        (Turn(role='tool', text='7', num_images=0, calls=(), has_failed=True),)
    """
    messages = read_list(body.get("messages"), "messages", of="messages")
    turns = [] if body.get("system") is None else [Turn("system", _join(body["system"], "system"))]
    for message in messages:
        turns += _read_turns(message)
    output = body.get("output_config")
    is_shaped = isinstance(output, Mapping) and output.get("format") is not None
    return Conversation.of(
        turns,
        tools=body.get("tools"),
        wants_json=is_shaped or body.get("output_format") is not None,
        max_output_tokens=body.get("max_tokens"),
        native=list(_list_native(body, messages)),
    )


def read_blocks(content: object, name: str = "messages") -> list[Mapping[str, Any]]:
    """Content as a list of blocks.

    Raises:
        ChatError: It is neither text nor a list of blocks.

    Example:
        >>> read_blocks("Hello.")
        [{'type': 'text', 'text': 'Hello.'}]
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(each, Mapping) for each in content):
        raise ChatError(
            f"content is {show_value(content)}; expected text or a list of blocks.", member=name
        )
    return content


def _join(content: object, name: str = "messages") -> str:
    texts = [block.get("text") for block in read_blocks(content, name)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _count_images(blocks: list[Mapping[str, Any]]) -> int:
    return sum(block.get("type") == "image" for block in blocks)


def _read_turns(message: Mapping[str, Any]) -> Iterator[Turn]:
    blocks = read_blocks(message.get("content"))
    if message.get("role") == "assistant":
        calls = tuple(str(each.get("name")) for each in blocks if each.get("type") == "tool_use")
        yield Turn("assistant", _join(blocks), calls=calls)
        return
    for block in blocks:
        if block.get("type") == "tool_result":
            text, inner = _join(block.get("content")), read_blocks(block.get("content"))
            has_failed = block.get("is_error") is True or tells_failure(text)
            yield Turn("tool", text, _count_images(inner), has_failed=has_failed)
    said = [block for block in blocks if block.get("type") != "tool_result"]
    if said or not blocks:
        is_system = message.get("role") == "system"
        yield Turn("system" if is_system else "user", _join(said), _count_images(said))


def _list_native(body: Mapping[str, Any], messages: list[Mapping[str, Any]]) -> Iterator[str]:
    yield from (name for name in _NATIVE if body.get(name))
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, Mapping) and tool.get("type") not in (None, "custom"):
            yield f"a tool of type {tool['type']}"
    for message in messages:
        for block in read_blocks(message.get("content")):
            if block.get("type") in _NATIVE_BLOCKS:
                yield f"a block of type {block['type']}"
