"""The published cascades: FrugalGPT, AutoMix and RouterBench's.

How they are judged is told in `cascades` and `judges`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.answer_judges import AnswerJudge, SimulatedJudge
from graphrouter.bench.baselines.methods.cascades import (
    Cascade,
    find_best_point,
    pick_shortlist,
    take_callable_outcomes,
    weigh_cost,
)
from graphrouter.bench.baselines.methods.judges import (
    ERROR_RATE,
    NUM_VOTES,
    count_as_votes,
    simulate_errors,
    simulate_votes,
)
from graphrouter.bench.baselines.methods.replays import Recorded, Replay, call_in_turn
from graphrouter.router.shrunk_means import shrink_mean
from graphrouter.types import BoolArray, FloatArray, IntArray

SHORTLIST = 8
"""Models that chains are made of, as a search over a whole pool would take days."""
LONGEST_CHAIN = 3
THRESHOLDS = (-0.5, 0.0, 0.5, 1.0, 1.5)
"""Scores to choose from at which an answer is accepted."""
QUALITY_THRESHOLDS = (0.5, 0.75, 1.0)
"""Effects to choose from at which an answer counts as good."""


@dataclass(frozen=True, eq=False)
class FrugalGPT(Cascade):
    """Up to three models in turn, the cheaper first.

    A scorer with a threshold for each but the last decides when to stop.

    Chains and thresholds are searched on the training rows, for every trade-off anew. In the
    original the scorer is a DistilBERT that reads query and answer; here its score is the recorded
    effect plus Gaussian noise (`SCORE_NOISE`), drawn from seed, prompt and model. That is an
    assumption which favours the cascade. The original prunes chains by how much answers differ;
    here by `pick_shortlist`. Prompt adaptation and the completion cache are left out.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.bench.observations import Observations
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = FrugalGPT.fit(data, encoder=HashingEncoder(64))
        >>> seen = Observations.of(data, data.queries["query_id"].tolist())
        >>> runs = [router.replay(seen.queries, seen.outcomes, trade_off=t) for t in (0, 1e9)]
        >>> bool(runs[0].cost_usd.sum() > runs[1].cost_usd.sum())
        True
    """

    name: ClassVar[str] = "frugal_gpt"
    source: ClassVar[str] = "FrugalGPT (arXiv 2305.05176)"

    chains: IntArray
    """(num_points, LONGEST_CHAIN) columns of the models of each operating point, -1 = no further
    model."""
    thresholds: FloatArray
    """(num_points, LONGEST_CHAIN - 1) lowest score that is accepted; NaN = no further model."""
    effect: FloatArray
    """(num_points,) mean effect on the training rows with outcomes of the whole chain."""
    cost_usd: FloatArray
    """(num_points,) mean US dollars a query on them."""

    @classmethod
    def learn_with(cls, data: LearningData, judge: AnswerJudge | None) -> Self:
        """The cascade whose operating points were all tried on the training rows."""
        recorded, models = (
            take_callable_outcomes(data, cls.name),
            pick_shortlist(data.means, SHORTLIST),
        )
        scorer = judge or SimulatedJudge(data.seed, None)
        score = scorer.score(recorded, data.pool.names, models)
        chains, thresholds, means = [], [], []
        for chain, limits in _frugal_points(recorded, models):
            run = _run_chain(recorded, chain, score[:, chain] >= np.array([*limits, -np.inf]))
            means.append(_average(run, _find_complete(recorded, chain), data))
            gap = LONGEST_CHAIN - len(chain)
            chains.append([*chain, *[-1] * gap])
            thresholds.append([*limits, *[np.nan] * gap])
        effect, cost = np.array(means).T
        return cls(
            **cls._keep_judge(data, judge),
            chains=np.array(chains, dtype=np.int64),
            thresholds=np.array(thresholds, dtype=np.float64),
            effect=effect,
            cost_usd=cost,
        )

    def call(self, recorded: Recorded, trade_off: float) -> Replay:
        """What the best chain for the trade-off pays and gets.

        It sees the outcomes of the models that it calls.
        """
        point = find_best_point(self.effect, self.cost_usd, trade_off)
        chain = self.chains[point][self.chains[point] >= 0]
        scorer = self.judge or SimulatedJudge(self.seed, None)
        score = scorer.score(recorded, self.pool.names, chain)
        limits = np.append(self.thresholds[point, : len(chain) - 1], -np.inf)
        return _run_chain(recorded, chain.tolist(), score[:, chain] >= limits)


@dataclass(frozen=True, eq=False)
class AutoMix(Cascade):
    """A small model answers and verifies itself.

    By the number of favourable votes the answer is kept, or a large one asked.

    The original's POMDP over the verifier's confidence comes down to one choice a bin of votes:
    keep, or ask, whichever is worth more on the training rows; so do here the pair of models and
    whether to verify at all. Votes are simulated: the verifier's confidence in one answer is drawn
    from Beta(2, 1) if it is right and from Beta(1, 2) if it is wrong, and its `NUM_VOTES` votes
    follow it, so that a single vote is right 2 times in 3 and votes on one answer agree with each
    other. That is an assumption which favours the cascade. Verifying is charged as one more call of
    the small model. Chains of three models are left out.
    """

    name: ClassVar[str] = "auto_mix"
    source: ClassVar[str] = "AutoMix (arXiv 2310.12963, NeurIPS 2024)"

    small: IntArray
    """(num_pairs,) column of the model that is called first."""
    large: IntArray
    """(num_pairs,) column of the model that may be asked after it; -1 = nobody, and nothing is
    verified."""
    share: FloatArray
    """(num_pairs, NUM_VOTES + 1) share of the training rows with that many favourable votes."""
    kept_effect: FloatArray
    """(num_pairs, NUM_VOTES + 1) mean effect of the small model on them."""
    asked_effect: FloatArray
    """(num_pairs, NUM_VOTES + 1) mean effect of the large model on them."""
    asked_usd: FloatArray
    """(num_pairs, NUM_VOTES + 1) mean US dollars of a call of the large model on them."""
    small_usd: FloatArray
    """(num_pairs,) mean US dollars of the small model, verification included."""

    @classmethod
    def learn_with(cls, data: LearningData, judge: AnswerJudge | None) -> Self:
        """The cascade of all pairs of the shortlist, and of each model alone."""
        recorded, models = (
            take_callable_outcomes(data, cls.name),
            pick_shortlist(data.means, SHORTLIST).tolist(),
        )
        votes = _count_votes(recorded, data.pool.names, models, judge, seed=data.seed)
        pairs = [(model, -1) for model in models]
        pairs += [pair for pair in combinations(models, 2) if _find_complete(recorded, pair).any()]
        # Verified by the small model itself, or for nothing by the judge that is given.
        num_charged = 2 if judge is None else 1
        tables = [
            _vote_table(data, recorded, votes, pair, num_charged=num_charged) for pair in pairs
        ]
        first, second = np.array(pairs, dtype=np.int64).T
        share, kept, asked, asked_usd, small_usd = (
            np.array(column) for column in zip(*tables, strict=True)
        )
        return cls(
            **cls._keep_judge(data, judge),
            small=first,
            large=second,
            share=share,
            kept_effect=kept,
            asked_effect=asked,
            asked_usd=asked_usd,
            small_usd=small_usd,
        )

    def call(self, recorded: Recorded, trade_off: float) -> Replay:
        """What the best pair for the trade-off pays and gets.

        It sees the outcomes of the models that it calls.
        """
        asks = weigh_cost(self.asked_effect, self.asked_usd, trade_off) > weigh_cost(
            self.kept_effect, np.zeros(()), trade_off
        )
        asks &= self.large[:, None] >= 0
        effect = np.sum(self.share * np.where(asks, self.asked_effect, self.kept_effect), axis=1)
        cost = self.small_usd + np.sum(self.share * np.where(asks, self.asked_usd, 0.0), axis=1)
        pair = find_best_point(effect, cost, trade_off)
        small, large = int(self.small[pair]), int(self.large[pair])
        if large < 0:
            return _run_chain(recorded, [small], np.ones((len(recorded.prompts), 1), dtype=bool))
        votes = _count_votes(recorded, self.pool.names, [small], self.judge, seed=self.seed)
        votes = votes[:, small]
        accepted = np.column_stack([~asks[pair][votes], np.ones(len(votes), dtype=bool)])
        run = _run_chain(recorded, [small, large], accepted)
        if self.judge is not None:
            return run
        verification = np.nan_to_num(recorded.cost_usd[:, small])
        is_called = np.isfinite(recorded.effect[:, small])
        return run._replace(
            cost_usd=run.cost_usd + verification, num_calls=run.num_calls + is_called
        )


@dataclass(frozen=True, eq=False)
class RouterBenchCascade(Cascade):
    """All models in turn, the cheapest first, until a judge is content or the budget is spent.

    The budget is that of a query.

    The judge compares the recorded effect with a threshold and is wrong in `ERROR_RATE` of the
    cases (drawn from seed, prompt and model), as in RouterBench's own simulation; that is an
    assumption which favours the cascade. RouterBench stops at a price a query and looks up what the
    next call will cost; nobody knows that before the call, so here the mean training costs say how
    many models fit the price, and that number is what is searched, with the threshold. Its code
    orders the models by list price and has a single threshold.
    """

    name: ClassVar[str] = "routerbench_cascade"
    source: ClassVar[str] = "RouterBench (arXiv 2403.12031)"

    chain: IntArray
    """(num_called,) columns of the models with a training cost, the cheapest first."""
    error_rate: float
    effect: FloatArray
    """(num_thresholds, num_called) mean training effect with that threshold and at most that many
    calls."""
    cost_usd: FloatArray
    """(num_thresholds, num_called) mean US dollars a query."""

    @classmethod
    def learn_with(cls, data: LearningData, judge: AnswerJudge | None) -> Self:
        """The cascade whose thresholds and lengths were all tried on the training rows."""
        recorded = take_callable_outcomes(data, cls.name)
        cost = data.means.cost_usd[0]
        chain = np.array(
            [i for i in np.argsort(cost, kind="stable") if np.isfinite(cost[i])], dtype=np.int64
        )
        means = []
        content = partial(_accept, judge=judge, seed=data.seed, error_rate=ERROR_RATE)
        for threshold in QUALITY_THRESHOLDS:
            accepted = content(recorded, data.pool.names, chain, threshold)
            means.append(
                [
                    _average(run, run.answered, data)
                    for run in call_in_turn(recorded, chain.tolist(), accepted)
                ]
            )
        effect, usd = np.moveaxis(np.array(means), -1, 0)
        return cls(
            **cls._keep_judge(data, judge),
            chain=chain,
            error_rate=ERROR_RATE,
            effect=effect,
            cost_usd=usd,
        )

    def call(self, recorded: Recorded, trade_off: float) -> Replay:
        """What the best length for the trade-off pays and gets.

        It sees the outcomes of the models that it calls.
        """
        threshold, last = np.unravel_index(
            find_best_point(self.effect.ravel(), self.cost_usd.ravel(), trade_off),
            self.effect.shape,
        )
        chain = self.chain[: int(last) + 1]
        accepted = _accept(
            recorded,
            self.pool.names,
            chain,
            QUALITY_THRESHOLDS[int(threshold)],
            judge=self.judge,
            seed=self.seed,
            error_rate=self.error_rate,
        )
        return _run_chain(recorded, chain.tolist(), accepted)


def _accept(
    recorded: Recorded,
    models: tuple[str, ...],
    chain: IntArray,
    threshold: float,
    *,
    judge: AnswerJudge | None,
    seed: int,
    error_rate: float,
) -> BoolArray:
    """Whether RouterBench's judge, or the one given, is content with each answer.

    (num_queries, len(chain)).
    """
    if judge is not None:
        return np.asarray(judge.score(recorded, models, chain)[:, chain] >= threshold)
    wrong = simulate_errors(recorded, models, chain, error_rate=error_rate, seed=seed)
    return np.asarray((recorded.effect[:, chain] >= threshold) ^ wrong)


def _count_votes(
    recorded: Recorded,
    models: tuple[str, ...],
    columns: list[int],
    judge: AnswerJudge | None,
    *,
    seed: int,
) -> IntArray:
    """Favourable votes of AutoMix's verifier, or of the judge given, (num_queries, num_models)."""
    if judge is not None:
        return count_as_votes(judge.score(recorded, models, np.array(columns)))
    return simulate_votes(recorded, models, seed=seed, columns=columns)


def _frugal_points(
    recorded: Recorded, models: IntArray
) -> Iterator[tuple[list[int], tuple[float, ...]]]:
    """Every chain of ascending cost with every combination of thresholds, the shortest first."""
    for length in range(1, min(LONGEST_CHAIN, len(models)) + 1):
        for chain in combinations(models.tolist(), length):
            if _find_complete(recorded, chain).any():
                for limits in product(THRESHOLDS, repeat=length - 1):
                    yield list(chain), limits


def _vote_table(
    data: LearningData,
    recorded: Recorded,
    votes: IntArray,
    pair: tuple[int, int],
    *,
    num_charged: int,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, float]:
    """share, kept_effect, asked_effect, asked_usd and small_usd of a pair.

    See the fields of `AutoMix`. An answer that is verified costs `num_charged` calls.
    """
    small, large = pair
    rows = _find_complete(recorded, [small] if large < 0 else [small, large])
    count = np.bincount(votes[rows, small], minlength=NUM_VOTES + 1).astype(np.float64)
    kept = _average_by_votes(
        recorded.effect[rows, small], votes[rows, small], count, data.means.effect[0, small]
    )
    small_usd = float(recorded.cost_usd[rows, small].mean())
    share = count / count.sum()
    if large < 0:
        return share, kept, kept, np.zeros_like(kept), small_usd
    asked = _average_by_votes(
        recorded.effect[rows, large], votes[rows, small], count, data.means.effect[0, large]
    )
    usd = _average_by_votes(
        recorded.cost_usd[rows, large], votes[rows, small], count, data.means.cost_usd[0, large]
    )
    return share, kept, asked, usd, num_charged * small_usd


def _average_by_votes(
    values: FloatArray, votes: IntArray, count: FloatArray, prior: FloatArray
) -> FloatArray:
    """Mean of the values for each number of votes, (NUM_VOTES + 1,), shrunk to the prior."""
    total = np.bincount(votes, weights=values, minlength=NUM_VOTES + 1).astype(np.float64)
    return shrink_mean(total, count, prior)


def _find_complete(recorded: Recorded, chain: Sequence[int]) -> BoolArray:
    """Rows on which the whole chain was recorded, (num_queries,).

    All chains are compared as if nothing were missing.
    """
    return np.asarray(np.isfinite(recorded.effect[:, list(chain)]).all(axis=1))


def _run_chain(recorded: Recorded, chain: list[int], accepted: BoolArray) -> Replay:
    """What was paid and got after the whole chain."""
    *_, run = call_in_turn(recorded, chain, accepted)
    return run


def _average(run: Replay, rows: BoolArray, data: LearningData) -> tuple[float, float]:
    """Mean effect and cost of some rows.

    The effect is shrunk to the pool's, so that a few lucky rows count little.
    """
    count = np.asarray(rows.sum(), dtype=np.float64)
    effect = shrink_mean(run.effect[rows].sum(), count, np.asarray(data.means.effect.mean()))
    return float(effect), float(run.cost_usd[rows].mean())
