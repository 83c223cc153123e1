"""MixLLM: regressions on the embedding and tags, with a bonus for what is not known well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.clusters import find_nearest_centre
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.router.shrunk_means import shrink_mean
from graphrouter.types import FloatArray

NUM_TAGS = 32
"""Clusters that MixLLM adds to the embedding."""
NUM_DIRECTIONS = 64
SETTINGS = ((30.0, 0.0), (10.0, 0.0), (3.0, 0.0), (100.0, 0.0), (30.0, 0.3), (30.0, 1.0))
"""(ridge penalty in outcomes, weight of the confidence bonus) to choose from."""


class TagSpace(NamedTuple):
    """The tag-enhanced embedding: principal directions of the prompts, and one mark a tag."""

    centres: FloatArray
    """(num_tags, dimension); a prompt has the tag of its nearest centre."""
    mean: FloatArray
    """(dimension,) mean of the training vectors."""
    directions: FloatArray
    """(dimension, num_directions) principal directions of unit length: a direction that varies
    little counts for little."""

    @classmethod
    def fit(cls, data: LearningData) -> Self:
        """The space of the training prompts."""
        vectors = data.questions.vectors
        mean = vectors.mean(axis=0)
        rank = min(NUM_DIRECTIONS, vectors.shape[1], max(1, len(vectors) // 10))
        *_, axes = np.linalg.svd(vectors - mean, full_matrices=False)
        return cls(data.find_centres(NUM_TAGS), mean, np.ascontiguousarray(axes[:rank].T))

    def marks(self, vectors: FloatArray) -> FloatArray:
        """(num_queries, num_tags), 1 for the tag of the query."""
        return np.eye(len(self.centres))[find_nearest_centre(vectors, self.centres)]

    def enhanced(self, vectors: FloatArray) -> FloatArray:
        """(num_queries, dimension + num_tags): the vectors with their marks."""
        return np.hstack([vectors, self.marks(vectors)])

    def features(self, vectors: FloatArray) -> FloatArray:
        """(num_queries, 1 + num_directions + num_tags): one, principal coordinates, marks."""
        return np.hstack(
            [
                np.ones((len(vectors), 1)),
                (vectors - self.mean) @ self.directions,
                self.marks(vectors),
            ]
        )


@dataclass(frozen=True, eq=False)
class MixLLM(TextBaseline):
    """A regression of quality a model on a tag-enhanced embedding, and a bonus for uncertainty.

    One ridge regression a model predicts the deviation from the model's mean effect. With the
    design matrix A = X^T X + penalty of a model, the upper confidence bound is x^T A^-1 X^T y +
    weight * sqrt(x^T A^-1 x) (LinUCB: Li et al., "A Contextual-Bandit Approach", 2010, algorithm
    1). Its weight is chosen on validation rows and may be 0: a bonus pays off by what is learned
    from it later, and a fixed data set has no later. Where every model answered every query, all
    models share A and the bonus ranks nobody. Cost, tokens and latency are log-linear regressions
    on the same embedding.

    Left out: the online updates, for the same reason; the penalty for latency, in whose place a
    policy has no more than a limit (`max_latency_s`); InsTag's tags and the encoder that is
    fine-tuned on them (a tag is a cluster of prompts here); random forests in place of ridge. The
    embedding is reduced to principal directions, so that a design matrix a model can be saved.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = MixLLM.fit(data, encoder=HashingEncoder(64))
        >>> router.weights.shape  # a constant, 6 tags and 30 principal directions; 3 models
        (37, 3)
    """

    name: ClassVar[str] = "mix_llm"
    source: ClassVar[str] = "MixLLM (arXiv 2502.18482, NAACL 2025)"
    can_extend: ClassVar[bool] = True

    space: TagSpace
    model_effect: FloatArray
    """(num_models,) mean effect of each model in training."""
    weights: FloatArray
    """(num_features, num_models)."""
    inverse: FloatArray | None
    """(num_models, num_features, num_features) inverse design matrices; None when the bonus has no
    weight."""
    penalty: float
    """Ridge penalty, in outcomes."""
    bonus_weight: float
    curve: EffectCurve
    """From upper bound to expected effect."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its setting is that of the lowest validation log loss.
        """
        space = TagSpace.fit(data)
        features, amounts = space.features(data.questions.vectors), _tagged_amounts(data, space)
        deviation = data.outcomes.effect - data.means.effect[0]
        design = cache(lambda penalty: solve_designs(features, deviation, penalty))
        penalty, bonus_weight = data.choose(
            SETTINGS,
            lambda setting: (
                cls._of(data, space, amounts, design(setting[0]), setting).predict_effect
            ),
        )
        return cls._of(data, space, amounts, design(penalty), (penalty, bonus_weight))

    @classmethod
    def _of(
        cls,
        data: LearningData,
        space: TagSpace,
        amounts: Amounts,
        design: tuple[FloatArray, FloatArray],
        setting: tuple[float, float],
    ) -> Self:
        weights, inverse = design[0], design[1] if setting[1] > 0 else None
        learned = (space, data.means.effect[0], weights, inverse, *setting)
        router = cls(
            data.pool, data.cost_scale, data.encoder, amounts, *learned, curve=EffectCurve(1.0, 0.0)
        )
        return replace(router, curve=EffectCurve.fit(*data.score_held_rows(router._bound)))

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect by the upper confidence bound, (num_queries, num_models)."""
        return self.curve.apply(self._bound(questions))

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost, tokens and latency, from the tag-enhanced embedding."""
        return self.amounts.predict(
            self.space.enhanced(questions.vectors), questions.prompts, prices=self.pool.prices
        )

    def _join_pool(self, new: NewModels, questions: Questions) -> Self:
        """As for all, but on the tag-enhanced embedding."""
        vectors = self.space.enhanced(questions.vectors)
        return replace(
            self, pool=new.pool, amounts=self.amounts.extended(vectors, questions.prompts, new)
        )

    def _extend(self, new: NewModels) -> Self:
        """A regression more, of what is beyond the pool's mean regression.

        Without outcomes the pool's mean uncertainty.
        """
        questions = Questions.of(new.queries, self.encoder)
        features, start = (
            self.space.features(questions.vectors),
            self.weights.mean(axis=1, keepdims=True),
        )
        expected = self.model_effect.mean() + features @ start
        level = shrink_mean(
            np.nansum(new.effect - expected, axis=0), new.counts, np.zeros(new.num_new)
        )
        weights, inverse = solve_designs(features, new.effect - expected - level, self.penalty)
        wider = self.inverse
        if wider is not None:
            unseen = wider.mean(axis=0)
            wider = np.concatenate(
                [wider, np.where((new.counts > 0)[:, None, None], inverse, unseen)]
            )
        return replace(
            self._join_pool(new, questions),
            model_effect=np.concatenate([self.model_effect, self.model_effect.mean() + level]),
            weights=np.hstack([self.weights, start + weights]),
            inverse=wider,
        )

    def _bound(self, questions: Questions) -> FloatArray:
        features = self.space.features(questions.vectors)
        expected = self.model_effect + features @ self.weights
        if self.inverse is None:
            return np.asarray(expected)
        variance = np.stack(
            [((features @ inverse) * features).sum(axis=1) for inverse in self.inverse], axis=1
        )
        return np.asarray(expected + self.bonus_weight * np.sqrt(np.maximum(variance, 0.0)))


def solve_designs(
    features: FloatArray, deviation: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Ridge weights (num_features, num_models) and inverse design matrices.

    The latter are (num_models, num_features, num_features).

    Args:
        features: (num_queries, num_features).
        deviation: (num_queries, num_models) what to explain, NaN = not observed.
        penalty: Added to the diagonal of X^T X.

    Returns:
        For a model that was never observed no weights, and the mean of the other models' inverses:
        offline nothing is found out about it, so the bonus should neither favour nor bury it.
    """
    num_features, num_models = features.shape[1], deviation.shape[1]
    weights, inverses = (
        np.zeros((num_features, num_models)),
        np.zeros((num_models, num_features, num_features)),
    )
    # Models that answered the same queries share a design matrix; in a dense table that is all of
    # them.
    patterns, pattern_of = np.unique(np.isfinite(deviation), axis=1, return_inverse=True)
    for number, known in enumerate(patterns.T):
        if not known.any():
            continue
        x, models = features[known], np.flatnonzero(pattern_of == number)
        inverse = np.linalg.inv(x.T @ x + penalty * np.eye(num_features))
        weights[:, models] = inverse @ (x.T @ deviation[np.ix_(known, models)])
        inverses[models] = inverse
    seen = np.isfinite(deviation).any(axis=0)
    if seen.any():
        inverses[~seen] = inverses[seen].mean(axis=0)
    return weights, inverses


def _tagged_amounts(data: LearningData, space: TagSpace) -> Amounts:
    """The cost predictor on the tag-enhanced embedding."""
    vectors, prompts = space.enhanced(data.questions.vectors), data.questions.prompts
    if data.validation is None or data.held_questions is None:
        return Amounts.fit(vectors, prompts, data.outcomes)
    held = (
        space.enhanced(data.held_questions.vectors),
        data.held_questions.prompts,
        data.validation.outcomes,
    )
    return Amounts.fit(vectors, prompts, data.outcomes, held=held)
