"""The gateway: an API like OpenAI's whose models are the candidates of a router.

`model` of a request may be `auto`: the router chooses by the last message of the user, and the
request goes to the candidate's address. What it chose, and why, is told in headers.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from graphrouter.decision import Decision
from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import CallLog, CallStart, OpenCall
from graphrouter.gateway.chat_requests import (
    AUTO,
    OWN_KEY,
    Wanted,
    find_incapable,
    read_prompt,
    read_wanted,
)
from graphrouter.gateway.deciding import Asked, Decider
from graphrouter.gateway.forwarding import NobodyAnsweredError, Reached, reach, relay, tell_failures
from graphrouter.gateway.upstreams import Deployment
from graphrouter.gateway.usage import read_usage
from graphrouter.policy import PRESETS, Policy
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes
from graphrouter.wording import show_value

__all__ = ["create_app"]

MOST_BYTES = 10 * 1024 * 1024
"""Of a request's body."""
_PREFIX = "x-graphrouter-"
_ENDPOINTS = ("POST /v1/chat/completions", "POST /v1/route", "GET /v1/models", "GET /health")


def create_app(
    router: Router,
    deployments: Mapping[str, Deployment],
    *,
    policy: Policy | None = None,
    routes: Routes | None = None,
    key: str | None = None,
    log: CallLog | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> FastAPI:
    """The gateway as an ASGI application.

    Args:
        router: Who chooses.
        deployments: Where candidates are served, by name; the others are never chosen.
        policy: What to choose by where a request states nothing; balanced without one.
        routes: Kinds of prompts with policies or models of their own.
        key: What clients must send as bearer token; nothing is asked of them without it.
        log: Told of every decision and call; without it nothing is kept.
        transport: Takes the place of the network, for tests.
    """
    gateway = _Gateway(router, deployments, policy, routes, key, log or CallLog())

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        async with httpx2.AsyncClient(transport=transport, limits=limits) as client:
            gateway.client = client
            yield

    app = FastAPI(title="graphrouter", lifespan=live, docs_url=None, redoc_url=None)
    app.add_exception_handler(ApiError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_error)  # unknown paths and methods
    app.add_api_route("/v1/chat/completions", gateway.chat, methods=["POST"])
    app.add_api_route("/v1/route", gateway.route, methods=["POST"])
    app.add_api_route("/v1/models", gateway.list_models, methods=["GET"])
    app.add_api_route("/health", gateway.health, methods=["GET"])
    return app


class _Gateway:
    """What the endpoints share."""

    client: httpx2.AsyncClient

    def __init__(
        self,
        router: Router,
        deployments: Mapping[str, Deployment],
        policy: Policy | None,
        routes: Routes | None,
        key: str | None,
        log: CallLog,
    ) -> None:
        self.router, self.deployments, self.policy = router, deployments, policy
        self._decider, self._key, self._log = Decider(router, routes), key, log
        self._absent = frozenset(router.models) - set(deployments)

    async def chat(self, request: Request) -> Response:
        """Send a chat to the model that is chosen, and its answer back."""
        body = await self._read_body(request)
        wanted = read_wanted(body, self.router.pool, self.policy)
        decision, prompt = None, None
        if wanted.model is None:
            decision, prompt = await self._decide(body, wanted)
        order = self._list_order(wanted, decision)
        call = await self._begin(request, wanted, decision, prompt, order)
        sent = {name: value for name, value in body.items() if name != OWN_KEY}
        asked = [self.deployments[name] for name in call.order]
        try:
            reached = await reach(self.client, asked, "/chat/completions", sent)
        except NobodyAnsweredError as error:
            await call.end(error.status, failures=error.failures)
            raise
        call.mark_first_byte()
        await call.kept()
        headers = _tell(reached, decision, wanted, call)
        response = reached.response
        kind = response.headers.get("content-type", "application/json")
        if kind.startswith("text/event-stream"):
            streamed = relay(reached, call)
            return StreamingResponse(
                streamed, response.status_code, headers=headers, media_type=kind
            )
        name, failures = reached.deployment.candidate, reached.failures
        try:
            content = await response.aread()
        except httpx2.HTTPError as error:
            await call.end(502, name, failures=failures)
            raise ApiError(502, f"The upstream broke off: {type(error).__name__}.") from None
        finally:
            await response.aclose()
        usage = read_usage(_parse(content))
        await call.end(response.status_code, name, failures=failures, usage=usage)
        return Response(content, response.status_code, headers=headers, media_type=kind)

    async def route(self, request: Request) -> Response:
        """Decide without calling anybody: `prompt` or `messages`, and perhaps `graphrouter`."""
        body = await self._read_body(request)
        wanted = read_wanted({"model": AUTO, **body}, self.router.pool, self.policy)
        if wanted.model is not None:
            raise ApiError(400, "model names a model; expected auto, or none.", "model")
        decision, prompt = await self._decide(body, wanted)
        call = await self._begin(request, wanted, decision, prompt, ())
        await call.kept()
        headers = {f"{_PREFIX}decision": call.decision_id}
        return JSONResponse(decision.to_dict(), headers=headers)

    async def list_models(self, request: Request) -> Response:
        """The candidates that can be called, and the words that let the router choose."""
        self._check_key(request)
        words = (AUTO, *(f"{AUTO}:{preset}" for preset in PRESETS))
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "graphrouter"}
            for name in (*words, *self.deployments)
        ]
        return JSONResponse({"object": "list", "data": data})

    async def health(self) -> Response:
        """That the process is there."""
        return JSONResponse({"status": "ok", "models": len(self.deployments)})

    async def _begin(
        self,
        request: Request,
        wanted: Wanted,
        decision: Decision | None,
        prompt: str | None,
        order: Sequence[str],
    ) -> OpenCall:
        return await self._log.begin(
            CallStart(
                endpoint=request.url.path,
                order=tuple(order),
                prompt=prompt,
                task=wanted.task,
                decision=decision,
                policy="" if wanted.policy is None else wanted.policy.describe(),
            )
        )

    async def _decide(self, body: Mapping[str, Any], wanted: Wanted) -> tuple[Decision, str]:
        """The decision, and the text that it is made by."""
        prompt, unable = body.get("prompt"), frozenset[str]()
        if "messages" in body or prompt is None:
            prompt = read_prompt(body.get("messages"))
            unable = find_incapable(body, self.router.pool)
        if not isinstance(prompt, str):
            raise ApiError(400, f"prompt is {show_value(prompt)}; expected text.", "prompt")
        asked = Asked(prompt, wanted.task, wanted.policy, self._absent | unable)
        try:
            return await self._decider.decide(asked), prompt
        except GraphRouterError as error:
            raise ApiError(400, str(error), code="nobody_to_ask") from None

    def _list_order(self, wanted: Wanted, decision: Decision | None) -> list[str]:
        """Whom to ask: the model named and nobody else, or the chosen one and those behind it."""
        if decision is None:
            name = wanted.model or ""
            if name not in self.deployments:
                raise ApiError(404, f"{name!r} has no address in the file of upstreams.", "model")
            return [name]
        names = [decision.model]
        if not decision.used_fallback:
            names += [each.model for each in decision.candidates if each.rejected is None]
        return list(dict.fromkeys(names))

    async def _read_body(self, request: Request) -> dict[str, Any]:
        self._check_key(request)
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_BYTES:
                raise ApiError(413, f"The body is larger than {MOST_BYTES:,} bytes.")
        try:
            body = json.loads(bytes(content))
        except (ValueError, RecursionError) as error:
            raise ApiError(400, f"The body is no valid JSON ({error}).") from None
        if not isinstance(body, dict):
            raise ApiError(400, f"The body is {show_value(body)}; expected a JSON object.")
        return body

    def _check_key(self, request: Request) -> None:
        if self._key is None:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(token.strip().encode(), self._key.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise ApiError(401, "The key is missing or wrong; expected Authorization: Bearer KEY.")


def _parse(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _tell(
    reached: Reached, decision: Decision | None, wanted: Wanted, call: OpenCall
) -> dict[str, str]:
    """Headers that say who answered, and why."""
    told: dict[str, object] = {
        "decision": call.decision_id,
        "model": reached.deployment.candidate,
    }
    if decision is not None:
        names = [each.model for each in decision.candidates]
        chosen = decision.candidates[names.index(reached.deployment.candidate)]
        told |= {
            "effect": f"{chosen.effect:.4f}",
            "expected-cost-usd": "" if chosen.cost_usd is None else f"{chosen.cost_usd:.6g}",
            "policy": "" if wanted.policy is None else wanted.policy.describe(),
            "route": decision.route or "",
        }
    told["failures"] = tell_failures(reached.failures)
    return {
        _PREFIX + name: str(value).encode("ascii", "replace").decode()
        for name, value in told.items()
        if value != ""
    }


async def _answer_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        where = f"{request.method} {request.url.path}"
        error = ApiError(
            error.status_code, f"{error.detail}: {where}. There are: {', '.join(_ENDPOINTS)}."
        )
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.to_dict(), error.status)
