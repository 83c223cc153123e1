"""The border of tables of graded runs, one row a step: read as any outcomes are, and checked."""

from __future__ import annotations

import logging

import numpy as np

from graphrouter.data.columns import PEOPLE
from graphrouter.data.values import tidy_columns
from graphrouter.data.view_columns import find_viewed, list_view_keys
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.types import IntArray
from graphrouter.wording import count_of, name_some, show_value

_logger = logging.getLogger(__name__)
CREDIT_COLUMNS = ("trajectory", "prompt", "model", "end_effect")
"""What a table of graded runs has to have, one row a step."""
_OF_RUNS = ("trajectory", "end_effect", "step", "after")
_SOURCE = "runs"


def read_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, checked and clean: steps named, links as tuples of names.

    Prompts, models, roles (as `task`), who asked, what goes with a prompt and what calls took are
    read as in a table of outcomes, with its warnings. A column of these that holds nothing is left
    out.

    Args:
        runs: As `credit_steps` takes them.

    Raises:
        DataError: The table breaks the contract of runs.
    """
    if not isinstance(runs, pd.DataFrame):
        raise DataError(f"runs is a {type(runs).__name__}; expected a data frame, one row a step.")
    missing = [name for name in CREDIT_COLUMNS if name not in runs.columns]
    if missing:
        found = name_some([str(name) for name in runs.columns], most=8)
        raise DataError(f"runs: column {missing[0]!r} is missing (found: {found}). Add it.")
    if runs.empty:
        raise DataError("runs has no rows; expected one a step.")
    given = tidy_columns(runs, _SOURCE, required=CREDIT_COLUMNS)
    blank = np.flatnonzero(given["trajectory"].isna().to_numpy(dtype=bool))
    if len(blank):
        raise DataError(f"runs, row {blank[0] + 1}: trajectory is empty. Fill it in.")
    for name in ("end_effect", "effect"):
        if name in given.columns:
            _check_shares(given[name], name, may_be_missing=name == "effect")
    differs = given.groupby("trajectory", sort=False)["end_effect"].nunique() > 1
    if differs.any():
        raise DataError(
            f"runs, trajectory {differs.idxmax()!r}: its rows have several values of end_effect; "
            "expected one grade a run."
        )
    table = _read_calls(given).assign(
        trajectory=given["trajectory"], end_effect=given["end_effect"]
    )
    table["effect"] = given["effect"] if "effect" in given.columns else np.nan
    in_run = table.groupby("trajectory", sort=False)
    if "step" in given.columns:
        table["step"] = given["step"]
    else:
        table["step"] = [f"step {i + 1}" for i in in_run.cumcount()]
        _warn_of_copies(table)
    if "after" in given.columns:
        table["after"] = [_read_after(value) for value in given["after"]]
    else:
        earlier = table.groupby("trajectory", sort=False)["step"].shift()
        table["after"] = [() if pd.isna(name) else (str(name),) for name in earlier]
    return table


def list_passed_on(table: pd.DataFrame) -> list[str]:
    """Columns of checked runs that are facts of the call or of the query, and no part of a run."""
    own = {*_OF_RUNS, "prompt", "task", "model", "effect"}
    return [name for name in table.columns if name not in own]


def number_groups(table: pd.DataFrame, keys: list[str]) -> IntArray:
    """(num_rows,), the group of each row, those with empty keys among them."""
    groups = table.groupby(keys, sort=False, dropna=False)
    return np.asarray(groups.ngroup(), dtype=np.int64)


def _read_calls(given: pd.DataFrame) -> pd.DataFrame:
    """The calls of the steps as outcomes, the grade of the end in the place of their own."""
    from graphrouter.data.new_outcomes import read_new_outcomes  # here: it loads pyarrow

    calls = given.drop(columns=[name for name in (*_OF_RUNS, "effect") if name in given.columns])
    if "role" in calls.columns:
        if "task" in calls.columns:
            raise DataError("runs: columns 'role' and 'task' are the same. Drop one of them.")
        calls = calls.rename(columns={"role": "task"})
    end = pd.to_numeric(given["end_effect"])
    clean = read_new_outcomes(calls.assign(effect=end), _SOURCE)
    unasked = clean["prompt"].isna().to_numpy(dtype=bool) & ~find_viewed(clean)
    if unasked.any():
        raise DataError(f"runs, row {unasked.argmax() + 1}: prompt is empty. Fill it in.")
    facts = [name for name in clean.columns if name not in ("model", "task", "prompt", "effect")]
    idle = [name for name in facts if clean[name].isna().all()]
    return clean.drop(columns=idle)


def _warn_of_copies(table: pd.DataFrame) -> None:
    """Tell of runs that are the same steps over and over, since a chain was made of them."""
    asked = table.assign(view=list_view_keys(table))
    facts = ["prompt", "model", "task", "view", *(name for name in PEOPLE if name in table)]
    call = pd.Series(number_groups(asked, facts))
    copied = []
    for name, rows in call.groupby(table["trajectory"].to_numpy(), sort=False):
        calls, size = rows.tolist(), len(rows)
        lengths = (n for n in range(1, size // 2 + 1) if size % n == 0)
        if any(calls[:n] * (size // n) == calls for n in lengths):
            copied.append(repr(name))
    if copied:
        _logger.warning(
            "runs: %s the same steps more than once (%s), and counts as one run in which each step "
            "builds upon the one before. Give each run a name of its own if they are several.",
            count_of(len(copied), "trajectory", "has", "have"),
            name_some(copied, most=4),
        )


def _read_after(value: object) -> tuple[str, ...]:
    """Names of steps: of a list, or separated by commas."""
    if isinstance(value, str):
        return tuple(name for part in value.split(",") if (name := part.strip()))
    if isinstance(value, list | tuple | set | np.ndarray):
        return tuple(str(name) for name in value)
    return ()


def _check_shares(values: pd.Series, name: str, *, may_be_missing: bool) -> None:
    """Refuse a column that holds something else than numbers in [0, 1]."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    is_known = values.notna().to_numpy(dtype=bool)
    bad = is_known & ~((numbers >= 0) & (numbers <= 1))
    if not may_be_missing:
        bad |= ~is_known
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"runs, row {row + 1}: {name} is {show_value(values.tolist()[row])}; expected a number "
            "in [0, 1]."
        )
