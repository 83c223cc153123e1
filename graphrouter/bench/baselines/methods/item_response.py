"""Item response theory: ability of the model against difficulty of the query.

Difficulty and discrimination are read from the query's text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, Self

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
    take_mean_logit,
    to_numbers,
)
from graphrouter.bench.baselines.tools.gradient import Descent
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import fit_most_probable
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.bench.baselines.tools.vectors import find_largest, measure_similarities
from graphrouter.types import FloatArray

DECAYS = (0.1, 1.0)
"""Weight decays to choose from."""
SETTINGS = Descent(learning_rate=0.01, max_epochs=30, patience=3)
NUM_SKILLS = 25
"""Dimensions of ability of the multidimensional model, as in IRT-Router's code."""
WARM_SHARES = (0.3, 0.0, 0.6)
"""Shares of the mean of the near training queries in a query's embedding, to choose from."""
WARM_NEIGHBOURS = 5
ABILITY_SLACK, SMALLEST_VARIANCE = 0.1, 1e-4
"""Variance of a new model's ability in every direction: a share of the pool's mean variance a
skill, and the least there is."""


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
        """The router that the training rows make.

        Its weight decay is that of the lowest validation log loss.
        """
        train = cache(lambda decay: cls._train(data, decay))
        return train(data.choose(DECAYS, lambda decay: train(decay).predict_effect))

    @classmethod
    def _train(cls, data: LearningData, decay: float) -> Self:
        inputs = data.questions.vectors.shape[1] + 1
        ability = torch.from_numpy(start_abilities(data)).float().requires_grad_()
        a, b = torch.zeros(inputs), torch.zeros(inputs)
        a[-1], b[-1] = (
            float(np.log(np.e - 1)),
            -take_mean_logit(data),
        )  # softplus of the first is 1: the Rasch model to start from
        parameters = [a.requires_grad_(), b.requires_grad_(), ability]
        descend(
            data,
            parameters,
            lambda q: torch.nn.functional.softplus(q @ a)[:, None] * ability - (q @ b)[:, None],
            settings=replace(SETTINGS, weight_decay=decay),
        )
        known = fill_unseen(to_numbers(ability), find_seen_models(data))
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            to_numbers(a),
            to_numbers(b),
            known,
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        q = add_constant(questions.vectors)
        return sigmoid(
            softplus(q @ self.discrimination)[:, None] * self.ability
            - (q @ self.difficulty)[:, None]
        )

    def _extend(self, new: NewModels) -> Self:
        """The most probable ability, given discriminations and difficulties.

        Its prior is a normal one, fitted to the pool's abilities.
        """
        questions = Questions.of(new.queries, self.encoder)
        q = add_constant(questions.vectors)
        asked = softplus(q @ self.discrimination)[:, None]
        ability = place_abilities(self.ability[:, None], asked, q @ self.difficulty, new.effect)
        return replace(
            self._join_pool(new, questions), ability=np.concatenate([self.ability, ability[:, 0]])
        )


@dataclass(frozen=True, eq=False)
class MultidimensionalIRT(TextBaseline):
    """The multidimensional model, `sigmoid(a(q) . theta_m - b(q))` with a >= 0.

    A query asks for some of 25 skills.

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
        """The router that the training rows make.

        Decay, and then warm-up, are those of the lowest validation log loss.
        """
        train = cache(lambda decay: cls._train(data, decay))
        router = train(data.choose(DECAYS, lambda decay: train(decay).predict_effect))
        return replace(
            router,
            warm_share=data.choose(
                WARM_SHARES, lambda share: replace(router, warm_share=share).predict_effect
            ),
        )

    @classmethod
    def _train(cls, data: LearningData, decay: float) -> Self:
        generator = torch.Generator().manual_seed(data.seed)
        inputs = data.questions.vectors.shape[1] + 1
        a = draw_gaussian((inputs, NUM_SKILLS), 0.1, generator)
        noise = draw_gaussian((len(data.pool), NUM_SKILLS), 0.1, generator)
        start = torch.from_numpy(start_abilities(data)).float()[:, None] / (
            NUM_SKILLS * np.log(2.0)
        )  # softplus(0) = log 2
        ability = (noise.detach() + start).requires_grad_()
        b = torch.zeros(inputs)
        b[-1] = -take_mean_logit(data)
        descend(
            data,
            [a, b.requires_grad_(), ability],
            lambda q: torch.nn.functional.softplus(q @ a) @ ability.T - (q @ b)[:, None],
            settings=replace(SETTINGS, weight_decay=decay),
        )
        known = fill_unseen(to_numbers(ability), find_seen_models(data))
        shared = (data.pool, data.cost_scale, data.encoder, data.amounts)
        return cls(
            *shared,
            to_numbers(a),
            to_numbers(b),
            known,
            data.questions.vectors,
            warm_share=WARM_SHARES[0],
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        q = add_constant(self._warm_up(questions.vectors))
        return sigmoid(
            softplus(q @ self.discrimination) @ self.ability.T - (q @ self.difficulty)[:, None]
        )

    def _extend(self, new: NewModels) -> Self:
        """The most probable abilities, given discriminations and difficulties.

        Their prior is a normal one, fitted to the pool's abilities.
        """
        questions = Questions.of(new.queries, self.encoder)
        q = add_constant(self._warm_up(questions.vectors))
        asked = softplus(q @ self.discrimination)
        ability = place_abilities(self.ability, asked, q @ self.difficulty, new.effect)
        return replace(self._join_pool(new, questions), ability=np.vstack([self.ability, ability]))

    def _warm_up(self, vectors: FloatArray) -> FloatArray:
        """The embeddings (num_queries, dimension), averaged with those of near training queries."""
        if self.warm_share == 0 or len(vectors) == 0:
            return vectors
        k = min(WARM_NEIGHBOURS, len(self.embeddings))
        chunks = measure_similarities(vectors, self.embeddings)
        near = np.vstack(
            [
                self.embeddings[find_largest(row, k)].mean(axis=0)
                for chunk in chunks
                for row in chunk
            ]
        )
        return (1 - self.warm_share) * vectors + self.warm_share * near


def place_abilities(
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
    return fit_most_probable(asked, -difficulty, effect, mean=mean, precision=precision)


def start_abilities(data: LearningData) -> FloatArray:
    """(num_models,) log odds of the models' mean effects, beyond those of the average."""
    mean = data.means.effect[0]
    return np.asarray(np.log(mean / (1 - mean)) - take_mean_logit(data))


def softplus(values: FloatArray) -> FloatArray:
    """log(1 + exp(value)), any shape, without overflow."""
    return np.asarray(np.logaddexp(0.0, values))
