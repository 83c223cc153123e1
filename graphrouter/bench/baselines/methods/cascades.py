"""What cascades share: they call models in turn and stop when a judge is content.

A cascade cannot be judged by predictions, so it is replayed on recorded outcomes: `replay` may look
at the outcomes of the models that it calls, and pays for every call. Real cascades read the answer;
here there are no texts, so the judge is simulated from the recorded effect with a stated amount of
error. That is an assumption, and it **favours cascades**: the judge is as good on every task and
for every model, needs no training and costs nothing unless stated.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.baseline import Baseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.exceptions import DataError, NotApplicableError, PolicyError
from graphrouter.pool import ModelPool
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions, Queries

SEQUENTIAL = "graphrouter_sequential"
"""Name of plans that are replayed beside cascades."""


class Replay(NamedTuple):
    """What a cascade has paid and got on each query."""

    cost_usd: FloatArray
    """(num_queries,) US dollars of all calls together."""
    effect: FloatArray
    """(num_queries,) recorded effect of the answer that is kept."""
    answered: BoolArray
    """(num_queries,) False where no model could be called; cost and effect are then 0."""


class Recorded(NamedTuple):
    """Outcomes that a cascade may call up: pairs whose effect and cost were both recorded.

    NaN in both elsewhere.
    """

    prompts: tuple[str, ...]
    effect: FloatArray
    """(num_queries, num_models), in pool order."""
    cost_usd: FloatArray
    """(num_queries, num_models)."""

    @classmethod
    def of(cls, pool: ModelPool, prompts: Sequence[str], observed: ObservedOutcomes) -> Self:
        """The outcomes in pool order.

        A model of the pool that `observed` does not name cannot be called.

        Raises:
            DataError: The numbers of prompts and of outcomes differ.
        """
        if len(prompts) != len(observed):
            raise DataError(
                f"observed has {len(observed)} rows for {len(prompts)} prompts; expected one row "
                "a prompt."
            )
        effect, cost = np.full(
            (2, len(pool), len(prompts)), np.nan
        )  # by model: each is read as a whole
        for column, name in enumerate(observed.models):
            if name in pool.index:
                effect[pool.index[name]], cost[pool.index[name]] = (
                    observed.effect[:, column],
                    observed.cost_usd[:, column],
                )
        known = np.isfinite(effect) & np.isfinite(cost)
        return cls(
            tuple(prompts), np.where(known, effect, np.nan).T, np.where(known, cost, np.nan).T
        )


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
    cascade was published with."""

    @classmethod
    def fit_with(cls, view: TrainingView, judge_auc: float) -> Self:
        """As `fit`, with another simulated judge; see `learn_with`."""
        return cls.learn_with(view.derive(LearningData.of_view), judge_auc)

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The cascade with the judge that it was published with.

        Raises:
            NotApplicableError: No training outcome has a cost.
        """
        return cls.learn_with(data, None)

    @classmethod
    @abstractmethod
    def learn_with(cls, data: LearningData, judge_auc: float | None) -> Self:
        """The cascade whose operating points were all tried on the training rows.

        Args:
            data: Training rows.
            judge_auc: Of the simulated judge; None = as published.

        Raises:
            NotApplicableError: No training outcome has a cost.
        """

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


def call_in_turn(recorded: Recorded, chain: Sequence[int], accepted: BoolArray) -> Iterator[Replay]:
    """What was paid and got so far, after each model of the chain; the last answer is kept.

    Args:
        recorded: What can be called.
        chain: Columns of the models, first to last.
        accepted: (num_queries, len(chain)) whether the judge is content with that model's answer,
            so that no other is called.
    """
    cost, effect = np.zeros((2, len(recorded.prompts)))
    answered = np.zeros(len(recorded.prompts), dtype=bool)
    waiting = ~answered
    for position, model in enumerate(chain):
        called = waiting & np.isfinite(recorded.effect[:, model])
        cost = cost + np.where(called, recorded.cost_usd[:, model], 0.0)
        effect = np.where(called, recorded.effect[:, model], effect)
        answered = answered | called
        waiting = waiting & ~(called & accepted[:, position])
        yield Replay(cost, effect, answered)


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
    )
