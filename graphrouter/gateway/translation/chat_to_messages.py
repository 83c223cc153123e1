"""OpenAI's chats for an upstream of Anthropic's API: requests there, answers back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphrouter.chats.conversation import read_list
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.request_bodies import read_mapping
from graphrouter.gateway.translation.translator import read_arguments
from graphrouter.wording import show_value

__all__ = ["FINISH_REASONS", "read_answer", "read_usage_as_chat", "write_messages"]

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""OpenAI's `finish_reason` for Anthropic's `stop_reason`."""
MAX_TOKENS = 4096
"""Anthropic's API asks for a limit; this one stands where neither request nor upstream has any."""
_SAME = ("temperature", "top_p", "stream")
_TRANSLATED = (
    *_SAME,
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "stop",
    "tool_choice",
    "tools",
    "user",
)
_HINTS = (
    "frequency_penalty",  # of the value that changes nothing; others go to no such upstream
    "metadata",
    "modalities",
    "n",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "service_tier",
    "store",
    "stream_options",
    "verbosity",
)
"""Members that Anthropic's API has no counterpart of: they are left out."""
_EFFORTS = {"minimal": "low", "xhigh": "max"}


def write_messages(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat as a request of Anthropic's; members that are not known pass as they are.

    Raises:
        ApiError: A part of it is not of the form that OpenAI's API has.

    Example:
        >>> write_messages({"messages": [{"role": "user", "content": "Hello."}]})["messages"]
        [{'role': 'user', 'content': [{'type': 'text', 'text': 'Hello.'}]}]
    """
    written = {name: body[name] for name in body if name not in (*_TRANSLATED, *_HINTS)}
    written |= {name: body[name] for name in _SAME if body.get(name) is not None}
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for message in read_list(body.get("messages"), "messages", of="messages"):
        if message.get("role") in ("system", "developer"):
            system += _write_parts(message.get("content"))
            continue
        role, blocks = _write_turn(message)
        if turns and turns[-1]["role"] == role:  # results of several tools are one turn
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    written["messages"] = turns
    if system:
        written["system"] = system
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if most is not None:
        written["max_tokens"] = most
    if body.get("stop"):
        stop = body["stop"]
        written["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if body.get("user") is not None:
        written["metadata"] = {"user_id": body["user"]}
    written |= _write_tools(body)
    written |= _write_output(body)
    return written


def read_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A message as a chat completion.

    Raises:
        LookupError: It has no content; TypeError and AttributeError for other forms.
    """
    texts, thoughts, calls = [], [], []
    for block in answer["content"]:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "thinking":
            thoughts.append(block["thinking"])
        elif block["type"] == "tool_use":
            function = {"name": block["name"], "arguments": json.dumps(block["input"])}
            calls.append({"id": block["id"], "type": "function", "function": function})
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    reason = FINISH_REASONS.get(answer.get("stop_reason") or "", "stop")
    return {
        "id": f"chatcmpl-{answer.get('id')}",
        "object": "chat.completion",
        "created": 0,
        "model": answer.get("model"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": read_usage_as_chat(answer.get("usage")),
    }


def read_usage_as_chat(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """Tokens as OpenAI counts them: those from a cache, and written to it, are in the prompt.

    Example:
        >>> told = {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 2}
        >>> read_usage_as_chat(told)
        {'prompt_tokens': 9, 'completion_tokens': 2, 'total_tokens': 11, \
'prompt_tokens_details': {'cached_tokens': 4}}
    """
    told = usage or {}
    cached = told.get("cache_read_input_tokens") or 0
    written = told.get("cache_creation_input_tokens") or 0
    prompt = (told.get("input_tokens") or 0) + cached + written
    answer = told.get("output_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _write_turn(message: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    role = message.get("role")
    parts = _write_parts(message.get("content"))
    if role == "tool":
        result = {"tool_use_id": message.get("tool_call_id"), "content": parts}
        return "user", [{"type": "tool_result", **result}]
    if role != "assistant":
        return "user", parts
    calls = message.get("tool_calls")
    for call in read_list(calls, "tool_calls", of="calls") if calls else ():
        function = read_mapping(call.get("function"), "tool_calls")
        arguments = read_arguments(function.get("arguments"))
        called = {"id": call.get("id"), "name": function.get("name"), "input": arguments}
        parts.append({"type": "tool_use", **called})
    return "assistant", parts


def _write_parts(content: object) -> list[dict[str, Any]]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_write_part(part) for part in _check_parts(content)]


def _check_parts(content: object) -> Iterator[Mapping[str, Any]]:
    if not isinstance(content, Sequence):
        raise ApiError(400, f"content is {show_value(content)}; expected text or a list.")
    for part in content:
        yield read_mapping(part, "messages")


def _write_part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return {"type": "text", "text": part.get(str(kind), "")}
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        return {"type": "image", "source": _write_source(url)}
    if kind == "file":
        file = read_mapping(part.get("file"), "file")
        return {"type": "document", "source": _write_source(file.get("file_data"))}
    return dict(part)  # what is not known passes, for the upstream to judge


def _write_source(url: object) -> dict[str, Any]:
    if not isinstance(url, str):
        raise ApiError(400, f"An image or file is at {show_value(url)}; expected a URL or data.")
    head, _, data = url.partition(";base64,")
    if head.startswith("data:"):
        return {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}
    return {"type": "url", "url": url}


def _write_tools(body: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if body.get("tools"):
        tools = read_list(body["tools"], "tools", of="tools")
        written["tools"] = [_write_tool(tool) for tool in tools]
    choice = body.get("tool_choice")
    words = {"required": "any", "auto": "auto", "none": "none"}
    if isinstance(choice, str):
        written["tool_choice"] = {"type": words.get(choice, choice)}
    elif choice is not None:
        function = read_mapping(choice, "tool_choice").get("function")
        name = read_mapping(function, "tool_choice").get("name")
        written["tool_choice"] = {"type": "tool", "name": name}
    if body.get("parallel_tool_calls") is False and "tools" in written:
        chosen = written.setdefault("tool_choice", {"type": "auto"})
        chosen["disable_parallel_tool_use"] = True
    return written


def _write_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = read_mapping(tool.get("function"), "tools")
    names = {"name": "name", "description": "description", "strict": "strict"}
    written = {new: function[old] for old, new in names.items() if function.get(old) is not None}
    written["input_schema"] = function.get("parameters") or {"type": "object"}
    return written


def _write_output(body: Mapping[str, Any]) -> dict[str, Any]:
    output: dict[str, Any] = {}
    form = read_mapping(body.get("response_format") or {}, "response_format")
    if form.get("type") == "json_schema":
        schema = read_mapping(form.get("json_schema"), "response_format").get("schema")
        output["format"] = {"type": "json_schema", "schema": schema}
    effort = body.get("reasoning_effort")
    if isinstance(effort, str) and effort != "none":
        output["effort"] = _EFFORTS.get(effort, effort)
    return {"output_config": output} if output else {}
