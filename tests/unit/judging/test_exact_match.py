"""What reads the same is the same, and what a pattern finds is found."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.exceptions import DataError
from graphrouter.judging import ExactMatch, RegexMatch
from graphrouter.judging.answer_parts import (
    check_answer,
    find_box,
    find_fences,
    find_marked,
    plain_words,
)


@pytest.mark.parametrize(
    ("expected", "answer", "score"),
    [
        ("Paris", " paris.\n", 1),
        ("Paris", "**Paris**", 1),
        ("Paris", '"Paris"!', 1),
        ("Paris", "It is Paris", 0),
        ("Washington, D.C.", "washington dc", 1),
        ("don't", "don\N{RIGHT SINGLE QUOTATION MARK}t", 1),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "CAFE\N{COMBINING ACUTE ACCENT}", 1),
        ("3.5", "35", 0),
        ("-4", "4", 0),
        ("\N{MINUS SIGN}4", "-4", 1),
        ("C++", "C", 0),
        ("C#", "c#", 1),
        ("10:30", "10 30", 0),
        ("?", "?", 1),
        ("?", "!", 0),
        ("a b", "a\n\n  b", 1),
        ("Paris", "<think>Lyon? No.</think>\nParis", 1),
        ("Paris", "<think>Paris", 0),
        ("Paris", "", 0),
    ],
)
def test_words_are_compared(expected: str, answer: str, score: float) -> None:
    assert ExactMatch(expected)("?", answer) == score


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("I think.\nThe answer is Paris.", 1),
        ("**Answer:** Paris. Hope it helps!", 1),
        ("The correct answer to your question is: *Paris*", 1),
        (r"So $\boxed{Paris}$, not Lyon.", 1),
        ("First Lyon.\n\nParis", 1),
        ("#### Paris", 1),
        ("The answer is Lyon, the answer is not Paris.", 0),
        ("Paris is nice.\nLyon", 0),
    ],
)
def test_the_final_part(answer: str, score: float) -> None:
    assert ExactMatch(["Paris", "City of Light"], part="final")("?", answer) == score


def test_anywhere_means_whole_words() -> None:
    judge = ExactMatch("art", part="anywhere")
    assert (judge("?", "The Art of war"), judge("?", "A party")) == (1, 0)


def test_options() -> None:
    assert ExactMatch("NaCl", ignore_case=False)("?", "nacl") == 0
    assert ExactMatch("a-b", ignore_punctuation=False)("?", "a b") == 0


@given(st.text(min_size=1))
def test_a_text_matches_itself_and_reading_twice_changes_nothing(text: str) -> None:
    plain = plain_words(text)
    assert plain_words(plain) == plain or not plain.isascii()
    if text.strip() and "<think>" not in text and "</think>" not in text:
        assert ExactMatch(text)("?", text) == 1


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    find_box(text), find_fences(text), find_marked(text), check_answer(text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ExactMatch(3), "expected is 3; expected a string"),  # type: ignore[arg-type]
        (lambda: ExactMatch([" "]), "which an empty answer would match"),
        (lambda: ExactMatch([]), "expected at least one text"),
        (lambda: ExactMatch("a", part="end"), "part is 'end'; expected 'whole'"),  # type: ignore[arg-type]
        (lambda: ExactMatch("a")("?", None), "The answer is a NoneType; expected a string"),  # type: ignore[arg-type]
        (lambda: RegexMatch("(a"), "is no regular expression: .*unterminated"),
        (lambda: RegexMatch(b"a"), "expected a regular expression as a string"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_patterns() -> None:
    assert RegexMatch("par.s")("?", "in paris") == 1
    assert RegexMatch("par.s", whole=True)("?", "in paris") == 0
    assert RegexMatch("par.s", whole=True, ignore_case=True)("?", " PARIS\n") == 1
    assert RegexMatch(re.compile("^b$", re.M))("?", "a\nb\nc") == 1
    assert RegexMatch("Lyon")("?", "<think>Lyon?</think>Paris") == 0


def test_a_fence_that_is_not_closed_goes_on() -> None:
    text = "~~~\na\n~~~\n```py\nx = 1"
    assert [tuple(fence) for fence in find_fences(text)] == [("", "a\n"), ("py", "x = 1")]
