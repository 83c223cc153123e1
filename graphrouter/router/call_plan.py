"""Whom to ask first about a prompt, and what to do after its answer was graded."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from graphrouter.exceptions import DataError, PolicyError
from graphrouter.grades import Grade, KnownOutcomes, believe
from graphrouter.moment import check_in_pool
from graphrouter.notebook import render_table
from graphrouter.number_checks import is_amount, is_whole
from graphrouter.router.known_outcomes import spread
from graphrouter.router.lookahead import Hand, Outlook, Stakes, look_ahead
from graphrouter.router.outcome_covariance import Told, condition, to_chance
from graphrouter.router.plan_terms import Asked
from graphrouter.router.plan_tree import PlanStep, draw_steps
from graphrouter.types import FloatArray, IntArray
from graphrouter.wording import round_up


class Option(NamedTuple):
    """A model that may be asked next."""

    model: str
    effect: float
    """Expected, in [0, 1], after all grades so far."""
    cost_usd: float
    """Expected US dollars of the call; NaN where unknown."""
    value: float
    """Of asking it next and going on as is best, in the unit of the policy's utility."""
    is_graded: bool
    """Whether its answer is worth a grade."""


@dataclass(frozen=True, repr=False, eq=False)
class Plan:
    """Whom to ask next about a prompt, after what was called and graded so far.

    A plan does not change; `after` and `failed` give the next one.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> router = gr.GraphRouter.fit(data, instant=True)
        >>> plan = router.plan("What is 3 + 4?", policy=gr.Policy.preset("performance_first"))
        >>> plan.first in router.models
        True
        >>> plan.after(plan.first, 1.0).first is None  # a certain pass: nobody else is asked
        True
    """

    asked: Asked
    known: KnownOutcomes = field(default_factory=dict)
    """Grades so far, by model."""
    ungraded: tuple[str, ...] = ()
    """Models whose answer is in hand without a grade."""
    out: frozenset[str] = frozenset()
    """Models that may not be asked any more: their call failed."""
    num_calls: int = 0
    """Calls so far, failed ones included."""
    spent_usd: float = 0.0
    """US dollars so far; what was expected where nothing else was said."""
    spent_s: float = 0.0
    """Seconds so far, in the same way."""

    @property
    def first(self) -> str | None:
        """The model to ask next; None where it is best to stop."""
        return self.options[0].model if self.options else None

    @property
    def route(self) -> str | None:
        """The named route of the prompt; None where it is of none, or no routes were given."""
        return None if self.asked.match is None else self.asked.match.route

    @property
    def route_confidence(self) -> float | None:
        """Probability, in [0, 1], that it is of that route, or of none; None without routes."""
        return None if self.asked.match is None else self.asked.match.confidence

    @property
    def is_graded(self) -> bool:
        """Whether the answer of `first` is worth a grade."""
        return bool(self.options) and self.options[0].is_graded

    @property
    def answer(self) -> str | None:
        """The model whose answer in hand is expected to be best; None before the first answer."""
        in_hand = self.in_hand
        return max(in_hand, key=lambda model: in_hand[model]) if in_hand else None

    @cached_property
    def in_hand(self) -> dict[str, float]:
        """Expected effect of each answer in hand, in [0, 1]."""
        worth = dict(zip(self.known, self._believed.tolist(), strict=True))
        for model in self.ungraded:
            worth[model] = float(self._effect[self.asked.columns[model]])
        return worth

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """Models that are worth asking next, best first; empty where it is best to stop."""
        if self.num_calls >= self.asked.limits.max_calls:
            return ()
        outlook = self._outlook
        cost = self.asked.predictions.cost_usd[0]
        options = [
            Option(
                self.asked.predictions.models[column],
                float(self._effect[column]),
                float(cost[column]),
                float(value),
                bool(is_graded) and self._affords_grade(float(cost[column])),
            )
            for column, value, is_graded in zip(
                outlook.candidate[0], outlook.value[0], outlook.is_graded[0], strict=True
            )
            if value > outlook.stop[0] and np.isfinite(value)
        ]
        return tuple(sorted(options, key=lambda option: -option.value))

    def _repr_html_(self) -> str:
        columns = ("ask next", "expected effect", "US dollars", "value", "worth a grade")
        rows = ((*option[:4], "yes" if option.is_graded else "no") for option in self.options)
        return render_table(repr(self), columns, rows)

    def _affords_grade(self, cost_usd: float) -> bool:
        """Whether a call and its grade fit what may be spent in all."""
        most = self.asked.limits.max_total_cost_usd
        return most is None or self.spent_usd + cost_usd + self.asked.judge_cost_usd <= most

    @property
    def value(self) -> float:
        """Of going on as is best, in the unit of the policy's utility; spent money not counted.

        Minus infinity where nobody may be asked and no answer is in hand.
        """
        return self.options[0].value if self.options else self.value_of_stopping

    @property
    def value_of_stopping(self) -> float:
        """Of keeping the best answer in hand; minus infinity without any."""
        return float(self._outlook.stop[0])

    def after(
        self,
        model: str,
        grade: float | Grade | None = None,
        *,
        cost_usd: float | None = None,
        latency_s: float | None = None,
    ) -> Plan:
        """The plan once a model has answered.

        Args:
            model: Who; usually `first`.
            grade: What the judge said, as `Judge.read` takes it, or a `Grade`; None without one.
            cost_usd: What the call took; as was expected without it. A grade costs beside it what
                was said of the judge.
            latency_s: What the call took; as was expected without it.

        Raises:
            DataError: The grade is none, or the model has answered already.
            UnknownModelError: There is no such model.
        """
        plan = self._pay(model, cost_usd, latency_s)
        if grade is None:
            return dataclasses.replace(plan, ungraded=(*self.ungraded, model))
        read = grade if isinstance(grade, Grade) else self.asked.judge.read(grade)
        spent = plan.spent_usd + self.asked.judge_cost_usd
        return dataclasses.replace(plan, known={**self.known, model: read}, spent_usd=spent)

    def failed(self, model: str, *, cost_usd: float = 0.0, latency_s: float | None = None) -> Plan:
        """The plan once a call has brought no answer; the model is not asked again.

        Args:
            model: Who.
            cost_usd: What was paid all the same.
            latency_s: What the call took; as was expected without it.

        Raises:
            DataError: The model has answered already.
            UnknownModelError: There is no such model.
        """
        return dataclasses.replace(self._pay(model, cost_usd, latency_s), out=self.out | {model})

    def expect_cost(self, model: str) -> float:
        """Expected US dollars of a call of a model of the pool; 0 where unknown.

        Raises:
            UnknownModelError: There is no such model.
        """
        check_in_pool("The call", model, self.asked.columns)
        return float(np.nan_to_num(self.asked.predictions.cost_usd[0, self.asked.columns[model]]))

    def tree(self, depth: int = 3) -> str:
        """What is asked, and what follows from a pass and a failure, drawn in text.

        Args:
            depth: Most calls in a row that are drawn, >= 1.

        Raises:
            DataError: The depth is no such number.
        """
        return "\n".join(draw_steps(self.steps(depth)))

    def steps(self, depth: int = 3) -> PlanStep:
        """The first step, with what follows from a pass and a failure.

        Args:
            depth: Most calls in a row that are looked at, >= 1.

        Raises:
            DataError: The depth is no such number.
        """
        if not is_whole(depth, least=1):
            raise DataError(f"depth is {depth!r}; expected a whole number from 1.")
        if not self.options:
            kept = self.answer
            worth = np.nan if kept is None else self.in_hand[kept]
            return PlanStep(kept, worth, np.nan, is_call=False)
        ahead = self.options[0]
        step = PlanStep(ahead.model, ahead.effect, ahead.cost_usd, is_call=True)
        if not ahead.is_graded:
            return step._replace(branches=(("", 1.0, self.after(ahead.model).steps(1)),))
        if depth == 1:
            return step
        judge = self.asked.judge
        passes = judge.expect_pass(ahead.effect)
        ends = (("pass", passes, judge.grade(1.0)), ("fail", 1 - passes, judge.grade(0.0)))
        branches = (
            (word, chance, self.after(ahead.model, grade).steps(depth - 1))
            for word, chance, grade in ends
        )
        return step._replace(branches=tuple(branches))

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what to do next, what is in hand, and what was spent."""
        return {
            "first": self.first,
            "is_graded": self.is_graded,
            "answer": self.answer,
            "value": self.value if np.isfinite(self.value) else None,
            "in_hand": self.in_hand,
            "options": [
                {
                    **option._asdict(),
                    "cost_usd": None if np.isnan(option.cost_usd) else option.cost_usd,
                }
                for option in self.options
            ],
            "num_calls": self.num_calls,
            "spent_usd": self.spent_usd,
            "spent_s": self.spent_s,
            "route": self.route,
            "route_confidence": self.route_confidence,
        }

    def __repr__(self) -> str:
        if self.first is None:
            worth = self.in_hand
            kept = f"keep {self.answer} ({worth[self.answer]:.2f})" if self.answer else "nobody"
            return f"Plan(stop: {kept}, {self.num_calls} called, {self.spent_usd:.3g} USD)"
        look = ", grade it" if self.is_graded else ""
        ahead = self.options[0]
        return f"Plan(ask {ahead.model} ({ahead.effect:.2f}, {ahead.cost_usd:.3g} USD){look})"

    def _pay(self, model: str, cost_usd: float | None, latency_s: float | None) -> Plan:
        """This plan with one more call of a model paid."""
        check_in_pool("The call", model, self.asked.columns)
        if model in self.known or model in self.ungraded or model in self.out:
            raise DataError(f"{model!r} was asked already; expected another model.")
        column = self.asked.columns[model]
        took = (
            float(np.nan_to_num(each[0, column])) if given is None else given
            for each, given in (
                (self.asked.predictions.cost_usd, cost_usd),
                (self.asked.predictions.latency_s, latency_s),
            )
        )
        usd, seconds = took
        for name, value in (("cost_usd", usd), ("latency_s", seconds)):
            if not is_amount(value):
                raise DataError(f"{name} is {value!r}; expected a finite number of at least 0.")
        return dataclasses.replace(
            self,
            num_calls=self.num_calls + 1,
            spent_usd=self.spent_usd + float(usd),
            spent_s=self.spent_s + float(seconds),
        )

    @cached_property
    def _grades(self) -> tuple[IntArray, tuple[FloatArray, FloatArray, FloatArray]]:
        """(1, K) columns of the models that were graded, and their grades."""
        models = np.array([[self.asked.columns[model] for model in self.known]], dtype=np.int64)
        return models, spread([list(self.known.values())])

    @cached_property
    def _told(self) -> Told:
        models, grades = self._grades
        return condition(self.asked.logit, self.asked.covariance, models, *grades)

    @cached_property
    def _effect(self) -> FloatArray:
        """(M,) expected of an answer of each model."""
        return to_chance(self._told.logit[0])

    @cached_property
    def _believed(self) -> FloatArray:
        """(K,) of the answers that were graded."""
        return np.asarray(believe(self._told.cavity, *self._grades[1])[0])

    @cached_property
    def _outlook(self) -> Outlook:
        left = self.asked.limits.max_calls - self.num_calls
        stakes, hand = self._count_stakes(), Hand(*self._grades)
        floor = np.array([max((self.in_hand[m] for m in self.ungraded), default=np.nan)])
        return look_ahead(
            self._told, self.asked.covariance, hand, stakes, num_calls=max(left, 1), floor=floor
        )

    def _count_stakes(self) -> Stakes:
        """What calls and grades cost, and what may be asked within the limits."""
        asked, limits, prices = self.asked, self.asked.limits, self.asked.prices
        closed = ~asked.is_open
        follows = np.ones((1, len(asked.columns), len(asked.columns)), dtype=bool)
        for most, spent, takes, between in (
            (
                limits.max_total_cost_usd,
                self.spent_usd,
                asked.predictions.cost_usd,
                asked.judge_cost_usd,
            ),
            (limits.deadline_s, self.spent_s, asked.predictions.latency_s, 0.0),
        ):
            if most is not None:
                closed = closed | ~(spent + takes <= most)
                side_by_side = limits.at_once > 1 and most is limits.deadline_s
                add = np.maximum if side_by_side else np.add
                both = add(takes[:, :, None], takes[:, None, :])
                follows &= spent + between + both <= most
        for model in (*self.known, *self.ungraded, *self.out):
            closed[0, asked.columns[model]] = True
        return Stakes(
            prices.per_effect,
            np.where(closed, np.inf, prices.call),
            prices.grade,
            asked.judge.hit_rate,
            asked.judge.false_alarm_rate,
            follows,
        )

    def check_start(self) -> Plan:
        """This plan, where a first call fits the limits.

        Raises:
            PolicyError: None does; it says how much the least call takes.
        """
        if self.options:
            return self
        limits, predictions, told = self.asked.limits, self.asked.predictions, []
        for name, most, takes in (
            ("max_total_cost_usd", limits.max_total_cost_usd, predictions.cost_usd),
            ("deadline_s", limits.deadline_s, predictions.latency_s),
        ):
            least = np.where(self.asked.is_open, takes, np.inf).min()
            if most is not None and not least <= most:
                told.append(f"{name} is {most:g}, and the least call takes {round_up(least)}")
        raise PolicyError(
            f"Nobody can be asked: {'; '.join(told) or 'no call fits all limits'}. Raise the "
            "limit, or let the policy allow other models."
        )
