"""Sequential routing replayed on recorded outcomes, beside cascades with the same judge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphrouter.bench.baselines.methods.answer_judges import AnswerJudge, Grades, Look
from graphrouter.bench.baselines.methods.cascades import (
    SEQUENTIAL,
    Replayable,
    check_trade_off,
)
from graphrouter.bench.baselines.methods.replays import Recorded, Replay
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.router.lookahead import Stakes
from graphrouter.router.outcome_covariance import to_logit
from graphrouter.router.rollout import roll_out
from graphrouter.types import FloatArray, IntArray, Predictions, Queries

if TYPE_CHECKING:
    from graphrouter.router.sequential import SequentialRouter

MOST_CALLS = 10


class SequentialReplay(Replayable):
    """What plans of a router bring on recorded outcomes: it sees those of the models it asks.

    Cascades with the same judge see the same scores. The router is told how far the judge is to be
    believed, and counts on a score of every answer.
    """

    name: ClassVar[str] = SEQUENTIAL

    def __init__(
        self,
        router: SequentialRouter,
        judge: AnswerJudge,
        *,
        max_calls: int = MOST_CALLS,
    ) -> None:
        """A replay of plans.

        Args:
            router: Who plans.
            judge: Who looks at answers.
            max_calls: Most calls a query.
        """
        self.router, self.judge, self.max_calls = router, judge, max_calls
        self.pool, self.cost_scale = router.pool, router.cost_scale
        self._last: tuple[Queries, Predictions] | None = None

    def _predict(self, queries: Queries) -> Predictions:
        """What the router expects; kept, since one batch is replayed at many trade-offs."""
        if self._last is None or self._last[0] is not queries:
            self._last = queries, self.router._predict(queries)
        return self._last[1]

    def replay(
        self, queries: Queries | Sequence[str], observed: ObservedOutcomes, *, trade_off: float
    ) -> Replay:
        """As in `Replayable`."""
        asked = Queries.of(queries)
        check_trade_off(trade_off)
        predictions = self._predict(asked)
        recorded = Recorded.of(self.pool, asked.prompts, observed)
        look = self.judge.start(recorded, self.pool.names)
        only_cost = math.isinf(trade_off)
        # A cost that nobody can tell is no cost of 0; where cost does not count it does not matter.
        cost = np.nan_to_num(predictions.cost_usd, nan=np.inf if trade_off > 0 else 0.0)
        price = cost * (1.0 if only_cost else trade_off)
        price = np.where(np.isfinite(recorded.effect), price, np.inf)
        kept, called = np.full(len(asked), -1, dtype=np.int64), np.zeros(price.shape, dtype=bool)
        for rows, covariance in self._divide(asked):
            ran = roll_out(
                to_logit(predictions.effect[rows]),
                covariance,
                Stakes(0.0 if only_cost else 1.0, price[rows], 0.0, *self._rates),
                partial(_look_within, look, rows),
                max_calls=min(self.max_calls, len(self.pool)),
            )
            kept[rows], called[rows] = ran.answer, ran.called
        paid = np.where(called, np.nan_to_num(recorded.cost_usd), 0.0).sum(axis=1)
        effect = np.where(kept >= 0, recorded.effect[np.arange(len(kept)), kept], 0.0)
        return Replay(paid, effect, kept >= 0, called.sum(axis=1, dtype=np.int64))

    @property
    def _rates(self) -> tuple[float, float]:
        reliability = self.judge.reliability
        return reliability.hit_rate, reliability.false_alarm_rate

    def _divide(self, asked: Queries) -> Iterator[tuple[IntArray, FloatArray]]:
        """Queries whose task is named, and the others, with their covariances."""
        shared = self.router.outcome_covariance
        named = np.array([self.router.knows_task(task) for task in asked.tasks], dtype=bool)
        for rows, covariance in ((named, shared.named), (~named, shared.hidden)):
            if rows.any():
                yield np.flatnonzero(rows), covariance


def _look_within(look: Look, inside: IntArray, rows: IntArray, models: IntArray) -> Grades:
    """What the judge says of answers to some of the queries, counted among these."""
    return look(inside[rows], models)
