"""RouterDC: queries and models in one space, by two contrastive losses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.factorization import (
    add_constant,
    draw_gaussian,
    fill_unseen,
    find_seen_models,
    pace_descent,
    subtract_query_mean,
    to_held_tensors,
    to_numbers,
    to_tensors,
)
from graphrouter.bench.baselines.tools.clusters import find_nearest_centre
from graphrouter.bench.baselines.tools.gradient import Descent, minimise
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.types import FloatArray

NUM_POSITIVE = NUM_NEGATIVE = 3
"""Best and worst models of a query that its embedding is pulled to and pushed from."""
NUM_CLUSTERS = 5
NUM_OTHERS = 3
"""Queries of other clusters that a query is pushed from."""
DIMENSION = 64
SETTINGS = Descent(learning_rate=5e-3, weight_decay=1e-2, max_epochs=30, patience=3)


class Balance(NamedTuple):
    """How the two losses are weighed."""

    temperature: float
    """What the cosine to a model is divided by in the sample-LLM loss."""
    sample_weight: float
    """Weight of the sample-sample loss."""


CANDIDATES = (Balance(1.0, 1.0), Balance(0.3, 1.0), Balance(0.3, 0.2))
"""To choose from; the first one is that of the published code."""


class Contrasts(NamedTuple):
    """Which models a query is compared with."""

    positive: Tensor
    """(num_queries, at most 3) models of the highest effect."""
    negative: Tensor
    """(num_queries, at most 3) models of the lowest effect."""
    against: Tensor
    """(num_queries, positives, negatives), whether this positive counts against this negative: it
    did better."""


@dataclass(frozen=True, eq=False)
class RouterDC(TextBaseline):
    """Cosine between the projected query and a vector a model, trained by contrastive losses.

    There are two: sample-LLM and sample-sample.

    A query is pulled to each of its three best models and pushed from its three worst, and pulled
    to a query of its k-means cluster and pushed from three of others. A worse model counts only
    where it did worse; equal effects are ordered at random in each epoch, where the original takes
    whatever the sort returns. A score is taken off the query's mean and turned into an effect by
    one curve for all models.

    Left out: fine-tuning of the text encoder (mDeBERTa in the original; a linear projection of the
    fixed embedding is trained), clusters on a t-SNE map (k-means on the embeddings themselves), and
    the choice of the best step on test rows. A model without outcomes scores the mean.
    """

    name: ClassVar[str] = "router_dc"
    source: ClassVar[str] = "RouterDC (arXiv 2409.19886, NeurIPS 2024)"

    projection: FloatArray
    """(dimension + 1, 64) map of the embedding; the last row belongs to a constant."""
    model_vectors: FloatArray
    """(num_models, 64) model vectors of unit length."""
    curve: EffectCurve

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its balance is that of the lowest validation log loss.
        """
        train = cache(lambda balance: cls._train(data, balance))
        return train(data.choose(CANDIDATES, lambda balance: train(balance).predict_effect))

    @classmethod
    def _train(cls, data: LearningData, balance: Balance) -> Self:
        generator = torch.Generator().manual_seed(data.seed)
        inputs = data.questions.vectors.shape[1] + 1
        projection = draw_gaussian((inputs, DIMENSION), inputs**-0.5, generator)
        models = draw_gaussian((len(data.pool), DIMENSION), 1.0, generator)
        vectors, effect = to_tensors(data.questions, data.outcomes.effect)
        held_vectors, held_effect = to_held_tensors(data)
        held = draw_contrasts(held_effect, generator)
        cluster = torch.from_numpy(
            find_nearest_centre(data.questions.vectors, data.find_centres(NUM_CLUSTERS))
        )

        def to_models(query: Tensor, chosen: Contrasts) -> Tensor:
            return sample_llm_loss(query @ _unit(models).T / balance.temperature, chosen)

        def loss(rows: Tensor) -> Tensor:
            query = _unit(vectors[rows] @ projection)
            return to_models(
                query, draw_contrasts(effect[rows])
            ) + balance.sample_weight * sample_sample_loss(query, cluster[rows])

        minimise(
            [projection, models],
            loss,
            num_rows=len(vectors),
            seed=data.seed,
            held_loss=(lambda: to_models(_unit(held_vectors @ projection), held))
            if bool(held.against.any())
            else None,
            settings=pace_descent(SETTINGS, len(vectors)),
        )
        known = fill_unseen(to_numbers(_unit(models)), find_seen_models(data))
        shared = (data.pool, data.cost_scale, data.encoder, data.amounts)
        router = cls(*shared, to_numbers(projection), known, EffectCurve(0.0, 0.0))
        return replace(router, curve=EffectCurve.fit(*data.score_held_rows(router.score)))

    def score(self, questions: Questions) -> FloatArray:
        """Cosine to each model beyond the query's mean, (num_queries, num_models)."""
        query = add_constant(questions.vectors) @ self.projection
        query = query / np.maximum(np.linalg.norm(query, axis=1, keepdims=True), 1e-12)
        return subtract_query_mean(query @ self.model_vectors.T)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return self.curve.apply(self.score(questions))


def draw_contrasts(effect: Tensor, generator: torch.Generator | None = None) -> Contrasts:
    """The best and the worst models of each query, equal ones in random order.

    Args:
        effect: (num_queries, num_models), NaN = not observed.
        generator: Source of chance; torch's own one without.
    """
    known = torch.isfinite(effect)
    jitter = 1e-5 * torch.rand(effect.shape, generator=generator)
    k = min(NUM_POSITIVE, effect.shape[1])
    positive = torch.where(known, effect + jitter, -torch.inf).topk(k, dim=1).indices
    negative = (
        torch.where(known, effect + jitter, torch.inf)
        .topk(min(NUM_NEGATIVE, effect.shape[1]), dim=1, largest=False)
        .indices
    )
    # NaN is neither above nor below anything, so a model that was not observed counts nowhere.
    against = effect.gather(1, positive)[:, :, None] > effect.gather(1, negative)[:, None, :]
    return Contrasts(positive, negative, against)


def sample_llm_loss(similarity: Tensor, chosen: Contrasts) -> Tensor:
    """Mean over the queries of the sum over positives of -log softmax(positive).

    The softmax is over the positive and the negatives.

    The sample-LLM contrastive loss of RouterDC. A positive without any worse model adds nothing.

    Args:
        similarity: (num_queries, num_models) cosines.
        chosen: Which models count.
    """
    positive = similarity.gather(1, chosen.positive)[:, :, None]
    negative = similarity.gather(1, chosen.negative)[:, None, :].expand_as(chosen.against)
    logits = torch.cat([positive, negative.masked_fill(~chosen.against, -torch.inf)], dim=2)
    return (torch.logsumexp(logits, dim=2) - positive[:, :, 0]).sum() / max(1, len(similarity))


def sample_sample_loss(query: Tensor, cluster: Tensor) -> Tensor:
    """Mean over the queries of -log softmax(a query of the same cluster).

    The softmax is over that one and queries of other clusters.

    The sample-sample contrastive loss of RouterDC; 0 where all queries lie in one cluster.

    Args:
        query: (num_queries, dimension) unit vectors.
        cluster: (num_queries,) number of each query's cluster.
    """
    same = cluster[:, None] == cluster[None, :]
    rows = torch.nonzero(~same.all(dim=1)).flatten()
    if len(rows) == 0:
        return query.sum() * 0.0
    friend = torch.multinomial(same[rows].float(), 1)
    others = torch.multinomial((~same[rows]).float(), NUM_OTHERS, replacement=True)
    similarity = (query[rows] @ query.T).gather(1, torch.cat([friend, others], dim=1))
    return -torch.log_softmax(similarity, dim=1)[:, 0].mean()


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)
