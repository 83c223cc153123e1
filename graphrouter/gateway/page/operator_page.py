"""The endpoints of the page at `/`: traffic, spend, pool, a prompt to try, paths of sessions."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from typing import Any, TypeVar

import anyio.to_thread
import numpy as np
import sqlalchemy as sa
from fastapi import FastAPI, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from graphrouter.exceptions import GraphRouterError, UnknownModelError
from graphrouter.gateway.access import Access
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.memory import Memory
from graphrouter.gateway.page.page_safety import PAGE_HEADERS, is_local_name
from graphrouter.gateway.page.traffic_figures import read_session, read_traffic
from graphrouter.gateway.request_bodies import read_body
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.store.decision_reading import read_decision
from graphrouter.gateway.store.spending import read_prices
from graphrouter.gateway.store.spending_report import read_spending
from graphrouter.number_checks import is_number
from graphrouter.policy import Policy
from graphrouter.router.pool_strengths import Strengths, find_strengths
from graphrouter.router.protocol import Router
from graphrouter.wording import show_value

__all__ = ["OperatorPage"]

T = TypeVar("T")
PERIODS = {"hour": 3_600, "day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400}
"""Seconds."""
MOST_CHARACTERS = 20_000
"""Of a prompt to try."""
_KINDS = {"page.css": "text/css", "page.js": "text/javascript"}


class OperatorPage:
    """Shows a gateway to its operator. It changes nothing, and nothing of it leaves the gateway."""

    def __init__(
        self, read_state: Callable[[], ServingState], access: Access, memory: Memory | None
    ) -> None:
        """A page.

        Args:
            read_state: What is served at the moment.
            access: Who may ask; the page is for admins.
            memory: Has decisions and calls; without one there is no traffic to show.
        """
        self._read_state, self._access = read_state, access
        self._store = None if memory is None else memory.store
        self._exploration = None if memory is None else memory.log.kept.exploration
        self._strengths: tuple[Router, Strengths | None] | None = None
        self._templates = Environment(
            loader=PackageLoader("graphrouter.gateway.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"usd": _show_usd, "seconds": _show_seconds, "time": _show_time}

    def add_endpoints(self, app: FastAPI) -> None:
        """Add the page to a gateway.

        Args:
            app: Of the gateway.
        """
        app.add_api_route("/", self._show, methods=["GET"], include_in_schema=False)
        for name in _KINDS:
            send = partial(self._send_file, name)
            app.add_api_route(f"/page/{name}", send, methods=["GET"], include_in_schema=False)
        for path, show in (
            ("/page/decisions/{decision_id}", self._show_decision),
            ("/page/sessions/{session:path}", self._show_session),
        ):
            app.add_api_route(path, show, methods=["GET"], include_in_schema=False)
        app.add_api_route("/page/try", self._try, methods=["POST"], include_in_schema=False)

    async def _show(self, request: Request) -> Response:
        """The page itself; `?period=` is one of `PERIODS`, `?baseline=` a model to compare with."""
        if (refused := self._refuse(request)) is not None:
            return refused
        period = request.query_params.get("period", "day")
        if period not in PERIODS:
            raise ApiError(404, f"There is no period {show_value(period)}: {', '.join(PERIODS)}.")
        baseline = request.query_params.get("baseline") or None
        state, until = self._read_state(), time.time()
        traffic, spending, priced = None, [], []
        if self._store is not None:
            since = until - PERIODS[period]
            traffic = await self._read(partial(read_traffic, since=since, until=until))
            priced = sorted(await self._read(read_prices))
            spent = partial(read_spending, baseline=baseline, since=since, until=until)
            spending = [] if baseline is None else await self._read(spent)
        strengths = await anyio.to_thread.run_sync(self._find_strengths, state.router)
        return self._render(
            "operator_page.html.jinja",
            models=state.router.models,
            absent=sorted(state.absent),
            policy="balanced" if state.policy is None else state.policy.describe(),
            periods=list(PERIODS),
            period=period,
            traffic=traffic,
            baseline=baseline,
            priced=priced,
            spending=spending,
            strengths=strengths,
            exploration=self._exploration,
        )

    async def _show_decision(self, request: Request, decision_id: str) -> Response:
        if (refused := self._refuse(request)) is not None:
            return refused
        found = await self._read(partial(read_decision, decision_id=decision_id))
        if found is None:
            raise ApiError(404, f"There is no decision {show_value(decision_id)}.")
        return self._render("decision.html.jinja", decision=found)

    async def _show_session(self, request: Request, session: str) -> Response:
        if (refused := self._refuse(request)) is not None:
            return refused
        steps = await self._read(partial(read_session, session=session))
        if not steps:
            raise ApiError(404, f"There is no session {show_value(session)}.")
        return self._render("session.html.jinja", session=session, steps=steps)

    async def _try(self, request: Request) -> Response:
        """A fragment: the candidates for a prompt at a trade-off, and what speaks for them."""
        if (refused := self._refuse(request)) is not None:
            return refused
        body = await read_body(request)
        prompt, weight = body.get("prompt"), body.get("cost_weight")
        if not isinstance(prompt, str) or len(prompt) > MOST_CHARACTERS:
            raise ApiError(
                400, f"prompt is to be a text of at most {MOST_CHARACTERS:,} characters.", "prompt"
            )
        if not is_number(weight) or not 0 <= weight <= 1:
            raise ApiError(
                400, f"cost_weight is {show_value(weight)}; expected 0 to 1.", "cost_weight"
            )
        state = self._read_state()
        policy = Policy(effect_weight=1 - weight, cost_weight=weight)
        decide = partial(
            state.router.route,
            prompt,
            policy=policy,
            unavailable=state.absent,
            routes=state.routes,
        )
        try:
            decision = await anyio.to_thread.run_sync(decide)
        except GraphRouterError as error:
            return self._render("tried.html.jinja", decision=None, error=str(error))
        return self._render("tried.html.jinja", decision=decision, error=None)

    async def _send_file(self, name: str) -> Response:
        text = files("graphrouter.gateway.page").joinpath("templates", name).read_text("utf-8")
        return Response(text, media_type=_KINDS[name], headers=PAGE_HEADERS)

    def _refuse(self, request: Request) -> Response | None:
        """An answer to who may not look; None for who may.

        A browser sends the key as the password of HTTP's basic authentication. That is taken here
        alone, where nothing is spent and nothing changes: a browser sends it for other sites, too.
        """
        if self._access.is_open:
            if not is_local_name(request.url.hostname or ""):
                return Response(
                    "This gateway asks for no keys, so its page is shown under its address or "
                    "localhost alone.",
                    403,
                )
            return None
        try:
            asks = self._access.admit_token(_read_password(request), "admin")
        except ApiError as error:
            headers = {"www-authenticate": 'Basic realm="graphrouter", charset="UTF-8"'}
            return Response(str(error), 401, headers=headers, media_type="text/plain")
        return None if asks.is_admin else Response("For admins.", 403)

    def _find_strengths(self, router: Router) -> Strengths | None:
        known = self._strengths
        if known is None or known[0] is not router:
            known = self._strengths = (router, find_strengths(router))
        return known[1]

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        if self._store is None:
            raise ApiError(404, "This gateway keeps no store.")
        reader = self._store.reader

        def read() -> T:
            with reader.connect() as connection:
                return work(connection)

        try:
            return await anyio.to_thread.run_sync(read)
        except UnknownModelError as error:
            raise ApiError(404, str(error)) from None
        except sa.exc.DBAPIError as error:
            raise ApiError(503, f"The store cannot be read ({error.orig}).") from None

    def _render(self, template: str, **values: Any) -> Response:
        text = self._templates.get_template(template).render(**values)
        return Response(text, media_type="text/html", headers=PAGE_HEADERS)


def _read_password(request: Request) -> str:
    kind, _, sent = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return sent.strip()
    try:
        _, _, password = base64.b64decode(sent, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password


def _show_usd(dollars: float | None) -> str:
    """Without an exponent, and to three digits below a dollar."""
    if dollars is None:
        return "unknown"
    if abs(dollars) >= 1:
        return f"{dollars:,.2f}"
    return np.format_float_positional(dollars, precision=3, fractional=False, trim="-")


def _show_seconds(seconds: float | None) -> str:
    return "-" if seconds is None or seconds != seconds else f"{seconds:.2f}"


def _show_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
