"""One flat table of answers, the shortest form of a dataset: who answered what, and how well."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.data.columns import NUM_RUNS, OUTCOME_NUMBERS
from graphrouter.data.schema import RoutingDataset, build_dataset
from graphrouter.data.values import make_row_error, parse_optional_ids, parse_prompts, tidy_columns
from graphrouter.exceptions import DataError

logger = logging.getLogger(__name__)

SHORT_NAMES = {"cost": "cost_usd", "tokens": "output_tokens", "latency": "latency_s"}
"""What columns may be called for short, and what they are in the tables of a dataset."""
_SOURCE = "answers"
_REQUIRED = ("prompt", "model", "effect")


def read_answers(
    answers: pd.DataFrame | Mapping[str, Any], *, name: str = "answers"
) -> RoutingDataset:
    """A dataset of one flat table, a row an answer.

    Args:
        answers: Columns `prompt`, `model` and `effect` (from 0 to 1), perhaps `task`, `cost`
            (US dollars), `tokens` (of the answer), `latency` (seconds), and any other number of an
            outcome by its own name. A data frame, or a mapping of columns.
        name: Of the dataset.

    Raises:
        DataError: It is no table, a column is missing, a prompt has two tasks, or a value breaks
            the contract.

    Example:
        >>> answers = {"prompt": ["1 + 1?", "1 + 1?", "Hi."], "model": ["a", "b", "a"]}
        >>> read_answers({**answers, "effect": [0, 1, 1], "cost": [0.1, 0.2, 0.1]})
        RoutingDataset('answers': 2 queries, 2 models, 3 outcomes, 0 tasks)
    """
    frame = tidy_columns(_make_frame(answers), _SOURCE, required=_REQUIRED)
    frame = _name_in_full(frame)
    unused = [each for each in frame.columns if each not in _known_columns()]
    if unused:
        logger.warning("%s: not used: column %s.", _SOURCE, ", ".join(map(repr, unused)))
    if frame.empty:
        raise DataError(f"{_SOURCE}: there are no rows; expected one an answer.")
    prompt = parse_prompts(frame["prompt"], _SOURCE)
    number, prompts = pd.factorize(prompt)
    task = pd.Series([None] * len(frame), dtype="str")
    if "task" in frame:
        task = parse_optional_ids(frame["task"], _SOURCE, "task")
    ids = np.array([f"q{i}" for i in range(len(prompts))], dtype=object)
    outcomes = frame.drop(columns=["prompt", "task"], errors="ignore").assign(query_id=ids[number])
    queries = pd.DataFrame(
        {"query_id": ids, "task": _one_task_each(task, number), "prompt": prompts}
    )
    models = pd.DataFrame({"model": frame["model"].drop_duplicates()})
    return build_dataset(
        {"queries": queries, "models": models, "outcomes": outcomes, "tasks": None},
        name=name,
        sources=dict.fromkeys(("queries", "models", "outcomes", "tasks"), _SOURCE),
    )


def _make_frame(answers: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    if isinstance(answers, pd.DataFrame):
        return answers.reset_index(drop=True)
    try:
        return pd.DataFrame(dict(answers))
    except ValueError as error:
        raise DataError(
            f"{_SOURCE}: {error}. Expected columns of one length: {', '.join(_REQUIRED)}."
        ) from error


def _known_columns() -> tuple[str, ...]:
    return (*_REQUIRED, "task", *OUTCOME_NUMBERS, NUM_RUNS.name)


def _name_in_full(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns by the names of the contract.

    Raises:
        DataError: One is there under both of its names.
    """
    twice = [short for short, full in SHORT_NAMES.items() if {short, full} <= {*frame.columns}]
    if twice:
        raise DataError(
            f"{_SOURCE}: columns {twice[0]!r} and {SHORT_NAMES[twice[0]]!r} are the same quantity; "
            "expected one of them. Drop the other."
        )
    return frame.rename(columns=SHORT_NAMES)


def _one_task_each(task: pd.Series, number: np.ndarray) -> pd.Series:
    """The task of each prompt, NaN = unknown.

    Raises:
        DataError: A prompt has two.
    """
    named = pd.DataFrame({"task": task, "number": number}).dropna()
    first = named.groupby("number")["task"].transform("first")
    wrong = named.index[(named["task"] != first).to_numpy(dtype=bool)]
    if len(wrong):
        row = wrong[0]
        raise make_row_error(
            _SOURCE,
            wrong.tolist(),
            f"task is {task[row]!r}, and {first[row]!r} in a row before with the same prompt",
            "Give a prompt one task.",
        )
    of_prompt = named.drop_duplicates("number").set_index("number")["task"]
    return of_prompt.reindex(range(int(number.max()) + 1))
