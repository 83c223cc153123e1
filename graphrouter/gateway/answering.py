"""The way of a request: what it asks, who is chosen, and how the answer comes back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.chats.usage import Usage, read_usage
from graphrouter.gateway.access import Access, Admitted
from graphrouter.gateway.answer_marks import (
    ask_for_usage,
    hides_usage,
    mark_answer,
    mark_stream,
)
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import CHAT_COMPLETIONS, COUNT_TOKENS, RESPONSES, ApiForm
from graphrouter.gateway.background_judging import BackgroundJudging, Judgement
from graphrouter.gateway.call_log import CallLog, CallStart, OpenCall
from graphrouter.gateway.choosing_models import Chooser, Chosen
from graphrouter.gateway.forwarding import (
    Forwarder,
    NobodyAnsweredError,
    Reached,
    tell_failures,
)
from graphrouter.gateway.metrics import Metrics
from graphrouter.gateway.relaying import CLIENT_LEFT, RelayedResponse, relay
from graphrouter.gateway.request_bodies import ClientLeftError, read_body, unless_left
from graphrouter.gateway.sending import Outgoing, read_answer
from graphrouter.gateway.serving_state import Demand, ServingState
from graphrouter.gateway.sessions.open_sessions import OpenSessions
from graphrouter.gateway.sessions.session_names import name_session
from graphrouter.gateway.step_plans import route_plan
from graphrouter.gateway.stored_responses import StoredResponses
from graphrouter.gateway.tracing import Trace, Tracer
from graphrouter.gateway.upstream_health import UpstreamHealth
from graphrouter.gateway.upstreams import Deployment
from graphrouter.gateway.wanted_models import (
    AUTO,
    OWN_KEY,
    PREFIX,
    list_words,
    read_wanted,
)
from graphrouter.pool import KINDS
from graphrouter.router.protocol import Router
from graphrouter.wording import show_value

__all__ = ["Gateway"]

REQUEST_ID = "x-request-id"
"""Header by which a client names its request, for logs and the store."""
MOST_OF_ID = 200
"""Characters of it that are kept."""
_PASSED = ("anthropic-beta", "anthropic-version", "openai-beta")
"""Headers of a client that are for the upstream."""
_RETURNED = ("request-id",)
"""Headers of an upstream that are for the client."""


class Gateway:
    """Answers requests of any form by the state that it holds when they come."""

    client: httpx2.AsyncClient

    def __init__(
        self,
        state: ServingState,
        *,
        access: Access,
        log: CallLog,
        sessions: OpenSessions | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """A gateway; its client is there while it serves.

        Args:
            state: What to serve.
            access: Who may ask.
            log: Told of every decision and call.
            sessions: Those that are going on; without them every request is decided by itself.
            tracer: Follows requests; nobody does without one.
        """
        self.state, self._access, self._log = state, access, log
        self.health, self._stored = UpstreamHealth(), StoredResponses()
        self._chooser = Chooser(self.health, sessions, observes=log.observes)
        self.metrics = Metrics()
        self.judging: BackgroundJudging | None = None
        """Takes answers that nobody has graded; None where nobody judges them."""
        self._tracer = Tracer() if tracer is None else tracer
        self._changing = threading.Lock()

    def change_router(self, change: Callable[[Router], Router]) -> None:
        """Put another router in the place of the one that serves, at once for all who come then.

        Safe in any thread.

        Args:
            change: The other router, made of the one that serves.
        """
        self.change_state(lambda state: state.change_routers(change))

    def change_state(self, change: Callable[[ServingState], ServingState]) -> ServingState:
        """Put another state in the place of the one that serves, as `change_router`.

        Args:
            change: The other state, made of the one that serves.
        """
        with self._changing:
            changed = change(self.state)
            _ = changed.newcomers  # counted here, so that no request waits for it
            self.state = changed
            return changed

    async def answer(self, request: Request, form: ApiForm) -> Response:
        """Send a request to the model that is chosen, and its answer back.

        Args:
            request: Of a client.
            form: Of its body.

        Raises:
            ApiError: It is not to be answered.
            ClientLeftError: Nobody waits for the answer any more.
        """
        trace = self._tracer.begin(form, request.headers)
        try:
            return await self._answer(request, form, trace)
        except ApiError as error:
            trace.end(error.status)
            raise
        except (asyncio.CancelledError, ClientLeftError):
            trace.end(CLIENT_LEFT)
            raise
        except BaseException:
            trace.end(500)
            raise

    async def _answer(self, request: Request, form: ApiForm, trace: Trace) -> Response:
        asks = self._access.admit(request, "route")
        body = await read_body(request)
        state = self.state
        wanted = read_wanted(body, request.headers, state, asks.key)
        conversation = form.read(body)
        session = name_session(request.headers, body, conversation, asks.key_id)
        arm = state.choose_arm(session.key)
        if arm is not state:  # it may have other models
            state, wanted = arm, read_wanted(body, request.headers, arm, asks.key)
        previous = await self._find_previous(state, body, form)
        demand = Demand(form, conversation, previous, asks.models)
        began_ns = time.time_ns()
        chosen = await self._chooser.choose(state, wanted, demand, session)
        key = None if chosen.session is None else chosen.session.key
        trace.note_choice(chosen.decision, key, chosen.reason, began_ns)
        call = await self._begin(request, asks, chosen, state, trace)
        sent = {name: value for name, value in body.items() if name != OWN_KEY}
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        outgoing = Outgoing(form, sent, headers, wanted.deadline_s, trace)
        asked = [
            each
            for name in call.order
            for each in self.health.order(state.list_serving(name, demand))
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
        """Decide without calling anybody: `prompt`, `messages` or `steps`, and `graphrouter`."""
        state = self.state
        asks = self._access.admit(request, "route")
        body = await read_body(request)
        wanted = read_wanted({"model": AUTO, **body}, request.headers, state, asks.key)
        if wanted.model is not None:
            raise ApiError(400, "model names a model; expected auto, or none.", "model")
        if "steps" in body:
            anything = Conversation.of([Turn("user", "")])
            unable = state.find_unable(Demand(CHAT_COMPLETIONS, anything, allowed=asks.models))
            return JSONResponse(await route_plan(state.router, body, wanted.policy, list(unable)))
        prompt = body.get("prompt")
        if "messages" in body or prompt is None:
            conversation = CHAT_COMPLETIONS.read(body)
        elif isinstance(prompt, str):
            conversation = Conversation.of([Turn("user", prompt)])
        else:
            raise ApiError(400, f"prompt is {show_value(prompt)}; expected text.", "prompt")
        demand = Demand(CHAT_COMPLETIONS, conversation, allowed=asks.models)
        chosen = await self._chooser.choose(state, wanted, demand)
        call = await self._begin(request, asks, chosen._replace(order=()), state)
        await call.kept()
        headers = {f"{PREFIX}decision": call.decision_id}
        return JSONResponse(chosen.decision.to_dict(), headers=headers)  # type: ignore[union-attr]

    async def pass_stored(self, request: Request, rest: str) -> Response:
        """Answer a request for a stored response, by the upstream that made it.

        Args:
            request: With the id in its path.
            rest: Behind the id, such as `/input_items`.
        """
        self._access.admit(request, "route")
        return await self._stored.pass_on(request, rest, self.state, self.client)

    def list_models(self, request: Request) -> Response:
        """The models that can be called, and the words that let the router choose."""
        models = self._access.admit(request, "route").models
        served = [each for each in self.state.deployments if models is None or each in models]
        named = {"object": "model", "created": 0, "owned_by": "graphrouter"}
        data = [{"id": word, **named} for word in list_words(self.state)]
        kinds = {card.model: card.state_of("kind") for card in self.state.router.pool}
        data += [{"id": name, **named, "kind": kinds.get(name, KINDS[0])} for name in served]
        return JSONResponse({"object": "list", "data": data})

    async def _find_previous(
        self, state: ServingState, body: Mapping[str, Any], form: ApiForm
    ) -> Deployment | None:
        """Who keeps the response that a request goes on from; None where it begins anew."""
        previous = body.get("previous_response_id")
        if form is not RESPONSES or not isinstance(previous, str):
            return None
        return await self._stored.find(previous, state, self.client)

    async def _begin(
        self,
        request: Request,
        asks: Admitted,
        chosen: Chosen,
        state: ServingState,
        trace: Trace | None = None,
    ) -> OpenCall:
        policy = chosen.wanted.policy
        start = CallStart(
            endpoint=request.url.path,
            order=chosen.order,
            prompt=chosen.prompt,
            task=chosen.wanted.task,
            decision=chosen.decision,
            named=chosen.wanted.model,
            policy="" if policy is None else policy.describe(),
            key=asks.key_id,
            session=None if chosen.session is None else chosen.session.key,
            is_settled=chosen.is_settled,
            request_id=request.headers.get(REQUEST_ID, "")[:MOST_OF_ID] or None,
            newcomers=state.newcomers,
            artifact=state.artifact,
            context=chosen.wanted.context,
            embedding=chosen.wanted.embedding,
            trace_id=None if trace is None else trace.trace_id,
            context_nanousd=chosen.context_nanousd,
        )
        try:
            call = await self._log.begin(start)
        except ApiError as error:
            self.metrics.count_refused(start, error.status)
            raise
        self.metrics.watch(start, call)
        if trace is not None:
            trace.note_call(call)
        return call

    def _note_stored(self, reached: Reached, told: object) -> None:
        if isinstance(told, Mapping) and told.get("object") == "response":
            self._stored.note(told.get("id"), reached.deployment)

    def _note_latency(self, reached: Reached, chosen: Chosen) -> None:
        seconds = time.monotonic() - reached.began
        expected_s = chosen.find_latency_s(reached.deployment.candidate)
        self.health.note_latency(reached.deployment, seconds, expected_s)

    def _finish(self, chosen: Chosen, reached: Reached, is_whole: bool) -> None:
        """Take in how a stream went."""
        self.health.end(reached.deployment, reached.number)
        if is_whole:
            self._note_latency(reached, chosen)

    async def _ask(
        self, asked: list[Deployment], outgoing: Outgoing, chosen: Chosen, call: OpenCall
    ) -> Response:
        hides = self._log.is_kept and hides_usage(outgoing.form, outgoing.body)
        if hides:
            outgoing = ask_for_usage(outgoing)
        try:
            reached = await Forwarder(self.client, self.health).reach(asked, outgoing)
        except NobodyAnsweredError as error:
            await call.end(error.status, failures=error.failures)
            raise
        except ApiError as error:
            await call.end(error.status)
            raise
        try:
            return await self._pass_on(reached, outgoing, chosen, call, hides=hides)
        except BaseException:
            await self._leave(reached, call)
            raise

    async def _leave(self, reached: Reached, call: OpenCall) -> None:
        """End a call whose client has left before it was answered; no harm to one that has ended.

        Args:
            reached: Its answer.
            call: The call.
        """
        call.end(CLIENT_LEFT, reached.deployment.candidate, failures=reached.failures)
        self.health.end(reached.deployment, reached.number)
        await reached.response.aclose()

    def _take_judgement(self, reached: Reached, chosen: Chosen, call: OpenCall) -> Judgement | None:
        if self.judging is None or reached.response.status_code != 200:
            return None
        name, task = reached.deployment.candidate, chosen.wanted.task
        decision_id = call.decision_id
        return self.judging.take(
            chosen.decision, task, chosen.prompt, model=name, decision_id=decision_id
        )

    async def _pass_on(
        self, reached: Reached, outgoing: Outgoing, chosen: Chosen, call: OpenCall, *, hides: bool
    ) -> Response:
        self._chooser.note_answer(chosen, reached.deployment.candidate)
        call.mark_first_byte(reached.deployment.prices)
        await call.kept()
        response, form = reached.response, outgoing.form
        headers = _tell(reached, chosen, call)
        kind = response.headers.get("content-type", "application/json")
        judgement = self._take_judgement(reached, chosen, call)
        if not response.is_closed:
            finish = partial(self._finish, chosen)
            streamed = relay(reached, call, outgoing, self._note_stored, finish)
            if self._log.is_kept:
                streamed = mark_stream(streamed, call, marks=self._log.marks, hides=hides)
            if self.judging is not None and judgement is not None:
                streamed = self.judging.listen(judgement, streamed)
            return RelayedResponse(
                streamed,
                response.status_code,
                headers=headers,
                media_type=kind,
                leave=partial(self._leave, reached, call),
            )
        name, failures = reached.deployment.candidate, reached.failures
        self._note_latency(reached, chosen)
        try:
            content, told = read_answer(response, reached.deployment, form)
        except ApiError as error:
            await call.end(error.status, name, failures=failures)
            raise
        self._note_stored(reached, told)
        outgoing.trace.note_answer(told)
        usage = Usage(0, None, 0) if form is COUNT_TOKENS else read_usage(told)  # nothing is read
        await call.end(response.status_code, name, failures=failures, usage=usage)
        if self.judging is not None and judgement is not None:
            self.judging.offer_whole(judgement, content)
        if self._log.marks:
            content = mark_answer(content, call)
        return Response(content, response.status_code, headers=headers, media_type=kind)


def _tell(reached: Reached, chosen: Chosen, call: OpenCall) -> dict[str, str]:
    """Headers that say who answered, and why."""
    name, decision, policy = reached.deployment.candidate, chosen.decision, chosen.wanted.policy
    told: dict[str, object] = {"decision": call.decision_id, "model": name}
    seen = None
    if decision is not None:  # who was named need not be a candidate
        seen = next((each for each in decision.candidates if each.model == name), None)
    if decision is not None and seen is not None:
        expected_usd = chosen.expect_usd(seen)
        told |= {
            "effect": f"{seen.effect:.4f}",
            "expected-cost-usd": "" if expected_usd is None else f"{expected_usd:.6g}",
            "policy": "" if policy is None else policy.describe(),
            "route": decision.route or "",
        }
    if chosen.session is not None:
        told |= {"session": chosen.session.key, "session-reason": chosen.reason}
    told["failures"] = tell_failures(reached.failures)
    headers = {
        PREFIX + name: str(value).encode("ascii", "replace").decode()
        for name, value in told.items()
        if value != ""
    }
    given = reached.response.headers
    return headers | {name: given[name] for name in _RETURNED if name in given}
