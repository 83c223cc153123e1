"""Item response theory: ability of the model against difficulty and discrimination of the query,
both read from its text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.factorization import (
    constant,
    descend,
    fill_unseen,
    gaussian,
    mean_logit,
    numbers,
    seen_models,
    with_constant,
)
from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.gradient import Descent
from graphrouter.bench.baselines.tools.newcomers import NewModels
from graphrouter.bench.baselines.tools.placement import most_probable
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.bench.baselines.tools.shrinkage import shrunk_mean
from graphrouter.bench.baselines.tools.vectors import CHUNK_QUERIES, largest, similarities
from graphrouter.types import FloatArray

DECAYS = (0.1, 1.0)
"""Weight decays to choose from."""
SETTINGS = Descent(learning_rate=0.01, max_epochs=30, patience=3)
NUM_SKILLS = 25
"""Dimensions of ability of the multidimensional model, as in IRT-Router's code."""
WARM_SHARES = (0.3, 0.0, 0.6)
"""Shares of the mean of the near training queries in a query's embedding, to choose from."""
WARM_NEIGHBOURS = 5
IDENTITY_DIMENSION = 8
IDENTITY_RIDGE = 5.0
"""Ridge penalty of an identity vector, in outcomes."""
ABILITY_SLACK, SMALLEST_VARIANCE = 0.1, 1e-4
"""Variance of a new model's ability in every direction: a share of the pool's mean variance a
skill, and the least there is."""
SCORER_WIDTH = 64
SCORER_DECAYS = (1.0, 0.1, 3.0)


@dataclass(frozen=True, eq=False)
class TwoParameterIRT(TextBaseline):
    """The two-parameter logistic model, `sigmoid(a(q) * theta_m - b(q))`: one ability a model.

    Discrimination a > 0 (softplus) and difficulty b are linear in the text embedding. Abilities
    start at the log odds of the models' means, everything is then fitted at once by cross entropy.

    Left out: a free discrimination and difficulty a query; a query to be routed has no outcomes to
    fit them to.
    """

    name: ClassVar[str] = "irt_2pl"
    source: ClassVar[str] = (
        "Birnbaum in Lord and Novick, Statistical theories of mental test scores (1968); read "
        "from text as in IRT-Router"
    )
    can_extend: ClassVar[bool] = True

    discrimination: FloatArray
    """(dimension + 1,) weights of the discrimination, before softplus."""
    difficulty: FloatArray
    """(dimension + 1,) weights of the difficulty, in logits."""
    ability: FloatArray
    """(num_models,) in logits."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make, with the weight decay of the lowest validation
        log loss.
        """
        train = cache(lambda decay: cls._trained(data, decay))
        return train(data.choose(DECAYS, lambda decay: train(decay).effect))

    @classmethod
    def _trained(cls, data: LearningData, decay: float) -> Self:
        inputs = data.questions.vectors.shape[1] + 1
        ability = torch.from_numpy(_start_ability(data)).float().requires_grad_()
        a, b = torch.zeros(inputs), torch.zeros(inputs)
        a[-1], b[-1] = (
            float(np.log(np.e - 1)),
            -mean_logit(data),
        )  # softplus of the first is 1: the Rasch model to start from
        parameters = [a.requires_grad_(), b.requires_grad_(), ability]
        descend(
            data,
            parameters,
            lambda q: torch.nn.functional.softplus(q @ a)[:, None] * ability - (q @ b)[:, None],
            settings=replace(SETTINGS, weight_decay=decay),
        )
        known = fill_unseen(numbers(ability), seen_models(data))
        return cls(
            data.pool, data.cost_scale, data.encoder, data.amounts, numbers(a), numbers(b), known
        )

    def effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        q = with_constant(questions.vectors)
        return sigmoid(
            _softplus(q @ self.discrimination)[:, None] * self.ability
            - (q @ self.difficulty)[:, None]
        )

    def _extend(self, new: NewModels) -> Self:
        """The most probable ability, given discriminations and difficulties, under a normal prior
        fitted to the pool's.
        """
        questions = Questions.of(new.queries, self.encoder)
        q = with_constant(questions.vectors)
        asked = _softplus(q @ self.discrimination)[:, None]
        ability = new_abilities(self.ability[:, None], asked, q @ self.difficulty, new.effect)
        return replace(
            self._joined(new, questions), ability=np.concatenate([self.ability, ability[:, 0]])
        )


@dataclass(frozen=True, eq=False)
class MultidimensionalIRT(TextBaseline):
    """The multidimensional model, `sigmoid(a(q) . theta_m - b(q))` with a >= 0: a query asks for some of 25 skills.

    Discriminations (softplus) and difficulty are linear in the text embedding. At prediction a
    query is warmed up: its embedding is averaged with the mean of the nearest training queries,
    with a share chosen on the validation rows.

    Left out: abilities read from a written profile of the model (here they come from outcomes
    alone, so a model without any gets the mean ability), the neural variant with relevance vectors,
    and the trained text encoder.
    """

    name: ClassVar[str] = "mirt"
    source: ClassVar[str] = "IRT-Router (arXiv 2506.01048, ACL 2025)"
    can_extend: ClassVar[bool] = True

    discrimination: FloatArray
    """(dimension + 1, 25) weights of the discriminations, before softplus."""
    difficulty: FloatArray
    """(dimension + 1,) weights of the difficulty, in logits."""
    ability: FloatArray
    """(num_models, 25)."""
    embeddings: FloatArray
    """(num_training_queries, dimension) unit vectors."""
    warm_share: float
    """Share of the neighbours' mean in a query's embedding, in [0, 1]."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make, with the decay and then the warm-up of the lowest
        validation log loss.
        """
        train = cache(lambda decay: cls._trained(data, decay))
        router = train(data.choose(DECAYS, lambda decay: train(decay).effect))
        return replace(
            router,
            warm_share=data.choose(
                WARM_SHARES, lambda share: replace(router, warm_share=share).effect
            ),
        )

    @classmethod
    def _trained(cls, data: LearningData, decay: float) -> Self:
        generator = torch.Generator().manual_seed(data.seed)
        inputs = data.questions.vectors.shape[1] + 1
        a = gaussian((inputs, NUM_SKILLS), 0.1, generator)
        noise = gaussian((len(data.pool), NUM_SKILLS), 0.1, generator)
        start = torch.from_numpy(_start_ability(data)).float()[:, None] / (
            NUM_SKILLS * np.log(2.0)
        )  # softplus(0) = log 2
        ability = (noise.detach() + start).requires_grad_()
        b = torch.zeros(inputs)
        b[-1] = -mean_logit(data)
        descend(
            data,
            [a, b.requires_grad_(), ability],
            lambda q: torch.nn.functional.softplus(q @ a) @ ability.T - (q @ b)[:, None],
            settings=replace(SETTINGS, weight_decay=decay),
        )
        known = fill_unseen(numbers(ability), seen_models(data))
        shared = (data.pool, data.cost_scale, data.encoder, data.amounts)
        return cls(
            *shared,
            numbers(a),
            numbers(b),
            known,
            data.questions.vectors,
            warm_share=WARM_SHARES[0],
        )

    def effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        q = with_constant(self._warmed(questions.vectors))
        return sigmoid(
            _softplus(q @ self.discrimination) @ self.ability.T - (q @ self.difficulty)[:, None]
        )

    def _extend(self, new: NewModels) -> Self:
        """The most probable abilities, given discriminations and difficulties, under a normal prior
        fitted to the pool's.
        """
        questions = Questions.of(new.queries, self.encoder)
        q = with_constant(self._warmed(questions.vectors))
        asked = _softplus(q @ self.discrimination)
        ability = new_abilities(self.ability, asked, q @ self.difficulty, new.effect)
        return replace(self._joined(new, questions), ability=np.vstack([self.ability, ability]))

    def _warmed(self, vectors: FloatArray) -> FloatArray:
        """The embeddings (num_queries, dimension), averaged with those of the nearest training
        queries.
        """
        if self.warm_share == 0 or len(vectors) == 0:
            return vectors
        k = min(WARM_NEIGHBOURS, len(self.embeddings))
        chunks = similarities(vectors, self.embeddings)
        near = np.vstack(
            [self.embeddings[largest(row, k)].mean(axis=0) for chunk in chunks for row in chunk]
        )
        return (1 - self.warm_share) * vectors + self.warm_share * near


@dataclass(frozen=True, eq=False)
class IdentityVectors(TextBaseline):
    """Success from the query's embedding and the model's identity vector, by a small network that all models share.

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
        """The router that the training rows make, with the weight decay of the lowest validation
        log loss.
        """
        identities = identity_vectors(data)
        train = cache(lambda decay: cls._trained(data, identities, decay))
        return train(data.choose(SCORER_DECAYS, lambda decay: train(decay).effect))

    @classmethod
    def _trained(cls, data: LearningData, identities: Identities, decay: float) -> Self:
        identity = identities.vectors
        generator = torch.Generator().manual_seed(data.seed)
        known = torch.from_numpy(identity).float()
        query = gaussian((data.questions.vectors.shape[1] + 1, SCORER_WIDTH), 1.0, generator)
        model = gaussian((identity.shape[1], SCORER_WIDTH), identity.shape[1] ** -0.5, generator)
        output, bias = (
            gaussian((SCORER_WIDTH,), SCORER_WIDTH**-0.5, generator),
            constant(mean_logit(data)),
        )
        descend(
            data,
            [query, model, output, bias],
            lambda q: torch.relu((q @ query)[:, None, :] + known @ model) @ output + bias,
            settings=replace(SETTINGS, weight_decay=decay),
        )
        weights = (numbers(query), numbers(model), numbers(output))
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            *identities,
            *weights,
            bias.item(),
        )

    def effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        shift = self.identity @ self.identity_weights
        starts = range(0, len(questions), CHUNK_QUERIES)
        parts = [
            with_constant(questions.vectors[i : i + CHUNK_QUERIES]) @ self.query_weights
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
        return replace(self._joined(new, questions), identity=np.vstack([self.identity, identity]))


class Identities(NamedTuple):
    """What sets each model apart."""

    vectors: FloatArray
    """(num_models, at most 8), standardised; 0 for a model without outcomes."""
    centre: FloatArray
    """(at most 8,) what was taken off."""
    spread: FloatArray
    """(at most 8,) what they were divided by."""


def identity_vectors(data: LearningData) -> Identities:
    """The identities of the models from their training outcomes."""
    effect = data.outcomes.effect
    answered = np.isfinite(effect)
    # One outcome's worth of the overall mean: a prompt that a single model answered still tells
    # something about it.
    expected = shrunk_mean(
        np.nansum(effect, axis=1),
        answered.sum(axis=1).astype(float),
        np.asarray(data.means.effect.mean()),
        prior_outcomes=1.0,
    )
    identity = _ridge_identities(
        _quiz_features(data.questions.vectors, data.amounts), effect - expected[:, None]
    )
    seen = seen_models(data)
    if not seen.any():
        return Identities(
            np.zeros_like(identity), np.zeros(identity.shape[1]), np.ones(identity.shape[1])
        )
    centre, spread = identity[seen].mean(axis=0), identity[seen].std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    return Identities(np.asarray((fill_unseen(identity, seen) - centre) / spread), centre, spread)


def _quiz_features(vectors: FloatArray, amounts: Amounts) -> FloatArray:
    """(num_queries, identity dimension): one, principal coordinates as the cost predictor has
    them.
    """
    directions = amounts.directions[:, : IDENTITY_DIMENSION - 1]
    return np.column_stack([np.ones(len(vectors)), (vectors - amounts.centre) @ directions])


def _ridge_identities(features: FloatArray, beyond: FloatArray) -> FloatArray:
    """Ridge coefficients (num_models, identity dimension) of what each model did beyond
    expectation, NaN = not observed.
    """
    answered = np.isfinite(beyond).astype(np.float64)
    gram = np.einsum("qi,qm,qj->mij", features, answered, features, optimize=True)
    gram = gram + IDENTITY_RIDGE * np.eye(features.shape[1])
    return np.asarray(
        np.linalg.solve(gram, (np.nan_to_num(beyond).T @ features)[..., None])[..., 0]
    )


def new_abilities(
    pool: FloatArray, asked: FloatArray, difficulty: FloatArray, effect: FloatArray
) -> FloatArray:
    """Most probable abilities of new models, (num_new, num_skills).

    The pool's mean without outcomes.

    The prior is normal with the mean and covariance of the pool's abilities, and some variance in
    every direction: a newcomer may differ in ways in which the pool does not.

    Args:
        pool: (num_models, num_skills) abilities of the pool.
        asked: (num_queries, num_skills) discriminations.
        difficulty: (num_queries,) in logits.
        effect: (num_queries, num_new), NaN = not observed.
    """
    mean = pool.mean(axis=0)
    covariance = (pool - mean).T @ (pool - mean) / max(1, len(pool) - 1)
    slack = max(ABILITY_SLACK * float(np.trace(covariance)) / len(mean), SMALLEST_VARIANCE)
    precision = np.linalg.inv(covariance + slack * np.eye(len(mean)))
    return most_probable(asked, -difficulty, effect, mean=mean, precision=precision)


def _start_ability(data: LearningData) -> FloatArray:
    """(num_models,) log odds of the models' mean effects, beyond those of the average."""
    mean = data.means.effect[0]
    return np.asarray(np.log(mean / (1 - mean)) - mean_logit(data))


def _softplus(values: FloatArray) -> FloatArray:
    return np.asarray(np.logaddexp(0.0, values))
