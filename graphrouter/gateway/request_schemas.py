"""What bodies of requests may hold, as the OpenAPI document tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["describe_body"]

_OBJECT: Mapping[str, Any] = {"type": "object"}
_TEXT: Mapping[str, Any] = {"type": "string"}
_OBJECTS: Mapping[str, Any] = {"type": "array", "items": _OBJECT}
_PARTS: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"type": {"type": "string", "examples": ["text"]}, "text": _TEXT},
        "required": ["type"],
    },
}
_CONTENT: Mapping[str, Any] = {"anyOf": [_TEXT, _PARTS]}
_NUMBERS: Mapping[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 1}
_EMBEDDING: Mapping[str, Any] = {
    "type": "object",
    "properties": {"vector": _NUMBERS, "encoder": _TEXT},
    "required": ["vector"],
}
_OWN: Mapping[str, Any] = {
    "type": "object",
    "description": "For the router alone; never sent on.",
    "properties": {
        "policy": {"anyOf": [_TEXT, _OBJECT]},
        "task": _TEXT,
        "user": _TEXT,
        "team": _TEXT,
        "context": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        "embedding": {"anyOf": [_NUMBERS, _EMBEDDING]},
        "deadline_s": {"type": "number", "exclusiveMinimum": 0, "maximum": 86400},
    },
    "additionalProperties": False,
}
_MODEL: Mapping[str, Any] = {
    "type": "string",
    "description": "auto, auto:PRESET, auto:ROUTE, router-graph-THRESHOLD, or a model by name.",
    "examples": ["auto"],
}


def _messages(*roles: str) -> dict[str, Any]:
    return {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {"role": {"enum": roles}, "content": _CONTENT},
            "required": ["role", "content"],
        },
    }


def _request(required: tuple[str, ...], **properties: Mapping[str, Any]) -> dict[str, Any]:
    own = {"model": _MODEL, "graphrouter": _OWN, "stream": {"type": "boolean"}}
    return {"type": "object", "properties": {**own, **properties}, "required": list(required)}


_CHAT = _messages("system", "developer", "user", "assistant", "tool")
_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "chat": _request(
        ("model", "messages"), messages=_CHAT, tools=_OBJECTS, response_format=_OBJECT
    ),
    "responses": _request(
        ("model", "input"),
        input={"anyOf": [_TEXT, _OBJECTS]},
        instructions=_TEXT,
        previous_response_id=_TEXT,
        tools=_OBJECTS,
    ),
    "messages": _request(
        ("model", "messages", "max_tokens"),
        messages=_messages("user", "assistant"),
        system=_CONTENT,
        max_tokens={"type": "integer", "minimum": 1},
        tools=_OBJECTS,
        tool_choice=_OBJECT,
        metadata=_OBJECT,
    ),
    "count_tokens": _request(
        ("model", "messages"), messages=_messages("user", "assistant"), system=_CONTENT
    ),
    "completions": _request(("model", "prompt"), prompt=_TEXT),
    "embeddings": _request(
        ("model", "input"), input={"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
    ),
    "route": {
        "type": "object",
        "properties": {
            "prompt": _TEXT,
            "messages": _CHAT,
            "steps": _OBJECTS,
            "budget_usd": {"type": "number", "minimum": 0},
            "graphrouter": _OWN,
        },
    },
    "new_model": {
        "type": "object",
        "properties": {
            "card": {"type": "object", "properties": {"model": _TEXT}, "required": ["model"]},
            "like": _TEXT,
            "model": _TEXT,
            "parameters": _OBJECT,
            "outcomes": _OBJECTS,
        },
        "required": ["card"],
        "additionalProperties": False,
    },
    "card": {
        "type": "object",
        "properties": {
            "description": _TEXT,
            "input_usd_per_mtok": {"type": "number", "minimum": 0},
            "cached_input_usd_per_mtok": {"type": "number", "minimum": 0},
            "output_usd_per_mtok": {"type": "number", "minimum": 0},
        },
    },
    "policy": {
        "type": "object",
        "properties": {"policy": {"anyOf": [_TEXT, _OBJECT]}},
        "required": ["policy"],
    },
    "routes": {
        "type": "object",
        "properties": {
            "routes": {"anyOf": [_OBJECTS, {"type": "null"}]},
            "none_share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        },
        "required": ["routes"],
        "additionalProperties": False,
    },
    "reload": {
        "type": "object",
        "properties": {
            "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "by_reward": {"type": "boolean"},
        },
        "additionalProperties": False,
    },
}


def describe_body(name: str) -> dict[str, Any] | None:
    """What an endpoint adds to the OpenAPI document.

    Args:
        name: Of a form of requests, or of what an endpoint of the gateway's own takes.

    Example:
        >>> describe_body("chat")["requestBody"]["required"]
        True
    """
    if name not in _SCHEMAS:
        return None
    content = {"application/json": {"schema": _SCHEMAS[name]}}
    return {"requestBody": {"required": True, "content": content}}
