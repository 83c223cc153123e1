"""The nearest-neighbours reference: what happened on the most similar training prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.routers.base import Router, check_prompts
from graphrouter.routers.observations import QUANTITIES, Observations
from graphrouter.routers.shrinkage import model_means, shrunk_mean
from graphrouter.types import FloatArray, IntArray, Predictions

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.encoders import TextEncoder

CANDIDATE_K = (5, 10, 20, 40, 100)
"""Numbers of neighbours to choose from, as in RouterBench."""
DEFAULT_K = 40
"""Taken when there is nothing to validate on."""
PRIOR_OUTCOMES = 1.0
"""The model's mean counts as one more neighbour: keeps the effect off 0 and 1."""
CHUNK_QUERIES = 256


@dataclass(frozen=True, eq=False)
class NearestNeighbours(Router):
    """Mean outcome of each model on the k training queries with the highest cosine similarity; the task is ignored.

    Neighbours that a model did not answer are skipped for that model.
    """

    pool: ModelPool
    cost_scale: CostScale
    encoder: TextEncoder
    embeddings: FloatArray
    """(num_training_queries, dimension) unit vectors, float64."""
    outcomes: Predictions
    """Training outcomes in the same order, NaN = not observed."""
    means: Predictions
    """One row: mean of each model in training."""
    k: int

    @classmethod
    def fit(
        cls,
        data: RoutingDataset,
        query_ids: Sequence[str],
        *,
        encoder: TextEncoder,
        validation_ids: Sequence[str] = (),
        held_out_models: Collection[str] = (),
    ) -> Self:
        """The router that the given training queries make, with the k of the lowest log loss on the validation queries."""
        seen = Observations.of(data, query_ids, held_out_models=held_out_models)
        router = cls(
            pool=seen.pool,
            cost_scale=CostScale.fit(seen.outcomes.cost_usd),
            encoder=encoder,
            embeddings=_unit_vectors(encoder.encode(list(seen.prompts))),
            outcomes=seen.outcomes,
            means=model_means(seen.outcomes),
            k=min(DEFAULT_K, len(query_ids)),
        )
        if len(validation_ids) == 0:
            return router
        held = Observations.of(data, validation_ids, held_out_models=held_out_models)
        return replace(router, k=router._best_k(held))

    def predict(self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None) -> Predictions:
        """Expected effect, cost, tokens and latency of every model: shrunk means over the k nearest training queries."""
        check_prompts(prompts, tasks)
        if len(prompts) == 0:
            empty = np.empty((0, len(self.pool)))
            return Predictions(self.pool.names, *(empty for _ in QUANTITIES))
        chunks = [[self._mean_of(name, near) for name in QUANTITIES] for near in self._neighbours(prompts, self.k)]
        return Predictions(self.pool.names, *(np.vstack(parts) for parts in zip(*chunks, strict=True)))

    def _best_k(self, held: Observations) -> int:
        """The candidate with the lowest log loss on held-out outcomes; the smaller one of equals."""
        candidates = sorted({min(k, len(self.embeddings)) for k in CANDIDATE_K})
        loss = np.zeros(len(candidates))
        start = 0
        for near in self._neighbours(held.prompts, candidates[-1]):
            effect = held.outcomes.effect[start : start + len(near)]
            start += len(near)
            for i, k in enumerate(candidates):
                loss[i] += _total_log_loss(self._mean_of("effect", near[:, :k]), effect)
        return candidates[int(np.argmin(loss))]

    def _neighbours(self, prompts: Sequence[str], k: int) -> Iterator[IntArray]:
        """Training rows of the k nearest queries, nearest first, (chunk, k), for one chunk of prompts after the other."""
        vectors = _unit_vectors(self.encoder.encode(list(prompts)))
        for start in range(0, len(vectors), CHUNK_QUERIES):
            # A matrix product rounds differently for different numbers of rows. Rounding far above that error keeps a
            # query's neighbours, and their order, independent of its batch mates.
            similarity = np.round(vectors[start : start + CHUNK_QUERIES] @ self.embeddings.T, 10)
            yield np.stack([_largest(row, k) for row in similarity])

    def _mean_of(self, name: str, near: IntArray) -> FloatArray:
        """Shrunk mean over the neighbours' outcomes, (chunk, num_models); NaN for what was never observed of a model."""
        values = getattr(self.outcomes, name)[near]
        count = np.isfinite(values).sum(axis=1).astype(float)
        return shrunk_mean(np.nansum(values, axis=1), count, getattr(self.means, name), prior_outcomes=PRIOR_OUTCOMES)


def _unit_vectors(embeddings: object) -> FloatArray:
    vectors = np.asarray(embeddings, dtype=np.float64)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, 1e-12))  # an empty prompt may have a zero vector


def _largest(row: FloatArray, k: int) -> IntArray:
    """Positions of the k largest values, largest first, the earlier of equals first."""
    smallest = np.partition(row, len(row) - k)[len(row) - k]
    reached = np.flatnonzero(row >= smallest)
    return reached[np.argsort(-row[reached], kind="stable")[:k]]


def _total_log_loss(probability: FloatArray, effect: FloatArray) -> float:
    """Sum of the cross entropies over the observed pairs; the probabilities are strictly inside (0, 1)."""
    return float(-np.nansum(effect * np.log(probability) + (1 - effect) * np.log1p(-probability)))
