"""Who looks at answers when plans and cascades are replayed: a simulated judge, or a recorded one.

Either gives every answer a score on one scale: 0.5 tells nothing, and right answers lie 1 above
wrong ones on average.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import expit, logit, ndtr

from graphrouter.bench.baselines.methods.judges import EXACT, find_noise, simulate_score
from graphrouter.bench.baselines.methods.replays import Recorded
from graphrouter.bench.baselines.tools.draws import find_words
from graphrouter.bench.observations import Observations
from graphrouter.exceptions import DataError
from graphrouter.grades import Judge
from graphrouter.router.known_outcomes import spread
from graphrouter.types import FloatArray, IntArray
from graphrouter.wording import count_of

NEUTRAL = 0.5
"""A score that tells nothing."""
FEWEST_ANSWERS = 20
"""Training answers with a score and an effect, without which nothing is known of a judge."""
_LEAST_EVIDENCE = 1e-9
"""Between right and wrong answers, on average; less is rounding."""
Grades = tuple[FloatArray, FloatArray, FloatArray]
"""Effects, hit rates and false alarm rates, (num_answers,) each; see `graphrouter.grades.Grade`."""


Look = Callable[[IntArray, IntArray], Grades]
"""From rows of queries and columns of models, (num_answers,) each, to what is thought of each."""


class AnswerJudge(ABC):
    """Scores answers, and says how far a score is to be believed."""

    @property
    @abstractmethod
    def reliability(self) -> Judge:
        """What is believed of the judge before it has said anything."""

    @abstractmethod
    def score(self, recorded: Recorded, models: tuple[str, ...], columns: IntArray) -> FloatArray:
        """Score of each answer, (num_queries, num_models).

        NaN where nothing was recorded, and in all but the given columns.

        Args:
            recorded: The answers.
            models: Names of its columns.
            columns: Which of them are looked at.
        """

    @abstractmethod
    def weigh(self, expected: FloatArray, score: FloatArray, effect: FloatArray) -> FloatArray:
        """Chance that each answer is right, by what was expected and by its score; any shape.

        NaN where nothing was recorded.

        Args:
            expected: Chance before the answer was looked at, in [0, 1].
            score: From `score`.
            effect: Recorded effects, in [0, 1], NaN = not recorded; looked at by an exact judge.
        """

    @abstractmethod
    def grade(self, score: FloatArray) -> Grades:
        """What scores, (num_answers,), are taken for."""

    def start(self, recorded: Recorded, models: tuple[str, ...]) -> Look:
        """Who looks at answers as they come in, round after round of one replay.

        Args:
            recorded: The answers.
            models: Names of its columns.
        """
        score = self.score(recorded, models, np.arange(len(models)))
        return lambda rows, columns: self.grade(score[rows, columns])


@dataclass(frozen=True)
class SimulatedJudge(AnswerJudge):
    """Sees the recorded effect through Gaussian noise, drawn from seed, prompt and model.

    Its score is normal around 1 for a right answer and around 0 for a wrong one.
    """

    seed: int
    auc: float | None
    """How often it puts a right answer above a wrong one, in [0.5, 1]; None = of the judge that
    FrugalGPT was published with."""

    @cached_property
    def reliability(self) -> Judge:
        """The judge of its AUC."""
        noise = find_noise(self.auc)
        auc = float(ndtr(1 / (math.sqrt(2) * noise))) if self.auc is None else self.auc
        return Judge() if auc == EXACT else Judge.of_auc(auc)

    def score(self, recorded: Recorded, models: tuple[str, ...], columns: IntArray) -> FloatArray:
        """As in `AnswerJudge`."""
        return simulate_score(recorded, models, columns, seed=self.seed, auc=self.auc)

    def weigh(self, expected: FloatArray, score: FloatArray, effect: FloatArray) -> FloatArray:
        """As in `AnswerJudge`."""
        noise = find_noise(self.auc)
        if noise == 0:
            return effect.copy()
        evidence = np.zeros_like(score) if math.isinf(noise) else (score - NEUTRAL) / noise**2
        return np.where(np.isfinite(effect), expit(logit(expected) + evidence), np.nan)

    def grade(self, score: FloatArray) -> Grades:
        """As in `AnswerJudge`."""
        noise = find_noise(self.auc)
        if 0 < noise < math.inf:  # a judge of that AUC gives scores of standard deviation 1
            score = score / noise
        grades = spread([[self.reliability.read(float(value)) for value in score]])
        effect, hit_rate, false_alarm_rate = (column[0] for column in grades)
        return effect, hit_rate, false_alarm_rate


@dataclass(frozen=True, eq=False)
class PairTable:
    """A number for every pair of prompt and model; prompts are known by their words alone."""

    words: IntArray
    """(num_prompts,) what stands for each prompt, ascending; see `find_words`."""
    models: tuple[str, ...]
    value: FloatArray
    """(num_prompts, num_models), NaN = none."""

    @classmethod
    def of(cls, prompts: Sequence[str], models: tuple[str, ...], value: FloatArray) -> Self:
        """The table; of a prompt that stands there several times the mean counts.

        Args:
            prompts: One a row.
            models: One a column.
            value: (num_prompts, num_models), NaN = none.

        Example:
            >>> table = PairTable.of(["a", "b", "a"], ("m",), np.array([[0.2], [np.nan], [0.4]]))
            >>> table.look_up(["b", "a", "c"], ["m", "n"]).round(3).tolist()
            [[nan, nan], [0.3, nan], [nan, nan]]
        """
        words, row = np.unique(_number_texts(prompts), return_inverse=True)
        total, count = np.zeros((2, len(words), len(models)))
        np.add.at(total, row, np.nan_to_num(value))
        np.add.at(count, row, np.isfinite(value))
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return cls(words, models, mean)

    def look_up(self, prompts: Sequence[str], models: Sequence[str]) -> FloatArray:
        """(num_prompts, num_models), NaN where the table has none."""
        words, place = _number_texts(prompts), {name: i for i, name in enumerate(self.models)}
        row = np.minimum(np.searchsorted(self.words, words), len(self.words) - 1)
        found = np.full((len(words), len(models)), np.nan)
        for column, name in enumerate(models):
            if name in place:
                found[:, column] = self.value[row, place[name]]
        found[self.words[row] != words] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class RecordedJudge(AnswerJudge):
    """What a real judge said of recorded answers, by prompt and model.

    An answer that it did not grade has the score that tells nothing: who called the model has paid
    for it, and knows no more than before.
    """

    fitted: Judge
    """What is believed of it, by training answers."""
    evidence: PairTable
    """Logarithm of how much likelier what it said is of a right answer than of a wrong one."""
    unit: float
    """Score that one unit of evidence is worth, >= 0; 0 = right and wrong answers have the same."""

    @classmethod
    def fit(cls, said: PairTable, seen: Observations, *, name: str = "The judge") -> Self:
        """The judge, believed as far as training answers show it to be right.

        Args:
            said: Its scores, finite numbers.
            seen: The training queries with their outcomes.
            name: What to call it in messages.

        Raises:
            DataError: Fewer than `FEWEST_ANSWERS` have a score and an effect, all are right or all
                are wrong, or all have the same score.
        """
        score, effect = said.look_up(seen.prompts, seen.pool.names), seen.outcomes.effect
        known = np.isfinite(score) & np.isfinite(effect)
        score, effect = score[known], effect[known]
        check_answers(score, effect, name)
        fitted = Judge.fit(score.tolist(), effect.tolist())
        told = find_evidence(fitted, score)
        apart = np.average(told, weights=effect) - np.average(told, weights=1 - effect)
        evidence = replace(said, value=find_evidence(fitted, said.value))
        return cls(fitted, evidence, float(1 / apart) if apart > _LEAST_EVIDENCE else 0.0)

    @property
    def reliability(self) -> Judge:
        """The judge as training answers show it."""
        return self.fitted

    def score(self, recorded: Recorded, models: tuple[str, ...], columns: IntArray) -> FloatArray:
        """As in `AnswerJudge`."""
        told = self.evidence.look_up(recorded.prompts, [models[i] for i in columns])
        there = np.isfinite(recorded.effect[:, columns])
        score = np.full(recorded.effect.shape, np.nan)
        score[:, columns] = np.where(there, NEUTRAL + self.unit * np.nan_to_num(told), np.nan)
        return score

    def weigh(self, expected: FloatArray, score: FloatArray, effect: FloatArray) -> FloatArray:
        """As in `AnswerJudge`; the effect itself is not looked at."""
        chance = expit(logit(expected) + self._take_evidence(score))
        return np.where(np.isfinite(effect), chance, np.nan)

    def grade(self, score: FloatArray) -> Grades:
        """As in `AnswerJudge`."""
        return grade_evidence(self._take_evidence(score))

    def _take_evidence(self, score: FloatArray) -> FloatArray:
        return (score - NEUTRAL) / self.unit if self.unit else np.zeros_like(score)


def grade_evidence(evidence: FloatArray) -> Grades:
    """Grades that say as much as evidence does, (num_answers,); 0 tells nothing.

    As `Judge.read` has it: as telling as what a judge says whose one rate is certain.
    """
    ratio, passed = np.exp(-np.abs(evidence)), evidence >= 0
    hit_rate, false_alarm_rate = np.where(passed, 1.0, 1 - ratio), np.where(passed, ratio, 0.0)
    return passed.astype(np.float64), hit_rate, false_alarm_rate


def _number_texts(texts: Sequence[str]) -> IntArray:
    """(num_texts,) a whole number for each text; equal texts get the same."""
    return find_words(texts).view(np.int64)


def find_evidence(judge: Judge, score: FloatArray) -> FloatArray:
    """Logarithm of how much likelier a score is of a right answer than of a wrong one; any shape.

    A score between a pass and a failure counts in proportion.
    """
    if judge.slope is not None:
        return judge.slope * score + judge.intercept
    passed = math.log(judge.hit_rate / judge.false_alarm_rate)
    failed = math.log((1 - judge.hit_rate) / (1 - judge.false_alarm_rate))
    return score * passed + (1 - score) * failed


def check_answers(score: FloatArray, effect: FloatArray, name: str) -> None:
    """Refuse training answers that do not tell what a judge is worth.

    Raises:
        DataError: They are fewer than `FEWEST_ANSWERS`, all right or all wrong, or of one score.
    """
    if len(score) < FEWEST_ANSWERS:
        raise DataError(
            f"{name} has graded {count_of(len(score), 'training answer')} of known effect; "
            f"expected at least {FEWEST_ANSWERS}, since nothing else tells how far it can be "
            "believed. Give it the answers to queries that the router was trained on, in data that "
            "have these queries."
        )
    if not 0 < effect.sum() < len(effect):
        word = "right" if effect.sum() else "wrong"
        raise DataError(
            f"All {len(effect):,} training answers that {name} has graded are {word}; expected "
            "right and wrong ones, since the scores of both tell how far it can be believed."
        )
    if score.min() == score.max():
        raise DataError(
            f"{name} says {score[0]:g} of all {len(score):,} training answers, which tells "
            "nothing; expected scores that differ. Name another column."
        )
