"""Cascade routing: which models to call, weighed anew after every answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Self

import numpy as np
from scipy.special import ndtr

from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.answer_judges import AnswerJudge, SimulatedJudge
from graphrouter.bench.baselines.methods.cascades import (
    Cascade,
    pick_shortlist,
    take_callable_outcomes,
)
from graphrouter.bench.baselines.methods.regressors import (
    LinearMap,
    fit_best_effect_map,
    keep_inside,
)
from graphrouter.bench.baselines.methods.replays import Recorded, Replay
from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.encoders.text_encoder import TextEncoder
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions, Queries

SHORTLIST = 8
"""Models that are weighed against each other, as in the other cascades."""
MOST_CALLS = 5
"""Calls a query, as published."""
_BLOCK = 256
_FAR = 4.0
"""Standard deviations beyond which a normal distribution is taken to have ended."""
_SURE = 1e-9
"""Least standard deviation, so that nothing is divided by 0."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)


@dataclass(frozen=True, eq=False)
class CascadeRouting(Cascade):
    """Calls the set of models that is worth most; after each answer it is weighed anew.

    A set is worth the expected greatest of the qualities that its answers will be seen to have,
    less what its calls cost. The quality of an answer is normal around what is expected of the
    model before it is called (`effects`), with the standard deviation by which answers were seen to
    differ from that (`doubt`); models err independently of each other. Of the best set the cheapest
    model is called, and its answer's quality is known from then on; where the best set has nobody
    left to call, the best answer so far is kept.

    Expectations are ridge regressions on the text embedding; costs, which the original looks up,
    are predicted by what all baselines share. The original adds noise to the recorded effect to
    simulate a judge and regresses the effect on that. Here the score of the judge is weighed with
    the expectation by Bayes' rule, which is surer. That is an assumption which favours the cascade.
    The original searches one price of effect for each step on training rows; here all
    steps have that of the trade-off.
    """

    name: ClassVar[str] = "cascade_routing"
    source: ClassVar[str] = "Cascade routing (arXiv 2410.10347, ICML 2025)"

    encoder: TextEncoder
    amounts: Amounts
    effects: LinearMap
    """What is expected of each model before it is called."""
    columns: IntArray
    """(num_weighed,) columns of the models that may be called, the cheapest first."""
    doubt: FloatArray
    """(num_weighed,) standard deviation of what is seen around what was expected, >= 0."""

    @classmethod
    def learn_with(cls, data: LearningData, judge: AnswerJudge | None) -> Self:
        """The cascade whose expectations come from the training rows.

        What answers tell beyond expectation comes from the validation rows, where there are any.
        """
        take_callable_outcomes(data, cls.name)
        effects, _ = fit_best_effect_map(data)
        columns = pick_shortlist(data.means, SHORTLIST)
        seen, asked = data.train, data.questions
        if data.validation is not None and data.held_questions is not None:
            seen, asked = data.validation, data.held_questions
        recorded = Recorded.of(data.pool, seen.prompts, seen.outcomes)
        expected = keep_inside(effects.apply(asked.vectors))[:, columns]
        scorer = judge or SimulatedJudge(data.seed, None)
        score = scorer.score(recorded, data.pool.names, columns)[:, columns]
        differ = scorer.weigh(expected, score, recorded.effect[:, columns]) - expected
        count = np.isfinite(differ).sum(axis=0)
        doubt = np.sqrt(np.nansum(differ**2, axis=0) / np.maximum(count, 1))
        return cls(
            **cls._keep_judge(data, judge),
            encoder=data.encoder,
            amounts=data.amounts,
            effects=effects,
            columns=columns,
            doubt=doubt,
        )

    def _predict(self, queries: Queries) -> Predictions:
        """What is expected of each model before it is called."""
        questions = Questions.of(queries, self.encoder)
        effect = keep_inside(self.effects.apply(questions.vectors))
        amounts = self.amounts.predict(
            questions.vectors, questions.prompts, prices=self.pool.prices
        )
        return Predictions(self.pool.names, effect, *amounts)

    def call(self, recorded: Recorded, trade_off: float) -> Replay:
        """What the calls that are worth most for the trade-off pay and get.

        It sees the outcomes of the models that it calls.
        """
        blocks = [
            self._call_block(
                Recorded(recorded.prompts[rows], recorded.effect[rows], recorded.cost_usd[rows]),
                trade_off,
            )
            for rows in _cut(len(recorded.prompts))
        ]
        return Replay(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))

    def _call_block(self, recorded: Recorded, trade_off: float) -> Replay:
        before = self._predict(Queries.of(recorded.prompts))
        expected, usd = before.effect[:, self.columns], before.cost_usd[:, self.columns]
        effect = recorded.effect[:, self.columns]
        scorer = self.judge or SimulatedJudge(self.seed, None)
        score = scorer.score(recorded, self.pool.names, self.columns)[:, self.columns]
        seen = scorer.weigh(expected, score, effect)
        worth, price = (0.0, usd) if math.isinf(trade_off) else (1.0, trade_off * usd)
        price = np.where(np.isfinite(effect), price, np.inf)
        called: BoolArray = np.zeros(effect.shape, dtype=bool)
        going = np.arange(len(called))
        for left in range(min(MOST_CALLS, len(self.columns)), 0, -1):
            done = called[going]
            in_hand = np.where(done, seen[going], -np.inf).max(axis=1)
            prices = np.where(done, np.inf, price[going])
            model = self._find_next(expected[going], prices, in_hand, worth, left)
            going, model = going[model >= 0], model[model >= 0]
            called[going, model] = True
            if len(going) == 0:
                break
        kept = np.where(called, seen, -np.inf).argmax(axis=1)
        answered = called.any(axis=1)
        spent = np.where(called, recorded.cost_usd[:, self.columns], 0.0).sum(axis=1)
        got = np.where(answered, effect[np.arange(len(kept)), kept], 0.0)
        return Replay(spent, got, np.asarray(answered), called.sum(axis=1, dtype=np.int64))

    def _find_next(
        self, expected: FloatArray, price: FloatArray, in_hand: FloatArray, worth: float, left: int
    ) -> IntArray:
        """Whom to call next, (num_queries,); -1 = nobody.

        Args:
            expected: (num_queries, num_weighed) before a call.
            price: (num_queries, num_weighed) of a call, infinite where there is none to make.
            in_hand: (num_queries,) the best quality seen so far; -inf before the first answer.
            worth: What effect is worth in the currency of the price.
            left: Calls that may still be made.
        """
        sets = _list_sets(expected.shape[1], left)
        greatest = _expect_greatest(expected, self.doubt, in_hand, sets)
        members = np.array([[model in chosen for model in range(len(price.T))] for chosen in sets])
        costs = np.stack([price[:, which].sum(axis=1) for which in members], axis=1)
        value = worth * greatest - costs
        best = value.argmax(axis=1)
        cheapest = np.where(members[best], price, np.inf).argmin(axis=1)
        stay = in_hand if worth else np.minimum(in_hand, 0.0)
        return np.where(value.max(axis=1) > stay, cheapest, -1)


def _list_sets(num_models: int, size: int) -> list[tuple[int, ...]]:
    """Every set of 1 to `size` models, the smaller first."""
    lengths = range(1, min(size, num_models) + 1)
    return [chosen for length in lengths for chosen in combinations(range(num_models), length)]


def _expect_greatest(
    mean: FloatArray,
    deviation: FloatArray,
    in_hand: FloatArray,
    sets: Sequence[tuple[int, ...]],
) -> FloatArray:
    """Expected greatest of what is in hand and of independent normal qualities.

    E[max] = a + integral from a of 1 - product of the distribution functions, with a the quality in
    hand, or, without any, where the least of them begins; by Gauss and Legendre's rule between the
    points where any of the distributions begins, has its mean and ends.

    Args:
        mean: (num_queries, num_models).
        deviation: (num_models,), >= 0.
        in_hand: (num_queries,); -inf = nothing.
        sets: As of `_list_sets`.

    Returns:
        (num_queries, num_sets).
    """
    spread = np.maximum(deviation, _SURE)
    bends = np.sort(np.hstack([mean - _FAR * spread, mean, mean + _FAR * spread]), axis=1)
    low = np.where(np.isfinite(in_hand), in_hand, bends[:, 0])[:, None]
    bends = np.hstack([low, np.maximum(bends, low)])
    half = np.diff(bends, axis=1)[..., None] / 2
    shape = (len(mean), half.shape[1] * len(_NODES))
    nodes = (bends[:, :-1, None] + half * (1 + _NODES)).reshape(shape)
    weights = (half * _WEIGHTS).reshape(shape)
    below = np.moveaxis(ndtr((nodes[..., None] - mean[:, None]) / spread), 2, 0).copy()
    place = {chosen: number for number, chosen in enumerate(sets)}
    all_below = np.empty((len(sets), *nodes.shape))
    for number, (*others, last) in enumerate(sets):  # the smaller sets come first
        rest = all_below[place[tuple(others)]] if others else 1.0
        np.multiply(rest, below[last], out=all_below[number])
    within = weights.sum(axis=1)[:, None] - np.einsum("ng,sng->ns", weights, all_below)
    return np.asarray(low + within)


def _cut(num_queries: int) -> Iterator[slice]:
    """Blocks of queries, at least one."""
    for start in range(0, max(num_queries, 1), _BLOCK):
        yield slice(start, start + _BLOCK)
