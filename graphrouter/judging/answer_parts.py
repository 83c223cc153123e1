"""Parts of an answer that judges read: the final part, what is boxed or fenced, plain words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from graphrouter.exceptions import DataError
from graphrouter.grades import Grade

AnswerJudge = Callable[[str, str], float | Grade]
"""What `router.run` takes as `judge`: prompt and answer to a score, in [0, 1] unless `reliability`
has a slope, or to a `Grade`."""

_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(\{|\S)")
_MARKER = re.compile(
    r"####|\b(?:answer|result)s?\b[^.:=\n]{0,60}?"
    r"(?::|=|\bis\b|\bare\b|\bwould be\b|\bwill be\b|\bmust be\b)(?!\s+not\b)[\s*_`]*:?[ \t*_`]*",
    re.I,
)
_KEPT = "+#%$"
"""Marks of meaning that are no punctuation here: C++, C#, 5 %."""


class Fence(NamedTuple):
    """A fenced block of an answer."""

    language: str
    """As written behind the fence, in small letters; empty where nothing is."""
    text: str


def check_answer(answer: object) -> str:
    """The answer without the thoughts before it, those up to `</think>`.

    Thoughts that do not end leave nothing: the answer was cut off before it began.

    Raises:
        DataError: It is no string.
    """
    if not isinstance(answer, str):
        raise DataError(
            f"The answer is a {type(answer).__name__}; expected a string. Give the judge the text "
            "of the answer, and an empty one where the model said nothing."
        )
    _, mark, after = answer.rpartition("</think>")
    if mark:
        return after
    return "" if answer.lstrip().startswith("<think>") else answer


def find_fences(answer: str) -> list[Fence]:
    """The fenced blocks of an answer, in order; one that is not closed goes on to the end."""
    return [Fence(match[2].lower(), match[3]) for match in _FENCE.finditer(answer)]


def find_box(answer: str) -> str | None:
    r"""What stands in the last `\boxed{...}`; None without one, or where it is not closed.

    Example:
        >>> find_box(r"Thus \boxed{1} or rather \boxed{\frac{1}{2}}.")
        '\\frac{1}{2}'
    """
    match = None
    for match in _BOX.finditer(answer):  # noqa: B007 - the last one is wanted
        pass
    if match is None:
        return None
    if match[1] != "{":
        return match[1]
    depth = 1
    for end in range(match.end(), len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[end], 0)
        if depth == 0:
            return answer[match.end() : end]
    return None


def find_marked(answer: str) -> str | None:
    r"""The line behind the last "answer:", "the answer is" or "####"; None without one.

    Where nothing is left on that line, it is the next line that has something.

    Example:
        >>> find_marked("First 2 + 2.\n**Final answer:** 4 apples\nGlad to help!")
        '4 apples'
    """
    found = None
    for match in _MARKER.finditer(answer):
        rest = answer[match.end() :].lstrip().split("\n", 1)[0].strip()
        found = rest or found
    return found


def find_final(answer: str) -> str:
    r"""The final part: what is boxed, else what is marked, else the last line that has something.

    Args:
        answer: Without thoughts.

    Example:
        >>> find_final("It rains.\nThe answer is Paris."), find_final("Well.\n\nParis\n")
        ('Paris.', 'Paris')
    """
    lines = [line for line in answer.splitlines() if line.strip()]
    for found in (find_box(answer), find_marked(answer)):
        if found:
            return found
    return lines[-1].strip() if lines else ""


def plain_words(text: str, *, ignore_case: bool = True, ignore_punctuation: bool = True) -> str:
    r"""Text with one space between words, forms of letters made one (NFKC).

    Of punctuation, what stands between digits or as the sign of a number stays (3.5, -4, 10:30),
    and so do + # % $; points and apostrophes go, all else becomes a space.

    Args:
        text: Any.
        ignore_case: Whether to fold case.
        ignore_punctuation: Whether to take punctuation out; a text of nothing else
            stays.

    Example:
        >>> plain_words("  The *well-known*\nWashington, D.C.! "), plain_words("-3.50 %")
        ('the well known washington dc', '-3.50 %')
    """
    text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-")
    if ignore_case:
        text = text.casefold()
    if ignore_punctuation:
        bare = "".join(_bare(text, place) for place in range(len(text)))
        text = bare if bare.strip() else text
    return " ".join(text.split())


def _bare(text: str, place: int) -> str:
    """A character, or what stands in its place without punctuation."""
    mark = text[place]
    is_punctuation = unicodedata.category(mark).startswith("P") or mark in "`^~|"
    if not is_punctuation or mark in _KEPT:
        return mark
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if after.isdigit() and (before.isdigit() or (mark in "-." and not before.isalnum())):
        return mark
    return "" if mark in ".'\N{RIGHT SINGLE QUOTATION MARK}" else " "
