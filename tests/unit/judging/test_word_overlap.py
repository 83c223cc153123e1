"""F1 of words and ROUGE, by hand and by what they must hold."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.exceptions import DataError, MissingExtraError
from graphrouter.judging import Rouge, WordF1

WORDS = st.lists(st.sampled_from(["red", "green", "blue", "über", "猫"]), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("expected", "answer", "score"),
    [
        ("Paris", "paris!", 1.0),
        ("the cat sat", "The dog sat", 2 / 3),
        ("a a b", "a b b", 2 / 3),  # each word as often as it occurs
        (["Rome", "Paris France"], "Paris", 2 / 3),  # the best reference
        ("猫坐在垫子上", "猫坐着", 4 / 9),  # characters where no spaces part words
        ("Paris", "", 0.0),
        ("Paris", "<think>Paris?</think>Rome", 0.0),
    ],
)
def test_f1_of_words(expected: str | list[str], answer: str, score: float) -> None:
    assert WordF1(expected)("?", answer) == pytest.approx(score)


@pytest.mark.parametrize(
    ("kind", "expected", "answer", "score"),
    [
        ("rougeL", "the cat sat on the mat", "on the mat the cat sat", 0.5),
        ("rouge1", "the cat sat on the mat", "on the mat the cat sat", 1.0),
        ("rouge2", "the cat sat", "the cat ran", 0.5),
        ("rougeL", ["no word of it", "Größe zählt"], "größe zählt.", 1.0),
        ("rougeL", "cat", "", 0.0),
    ],
)
def test_rouge(kind: str, expected: str | list[str], answer: str, score: float) -> None:
    assert Rouge(expected, kind=kind)("?", answer) == pytest.approx(score)


@given(WORDS, WORDS)
def test_both_are_symmetric_and_1_for_the_same(one: list[str], other: list[str]) -> None:
    first, second = " ".join(one), " ".join(other)
    for make in (WordF1, Rouge):
        assert make(first)("?", first) == pytest.approx(1)
        score = make(first)("?", second)
        assert score == pytest.approx(make(second)("?", first))
        assert 0 <= score <= 1 + 1e-6  # ROUGE comes in single precision


@pytest.mark.parametrize("make", [WordF1, Rouge])
@pytest.mark.parametrize("expected", ["", " ", [], 3, ["a", 3], None])
def test_a_reference_without_words_is_refused(make: type, expected: object) -> None:
    with pytest.raises(DataError, match="expected"):
        make(expected)


def test_an_unknown_kind_is_refused_and_so_is_a_missing_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DataError, match="rouge1, rouge2, rougeL"):
        Rouge("a", kind="rouge9")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MissingExtraError, match="torchmetrics"):
        Rouge("a")
