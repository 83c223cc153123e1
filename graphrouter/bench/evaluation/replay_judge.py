"""Who looks at answers in a replay of sequential routing, by the words that name it."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from graphrouter.bench.baselines.learning import read_answer_texts
from graphrouter.bench.baselines.methods.agreement_judge import AgreementJudge, number_answers
from graphrouter.bench.baselines.methods.answer_judges import (
    AnswerJudge,
    PairTable,
    RecordedJudge,
    SimulatedJudge,
)
from graphrouter.data.columns import list_columns
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.judging import read_choice, read_number
from graphrouter.judging.agreement import Reader, read_text
from graphrouter.types import FloatArray
from graphrouter.wording import count_of, show_value, suggest

if TYPE_CHECKING:
    from graphrouter.bench.observations import Observations
    from graphrouter.data import RoutingDataset

_logger = logging.getLogger(__name__)


class JudgeWords(NamedTuple):
    """What names a judge; one of them is given."""

    auc: float | None = None
    """Of a simulated judge, in [0.5, 1]."""
    column: str | None = None
    """Of outcomes, which holds what a real judge said."""
    agreement: str | None = None
    """How answers are read that are compared with one another: a key of `READERS`."""


READERS: dict[str, Reader] = {"text": read_text, "number": read_number, "choice": read_choice}
"""What an answer says, by the word for it."""


def read_judge(text: str) -> JudgeWords:
    """The judge in words: `exact` has an AUC of 1, `auc:0.8` of 0.8, `column:NAME` was recorded.

    `agreement` compares the answers that were called, as texts; `agreement:number` and
    `agreement:choice` what they say as a number or as one of several options.

    Raises:
        ConfigError: It is none of these.

    Example:
        >>> read_judge("exact").auc, read_judge("auc:0.8").auc, read_judge("column:score").column
        (1.0, 0.8, 'score')
    """
    kind, _, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    if text == "exact":
        return JudgeWords(auc=1.0)
    if kind == "agreement" and (rest or "text") in READERS:
        return JudgeWords(agreement=rest or "text")
    if kind == "column" and rest.strip():
        return JudgeWords(column=rest.strip())
    try:
        auc = float(rest)
    except ValueError:
        auc = math.nan
    if kind != "auc" or not 0.5 <= auc <= 1:
        raise ConfigError(
            f"The judge is {show_value(text)}; expected exact, auc:X with X from 0.5 (a coin) to "
            "1, agreement (agreement:number, agreement:choice) where the outcomes have answers, or "
            "column:NAME, a column of the outcomes with what a judge said of each answer."
        )
    return JudgeWords(auc=auc)


def choose_judge(
    text: str, data: RoutingDataset, seen: Observations, *, seed: int = 0
) -> AnswerJudge:
    """The judge that the words name; of a recorded one training answers tell what it is worth.

    Args:
        text: As `read_judge` takes it.
        data: Where a column of scores is.
        seen: The training queries with their outcomes; nothing is learned from others.
        seed: Of a simulated judge.

    Raises:
        ConfigError: The words name no judge.
        DataError: There is no such column, a score is no number in [0, 1], or training answers do
            not tell what the judge is worth; see `RecordedJudge.fit`.
    """
    auc, column, agreement = read_judge(text)
    if agreement is not None:
        return _fit_agreement(agreement, data, seen)
    if column is None:
        return SimulatedJudge(seed, auc)
    score = _read_scores(data, column)
    matrix = np.full((len(data.queries), len(data.pool)), np.nan)
    matrix[data.pair_positions] = score
    prompts = data.queries["prompt"].tolist()
    said = PairTable.of(prompts, data.pool.names, matrix)
    _warn_of_copies(said, prompts, matrix, column)
    return RecordedJudge.fit(said, seen, name=f"The judge of the column {column!r}")


def _fit_agreement(reader: str, data: RoutingDataset, seen: Observations) -> AgreementJudge:
    """The judge who compares the answers of the outcomes."""
    texts = read_answer_texts(data, data.queries["query_id"].tolist(), ())
    if texts is None or not any(text for row in texts for text in row):
        raise DataError(
            f"The judge is agreement, and the outcomes of {data.name!r} have no answers; expected "
            "what models said, in the column answer. graphrouter data convert --answers keeps them."
        )
    said = number_answers(texts, READERS[reader])
    prompts = data.queries["prompt"].tolist()
    if len(set(prompts)) < len(prompts):  # numbers of one prompt are no numbers of another
        first = {prompt: row for row, prompt in reversed(list(enumerate(prompts)))}
        rows = sorted(first.values())
        said, prompts = said[rows], [prompts[row] for row in rows]
    return AgreementJudge.fit(PairTable.of(prompts, data.pool.names, said), seen)


def _read_scores(data: RoutingDataset, column: str) -> FloatArray:
    """The scores of the outcomes, (num_outcomes,), in [0, 1], NaN = not graded."""
    own = [name for name in data.outcomes.columns if name not in list_columns("outcomes")]
    if column not in own:
        which = (
            "which is no judge" if column in data.outcomes.columns else "which is not among them"
        )
        raise DataError(
            f"The judge is the column {show_value(column)} of the outcomes of {data.name!r}, "
            f"{which}; expected a column of numbers in [0, 1] beyond those of the data contract. "
            f"{suggest(column, own, 'There is ')}"
        )
    score = data.outcomes[column].to_numpy(dtype=np.float64)
    wrong = np.flatnonzero((score < 0) | (score > 1))
    if len(wrong):
        first = data.outcomes.iloc[wrong[0]]
        raise DataError(
            f"The column {column!r} of the outcomes of {data.name!r} is {score[wrong[0]]:g} for "
            f"{first['model']!r} on query {first['query_id']!r}, and out of range in "
            f"{count_of(len(wrong), 'outcome')}; expected what a judge said, from 0 (wrong) to 1 "
            "(right). Divide all by the highest score, or leave those empty that are none."
        )
    num_missing = int(np.isnan(score).sum())
    if num_missing:
        _logger.warning(
            "Without %s: %d of %s. Such an answer counts as one whose score tells nothing.",
            *(column, num_missing, count_of(len(score), "outcome")),
        )
    return score


def _warn_of_copies(said: PairTable, prompts: list[str], score: FloatArray, column: str) -> None:
    """Say where one prompt under several ids was graded in several ways."""
    mean = said.look_up(prompts, said.models)
    differs = (np.isfinite(score) & ~np.isclose(score, mean)).any(axis=1)
    if differs.any():
        copies = pd.Series(prompts)[differs].nunique()
        _logger.warning(
            "%s in several queries, with different values of %s for one model: their mean counts.",
            count_of(copies, "prompt", "stands", "stand"),
            column,
        )
