"""What can be read off a context without understanding it: does it fit, is it long, does it agree.

Documents help where they hold what was asked for, and mislead where they are about something else
or disagree. None of the numbers says so by itself; the network finds out what each is worth to
which model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from graphrouter.types import FloatArray

CONTEXT_NUMBERS = (
    "log_documents", "log_chars", "log_mean_chars", "log_chars_over_question",
    "mean_cosine", "max_cosine", "min_cosine", "mean_agreement",
    "word_coverage", "best_word_coverage", "number_coverage",
    "log_numbers", "lonely_number_share", "negation_share",
)  # fmt: skip
_SCAN_CHARS = 20_000
"""Of a document, whose words and numbers are read; its length is that of the whole."""
_WORD = re.compile(r"[^\W\d_]{4,}")
"""Shorter words stand in every text."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nor|neither|without|cannot|false|incorrect|wrong|\w+n[\u2019']t)\b",
    re.I,
)
_SHARE_OF = 100
"""Negations are counted a hundred words."""


def measure_context(
    question: str,
    documents: Sequence[str],
    asked: NDArray[np.float32],
    vectors: NDArray[np.float32],
) -> list[float]:
    """The `CONTEXT_NUMBERS` of one question and its documents; all finite.

    Words count by their length, since long ones are rare ones. Shares of nothing are 1: a question
    without numbers finds all of them.

    Args:
        question: Its text, which may be empty.
        documents: At least one.
        asked: (dimension,) unit embedding of the question; zeros where it is empty.
        vectors: (num_documents, dimension) unit embeddings of the documents.

    Example:
        >>> one = np.ones((1, 1), dtype=np.float32)
        >>> read = measure_context("Who drew Guernica?", ["Guernica is by Picasso."], one[0], one)
        >>> dict(zip(CONTEXT_NUMBERS, read))["word_coverage"]
        0.6666666666666666
    """
    texts = [document[:_SCAN_CHARS] for document in documents]
    lengths = np.array([len(document) for document in documents], dtype=np.float64)
    near: FloatArray = vectors.astype(np.float64) @ asked.astype(np.float64)
    wanted = set(_WORD.findall(question.lower()))
    words = [set(_WORD.findall(text.lower())) for text in texts]
    covered = [_weigh(wanted & there) for there in words]
    all_words = wanted & set(chain.from_iterable(words))
    of_all = max(_weigh(wanted), 1)
    numbers = [set(_NUMBER.findall(text)) for text in texts]
    there = list(chain.from_iterable(numbers))
    asked_for = set(_NUMBER.findall(question))
    num_words = max(sum(len(text.split()) for text in texts), 1)
    negations = sum(len(_NEGATION.findall(text)) for text in texts)
    return [
        math.log(len(documents)),
        math.log1p(lengths.sum()),
        math.log1p(lengths.mean()),
        math.log1p(lengths.sum()) - math.log1p(len(question)),
        float(near.mean()),
        float(near.max()),
        float(near.min()),
        _measure_agreement(vectors),
        _weigh(all_words) / of_all if wanted else 1.0,
        max(covered) / of_all if wanted else 1.0,
        len(asked_for & set(there)) / len(asked_for) if asked_for else 1.0,
        math.log1p(len(set(there))),
        _share_of_lonely(there) if len(texts) > 1 else 0.0,
        math.log1p(_SHARE_OF * negations / num_words),
    ]


def _weigh(words: set[str]) -> int:
    return sum(map(len, words))


def _measure_agreement(vectors: NDArray[np.float32]) -> float:
    """Mean cosine of two documents, 1 for a single one."""
    count = len(vectors)
    if count < 2:
        return 1.0
    total = vectors.astype(np.float64).sum(axis=0)
    own = float((vectors.astype(np.float64) ** 2).sum())
    return (float(total @ total) - own) / (count * (count - 1))


def _share_of_lonely(numbers: list[str]) -> float:
    """Share of the numbers that stand in one document alone: where they disagree, all do."""
    if not numbers:
        return 0.0
    return sum(numbers.count(each) == 1 for each in set(numbers)) / len(set(numbers))
