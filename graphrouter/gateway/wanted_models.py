"""Which model a request asks for: one by name, or whichever is best by a policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from graphrouter.exceptions import DataError, GraphRouterError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.stated_policies import read_policy_text, read_stated_policy
from graphrouter.gateway.store.client_keys import ClientKey
from graphrouter.number_checks import is_amount
from graphrouter.policy import PRESETS, Policy
from graphrouter.query_views import Context, Embedding, read_context
from graphrouter.wording import show_value, suggest

__all__ = ["AUTO", "OWN_KEY", "PREFIX", "Wanted", "list_words", "read_wanted"]

AUTO = "auto"
OWN_KEY = "graphrouter"
"""Member of a request's body that is for the router alone, and never sent on."""
PREFIX = "x-graphrouter-"
"""Of headers that are for the router, and of those that say who answered and why."""
LONGEST_S = 86_400
"""Of a deadline: a day."""
_LONGEST_NAME = 200
_OWN_KEYS = ("context", "deadline_s", "embedding", "policy", "task", "team", "user")
_THRESHOLD = re.compile(r"router-graph-([0-9]*\.?[0-9]+)")
"""RouteLLM's grammar, `router-[ROUTER NAME]-[THRESHOLD]` (Ong et al. 2024, its README)."""


class Wanted(NamedTuple):
    """Which model a request asks for."""

    model: str | None
    """A model by name; None where the router chooses."""
    policy: Policy | None
    """None for the router's default."""
    task: str | None
    route: str | None = None
    """The named route whose policy or models decide, whatever the prompt is like."""
    threshold: float | None = None
    """In [0, 1]: how sure the stronger of two models must be of the better answer to be asked."""
    deadline_s: float | None = None
    """Most seconds until the answer begins; None where the client waits."""
    context: Context | None = None
    """The documents that the prompt was made with, to be routed by; None where there are none."""
    embedding: Embedding | None = None
    """The vector that goes with it, likewise."""
    user: str | None = None
    """Who asks; None where the client names nobody."""
    team: str | None = None
    """The team of a user who is new."""


def list_words(state: ServingState) -> tuple[str, ...]:
    """What `model` may be to let the router choose, but for thresholds.

    Args:
        state: With the named routes.
    """
    routes = () if state.routes is None else state.routes.names
    return (AUTO, *(f"{AUTO}:{name}" for name in dict.fromkeys((*PRESETS, *routes))))


def read_wanted(
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    state: ServingState,
    key: ClientKey | None = None,
) -> Wanted:
    """Which model, policy and task a request asks for.

    `model` is a model by name, `auto`, `auto:PRESET`, `auto:ROUTE` or `router-graph-THRESHOLD`; the
    member `graphrouter` of the body may hold a `policy`, as settings or as the name of a preset,
    the `task`, `deadline_s`, and who asks as `user` and `team`; so may the headers
    `x-graphrouter-policy`, `-task`, `-deadline-s`, `-user` and `-team`. It may also hold a
    `context`, a text or a list of texts, and an `embedding`, a list of numbers or an object with
    `vector` and `encoder`. The member `user` of the APIs themselves is not read. The body counts
    before the headers, these before the policy or the route of the client's key, and all before the
    gateway.

    Args:
        body: Of the request.
        headers: Of the request, with small letters.
        state: What is served.
        key: The client's, which may have a policy and a route of its own.

    Raises:
        ApiError: There is no such model, preset or route, or a setting is not accepted.
    """
    model, own = body.get("model"), body.get(OWN_KEY, {})
    if not isinstance(own, Mapping):
        raise ApiError(400, f"{OWN_KEY} is {show_value(own)}; expected an object.", OWN_KEY)
    for name in own:
        if name not in _OWN_KEYS:
            hint = suggest(name, _OWN_KEYS, "It may hold: ")
            raise ApiError(400, f"{OWN_KEY}: unknown member {name!r}. {hint}", OWN_KEY)
    task = own.get("task", headers.get(f"{PREFIX}task"))
    if task is not None and not isinstance(task, str):
        raise ApiError(400, f"task is {show_value(task)}; expected a string.", f"{OWN_KEY}.task")
    user, team = (_read_person(own, headers, name) for name in ("user", "team"))
    stated = _read_policy(own.get("policy"), headers)
    policy = stated or _find_policy(key, state)
    context, embedding = _read_views(own)
    deadline_s = _read_deadline(own, headers)
    asked = Wanted(
        None,
        policy,
        task,
        deadline_s=deadline_s,
        context=context,
        embedding=embedding,
        user=user,
        team=team,
    )
    if not isinstance(model, str) or not model:
        raise ApiError(
            400, f"model is {show_value(model)}; expected auto or a model's name.", "model"
        )
    if model in state.names:
        return asked._replace(model=model)
    kind, _, word = model.partition(":")
    if kind == AUTO and not word:
        if stated is None and key is not None and key.route is not None:
            return _take_route(key.route, asked, state)
        return asked
    if kind == AUTO and word in PRESETS:
        return asked._replace(policy=Policy.preset(word))
    if kind == AUTO and state.routes is not None and word in state.routes.names:
        return _take_route(word, asked, state)
    if model.startswith("router-graph-"):
        return asked._replace(threshold=_read_threshold(model))
    hint = suggest(model, [*list_words(state), *state.names], "There are: ")
    raise ApiError(404, f"There is no model {model!r}. {hint}", "model", code="model_not_found")


def _read_views(own: Mapping[str, Any]) -> tuple[Context | None, Embedding | None]:
    """What goes with the prompt beside its text."""
    stated: Any = own.get("embedding")
    encoder = None
    if isinstance(stated, Mapping):
        stated, encoder = stated.get("vector"), stated.get("encoder")
    try:
        context = read_context(own.get("context"), f"{OWN_KEY}.context")
        if stated is None:
            return context, None
        return context, Embedding.of(stated, encoder, f"{OWN_KEY}.embedding")
    except DataError as error:
        raise ApiError(400, str(error), OWN_KEY) from None


def _read_person(own: Mapping[str, Any], headers: Mapping[str, str], name: str) -> str | None:
    """A user or a team; None where none is named, as by an empty header."""
    value = own.get(name)
    if value is None:
        return headers.get(f"{PREFIX}{name}", "").strip() or None
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_NAME:
        told = (
            f"{name} is {show_value(value)}; expected a name of up to {_LONGEST_NAME} characters."
        )
        raise ApiError(400, told, f"{OWN_KEY}.{name}")
    return value.strip()


def _read_deadline(own: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    name = f"{OWN_KEY}.deadline_s"
    value = own.get("deadline_s")
    if value is None and f"{PREFIX}deadline-s" in headers:
        name, value = f"{PREFIX}deadline-s", headers[f"{PREFIX}deadline-s"]
        with suppress(ValueError):  # what is no number is told below, as it was received
            value = float(value)
    if value is None:
        return None
    if not is_amount(value) or not 0 < value <= LONGEST_S:
        told = f"{name} is {show_value(value)}; expected seconds above 0, at most {LONGEST_S}."
        raise ApiError(400, told, name)
    return float(value)


def _take_route(name: str, asked: Wanted, state: ServingState) -> Wanted:
    """The same, whose named route decides."""
    if state.routes is None or name not in state.routes.names:
        raise ApiError(400, f"The route {name!r} of the key is not served; name one.", "model")
    try:
        return asked._replace(policy=state.routes[name].apply(asked.policy), route=name)
    except GraphRouterError as error:
        raise ApiError(400, str(error), "model") from None


def _find_policy(key: ClientKey | None, state: ServingState) -> Policy | None:
    """What decides where a request states nothing."""
    if key is None or key.policy is None:
        return state.policy
    source = f"the policy of the key {key.name!r}"
    try:
        return read_policy_text(key.policy, source)
    except GraphRouterError as error:
        raise ApiError(400, str(error)) from None


def _read_policy(stated: object, headers: Mapping[str, str]) -> Policy | None:
    """What a request states, in its body or a header; None where it states nothing."""
    source, header = f"{OWN_KEY}.policy", headers.get(f"{PREFIX}policy")
    try:
        if stated is not None:
            return read_stated_policy(stated, source)
        source = f"{PREFIX}policy"
        return None if header is None else read_policy_text(header, source)
    except GraphRouterError as error:
        raise ApiError(400, str(error), source) from None


def _read_threshold(model: str) -> float:
    found = _THRESHOLD.fullmatch(model)
    if found is None or float(found[1]) > 1:
        raise ApiError(
            404,
            f"{model!r} has no threshold; expected router-graph- and a number in [0, 1], such as "
            "router-graph-0.6.",
            "model",
            code="model_not_found",
        )
    return float(found[1])
