"""What a judge's grades are worth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from graphrouter import Grade, Judge
from graphrouter.exceptions import DataError


def test_a_grade_moves_belief_by_bayes_rule() -> None:
    assert Grade(1.0, hit_rate=0.9, false_alarm_rate=0.3).believe(0.5) == pytest.approx(0.75)
    assert Grade(0.0, hit_rate=0.9, false_alarm_rate=0.3).believe(0.5) == pytest.approx(0.125)
    assert Grade(0.5, hit_rate=0.9, false_alarm_rate=0.3).believe(0.5) == pytest.approx(0.4375)


def test_an_exact_grade_is_the_effect_and_a_coin_says_nothing() -> None:
    assert Grade(0.25).believe(0.9) == 0.25
    for grade in (0.0, 1.0):
        assert Grade(grade, 0.6, 0.6).believe(0.37) == pytest.approx(0.37)
    assert Grade(1.0, 0.0, 0.0).believe(0.4) == 0.4  # it cannot have happened


def test_rates_are_counted_where_grades_are_yes_or_no() -> None:
    effect = np.repeat([1.0, 0.0], 500)
    passed = np.concatenate([np.arange(500) < 450, np.arange(500) < 100]).astype(float)
    judge = Judge.fit(passed.tolist(), effect.tolist())
    assert judge.hit_rate == pytest.approx(451 / 502)
    assert judge.false_alarm_rate == pytest.approx(101 / 502)
    assert judge.slope is None
    assert judge.read(True) == Grade(1.0, judge.hit_rate, judge.false_alarm_rate)


def test_scores_are_worth_what_normal_scores_are() -> None:
    rng = np.random.default_rng(0)
    effect = (rng.random(4000) < 0.3).astype(float)
    truth = Judge.of_auc(0.8)
    assert truth.slope is not None
    score = 5 + 2 * (effect * truth.slope + rng.normal(size=4000))
    judge = Judge.fit(score.tolist(), effect.tolist())
    for value in (-1.0, 0.0, 0.6, 2.0):
        expected = truth.read(value).believe(0.4)
        assert judge.read(5 + 2 * value).believe(0.4) == pytest.approx(expected, abs=0.03)
    assert judge.hit_rate == pytest.approx(truth.hit_rate, abs=0.03)


def test_low_scores_may_be_good() -> None:
    rng = np.random.default_rng(1)
    effect = (rng.random(500) < 0.5).astype(float)
    judge = Judge.fit((-2 * effect + rng.normal(size=500)).tolist(), effect.tolist())
    assert judge.read(-3).believe(0.5) > 0.8 > 0.2 > judge.read(2).believe(0.5)
    assert judge.hit_rate > 0.7 > 0.4 > judge.false_alarm_rate


def test_few_answers_say_little_of_a_judge() -> None:
    judge = Judge.fit([1], [1])
    assert judge.hit_rate == pytest.approx(2 / 3)
    assert judge.false_alarm_rate == pytest.approx(1 / 2)
    constant = Judge.fit([0.4, 0.4, 0.4], [1, 0, 1])
    assert constant.read(0.4).believe(0.3) == pytest.approx(0.3, abs=0.02)


def test_a_judge_that_passes_what_is_wrong_is_read_the_other_way() -> None:
    turned = Judge.fit([0, 1] * 50, [1, 0] * 50)
    assert turned.read(1).believe(0.5) < 0.1 < 0.9 < turned.read(0).believe(0.5)


def test_a_judge_that_gives_all_the_same_tells_nothing() -> None:
    always_right = Judge.fit([0.9, 0.8, 0.7], [1, 1, 1])
    assert always_right.hit_rate == always_right.false_alarm_rate
    assert always_right.read(0.9).believe(0.3) == pytest.approx(0.3)


def test_a_score_is_as_likely_as_its_ratio_says() -> None:
    judge = Judge.of_auc(0.9)
    assert judge.slope is not None
    for score in (-1.5, 0.2, 3.0):
        ratio = judge.slope * score + judge.intercept
        expected = expit(np.log(0.2 / 0.8) + ratio)
        assert judge.read(score).believe(0.2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Grade(1.2), r"effect is 1.2; expected a number in \[0, 1\]"),
        (lambda: Grade(float("nan")), "effect is nan"),
        (lambda: Grade(1.0, 0.2, 0.8), "Turn its grades round"),
        (lambda: Judge(hit_rate=2.0), "hit_rate is 2.0"),
        (lambda: Judge(slope=float("inf")), "slope is inf"),
        (lambda: Judge(slope="a"), "slope is 'a'; expected a finite number"),  # type: ignore[arg-type]
        (lambda: Judge(intercept=None), "intercept is None; expected a finite number"),  # type: ignore[arg-type]
        (lambda: Judge.parse(None), "The judge is None; expected exact, auc:0.8"),  # type: ignore[arg-type]
        (lambda: Judge.parse(0.8), "The judge is 0.8; expected exact, auc:0.8"),  # type: ignore[arg-type]
        (lambda: Judge.of_auc(None), "auc is None; expected a number in"),  # type: ignore[arg-type]
        (lambda: Judge().read(7), "the score is 7"),
        (lambda: Judge.of_auc(0.8).read(float("nan")), "gave nan; expected a finite number"),
        (lambda: Judge.of_auc(0.8).read("good"), "gave 'good'"),  # type: ignore[arg-type]
        (lambda: Judge.of_auc(1.0), "auc is 1.0"),
        (lambda: Judge.of_auc(0.3), "auc is 0.3"),
        (lambda: Judge.fit([], []), "at least one answer"),
        (lambda: Judge.fit([1.0], [1.0, 0.0]), "shapes"),
        (lambda: Judge.fit(["good"], [1.0]), "must be numbers"),  # type: ignore[list-item]
        (lambda: Judge.fit([float("nan")], [1.0]), "finite numbers"),
        (lambda: Judge.fit([0.5], [2.0]), r"effects lie in \[0, 1\]"),
    ],
)
def test_what_is_no_grade_is_refused(call: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        call()  # type: ignore[operator]
