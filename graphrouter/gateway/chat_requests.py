"""What a chat asks of the router: the text to route by, what it needs, and by which policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.policy import PRESETS, Policy, parse_policy
from graphrouter.pool import ModelPool
from graphrouter.wording import show_value, suggest

__all__ = ["Wanted", "find_incapable", "read_prompt", "read_wanted"]

AUTO = "auto"
OWN_KEY = "graphrouter"
"""Member of a request's body that is for the router alone, and never sent on."""
_OWN_KEYS = ("policy", "task")
_IMAGES = ("image_url", "input_image", "image")


class Wanted(NamedTuple):
    """Which model a request asks for."""

    model: str | None
    """A model of the pool; None where the router chooses."""
    policy: Policy | None
    """None for the router's default."""
    task: str | None


def read_wanted(body: Mapping[str, Any], pool: ModelPool, policy: Policy | None) -> Wanted:
    """Which model, policy and task a request asks for.

    `model` is a model of the pool, `auto`, or `auto:PRESET`; the member `graphrouter` of the body
    may hold settings of a `policy`, and the `task`.

    Args:
        body: Of the request.
        pool: Of the router.
        policy: The gateway's, where the request states none.

    Raises:
        ApiError: There is no such model or preset, or a setting is not accepted.
    """
    model, own = body.get("model"), body.get(OWN_KEY, {})
    if not isinstance(own, Mapping):
        raise ApiError(400, f"{OWN_KEY} is {show_value(own)}; expected an object.", OWN_KEY)
    for name in own:
        if name not in _OWN_KEYS:
            hint = suggest(name, _OWN_KEYS, "It may hold: ")
            raise ApiError(400, f"{OWN_KEY}: unknown member {name!r}. {hint}", OWN_KEY)
    task = own.get("task")
    if task is not None and not isinstance(task, str):
        raise ApiError(400, f"task is {show_value(task)}; expected a string.", f"{OWN_KEY}.task")
    if own.get("policy") is not None:
        try:
            policy = parse_policy(own["policy"], source=f"{OWN_KEY}.policy")
        except GraphRouterError as error:
            raise ApiError(400, str(error), f"{OWN_KEY}.policy") from None
    if not isinstance(model, str) or not model:
        raise ApiError(
            400, f"model is {show_value(model)}; expected auto or a model's name.", "model"
        )
    if model in pool.index:
        return Wanted(model, policy, task)
    kind, _, preset = model.partition(":")
    if kind == AUTO and not preset:
        return Wanted(None, policy, task)
    if kind == AUTO and preset in PRESETS:
        return Wanted(None, Policy.preset(preset), task)
    known = [AUTO, *(f"{AUTO}:{each}" for each in PRESETS), *pool.names]
    hint = suggest(model, known, "There are: ")
    raise ApiError(404, f"There is no model {model!r}. {hint}", "model", code="model_not_found")


def read_prompt(messages: object) -> str:
    r"""The text that a chat is routed by: that of the last message of the user.

    Text parts of one message are joined by line breaks; images and files have none. What the system
    says is shared by many requests, and earlier turns have been answered: neither counts.

    Raises:
        ApiError: They are no list of messages, or none is the user's.

    Example:
        >>> system = {"role": "system", "content": "Be brief."}
        >>> parts = [{"type": "text", "text": "And"}, {"type": "text", "text": "this?"}]
        >>> read_prompt([system, {"role": "user", "content": parts}])
        'And\nthis?'
    """
    for message in reversed(_check_messages(messages)):
        if message.get("role") == "user":
            return _read_text(message.get("content"))
    raise ApiError(400, "messages has none with the role user, by which to route.", "messages")


def find_incapable(body: Mapping[str, Any], pool: ModelPool) -> frozenset[str]:
    """Models whose cards say that they cannot do what a request needs.

    Tools where it gives some, vision where a message holds an image, JSON output where it asks for
    it. A card that does not say is given the benefit of the doubt.
    """
    needs = {
        "tools": bool(body.get("tools") or body.get("functions")),
        "vision": _has_image(body.get("messages")),
        "json": _wants_json(body.get("response_format")),
    }
    wanted = [name for name, is_needed in needs.items() if is_needed]
    return frozenset(
        card.model for card in pool if any(card.has_capability(name) is False for name in wanted)
    )


def _check_messages(messages: object) -> Sequence[Mapping[str, Any]]:
    is_list = isinstance(messages, list) and bool(messages)
    if not is_list or not all(isinstance(each, Mapping) for each in messages):  # type: ignore[attr-defined]
        raise ApiError(
            400, f"messages is {show_value(messages)}; expected a list of messages.", "messages"
        )
    return messages  # type: ignore[return-value]


def _read_text(content: object) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise ApiError(
            400, f"content is {show_value(content)}; expected text or a list of parts.", "messages"
        )
    texts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _has_image(messages: object) -> bool:
    return any(
        part.get("type") in _IMAGES
        for message in _check_messages(messages)
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if isinstance(part, Mapping)
    )


def _wants_json(form: object) -> bool:
    return isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema")
