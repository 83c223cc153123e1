"""What it is worth to ask, look and go on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from graphrouter.router.lookahead import Hand, Outlook, Stakes, look_ahead
from graphrouter.router.outcome_covariance import condition
from graphrouter.router.rollout import roll_out
from graphrouter.types import BoolArray, FloatArray, IntArray

NOTHING = Hand(np.zeros((1, 0), int), (np.zeros((1, 0)),) * 3)
ALONE = 1e-9
"""A covariance under which outcomes tell nothing of one another."""


def _look(
    chance: list[float],
    price: list[float],
    *,
    shared: float = ALONE,
    best: float = np.nan,
    rates: tuple[float, float] = (1.0, 0.0),
    judge_price: float = 0.0,
    num_calls: int = 2,
    can_follow: BoolArray | None = None,
) -> tuple[dict[int, float], Outlook]:
    """Value of each model by its column, and the outlook, with nothing told."""
    size = len(chance)
    covariance = np.full((size, size), shared) + ALONE * np.eye(size)
    told = condition(
        logit(np.array([chance])), covariance, np.zeros((1, 0), int), *np.zeros((3, 1, 0))
    )
    stakes = Stakes(1.0, np.array([price]), judge_price, *rates, can_follow)
    outlook = look_ahead(
        told, covariance, NOTHING, stakes, num_calls=num_calls, floor=np.array([best])
    )
    values = dict(zip(outlook.candidate[0].tolist(), outlook.value[0].tolist(), strict=True))
    return values, outlook


def test_one_call_is_worth_its_effect_less_its_price() -> None:
    values, outlook = _look([0.6, 0.9], [0.1, 0.5], num_calls=1)
    assert values == pytest.approx({0: 0.5, 1: 0.4})
    assert not outlook.is_graded.any()
    assert outlook.stop[0] == -np.inf


def test_two_independent_calls_are_worth_what_probability_says() -> None:
    values, outlook = _look([0.6, 0.9], [0.1, 0.5])
    # Ask the first; where it fails, the second: 0.4 * (0.9 - 0.5) more.
    assert values[0] == pytest.approx(0.6 - 0.1 + 0.4 * 0.4, abs=1e-4)
    # After the dear one the cheap one is worth asking in one case of ten.
    assert values[1] == pytest.approx(0.9 - 0.5 + 0.1 * 0.5, abs=1e-4)
    assert outlook.is_graded.all()


def test_a_second_call_that_may_not_follow_is_not_counted_on() -> None:
    never = np.zeros((1, 2, 2), dtype=bool)
    values, outlook = _look([0.6, 0.9], [0.1, 0.5], can_follow=never)
    assert values == pytest.approx({0: 0.5, 1: 0.4})
    assert not outlook.is_graded.any()


def test_what_outcomes_have_in_common_lowers_the_worth_of_a_second_call() -> None:
    worth = [_look([0.6, 0.7], [0.01, 0.02], shared=shared)[0][0] for shared in (ALONE, 1.0, 9.0)]
    assert worth == sorted(worth, reverse=True)
    assert worth[0] - worth[2] > 0.03


def test_a_judge_who_tells_nothing_leaves_one_call() -> None:
    for rates in ((0.5, 0.5), (0.9, 0.9)):
        for shared in (ALONE, 4.0):
            values, outlook = _look([0.6, 0.9], [0.1, 0.5], shared=shared, rates=rates)
            assert values == pytest.approx({0: 0.5, 1: 0.4}, abs=1e-6)
            assert not outlook.is_graded.any()


def test_a_grade_must_be_worth_its_price() -> None:
    values, outlook = _look([0.6, 0.9], [0.1, 0.5], judge_price=0.3)
    assert values == pytest.approx({0: 0.5, 1: 0.4})
    assert not outlook.is_graded.any()


def test_a_worse_judge_is_worth_less() -> None:
    worth = [
        _look([0.6, 0.7], [0.0, 0.0], rates=rates)[0][0]
        for rates in ((1.0, 0.0), (0.9, 0.1), (0.8, 0.2), (0.6, 0.4), (0.5, 0.5))
    ]
    assert worth == sorted(worth, reverse=True)


def test_who_may_not_be_asked_is_not() -> None:
    values, outlook = _look([0.6, 0.9, 0.8], [0.1, np.inf, 0.2])
    assert values[1] == -np.inf
    assert np.isfinite([values[0], values[2]]).all()
    assert outlook.stop[0] == -np.inf


def test_an_answer_in_hand_may_be_enough() -> None:
    values, outlook = _look([0.6, 0.9], [0.1, 0.5], best=0.95)
    assert outlook.stop[0] == pytest.approx(0.95)
    assert max(values.values()) < 0.95


@pytest.mark.parametrize("shared", [ALONE, 3.0])
def test_what_is_promised_comes_true(shared: float) -> None:
    """Simulated outcomes of the assumed world bring what the plan expects of two calls."""
    rng, num = np.random.default_rng(0), 40_000
    covariance = np.full((3, 3), shared) + 0.2 * np.eye(3)
    chance = np.array([0.55, 0.7, 0.8])
    mean = logit(chance) * np.sqrt(1 + np.pi / 8 * covariance.diagonal())
    deviation = rng.multivariate_normal(np.zeros(3), covariance, num)
    outcome = (rng.random((num, 3)) < 1 / (1 + np.exp(-mean - deviation))).astype(float)
    price = np.tile([0.02, 0.1, 0.2], (num, 1))
    logits = np.tile(logit(chance), (num, 1))
    stakes = Stakes(1.0, price, 0.0, 1.0, 0.0)

    def grade(rows: IntArray, columns: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return outcome[rows, columns], np.ones(len(rows)), np.zeros(len(rows))

    told = condition(logits[:1], covariance, np.zeros((1, 0), int), *np.zeros((3, 1, 0)))
    ahead = look_ahead(told, covariance, NOTHING, stakes._replace(price=price[:1]), num_calls=2)
    ran = roll_out(logits, covariance, stakes, grade, max_calls=2)
    got = outcome[np.arange(num), ran.answer].mean() - (ran.called * price).sum(1).mean()
    assert got == pytest.approx(float(ahead.value.max()), abs=0.015)
    alone = (chance - price[0]).max()
    assert got > alone + 0.02


def test_roll_outs_stop_at_the_most_calls_and_keep_an_answer() -> None:
    logits, price = np.zeros((5, 4)), np.zeros((5, 4))
    never = lambda rows, columns: (np.zeros(len(rows)), np.ones(len(rows)), np.zeros(len(rows)))  # noqa: E731
    stakes = Stakes(1.0, price, 0.0, 1.0, 0.0)
    for most in (1, 2, 4):
        ran = roll_out(logits, np.eye(4), stakes, never, max_calls=most)
        assert (ran.called.sum(1) == most).all()
        assert (ran.answer >= 0).all()
    nobody = roll_out(logits, np.eye(4), stakes._replace(price=price + np.inf), never, max_calls=2)
    assert (nobody.answer == -1).all()
    assert not nobody.called.any()
