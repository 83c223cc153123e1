"""Changes of what the gateway serves while it serves: models, prices, policy, a new artifact."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.access import Access
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.request_bodies import read_body, read_mapping
from graphrouter.gateway.request_schemas import describe_body
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.stated_policies import read_stated_policy
from graphrouter.gateway.token_prices import TokenPrices, to_nanousd
from graphrouter.gateway.upstreams import Deployment
from graphrouter.pool import ModelCard, parse_card
from graphrouter.router.protocol import Router
from graphrouter.wording import show_value, suggest

if TYPE_CHECKING:
    from graphrouter.gateway.answering import Gateway

__all__ = ["PoolAdmin"]

Change = Callable[[ServingState], ServingState]
_PRICES = ("input_usd_per_mtok", "cached_input_usd_per_mtok", "output_usd_per_mtok")
_OF_NEW = ("card", "like", "model", "outcomes", "parameters")

logger = logging.getLogger(__name__)


class PoolAdmin:
    """The endpoints under `/admin`.

    Every change makes another state, which takes the place of the one before in one step: requests
    on their way finish on what they began with. Addresses and keys of upstreams come from the
    operator's file alone.
    """

    def __init__(
        self,
        gateway: Gateway,
        access: Access,
        *,
        load: Callable[[], Router] | None = None,
    ) -> None:
        """The administration of a gateway.

        Args:
            gateway: Whose state is changed.
            access: Who may.
            load: Reads the artifact again; None where it is not known from where.
        """
        self._gateway, self._access, self._load = gateway, access, load
        self._filed = dict(gateway.state.deployments)

    def add_endpoints(self, app: FastAPI) -> None:
        """Add the endpoints.

        Args:
            app: Of the gateway.
        """
        for method, path, handle, takes in (
            ("GET", "/admin/models", self._list, ""),
            ("POST", "/admin/models", self._add, "new_model"),
            ("GET", "/admin/models/{name}", self._show, ""),
            ("PATCH", "/admin/models/{name}", self._update, "card"),
            ("DELETE", "/admin/models/{name}", self._remove, ""),
            ("GET", "/admin/policy", self._show_policy, ""),
            ("PUT", "/admin/policy", self._set_policy, "policy"),
            ("POST", "/admin/reload", self._reload, ""),
        ):
            app.add_api_route(
                path,
                self._guard(handle),
                methods=[method],
                name=handle.__name__.strip("_"),
                openapi_extra=describe_body(takes),
            )

    def _guard(
        self, handle: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            self._access.admit_change(request)
            try:
                return await handle(request)
            except GraphRouterError as error:
                raise ApiError(400, str(error)) from None

        return answer

    async def _list(self, request: Request) -> Response:
        state = self._gateway.state
        return _tell(state, {"models": [_describe(state, card) for card in state.router.pool]})

    async def _show(self, request: Request) -> Response:
        state = self._gateway.state
        name = _check_known(request.path_params["name"], state)
        return _tell(state, _describe(state, state.router.pool[name]))

    async def _add(self, request: Request) -> Response:
        """Take in a model: `card`, and perhaps `like`, `model`, `parameters`, `outcomes`."""
        body = await read_body(request)
        for member in body:
            if member not in _OF_NEW:
                hint = suggest(member, _OF_NEW, "It may hold: ")
                raise ApiError(400, f"Unknown member {member!r}. {hint}", member)
        card = parse_card(dict(read_mapping(body.get("card"), "card")), source="card")

        def add(state: ServingState) -> ServingState:
            more = {"outcomes": _read_outcomes(body["outcomes"])} if body.get("outcomes") else {}
            router = _call(state.router, "add_model", card, **more)
            served = self._serve(router.pool[card.model], body)
            return replace(state, router=router, deployments={**state.deployments, **served})

        return await self._change(request, add, f"added {card.model}", card.model, status=201)

    async def _update(self, request: Request) -> Response:
        """Change fields of a card, prices among them."""
        body, name = await read_body(request), request.path_params["name"]
        if body.get("model", name) != name:
            raise ApiError(400, "A model keeps its name; add one of another name.", "model")
        fields = {key: value for key, value in body.items() if key != _PRICES[1]}

        def update(state: ServingState) -> ServingState:
            stated = state.router.pool[_check_known(name, state)].model_dump(
                by_alias=True, exclude_none=True
            )
            card = parse_card({**stated, **fields}, source="card")
            router = _call(state.router, "update_card", card) if fields else state.router
            priced = tuple(_set_price(each, card, body) for each in state.deployments[name])
            return replace(state, router=router, deployments={**state.deployments, name: priced})

        return await self._change(request, update, f"updated {name}: {', '.join(body)}", name)

    async def _remove(self, request: Request) -> Response:
        name = request.path_params["name"]

        def remove(state: ServingState) -> ServingState:
            _check_known(name, state)
            router = _call(state.router, "remove_model", name)
            left = {key: each for key, each in state.deployments.items() if key != name}
            return replace(state, router=router, deployments=left)

        return await self._change(request, remove, f"removed {name}")

    async def _show_policy(self, request: Request) -> Response:
        policy = self._gateway.state.policy
        settings = None if policy is None else policy.settings
        return _tell(self._gateway.state, {"policy": settings})

    async def _set_policy(self, request: Request) -> Response:
        """Choose by other settings, or another preset, where requests state nothing."""
        policy = read_stated_policy((await read_body(request)).get("policy"), "policy")

        def put(state: ServingState) -> ServingState:
            return replace(state, policy=policy)

        return await self._change(request, put, f"set the policy: {policy.describe()}")

    async def _reload(self, request: Request) -> Response:
        """Serve the artifact as it is now where it was read at the start."""
        load = self._load
        if load is None:
            raise ApiError(400, "The gateway was started without an artifact to read again.")

        def exchange(state: ServingState) -> ServingState:
            router = load()
            served = {
                name: self._filed.get(name) or state.deployments.get(name)
                for name in (*router.models, *self._filed)
            }
            found = {name: each for name, each in served.items() if each}
            gone = set(state.router.models) - set(router.models)
            found = {name: each for name, each in found.items() if name not in gone}
            return replace(state, router=router, deployments=found)

        return await self._change(request, exchange, "read the artifact again")

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

    async def _change(
        self,
        request: Request,
        change: Change,
        told: str,
        name: str | None = None,
        *,
        status: int = 200,
    ) -> Response:
        """Put another state in the place of the one that serves, if nobody else did before."""
        expected = request.headers.get("if-match")

        def check(state: ServingState) -> ServingState:
            if expected is not None and expected.strip() not in ("*", _tag(state)):
                raise ApiError(
                    412,
                    f"The pool has been changed: it is at {_tag(state)}, and If-Match says "
                    f"{expected}. Look at it again.",
                    "If-Match",
                )
            changed = change(state)
            changed = replace(changed, revision=state.revision + 1)
            # What cannot work is told before it serves.
            changed.router.route(
                "Hello.",
                policy=changed.policy,
                routes=changed.routes,
                unavailable=changed.absent,
            )
            return changed

        state = await anyio.to_thread.run_sync(self._gateway.change_state, check)
        who = self._access.admit(request, "admin").key_id
        logger.warning("Revision %d of the pool: key %s %s.", state.revision, who, told)
        if name is None:
            return _tell(state, {"models": list(state.router.models)}, status)
        return _tell(state, _describe(state, state.router.pool[name]), status)


def _check_known(name: str, state: ServingState) -> str:
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


def _describe(state: ServingState, card: ModelCard) -> dict[str, Any]:
    served = [
        {
            "base_url": each.address,
            "protocol": each.protocol,
            "model": each.body.get("model"),
            "weight": each.weight,
        }
        for each in state.deployments.get(card.model, ())
    ]
    stated = card.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"card": stated, "upstreams": served}


def _tag(state: ServingState) -> str:
    return f'"{state.revision}"'


def _tell(state: ServingState, told: Mapping[str, Any], status: int = 200) -> Response:
    content = {"revision": state.revision, **told}
    return JSONResponse(content, status, headers={"etag": _tag(state)})
