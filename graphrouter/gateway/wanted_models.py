"""Which model a request asks for: one by name, or whichever is best by a policy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.policy import PRESETS, Policy, parse_policy
from graphrouter.wording import show_value, suggest

__all__ = ["AUTO", "OWN_KEY", "Wanted", "list_words", "read_wanted"]

AUTO = "auto"
OWN_KEY = "graphrouter"
"""Member of a request's body that is for the router alone, and never sent on."""
_OWN_KEYS = ("policy", "task")


class Wanted(NamedTuple):
    """Which model a request asks for."""

    model: str | None
    """A model by name; None where the router chooses."""
    policy: Policy | None
    """None for the router's default."""
    task: str | None


def list_words() -> tuple[str, ...]:
    """What `model` may be to let the router choose."""
    return (AUTO, *(f"{AUTO}:{preset}" for preset in PRESETS))


def read_wanted(body: Mapping[str, Any], names: Collection[str], policy: Policy | None) -> Wanted:
    """Which model, policy and task a request asks for.

    `model` is a model by name, `auto`, or `auto:PRESET`; the member `graphrouter` of the body may
    hold settings of a `policy`, and the `task`.

    Args:
        body: Of the request.
        names: Models that may be named.
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
    if model in names:
        return Wanted(model, policy, task)
    kind, _, preset = model.partition(":")
    if kind == AUTO and not preset:
        return Wanted(None, policy, task)
    if kind == AUTO and preset in PRESETS:
        return Wanted(None, Policy.preset(preset), task)
    hint = suggest(model, [*list_words(), *names], "There are: ")
    raise ApiError(404, f"There is no model {model!r}. {hint}", "model", code="model_not_found")
