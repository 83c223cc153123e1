"""Nearest neighbours: what happened on the most similar training prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import Baseline, predict_nothing
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.own_neighbours import OwnRows, PoolView
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.new_models import NewModels, join_columns
from graphrouter.bench.baselines.tools.vectors import find_largest, measure_similarities
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.encoders.text_encoder import TextEncoder
from graphrouter.pool import ModelPool
from graphrouter.router.shrunk_means import shrink_mean
from graphrouter.training.effect_scores import log_loss
from graphrouter.types import QUANTITIES, FloatArray, IntArray, Predictions, Queries

CANDIDATE_K = (5, 10, 20, 40, 100)
"""Numbers of neighbours to choose from, as in RouterBench."""
DEFAULT_K = 40
"""Taken when there is nothing to validate on."""
PRIOR_OUTCOMES = 1.0
"""The model's mean counts as one more neighbour: keeps the effect off 0 and 1."""


@dataclass(frozen=True, eq=False)
class NearestNeighbours(Baseline):
    """Mean outcome of each model on the k training queries with the highest cosine similarity.

    The task is ignored.

    Neighbours that a model did not answer are skipped for that model. Effect, cost, tokens and
    latency are all means over the neighbours. RouterBench counts effects in the same way; here the
    model's mean counts as one more neighbour. A model that joins later looks among its own prompts
    (`own_neighbours`).
    """

    name: ClassVar[str] = "knn"
    source: ClassVar[str] = (
        "RouterBench (arXiv 2403.12031); Rethinking Predictive Modeling for LLM Routing (arXiv "
        "2505.12601)"
    )
    can_extend: ClassVar[bool] = True

    encoder: TextEncoder
    embeddings: FloatArray
    """(num_training_queries, dimension) unit vectors, float64."""
    outcomes: ObservedOutcomes
    """Training outcomes in the same order."""
    means: MeanTable
    """One row: mean of each model in training."""
    own: OwnRows
    """What the models that joined later answered; they stand behind the fitted ones in the pool."""
    k: int

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its k is that of the lowest log loss on the validation rows.
        """
        vectors = data.questions.vectors
        none = OwnRows.none(vectors.shape[1])
        router = cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            vectors,
            data.outcomes,
            data.means,
            none,
            k=min(DEFAULT_K, len(vectors)),
        )
        if data.validation is None or data.held_questions is None:
            return router
        return replace(
            router, k=router._best_k(data.held_questions, data.validation.outcomes.effect)
        )

    def _predict(self, queries: Queries) -> Predictions:
        """Expected effect, cost, tokens and latency: shrunk means over the k nearest queries."""
        if len(queries) == 0:
            return predict_nothing(self.pool)
        vectors = Questions.of(queries, self.encoder).vectors
        fitted = self._fitted(vectors)
        if len(self.pool) == len(fitted.models):
            return fitted
        view, (k, *_, amount_k) = PoolView.of(fitted, self.means), self._used_k
        amounts = self.own.amounts(vectors, view, k=amount_k)
        return join_columns(
            fitted,
            Predictions(
                self.models[len(fitted.models) :], self.own.effect(vectors, view, k=k), *amounts
            ),
        )

    @property
    def _used_k(self) -> tuple[int, ...]:
        """Number of neighbours for each of `QUANTITIES`."""
        return (self.k,) * len(QUANTITIES)

    def _fitted(self, vectors: FloatArray) -> Predictions:
        """Expectations for the models that were fitted, from the k nearest training queries."""
        used = self._used_k
        chunks = [
            [self._average(name, near[:, :k]) for name, k in zip(QUANTITIES, used, strict=True)]
            for near in self._neighbours(vectors, max(used))
        ]
        return Predictions(
            self.outcomes.models, *(np.vstack(parts) for parts in zip(*chunks, strict=True))
        )

    def _extend(self, new: NewModels) -> Self:
        """The newcomers keep neighbours of their own among the prompts that they answered.

        See `own_neighbours`.
        """
        vectors = Questions.of(new.queries, self.encoder).vectors
        fitted = (
            self._fitted(vectors)
            if len(vectors)
            else predict_nothing(ModelPool.of(self.pool.cards[: len(self.outcomes.models)]))
        )
        own = self.own.joined(vectors, PoolView.of(fitted, self.means), self.means, new)
        return replace(self, pool=new.pool, own=own)

    def _best_k(self, questions: Questions, observed: FloatArray) -> int:
        """The candidate with the lowest log loss on held-out outcomes.

        The smaller one of equals.
        """
        candidates = sorted({min(k, len(self.embeddings)) for k in CANDIDATE_K})
        near = np.vstack(list(self._neighbours(questions.vectors, candidates[-1])))
        losses = [log_loss(self._average("effect", near[:, :k]), observed) for k in candidates]
        return candidates[int(np.argmin(np.nan_to_num(losses, nan=np.inf)))]

    def _neighbours(self, vectors: FloatArray, k: int) -> Iterator[IntArray]:
        """Training rows of the k nearest queries, nearest first, (chunk, k).

        One chunk of queries after the other.
        """
        for similarity in measure_similarities(vectors, self.embeddings):
            yield np.stack([find_largest(row, k) for row in similarity])

    def _average(self, name: str, near: IntArray) -> FloatArray:
        """Shrunk mean over the neighbours' outcomes, (chunk, num_models).

        NaN for what was never observed of a model.
        """
        values = getattr(self.outcomes, name)[near]
        count = np.isfinite(values).sum(axis=1).astype(float)
        return shrink_mean(
            np.nansum(values, axis=1),
            count,
            getattr(self.means, name),
            prior_outcomes=PRIOR_OUTCOMES,
        )
