"""The way of a request: what it asks, who is chosen, and how the answer comes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from graphrouter.decision import Decision
from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.access import Access, Admitted
from graphrouter.gateway.answer_marks import (
    ask_for_usage,
    hides_usage,
    mark_answer,
    mark_stream,
)
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import CallLog, CallStart, OpenCall
from graphrouter.gateway.conversations import Conversation, Turn
from graphrouter.gateway.deciding import Asked, Decider
from graphrouter.gateway.forms.api_form import ApiForm
from graphrouter.gateway.forms.chat_completions import CHAT_COMPLETIONS
from graphrouter.gateway.forwarding import (
    NobodyAnsweredError,
    Outgoing,
    Reached,
    reach,
    read_answer,
    tell_failures,
)
from graphrouter.gateway.relaying import CLIENT_LEFT, relay
from graphrouter.gateway.request_bodies import ClientLeftError, read_body, unless_left
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.upstreams import Deployment
from graphrouter.gateway.usage import read_usage
from graphrouter.gateway.wanted_models import AUTO, OWN_KEY, Wanted, list_words, read_wanted
from graphrouter.router.protocol import Router
from graphrouter.wording import show_value

__all__ = ["PREFIX", "Gateway"]

PREFIX = "x-graphrouter-"
"""Of the headers that say who answered, and why."""
_PASSED = ("anthropic-beta", "anthropic-version", "openai-beta")
"""Headers of a client that are for the upstream."""
_RETURNED = ("request-id",)
"""Headers of an upstream that are for the client."""


class _Chosen(NamedTuple):
    """Whom a request goes to."""

    wanted: Wanted
    decision: Decision | None
    """None where a model was named."""
    prompt: str | None
    """What was routed by."""
    order: tuple[str, ...]
    """Models to ask, the best first."""


class Gateway:
    """Answers requests of any form by the state that it holds when they come."""

    client: httpx2.AsyncClient

    def __init__(self, state: ServingState, *, access: Access, log: CallLog) -> None:
        """A gateway; its client is there while it serves.

        Args:
            state: What to serve.
            access: Who may ask.
            log: Told of every decision and call.
        """
        self.state, self._access, self._log, self._decider = state, access, log, Decider()
        self._changing = threading.Lock()

    def change_router(self, change: Callable[[Router], Router]) -> None:
        """Put another router in the place of the one that serves, at once for all who come then.

        Safe in any thread.

        Args:
            change: The other router, made of the one that serves.
        """
        with self._changing:
            self.state = replace(self.state, router=change(self.state.router))

    async def answer(self, request: Request, form: ApiForm) -> Response:
        """Send a request to the model that is chosen, and its answer back.

        Args:
            request: Of a client.
            form: Of its body.

        Raises:
            ApiError: It is not to be answered.
            ClientLeftError: Nobody waits for the answer any more.
        """
        state = self.state
        asks = self._access.admit(request, "route")
        body = await read_body(request)
        wanted = read_wanted(body, state.names, state.policy)
        conversation = form.read(body)
        chosen = await self._choose(state, wanted, form, conversation)
        call = await self._begin(request, asks, chosen)
        sent = {name: value for name, value in body.items() if name != OWN_KEY}
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        outgoing = Outgoing(form, sent, headers)
        asked = [
            each for name in call.order for each in state.list_serving(name, form, conversation)
        ]
        try:
            return await unless_left(request, self._ask(asked, outgoing, chosen, call))
        except (asyncio.CancelledError, ClientLeftError):
            call.end(CLIENT_LEFT)
            raise
        except Exception:
            call.end(500)
            raise

    async def route(self, request: Request) -> Response:
        """Decide without calling anybody: `prompt` or `messages`, and perhaps `graphrouter`."""
        state = self.state
        asks = self._access.admit(request, "route")
        body = await read_body(request)
        wanted = read_wanted({"model": AUTO, **body}, state.names, state.policy)
        if wanted.model is not None:
            raise ApiError(400, "model names a model; expected auto, or none.", "model")
        prompt = body.get("prompt")
        if "messages" in body or prompt is None:
            conversation = CHAT_COMPLETIONS.read(body)
        elif isinstance(prompt, str):
            conversation = Conversation.of([Turn("user", prompt)])
        else:
            raise ApiError(400, f"prompt is {show_value(prompt)}; expected text.", "prompt")
        chosen = await self._choose(state, wanted, CHAT_COMPLETIONS, conversation)
        call = await self._begin(request, asks, chosen._replace(order=()))
        await call.kept()
        headers = {f"{PREFIX}decision": call.decision_id}
        return JSONResponse(chosen.decision.to_dict(), headers=headers)  # type: ignore[union-attr]

    def list_models(self, request: Request) -> Response:
        """The models that can be called, and the words that let the router choose."""
        self._access.admit(request, "route")
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "graphrouter"}
            for name in (*list_words(), *self.state.deployments)
        ]
        return JSONResponse({"object": "list", "data": data})

    async def _choose(
        self,
        state: ServingState,
        wanted: Wanted,
        form: ApiForm,
        conversation: Conversation,
    ) -> _Chosen:
        if wanted.model is not None:
            state.check_named(wanted.model, form, conversation)
            named = _Chosen(wanted, None, None, (wanted.model,))
            if not (self._log.observes and form.can_choose):
                return named
            try:
                observed = await self._decide(state, wanted, form, conversation)
            except ApiError:  # nobody whom the router knows can take it; the named one can
                return named
            return observed._replace(order=named.order)
        if not form.can_choose:
            raise ApiError(400, f"{form.name} are of one model; expected its name.", "model")
        return await self._decide(state, wanted, form, conversation)

    async def _decide(
        self, state: ServingState, wanted: Wanted, form: ApiForm, conversation: Conversation
    ) -> _Chosen:
        unable = state.find_unable(form, conversation)
        if len(unable) == len(state.router.models):
            raise _tell_nobody(unable)
        prompt = read_prompt(conversation)
        asked = Asked(state, prompt, wanted.task, wanted.policy, frozenset(unable))
        try:
            decision = await self._decider.decide(asked)
        except GraphRouterError as error:
            raise ApiError(400, str(error), code="nobody_to_ask") from None
        order = [decision.model]
        if not decision.used_fallback:
            order += [each.model for each in decision.candidates if each.rejected is None]
        return _Chosen(wanted, decision, prompt, tuple(dict.fromkeys(order)))

    async def _begin(self, request: Request, asks: Admitted, chosen: _Chosen) -> OpenCall:
        policy = chosen.wanted.policy
        return await self._log.begin(
            CallStart(
                endpoint=request.url.path,
                order=chosen.order,
                prompt=chosen.prompt,
                task=chosen.wanted.task,
                decision=chosen.decision,
                named=chosen.wanted.model,
                policy="" if policy is None else policy.describe(),
                key=asks.key_id,
                request_id=request.headers.get("x-request-id"),
            )
        )

    async def _ask(
        self, asked: list[Deployment], outgoing: Outgoing, chosen: _Chosen, call: OpenCall
    ) -> Response:
        hides = self._log.is_kept and hides_usage(outgoing.form, outgoing.body)
        if hides:
            outgoing = ask_for_usage(outgoing)
        try:
            reached = await reach(self.client, asked, outgoing)
        except NobodyAnsweredError as error:
            await call.end(error.status, failures=error.failures)
            raise
        except ApiError as error:
            await call.end(error.status)
            raise
        call.mark_first_byte(reached.deployment.prices)
        await call.kept()
        response, form = reached.response, outgoing.form
        headers = _tell(reached, chosen, call)
        kind = response.headers.get("content-type", "application/json")
        if not response.is_closed:
            streamed = relay(reached, call, form, outgoing.body)
            if self._log.is_kept:
                streamed = mark_stream(streamed, call, marks=self._log.marks, hides=hides)
            return StreamingResponse(
                streamed, response.status_code, headers=headers, media_type=kind
            )
        name, failures = reached.deployment.candidate, reached.failures
        try:
            content, told = read_answer(reached, form)
        except ApiError as error:
            await call.end(error.status, name, failures=failures)
            raise
        await call.end(response.status_code, name, failures=failures, usage=read_usage(told))
        if self._log.marks:
            content = mark_answer(content, call)
        return Response(content, response.status_code, headers=headers, media_type=kind)


def read_prompt(conversation: Conversation) -> str:
    """The text that a conversation is routed by: that of the last turn of the user.

    What the system says is shared by many requests, and earlier turns have been answered: neither
    counts.

    Raises:
        ApiError: None is the user's.
    """
    for turn in reversed(conversation.turns):
        if turn.role == "user":
            # A lone surrogate, which JSON can hold, is no text that an encoder takes.
            return turn.text.encode("utf-8", "replace").decode()
    raise ApiError(400, "messages has none with the role user, by which to route.", "messages")


def _tell(reached: Reached, chosen: _Chosen, call: OpenCall) -> dict[str, str]:
    """Headers that say who answered, and why."""
    name, decision, policy = reached.deployment.candidate, chosen.decision, chosen.wanted.policy
    told: dict[str, object] = {"decision": call.decision_id, "model": name}
    seen = None
    if decision is not None:  # who was named need not be a candidate
        seen = next((each for each in decision.candidates if each.model == name), None)
    if decision is not None and seen is not None:
        told |= {
            "effect": f"{seen.effect:.4f}",
            "expected-cost-usd": "" if seen.cost_usd is None else f"{seen.cost_usd:.6g}",
            "policy": "" if policy is None else policy.describe(),
            "route": decision.route or "",
        }
    told["failures"] = tell_failures(reached.failures)
    headers = {
        PREFIX + name: str(value).encode("ascii", "replace").decode()
        for name, value in told.items()
        if value != ""
    }
    given = reached.response.headers
    return headers | {name: given[name] for name in _RETURNED if name in given}


def _tell_nobody(unable: Mapping[str, str]) -> ApiError:
    told = "; ".join(f"{name}: {why}" for name, why in list(unable.items())[:5])
    more = f"; and {len(unable) - 5} more" if len(unable) > 5 else ""
    return ApiError(400, f"No model can take this request ({told}{more}).", code="nobody_to_ask")
