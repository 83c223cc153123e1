"""Requests of `POST /v1/responses`, as OpenAI's API has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrouter.chats.chat_completions import read_content
from graphrouter.chats.conversation import Conversation, Turn, read_list, tells_failure
from graphrouter.exceptions import ChatError
from graphrouter.wording import show_value

__all__ = ["read_response_request"]

_CALLS = ("function_call", "custom_tool_call")


def read_response_request(body: Mapping[str, Any]) -> Conversation:
    """What a request asks; what came before in a stored response is with its upstream alone.

    Raises:
        ChatError: `input` is neither text nor a list of items.

    Example:
        >>> read_response_request({"input": "Hello.", "instructions": "Be brief."}).turns[1].text
        'Hello.'
    """
    given, turns = body.get("input"), []
    if isinstance(body.get("instructions"), str):
        turns.append(Turn("system", body["instructions"]))
    if isinstance(given, str):
        turns.append(Turn("user", given))
    elif given is not None or body.get("prompt") is None:  # a stored prompt may stand for it
        if not isinstance(given, list):
            raise ChatError(
                f"input is {show_value(given)}; expected text or a list of items.", member="input"
            )
        turns += [_read_item(item) for item in read_list(given, "input", of="items")]
    text = body.get("text")
    form = text.get("format") if isinstance(text, Mapping) else None
    kind = form.get("type") if isinstance(form, Mapping) else None
    return Conversation.of(
        turns,
        tools=body.get("tools"),
        wants_json=kind in ("json_object", "json_schema"),
        max_output_tokens=body.get("max_output_tokens"),
    )


def _read_item(item: Mapping[str, Any]) -> Turn:
    kind = item.get("type")
    if kind in _CALLS:
        return Turn("assistant", "", calls=(str(item.get("name")),))
    if isinstance(kind, str) and kind.endswith("_call_output"):
        output = item.get("output")
        text = read_content(output, "input")[0] if isinstance(output, str | list) else ""
        return Turn("tool", text, has_failed=tells_failure(text))
    if kind not in (None, "message"):  # reasoning, calls of tools at the provider, references
        return Turn("assistant", "")
    text, num_images = read_content(item.get("content"), "input")
    role = item.get("role")
    if role in ("system", "developer"):
        return Turn("system", text, num_images)
    return Turn("assistant" if role == "assistant" else "user", text, num_images)
