"""The option that an answer chooses is found, and none is made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.exceptions import DataError
from graphrouter.judging import ChoiceMatch, read_choice


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("C", "C"),
        ("(C)", "C"),
        ("C.", "C"),
        ("**C**", "C"),
        ("C) Paris", "C"),
        ("Answer: C", "C"),
        ("answer is c", "C"),
        ("The correct answer is **(C)** Paris.", "C"),
        ("\\boxed{C}", "C"),
        ("$\\boxed{\\text{C}}$", "C"),
        ("\\boxed{\\text{(C)}}", "C"),
        ("The answer is not A. So the answer is B.", "B"),
        ("A dog is an animal.", None),
        ("I think it is B", "B"),
        ("A or B", None),
        ("Answer: A and C", "AC"),
        ("Answer: A, C", "AC"),
        ("A, C", "AC"),
        ("Answer: A or C", None),
        ("(A) is wrong. (B) is wrong.\nTherefore (D).", "D"),
        ("Option B is correct.", "B"),
        ("B is correct because A is false.", "B"),
        ("The best choice is B: Rome", "B"),
        ("I would choose option D", "D"),
        ("I would pick C, since A is wrong", "C"),
        ("c", "C"),
        ("(c)", "C"),
        ("c)", "C"),
        ("Final answer: c.", "C"),
        ("The answer is a dog", None),
        ("I don't know.", None),
        ("", None),
        ("Between A and B, both hold.", None),
        ("[C]", "C"),
        ("`C`", "C"),
        ("Answer:\n\nC", "C"),
        ("### Answer\nC", "C"),
        ("**Answer:** C\n\nExplanation: A is wrong, B too.", "C"),
        ("The answer is (A) because ...", "A"),
        ("Answer: A because", "A"),
        ("#### D", "D"),
        ("<think>A? maybe B</think>\nC", "C"),
        ("<think>A? maybe", None),
        ("Let me see. The answer is A", "A"),
        ("The answer is C, not B.", "C"),
        ("Of the options, A) is wrong.\nB) is right\n\nSo: B", "B"),
        ("D: all of these", "D"),
        ("A.", "A"),
        ("A", "A"),
        ("a", "A"),
        ("A good question! The answer is B.", "B"),
        ("The correct option is B", "B"),
        ("Choice C", "C"),
        ("C is the correct answer.", "C"),
        ("The answer would be D.", "D"),
        ("Answer is: (B)", "B"),
        ("answer: option B", "B"),
        ("The answer: the option (B)", "B"),
        ("B - Paris", "B"),
        ("B \u2013 Paris", "B"),
        ("B\nBecause A is false", "B"),
        ("Because of A, B, and C, the answer is D.", "D"),
        ("It cannot be A. It must be C.", "C"),
        ("Answer (C)", "C"),
        ("The answer is $C$", "C"),
        ("**Final Answer**: \n**C**", "C"),
        ("Answer: E", None),
        ("ABCD", "ABCD"),
        ("The correct answer is B) 12", "B"),
        ("Correct answer: B", "B"),
        ("I'd go with B.", "B"),
        ('The answer is "C".', "C"),
        ('{"answer": "C"}', "C"),
        ("C,", "C"),
        ("The answer is C or D? I say the answer is D", "D"),
        ("Answer: AC", "AC"),
        ("Neither A nor B.", None),
        ("None of A, B, C or D.", None),
    ],
)
def test_what_an_answer_chooses(answer: str, chosen: str | None) -> None:
    assert read_choice(answer) == (None if chosen is None else frozenset(chosen))


def test_several_have_to_be_chosen_together() -> None:
    judge = ChoiceMatch(["A", "c"])
    answers = ("Answer: A and C", "C, A", "A", "A, B, C")
    assert [judge("?", answer) for answer in answers] == [1, 1, 0, 0]


def test_labels_may_be_numbers_or_words() -> None:
    assert ChoiceMatch("2", ["1", "2", "3"])("?", "The answer is (2).") == 1
    assert ChoiceMatch("yes", ["yes", "no"])("?", "Yes.") == 1
    assert ChoiceMatch("yes", ["yes", "no"])("?", "Answer: no") == 0


def test_an_option_may_be_chosen_in_words() -> None:
    judge = ChoiceMatch("B", texts=["Rome", "Paris", "Bern", "Kiev"])
    assert [judge("?", text) for text in ("It is Paris!", "Rome or Paris", "Oslo")] == [1, 0, 0]


@given(st.text(alphabet="ABCDabcd ().,:*\\{}boxed\nanswer is or and not"))
def test_no_text_breaks_it(text: str) -> None:
    found = read_choice(text)
    assert found is None or (found and found <= set("ABCD"))


@pytest.mark.parametrize("label", list("ABCD"))
@pytest.mark.parametrize("shape", ["{}", "({})", "**{}**", "Answer: {}", r"\\boxed{{{}}}"])
def test_every_label_in_every_shape(label: str, shape: str) -> None:
    assert ChoiceMatch(label)("?", shape.format(label).replace("\\\\", "\\")) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ChoiceMatch("E"), "expected is 'E'; expected one of the choices A, B, C, D"),
        (lambda: ChoiceMatch(5), "expected is 5; expected one of the choices A, B, C, D, or a"),  # type: ignore[arg-type]
        (lambda: ChoiceMatch(None), "expected is None; expected one of the choices A, B, C, D"),  # type: ignore[arg-type]
        (lambda: ChoiceMatch([]), "expected one of the choices"),
        (lambda: ChoiceMatch("A", "A"), "expected at least two labels that differ"),
        (lambda: ChoiceMatch("A", "Aa"), "expected at least two labels that differ"),
        (lambda: ChoiceMatch("A", texts=["x"]), "texts has 1 options, choices 4 labels"),
        (lambda: ChoiceMatch("A", texts="abcd"), "as a list of strings"),
        (lambda: ChoiceMatch("A")("?", None), "The answer is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]
