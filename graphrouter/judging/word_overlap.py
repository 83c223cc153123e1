"""Answers that have words in common with a reference: F1 of the words, and ROUGE."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.judging.answer_parts import check_answer, plain_words
from graphrouter.wording import show_value

RougeKind = Literal["rouge1", "rouge2", "rougeL"]
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
"""A word; in scripts without spaces between words, a character."""


@dataclass(frozen=True)
class WordF1:
    """Score an answer by the words that it shares with a reference, in [0, 1].

    The harmonic mean of precision and recall of its words, each counted as often as it occurs, and
    of several references the best (SQuAD: Rajpurkar and others 2016, section 6.1). Case and
    punctuation do not count; articles do. For short answers: a long one that holds the reference
    scores low.

    Raises:
        DataError: There is no reference with a word in it.

    Example:
        >>> judge = WordF1(["the Eiffel Tower", "La tour Eiffel"])
        >>> judge("Which?", "Eiffel tower."), judge("Which?", "Notre-Dame")
        (0.8, 0.0)
    """

    expected: str | Sequence[str]
    """One reference, or several that are all right."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "expected", _check_references(self.expected))

    def __call__(self, prompt: str, answer: str) -> float:
        """The best F1 over the references."""
        said = Counter(_split_words(check_answer(answer)))
        return max(_find_f1(said, Counter(_split_words(text))) for text in self.expected)


@dataclass(frozen=True)
class Rouge:
    """Score an answer by what it has in common with a reference, in the same order, in [0, 1].

    The F-measure of ROUGE (Lin 2004), by torchmetrics: `rougeL` by the longest common subsequence
    of words, `rouge1` and `rouge2` by single words and pairs; of several references the best. It
    says little of an answer that may be worded in many ways. Words are those of `WordF1`, not
    stemmed. Needs the extra: `pip install 'graphrouter[judging]'`.

    Raises:
        DataError: There is no reference with a word in it, or no such kind.
        MissingExtraError: The library torchmetrics is not installed.

    Example:
        >>> round(Rouge("The cat sat on the mat.")("Where?", "A cat sat there."), 2)
        0.4
    """

    expected: str | Sequence[str]
    """One reference, or several that are all good."""
    _: KW_ONLY
    kind: RougeKind = "rougeL"

    def __post_init__(self) -> None:
        require_extra("judging", "torchmetrics", purpose="Rouge")
        if self.kind not in get_args(RougeKind):
            raise DataError(
                f"kind is {show_value(self.kind)}; expected one of {', '.join(get_args(RougeKind))}"
            )
        object.__setattr__(self, "expected", _check_references(self.expected))

    def __call__(self, prompt: str, answer: str) -> float:
        """The best F-measure over the references."""
        from torchmetrics.functional.text import rouge_score  # it loads torch

        found = rouge_score(
            check_answer(answer),
            [list(self.expected)],
            accumulate="best",
            normalizer=plain_words,
            tokenizer=_split_words,
            rouge_keys=self.kind,
        )
        return float(found[f"{self.kind}_fmeasure"])


def _split_words(text: str) -> list[str]:
    return _WORD.findall(plain_words(text))


def _find_f1(said: Counter[str], wanted: Counter[str]) -> float:
    shared = (said & wanted).total()
    return 2 * shared / (said.total() + wanted.total())


def _check_references(expected: object) -> tuple[str, ...]:
    texts = (expected,) if isinstance(expected, str) else expected
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"expected is {show_value(expected)}; expected a text, or a list of those that are all "
            "right."
        )
    kept = tuple(text for text in texts if plain_words(text))
    if not kept:
        raise DataError(
            f"expected is {show_value(expected)}; expected at least one text with a word in it."
        )
    return kept
