"""Changes of what the gateway serves while it serves: models, prices, policy, a new artifact."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.access import Access
from graphrouter.gateway.admin_changes import AdminChange, AdminChanger, ChangeKind, check_known
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.change_log import ChangeLog
from graphrouter.gateway.request_bodies import read_body
from graphrouter.gateway.request_schemas import describe_body
from graphrouter.gateway.serving_state import ReadArtifact, ServingState, Trial
from graphrouter.gateway.store.spending import write_prices
from graphrouter.gateway.store.trial_rule import Arm, read_trial, tell_worse
from graphrouter.pool import ModelCard

if TYPE_CHECKING:
    from graphrouter.gateway.answering import Gateway
    from graphrouter.gateway.store.database import Store

__all__ = ["PoolAdmin"]

LOOKS_EVERY_S = 2.0
"""Seconds between two looks at what has come of a trial."""
RULE = "rule"
"""Who aborts a trial whose artifact does worse."""

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
        load: Callable[[], ReadArtifact] | None = None,
        store: Store | None = None,
    ) -> None:
        """The administration of a gateway.

        Args:
            gateway: Whose state is changed.
            access: Who may.
            load: Reads the artifact again; None where it is not known from where.
            store: Where changes are written down, for all gateways that share it.
        """
        self._gateway, self._access, self._store = gateway, access, store
        self._looked = -math.inf
        self._changes = ChangeLog(AdminChanger(gateway.state.deployments, load), store)

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
            ("GET", "/admin/routes", self._show_routes, ""),
            ("PUT", "/admin/routes", self._set_routes, "routes"),
            ("GET", "/admin/reload", self._show_reload, ""),
            ("POST", "/admin/reload", self._reload, "reload"),
            ("POST", "/admin/reload/promote", self._promote, ""),
            ("POST", "/admin/reload/abort", self._abort, ""),
        ):
            app.add_api_route(
                path,
                self._guard(handle),
                methods=[method],
                name=handle.__name__.strip("_"),
                openapi_extra=describe_body(takes),
            )

    def begin(self) -> None:
        """Serve what admins have made of it before, as far as a store knows."""
        self._gateway.change_state(self._changes.begin)

    def follow(self) -> None:
        """Make the changes that others have made, and abort a trial that goes badly."""
        if self._changes.is_behind(self._gateway.state):
            self._gateway.change_state(self._changes.follow)
        trial = self._gateway.state.trial
        if trial is None or time.monotonic() - self._looked < LOOKS_EVERY_S:
            return
        self._looked = time.monotonic()
        arms = self._read_arms(trial)
        why = None if arms is None else tell_worse(*arms, by_reward=trial.by_reward)
        if why is not None:
            self._end_trial(trial, why)

    def _end_trial(self, trial: Trial, why: str) -> None:
        logger.warning("The artifact %s goes: %s.", trial.state.artifact, why)
        change = AdminChange("abort", {"why": why}, trial.state.artifact)

        def check(state: ServingState) -> None:
            if state.trial is None or state.trial.number != trial.number:
                raise ApiError(409, "The trial has ended.")

        try:
            self._gateway.change_state(lambda state: self._changes.make(state, change, RULE, check))
        except ApiError as error:
            if error.status != 409:  # another gateway was faster
                raise

    def _read_arms(self, trial: Trial) -> tuple[Arm, Arm] | None:
        """What has come of the sessions of the artifact that serves, and of the other's."""
        if self._store is None:
            return None
        with self._store.reader.connect() as connection:
            arms = read_trial(connection, trial.began)
        serving = self._gateway.state.artifact
        return arms.get(serving, Arm()), arms.get(trial.state.artifact, Arm())

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
        return _tell_models(self._gateway.state)

    async def _show(self, request: Request) -> Response:
        return _tell_model(self._gateway.state, request.path_params["name"])

    async def _add(self, request: Request) -> Response:
        body = await read_body(request)
        card = body.get("card")
        name = str(card.get("model")) if isinstance(card, Mapping) else None
        state = await self._change(request, "model added", body, name)
        return _tell_model(state, str(name), 201)

    async def _update(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = await read_body(request)
        return _tell_model(await self._change(request, "model changed", body, name), name)

    async def _remove(self, request: Request) -> Response:
        name = request.path_params["name"]
        state = await self._change(request, "model removed", {}, name)
        return _tell(state, {"models": list(state.router.models)})

    async def _show_policy(self, request: Request) -> Response:
        return _tell_policy(self._gateway.state)

    async def _set_policy(self, request: Request) -> Response:
        """Choose by other settings, or another preset, where requests state nothing."""
        return _tell_policy(await self._change(request, "policy", await read_body(request)))

    async def _show_routes(self, request: Request) -> Response:
        return _tell_routes(self._gateway.state)

    async def _set_routes(self, request: Request) -> Response:
        """Tell other kinds of prompts apart: all `routes` at once, as their file has them."""
        return _tell_routes(await self._change(request, "routes", await read_body(request)))

    async def _show_reload(self, request: Request) -> Response:
        return await self._tell_trial(self._gateway.state)

    async def _reload(self, request: Request) -> Response:
        """Serve the artifact as it is now where it was read at the start, or try it on a share."""
        body = await read_body(request, may_be_empty=True)
        if body.get("share") is not None and self._store is None:
            raise ApiError(
                400,
                "A trial needs a store, which knows what came of it. Serve with --store, or reload "
                "without share.",
                "share",
            )
        return await self._tell_trial(await self._change(request, "reload", body))

    async def _promote(self, request: Request) -> Response:
        return await self._tell_trial(await self._change(request, "promote", {}))

    async def _abort(self, request: Request) -> Response:
        trial = self._gateway.state.trial
        name = None if trial is None else trial.state.artifact
        return await self._tell_trial(await self._change(request, "abort", {}, name))

    async def _tell_trial(self, state: ServingState) -> Response:
        told: dict[str, Any] = {"artifact": state.artifact, "models": list(state.router.models)}
        trial = state.trial
        if trial is not None:
            arms = await anyio.to_thread.run_sync(self._read_arms, trial)
            told["trial"] = {
                "artifact": trial.state.artifact,
                "share": trial.share,
                "began": trial.began,
                "models": list(trial.state.router.models),
            }
            if arms is not None:
                serving, on_trial = map(_tell_arm, arms)
                told["trial"] |= {"serving": serving, "on_trial": on_trial}
        return _tell(state, told)

    async def _change(
        self,
        request: Request,
        kind: ChangeKind,
        body: Mapping[str, Any],
        name: str | None = None,
    ) -> ServingState:
        """Put another state in the place of the one that serves, if nobody else did before."""
        expected = request.headers.get("if-match")
        key_id = self._access.admit(request, "admin").key_id
        change = AdminChange(kind, body, name)

        def check(state: ServingState) -> None:
            if expected is not None and expected.strip() not in ("*", _tag(state)):
                raise ApiError(
                    412,
                    f"The pool has been changed: it is at {_tag(state)}, and If-Match says "
                    f"{expected}. Look at it again.",
                    "If-Match",
                )

        def make(state: ServingState) -> ServingState:
            return self._changes.make(state, change, key_id, check)

        def work() -> ServingState:
            state = self._gateway.change_state(make)
            if self._store is not None and kind.startswith("model"):
                write_prices(self._store, state.prices)
            return state

        return await anyio.to_thread.run_sync(work)


def _tell_model(state: ServingState, name: str, status: int = 200) -> Response:
    return _tell(state, _describe(state, state.router.pool[check_known(name, state)]), status)


def _tell_models(state: ServingState) -> Response:
    return _tell(state, {"models": [_describe(state, card) for card in state.router.pool]})


def _tell_policy(state: ServingState) -> Response:
    return _tell(state, {"policy": None if state.policy is None else state.policy.settings})


def _tell_routes(state: ServingState) -> Response:
    routes = state.routes
    if routes is None:
        return _tell(state, {"routes": None})
    told = {"none_share": routes.none_share, "routes": [each.to_plain() for each in routes]}
    return _tell(state, told)


def _tell_arm(arm: Arm) -> dict[str, Any]:
    return {name: {"num": each.num, "mean": each.mean} for name, each in arm._asdict().items()}


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
