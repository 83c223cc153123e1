"""What cascades share: they call models in turn and stop when a judge is content.

A cascade cannot be judged by predictions, so it is replayed on recorded outcomes: `replay` may look
at the outcomes of the models that it calls, and pays for every call. Real cascades read the answer;
here there are no texts. Where the scores of a real judge were recorded they are looked up; else the
judge is simulated from the recorded effect with a stated amount of error. That is an assumption,
and it **favours cascades**: such a judge is as good on every task and for every model. A judge
costs nothing unless stated.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import Baseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.answer_judges import (
    AnswerJudge,
    RecordedJudge,
    SimulatedJudge,
)
from graphrouter.bench.baselines.methods.replays import Recorded, Replay
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.exceptions import NotApplicableError, PolicyError
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView
from graphrouter.types import FloatArray, IntArray, Predictions, Queries

SEQUENTIAL = "graphrouter_sequential"
"""Name of plans that are replayed beside cascades."""


class Replayable(Router):
    """Calls models and looks at answers. `predict` is what it expects before it calls anyone.

    `replay` is what it reaches.
    """

    reads_answers: ClassVar[bool] = True

    @abstractmethod
    def replay(
        self, queries: Queries | Sequence[str], observed: ObservedOutcomes, *, trade_off: float
    ) -> Replay:
        """What it pays and gets on each query; it SEES THE OUTCOMES of the models that it calls.

        Args:
            queries: Prompts, or `Queries`.
            observed: What was recorded of them, (num_queries, num_models) each.
            trade_off: Effect that one US dollar is worth: 0 = only effect counts, infinity = only
                cost counts.
        """


@dataclass(frozen=True, eq=False)
class Cascade(Baseline, Replayable):
    """Calls models in turn until a judge is content."""

    needs_costs: ClassVar[bool] = True

    expected: MeanTable
    """One row: mean of each model in training."""
    seed: int
    """Seed of the simulated judge."""
    judge_auc: float | None
    """How often it puts a right answer above a wrong one, in [0.5, 1]; None = the judge that the
    cascade was published with, or a recorded one."""
    recorded_judge: RecordedJudge | None = field(default=None, kw_only=True)
    """The judge whose scores were recorded; None = a simulated one."""

    @property
    def judge(self) -> AnswerJudge | None:
        """Who looks at answers; None = the judge that the cascade was published with."""
        if self.recorded_judge is not None or self.judge_auc is None:
            return self.recorded_judge
        return SimulatedJudge(self.seed, self.judge_auc)

    @classmethod
    def fit_with(cls, view: TrainingView, judge: AnswerJudge) -> Self:
        """As `fit`, with another judge; see `learn_with`."""
        return cls.learn_with(view.derive(LearningData.of_view), judge)

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The cascade with the judge that it was published with.

        Raises:
            NotApplicableError: No training outcome has a cost.
        """
        return cls.learn_with(data, None)

    @classmethod
    @abstractmethod
    def learn_with(cls, data: LearningData, judge: AnswerJudge | None) -> Self:
        """The cascade whose operating points were all tried on the training rows.

        Args:
            data: Training rows.
            judge: Who looks at answers; None = as published.

        Raises:
            NotApplicableError: No training outcome has a cost.
        """

    @classmethod
    def _keep_judge(cls, data: LearningData, judge: AnswerJudge | None) -> dict[str, Any]:
        """The fields that tell pool, means and judge."""
        shared = {"pool": data.pool, "cost_scale": data.cost_scale, "expected": data.means}
        if isinstance(judge, SimulatedJudge):
            return {**shared, "seed": judge.seed, "judge_auc": judge.auc}
        return {**shared, "seed": data.seed, "judge_auc": None, "recorded_judge": judge}

    @abstractmethod
    def call(self, recorded: Recorded, trade_off: float) -> Replay:
        """What the cascade pays and gets at its operating point for the trade-off.

        It sees the outcomes of the models that it calls.
        """

    def _predict(self, queries: Queries) -> Predictions:
        """Training means, the same for every prompt: what is expected of a single call."""
        return self.expected.look_up(np.zeros(len(queries), dtype=np.int64))

    def replay(
        self, queries: Queries | Sequence[str], observed: ObservedOutcomes, *, trade_off: float
    ) -> Replay:
        """What the cascade pays and gets on each query.

        It SEES THE OUTCOMES of the models that it calls.

        The operating point (chain, thresholds) is the one with the best mean of `effect - trade_off
        * cost_usd` on the training rows. A pair without recorded effect and cost cannot be called:
        the next of the chain is. Where the chain has nobody left from the start, the best single
        model by training means that was recorded is called.

        Args:
            queries: Prompts, or `Queries`.
            observed: What was recorded of them, (num_queries, num_models) each.
            trade_off: Effect that one US dollar is worth: 0 = only effect counts, infinity = only
                cost counts.

        Raises:
            DataError: The numbers of prompts and outcomes differ.
            PolicyError: The trade-off is negative or NaN.
        """
        asked = Queries.of(queries)
        check_trade_off(trade_off)
        recorded = Recorded.of(self.pool, asked.prompts, observed)
        run = self.call(recorded, trade_off)
        if run.answered.all():
            return run
        liking = np.nan_to_num(
            weigh_cost(self.expected.effect[0], self.expected.cost_usd[0], trade_off), nan=-np.inf
        )
        order = np.lexsort(
            (-self.expected.effect[0], -liking)
        )  # without an effect to weigh, the better of equals
        return _call_first(recorded, order, run)


def check_trade_off(trade_off: float) -> None:
    """Refuse a trade-off that is negative or NaN.

    Raises:
        PolicyError: It is so.
    """
    if not trade_off >= 0:
        raise PolicyError(
            f"trade_off is {trade_off}; expected a number from 0 (only effect counts) to infinity "
            "(only cost)."
        )


def weigh_cost(effect: FloatArray, cost_usd: FloatArray, trade_off: float) -> FloatArray:
    """`effect - trade_off * cost_usd`, or `-cost_usd` when only cost counts; any shape."""
    return -cost_usd if np.isinf(trade_off) else effect - trade_off * cost_usd


def find_best_point(effect: FloatArray, cost_usd: FloatArray, trade_off: float) -> int:
    """Number of the operating point (num_points,) that is worth most.

    Among equals the better one, then the first.
    """
    value = weigh_cost(effect, cost_usd, trade_off)
    return int(np.lexsort((-effect, -value))[0])


def pick_shortlist(means: MeanTable, size: int) -> IntArray:
    """Columns of at most `size` models worth a place in a chain, the cheapest first.

    First those that no cheaper model beats (of more than fit, every n-th, both ends included), then
    the best of the others: what solves other queries than the models around it may help a cascade
    too.
    """
    effect, cost = means.effect[0], means.cost_usd[0]
    by_cost = [int(i) for i in np.lexsort((-effect, cost)) if np.isfinite(cost[i])]
    efficient: list[int] = []
    for model in by_cost:
        if not efficient or effect[model] > effect[efficient[-1]]:
            efficient.append(model)
    if len(efficient) > size:
        efficient = [
            efficient[i]
            for i in np.unique(np.linspace(0, len(efficient) - 1, size).round().astype(int))
        ]
    others = sorted(
        (model for model in by_cost if model not in efficient), key=lambda model: -effect[model]
    )
    chosen = {*efficient, *others[: size - len(efficient)]}
    return np.array([model for model in by_cost if model in chosen], dtype=np.int64)


def take_callable_outcomes(data: LearningData, who: str) -> Recorded:
    """The training outcomes that a cascade can be fitted on.

    Raises:
        NotApplicableError: No training outcome has an effect and a cost.
    """
    recorded = Recorded.of(data.pool, data.train.prompts, data.outcomes)
    if not np.isfinite(recorded.effect).any():
        raise NotApplicableError(
            f"{who} needs costs: no training outcome has a cost_usd. Add cost_usd to the outcomes."
        )
    return recorded


def _call_first(recorded: Recorded, order: IntArray, run: Replay) -> Replay:
    """`run`, with one more call where nobody has answered yet.

    It goes to the first model of `order` that was recorded.
    """
    there = np.isfinite(recorded.effect[:, order])
    model = order[np.argmax(there, axis=1)]
    rows = np.arange(len(model))
    needed = ~run.answered & there.any(axis=1)
    return Replay(
        np.where(needed, recorded.cost_usd[rows, model], run.cost_usd),
        np.where(needed, recorded.effect[rows, model], run.effect),
        run.answered | needed,
        run.num_calls + needed,
    )
