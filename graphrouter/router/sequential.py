"""Routers that learn from the answers to the very query, and plan more than one call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, TypedDict, Unpack

from graphrouter.exceptions import DataError
from graphrouter.grades import Judge
from graphrouter.judging.agreement import Reader
from graphrouter.judging.answer_parts import AnswerJudge
from graphrouter.moment import Moment
from graphrouter.number_checks import is_whole
from graphrouter.policy import Policy
from graphrouter.router.call_plan import Plan
from graphrouter.router.call_run import (
    Ask,
    AskLater,
    JudgeLater,
    run_plan,
    run_plan_later,
)
from graphrouter.router.known_outcomes import tell_outcomes
from graphrouter.router.outcome_covariance import OutcomeCovariance
from graphrouter.router.plan_terms import Asked, Limits, check_settings
from graphrouter.router.protocol import Router
from graphrouter.router.run_records import Run
from graphrouter.selection import check_seconds
from graphrouter.types import Embedding, Predictions, Queries

if TYPE_CHECKING:
    from graphrouter.chats.chat_prompts import Prompt
    from graphrouter.routes import RouteMatch, Routes


class PlanSettings(TypedDict, total=False):
    """What `plan` may be told beside the prompt and the judge."""

    task: str | None
    user: str | None
    team: str | None
    context: str | Sequence[str] | None
    embedding: Embedding | Sequence[float] | None
    policy: Policy | None
    judge_cost_usd: float
    max_calls: int
    max_total_cost_usd: float | None
    deadline_s: float | None
    at_once: int
    extra_latency_s: Mapping[str, float] | None
    unavailable: Iterable[str] | None
    routes: Routes | None


class SequentialRouter(Router):
    """A router that knows how the outcomes of its models on one query go together."""

    reads_known: ClassVar[bool] = True

    @cached_property
    @abstractmethod
    def outcome_covariance(self) -> OutcomeCovariance:
        """How outcomes on one query go together; found when it is first asked for."""

    def plan(
        self,
        prompt: Prompt,
        *,
        task: str | None = None,
        user: str | None = None,
        team: str | None = None,
        context: str | Sequence[str] | None = None,
        embedding: Embedding | Sequence[float] | None = None,
        policy: Policy | None = None,
        judge: Judge | None = None,
        judge_cost_usd: float = 0.0,
        max_calls: int = 3,
        max_total_cost_usd: float | None = None,
        deadline_s: float | None = None,
        at_once: int = 1,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
        routes: Routes | None = None,
    ) -> Plan:
        """Whom to ask first, and whom after a look at the answer, by expected value.

        Where no judge can help, it is the choice of `route`. docs/sequential.md.

        Args:
            prompt: To be answered: a text, or the messages of a chat.
            task: Its task where known.
            user: Who asks, as in `route`.
            team: The team of a user who is new.
            context: Documents that go with it, as in `route`.
            embedding: Vector that goes with it, as in `route`.
            policy: What effect is worth against cost; balanced without one.
            judge: How often answers are graded rightly; without one, always.
            judge_cost_usd: US dollars a grade, >= 0.
            max_calls: Most calls one after the other, >= 1.
            max_total_cost_usd: Most US dollars of all calls and grades, as expected.
            deadline_s: Most seconds of all calls, as expected.
            at_once: Most calls side by side, >= 1. Where seconds count, by `usd_per_second` of the
                policy or a deadline, `run` asks models that would be asked after a failure at once,
                as far as that is worth their cost.
            extra_latency_s: As in `route`.
            unavailable: As in `route`.
            routes: As in `route`: the route of the prompt decides by which policy, or among which
                models, all of its calls are planned.

        Raises:
            DataError: The judge is none.
            PolicyError: The policy does not weigh effect, or nobody satisfies it; a limit is no
                such number, or not even one call fits it; it names the route that it is about.
            UnknownModelError: One of the models named is not in the pool.
        """
        moment = Moment.of(extra_latency_s, unavailable, models=self.models)
        limits = Limits(max_calls, max_total_cost_usd, deadline_s, at_once)
        by = Policy() if policy is None else policy
        check_settings(by, Judge() if judge is None else judge, judge_cost_usd)
        check_seconds(by, self.cost_scale)
        one = Queries.of_one(prompt, task, user, team, context, embedding)
        asked = self._check_queries(one)
        match: RouteMatch | None = None
        source: AbstractContextManager[None] = nullcontext()
        if routes is None:
            predictions = self._predict(asked)
        else:
            routed, reading = self._apply_routes(asked, by, routes)
            for route in routes:  # all of them: it does not depend on the prompt
                if route.policy is not None:
                    with routed.name_source(route.name):
                        check_settings(route.policy, judge or Judge(), judge_cost_usd)
            predictions = self._predict_reading(asked, reading)
            (match,) = routed.matches
            by, source = routed.by_route[match.route], routed.name_source(match.route)
        shared = self.outcome_covariance
        with source:
            plan = Plan(
                Asked(
                    asked.prompts[0],
                    by.resolve(self.cost_scale),
                    judge or Judge(),
                    judge_cost_usd,
                    limits,
                    moment.delay(predictions),
                    shared.named if self.knows_task(task) else shared.hidden,
                    self.policy_context.at(moment),
                    match,
                    prompt,
                    asked,
                )
            ).check_start()
        self._note_seconds(moment, is_counted=by.counts_seconds or deadline_s is not None)
        return plan

    def run(
        self,
        prompt: Prompt,
        *,
        ask: Ask,
        judge: AnswerJudge | None = None,
        retries: int = 0,
        reliability: Judge | None = None,
        vote: Reader | None = None,
        **settings: Unpack[PlanSettings],
    ) -> Run:
        """Ask models as the plan says, one after the other, and keep the best answer.

        A model whose call fails is asked again `retries` times, then left out, and the plan is made
        anew. An error with an attribute `cost_usd` was billed all the same. With a deadline calls
        run in a thread, and one that takes longer is given up; it cannot be stopped.

        Args:
            prompt: To be answered: a text, or the messages of a chat.
            ask: Calls a model: (model, prompt as it was given) to a text, or an `Answer` that also
                says what the call took.
            judge: Grades an answer: (prompt, answer) to a number in [0, 1] or a `Grade`; without
                one the model that is worth most is asked, and nobody else unless it fails.
            retries: Further attempts of a call that failed, >= 0.
            reliability: How often the judge is right, the `judge` of `plan`.
            vote: In place of a judge, what an answer says, such as `read_number` of
                `graphrouter.judging`: the `at_once` models that are worth most are asked side by
                side, and the answer is kept on which those of most expected effect together agree.
            settings: `task`, `user`, `team`, `context`, `embedding`, `policy`, `judge_cost_usd`,
                `max_calls`, `max_total_cost_usd`, `deadline_s`, `at_once`, `extra_latency_s`,
                `unavailable`, `routes` as in `plan`.
                Several at once are called in threads.

        Raises:
            DataError: `ask` or `judge` is no function, or `retries` no such number.
            PolicyError: As in `plan`.
            RunError: No model answered, a call gave no answer, or the judge failed or gave no
                grade; its attribute `run` keeps what was called and paid.

        Example:
            >>> import graphrouter as gr
            >>> router = gr.GraphRouter.fit(gr.simulate(num_queries=200).data, instant=True)
            >>> run = router.run(
            ...     "What is 3 + 4?",
            ...     ask=lambda model, prompt: "7",
            ...     judge=lambda prompt, answer: float("7" in answer),
            ... )
            >>> run.answer, run.effect, len(run.outcomes)
            ('7', 1.0, 1)
        """
        _check_functions(ask, judge, retries)
        _check_vote(vote, judge, settings.get("at_once", 1))
        plan = self.plan(prompt, judge=_choose_judge(judge, reliability), **settings)
        task = settings.get("task")
        return run_plan(plan, ask, judge, task=task, retries=retries, vote=vote)

    async def arun(
        self,
        prompt: Prompt,
        *,
        ask: AskLater,
        judge: JudgeLater | None = None,
        retries: int = 0,
        reliability: Judge | None = None,
        vote: Reader | None = None,
        **settings: Unpack[PlanSettings],
    ) -> Run:
        """As `run`, with coroutines, of which one that is past its deadline is cancelled.

        Arguments and errors are those of `run`.
        """
        _check_functions(ask, judge, retries)
        _check_vote(vote, judge, settings.get("at_once", 1))
        plan = self.plan(prompt, judge=_choose_judge(judge, reliability), **settings)
        task = settings.get("task")
        return await run_plan_later(plan, ask, judge, task=task, retries=retries, vote=vote)

    def _tell(self, queries: Queries, predictions: Predictions) -> Predictions:
        """The predictions, changed by what is known of answers to the very queries.

        To the bit as they were where nothing is.
        """
        if not any(queries.known):
            return predictions
        named = [self.knows_task(task) for task in queries.tasks]
        return tell_outcomes(predictions, queries.known, named, self.outcome_covariance)

    def knows_task(self, task: str | None) -> bool:
        """Whether a query of that task counts as one whose task is named."""
        return task is not None and task in (self.known_tasks or ())


def _check_functions(ask: object, judge: object, retries: object) -> None:
    """Refuse what cannot be called, and retries that are no whole number of at least 0.

    Raises:
        DataError: One of them is so.
    """
    for name, function in (("ask", ask), ("judge", judge)):
        if name == "judge" and isinstance(function, Judge):
            raise DataError(
                "judge is a Judge, which says how often grades are right and gives none; expected "
                "a function of prompt and answer. Give the Judge as reliability=."
            )
        if not callable(function) and not (name == "judge" and function is None):
            raise DataError(f"{name} is a {type(function).__name__}; expected a function.")
    if not is_whole(retries, least=0):
        raise DataError(f"retries is {retries!r}; expected a whole number from 0.")


def _check_vote(vote: object, judge: object, at_once: object) -> None:
    """Refuse a vote that cannot be held.

    Raises:
        DataError: It reads no answers, there is a judge as well, or fewer than two are asked.
    """
    if vote is None:
        return
    if not callable(vote):
        raise DataError(
            f"vote is a {type(vote).__name__}; expected a function from an answer to what it says, "
            "such as read_number, read_choice or read_text of graphrouter.judging."
        )
    if judge is not None:
        raise DataError("vote and judge were given; expected one of the two.")
    if not is_whole(at_once, least=2):
        raise DataError(f"at_once is {at_once!r}; a vote needs at least 2 answers, better 3.")


def _choose_judge(judge: object, reliability: Judge | None) -> Judge | None:
    """Without anybody who grades, a judge who tells nothing: no second call is planned.

    Raises:
        DataError: Something is said of a judge who is not there.
    """
    if judge is None and reliability is not None:
        raise DataError("reliability was given without judge; expected both, or neither.")
    return Judge(0.5, 0.5) if judge is None else reliability
