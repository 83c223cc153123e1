"""Answers that are, or hold, a text that is known or that a pattern describes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

from graphrouter.exceptions import DataError
from graphrouter.judging.answer_parts import check_answer, find_final, plain_words
from graphrouter.wording import show_value

Part = Literal["whole", "final", "anywhere"]
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")


@dataclass(frozen=True)
class ExactMatch:
    r"""Score 1 for an answer that reads as one of the expected texts, else 0.

    Compared are words: spaces, line breaks, forms of letters, case and punctuation do not count,
    but 3.5 is not 35, -4 is not 4, and C++ is not C.

    Raises:
        DataError: Nothing is expected, or an argument is of no such kind.

    Example:
        >>> judge = ExactMatch(["Washington, D.C.", "Washington"])
        >>> judge("Capital?", "**washington dc**"), judge("Capital?", "It is Washington.")
        (1.0, 0.0)
        >>> ExactMatch("Washington", part="final")("Capital?", "Easy.\nAnswer: Washington.")
        1.0
    """

    expected: str | Sequence[str]
    """One text, or several that are all right."""
    _: KW_ONLY
    part: Part = "whole"
    """What is compared: `"whole"`, the answer; `"final"`, what is boxed or stands behind "answer:",
    "the answer is" or "####", or else the last line; `"anywhere"`, any words that follow one
    another."""
    ignore_case: bool = True
    ignore_punctuation: bool = True

    def __post_init__(self) -> None:
        texts = (self.expected,) if isinstance(self.expected, str) else self.expected
        if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
            raise DataError(
                f"expected is {show_value(self.expected)}; expected a string, or a list of "
                "those that are all right. Numbers are for NumericMatch."
            )
        if not any(text.strip() for text in texts):
            raise DataError(
                f"expected is {show_value(self.expected)}, which an empty answer would match; "
                "expected at least one text that is not empty."
            )
        if self.part not in get_args(Part):
            raise DataError(
                f"part is {self.part!r}; expected {', '.join(map(repr, get_args(Part)))}."
            )
        object.__setattr__(self, "expected", tuple(texts))

    def __call__(self, prompt: str, answer: str) -> float:
        """1.0 where the answer, or its part, is one of the expected texts, else 0.0."""
        read = check_answer(answer)
        wanted = {self._plain(text) for text in self.expected if text.strip()}
        if self.part == "anywhere":
            words = f" {self._plain(read)} "
            return float(any(f" {text} " in words for text in wanted))
        if self.part == "whole":
            return float(self._plain(read) in wanted)
        final = find_final(read)
        sentence = _SENTENCE_END.split(final, maxsplit=1)[0]
        return float(not wanted.isdisjoint({self._plain(final), self._plain(sentence)}))

    def _plain(self, text: str) -> str:
        return plain_words(
            text, ignore_case=self.ignore_case, ignore_punctuation=self.ignore_punctuation
        )


@dataclass(frozen=True)
class RegexMatch:
    r"""Score 1 for an answer in which a regular expression of Python finds something, else 0.

    A pattern that backtracks without end, such as `(a+)+$`, holds up the program: there is no time
    limit.

    Raises:
        DataError: It is no such pattern.

    Example:
        >>> judge = RegexMatch(r"\b\d{4}-\d{2}-\d{2}\b")
        >>> judge("When?", "On 2024-02-29."), judge("When?", "Tomorrow.")
        (1.0, 0.0)
    """

    pattern: str | re.Pattern[str]
    """Text, or what `re.compile` made of it, with its flags."""
    _: KW_ONLY
    whole: bool = False
    """Whether it has to match all of the answer, but for spaces around it."""
    ignore_case: bool = False

    def __post_init__(self) -> None:
        flags = re.IGNORECASE if self.ignore_case else 0
        if isinstance(self.pattern, re.Pattern) and isinstance(self.pattern.pattern, str):
            text, flags = self.pattern.pattern, self.pattern.flags | flags
        elif isinstance(self.pattern, str):
            text = self.pattern
        else:
            raise DataError(
                f"pattern is {show_value(self.pattern)}; expected a regular expression as a "
                "string, or one that re.compile made of a string."
            )
        try:
            compiled = re.compile(text, flags)
        except re.error as error:
            raise DataError(
                f"The pattern {show_value(text)} is no regular expression: {error}; expected one "
                "of Python's re. re.escape makes one of a plain text."
            ) from error
        object.__setattr__(self, "pattern", compiled)

    def __call__(self, prompt: str, answer: str) -> float:
        """1.0 where the pattern matches, else 0.0."""
        read = check_answer(answer)
        pattern = re.compile(self.pattern)
        found = pattern.fullmatch(read.strip()) if self.whole else pattern.search(read)
        return float(found is not None)
