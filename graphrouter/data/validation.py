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

import numpy as np
import pandas as pd

from graphrouter.data.columns import (
    CAPABILITIES,
    KEYS,
    NUMBERS,
    OPTIONAL_TABLES,
    REQUIRED,
    SPLITS,
    TABLES,
    TEXTS,
    NumberColumn,
    TableName,
    list_columns,
)
from graphrouter.data.values import parse_flags, parse_ids, parse_numbers, parse_texts
from graphrouter.exceptions import DataError
from graphrouter.types import BoolArray, FloatArray, IntArray

logger = logging.getLogger(__name__)

Frames = dict[TableName, pd.DataFrame]


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
    rows = pd.Index(queries["query_id"]).get_indexer(pd.Index(outcomes["query_id"]))
    columns = pd.Index(models["model"]).get_indexer(pd.Index(outcomes["model"]))
    return rows.astype(np.int64), columns.astype(np.int64)


def _check_columns(frame: pd.DataFrame | None, table: TableName, source: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        received = "nothing" if frame is None else f"a {type(frame).__name__}"
        raise DataError(
            f"{source}: received {received}; expected a pandas DataFrame with "
            f"{', '.join(REQUIRED[table])}."
        )
    for column in REQUIRED[table]:
        if column not in frame.columns:
            found = ", ".join(str(name) for name in frame.columns) or "none"
            hint = (
                " Leave it empty where the task is unknown."
                if column == "task" and table == "queries"
                else ""
            )
            raise DataError(
                f"{source}: column {column!r} is missing (found: {found}). Add it, or rename the "
                f"column meant.{hint}"
            )
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{source}: column {twice[0]!r} occurs more than once. Keep one of them.")
    if table in ("models", "outcomes"):  # the other tables carry metadata of their own
        _warn_of_near_misses(frame, table, source)
    return frame.reset_index(drop=True)


def _warn_of_near_misses(frame: pd.DataFrame, table: TableName, source: str) -> None:
    absent = [name for name in list_columns(table) if name not in frame.columns]
    for column in frame.columns.difference(list(list_columns(table))):
        name = str(column).lower()
        close = difflib.get_close_matches(name, absent, n=1, cutoff=0.7)
        close = (
            close
            or [
                known
                for known in absent
                if name in known.split("_") or known.startswith(f"{name}_")
            ][:1]
        )
        if close:
            logger.warning("%s: column %r is not used; was %r meant?", source, column, close[0])


def _clean_queries(raw: pd.DataFrame, source: str) -> pd.DataFrame:
    if raw.empty:
        raise DataError(f"{source}: there are no rows; expected one a query.")
    frame = raw.copy()
    frame["query_id"] = parse_ids(raw["query_id"], source, "query_id")
    frame["task"] = parse_texts(raw["task"], source, "task")
    frame["prompt"] = _clean_prompts(raw["prompt"], source)
    _refuse_duplicates(frame, "queries", source)
    if "split" in raw.columns:
        frame = _check_split_column(frame, source)
    return frame


def _clean_prompts(column: pd.Series, source: str) -> pd.Series:
    # Prompts are taken as they are, so a missing one and one that is no text are both mistakes.
    wrong = np.fromiter(
        (not isinstance(value, str) for value in column), dtype=bool, count=len(column)
    )
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{source}, row {row + 1}: prompt is {column.iloc[row]!r}; expected text. Write the "
            "prompt, or delete the row."
        )
    broken = np.fromiter((_is_no_unicode(value) for value in column), dtype=bool, count=len(column))
    if broken.any():
        row = int(np.argmax(broken))
        raise DataError(
            f"{source}, row {row + 1}: prompt holds half of a character "
            f"({ascii(column.iloc[row])[:60]}), "
            "which is no valid Unicode. Write the text again with errors='replace'."
        )
    prompts = column.astype("str")
    empty = (prompts.str.strip() == "").to_numpy(dtype=bool)
    if empty.any():
        row = int(np.argmax(empty))
        raise DataError(
            f"{source}, row {row + 1}: prompt is empty ({prompts.iloc[row]!r}). Write the prompt, "
            "or delete the row."
        )
    return prompts


def _is_no_unicode(text: str) -> bool:
    """Whether the text holds a lone surrogate, as JSON escapes of cut strings do."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _check_split_column(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    split = parse_texts(frame["split"], source, "split")
    if split.isna().all():
        return frame.drop(columns="split")
    wrong = ~split.isin(SPLITS).to_numpy(dtype=bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        received = "empty" if pd.isna(split.iloc[row]) else repr(split.iloc[row])
        mending = "Name one in every row, or drop the column to have the queries divided for you."
        raise DataError(
            f"{source}, row {row + 1}: split is {received}; expected train, validation or test. "
            f"{mending}"
        )
    prompts = frame["prompt"].str.strip()
    twice = prompts.duplicated(keep=False).to_numpy(dtype=bool)
    first = split[twice].groupby(prompts[twice]).transform("first")
    conflict = (split[twice] != first).to_numpy(dtype=bool)
    if conflict.any():
        row = int(np.flatnonzero(twice)[np.argmax(conflict)])
        other = int(np.argmax((prompts == prompts.iloc[row]).to_numpy(dtype=bool)))
        raise DataError(
            f"{source}, row {row + 1}: the prompt {_shorten(prompts.iloc[row])} is in split "
            f"{split.iloc[row]!r}, "
            f"but in {split.iloc[other]!r} in row {other + 1}. Keep it on one side."
        )
    return frame.assign(split=split)


def _clean_models(raw: pd.DataFrame, source: str) -> pd.DataFrame:
    frame = raw.copy()
    frame["model"] = parse_ids(raw["model"], source, "model")
    _refuse_duplicates(frame, "models", source)
    if len(frame) < 2:
        raise DataError(
            f"{source}: there are {len(frame)} models; routing needs at least 2. Add the models "
            "to choose among."
        )
    for name in TEXTS["models"]:
        frame[name] = (
            parse_texts(raw[name], source, name)
            if name in raw.columns
            else _make_blank_texts(len(raw))
        )
    for column in NUMBERS["models"]:
        frame[column.name] = _clean_numbers(raw, column, source)
    for name in CAPABILITIES:
        stated = raw[name] if name in raw.columns else pd.Series([None] * len(raw), dtype=object)
        frame[name] = parse_flags(stated, source, name)
    return frame[
        [*list_columns("models"), *(c for c in raw.columns if c not in list_columns("models"))]
    ]


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
    rows, columns = pair_positions(frame, queries, models)
    for key, positions, table in (("query_id", rows, "queries"), ("model", columns, "models")):
        if (positions < 0).any():
            row = int(np.argmax(positions < 0))
            where = source["queries"] if table == "queries" else source["models"]
            near = (
                _suggest_nearest(str(frame[key].iloc[row]), models["model"])
                if table == "models"
                else ""
            )
            received = repr(frame[key].iloc[row])
            raise DataError(
                f"{name}, row {row + 1}: {key} {received} is not in {where}.{near} Add it there, "
                "or delete the row."
            )
    _refuse_duplicates(frame, "outcomes", name, codes=rows * len(models) + columns)
    for column in NUMBERS["outcomes"]:
        frame[column.name] = _clean_numbers(raw, column, name)
    frame["cost_usd"] = _fill_cost(frame, models, columns)
    if "answer" in raw.columns:
        frame["answer"] = parse_texts(raw["answer"], name, "answer")
    return frame


def _fill_cost(outcomes: pd.DataFrame, models: pd.DataFrame, columns: IntArray) -> FloatArray:
    """Recorded cost, and tokens times price where only those are known.

    (num_outcomes,), US dollars, NaN = unknown.
    """
    prices = models[["input_usd_per_mtok", "output_usd_per_mtok"]].to_numpy(dtype=np.float64)[
        columns
    ]
    tokens = outcomes[["input_tokens", "output_tokens"]].to_numpy(dtype=np.float64)
    recorded = outcomes["cost_usd"].to_numpy(dtype=np.float64)
    filled: FloatArray = np.where(np.isnan(recorded), (tokens * prices).sum(axis=1) / 1e6, recorded)
    return filled


def _clean_numbers(raw: pd.DataFrame, column: NumberColumn, source: str) -> FloatArray:
    """Values of a column of numbers, (num_rows,), NaN = not known; an absent column is all NaN."""
    if column.name not in raw.columns:
        return np.full(len(raw), np.nan)
    values = parse_numbers(raw[column.name], source, column.name)
    low = values <= 0 if column.positive else values < 0
    wrong: BoolArray = low | (values > column.at_most) | np.isinf(values)
    if column.required:
        wrong |= np.isnan(values)
    if wrong.any():
        row = int(np.argmax(wrong))
        if np.isnan(values[row]):
            raise DataError(
                f"{source}, row {row + 1}: {column.name} is missing. Delete the row: a pair that "
                "was not run has no row."
            )
        mending = (
            "Correct it."
            if column.required
            else "Correct it, or leave it empty where it is unknown."
        )
        raise DataError(
            f"{source}, row {row + 1}: {column.name} is {values[row]:g}; expected "
            f"{column.expected} ({column.what}). {mending}"
        )
    return values


def _refuse_duplicates(
    frame: pd.DataFrame, table: TableName, source: str, *, codes: IntArray | None = None
) -> None:
    keys = list(KEYS[table])
    twice = (frame.duplicated(keys) if codes is None else pd.Series(codes).duplicated()).to_numpy(
        dtype=bool
    )
    if twice.any():
        row = int(np.argmax(twice))
        same = (frame[keys] == frame[keys].iloc[row]).all(axis=1).to_numpy(dtype=bool)
        shown = ", ".join(f"{key} {frame[key].iloc[row]!r}" for key in keys)
        raise DataError(
            f"{source}, row {row + 1}: {shown} occurs already in row {int(np.argmax(same)) + 1}. "
            "Keep one of the two rows."
        )


def _make_blank_texts(length: int) -> pd.Series:
    return pd.Series([np.nan] * length, dtype="str")


def _suggest_nearest(received: str, known: pd.Series) -> str:
    close = difflib.get_close_matches(received, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
