"""Whom a request goes to: the model that it names, or the one that the router chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from graphrouter.chats.conversation import count_tokens
from graphrouter.chats.routed_text import read_prompt
from graphrouter.chats.usage import Usage
from graphrouter.decision import Candidate, Decision
from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import COUNT_TOKENS
from graphrouter.gateway.deciding import Asked, Decider
from graphrouter.gateway.request_bodies import telling_client
from graphrouter.gateway.serving_state import Demand, ServingState
from graphrouter.gateway.sessions.open_sessions import OpenSessions
from graphrouter.gateway.sessions.session_names import CONTROL, SessionName
from graphrouter.gateway.sessions.switching import Terms, weigh_dollars
from graphrouter.gateway.thresholds import choose_by_threshold, list_order
from graphrouter.gateway.token_prices import NANOUSD
from graphrouter.gateway.upstream_health import UpstreamHealth
from graphrouter.gateway.wanted_models import Wanted
from graphrouter.policy import Policy
from graphrouter.routes import Routes
from graphrouter.wording import suggest

__all__ = ["Chooser", "Chosen"]


class Chosen(NamedTuple):
    """Whom a request goes to."""

    wanted: Wanted
    order: tuple[str, ...]
    """Models to ask, the best first."""
    decision: Decision | None = None
    """None where a model was named."""
    prompt: str | None = None
    """What was routed by."""
    session: SessionName | None = None
    """None where it is of no session."""
    is_settled: bool = False
    """Whether nobody else is to be tried in the place of the first, since its session stays."""
    reason: str = ""
    """Why its session stays, or not."""
    extra_s: tuple[tuple[str, float], ...] = ()
    """Seconds that models took longer just then than expected, which the decision counts."""
    context_nanousd: Mapping[str, int] = MappingProxyType({})
    """What each of those to ask charges for all that is sent beside the text that was routed by:
    what was said before, system prompts, tools. The decision does not count it. As if nothing of it
    were cached, and nothing where a price is unknown."""

    def expect_usd(self, candidate: Candidate) -> float | None:
        """What a call of a candidate is expected to cost, all that is sent counted."""
        if candidate.cost_usd is None:
            return None
        return candidate.cost_usd + self.context_nanousd.get(candidate.model, 0) / NANOUSD

    def find_latency_s(self, model: str) -> float | None:
        """Seconds that a model was expected to take at other times; None where unknown."""
        for each in () if self.decision is None else self.decision.candidates:
            if each.model == model and each.latency_s is not None:
                return each.latency_s - dict(self.extra_s).get(model, 0.0)
        return None


class Chooser:
    """Chooses whom requests go to."""

    def __init__(
        self, health: UpstreamHealth, sessions: OpenSessions | None, *, observes: bool
    ) -> None:
        """A chooser.

        Args:
            health: How deployments fare now.
            sessions: Those that are going on; None where every request is decided by itself.
            observes: Whether requests that name a model are decided too, though that model answers.
        """
        self._health, self._sessions, self._observes = health, sessions, observes
        self._decider = Decider()

    async def choose(
        self,
        state: ServingState,
        wanted: Wanted,
        demand: Demand,
        session: SessionName | None = None,
    ) -> Chosen:
        """Whom a request goes to.

        Args:
            state: What is served.
            wanted: Which model it asks for.
            demand: What it asks of whoever answers.
            session: Of which session it is.

        Raises:
            ApiError: Nobody can take it, or nobody satisfies the policy.
        """
        chosen = await self._choose(state, wanted, demand, session)
        return chosen._replace(context_nanousd=_price_context(state, demand, chosen))

    async def _choose(
        self, state: ServingState, wanted: Wanted, demand: Demand, session: SessionName | None
    ) -> Chosen:
        can_choose = demand.form.can_choose
        if wanted.model is not None:
            state.check_named(wanted.model, demand)
            named = Chosen(wanted, (wanted.model,))
            if not (self._observes and can_choose):
                return named
            try:
                observed = await self._decide(state, wanted, demand)
            except ApiError:  # nobody whom the router knows can take it; the named one can
                return named
            return observed._replace(order=named.order)
        if not can_choose:
            told = f"{demand.form.name} are of one model; expected its name."
            raise ApiError(400, told, "model")
        chosen = await self._decide(state, wanted, demand)
        return self._settle(state, demand, chosen, session)

    def _settle(
        self, state: ServingState, demand: Demand, chosen: Chosen, name: SessionName | None
    ) -> Chosen:
        """The same in its session."""
        decision, wanted = chosen.decision, chosen.wanted
        is_off = name is None or name.control == "off" or wanted.threshold is not None
        if is_off or name is None or self._sessions is None or decision is None:
            return chosen
        if name.pinned is not None and name.pinned not in state.router.models:
            hint = suggest(name.pinned, state.router.models, "The pool: ")
            raise ApiError(404, f"There is no model {name.pinned!r} to pin. {hint}", CONTROL)
        terms = Terms(state.prices, weigh_dollars(wanted.policy, state.router.cost_scale))
        settled = self._sessions.settle(name, demand.conversation, decision, terms)
        return chosen._replace(
            order=list_order(settled.decision),
            decision=settled.decision,
            session=name,
            is_settled=settled.is_settled,
            reason=settled.reason,
        )

    def note_answer(self, chosen: Chosen, model: str) -> None:
        """Take in who has answered.

        Args:
            chosen: Whom the request went to.
            model: Who has answered it.
        """
        if self._sessions is not None and chosen.session is not None:
            self._sessions.note_answer(chosen.session, model)

    async def _decide(self, state: ServingState, wanted: Wanted, demand: Demand) -> Chosen:
        unable = state.find_unable(demand)
        if len(unable) == len(state.router.models):
            raise _tell_nobody(unable)
        paused = self._health.find_paused(state.candidates)
        if not paused.union(unable).issuperset(state.router.models):  # else somebody has to try
            unable |= dict.fromkeys(paused, "paused")
        with telling_client():
            prompt = read_prompt(demand.conversation)
        policy, routes = wanted.policy, state.routes
        if wanted.threshold is not None:
            pair = None if state.pair is None else [n for n in state.pair if n not in unable]
            policy, routes = Policy.preset("performance_first", allowed=pair), None
        elif wanted.route is not None:
            routes = None
        extra_s: tuple[tuple[str, float], ...] = ()
        if _counts_seconds(policy, routes):
            extra_s = self._health.find_extra(state.candidates)
        asked = Asked(
            state.router,
            prompt,
            wanted.task,
            policy,
            routes,
            frozenset(unable),
            extra_s,
            context=wanted.context,
            embedding=wanted.embedding,
            user=wanted.user,
            team=wanted.team,
        )
        try:
            decision = await self._decider.decide(asked)
        except GraphRouterError as error:
            raise ApiError(400, str(error), code="nobody_to_ask") from None
        if wanted.threshold is not None:
            decision = choose_by_threshold(decision, wanted.threshold, state.pair)
        elif wanted.route is not None:
            decision = replace(decision, route=wanted.route)
        return Chosen(wanted, list_order(decision), decision, prompt, extra_s=extra_s)


def _price_context(state: ServingState, demand: Demand, chosen: Chosen) -> dict[str, int]:
    """Nanodollars of the tokens that are sent beside the text that was routed by."""
    if demand.form is COUNT_TOKENS:  # which nobody bills
        return {}
    routed = 0 if chosen.prompt is None else count_tokens(chosen.prompt)
    tokens = Usage(max(demand.conversation.num_tokens - routed, 0), None, 0)
    billed = {name: state.find_prices(name).bill(tokens) for name in chosen.order}
    return {name: nanousd for name, nanousd in billed.items() if nanousd is not None}


def _counts_seconds(policy: Policy | None, routes: Routes | None) -> bool:
    own = [] if routes is None else [route.policy for route in routes]
    return any(each is not None and each.counts_seconds for each in (policy, *own))


def _tell_nobody(unable: Mapping[str, str]) -> ApiError:
    told = "; ".join(f"{name}: {why}" for name, why in list(unable.items())[:5])
    more = f"; and {len(unable) - 5} more" if len(unable) > 5 else ""
    return ApiError(400, f"No model can take this request ({told}{more}).", code="nobody_to_ask")
