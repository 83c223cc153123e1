"""Anthropic's messages for an upstream of OpenAI's API: requests there, answers back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphrouter.chats.anthropic_messages import read_blocks
from graphrouter.chats.conversation import read_list
from graphrouter.gateway.request_bodies import read_mapping
from graphrouter.gateway.translation.translator import read_arguments

__all__ = ["STOP_REASONS", "read_answer", "read_usage_as_messages", "write_chat"]

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Anthropic's `stop_reason` for OpenAI's `finish_reason`."""
_SAME = ("temperature", "top_p", "stream")
_TRANSLATED = (
    *_SAME,
    "max_tokens",
    "messages",
    "metadata",
    "output_config",
    "output_format",
    "stop_sequences",
    "system",
    "thinking",
    "tool_choice",
    "tools",
)
_HINTS = ("cache_control", "context_management", "diagnostics", "service_tier", "speed")
"""Members that change no answer and that OpenAI's API has no counterpart of: they are left out."""
_EFFORTS = ((4_000, "low"), (16_000, "medium"))
"""Most tokens of thinking for an effort; more is high."""


def write_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request as a chat; members that are not known pass as they are.

    Raises:
        ApiError: A part of it is not of the form that Anthropic's API has.

    Example:
        >>> asked = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello."}]}
        >>> write_chat(asked)["messages"]
        [{'role': 'user', 'content': 'Hello.'}]
    """
    chat = {name: body[name] for name in body if name not in (*_TRANSLATED, *_HINTS)}
    chat |= {name: body[name] for name in _SAME if name in body}
    messages: list[dict[str, Any]] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _join_texts(body["system"], "system")})
    for message in read_list(body.get("messages"), "messages", of="messages"):
        messages += _write_messages(message)
    chat["messages"] = messages
    if "max_tokens" in body:
        chat["max_completion_tokens"] = body["max_tokens"]
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    if body.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    user = read_mapping(body.get("metadata") or {}, "metadata").get("user_id")
    if user is not None:
        chat["user"] = user
    chat |= _write_tools(body)
    chat |= _write_output(body)
    return chat


def read_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion as a message.

    Raises:
        LookupError: It has no choice; TypeError and AttributeError for other forms.
    """
    choice = answer["choices"][0]
    message = choice["message"]
    content: list[dict[str, Any]] = []
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str):
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    text = message.get("content") or message.get("refusal")
    if text:
        content.append({"type": "text", "text": text})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        arguments = read_arguments(function.get("arguments"))
        called = {"id": call["id"], "name": function["name"], "input": arguments}
        content.append({"type": "tool_use", **called})
    reason = STOP_REASONS.get(choice.get("finish_reason"), "end_turn")
    return {
        "id": f"msg_{answer.get('id')}",
        "type": "message",
        "role": "assistant",
        "model": answer.get("model"),
        "content": content,
        "stop_reason": "refusal" if message.get("refusal") else reason,
        "stop_sequence": None,
        "usage": read_usage_as_messages(answer.get("usage")),
    }


def read_usage_as_messages(usage: Mapping[str, Any] | None) -> dict[str, int]:
    """Tokens as Anthropic counts them: those from a cache are not among the input.

    Example:
        >>> told = {"prompt_tokens": 9, "completion_tokens": 2}
        >>> read_usage_as_messages(told | {"prompt_tokens_details": {"cached_tokens": 4}})
        {'input_tokens': 5, 'cache_read_input_tokens': 4, 'output_tokens': 2}
    """
    told = usage or {}
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return {
        "input_tokens": max((told.get("prompt_tokens") or 0) - cached, 0),
        "cache_read_input_tokens": cached,
        "output_tokens": told.get("completion_tokens") or 0,
    }


def _write_messages(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content, role = message.get("content"), message.get("role")
    blocks = read_blocks(content)
    if role == "assistant":
        yield _write_assistant(blocks)
        return
    shown: list[dict[str, Any]] = []  # images of results, which a tool's message cannot hold
    for block in blocks:
        if block.get("type") == "tool_result":
            inner = read_blocks(block.get("content"))
            text = _join_texts(inner)
            if block.get("is_error") is True:
                text = f"Error: {text}"
            answered = {"tool_call_id": block.get("tool_use_id"), "content": text}
            yield {"role": "tool", **answered}
            shown += [_write_part(each) for each in inner if each.get("type") != "text"]
    said = [_write_part(each) for each in blocks if each.get("type") != "tool_result"]
    if isinstance(content, str):
        yield {"role": role, "content": content}
    elif shown or said:
        yield {"role": role, "content": shown + said}


def _write_assistant(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    calls = [
        {
            "id": block.get("id"),
            "type": "function",
            "function": {
                "name": block.get("name"),
                "arguments": json.dumps(block.get("input") or {}),
            },
        }
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    written: dict[str, Any] = {"role": "assistant", "content": _join_texts(blocks) or None}
    return {**written, "tool_calls": calls} if calls else written


def _write_part(block: Mapping[str, Any]) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": block.get("text", "")}
    source = read_mapping(block.get("source") or {}, "source")
    url = source.get("url")
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    if source.get("type") == "text":  # a document that is plain text
        return {"type": "text", "text": source.get("data", "")}
    if kind == "document":
        name = block.get("title") or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": url}}
    return dict(block)  # what is not known passes, for the upstream to judge


def _join_texts(content: object, name: str = "messages") -> str:
    texts = [block.get("text") for block in read_blocks(content, name)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _write_tools(body: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if body.get("tools"):
        written["tools"] = [
            {"type": "function", "function": _write_function(tool)}
            for tool in read_list(body["tools"], "tools", of="tools")
        ]
    choice = read_mapping(body.get("tool_choice") or {}, "tool_choice")
    if choice.get("type") == "tool":
        chosen = {"name": choice.get("name")}
        written["tool_choice"] = {"type": "function", "function": chosen}
    elif choice:
        words = {"any": "required"}
        written["tool_choice"] = words.get(str(choice.get("type")), choice.get("type"))
    if choice.get("disable_parallel_tool_use"):
        written["parallel_tool_calls"] = False
    return written


def _write_function(tool: Mapping[str, Any]) -> dict[str, Any]:
    names = {"name": "name", "description": "description", "input_schema": "parameters"}
    written = {new: tool[old] for old, new in names.items() if old in tool}
    return written | ({"strict": tool["strict"]} if "strict" in tool else {})


def _write_output(body: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    output = read_mapping(body.get("output_config") or {}, "output_config")
    form = output.get("format") or body.get("output_format")
    if form:
        schema = {"name": "answer", "schema": read_mapping(form, "format").get("schema")}
        written["response_format"] = {
            "type": "json_schema",
            "json_schema": {**schema, "strict": True},
        }
    effort = output.get("effort")
    thinking = read_mapping(body.get("thinking") or {}, "thinking")
    budget = thinking.get("budget_tokens")
    if effort is None and thinking.get("type") == "enabled" and isinstance(budget, int):
        effort = next((word for most, word in _EFFORTS if budget <= most), "high")
    if effort is not None:
        written["reasoning_effort"] = "high" if effort == "max" else effort
    return written
