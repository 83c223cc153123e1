"""Sequential routing replayed on recorded outcomes, with a simulated judge, beside cascades."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphrouter.bench.baselines.methods.cascades import (
    SEQUENTIAL,
    Recorded,
    Replay,
    Replayable,
    check_trade_off,
)
from graphrouter.bench.baselines.methods.judges import find_noise, simulate_score
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.exceptions import ConfigError
from graphrouter.grades import Judge
from graphrouter.router.known_outcomes import spread
from graphrouter.router.lookahead import Stakes
from graphrouter.router.outcome_covariance import to_logit
from graphrouter.router.rollout import roll_out
from graphrouter.types import FloatArray, IntArray, Predictions, Queries

if TYPE_CHECKING:
    from graphrouter.router.sequential import SequentialRouter

MOST_CALLS = 10


def read_judge(text: str) -> float:
    """AUC of a judge: `exact` is 1, `auc:0.8` is 0.8.

    Raises:
        ConfigError: It is neither.

    Example:
        >>> read_judge("exact"), read_judge("auc:0.8")
        (1.0, 0.8)
    """
    if text == "exact":
        return 1.0
    try:
        auc = float(text.removeprefix("auc:"))
    except ValueError:
        auc = math.nan
    if not text.startswith("auc:") or not 0.5 <= auc <= 1:
        raise ConfigError(
            f"The judge is {text!r}; expected exact, or auc:X with X from 0.5 (a coin) to 1."
        )
    return auc


class SequentialReplay(Replayable):
    """What plans of a router bring on recorded outcomes: it sees those of the models it asks.

    The judge is simulated: its score is the recorded effect plus Gaussian noise, drawn from seed,
    prompt and model, the same that cascades with this AUC see. The router is told the AUC.
    """

    name: ClassVar[str] = SEQUENTIAL

    def __init__(
        self,
        router: SequentialRouter,
        judge_auc: float,
        *,
        seed: int = 0,
        max_calls: int = MOST_CALLS,
    ) -> None:
        """A replay of plans.

        Args:
            router: Who plans.
            judge_auc: Of the judge, in [0.5, 1].
            seed: Of the judge.
            max_calls: Most calls a query.
        """
        self.router, self.seed, self.max_calls = router, seed, max_calls
        self.judge_auc, self._noise = judge_auc, find_noise(judge_auc)
        self.judge = Judge() if judge_auc == 1 else Judge.of_auc(judge_auc)
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
        columns = np.arange(len(self.pool))
        names, auc = self.pool.names, self.judge_auc
        score = simulate_score(recorded, names, columns, seed=self.seed, auc=auc)
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
                partial(self._grade, score[rows]),
                max_calls=min(self.max_calls, len(self.pool)),
            )
            kept[rows], called[rows] = ran.answer, ran.called
        paid = np.where(called, np.nan_to_num(recorded.cost_usd), 0.0).sum(axis=1)
        effect = np.where(kept >= 0, recorded.effect[np.arange(len(kept)), kept], 0.0)
        return Replay(paid, effect, kept >= 0)

    @property
    def _rates(self) -> tuple[float, float]:
        return self.judge.hit_rate, self.judge.false_alarm_rate

    def _grade(
        self, score: FloatArray, rows: IntArray, models: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What the judge says of some answers."""
        said = score[rows, models]
        if 0 < self._noise < math.inf:  # a judge of that AUC gives scores of standard deviation 1
            said = said / self._noise
        grades = spread([[self.judge.read(float(value)) for value in said]])
        effect, hit_rate, false_alarm_rate = (column[0] for column in grades)
        return effect, hit_rate, false_alarm_rate

    def _divide(self, asked: Queries) -> Iterator[tuple[IntArray, FloatArray]]:
        """Queries whose task is named, and the others, with their covariances."""
        shared = self.router.outcome_covariance
        named = np.array([self.router.knows_task(task) for task in asked.tasks], dtype=bool)
        for rows, covariance in ((named, shared.named), (~named, shared.hidden)):
            if rows.any():
                yield np.flatnonzero(rows), covariance
