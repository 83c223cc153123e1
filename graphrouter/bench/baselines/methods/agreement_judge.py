"""A judge in a replay who sees answers alone: how far each agrees with those called before it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Self

import numpy as np

from graphrouter.bench.baselines.methods.answer_judges import (
    AnswerJudge,
    Grades,
    Look,
    PairTable,
    check_answers,
    find_evidence,
    grade_evidence,
)
from graphrouter.bench.baselines.methods.replays import Recorded
from graphrouter.bench.observations import Observations
from graphrouter.exceptions import DataError, NotApplicableError
from graphrouter.grades import Judge
from graphrouter.judging.agreement import Reader
from graphrouter.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class AgreementJudge(AnswerJudge):
    """Scores an answer by the share of the answers called before it that say the same.

    The first answer to a query has nothing to agree with and is told nothing of, nor is one that
    was not recorded. Each agreement counts once, for the answer that came later; it is believed as
    far as training answers show, called from the cheapest model to the dearest. A judge who scores
    one answer by itself it is not, so cascades cannot be fitted with it.
    """

    fitted: Judge
    """What is believed of it, by training answers."""
    said: PairTable
    """A number for what each answer says, the same for answers to a prompt that agree."""

    @classmethod
    def fit(cls, said: PairTable, seen: Observations) -> Self:
        """The judge, believed as far as training answers show it to be right.

        Args:
            said: What each answer says.
            seen: The training queries with their outcomes.

        Raises:
            DataError: Training answers do not tell what agreement is worth; see `RecordedJudge`.
        """
        codes = said.look_up(seen.prompts, seen.pool.names)
        effect = seen.outcomes.effect
        order = np.argsort(_mean_cost(seen), kind="stable")
        score = agree_with_earlier(codes[:, order])
        known = np.isfinite(score) & np.isfinite(effect[:, order])
        scores, effects = score[known], effect[:, order][known]
        check_answers(scores, effects, "The judge by agreement")
        return cls(Judge.fit(scores.tolist(), effects.tolist()), said)

    @property
    def reliability(self) -> Judge:
        """The judge as training answers show it."""
        return self.fitted

    def start(self, recorded: Recorded, models: tuple[str, ...]) -> Look:
        """As in `AnswerJudge`; it remembers what was called."""
        codes = self.said.look_up(recorded.prompts, models)
        heard = np.full(codes.shape, np.nan)

        def look(rows: IntArray, columns: IntArray) -> Grades:
            own = codes[rows, columns]
            before = np.isfinite(heard[rows])
            same = (heard[rows] == own[:, None]).sum(axis=1)
            tells = np.isfinite(own) & before.any(axis=1)
            share = same / np.maximum(before.sum(axis=1), 1)
            heard[rows, columns] = own
            return grade_evidence(np.where(tells, find_evidence(self.fitted, share), 0.0))

        return look

    def score(self, recorded: Recorded, models: tuple[str, ...], columns: IntArray) -> NoReturn:
        """An error: no answer has a score of its own.

        Raises:
            NotApplicableError: Always.
        """
        raise NotApplicableError(
            "agreement is between answers that were called, and cascades score each by itself; "
            "expected another judge, such as column:NAME. Plans use it: graphrouter_sequential."
        )

    def weigh(self, expected: FloatArray, score: FloatArray, effect: FloatArray) -> NoReturn:
        """As `score`."""
        self.score(Recorded((), effect, effect), (), np.empty(0, dtype=np.int64))

    def grade(self, score: FloatArray) -> Grades:
        """What shares, (num_answers,), are taken for."""
        return grade_evidence(find_evidence(self.fitted, score))


def number_answers(texts: Sequence[Sequence[str | None]], read: Reader) -> FloatArray:
    """A number for what each answer says, (num_queries, num_models); NaN where it says nothing.

    Args:
        texts: A row a query, an answer a model, None = not recorded.
        read: What an answer says.

    Raises:
        DataError: `read` makes something of an answer that cannot be hashed.

    Example:
        >>> number_answers([["4", "It is 4", None], ["5", "", "6"]], lambda text: text[-1:] or None)
        array([[ 0.,  0., nan],
               [ 0., nan,  1.]])
    """
    found = np.full((len(texts), len(texts[0]) if texts else 0), np.nan)
    for row, answers in enumerate(texts):
        known: dict[Hashable, int] = {}
        for column, answer in enumerate(answers):
            says = None if answer is None else read(answer)
            try:
                if says is not None:
                    found[row, column] = known.setdefault(says, len(known))
            except TypeError:
                raise DataError(
                    f"read made a {type(says).__name__} of an answer; expected something that can "
                    "be hashed, such as a string, a number, or None."
                ) from None
    return found


def agree_with_earlier(codes: FloatArray) -> FloatArray:
    """Share of the answers to the left that say the same, same shape; NaN without any.

    Args:
        codes: (num_queries, num_models) what each answer says, NaN = nothing.

    Example:
        >>> agree_with_earlier(np.array([[0.0, 1.0, 0.0, np.nan]])).tolist()
        [[nan, 0.0, 0.5, nan]]
    """
    share = np.full(codes.shape, np.nan)
    for column in range(1, codes.shape[1]):
        before = codes[:, :column]
        count = np.isfinite(before).sum(axis=1)
        same = (before == codes[:, [column]]).sum(axis=1)
        tells = np.isfinite(codes[:, column]) & (count > 0)
        share[:, column] = np.where(tells, same / np.maximum(count, 1), np.nan)
    return share


def _mean_cost(seen: Observations) -> FloatArray:
    """(num_models,) mean recorded cost; infinity where none was recorded."""
    cost = seen.outcomes.cost_usd
    count = np.isfinite(cost).sum(axis=0)
    return np.where(count > 0, np.nansum(cost, axis=0) / np.maximum(count, 1), np.inf)
