"""Answers that say the same agree, whatever their words."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.exceptions import DataError
from graphrouter.grades import Judge
from graphrouter.judging import (
    Agreement,
    RunningAgreement,
    agree,
    read_choice,
    read_number,
    read_text,
    vote,
)


def test_shares_of_the_others() -> None:
    assert agree(["Paris", "paris.", "Lyon"]) == [0.5, 0.5, 0]
    assert agree(["4", "Answer: 4.0", "It is 8/2", "5"], read=read_number) == pytest.approx(
        [2 / 3, 2 / 3, 2 / 3, 0]
    )
    assert agree(["(B)", "Answer: B", "C"], read=partial(read_choice, choices="ABC")) == [
        0.5,
        0.5,
        0,
    ]


def test_what_says_nothing_agrees_with_nothing() -> None:
    assert agree(["", " ", "a"]) == [0, 0, 0]
    assert Agreement(["", "a"])("?", "") == 0


def test_the_judge_counts_others() -> None:
    assert Agreement(["4", "4", "5", ""], read_number)("?", "It is 4.") == 0.5


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=2, max_size=8))
def test_both_ways_agree(answers: list[str]) -> None:
    shares = agree(answers)
    for place, share in enumerate(shares):
        others = answers[:place] + answers[place + 1 :]
        assert Agreement(others)("?", answers[place]) == pytest.approx(share)


def test_a_vote_keeps_what_weighs_most_together() -> None:
    answers = {"a": "It is 4.", "b": "5", "c": "Answer: 4", "d": "no idea"}
    assert vote(answers, read=read_number) == "a"
    assert vote(answers, weights={"a": 1, "b": 3, "c": 1.5, "d": 9}, read=read_number) == "b"
    assert vote(answers, weights={"a": 1, "b": 2, "c": 1.5, "d": 9}, read=read_number) == "c"
    assert vote({"d": "no idea"}, read=read_number) is None
    assert vote({"a": "x", "b": "y"}) == "a"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vote({}), r"answers is \{\}; expected a mapping from who answered"),
        (lambda: vote(["4"]), "answers is .*; expected a mapping from who answered"),  # type: ignore[arg-type]
        (lambda: vote({"a": "4"}, weights={"b": 1.0}), "The weight of 'a' is None"),
        (lambda: vote({"a": "4"}, weights={"a": -1.0}), "The weight of 'a' is -1.0"),
        (lambda: vote({"a": 4}), "The answer is a int"),  # type: ignore[dict-item]
        (lambda: agree(["a"]), r"answers is \['a'\]; expected a list of at least 2 answers"),
        (lambda: agree("ab"), "answers is 'ab'"),
        (lambda: Agreement([]), "at least 1 answer, all"),
        (lambda: Agreement("number"), "answers is 'number'; expected a list of at least 1 answer"),
        (lambda: Agreement(["4"], "number"), "read is 'number'; expected a function from an ans"),  # type: ignore[arg-type]
        (lambda: agree(["4", "5"], read="number"), "read is 'number'; expected a function from"),  # type: ignore[arg-type]
        (lambda: agree(["4", "5"], read=list), r"read made \['4'\] of an answer; expected someth"),
        (lambda: agree(["a", None]), "The answer is a NoneType"),  # type: ignore[list-item]
        (lambda: read_text(3), "The answer is a int"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]


def test_running_agreement_holds_each_answer_against_those_before_it() -> None:
    judge = RunningAgreement(Judge(0.9, 0.1), read=read_number)
    told = [judge("?", said) for said in ("It is 4", "4.0", "no idea", "5", "4")]
    assert [grade.effect for grade in told[:3]] == [0.5, 1.0, 0.5]
    assert told[0].believe(0.3) == pytest.approx(0.3)  # nothing is told of the first
    assert told[3].effect == 0.0
    assert told[4].effect == pytest.approx(2 / 3)
    assert judge("another prompt", "4").effect == 0.5


@pytest.mark.parametrize("wrong", [0.8, None, "exact"])
def test_running_agreement_wants_a_reliability(wrong: object) -> None:
    with pytest.raises(DataError, match=r"reliability is .*expected a graphrouter\.Judge"):
        RunningAgreement(wrong)  # type: ignore[arg-type]


def test_running_agreement_refuses_what_is_no_answer() -> None:
    with pytest.raises(DataError, match="answer"):
        RunningAgreement(Judge(0.9, 0.1))("?", 4)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="read is"):
        RunningAgreement(Judge(0.9, 0.1), read="text")  # type: ignore[arg-type]
