"""Grades of answers, and how far the judge who gave them is to be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from graphrouter.exceptions import DataError
from graphrouter.number_checks import is_number
from graphrouter.wording import show_value

FloatArray = NDArray[np.float64]
_SLOPE_SCALE = 2.5
"""Usual size of a logistic slope along a standardised score (Gelman and others 2008)."""
_NEWTON_STEPS = 50
_LEAST_RATIO = 1e-9
"""A log likelihood ratio that is not rounding."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a judge said of one answer, and how often such a judge is wrong.

    Example:
        >>> Grade(1.0, hit_rate=0.9, false_alarm_rate=0.3).believe(0.5)
        0.75
    """

    effect: float
    """In [0, 1]: 1 = passed."""
    hit_rate: float = 1.0
    """Chance in [0, 1] that the judge passes an answer that is right."""
    false_alarm_rate: float = 0.0
    """Chance in [0, `hit_rate`] that the judge passes an answer that is wrong."""

    def __post_init__(self) -> None:
        _check_share("effect", self.effect)
        _check_rates(self.hit_rate, self.false_alarm_rate)

    @classmethod
    def of(cls, value: float | Grade, where: str = "the grade") -> Grade:
        """A grade; a plain number is that of a judge who is never wrong.

        Args:
            value: A number in [0, 1], or a grade.
            where: What to call it in an error.

        Raises:
            DataError: It is neither.
        """
        return value if isinstance(value, Grade) else cls(_check_share(where, value))

    def believe(self, chance: float) -> float:
        """Expected effect of the answer that was graded, in [0, 1], by Bayes' rule.

        Args:
            chance: What was expected of it before, in [0, 1].
        """
        return float(
            believe(*map(np.array, (chance, self.effect, self.hit_rate, self.false_alarm_rate)))
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """How often a judge passes right and wrong answers.

    A judge without a `slope` passes an answer or does not; with one it gives a score, and the
    logarithm of how much likelier the score is for a right answer is `slope * score + intercept`.

    Example:
        >>> judge = Judge.fit([1, 1, 0, 0] * 25, [1, 1, 0, 1] * 25)
        >>> round(judge.hit_rate, 2), round(judge.false_alarm_rate, 2)
        (0.66, 0.04)
        >>> judge.read(1.0).effect
        1.0
    """

    hit_rate: float = 1.0
    """Chance in [0, 1] that it passes an answer that is right."""
    false_alarm_rate: float = 0.0
    """Chance in [0, `hit_rate`] that it passes an answer that is wrong."""
    slope: float | None = None
    """Of the log likelihood ratio along the score; None for a judge without scores."""
    intercept: float = 0.0
    """The same ratio at score 0."""

    def __post_init__(self) -> None:
        _check_rates(self.hit_rate, self.false_alarm_rate)
        for name in ("slope", "intercept"):
            value = getattr(self, name)
            is_left_out = name == "slope" and value is None
            if not is_left_out and not (is_number(value) and math.isfinite(value)):
                raise DataError(f"{name} is {show_value(value)}; expected a finite number.")

    @classmethod
    def of_auc(cls, auc: float) -> Self:
        """A judge whose scores are normal, with one variance for right and wrong answers.

        Scores have mean 0 for wrong answers, d' = sqrt(2) * probit(AUC) for right ones and standard
        deviation 1 (Green and Swets 1966); it passes what is likelier right.

        Args:
            auc: Chance in [0.5, 1) that a right answer outscores a wrong one.

        Raises:
            DataError: It is no such number.
        """
        from scipy.special import ndtr, ndtri  # here: what only predicts need not load it

        if not is_number(auc) or not 0.5 <= auc < 1:
            raise DataError(f"auc is {show_value(auc)}; expected a number in [0.5, 1).")
        apart = math.sqrt(2) * float(ndtri(auc))
        hit = float(ndtr(apart / 2))
        return cls(hit, 1 - hit, apart, -(apart**2) / 2)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A judge in words: `exact`, `auc:0.8`, or `rates:0.9,0.2`, hit rate and false alarm rate.

        Raises:
            DataError: It is none of these.

        Example:
            >>> Judge.parse("rates:0.9,0.2")
            Judge(hit_rate=0.9, false_alarm_rate=0.2, slope=None, intercept=0.0)
        """
        kind, _, numbers = text.partition(":") if isinstance(text, str) else ("", "", "")
        try:
            values = [float(number) for number in numbers.split(",")] if numbers else []
        except ValueError:
            values = [math.nan]
        if (kind, len(values)) == ("exact", 0):
            return cls()
        if (kind, len(values)) == ("auc", 1):
            return cls() if values[0] == 1 else cls.of_auc(values[0])
        if (kind, len(values)) == ("rates", 2):
            return cls(*values)
        raise DataError(
            f"The judge is {show_value(text)}; expected exact, auc:0.8 (how often a right answer "
            "outscores a wrong one), or rates:0.9,0.2 (how often right and wrong answers pass)."
        )

    @classmethod
    def fit(cls, scores: Sequence[float], effects: Sequence[float]) -> Self:
        """What a judge is worth, by answers of which both its score and the effect are known.

        Scores that are all 0 or 1 give rates, drawn to one half by one answer each way (the rule of
        succession). Other scores, and a judge that passes wrong answers more often than right ones,
        give a logistic regression, its slope drawn to 0 (Gelman and others 2008); where right
        answers score lower, a low score is good.

        Args:
            scores: What the judge said of each answer, any finite numbers.
            effects: What each was worth, in [0, 1].

        Raises:
            DataError: There are no such pairs, or a number is out of range.
        """
        try:
            score, effect = (np.asarray(values, dtype=np.float64) for values in (scores, effects))
        except (TypeError, ValueError):
            raise DataError("Scores and effects must be numbers, one of each an answer.") from None
        if score.ndim != 1 or score.shape != effect.shape or not len(score):
            raise DataError(
                f"scores and effects have shapes {score.shape} and {effect.shape}; expected one of "
                "each for every answer, and at least one answer."
            )
        if not np.isfinite(score).all() or not ((effect >= 0) & (effect <= 1)).all():
            raise DataError("Scores must be finite numbers, and effects lie in [0, 1].")
        hit, false = _count_rates(score, effect)
        if np.isin(score, (0, 1)).all() and hit >= false:
            return cls(hit, false)
        slope, intercept = _fit_line(score, effect)
        passed = (slope * score + intercept > _LEAST_RATIO).astype(np.float64)
        hit, false = _count_rates(passed, effect)
        if hit < false:  # few answers, drawn to one half
            hit = false = (hit + false) / 2
        return cls(hit, false, slope, intercept)

    def expect_pass(self, chance: float) -> float:
        """Chance that it passes an answer of that expected effect, both in [0, 1].

        Example:
            >>> Judge(0.75, 0.25).expect_pass(0.5)
            0.5
        """
        return self.false_alarm_rate + (self.hit_rate - self.false_alarm_rate) * chance

    def grade(self, effect: float) -> Grade:
        """Its pass (1) or failure (0) of an answer."""
        return Grade(effect, self.hit_rate, self.false_alarm_rate)

    def read(self, score: float) -> Grade:
        """The grade that a score stands for.

        Args:
            score: In [0, 1] for a judge without a slope, any finite number for one with.

        Raises:
            DataError: It is no such number.
        """
        if self.slope is None:
            return Grade(_check_share("the score", score), self.hit_rate, self.false_alarm_rate)
        if not is_number(score) or not math.isfinite(score):
            raise DataError(f"The judge gave {score!r}; expected a finite number.")
        # As telling as a pass or a failure of a judge whose one rate is certain.
        ratio = math.exp(-abs(self.slope * score + self.intercept))
        if self.slope * score + self.intercept >= 0:
            return Grade(1.0, 1.0, ratio)
        return Grade(0.0, 1 - ratio, 0.0)


KnownOutcomes = Mapping[str, Grade]
"""Grades of answers to one query, by model."""


def read_known(known: object, where: str) -> KnownOutcomes:
    """Grades by model, checked; plain numbers are exact grades.

    Args:
        known: A mapping from models to grades, or None where nothing is known.
        where: What to call it in an error.

    Raises:
        DataError: It is something else.
    """
    if known is None:
        return {}
    if not isinstance(known, Mapping):
        raise DataError(
            f"{where} is a {type(known).__name__}; expected a mapping from models to grades in "
            "[0, 1], such as {'model-a': 1.0}, or None."
        )
    return {str(model): Grade.of(known[model], f"{where}[{model!r}]") for model in known}


def believe(
    chance: FloatArray, effect: FloatArray, hit_rate: FloatArray, false_alarm_rate: FloatArray
) -> FloatArray:
    """Expected effects of answers that were graded, by Bayes' rule, in [0, 1]; any shape.

    Args:
        chance: What was expected of each before, in [0, 1].
        effect: The grade, in [0, 1].
        hit_rate: Of its judge.
        false_alarm_rate: Of its judge.
    """
    passed, failed = (
        np.divide(
            chance * right,
            chance * right + (1 - chance) * wrong,
            out=np.array(chance, dtype=np.float64),
            where=chance * right + (1 - chance) * wrong > 0,
        )
        for right, wrong in ((hit_rate, false_alarm_rate), (1 - hit_rate, 1 - false_alarm_rate))
    )
    is_exact = (hit_rate == 1) & (false_alarm_rate == 0)
    return np.where(is_exact, effect, effect * passed + (1 - effect) * failed)


def _count_rates(passed: FloatArray, effect: FloatArray) -> tuple[float, float]:
    """Share of right and of wrong answers that passed, drawn to one half."""
    hit, false = (
        float((passed * weight).sum() + 1) / float(weight.sum() + 2)
        for weight in (effect, 1 - effect)
    )
    return hit, false


def _fit_line(score: FloatArray, effect: FloatArray) -> tuple[float, float]:
    """Slope and intercept of the log likelihood ratio along the score."""
    scale, middle = float(score.std()) or 1.0, float(score.mean())
    # One more answer each way at the mean score: all right or all wrong is never certain.
    score, effect = np.append(score, [middle, middle]), np.append(effect, [1.0, 0.0])
    rows = np.column_stack([(score - middle) / scale, np.ones_like(score)])
    penalty, weight = np.diag([_SLOPE_SCALE**-2, 0.0]), np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weight, -30, 30)))
        gradient = rows.T @ (chance - effect) + penalty @ weight
        step = np.linalg.solve(rows.T * (chance * (1 - chance)) @ rows + penalty, gradient)
        weight = weight - step * min(1.0, 2 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    slope, base = float(weight[0]) / scale, float(effect.mean())
    return slope, float(weight[1]) - slope * middle - math.log(base / (1 - base))


def _check_share(name: str, value: object) -> float:
    if isinstance(value, bool | np.bool_):
        return float(value)
    if not is_number(value) or not 0 <= value <= 1:
        raise DataError(f"{name} is {value!r}; expected a number in [0, 1].")
    return float(value)


def _check_rates(hit_rate: float, false_alarm_rate: float) -> None:
    _check_share("hit_rate", hit_rate)
    _check_share("false_alarm_rate", false_alarm_rate)
    if false_alarm_rate > hit_rate:
        raise DataError(
            f"false_alarm_rate is {false_alarm_rate}, above hit_rate, {hit_rate}: such a judge "
            "passes wrong answers more often than right ones. Turn its grades round."
        )
