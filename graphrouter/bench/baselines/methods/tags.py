"""Routers that describe a prompt by tags: clusters, keywords and the task."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.categories import Categories
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import (
    MARGIN,
    apply_offset,
    fit_offsets,
    subtract_offset,
)
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.router.shrunk_means import shrink_mean
from graphrouter.types import FloatArray

NUM_KEYWORDS = (10, 5, 20)
"""Most keywords a prompt to choose from."""
MAX_WORDS = 2000
MIN_QUERIES = 5
MAX_SHARE = 0.2
"""A keyword stands in at least MIN_QUERIES training prompts, and in at most this share of them."""
_WORD = re.compile(r"[^\W\d_]{3,}")


class Keywords(NamedTuple):
    """Words that can be tags."""

    words: tuple[str, ...]
    """In alphabetical order."""
    rarity: FloatArray
    """(num_words,) log(number of training prompts / number of those with the word)."""

    @classmethod
    def fit(cls, prompts: Sequence[str]) -> Self:
        """The words that stand in some of the prompts but not in most."""
        seen = Counter(word for prompt in prompts for word in set(_find_words(prompt)))
        most = max(MIN_QUERIES, int(MAX_SHARE * len(prompts)))
        usable = [(word, count) for word, count in seen.items() if MIN_QUERIES <= count <= most]
        kept = sorted(sorted(usable, key=lambda item: (-item[1], item[0]))[:MAX_WORDS])
        rarity = np.log(len(prompts) / np.array([count for _, count in kept], dtype=np.float64))
        return cls(tuple(word for word, _ in kept), rarity)

    def of(self, prompts: Sequence[str], num_keywords: int) -> list[list[int]]:
        """Numbers of at most `num_keywords` words of each prompt: the highest tf-idf first."""
        position = {word: i for i, word in enumerate(self.words)}
        found = []
        for prompt in prompts:
            counts = Counter(position[word] for word in _find_words(prompt) if word in position)
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
        >>> num_tags = len(router.keywords.words) + router.categories.num_categories
        >>> router.scores.shape == (num_tags, 3)
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
        """The router that the training rows make.

        Its number of keywords is that of the lowest validation log loss.
        """
        categories, keywords = Categories.fit(data), Keywords.fit(data.questions.prompts)
        num_keywords = data.choose(
            NUM_KEYWORDS, lambda most: cls._of(data, categories, keywords, most).predict_effect
        )
        return cls._of(data, categories, keywords, num_keywords)

    @classmethod
    def _of(
        cls, data: LearningData, categories: Categories, keywords: Keywords, num_keywords: int
    ) -> Self:
        marks = _tag_marks(categories, keywords, data.questions, num_keywords)
        total = marks.T @ np.nan_to_num(data.outcomes.effect)
        count = marks.T @ np.isfinite(data.outcomes.effect).astype(np.float64)
        scores = shrink_mean(total, count, data.means.effect[0])
        judged = data.score_held_rows(
            lambda q: _mean_score(_tag_marks(categories, keywords, q, num_keywords), scores)
        )
        learned = (categories, keywords, scores, num_keywords, EffectCurve.fit(*judged))
        return cls(data.pool, data.cost_scale, data.encoder, data.amounts, *learned)

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """Tasks seen in training; None where there were too few to tell apart."""
        return self.categories.tasks or None

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect by the mean score of the prompt's tags, (num_queries, num_models)."""
        marks = _tag_marks(self.categories, self.keywords, questions, self.num_keywords)
        return self.curve.apply(_mean_score(marks, self.scores))

    def _extend(self, new: NewModels) -> Self:
        """The newcomers' scores by tag.

        They are shrunk to the pool's mean scores, moved by the model's offset.
        """
        questions = Questions.of(new.queries, self.encoder)
        expected, profile = self.pool_effect(questions), self.scores.mean(axis=1)
        offset = fit_offsets(expected, new.effect)
        scores = apply_offset(profile, offset)
        if len(questions):
            marks = _tag_marks(self.categories, self.keywords, questions, self.num_keywords)
            left = subtract_offset(expected, offset, new.effect)
            count = marks.T @ np.isfinite(left).astype(np.float64)
            scores = scores + shrink_mean(
                marks.T @ np.nan_to_num(left), count, np.zeros(new.num_new)
            )
        return replace(
            self._join_pool(new, questions),
            scores=np.hstack([self.scores, np.clip(scores, MARGIN, 1 - MARGIN)]),
        )


def _find_words(prompt: str) -> list[str]:
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
