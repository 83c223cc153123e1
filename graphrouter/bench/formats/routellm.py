"""RouteLLM (Ong et al. 2024, arXiv 2406.18665): battles of two models, and who won."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from graphrouter.bench.formats.assemble import assemble, parse_outcome_numbers, parse_prompts
from graphrouter.bench.formats.left_out import tell_unread
from graphrouter.bench.formats.source_files import (
    find_files,
    read_column_names,
    read_rows,
    require_columns,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError
from graphrouter.types import FloatArray

_FORM = "RouteLLM's battles as .parquet, .csv, .jsonl or .json"
_SHARE_OF_A = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5}
_MARKS = ("winner_model_a", "winner_model_b", "winner_tie")


def read_routellm(source: Path) -> RoutingDataset:
    """The dataset in RouteLLM's battles.

    The winner of a battle gets effect 1 and the loser 0; a tie gives 0.5 to both. A model that
    fought several battles over one prompt gets the mean. This effect is relative: it says how a
    model did against whom it met, not whether its answer was right, and 0.5 against a weak model is
    not 0.5 against a strong one. There is no task, cost or token count. Answers are left out.

    Args:
        source: A file with prompt, model_a, model_b and either `winner` (model_a, model_b, tie, tie
            (bothbad)) or the marks winner_model_a, winner_model_b and winner_tie; or a folder of
            such files, which are read as one.

    Raises:
        DataError: A column is missing, or a row does not say who won.
    """
    files = find_files(source, (".parquet", ".csv", ".jsonl", ".json"), wanted=_FORM)
    battles = pd.concat([_read_battles(file) for file in files], ignore_index=True)
    asked = battles["prompt"].notna().to_numpy()
    battles = battles[asked].reset_index(drop=True)
    prompts = battles["prompt"].drop_duplicates()
    queries = pd.DataFrame(
        {
            "query_id": [str(row + 1) for row in range(len(prompts))],
            "task": None,
            "prompt": prompts.tolist(),
        }
    )
    places = pd.Index(prompts).get_indexer(pd.Index(battles["prompt"]))
    sides = [
        pd.DataFrame(
            {"query": places, "model": battles["model_a"], "effect": battles["share_of_a"]}
        ),
        pd.DataFrame(
            {"query": places, "model": battles["model_b"], "effect": 1 - battles["share_of_a"]}
        ),
    ]
    return assemble(queries, pd.concat(sides, ignore_index=True), name="routellm")


def _read_battles(file: Path) -> pd.DataFrame:
    """Rows of one file: prompt (None = no text), model_a, model_b, share_of_a.

    The share is 1 where a won, 0.5 for a tie and 0 where it lost.
    """
    if file.suffix in (".parquet", ".csv"):
        tell_unread(read_column_names(file), (), file)
    rows = read_rows(file, ("prompt", "model_a", "model_b", "winner", *_MARKS))
    require_columns(rows.columns, ("prompt", "model_a", "model_b"), file, form=_FORM)
    for row, (a, b) in enumerate(zip(rows["model_a"], rows["model_b"], strict=True), start=1):
        if a == b:
            raise DataError(f"{file}, row {row}: {a!r} fights itself. Delete the row.")
    share = _score_words(rows, file) if "winner" in rows.columns else _score_marks(rows, file)
    prompts = pd.Series(parse_prompts(rows["prompt"], turns=True), dtype=object)
    return pd.DataFrame(
        {
            "prompt": prompts,
            "model_a": rows["model_a"],
            "model_b": rows["model_b"],
            "share_of_a": share,
        }
    )


def _score_words(rows: pd.DataFrame, file: Path) -> FloatArray:
    """What model_a gets of each battle, (num_battles,), from the word in `winner`."""
    shares = []
    for row, word in enumerate(rows["winner"], start=1):
        if not isinstance(word, str) or word not in _SHARE_OF_A:
            raise DataError(
                f"{file}, row {row}: winner is {word!r}; expected one of "
                f"{', '.join(_SHARE_OF_A)}. Correct it."
            )
        shares.append(_SHARE_OF_A[word])
    return np.array(shares, dtype=np.float64)


def _score_marks(rows: pd.DataFrame, file: Path) -> FloatArray:
    """What model_a gets of each battle, (num_battles,), from three columns of which one is 1."""
    require_columns(rows.columns, _MARKS, file, form=_FORM)
    marks = np.column_stack(
        [parse_outcome_numbers(rows[mark], file, "effect", called=mark) for mark in _MARKS]
    )
    wrong = ~((marks == 0) | (marks == 1)).all(axis=1) | (marks.sum(axis=1) != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{file}, row {row + 1}: {', '.join(_MARKS)} are {marks[row].tolist()}; expected one "
            "1 and two 0."
        )
    share: FloatArray = marks[:, 0] + 0.5 * marks[:, 2]
    return share
