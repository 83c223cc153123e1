"""Changes of what a gateway serves, as values: each makes another state of the one that serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from graphrouter.exceptions import ConfigError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.request_bodies import read_mapping
from graphrouter.gateway.serving_state import ReadArtifact, ServingState, Trial
from graphrouter.gateway.stated_policies import read_stated_policy
from graphrouter.gateway.token_prices import TokenPrices, to_nanousd
from graphrouter.gateway.upstreams import Deployment
from graphrouter.number_checks import is_amount
from graphrouter.pool import ModelCard, parse_card
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes
from graphrouter.wording import show_value, suggest

__all__ = ["AdminChange", "AdminChanger", "ChangeKind", "check_known"]

ChangeKind = Literal[
    "model added",
    "model changed",
    "model removed",
    "policy",
    "routes",
    "reload",
    "promote",
    "abort",
]
OF_BOTH = ("model added", "model changed", "model removed", "policy", "routes")
"""Kinds that change an artifact on trial as they change the one that serves."""
_PRICES = ("input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok")
_OF_NEW = ("card", "like", "model", "outcomes", "parameters")
_OF_RELOAD = ("by_reward", "share")
_OF_ROUTES = ("none_share", "routes")


class AdminChange(NamedTuple):
    """A change of what is served."""

    kind: ChangeKind
    body: Mapping[str, Any]
    """What the admin has sent."""
    name: str | None = None
    """Of a model."""
    at: float = 0.0
    """When it was made, in seconds since 1970."""

    def __str__(self) -> str:
        """In words, for the log."""
        if self.kind == "model changed":
            return f"{self.kind}: {self.name}: {', '.join(self.body)}"
        return self.kind if self.name is None else f"{self.kind}: {self.name}"


class AdminChanger:
    """Makes changes of what is served; addresses and keys come from the operator's file alone."""

    def __init__(
        self,
        filed: Mapping[str, Sequence[Deployment]],
        load: Callable[[], ReadArtifact] | None = None,
    ) -> None:
        """What changes may draw on.

        Args:
            filed: Deployments of the operator's file, by model.
            load: Reads the artifact again; None where it is not known from where.
        """
        self._filed = {name: tuple(several) for name, several in filed.items()}
        self._load = load

    def apply(self, change: AdminChange, state: ServingState) -> ServingState:
        """What is served after a change, at the next revision.

        An artifact on trial is changed as the one that serves.

        Args:
            change: The change.
            state: What is served before it.

        Raises:
            GraphRouterError: It cannot be made.
            ApiError: It cannot be made; 404 where it is of a model that is not there.
        """
        revision = state.revision + 1
        made = self._make(change, state, revision)
        made = replace(made, revision=revision)
        trial = made.trial
        if trial is not None:
            on_trial = trial.state
            if change.kind in OF_BOTH:
                on_trial = self._make(change, on_trial, revision)
            on_trial = replace(on_trial, revision=revision, trial=None)
            made = replace(made, trial=replace(trial, state=on_trial))
            check_serves(on_trial)
        check_serves(made)
        return made

    def _make(self, change: AdminChange, state: ServingState, revision: int) -> ServingState:
        if change.kind == "model added":
            return self._add(change.body, state)
        if change.kind == "model changed":
            return _update(change, state)
        if change.kind == "model removed":
            return _remove(str(change.name), state)
        if change.kind == "policy":
            return replace(state, policy=read_stated_policy(change.body.get("policy"), "policy"))
        if change.kind == "routes":
            return replace(state, routes=_read_routes(change.body))
        if change.kind == "reload":
            return self._reload(change, state, revision)
        if state.trial is None:
            raise ApiError(409, "No artifact is on trial; POST /admin/reload with a share begins.")
        if change.kind == "promote":
            return state.trial.state
        return replace(state, trial=None)

    def _add(self, body: Mapping[str, Any], state: ServingState) -> ServingState:
        """With a model: `card`, and perhaps `like`, `model`, `parameters`, `outcomes`."""
        for member in body:
            if member not in _OF_NEW:
                hint = suggest(member, _OF_NEW, "It may hold: ")
                raise ApiError(400, f"Unknown member {member!r}. {hint}", member)
        card = parse_card(dict(read_mapping(body.get("card"), "card")), source="card")
        more = {"outcomes": _read_outcomes(body["outcomes"])} if body.get("outcomes") else {}
        router = _call(state.router, "add_model", card, **more)
        served = self._serve(router.pool[card.model], body)
        return replace(state, router=router, deployments={**state.deployments, **served})

    def _serve(self, card: ModelCard, body: Mapping[str, Any]) -> dict[str, tuple[Deployment, ...]]:
        """Where a new model is served: as the file says of it, or of the one that it is like."""
        like = body.get("like", card.model)
        if not isinstance(like, str) or like not in self._filed:
            hint = suggest(like, self._filed, "The file has: ")
            raise ApiError(
                400,
                f"like is {show_value(like)}; expected a name in the file of upstreams, under "
                f"whose address and key the model is served. {hint}",
                "like",
            )
        name, parameters = body.get("model"), body.get("parameters") or {}
        if not isinstance(name, str | None) or not isinstance(parameters, Mapping):
            raise ApiError(400, "Expected text as model, and an object as parameters.", "model")
        own = like == card.model
        at_provider = name or card.base or (None if own else card.model)
        served = []
        for each in self._filed[like]:
            sent = {**(card.parameters or {}), **(each.body if own else {}), **parameters}
            sent["model"] = at_provider or each.body["model"]
            placed = each._replace(candidate=card.model, body=sent)
            served.append(placed if own else placed._replace(prices=None))
        return {card.model: tuple(_set_price(each, card, {}) for each in served)}

    def _reload(self, change: AdminChange, state: ServingState, revision: int) -> ServingState:
        """With the artifact as it is now, for all sessions or on trial for a share of them."""
        share, by_reward = _read_trial_terms(change.body)
        if self._load is None:
            raise ApiError(400, "The gateway was started without an artifact to read again.")
        if state.trial is not None:
            raise ApiError(
                409,
                "An artifact is on trial. Decide on it first, with POST /admin/reload/promote or "
                "/admin/reload/abort.",
            )
        name, router = self._load()
        if share is not None and name == state.artifact:
            raise ApiError(
                409, "The artifact has not changed, so there is nothing to try. Write the new one."
            )
        served = {
            each: self._filed.get(each) or state.deployments.get(each)
            for each in (*router.models, *self._filed)
        }
        gone = set(state.router.models) - set(router.models)
        found = {each: told for each, told in served.items() if told and each not in gone}
        new = replace(state, router=router, deployments=found, artifact=name)
        if share is None:
            return new
        return replace(state, trial=Trial(revision, share, change.at, new, by_reward))


def _read_trial_terms(body: Mapping[str, Any]) -> tuple[float | None, bool]:
    """The share of the sessions that an artifact is tried on, None for all; whether by reward."""
    for member in body:
        if member not in _OF_RELOAD:
            hint = suggest(member, _OF_RELOAD, "It may hold: ")
            raise ApiError(400, f"Unknown member {member!r}. {hint}", member)
    share, by_reward = body.get("share"), body.get("by_reward", False)
    if share is not None and not (is_amount(share) and 0 < share < 1):
        told = f"share is {show_value(share)}; expected a number between 0 and 1, or none for all."
        raise ApiError(400, told, "share")
    if not isinstance(by_reward, bool):
        told = f"by_reward is {show_value(by_reward)}; expected true or false."
        raise ApiError(400, told, "by_reward")
    return share, by_reward


def check_serves(state: ServingState) -> None:
    """Refuse what could not answer a prompt, before it serves.

    Raises:
        GraphRouterError: What `Router.route` raises.
    """
    state.router.route("Hello.", policy=state.policy, routes=state.routes, unavailable=state.absent)


def _update(change: AdminChange, state: ServingState) -> ServingState:
    """With other fields of a card, prices among them."""
    body, name = change.body, str(change.name)
    if body.get("model", name) != name:
        raise ApiError(400, "A model keeps its name; add one of another name.", "model")
    fields = {key: value for key, value in body.items() if key != _PRICES[1]}
    stated = state.router.pool[check_known(name, state)].model_dump(
        by_alias=True, exclude_none=True
    )
    card = parse_card({**stated, **fields}, source="card")
    router = _call(state.router, "update_card", card) if fields else state.router
    served = dict(state.deployments)
    if name in served:
        served[name] = tuple(_set_price(each, card, body) for each in served[name])
    return replace(state, router=router, deployments=served)


def _remove(name: str, state: ServingState) -> ServingState:
    check_known(name, state)
    router = _call(state.router, "remove_model", name)
    left = {key: each for key, each in state.deployments.items() if key != name}
    return replace(state, router=router, deployments=left)


def _read_routes(body: Mapping[str, Any]) -> Routes | None:
    """Named routes as a file of routes has them; None where there are to be none."""
    for member in body:
        if member not in _OF_ROUTES:
            hint = suggest(member, _OF_ROUTES, "It may hold: ")
            raise ApiError(400, f"Unknown member {member!r}. {hint}", member)
    if "routes" not in body:
        raise ApiError(400, "routes is missing; expected a list, or null for none.", "routes")
    if body["routes"] is None:
        return None
    try:
        return Routes(body["routes"], none_share=body.get("none_share", 0.5))
    except ConfigError as error:
        raise ApiError(400, str(error), "routes") from None


def check_known(name: str, state: ServingState) -> str:
    """The name of a model of the pool.

    Raises:
        ApiError: There is none.
    """
    if name not in state.router.models:
        hint = suggest(name, state.router.models, "The pool: ")
        raise ApiError(404, f"There is no model {name!r}. {hint}", code="model_not_found")
    return name


def _call(router: Router, method: str, *args: Any, **more: Any) -> Any:
    """What a method of the router gives, which not every kind of router has."""
    found = getattr(router, method, None)
    if found is None or (method == "add_model" and not router.can_extend):
        raise ApiError(400, f"A router of kind {router.name} cannot do that while it serves.")
    return found(*args, **more)


def _read_outcomes(rows: object) -> Any:
    import pandas as pd

    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ApiError(400, f"outcomes is {show_value(rows)}; expected a list.", "outcomes")
    return pd.DataFrame(rows)


def _set_price(deployment: Deployment, card: ModelCard, stated: Mapping[str, Any]) -> Deployment:
    """The deployment at the prices that are stated, else at its own, else at those of the card."""
    own = deployment.prices or TokenPrices.of_usd(card.input_usd_per_mtok, card.output_usd_per_mtok)
    given = [stated.get(name) for name in _PRICES]
    cached = given[1]
    if cached is not None and not (isinstance(cached, int | float) and 0 <= cached < 1e9):
        raise ApiError(400, f"{_PRICES[1]} is {show_value(cached)}; expected dollars.", _PRICES[1])
    new = (old if usd is None else to_nanousd(usd) for usd, old in zip(given, own, strict=True))
    return deployment._replace(prices=TokenPrices(*new))
