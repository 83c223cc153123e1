"""Turns four raw frames into clean ones, or says which row breaks the contract.

In one line, with how to mend it.

A row number counts data rows from 1, without a header: in JSON Lines it is the line, in a CSV file
without line breaks inside a prompt it is the line less one. Every check runs on whole columns, so
100,000 outcomes take a fraction of a second.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from graphrouter.data.columns import (
    CAPABILITIES,
    KEYS,
    NUMBERS,
    OPTIONAL_TABLES,
    REQUIRED,
    SPLITS,
    TABLES,
    TEXTS,
    VIEWS,
    TableName,
    list_columns,
)
from graphrouter.data.number_columns import parse_number_column, parse_outcome_numbers
from graphrouter.data.own_columns import clean_own_column, read_own_numbers
from graphrouter.data.people_columns import clean_people
from graphrouter.data.positions import find_positions
from graphrouter.data.prompt_columns import parse_prompts
from graphrouter.data.repeats import average_repeats
from graphrouter.data.sibling_columns import clean_siblings
from graphrouter.data.values import (
    make_row_error,
    match_ids,
    parse_flags,
    parse_ids,
    parse_optional_ids,
    parse_texts,
    refuse_alike,
    refuse_half_characters,
    tidy_columns,
)
from graphrouter.data.view_columns import find_viewed, parse_views, question_texts
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.own_fields import OF_OUTCOMES, is_own_name
from graphrouter.pool import KINDS, ModelCard
from graphrouter.types import FloatArray, IntArray
from graphrouter.wording import count_of, show_value, suggest

logger = logging.getLogger(__name__)

Frames: TypeAlias = "dict[TableName, pd.DataFrame]"


def normalise_frames(
    frames: Mapping[TableName, pd.DataFrame | None], sources: Mapping[TableName, str] | None = None
) -> Frames:
    """The four tables with every column of the contract, in its type, checked.

    The frames received are left as they are.

    Args:
        frames: `tasks` may be None or absent.
        sources: What to call each table in messages; file names when it was read from files.

    Raises:
        DataError: A table, a column or a value breaks the contract.
    """
    source = {name: (sources or {}).get(name, f"{name} table") for name in TABLES}
    raw = {
        name: _check_columns(frames.get(name), name, source[name])
        for name in TABLES
        if name not in OPTIONAL_TABLES
    }
    queries = _clean_queries(raw["queries"], source["queries"])
    models = _clean_models(raw["models"], source["models"])
    tasks = _clean_tasks(frames.get("tasks"), queries, source["tasks"])
    outcomes = _clean_outcomes(raw["outcomes"], queries, models, source)
    return {"queries": queries, "models": models, "outcomes": outcomes, "tasks": tasks}


def pair_positions(
    outcomes: pd.DataFrame, queries: pd.DataFrame, models: pd.DataFrame
) -> tuple[IntArray, IntArray]:
    """Row of `queries` and row of `models` of each outcome, (num_outcomes,) each.

    -1 where there is none.
    """
    return (
        find_positions(outcomes["query_id"], queries["query_id"]),
        find_positions(outcomes["model"], models["model"]),
    )


def _check_columns(frame: pd.DataFrame | None, table: TableName, source: str) -> pd.DataFrame:
    try:
        tidy = tidy_columns(frame, source, required=REQUIRED[table])
    except DataError as error:
        if table == "queries" and "column 'task' is missing" in str(error):
            raise DataError(f"{error} Leave it empty where the task is unknown.") from None
        raise
    if table != "tasks":
        warn_of_near_misses(tidy, table, source)
    return tidy


def warn_of_near_misses(frame: pd.DataFrame, table: TableName, source: str) -> None:
    """Log a warning of each column that looks like one of the contract that is not there.

    Args:
        frame: A table from `tidy_columns`.
        table: Which of the contract.
        source: What to call it in messages.
    """
    for column in frame.columns.difference(list(list_columns(table))):
        name = str(column).lower()
        if table == "models" and name in OF_OUTCOMES and not is_own_name(str(column), ModelCard):
            logger.warning(
                "%s: column %r is not used, since it says something of a call and not of a model; "
                "name it usual_%s to have it on the cards.",
                *(source, column, name),
            )
    for column, meant in _find_near_misses(frame, table).items():
        logger.warning("%s: column %r is not used; was %r meant?", source, column, meant)


def _find_near_misses(frame: pd.DataFrame, table: TableName) -> dict[Any, str]:
    """Columns that look like one of the contract that is not there, and which."""
    absent = [name for name in list_columns(table) if name not in frame.columns]
    found: dict[Any, str] = {}
    for column in frame.columns.difference(list(list_columns(table))):
        name = str(column).lower()
        if table == "models" and (name in OF_OUTCOMES or is_own_name(str(column), ModelCard)):
            continue
        if table == "queries":  # they carry metadata, so that less alike means nothing
            close = difflib.get_close_matches(name, absent, n=1, cutoff=0.85)
        else:
            close = difflib.get_close_matches(name, absent, n=1, cutoff=0.7) or [
                known
                for known in absent
                if name in known.split("_") or known.startswith(f"{name}_")
            ]
        if close:
            found[column] = close[0]
    return found


def _clean_queries(raw: pd.DataFrame, source: str) -> pd.DataFrame:
    if raw.empty:
        raise DataError(f"{source}: there are no rows; expected one a query.")
    frame = raw.copy()
    frame["query_id"] = parse_ids(raw["query_id"], source, "query_id")
    frame["task"] = parse_optional_ids(raw["task"], source, "task")
    views = parse_views(raw, source)
    frame = frame.drop(columns=[name for name in VIEWS if name in frame.columns]).assign(**views)
    frame["prompt"] = parse_prompts(raw["prompt"], source, may_be_empty=find_viewed(views))
    frame = clean_people(frame, source)
    for name in frame.columns.difference(list(list_columns("queries"))):  # metadata is saved too
        refuse_half_characters(frame[name].tolist(), source, str(name))
    _refuse_duplicates(frame, "queries", source)
    if "split" in raw.columns:
        frame = _check_split_column(frame, source)
    return frame


def _check_split_column(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    split = parse_texts(frame["split"], source, "split")
    if split.isna().all():
        return frame.drop(columns="split")
    split = split.str.strip()
    wrong = np.flatnonzero(~split.isin(SPLITS).to_numpy(dtype=bool))
    if len(wrong):
        first = split.iloc[wrong[0]]
        raise make_row_error(
            source,
            wrong.tolist(),
            f"split is {'empty' if pd.isna(first) else repr(first)}; expected train, validation or "
            "test",
            "Name one in every row, or drop the column to have the queries divided for you.",
        )
    prompts = question_texts(frame)
    twice = prompts.duplicated(keep=False).to_numpy(dtype=bool)
    first = split[twice].groupby(prompts[twice]).transform("first")
    conflict = (split[twice] != first).to_numpy(dtype=bool)
    if conflict.any():
        rows = np.flatnonzero(twice)[conflict]
        row = int(rows[0])
        other = int(np.argmax((prompts == prompts.iloc[row]).to_numpy(dtype=bool)))
        raise make_row_error(
            source,
            rows.tolist(),
            f"the prompt {show_value(prompts.iloc[row])} is in split {split.iloc[row]!r}, "
            f"but in {split.iloc[other]!r} in row {other + 1}",
            "Keep it on one side.",
        )
    return frame.assign(split=split)


def _clean_models(raw: pd.DataFrame, source: str) -> pd.DataFrame:
    frame = raw.copy()
    frame["model"] = parse_ids(raw["model"], source, "model")
    _refuse_duplicates(frame, "models", source)
    refuse_alike(frame["model"], source)
    for name in frame.columns.difference(list(list_columns("models"))):
        refuse_half_characters(frame[name].tolist(), source, str(name))
        frame[name] = clean_own_column(frame[name], source)
    if len(frame) < 2:
        raise DataError(
            f"{source}: {count_of(len(frame), 'model', 'is', 'are')} there; routing needs at least "
            f"2. Add the models "
            "to choose among."
        )
    for name in TEXTS["models"]:
        frame[name] = (
            parse_texts(raw[name], source, name)
            if name in raw.columns
            else _make_blank_texts(len(raw))
        )
    for column in NUMBERS["models"]:
        frame[column.name] = parse_number_column(raw, column, source)
    for name in CAPABILITIES:
        stated = raw[name] if name in raw.columns else pd.Series([None] * len(raw), dtype=object)
        frame[name] = parse_flags(stated, source, name)
    frame = _check_kinds(clean_siblings(frame, source), source)
    known = [name for name in list_columns("models") if name in frame.columns]
    own = [name for name in raw.columns if name in frame.columns and name not in known]
    return frame[[*known, *own]]


def _check_kinds(models: pd.DataFrame, source: str) -> pd.DataFrame:
    """The models with clean kinds; without the column where all of it is empty."""
    if "kind" not in models.columns:
        return models
    kind = parse_texts(models["kind"], source, "kind").str.strip().str.lower()
    wrong = np.flatnonzero((kind.notna() & ~kind.isin(KINDS)).to_numpy(dtype=bool))
    if len(wrong):
        first = str(kind.iloc[wrong[0]])
        raise make_row_error(
            source,
            wrong.tolist(),
            f"kind is {first!r}; expected {', '.join(KINDS[:-1])} or {KINDS[-1]}",
            f"{suggest(first, KINDS)} Leave it empty for a model; call a field of your own "
            "otherwise.".lstrip(),
        )
    return models.drop(columns="kind") if kind.isna().all() else models.assign(kind=kind)


def _clean_tasks(raw: pd.DataFrame | None, queries: pd.DataFrame, source: str) -> pd.DataFrame:
    if raw is None or (
        isinstance(raw, pd.DataFrame) and raw.shape == (0, 0)
    ):  # JSON Lines has no header to keep
        named = pd.DataFrame({"task": _make_blank_texts(0), "description": _make_blank_texts(0)})
    else:
        raw = _check_columns(raw, "tasks", source)
        named = pd.DataFrame({"task": parse_ids(raw["task"], source, "task")})
        described = "description" in raw.columns
        named["description"] = (
            parse_texts(raw["description"], source, "description")
            if described
            else _make_blank_texts(len(raw))
        )
        _refuse_duplicates(named, "tasks", source)
    used = queries["task"].dropna().unique()
    added = sorted(set(used) - set(named["task"]))
    if not added:
        return named
    return pd.concat(
        [named, pd.DataFrame({"task": added, "description": _make_blank_texts(len(added))})],
        ignore_index=True,
    )


def _clean_outcomes(
    raw: pd.DataFrame, queries: pd.DataFrame, models: pd.DataFrame, source: Mapping[TableName, str]
) -> pd.DataFrame:
    name = source["outcomes"]
    if raw.empty:
        raise DataError(
            f"{name}: there are no rows; expected at least one outcome (query_id, model, effect)."
        )
    frame = pd.DataFrame({key: parse_ids(raw[key], name, key) for key in KEYS["outcomes"]})
    frame["query_id"] = match_ids(frame["query_id"], queries["query_id"], name, "query_id")
    frame["model"] = match_ids(frame["model"], models["model"], name, "model")
    rows, columns = pair_positions(frame, queries, models)
    tables: tuple[TableName, TableName] = ("queries", "models")
    for key, positions, table in zip(KEYS["outcomes"], (rows, columns), tables, strict=True):
        unknown = np.flatnonzero(positions < 0)
        if len(unknown):
            received = str(frame[key].iloc[unknown[0]])
            near = suggest(received, models["model"]) if table == "models" else ""
            raise make_row_error(
                name,
                unknown.tolist(),
                f"{key} {received!r} is not in {source[table]}",
                f"{near} Add it there, or delete the row.".lstrip(),
            )
    frame = frame.assign(**parse_outcome_numbers(raw, name))
    if "answer" in raw.columns:
        frame["answer"] = parse_texts(raw["answer"], name, "answer")
    own = read_own_numbers(raw.drop(columns=[*_find_near_misses(raw, "outcomes")]))
    frame = frame.assign(**own)
    pairs = np.sort(rows * len(models) + columns)
    if (pairs[1:] == pairs[:-1]).any():
        frame = average_repeats(frame, source=name, own=own)
        columns = pair_positions(frame, queries, models)[1]
    frame["cost_usd"] = _fill_cost(frame, models, columns)
    return frame


def _fill_cost(outcomes: pd.DataFrame, models: pd.DataFrame, columns: IntArray) -> FloatArray:
    """Recorded cost, and tokens times price where only those are known.

    (num_outcomes,), US dollars, NaN = unknown.
    """
    recorded = outcomes["cost_usd"].to_numpy(dtype=np.float64)
    rows = np.flatnonzero(np.isnan(recorded))
    prices = models[["input_usd_per_mtok", "output_usd_per_mtok"]].to_numpy(dtype=np.float64)
    tokens = outcomes[["input_tokens", "output_tokens"]].iloc[rows].to_numpy(dtype=np.float64)
    filled: FloatArray = recorded.copy()
    filled[rows] = (tokens * prices[columns[rows]]).sum(axis=1) / 1e6
    return filled


def _refuse_duplicates(frame: pd.DataFrame, table: TableName, source: str) -> None:
    keys = list(KEYS[table])
    twice = np.flatnonzero(frame.duplicated(keys).to_numpy(dtype=bool))
    if len(twice):
        row = int(twice[0])
        same = (frame[keys] == frame[keys].iloc[row]).all(axis=1).to_numpy(dtype=bool)
        shown = ", ".join(f"{key} {frame[key].iloc[row]!r}" for key in keys)
        raise make_row_error(
            source,
            twice.tolist(),
            f"{shown} occurs already in row {int(np.argmax(same)) + 1}",
            "Keep one of the two rows.",
        )


def _make_blank_texts(length: int) -> pd.Series:
    return pd.Series([np.nan] * length, dtype="str")
