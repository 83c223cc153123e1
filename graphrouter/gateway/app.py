"""The gateway: APIs like OpenAI's and Anthropic's whose models are the candidates of a router.

`model` of a request may be `auto`: the router chooses by what the user says, and the request goes
to the candidate's address. What it chose, and why, is told in headers.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
import httpx2
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from threadpoolctl import threadpool_limits

from graphrouter.gateway.access import Access
from graphrouter.gateway.answering import Gateway
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    ApiForm,
)
from graphrouter.gateway.background_judging import BackgroundJudging
from graphrouter.gateway.call_log import CallLog
from graphrouter.gateway.judge_settings import JudgeSettings
from graphrouter.gateway.learning_figures import LearningFigures
from graphrouter.gateway.memory import Memory, TextFigures
from graphrouter.gateway.model_judge import ModelJudge
from graphrouter.gateway.page import OperatorPage
from graphrouter.gateway.pool_admin import PoolAdmin
from graphrouter.gateway.relaying import CLIENT_LEFT
from graphrouter.gateway.request_bodies import ClientLeftError
from graphrouter.gateway.request_schemas import describe_body
from graphrouter.gateway.serving_state import ReadArtifact, ServingState
from graphrouter.gateway.sessions.open_sessions import OpenSessions
from graphrouter.gateway.tracing import Tracer
from graphrouter.gateway.upstream_transport import choose_transport
from graphrouter.gateway.upstreams import Deployment
from graphrouter.policy import Policy
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes

__all__ = ["create_app"]

_STORED = (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel"))
"""What can be done with a stored response: method, and path behind its id."""
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which an operator says how many threads multiply."""
_FORMS = (CHAT_COMPLETIONS, RESPONSES, MESSAGES, COUNT_TOKENS, COMPLETIONS, EMBEDDINGS)


def create_app(
    router: Router,
    deployments: Mapping[str, Sequence[Deployment]],
    *,
    policy: Policy | None = None,
    routes: Routes | None = None,
    pair: tuple[str, str] | None = None,
    sessions: bool = True,
    max_switches: int | None = None,
    key: str | None = None,
    log: CallLog | None = None,
    memory: Memory | None = None,
    load: Callable[[], ReadArtifact] | None = None,
    judges: Sequence[JudgeSettings] = (),
    transport: httpx2.AsyncBaseTransport | None = None,
    tracer: Tracer | None = None,
    is_alone: bool = False,
) -> FastAPI:
    """The gateway as an ASGI application.

    Args:
        router: Who chooses.
        deployments: Where models are served, by name, as `load_upstreams` reads them; candidates
            that are not among them are never chosen.
        policy: What to choose by where a request states nothing; balanced without one.
        routes: Kinds of prompts with policies or models of their own.
        pair: Strong and weak model of `router-graph-THRESHOLD`; the best and the cheapest on each
            prompt without them.
        sessions: Whether turns of one session stay on their model unless there is a reason to
            leave it.
        max_switches: Changes of the model in one session for its gain, at most; None for any
            number.
        key: What clients must send as bearer token; nothing is asked of them without it.
        log: Told of every decision and call; that of the memory where there is one.
        memory: Keeps decisions, grades and keys, and is closed with the application; without one
            nothing is kept.
        load: Reads the artifact again, for `/admin/reload`.
        judges: Of answers that nobody has graded; they need a memory.
        transport: Takes the place of the network, for tests.
        tracer: Follows requests, and is closed with the application.
        is_alone: Whether the process does nothing else. Then what it holds once it serves is left
            out of the search for garbage, which else halts all requests for a tenth of a second
            now and then; and products of matrices take one thread, unless the environment says
            how many.

    Raises:
        ConfigError: A judge is a model whose tokens have no prices.
    """
    served = {name: tuple(several) for name, several in deployments.items()}
    artifact = "" if memory is None else memory.log.kept.artifact
    state = ServingState(router, served, policy, routes, pair, artifact=artifact)
    access = Access(key, dict if memory is None else lambda: memory.keys)
    log = log or CallLog() if memory is None else memory.log
    going_on = OpenSessions(max_switches=max_switches) if sessions else None
    gateway = Gateway(state, access=access, log=log, sessions=going_on, tracer=tracer)
    if memory is not None and judges:
        gateway.judging = _make_judging(gateway, memory, judges)
    store = None if memory is None else memory.store
    admin = PoolAdmin(gateway, access, load=load, store=store)

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        reached_by = choose_transport() if transport is None else transport
        async with httpx2.AsyncClient(transport=reached_by, limits=limits) as client:
            gateway.client = client
            judging = None
            if gateway.judging is not None:
                judging = asyncio.create_task(gateway.judging.work())
            try:
                settle = _settle_down if is_alone else lambda: None
                if memory is None:
                    settle()
                else:
                    await anyio.to_thread.run_sync(admin.begin)
                    await anyio.to_thread.run_sync(
                        memory.start, gateway.change_router, admin.follow, settle
                    )
                yield
            finally:
                if judging is not None:
                    judging.cancel()
                if memory is not None:
                    await anyio.to_thread.run_sync(memory.close)
                if tracer is not None:
                    await anyio.to_thread.run_sync(tracer.close)

    async def list_models(request: Request) -> Response:
        return gateway.list_models(request)

    async def health() -> Response:
        return JSONResponse({"status": "ok", "models": len(gateway.state.deployments)})

    app = FastAPI(title="graphrouter", lifespan=live, docs_url=None, redoc_url=None)
    app.add_exception_handler(ApiError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_error)  # unknown paths and methods
    app.add_exception_handler(ClientLeftError, _answer_nobody)
    for form in _FORMS:
        app.add_api_route(
            f"/v1{form.path}",
            _answer_form(gateway, form),
            methods=["POST"],
            openapi_extra=describe_body(form.name),
        )
    for method, rest in _STORED:
        path = f"/v1{RESPONSES.path}/{{response_id}}{rest}"
        app.add_api_route(path, _pass_stored(gateway, method, rest), methods=[method])
    app.add_api_route(
        "/v1/route", gateway.route, methods=["POST"], openapi_extra=describe_body("route")
    )
    app.add_api_route("/v1/models", list_models, methods=["GET"])

    async def ready() -> Response:
        is_ready = memory is None or await anyio.to_thread.run_sync(memory.is_ready)
        told = {"status": "ready" if is_ready else "the store does not answer"}
        return JSONResponse(told, 200 if is_ready else 503)

    app.add_api_route("/health", health, methods=["GET"])
    app.add_api_route("/ready", ready, methods=["GET"])
    gateway.metrics.add_endpoint(app, access)
    if memory is not None:
        memory.add_endpoints(app, access, lambda: gateway.state)
        gateway.metrics.add_figures(
            LearningFigures(memory.log.kept.exploration, memory.watch, gateway.judging)
        )
        gateway.metrics.add_figures(TextFigures(memory))
    admin.add_endpoints(app)
    OperatorPage(lambda: gateway.state, access, memory).add_endpoints(app)
    return app


def _settle_down() -> None:
    """Make the process one that serves.

    What is there now is looked through for garbage no more. Products of matrices take one thread:
    those of a decision are so small that others would do little but wait for them, and they wait
    by turning round, which takes more of a second processor than the decision of the first.
    """
    gc.collect()
    gc.freeze()
    if not any(os.environ.get(name) for name in _THREAD_COUNTS):
        threadpool_limits(1)


def _make_judging(
    gateway: Gateway, memory: Memory, judges: Sequence[JudgeSettings]
) -> BackgroundJudging:
    models = {
        each.name: ModelJudge(
            gateway.state.deployments[each.model], gateway.health, lambda: gateway.client
        )
        for each in judges
        if each.model is not None
    }
    return BackgroundJudging(
        judges,
        memory.store,
        memory.writer,
        models,
        wake=memory.wake,
        redact=memory.log.kept.redact,
    )


def _answer_form(gateway: Gateway, form: ApiForm) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await gateway.answer(request, form)

    answer.__name__ = f"answer_{form.name}"
    return answer


def _pass_stored(
    gateway: Gateway, method: str, rest: str
) -> Callable[[Request, str], Awaitable[Response]]:
    async def answer(request: Request, response_id: str) -> Response:
        return await gateway.pass_stored(request, rest)

    answer.__name__ = f"{method}_response_{rest.strip('/')}".rstrip("_").lower()
    return answer


async def _answer_error(request: Request, error: Exception) -> Response:
    path = request.url.path
    if isinstance(error, HTTPException):
        endpoints = ", ".join(f"POST /v1{form.path}" for form in _FORMS)
        error = ApiError(
            error.status_code,
            f"{error.detail}: {request.method} {path}. There are: {endpoints}, POST /v1/route, "
            "POST /v1/outcomes, GET /v1/decisions/ID, GET /v1/models, GET /health, GET /ready, "
            "GET /metrics, and for admins /admin and the page at /.",
        )
    if not isinstance(error, ApiError):
        raise error
    is_anthropic = path.startswith(f"/v1{MESSAGES.path}")
    told = error.to_anthropic() if is_anthropic else error.to_dict()
    return JSONResponse(told, error.status)


async def _answer_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)
