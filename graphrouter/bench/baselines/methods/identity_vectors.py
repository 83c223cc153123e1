"""Models described by how they do on a quiz, and a scorer of query and description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.factorization import (
    add_constant,
    descend,
    draw_gaussian,
    fill_unseen,
    find_seen_models,
    make_scalar,
    take_mean_logit,
    to_numbers,
)
from graphrouter.bench.baselines.methods.item_response import SETTINGS
from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.bench.baselines.tools.vectors import CHUNK_QUERIES
from graphrouter.router.shrunk_means import shrink_mean
from graphrouter.types import FloatArray

IDENTITY_DIMENSION = 8
IDENTITY_RIDGE = 5.0
"""Ridge penalty of an identity vector, in outcomes."""
SCORER_WIDTH = 64
SCORER_DECAYS = (1.0, 0.1, 3.0)


@dataclass(frozen=True, eq=False)
class IdentityVectors(TextBaseline):
    """Success from the query's embedding and the model's identity vector, by one small network.

    All models share the network.

    The identity of a model comes from its outcomes: a ridge regression of what it did, beyond what
    the prompt's mean promises, on the principal directions of the prompts. The network knows a
    model by this vector alone, so a newcomer needs no more than a quiz of some 20 to 50 prompts.

    Left out: the policy network conditioned on the user's trade-off and its reinforcement learning
    (`Policy` weighs effect and cost here), the variational item response model behind the
    identities (a ridge regression takes its place), and the trained text encoder. A model without
    outcomes gets the mean identity.
    """

    name: ClassVar[str] = "llm_bandit"
    source: ClassVar[str] = "LLM Bandit (arXiv 2502.02743), its predictor"
    can_extend: ClassVar[bool] = True

    identity: FloatArray
    """(num_models, identity dimension), mean 0 and variance 1 over the models with outcomes."""
    centre: FloatArray
    """(identity dimension,) mean of the identities before they were standardised."""
    spread: FloatArray
    """(identity dimension,) their standard deviation."""
    query_weights: FloatArray
    """(dimension + 1, 64) first layer, for the embedding and a constant."""
    identity_weights: FloatArray
    """(identity dimension, 64) first layer, for the identity."""
    output_weights: FloatArray
    """(64,)."""
    bias: float

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its weight decay is that of the lowest validation log loss.
        """
        identities = fit_identity_vectors(data)
        train = cache(lambda decay: cls._train(data, identities, decay))
        return train(data.choose(SCORER_DECAYS, lambda decay: train(decay).predict_effect))

    @classmethod
    def _train(cls, data: LearningData, identities: Identities, decay: float) -> Self:
        identity = identities.vectors
        generator = torch.Generator().manual_seed(data.seed)
        known = torch.from_numpy(identity).float()
        query = draw_gaussian((data.questions.vectors.shape[1] + 1, SCORER_WIDTH), 1.0, generator)
        model = draw_gaussian(
            (identity.shape[1], SCORER_WIDTH), identity.shape[1] ** -0.5, generator
        )
        output, bias = (
            draw_gaussian((SCORER_WIDTH,), SCORER_WIDTH**-0.5, generator),
            make_scalar(take_mean_logit(data)),
        )
        descend(
            data,
            [query, model, output, bias],
            lambda q: torch.relu((q @ query)[:, None, :] + known @ model) @ output + bias,
            settings=replace(SETTINGS, weight_decay=decay),
        )
        weights = (to_numbers(query), to_numbers(model), to_numbers(output))
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            *identities,
            *weights,
            bias.item(),
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        shift = self.identity @ self.identity_weights
        starts = range(0, len(questions), CHUNK_QUERIES)
        parts = [
            add_constant(questions.vectors[i : i + CHUNK_QUERIES]) @ self.query_weights
            for i in starts
        ]
        logits = [
            np.maximum(part[:, None, :] + shift, 0.0) @ self.output_weights + self.bias
            for part in parts
        ]
        return sigmoid(np.vstack(logits))

    def _extend(self, new: NewModels) -> Self:
        """The newcomers' identities from their outcomes as the quiz, drawn to the mean identity.

        The network stays.

        What the prompt's mean promises is the network's mean over the pool: the quiz may hold
        prompts that are new.
        """
        questions = Questions.of(new.queries, self.encoder)
        features = _quiz_features(questions.vectors, self.amounts)
        beyond = (
            new.effect - self.pool_effect(questions)[:, None] - (features @ self.centre)[:, None]
        )
        identity = _ridge_identities(features, beyond) / self.spread
        return replace(
            self._join_pool(new, questions), identity=np.vstack([self.identity, identity])
        )


class Identities(NamedTuple):
    """What sets each model apart."""

    vectors: FloatArray
    """(num_models, at most 8), standardised; 0 for a model without outcomes."""
    centre: FloatArray
    """(at most 8,) what was taken off."""
    spread: FloatArray
    """(at most 8,) what they were divided by."""


def fit_identity_vectors(data: LearningData) -> Identities:
    """The identities of the models from their training outcomes."""
    effect = data.outcomes.effect
    answered = np.isfinite(effect)
    # One outcome's worth of the overall mean: a prompt that a single model answered still tells
    # something about it.
    expected = shrink_mean(
        np.nansum(effect, axis=1),
        answered.sum(axis=1).astype(float),
        np.asarray(data.means.effect.mean()),
        prior_outcomes=1.0,
    )
    identity = _ridge_identities(
        _quiz_features(data.questions.vectors, data.amounts), effect - expected[:, None]
    )
    seen = find_seen_models(data)
    if not seen.any():
        return Identities(
            np.zeros_like(identity), np.zeros(identity.shape[1]), np.ones(identity.shape[1])
        )
    centre, spread = identity[seen].mean(axis=0), identity[seen].std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    return Identities(np.asarray((fill_unseen(identity, seen) - centre) / spread), centre, spread)


def _quiz_features(vectors: FloatArray, amounts: Amounts) -> FloatArray:
    """(num_queries, identity dimension): one, then principal coordinates.

    The coordinates are those of the cost predictor.
    """
    directions = amounts.directions[:, : IDENTITY_DIMENSION - 1]
    return np.column_stack([np.ones(len(vectors)), (vectors - amounts.centre) @ directions])


def _ridge_identities(features: FloatArray, beyond: FloatArray) -> FloatArray:
    """Ridge coefficients (num_models, identity dimension) of what is beyond expectation.

    NaN = not observed.
    """
    answered = np.isfinite(beyond).astype(np.float64)
    gram = np.einsum("qi,qm,qj->mij", features, answered, features, optimize=True)
    gram = gram + IDENTITY_RIDGE * np.eye(features.shape[1])
    return np.asarray(
        np.linalg.solve(gram, (np.nan_to_num(beyond).T @ features)[..., None])[..., 0]
    )
