"""One flat table of answers, the shortest form of a dataset: who answered what, and how well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphrouter.data.columns import PEOPLE, VIEWS, TableName, list_columns
from graphrouter.data.people_columns import clean_people
from graphrouter.data.prompt_columns import parse_prompts
from graphrouter.data.schema import RoutingDataset, build_dataset
from graphrouter.data.values import (
    make_row_error,
    name_in_full,
    parse_ids,
    parse_optional_ids,
    refuse_alike,
    tidy_columns,
)
from graphrouter.data.view_columns import find_viewed, list_view_keys, parse_views
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.types import IntArray

_REQUIRED = ("prompt", "model", "effect")


def read_answers(
    answers: pd.DataFrame | Mapping[str, Any], *, name: str = "answers", source: str = "answers"
) -> RoutingDataset:
    """A dataset of one flat table, a row an answer.

    Args:
        answers: Columns `prompt`, `model` and `effect` (from 0 to 1), perhaps `task`, `cost`
            (US dollars), `tokens` (of the answer), `latency` (seconds), what goes with the query
            (`context`, `embedding`, `embedding_encoder`), and any other number of an outcome by its
            own name; `user` and `team` of who asked. A data frame, or a mapping of columns.
        name: Of the dataset.
        source: What to call the table in messages.

    Raises:
        DataError: It is no table, a column is missing, a prompt has two tasks, or a value breaks
            the contract.

    Example:
        >>> answers = {"prompt": ["1 + 1?", "1 + 1?", "Hi."], "model": ["a", "b", "a"]}
        >>> read_answers({**answers, "effect": [0, 1, 1], "cost": [0.1, 0.2, 0.1]})
        RoutingDataset('answers': 2 queries, 2 models, 3 outcomes, 0 tasks)
    """
    tidy = tidy_columns(_make_frame(answers, source), source, required=_REQUIRED)
    known = (*list_columns("outcomes"), *_REQUIRED, "task", *PEOPLE, *VIEWS)
    frame = name_in_full(tidy, source, known=known)
    if frame.empty:
        raise DataError(f"{source}: there are no rows; expected one an answer.")
    frame["model"] = parse_ids(frame["model"], source, "model")
    refuse_alike(frame["model"], source)
    frame = clean_people(frame, source)
    people = [name for name in PEOPLE if name in frame.columns]
    views = parse_views(frame, source)
    prompt = parse_prompts(frame["prompt"], source, may_be_empty=find_viewed(views))
    # What two users ask is of each of them, and a prompt with other documents is another query.
    asked = prompt.to_frame("prompt").join(frame[people])
    keys = asked.assign(view=list_view_keys(views))
    number = keys.groupby([*keys], sort=False, dropna=False).ngroup().to_numpy()
    queries = asked.join(views)[~pd.Series(number).duplicated()].reset_index(drop=True)
    task = pd.Series([None] * len(frame), dtype="str")
    if "task" in frame:
        task = parse_optional_ids(frame["task"], source, "task")
    ids = np.array([f"q{i}" for i in range(len(queries))], dtype=object)
    of_prompt = _one_task_each(task, np.asarray(number), source)
    frames: dict[TableName, pd.DataFrame | None] = {
        "queries": pd.DataFrame({"query_id": ids, "task": of_prompt}).join(queries),
        "models": pd.DataFrame({"model": frame["model"].drop_duplicates()}),
        "outcomes": frame.drop(columns=["prompt", "task", *PEOPLE, *VIEWS], errors="ignore").assign(
            query_id=ids[number]
        ),
        "tasks": None,
    }
    return build_dataset(frames, name=name, sources=dict.fromkeys(frames, source))


def find_absent(frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns that a table of answers must have and this one has not."""
    there = {str(column).strip() for column in frame.columns}
    return tuple(column for column in _REQUIRED if column not in there)


def _make_frame(answers: pd.DataFrame | Mapping[str, Any], source: str) -> pd.DataFrame:
    if isinstance(answers, pd.DataFrame):
        return answers.reset_index(drop=True)
    words = [name for name, column in answers.items() if isinstance(column, str | float | int)]
    if words:
        raise DataError(
            f"{source}: column {words[0]!r} is {answers[words[0]]!r}; expected a list, an entry an "
            "answer."
        )
    try:
        return pd.DataFrame(dict(answers))
    except ValueError as error:
        raise DataError(
            f"{source}: {error}. Expected columns of one length: {', '.join(_REQUIRED)}."
        ) from error


def _one_task_each(task: pd.Series, number: IntArray, source: str) -> pd.Series:
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
            source,
            wrong.tolist(),
            f"task is {task[row]!r}, and {first[row]!r} in a row before with the same prompt",
            "Give a prompt one task.",
        )
    of_prompt = named.drop_duplicates("number").set_index("number")["task"]
    return of_prompt.reindex(range(int(number.max()) + 1))
