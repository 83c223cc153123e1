"""Similarity-weighted Bradley-Terry: RouteLLM's ranking of the models for each query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.bench.baselines.tools.vectors import measure_similarities
from graphrouter.types import FloatArray

RIDGE = 1.0
"""Precision of the normal prior on a strength, in logits to the power of -2; one comparison of full
weight weighs up to 1/4."""
START_ROUNDS, QUERY_ROUNDS = 25, 5
"""Newton steps of the strengths over all queries, and from there to those of one query. Fixed, so
batch mates do not matter."""
MAX_STEP = 2.0
_MAX_CELLS = 4_000_000
"""Comparisons held in memory at once, (training query, model, model)."""


@dataclass(frozen=True, eq=False)
class SimilarityWeighted(TextBaseline):
    """A Bradley-Terry model of who beats whom, fitted anew for each query.

    Training queries like it weigh up to ten times more.

    A training query of cosine similarity s weighs 10 * 10^(s / largest s). Two models that answered
    it are one comparison: a win for the one of the higher effect, half a win each when equal. The
    strengths turn into effects by one curve for all models.

    Left out: tiers of models that share a strength (they make up for rare battles), and human votes
    (recorded effects say who won). A weak normal prior keeps a model that never lost at a finite
    strength; the original has none. A model without comparisons has the mean strength.
    """

    name: ClassVar[str] = "routellm_sw"
    source: ClassVar[str] = "RouteLLM, similarity-weighted ranking (arXiv 2406.18665, ICLR 2025)"

    embeddings: FloatArray
    """(num_training_queries, dimension) unit vectors."""
    observed: FloatArray
    """(num_training_queries, num_models) training effects, NaN = not observed."""
    strength: FloatArray
    """(num_models,) log odds of beating an average model, all training queries weighing the
    same."""
    curve: EffectCurve

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make; nothing is tuned."""
        effect = data.outcomes.effect
        start = np.zeros(effect.shape[1])
        strength = fit_bradley_terry(
            _count_wins(np.ones((1, len(effect))), effect), start, rounds=START_ROUNDS
        )[0]
        flat = EffectCurve(0.0, 0.0)
        router = cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            data.questions.vectors,
            effect,
            strength,
            flat,
        )
        return replace(router, curve=EffectCurve.fit(*data.score_held_rows(router.score)))

    def score(self, questions: Questions) -> FloatArray:
        """Strengths, (num_queries, num_models), in logits of beating an average model.

        Their sum is 0 for each query.
        """
        return np.vstack(list(self._strengths(questions.vectors)))

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return self.curve.apply(self.score(questions))

    def _strengths(self, vectors: FloatArray) -> Iterator[FloatArray]:
        for similarity in measure_similarities(vectors, self.embeddings):
            yield fit_bradley_terry(
                _count_wins(weigh_by_similarity(similarity), self.observed),
                self.strength,
                rounds=QUERY_ROUNDS,
            )


def weigh_by_similarity(similarity: FloatArray) -> FloatArray:
    """Weights 10 * 10^(s / largest s) of the training queries, divided by 100.

    The nearest one then weighs 1.

    Args:
        similarity: (num_queries, num_train) cosine similarities.

    Returns:
        Same shape; all 1 for a query that resembles no training query at all.

    Example:
        >>> weigh_by_similarity(np.array([[0.8, 0.4, 0.0], [0.0, 0.0, -0.2]])).round(3)
        array([[1.   , 0.316, 0.1  ],
               [1.   , 1.   , 1.   ]])
    """
    top = similarity.max(axis=1, keepdims=True)
    ratio = np.divide(similarity, top, out=np.ones_like(similarity), where=top > 0)
    return np.asarray(10.0 ** (ratio - 1.0))


def fit_bradley_terry(wins: FloatArray, start: FloatArray, *, rounds: int) -> FloatArray:
    """Strengths (num_queries, num_models) of the highest posterior, by Newton's method.

    The model is `P(i beats j) = sigmoid(s_i - s_j)`.

    Bradley and Terry, "Rank analysis of incomplete block designs" (1952), with a normal prior on
    the strengths.

    Args:
        wins: (num_queries, num_models, num_models) weighted number of times that the row's model
            beat the column's.
        start: (num_models,) strengths to start from; their sum should be 0.
        rounds: Newton steps.
    """
    games = wins + wins.transpose(0, 2, 1)
    strength = np.tile(start, (len(wins), 1))
    diagonal = np.arange(len(start))
    for _ in range(rounds):
        # The logistic function, in the form that is quick on many small matrices.
        expected = 0.5 + 0.5 * np.tanh((strength[:, :, None] - strength[:, None, :]) / 2)
        gradient = np.sum(wins - games * expected, axis=2) - RIDGE * strength
        weight = games * expected * (1 - expected)
        hessian = -weight
        hessian[:, diagonal, diagonal] += weight.sum(axis=2) + RIDGE
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        # A step that is too long is shortened as a whole: the strengths keep their sum of 0.
        strength = strength + step * np.minimum(
            1.0, MAX_STEP / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12)
        )
    return np.asarray(strength)


def _count_wins(weights: FloatArray, effect: FloatArray) -> FloatArray:
    """Weighted wins (num_queries, num_models, num_models) of the row's model over the column's.

    A tie is half a win each.

    Args:
        weights: (num_queries, num_train).
        effect: (num_train, num_models), NaN = not observed.
    """
    num_models = effect.shape[1]
    wins = np.zeros((len(weights), num_models * num_models))
    size = max(1, _MAX_CELLS // num_models**2)
    for i in range(0, len(effect), size):
        some = effect[i : i + size]
        better, equal = some[:, :, None] > some[:, None, :], some[:, :, None] == some[:, None, :]
        wins += weights[:, i : i + size] @ (better + 0.5 * equal).reshape(len(some), -1)
    return wins.reshape(len(weights), num_models, num_models)
