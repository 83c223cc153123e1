"""Each prompt has its own judge, and one that is not there is named."""

from __future__ import annotations

import pickle

import pytest

from graphrouter.exceptions import DataError
from graphrouter.grades import Grade
from graphrouter.judging import ExactMatch, NumericMatch, by_prompt


def test_each_prompt_has_its_judge() -> None:
    judge = by_prompt({"a?": 1, "b?": 2}, NumericMatch)
    assert [judge("a?", "1"), judge("b?", "1")] == [1, 0]
    mixed = by_prompt({"a?": NumericMatch(1), "b?": ExactMatch("x")})
    assert [mixed("a?", "1"), mixed("b?", "X")] == [1, 1]


def test_a_judge_may_say_how_far_it_is_to_be_believed() -> None:
    unsure = Grade(1.0, hit_rate=0.9, false_alarm_rate=0.3)
    judge = by_prompt({"a?": lambda prompt, answer: unsure, "b?": NumericMatch(2)})
    assert judge("a?", "1") is unsure
    assert judge("b?", "2") == 1


def test_a_judge_can_be_sent_to_another_process() -> None:
    judge = by_prompt({"a?": 1}, NumericMatch)
    assert pickle.loads(pickle.dumps(judge))("a?", "1") == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: by_prompt({"a?": 1}, NumericMatch)("c?", "1"),
            "of the prompt 'c.'; .*1 prompt ",
        ),
        (lambda: by_prompt({"a b": 1}, NumericMatch)("a  b", "1"), "differs in spaces alone"),
        (lambda: by_prompt({"a?": "four"}, NumericMatch), "Of the prompt 'a.': expected is"),
        (lambda: by_prompt({}, NumericMatch), "at least one prompt"),
        (lambda: by_prompt({"a?": 1}, 5), "make is 5; expected a function from what is expected"),  # type: ignore[arg-type]
        (lambda: by_prompt(5, NumericMatch), "expected is 5; expected a mapping from at least"),  # type: ignore[arg-type]
        (lambda: by_prompt(5), "expected is 5; expected a mapping from at least one prompt"),  # type: ignore[arg-type]
        (lambda: by_prompt([1], NumericMatch), "expected a mapping"),  # type: ignore[arg-type]
        (lambda: by_prompt({"a?": 1}), "expected a string and a function"),
        (lambda: by_prompt({"a?": 1}, NumericMatch)(None, "1"), "the prompt a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]
