"""What it is worth to ask a model, look at its answer, and perhaps go on.

A query has answers in hand, each with the effect that is expected of it, and models that may be
asked. The value of a way to go on is the expected effect of the best answer at its end less what
calls and grades cost. It is found one or two calls ahead, for outcomes that are 0 or 1, and anew
after each grade: a rolling horizon (Bertsekas 2017, chapter 6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.router.outcome_covariance import PROBIT, Told, differentiate
from graphrouter.types import BoolArray, FloatArray, IntArray

MOST_CANDIDATES = 16
"""Models a query that are looked at: those that are worth most as the only call."""
_NEWTON_STEPS = 12
_LONGEST_STEP = 2.0


class Stakes(NamedTuple):
    """What calls and grades cost, and what a judge is worth. B queries, M models."""

    per_effect: float
    """What one unit of effect is worth, > 0; prices are in the same unit."""
    price: FloatArray
    """(B, M) of a call, >= 0; infinite for a model that may not be asked."""
    judge_price: float
    """Of a grade, >= 0."""
    hit_rate: float
    """Of the judge; see `graphrouter.grades.Judge`."""
    false_alarm_rate: float


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


class _Step(NamedTuple):
    """What is known of candidates before one of them is asked. Leading axes (...), L candidates."""

    chance: FloatArray
    """(..., L) expected effect."""
    best: FloatArray
    """(...) of the best answer in hand; 0 without one."""
    price: FloatArray
    """(..., L)."""


def look_ahead(
    told: Told, covariance: FloatArray, best: FloatArray, stakes: Stakes, *, num_calls: int
) -> Outlook:
    """What it is worth to stop, and to ask each candidate next.

    Args:
        told: What is expected of the models after the grades so far.
        covariance: (M, M) of the same setting.
        best: (B,) expected effect of the best answer in hand; NaN without one.
        stakes: Prices and judge.
        num_calls: Most calls that are left, >= 1; two are looked at.
    """
    chance = 1 / (1 + np.exp(-told.logit))
    alone = stakes.per_effect * chance - stakes.price
    size = min(MOST_CANDIDATES, alone.shape[1])
    candidate = np.argsort(-alone, axis=1, kind="stable")[:, :size]
    among = told.covariance_among(candidate, covariance)
    mean, chance, price = (
        np.take_along_axis(each, candidate, axis=1) for each in (told.mean, chance, stakes.price)
    )
    step = _Step(chance, np.nan_to_num(best), price)
    value, is_graded = _ask_last(step, stakes)
    if num_calls > 1:
        graded = _ask_and_look(step, mean, among, stakes)
        value, is_graded = np.maximum(value, graded), is_graded | (graded > value)
    value = np.where(np.isfinite(price), value, -np.inf)
    stop = np.where(np.isnan(best), -np.inf, stakes.per_effect * np.nan_to_num(best))
    return Outlook(candidate, value, is_graded & np.isfinite(price), stop)


def _ask_last(step: _Step, stakes: Stakes) -> tuple[FloatArray, BoolArray]:
    """Value of each candidate as the last call, and whether its grade is worth it: (..., L)."""
    best = step.best[..., None]
    blind = stakes.per_effect * np.maximum(best, step.chance) - step.price
    passes, in_hand = _grade(step.chance, stakes)
    seen = sum(
        passed * np.maximum(best, worth) for passed, worth in zip(passes, in_hand, strict=True)
    )
    looked = stakes.per_effect * seen - step.price - stakes.judge_price
    with np.errstate(invalid="ignore"):  # of models that may not be asked
        helps = looked > blind + 1e-12 * stakes.per_effect
    return np.where(helps, looked, blind), helps


def _ask_and_look(step: _Step, mean: FloatArray, among: FloatArray, stakes: Stakes) -> FloatArray:
    """Value of asking each candidate, looking at its grade, and asking one more or none: (B, L).

    Args:
        step: Before it is asked.
        mean: (B, L) logits.
        among: (B, L, L) their covariance.
        stakes: Prices and judge.
    """
    passes, in_hand = _grade(step.chance, stakes)
    after = [_update(mean, among, grade, stakes) for grade in (1.0, 0.0)]
    # The mean of what is expected afterwards is what is expected now; the normal approximation
    # keeps that nearly, and what is missing would be taken for a gain.
    total = sum(passed[..., None] * chance for passed, chance in zip(passes, after, strict=True))
    right = step.chance[:, None, :] / np.maximum(total, 1e-300)
    own = np.eye(mean.shape[1], dtype=bool)
    price = np.where(own, np.inf, step.price[:, None, :])
    expected = np.zeros_like(mean)
    for passed, worth, chance in zip(passes, in_hand, after, strict=True):
        best = np.maximum(step.best[:, None], worth)
        then, _ = _ask_last(_Step(np.minimum(chance * right, 1.0), best, price), stakes)
        expected += passed * np.maximum(stakes.per_effect * best, then.max(axis=2))
    return expected - step.price - stakes.judge_price


def _grade(
    chance: FloatArray, stakes: Stakes
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """How likely an answer passes and fails, and what it is worth after that."""
    hit, false = stakes.hit_rate, stakes.false_alarm_rate
    passed = false + (hit - false) * chance
    failed = 1 - passed
    if_passed = np.divide(hit * chance, passed, out=chance.copy(), where=passed > 0)
    if_failed = np.divide((1 - hit) * chance, failed, out=chance.copy(), where=failed > 0)
    return (passed, failed), (if_passed, if_failed)


def _update(mean: FloatArray, among: FloatArray, grade: float, stakes: Stakes) -> FloatArray:
    """Expected effect of each candidate after another was graded: (B, L graded, L)."""
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
    return np.asarray(1 / (1 + np.exp(-moved / np.sqrt(1 + PROBIT * left))))
