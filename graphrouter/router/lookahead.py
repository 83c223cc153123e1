"""What it is worth to ask a model, look at its answer, and perhaps go on.

A query has answers in hand, each with the effect that is expected of it, and models that may be
asked. The value of a way to go on is the expected effect of the best answer at its end less what
calls and grades cost. It is found one or two calls ahead, for outcomes that are 0 or 1, and anew
after each grade: a rolling horizon (Bertsekas 2017, chapter 6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.grades import believe
from graphrouter.router.outcome_covariance import PROBIT, Told, differentiate, to_chance, to_logit
from graphrouter.types import BoolArray, FloatArray, IntArray

MOST_CANDIDATES = 10
"""Models a query that are looked at: those that are worth most as the only call."""
_NEWTON_STEPS = 12
_LONGEST_STEP = 2.0
_GRADES = (1.0, 0.0)


class Stakes(NamedTuple):
    """What calls and grades cost, and what a judge is worth. B queries, M models."""

    per_effect: float
    """What one unit of effect is worth, >= 0; prices are in the same unit."""
    price: FloatArray
    """(B, M) of a call, >= 0; infinite for a model that may not be asked."""
    judge_price: float
    """Of a grade, >= 0."""
    hit_rate: float
    """Of the judge; see `graphrouter.grades.Judge`."""
    false_alarm_rate: float
    can_follow: BoolArray | None = None
    """(B, M, M) whether a model may still be asked after another, the second axis, was; without it
    after any."""


class Hand(NamedTuple):
    """Answers of B queries that were graded, K a query."""

    column: IntArray
    """(B, K) of the models."""
    grades: tuple[FloatArray, FloatArray, FloatArray]
    """(B, K) effect, hit rate and false alarm rate of each."""


class Outlook(NamedTuple):
    """What the candidates of B queries are worth. L candidates a query."""

    candidate: IntArray
    """(B, L) columns of the models."""
    value: FloatArray
    """(B, L) of asking the candidate next and going on as is best; minus infinity for one that may
    not be asked."""
    is_graded: BoolArray
    """(B, L) whether its answer is worth a grade."""
    stop: FloatArray
    """(B,) value of stopping now; minus infinity without an answer in hand."""


class _Ahead(NamedTuple):
    """Candidates before one of them is asked, and what its grade would tell."""

    chance: FloatArray
    """(B, L) expected effect."""
    price: FloatArray
    """(B, L)."""
    score: tuple[FloatArray, FloatArray]
    """(B, L) slope of the log-likelihood of a pass, and of a failure."""
    after: tuple[FloatArray, FloatArray]
    """(B, L, L) effect of each candidate after another, the second axis, passed or failed."""
    between: FloatArray
    """(B, L, L) by how much the logit of a candidate moves for one unit of the score of another."""
    then: FloatArray
    """(B, L, L) price of a candidate after another, the second axis; infinite where it may not
    follow."""


class _InHand(NamedTuple):
    """Answers in hand, as other grades move them."""

    logit: FloatArray
    """(B, K) of what is expected of each without its own grade."""
    load: FloatArray
    """(B, K, L) by how much it moves for one unit of the score of a candidate."""
    grades: tuple[FloatArray, FloatArray, FloatArray]
    floor: FloatArray
    """(B,) effect of an answer that was not graded; 0 without one."""

    def find_best(self, moved: FloatArray) -> FloatArray:
        """Effect of the best answer where logits have moved: (B, K, ...) to (B, ...)."""
        shape = (len(moved), *moved.shape[2:])
        best = np.broadcast_to(_widen(self.floor, len(shape)), shape)
        if not moved.shape[1]:
            return np.asarray(best)
        grades = (_widen(each, moved.ndim) for each in self.grades)
        worth = believe(to_chance(_widen(self.logit, moved.ndim) + moved), *grades)
        return np.asarray(np.maximum(best, worth.max(axis=1)))


def look_ahead(
    told: Told,
    covariance: FloatArray,
    hand: Hand,
    stakes: Stakes,
    *,
    num_calls: int,
    floor: FloatArray | None = None,
) -> Outlook:
    """What it is worth to stop, and to ask each candidate next.

    Args:
        told: What is expected of the models after the grades so far.
        covariance: (M, M) of the same setting.
        hand: The answers that were graded.
        stakes: Prices and judge.
        num_calls: Most calls that are left, >= 1; two are looked at.
        floor: (B,) expected effect of the best answer without a grade; NaN or None without any.
    """
    chance = to_chance(told.logit)
    alone = stakes.per_effect * chance - stakes.price
    size = min(MOST_CANDIDATES, alone.shape[1])
    candidate = np.argsort(-alone, axis=1, kind="stable")[:, :size]
    floor = np.full(len(chance), np.nan) if floor is None else floor
    ahead, in_hand = _prepare(told, covariance, candidate, hand, np.nan_to_num(floor), stakes)
    best = in_hand.find_best(np.zeros(hand.column.shape))
    value, is_graded = _ask_once(ahead, in_hand, best, stakes)
    if num_calls > 1:
        graded = _ask_twice(ahead, in_hand, stakes)
        value, is_graded = np.maximum(value, graded), is_graded | (graded > value)
    is_open = np.isfinite(ahead.price)
    has_answer = np.isfinite(floor) | (hand.column.shape[1] > 0)
    return Outlook(
        candidate,
        np.where(is_open, value, -np.inf),
        is_graded & is_open,
        np.where(has_answer, stakes.per_effect * best, -np.inf),
    )


def _prepare(
    told: Told,
    covariance: FloatArray,
    candidate: IntArray,
    hand: Hand,
    floor: FloatArray,
    stakes: Stakes,
) -> tuple[_Ahead, _InHand]:
    """What is known of candidates and of answers in hand."""
    num_held = hand.column.shape[1]
    both = np.concatenate([hand.column, candidate], axis=1)
    among = told.covariance_among(both, covariance)
    between = among[:, num_held:, num_held:]
    mean, price, chance = (
        np.take_along_axis(each, candidate, axis=1)
        for each in (told.mean, stakes.price, to_chance(told.logit))
    )
    steps = [_update(mean, between, grade, stakes) for grade in _GRADES]
    passes, _ = _grade(chance, stakes)
    # The mean of what is expected afterwards is what is expected now; the normal approximation
    # keeps that nearly, and what is missing would be taken for a gain.
    total = sum(passed[..., None] * after for passed, (_, after) in zip(passes, steps, strict=True))
    right = chance[:, None, :] / np.maximum(total, 1e-300)
    passed, failed = ((score, np.minimum(after * right, 1.0)) for score, after in steps)
    spread = np.sqrt(1 + PROBIT * np.diagonal(between, axis1=1, axis2=2))
    ahead = _Ahead(
        chance,
        price,
        (passed[0], failed[0]),
        (passed[1], failed[1]),
        between / spread[:, :, None],
        _price_second(price, candidate, stakes),
    )
    load = among[:, :num_held, num_held:] * told.lift[:, :, None]
    return ahead, _InHand(to_logit(told.cavity), load, hand.grades, floor)


def _price_second(price: FloatArray, candidate: IntArray, stakes: Stakes) -> FloatArray:
    """Price of each candidate as the second call, (B, L first, L second)."""
    is_open = ~np.eye(candidate.shape[1], dtype=bool)[None]
    if stakes.can_follow is not None:
        rows = np.arange(len(candidate))[:, None, None]
        is_open = is_open & stakes.can_follow[rows, candidate[:, :, None], candidate[:, None, :]]
    return np.where(is_open, price[:, None, :], np.inf)


def _ask_once(
    ahead: _Ahead, in_hand: _InHand, best: FloatArray, stakes: Stakes
) -> tuple[FloatArray, BoolArray]:
    """Value of each candidate as the last call, and whether its grade is worth it: (B, L)."""
    blind = stakes.per_effect * np.maximum(best[:, None], ahead.chance) - ahead.price
    passes, worths = _grade(ahead.chance, stakes)
    seen = np.zeros_like(blind)
    for passed, worth, score in zip(passes, worths, ahead.score, strict=True):
        others = in_hand.find_best(in_hand.load * score[:, None, :])
        seen += passed * np.maximum(others, worth)
    return _choose_look(blind, stakes.per_effect * seen - ahead.price, stakes)


def _ask_twice(ahead: _Ahead, in_hand: _InHand, stakes: Stakes) -> FloatArray:
    """Value of asking each candidate, looking at its grade, and asking one more or none: (B, L)."""
    passes, worths = _grade(ahead.chance, stakes)
    price = ahead.then
    expected = np.zeros_like(ahead.chance)
    rates = stakes.hit_rate, stakes.false_alarm_rate
    for number, grade in enumerate(_GRADES):
        moved = in_hand.load * ahead.score[number][:, None, :]
        best = np.maximum(in_hand.find_best(moved), worths[number])
        chance = ahead.after[number]
        blind = stakes.per_effect * np.maximum(best[:, :, None], chance) - price
        then, values = _grade(chance, stakes)
        seen = np.zeros_like(chance)
        for passed, worth, score in zip(then, values, ahead.score, strict=True):
            # What the second grade tells of answers in hand, and of the first of the two.
            held = in_hand.find_best(
                moved[:, :, :, None] + (in_hand.load * score[:, None, :])[:, :, None, :]
            )
            shifted = to_logit(ahead.chance)[:, :, None] + ahead.between * score[:, None, :]
            mine = believe(to_chance(shifted), *map(np.asarray, (grade, *rates)))
            seen += passed * np.maximum(np.maximum(held, mine), worth)
        then_value, _ = _choose_look(blind, stakes.per_effect * seen - price, stakes)
        expected += passes[number] * np.maximum(stakes.per_effect * best, then_value.max(axis=2))
    return expected - ahead.price - stakes.judge_price


def _choose_look(
    blind: FloatArray, seen: FloatArray, stakes: Stakes
) -> tuple[FloatArray, BoolArray]:
    """The better of an answer without a grade and one with, and whether that is the latter."""
    with np.errstate(invalid="ignore"):  # of models that may not be asked
        helps = seen - stakes.judge_price > blind + 1e-12 * stakes.per_effect
    return np.where(helps, seen - stakes.judge_price, blind), helps


def _grade(
    chance: FloatArray, stakes: Stakes
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """How likely an answer passes and fails, and what it is worth after that."""
    rates = np.asarray(stakes.hit_rate), np.asarray(stakes.false_alarm_rate)
    passed = rates[1] + (rates[0] - rates[1]) * chance
    if_passed, if_failed = (believe(chance, np.asarray(grade), *rates) for grade in _GRADES)
    return (passed, 1 - passed), (if_passed, if_failed)


def _update(
    mean: FloatArray, among: FloatArray, grade: float, stakes: Stakes
) -> tuple[FloatArray, FloatArray]:
    """The score of a grade of each candidate, (B, L), and what all are then worth: (B, L, L)."""
    variance = np.diagonal(among, axis1=1, axis2=2)
    effect, hit, false = (
        np.full_like(mean, value) for value in (grade, stakes.hit_rate, stakes.false_alarm_rate)
    )
    value = mean.copy()
    for _ in range(_NEWTON_STEPS):
        score, weight = differentiate(value, effect, hit, false)
        step = (mean - value + variance * score) / (1 + variance * weight)
        value += np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
    score, weight = differentiate(value, effect, hit, false)
    moved = mean[:, None, :] + among * score[:, :, None]
    kept = (weight / (1 + weight * variance))[:, :, None]
    left = np.maximum(variance[:, None, :] - among**2 * kept, 0.0)
    return score, to_chance(moved / np.sqrt(1 + PROBIT * left))


def _widen(values: FloatArray, num_axes: int) -> FloatArray:
    """The array with axes of length 1 at its end."""
    return values.reshape(*values.shape, *(1,) * (num_axes - values.ndim))
