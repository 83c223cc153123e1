"""RouterRetriever: the expert whose pilot embeddings a query lies nearest to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.bench.baselines.tools.vectors import measure_similarities, scale_to_unit
from graphrouter.types import FloatArray, IntArray

_FARTHEST = -1.0
"""Cosine of an expert that is the best on no training query."""


@dataclass(frozen=True, eq=False)
class RouterRetriever(TextBaseline):
    """Routes to the expert whose pilot embeddings are the most similar to the query's, on average.

    The training queries of a task are grouped by the candidate that answers them best; the centroid
    of a group is a pilot of that candidate (the source clusters a group and takes one centre too).
    Where several answer best, the query counts for each in equal parts; one that all answer alike
    counts for nobody. Only a ranking comes out, so expected effects go through one rising curve.
    The experts of the source are adapters of one retriever; here they are whatever the pool has.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = RouterRetriever.fit(data, encoder=HashingEncoder(64))
        >>> router.predict(["Add 2 and 2."]).effect.shape
        (1, 3)
    """

    name: ClassVar[str] = "router_retriever"
    source: ClassVar[str] = "RouterRetriever (arXiv 2409.02685, AAAI 2025)"

    pilots: FloatArray
    """(num_pilots, dimension) unit vectors."""
    experts: IntArray
    """(num_pilots,) column of the candidate that each pilot stands for."""
    curve: EffectCurve
    """From mean similarity to expected effect."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make."""
        pilots, experts = find_pilots(data.questions.vectors, data.outcomes.effect, data.tasks[1])
        common = (data.pool, data.cost_scale, data.encoder, data.amounts, pilots, experts)
        blank = cls(*common, EffectCurve(0.0, 0.0))
        return cls(*common, EffectCurve.fit(*data.score_held_rows(blank.score)))

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return self.curve.apply(self.score(questions))

    def score(self, questions: Questions) -> FloatArray:
        """Mean cosine to each candidate's pilots, (num_queries, num_models); -1 without any."""
        score = np.full((len(questions), len(self.pool)), _FARTHEST)
        if len(questions) == 0 or len(self.pilots) == 0:
            return score
        near = np.vstack(list(measure_similarities(questions.vectors, self.pilots)))
        for model in np.unique(self.experts):
            score[:, model] = near[:, self.experts == model].mean(axis=1)
        return score


def find_pilots(
    vectors: FloatArray, effect: FloatArray, group: IntArray
) -> tuple[FloatArray, IntArray]:
    """Centroids of the queries of each group by who answers them best, and whose each is.

    Args:
        vectors: (num_queries, dimension) unit vectors.
        effect: (num_queries, num_models) in [0, 1], NaN = not observed.
        group: (num_queries,) task of each query, -1 = unknown, which is a group too.

    Returns:
        (num_pilots, dimension) unit vectors and (num_pilots,) columns of candidates.

    Example:
        >>> effect = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> pilots, experts = find_pilots(np.eye(3), effect, np.zeros(3, dtype=np.int64))
        >>> pilots.tolist(), experts.tolist()
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [0, 1])
    """
    known = np.isfinite(effect)
    high = np.where(known, effect, -np.inf).max(axis=1, keepdims=True)
    low = np.where(known, effect, np.inf).min(axis=1, keepdims=True)
    best = known & (effect == high) & (high > low)
    weight = best / np.maximum(best.sum(axis=1, keepdims=True), 1)
    pilots, experts = [], []
    for number in np.unique(group):
        inside = group == number
        total = weight[inside].T @ vectors[inside]
        for model in np.flatnonzero(weight[inside].sum(axis=0) > 0):
            pilots.append(total[model])
            experts.append(int(model))
    shape = (len(pilots), vectors.shape[1])
    return scale_to_unit(np.reshape(pilots, shape)), np.array(experts, dtype=np.int64)
