"""How a router chooses: by a policy, perhaps one for each named route, from what it predicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, overload

from graphrouter.batch_records import BatchLimits, BatchRouting
from graphrouter.batch_routing import assign_batch
from graphrouter.decision import Decision
from graphrouter.exceptions import ConfigError, NotApplicableError
from graphrouter.moment import Moment, warn_of_idle_seconds
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelPool
from graphrouter.router.routed_queries import RoutedQueries, assign_routed
from graphrouter.selection import PolicyContext, check_policy, decide, name_source
from graphrouter.types import Embedding, Predictions, Queries

if TYPE_CHECKING:
    from graphrouter.chats.chat_prompts import Prompt
    from graphrouter.features.prompts import PromptReading
    from graphrouter.routes import RouteMatch, RouteMatcher, Routes, RouteSpace
    from graphrouter.steps import Step, StepPlan, StepRouting

_BALANCED = Policy()
"""What a query is routed by where the caller names nothing."""
_MOST_MATCHERS = 8
"""Sets of routes whose matchers are kept; a server that reads its file again makes another set."""


class ChoosingRouter(ABC):
    """The part of a `Router` that chooses; what it predicts and knows is said by the rest of it."""

    pool: ModelPool
    cost_scale: CostScale

    @property
    @abstractmethod
    def models(self) -> tuple[str, ...]:
        """Names of the candidate models."""

    @property
    @abstractmethod
    def known_tasks(self) -> tuple[str, ...] | None:
        """The tasks that the router can tell apart; None for one that does not look at tasks."""

    @abstractmethod
    def _check_queries(self, queries: Queries) -> Queries:
        """The queries, checked against what the router can do and knows."""

    @abstractmethod
    def _predict(self, queries: Queries) -> Predictions:
        """Expected effect, cost, tokens and latency."""

    @cached_property
    def policy_context(self) -> PolicyContext:
        """What policies need to know of this router."""
        return PolicyContext(pool=self.pool, scale=self.cost_scale)

    def route(
        self,
        prompt: Prompt,
        *,
        task: str | None = None,
        user: str | None = None,
        team: str | None = None,
        context: str | Sequence[str] | None = None,
        embedding: Embedding | Sequence[float] | None = None,
        policy: Policy | None = None,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
        routes: Routes | None = None,
    ) -> Decision:
        """Where to send one prompt.

        Without a policy effect and cost weigh the same, as in the balanced preset; effect alone
        counts for a router whose outcomes carried no cost to weigh.

        Args:
            prompt: The text, or the messages of a chat.
            task: Its task where known.
            user: Who asks, where known; what is learned of the user's grades counts then.
            team: The team of a user who is new.
            context: Documents that go with it, as in `predict`.
            embedding: Vector that goes with it.
            policy: What to maximise and to respect.
            extra_latency_s: Seconds, at least 0, that models take longer just now, by name. A
                warning says where they change no choice, since the policy looks at no seconds.
            unavailable: Models that cannot be called just now, as a fallback neither.
            routes: Kinds of prompts with a policy or models of their own, see docs/routes.md. A
                policy of the route stands in the place of `policy`; models of the route are chosen
                among by `policy`, as all are for a prompt of no route.

        Raises:
            DataError: The prompt, or a fact about it, is none.
            PolicyError: Nobody satisfies the policy and it names no fallback, or seconds are no
                such number.
            UnknownModelError: One of the models named is not in the pool.
        """
        return self.route_batch(
            Queries.of_one(prompt, task, user, team, context, embedding),
            policy=policy,
            extra_latency_s=extra_latency_s,
            unavailable=unavailable,
            routes=routes,
        )[0]

    @overload
    def route_batch(
        self,
        queries: Queries | Sequence[Prompt],
        *,
        tasks: Sequence[str | None] | None = None,
        users: Sequence[str | None] | None = None,
        teams: Sequence[str | None] | None = None,
        contexts: Sequence[str | Sequence[str] | None] | None = None,
        embeddings: Sequence[Embedding | Sequence[float] | None] | None = None,
        policy: Policy | None = None,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
        routes: Routes | None = None,
    ) -> list[Decision]: ...

    @overload
    def route_batch(
        self,
        queries: Queries | Sequence[Prompt],
        *,
        tasks: Sequence[str | None] | None = None,
        users: Sequence[str | None] | None = None,
        teams: Sequence[str | None] | None = None,
        contexts: Sequence[str | Sequence[str] | None] | None = None,
        embeddings: Sequence[Embedding | Sequence[float] | None] | None = None,
        policy: Policy | None = None,
        budget_usd: float | None = None,
        budget_s: float | None = None,
        max_calls: Mapping[str, int] | None = None,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
        routes: Routes | None = None,
    ) -> BatchRouting: ...

    def route_batch(
        self,
        queries: Queries | Sequence[Prompt],
        *,
        tasks: Sequence[str | None] | None = None,
        users: Sequence[str | None] | None = None,
        teams: Sequence[str | None] | None = None,
        contexts: Sequence[str | Sequence[str] | None] | None = None,
        embeddings: Sequence[Embedding | Sequence[float] | None] | None = None,
        policy: Policy | None = None,
        budget_usd: float | None = None,
        budget_s: float | None = None,
        max_calls: Mapping[str, int] | None = None,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
        routes: Routes | None = None,
    ) -> list[Decision] | BatchRouting:
        """Where to send each query.

        Without a budget or caps each query is decided by itself, and a decision does not depend on
        the others. With one of them the batch is decided as a whole: the highest total effect that
        fits, whatever the policy weighs; what the policy respects holds for every query. A named
        route with a policy of its own keeps what that weighs, and the price of the budget comes on
        top.

        Args:
            queries: Prompts, or `Queries`.
            tasks: Task of each prompt where known, None where not.
            users: Who asks each, None where nobody is named.
            teams: The team of each user who is new, None where unknown.
            contexts: Documents that go with each prompt, as in `predict`.
            embeddings: Vector that goes with each prompt, as in `predict`.
            policy: What to choose by; see `route`.
            budget_usd: Most expected US dollars of all calls together.
            budget_s: Most expected seconds of all calls together, added up.
            max_calls: Most calls of a model, by model; one that is not named has no cap.
            extra_latency_s: As in `route`, for every query.
            unavailable: As in `route`, for every query.
            routes: As in `route`.

        Raises:
            DataError: The queries are not what `Queries.of` takes.
            PolicyError: Nobody satisfies the policy and it names no fallback; a budget, cap or
                latency is no such number, or not even the cheapest choices fit.
            UnknownModelError: An argument or the policy names a model that is not in the pool.
        """
        people, views = (users, teams), (contexts, embeddings)
        asked = self._check_queries(Queries.of(queries, tasks, None, *people, *views))
        by = _BALANCED if policy is None else policy
        limits = BatchLimits(budget_usd, budget_s, max_calls)
        moment = Moment.of(extra_latency_s, unavailable, models=self.models)
        limits.check(self.models)  # before the predictions: they may take minutes
        if routes is not None:
            return self._decide_by_route(asked, by, moment, limits, routes)
        if limits.is_empty:
            decided = self._decide(asked, [by] * len(asked), moment)
            self._note_seconds(moment, is_counted=by.counts_seconds)
            return decided
        predictions = moment.delay(self._predict(asked))
        assigned = assign_batch(by, predictions, self.policy_context.at(moment), limits)
        self._note_seconds(moment, is_counted=by.limits_seconds or budget_s is not None)
        return assigned

    def route_steps(
        self,
        steps: StepPlan | Sequence[Step | Mapping[str, Any]],
        *,
        user: str | None = None,
        team: str | None = None,
        policy: Policy | None = None,
        budget_usd: float | None = None,
        budget_s: float | None = None,
        max_calls: Mapping[str, int] | None = None,
        tolerance: float = 0.0,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
    ) -> StepRouting:
        """A model for each step of a plan whose steps build upon each other.

        A step goes right by its own chance, if all that it builds upon can be used. With a budget
        or caps the plan is worth the most that fits: money goes to the steps on which the most
        hangs. Without any the policy decides each step by itself. See docs/steps.md.

        Args:
            steps: `Step`s, or mappings with their fields, see `graphrouter.steps.Step`.
            user: Who asks the whole plan.
            team: The team of a user who is new.
            policy: What to respect on every step; see `route`.
            budget_usd: Most US dollars of the plan, what settled steps were billed included.
            budget_s: Most expected seconds of the steps that are left, added up.
            max_calls: Most calls of a model, settled steps included, by model.
            tolerance: Chance in [0, 1] that a step that went wrong does no harm to what follows.
            extra_latency_s: As in `route`, for every step.
            unavailable: As in `route`, for every step.

        Raises:
            DataError: The steps are no plan, see `StepPlan.of`, or a fact of one is none.
            PolicyError: As `route_batch`.
            UnknownModelError: As `route_batch`, or a settled step was run by no model of the pool.
        """
        from graphrouter.steps import StepPlan, assign_steps  # here: who plans none pays nothing

        plan, known = StepPlan.of(steps), self.known_tasks
        limits = BatchLimits(budget_usd, budget_s, max_calls)
        moment = Moment.of(extra_latency_s, unavailable, models=self.models)
        limits.check(self.models)  # before the predictions
        by = _BALANCED if policy is None else policy
        asked = self._check_queries(plan.to_queries(user, team))
        predictions, context = moment.delay(self._predict(asked)), self.policy_context.at(moment)
        self._note_seconds(moment, is_counted=by.limits_seconds or budget_s is not None)
        return assign_steps(
            plan, predictions, by, context, limits, tolerance=tolerance, known_tasks=known
        )

    def match_routes(
        self,
        queries: Queries | Sequence[Prompt],
        routes: Routes,
        *,
        tasks: Sequence[str | None] | None = None,
    ) -> list[RouteMatch]:
        """The route of each query and how surely, without choosing a model.

        Args:
            queries: Prompts, or `Queries`.
            routes: What to tell apart.
            tasks: Task of each prompt where known, None where not.

        Raises:
            ConfigError: `routes` are no routes, or name a task that the router does not know.
            NotApplicableError: The router has no text encoder.
            PolicyError: The policy of a route can decide no prompt.
            UnknownModelError: A route names a model that is not in the pool.
        """
        asked = self._check_queries(Queries.of(queries, tasks))
        return self.route_matcher(routes).match(asked.prompts, asked.tasks)

    def route_matcher(self, routes: Routes) -> RouteMatcher:
        """What finds the route of a prompt; made once for the same routes, the last eight of them.

        Raises:
            ConfigError: `routes` are no routes, or name a task that the router does not know.
            NotApplicableError: The router has no text encoder.
            PolicyError: The policy of a route can decide no prompt.
            UnknownModelError: A route names a model that is not in the pool.
        """
        from graphrouter.routes import Routes  # here: who uses none pays nothing

        if not isinstance(routes, Routes):
            raise ConfigError(
                f"routes is a {type(routes).__name__}; expected Routes, such as "
                "Routes.load('routes.yaml')."
            )
        return self._make_matcher(routes)

    @cached_property
    def _make_matcher(self) -> Callable[[Routes], RouteMatcher]:
        from graphrouter.routes import RouteMatcher

        # Not the router itself: a router that holds what holds it would not be freed at once.
        models, space, context = self.models, self._route_space, self.policy_context
        expected = self._predict(Queries.of([""]))  # says what is known of the models at all

        @lru_cache(maxsize=_MOST_MATCHERS)
        def make(routes: Routes) -> RouteMatcher:
            routes.check_against(models, space.tasks)
            for route in routes:
                if route.policy is not None:
                    with name_source(routes.locate(route.name)):
                        check_policy(route.policy, expected, context)
            return RouteMatcher(routes, space)

        return make

    @cached_property
    def _route_space(self) -> RouteSpace:
        """Where prompts are compared with routes; for routers that encode texts."""
        raise NotApplicableError(
            f"A {type(self).__name__} keeps no text encoder, so it cannot match routes. Use a "
            "router of kind graphrouter, or leave out routes."
        )

    def _decide_by_route(
        self,
        queries: Queries,
        policy: Policy,
        moment: Moment,
        limits: BatchLimits,
        routes: Routes,
    ) -> list[Decision] | BatchRouting:
        """Each query by the policy of its route, or by `policy` where it has none."""
        routed, reading = self._apply_routes(queries, policy, routes)
        own = [route.policy for route in routes if route.policy is not None]
        if not limits.is_empty:
            predictions = moment.delay(self._predict_reading(queries, reading))
            assigned = assign_routed(routed, predictions, self.policy_context.at(moment), limits)
            counts = policy.limits_seconds or any(by.counts_seconds for by in own)
            self._note_seconds(moment, is_counted=counts or limits.budget_s is not None)
            return assigned
        decided = self._decide(queries, routed.policies, moment, reading, routed.sources)
        self._note_seconds(moment, is_counted=any(by.counts_seconds for by in (policy, *own)))
        return [
            replace(decision, route=match.route, route_confidence=match.confidence)
            for decision, match in zip(decided, routed.matches, strict=True)
        ]

    def _apply_routes(
        self, queries: Queries, policy: Policy, routes: Routes
    ) -> tuple[RoutedQueries, PromptReading]:
        """The queries under their routes, and the prompts as they were read for that."""
        matcher = self.route_matcher(routes)
        reading = matcher.read(queries.prompts)
        matches = matcher.match_reading(reading, queries.tasks)
        return RoutedQueries.of(routes, matches, policy), reading

    def _predict_reading(self, queries: Queries, reading: PromptReading) -> Predictions:
        """As `_predict`, of prompts that were read already; for routers that encode texts."""
        return self._predict(queries)

    def _note_seconds(self, moment: Moment, *, is_counted: bool) -> None:
        """Say once that seconds of the moment change no choice, where nothing counts any."""
        if moment.extra_latency_s and not is_counted:
            self._warn_once_of_idle_seconds()

    @cached_property
    def _warn_once_of_idle_seconds(self) -> Callable[[], None]:
        return cache(warn_of_idle_seconds)  # a server would say it at every call

    def _decide(
        self,
        queries: Queries,
        policies: Sequence[Policy],
        moment: Moment,
        reading: PromptReading | None = None,
        sources: Sequence[str] = (),
    ) -> list[Decision]:
        """Decisions by a policy a query; for routers that know more than they predict.

        Args:
            queries: What to decide on.
            policies: Of each.
            moment: What holds for all of them.
            reading: Of the prompts, where they were read for their routes.
            sources: Where each policy stands, for messages; none where the caller gave them.
        """
        predictions, context = moment.delay(self._predict(queries)), self.policy_context.at(moment)
        told = sources or [""] * len(policies)
        return [
            decide(by, predictions, i, context, source=source)
            for i, (by, source) in enumerate(zip(policies, told, strict=True))
        ]
