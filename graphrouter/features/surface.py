"""What can be read off a prompt without understanding it: lengths, shares of characters, marks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

SURFACE_NAMES = (
    "log_chars", "log_words", "log_lines", "digit_share", "upper_share", "punctuation_share",
    "non_ascii_share", "code_marks", "math_marks", "question_marks", "mean_word_length",
)  # fmt: skip

_SCAN_CHARS = 20_000
_CODE_WORDS = ("def", "return", "import", "class", "function")
_CODE_WORD = re.compile(rf"\b(?:{'|'.join(_CODE_WORDS)})\b")
_CODE_SIGN, _BRACE = re.compile("=>|=="), re.compile("[{};]")
_MATH = re.compile(r"[=+*/^<>\\]|\$")
_PUNCTUATION = re.compile(r"[^\w\s]")
_MARKS = (str.isdigit, str.isupper, _PUNCTUATION, _MATH, "?", "\n", _BRACE)


def read_surface(prompts: Sequence[str]) -> Float32Array:
    """What can be read off a prompt without understanding it.

    (num_prompts, len(SURFACE_NAMES)), all >= 0, no NaN. Lengths are those of the whole text; shares
    and marks come from its first 20,000 characters.
    """
    return np.array([_read_one_surface(prompt) for prompt in prompts], dtype=np.float32).reshape(
        len(prompts), len(SURFACE_NAMES)
    )


def _read_one_surface(prompt: str) -> list[float]:
    text = prompt[:_SCAN_CHARS]
    chars = max(len(text), 1)
    words = text.split()
    digits, capitals, marks, signs, questions, lines, braces = _count_marks(text)
    return [
        math.log1p(len(prompt)),
        math.log1p(len(words) * len(prompt) / chars),
        math.log1p(lines * len(prompt) / chars),
        digits / chars,
        capitals / chars,
        marks / chars,
        0.0 if text.isascii() else sum(ord(c) > 127 for c in text) / chars,
        math.log1p(braces + _count_code(text)),
        math.log1p(signs),
        math.log1p(questions),
        math.log1p(sum(map(len, words)) / max(len(words), 1)),
    ]


def _count_code(text: str) -> int:
    """Words, signs and fences of code; most texts have none, which is seen without a pattern."""
    has_words = any(map(text.__contains__, _CODE_WORDS))
    words = len(_CODE_WORD.findall(text)) if has_words else 0
    signs = len(_CODE_SIGN.findall(text)) if "=>" in text or "==" in text else 0
    return words + signs + text.count("```")


def _count_marks(text: str) -> list[int]:
    """Digits, capitals, punctuation, signs of formulas, question marks, line breaks and braces."""
    if text.isascii():  # several times faster than character by character
        count = np.bincount(np.frombuffer(text.encode(), dtype=np.uint8), minlength=128)
        found: list[int] = (_tabulate_marks() @ count).tolist()
        return found
    return [_count(text, among) for among in _MARKS]


def _count(text: str, among: Callable[[str], bool] | re.Pattern[str] | str) -> int:
    if isinstance(among, str):
        return text.count(among)
    return len(among.findall(text)) if isinstance(among, re.Pattern) else sum(map(among, text))


@cache
def _tabulate_marks() -> NDArray[np.int64]:
    """Whether each of the ASCII characters is one of each of the marks: (len(_MARKS), 128)."""
    return np.array([[_count(chr(i), among) for i in range(128)] for among in _MARKS])
