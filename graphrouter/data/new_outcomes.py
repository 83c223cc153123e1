"""The border of tables that come in after training: outcomes of a pool, and prompts to predict.

They pass the checks of a dataset, in Python as from a file, before anyone looks at a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from graphrouter.data.columns import PEOPLE, VIEWS, list_columns
from graphrouter.data.number_columns import parse_outcome_numbers
from graphrouter.data.people_columns import clean_people
from graphrouter.data.prompt_columns import parse_optional_prompts, parse_prompts
from graphrouter.data.table_files import read_table
from graphrouter.data.validation import warn_of_near_misses
from graphrouter.data.values import (
    make_row_error,
    match_ids,
    name_in_full,
    parse_ids,
    parse_optional_ids,
    tidy_columns,
)
from graphrouter.data.view_columns import find_viewed, parse_views
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.text_files import read_text_file

_KNOWN = (*list_columns("outcomes"), "task", "prompt", *PEOPLE, *VIEWS)
_GRADE = "Add your grade of each answer, from 0 to 1."


def read_new_outcomes(
    outcomes: pd.DataFrame,
    source: str,
    *,
    models: Iterable[str] = (),
    query_ids: Iterable[str] = (),
) -> pd.DataFrame:
    """The outcomes with clean columns, all there: model, query_id, task, prompt and numbers.

    Ids, tasks and prompts that are not stated are NaN. `num_runs`, `user` and `team` are there
    where they were given. A table that went through here comes out of it the same, and nothing is
    said a second time.

    Args:
        outcomes: Columns `model`, `effect`, and `query_id` or `prompt`; perhaps `task`, `user` and
            `team`, `cost`, `tokens`, `latency`, and other numbers of an outcome by their own names.
            With a prompt perhaps `context`, `embedding` and `embedding_encoder`, or these without
            one.
        source: What to call the table in messages.
        models: Names that a model may be meant by, where it is written in another way.
        query_ids: The same for ids of queries.

    Raises:
        DataError: The table has no rows, lacks a column, or a value breaks the contract.

    Example:
        >>> rows = [{"model": "nano", "query_id": 7.0, "effect": "pass"}]
        >>> found = read_new_outcomes(pd.DataFrame(rows), "outcomes", query_ids=["07"])
        >>> found[["query_id", "effect"]].values.tolist()
        [['07', 1.0]]
    """
    tidy = tidy_columns(outcomes, source, required=("model", "effect"))
    raw = name_in_full(tidy, source, known=_KNOWN)
    if raw.empty:
        raise DataError(
            f"{source} has no rows; expected at least one outcome (model, effect, and query_id or "
            "prompt)."
        )
    clean = pd.DataFrame({"model": parse_ids(raw["model"], source, "model")})
    clean["model"] = match_ids(clean["model"], models, source, "model")
    blank = pd.Series([None] * len(raw), dtype="str")
    stated = raw.get("query_id")
    ids = blank if stated is None else parse_optional_ids(stated, source, "query_id")
    clean["query_id"] = match_ids(ids, query_ids, source, "query_id")
    clean["task"] = parse_optional_ids(raw["task"], source, "task") if "task" in raw else blank
    clean["prompt"] = parse_optional_prompts(raw["prompt"], source) if "prompt" in raw else blank
    views = parse_views(raw, source)
    named = (clean["query_id"].notna() | clean["prompt"].notna()).to_numpy(dtype=bool)
    unasked = np.flatnonzero(~named & ~find_viewed(views))
    if len(unasked):
        raise make_row_error(
            source,
            unasked.tolist(),
            "neither query_id nor prompt",
            "Give the prompt of the query, or delete the row.",
        )
    clean = clean.assign(**{name: raw[name] for name in PEOPLE if name in raw})
    numbers = parse_outcome_numbers(raw, source)
    return clean_people(clean, source).assign(**numbers, **views)


def read_outcome_file(file: Path) -> pd.DataFrame:
    """The outcomes in a file as they stand there, with an effect at least.

    Raises:
        DataError: It cannot be read, or has no effect.
    """
    table = read_table(file)
    try:
        return tidy_columns(table, file.name, required=("effect",))
    except DataError as error:
        if "column 'effect' is missing" in str(error):
            raise DataError(f"{error} {_GRADE}") from None
        raise


def read_query_file(file: Path) -> pd.DataFrame:
    """The queries in a file: query_id (numbered from 1 where there is none), task and prompt.

    A prompt may be empty here: whatever a user sends is predicted for. A .txt holds one prompt a
    line, whose number is its id; blank lines are skipped, and their numbers with them.

    Raises:
        DataError: It cannot be read, has no rows or prompts, or the same query_id twice.
    """
    if file.suffix == ".txt":
        lines = pd.Series(re.split(r"\r\n|\r|\n", read_text_file(file)), dtype="object")
        raw = pd.DataFrame({"query_id": [str(i + 1) for i in range(len(lines))], "prompt": lines})
        raw = raw[lines.str.strip() != ""].reset_index(drop=True)
    else:
        raw = tidy_columns(read_table(file), file.name, required=("prompt",))
    if raw.empty:
        raise DataError(f"{file} holds no queries; expected at least one row.")
    return read_query_table(raw, file.name)


def read_query_table(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The queries of a table as `read_query_file` gives them.

    Args:
        table: A column `prompt`, and perhaps `query_id`, `task`, `user`, `team`, `context`,
            `embedding` and `embedding_encoder`; at least one row.
        source: What to call it in messages.

    Raises:
        DataError: It has no prompts, a value breaks the contract, or the same query_id twice.

    Example:
        >>> table = pd.DataFrame({"prompt": ["Hello", "1 + 1?"]})
        >>> read_query_table(table, "prompts")["query_id"].tolist()
        ['1', '2']
    """
    raw = tidy_columns(table, source, required=("prompt",))
    warn_of_near_misses(raw, "queries", source)
    clean = pd.DataFrame(
        {"query_id": pd.Series([str(row + 1) for row in range(len(raw))], dtype="str")}
    )
    if "query_id" in raw.columns:
        clean["query_id"] = parse_ids(raw["query_id"], source, "query_id")
        twice = clean["query_id"].duplicated().to_numpy(dtype=bool).nonzero()[0]
        if len(twice):
            raise make_row_error(
                source,
                twice.tolist(),
                f"query_id {clean['query_id'].iloc[twice[0]]!r} occurs before",
                "Make the ids distinct.",
            )
    views = parse_views(raw, source)
    clean["prompt"] = parse_prompts(
        raw["prompt"], source, empty_mending=None, may_be_empty=find_viewed(views)
    )
    if "task" in raw.columns:
        clean["task"] = parse_optional_ids(raw["task"], source, "task")
    clean = clean.assign(**{name: raw[name] for name in PEOPLE if name in raw})
    return clean_people(clean, source).assign(**views)
