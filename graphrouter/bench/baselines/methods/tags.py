"""Routers that describe a prompt by tags: clusters, keywords and the task."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.domains import Categories
from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.clusters import nearest_centre
from graphrouter.bench.baselines.tools.newcomers import NewModels
from graphrouter.bench.baselines.tools.placement import MARGIN, beyond, moved, offsets
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.bench.baselines.tools.shrinkage import shrunk_mean
from graphrouter.types import FloatArray

NUM_TAGS = 32
"""Clusters that MixLLM adds to the embedding."""
NUM_DIRECTIONS = 64
SETTINGS = ((30.0, 0.0), (10.0, 0.0), (3.0, 0.0), (100.0, 0.0), (30.0, 0.3), (30.0, 1.0))
"""(ridge penalty in outcomes, weight of the confidence bonus) to choose from."""
NUM_KEYWORDS = (10, 5, 20)
"""Most keywords a prompt to choose from."""
MAX_WORDS = 2000
MIN_QUERIES = 5
MAX_SHARE = 0.2
"""A keyword stands in at least MIN_QUERIES training prompts, and in at most this share of them."""
_WORD = re.compile(r"[^\W\d_]{3,}")


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
        return cls(data.centres(NUM_TAGS), mean, np.ascontiguousarray(axes[:rank].T))

    def marks(self, vectors: FloatArray) -> FloatArray:
        """(num_queries, num_tags), 1 for the tag of the query."""
        return np.eye(len(self.centres))[nearest_centre(vectors, self.centres)]

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
    """Predicts quality and cost of each model from a tag-enhanced embedding, and adds a bonus for what is uncertain.

    One ridge regression a model predicts the deviation from the model's mean effect. With the
    design matrix A = X^T X + penalty of a model, the upper confidence bound is x^T A^-1 X^T y +
    weight * sqrt(x^T A^-1 x) (LinUCB: Li et al., "A Contextual-Bandit Approach", 2010, algorithm
    1). Its weight is chosen on validation rows and may be 0: a bonus pays off by what is learned
    from it later, and a fixed data set has no later. Where every model answered every query, all
    models share A and the bonus ranks nobody. Cost, tokens and latency are log-linear regressions
    on the same embedding.

    Left out: the online updates, for the same reason; the latency penalty, which policies have;
    InsTag's tags and the encoder that is fine-tuned on them (a tag is a cluster of prompts here);
    random forests in place of ridge. The embedding is reduced to principal directions, so that a
    design matrix a model can be saved.

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
        """The router that the training rows make, its setting that of the lowest validation log
        loss.
        """
        space = TagSpace.fit(data)
        features, amounts = space.features(data.questions.vectors), _tagged_amounts(data, space)
        deviation = data.outcomes.effect - data.means.effect[0]
        design = cache(lambda penalty: solve_designs(features, deviation, penalty))
        penalty, bonus_weight = data.choose(
            SETTINGS,
            lambda setting: cls._of(data, space, amounts, design(setting[0]), setting).effect,
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
        return replace(router, curve=EffectCurve.fit(*data.judged(router._bound)))

    def effect(self, questions: Questions) -> FloatArray:
        """Expected effect by the upper confidence bound, (num_queries, num_models)."""
        return self.curve.apply(self._bound(questions))

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost, input tokens, output tokens and latency, from the tag-enhanced
        embedding.
        """
        return self.amounts.predict(self.space.enhanced(questions.vectors), questions.prompts)

    def _joined(self, new: NewModels, questions: Questions) -> Self:
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
        level = shrunk_mean(
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
            self._joined(new, questions),
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


class Keywords(NamedTuple):
    """Words that can be tags."""

    words: tuple[str, ...]
    """In alphabetical order."""
    rarity: FloatArray
    """(num_words,) log(number of training prompts / number of those with the word)."""

    @classmethod
    def fit(cls, prompts: Sequence[str]) -> Self:
        """The words that stand in some of the prompts but not in most."""
        seen = Counter(word for prompt in prompts for word in set(_words(prompt)))
        most = max(MIN_QUERIES, int(MAX_SHARE * len(prompts)))
        usable = [(word, count) for word, count in seen.items() if MIN_QUERIES <= count <= most]
        kept = sorted(sorted(usable, key=lambda item: (-item[1], item[0]))[:MAX_WORDS])
        rarity = np.log(len(prompts) / np.array([count for _, count in kept], dtype=np.float64))
        return cls(tuple(word for word, _ in kept), rarity)

    def of(self, prompts: Sequence[str], num_keywords: int) -> list[list[int]]:
        """Numbers of at most `num_keywords` words of each prompt: those with the highest tf-idf,
        the highest first.
        """
        position = {word: i for i, word in enumerate(self.words)}
        found = []
        for prompt in prompts:
            counts = Counter(position[word] for word in _words(prompt) if word in position)
            weight = {i: (1.0 + np.log(count)) * self.rarity[i] for i, count in counts.items()}
            found.append(sorted(weight, key=lambda i: (-weight[i], i))[:num_keywords])
        return found


@dataclass(frozen=True, eq=False)
class TagRouter(TextBaseline):
    """Tags of the prompt, a score for each (tag, model), and the mean score over the prompt's tags.

    Tags are the keywords of highest tf-idf and the task, which a classifier names where it is not
    known (a cluster where the data has fewer than two tasks). The score of a (tag, model) is the
    mean effect on training prompts with that tag, shrunk to the model's mean. A mean of means only
    ranks, so expected effects go through one rising curve.

    Left out: the language model that was trained to write tags, and the merging of tags by meaning.
    The original scores wins, ties and losses against one reference model, as judged by a language
    model; here recorded effects take their place. Its threshold between a dear and a cheap model is
    the policy's trade-off.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = TagRouter.fit(data, encoder=HashingEncoder(64))
        >>> router.scores.shape == (len(router.keywords.words) + router.categories.num_categories, 3)
        True
    """

    name: ClassVar[str] = "tag_router"
    source: ClassVar[str] = "TagRouter (arXiv 2506.12473, Findings of ACL 2025)"
    can_extend: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True

    categories: Categories
    keywords: Keywords
    scores: FloatArray
    """(num_words + num_categories, num_models) mean effect in training of each tag."""
    num_keywords: int
    """Most keywords of a prompt that count."""
    curve: EffectCurve
    """From mean score to expected effect."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make, with the number of keywords of the lowest
        validation log loss.
        """
        categories, keywords = Categories.fit(data), Keywords.fit(data.questions.prompts)
        num_keywords = data.choose(
            NUM_KEYWORDS, lambda most: cls._of(data, categories, keywords, most).effect
        )
        return cls._of(data, categories, keywords, num_keywords)

    @classmethod
    def _of(
        cls, data: LearningData, categories: Categories, keywords: Keywords, num_keywords: int
    ) -> Self:
        marks = _tag_marks(categories, keywords, data.questions, num_keywords)
        total = marks.T @ np.nan_to_num(data.outcomes.effect)
        count = marks.T @ np.isfinite(data.outcomes.effect).astype(np.float64)
        scores = shrunk_mean(total, count, data.means.effect[0])
        judged = data.judged(
            lambda q: _mean_score(_tag_marks(categories, keywords, q, num_keywords), scores)
        )
        learned = (categories, keywords, scores, num_keywords, EffectCurve.fit(*judged))
        return cls(data.pool, data.cost_scale, data.encoder, data.amounts, *learned)

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """Tasks seen in training; None where there were too few to tell apart."""
        return self.categories.tasks or None

    def effect(self, questions: Questions) -> FloatArray:
        """Expected effect by the mean score of the prompt's tags, (num_queries, num_models)."""
        marks = _tag_marks(self.categories, self.keywords, questions, self.num_keywords)
        return self.curve.apply(_mean_score(marks, self.scores))

    def _extend(self, new: NewModels) -> Self:
        """The newcomers' scores by tag, shrunk to the pool's mean scores moved by the model's
        offset.
        """
        questions = Questions.of(new.queries, self.encoder)
        expected, profile = self.pool_effect(questions), self.scores.mean(axis=1)
        offset = offsets(expected, new.effect)
        scores = moved(profile, offset)
        if len(questions):
            marks = _tag_marks(self.categories, self.keywords, questions, self.num_keywords)
            left = beyond(expected, offset, new.effect)
            count = marks.T @ np.isfinite(left).astype(np.float64)
            scores = scores + shrunk_mean(
                marks.T @ np.nan_to_num(left), count, np.zeros(new.num_new)
            )
        return replace(
            self._joined(new, questions),
            scores=np.hstack([self.scores, np.clip(scores, MARGIN, 1 - MARGIN)]),
        )


def solve_designs(
    features: FloatArray, deviation: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Ridge weights (num_features, num_models) and inverse design matrices (num_models, num_features, num_features).

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


def _words(prompt: str) -> list[str]:
    return _WORD.findall(prompt.lower())


def _tag_marks(
    categories: Categories, keywords: Keywords, questions: Questions, num_keywords: int
) -> Any:
    """Sparse matrix (num_queries, num_words + num_categories), 1 where the query has the tag.

    Every query has one at least.
    """
    from scipy.sparse import csr_array

    found, category = keywords.of(questions.prompts, num_keywords), categories.of(questions)
    tags = [
        [*words, len(keywords.words) + int(last)]
        for words, last in zip(found, category, strict=True)
    ]
    ends = np.cumsum([0, *(len(own) for own in tags)])
    columns = np.array([tag for own in tags for tag in own], dtype=np.int64)
    shape = (len(tags), len(keywords.words) + categories.num_categories)
    return csr_array((np.ones(len(columns)), columns, ends), shape=shape)


def _mean_score(marks: Any, scores: FloatArray) -> FloatArray:
    """(num_queries, num_models) mean score over the tags of each query."""
    return np.asarray((marks @ scores) / marks.sum(axis=1)[:, None])
