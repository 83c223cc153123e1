"""Columns beyond the contract: fields of the user's own on cards, and his numbers of outcomes."""

from __future__ import annotations

import numpy as np

from graphrouter.data.columns import SHORT_NAMES, TABLES, list_columns
from graphrouter.data.values import MISSING_WORDS, make_row_error
from graphrouter.lazy import pandas as pd
from graphrouter.own_fields import is_own_name
from graphrouter.pool import ModelCard
from graphrouter.types import FloatArray

_FLAGS = {"true": True, "false": False}


def clean_own_column(column: pd.Series, source: str) -> pd.Series:
    """The column as numbers (NaN = not stated), or as truth values; as it is where it is neither.

    Args:
        column: Of the models table.
        source: The table, for messages.

    Raises:
        DataError: One of the numbers is infinite.

    Example:
        >>> clean_own_column(pd.Series(["0.3", ""], name="energy_wh"), "models").tolist()
        [0.3, nan]
    """
    cells = [_read_cell(cell) for cell in column.astype(object).tolist()]
    known = [cell for cell in cells if cell is not None]
    if not known:
        return column
    if all(isinstance(cell, bool) for cell in known):
        return pd.Series(cells, dtype=object, index=column.index)
    if not all(isinstance(cell, int | float) for cell in known):
        return column
    values = np.array(cells, np.float64)  # None becomes NaN
    wrong = np.flatnonzero(np.isinf(values))
    if len(wrong):
        raise make_row_error(
            source,
            wrong.tolist(),
            f"{column.name} is {values[wrong[0]]:g}; expected a finite number",
            "Correct it, or leave it empty where it is unknown.",
        )
    return pd.Series(values, index=column.index)


def list_own_columns(models: pd.DataFrame) -> list[str]:
    """The columns of clean models that make fields of cards: each value a number, text or truth.

    Columns of lists and the like, and those with a name that no field may have, stay metadata.
    """
    kinds = int | float | str | bool | np.number | np.bool_
    return [
        str(name)
        for name in models.columns.difference(list(list_columns("models")), sort=False)
        if isinstance(name, str)
        and is_own_name(name, ModelCard)
        and all(isinstance(cell, kinds) for cell in models[name].dropna().tolist())
    ]


def list_own_numbers(models: pd.DataFrame) -> list[str]:
    """Those of `list_own_columns` that something is learned from: numbers and truth values."""
    return [
        name
        for name in list_own_columns(models)
        if not any(isinstance(cell, str) for cell in models[name].dropna().tolist())
    ]


def read_own_numbers(outcomes: pd.DataFrame) -> dict[str, FloatArray]:
    """Columns of outcomes that are not of the contract and hold numbers alone, by name.

    (num_outcomes,) each, NaN = not stated; true counts as 1, false as 0. Nothing is learned from
    them. A column that is named like one of any table of the contract is none of these, nor is one
    with a text or without any number.

    Args:
        outcomes: The table as it was received.

    Example:
        >>> raw = pd.DataFrame({"effect": [1, 0], "judge": ["0.8", ""], "note": ["a", "b"]})
        >>> {name: values.tolist() for name, values in read_own_numbers(raw).items()}
        {'judge': [0.8, nan]}
    """
    taken = {*SHORT_NAMES, *(name for table in TABLES for name in list_columns(table))}
    found = {}
    for name in outcomes.columns:
        if not isinstance(name, str) or not name or name in taken:
            continue
        values = _read_numbers(outcomes[name])
        if values is not None and not np.isnan(values).all():
            found[name] = values
    return found


def _read_numbers(column: pd.Series) -> FloatArray | None:
    """The column as numbers, NaN = not stated; None where a cell is something else."""
    numbers = []
    for raw in column.astype(object).tolist():  # of a column of texts the first one tells
        cell = _read_cell(raw)
        if cell is not None and not isinstance(cell, bool | int | float):
            return None
        try:
            numbers.append(np.nan if cell is None else float(cell))
        except OverflowError:  # a whole number of hundreds of digits
            return None
    return np.array(numbers, np.float64)


def _read_cell(cell: object) -> object:
    """A number or truth value, None where nothing is stated, or the cell as it is."""
    if (
        cell is None
        or cell is pd.NA
        or cell is pd.NaT
        or (isinstance(cell, float) and cell != cell)
    ):
        return None
    if hasattr(cell, "item") and not isinstance(cell, str):
        cell = cell.item()
    if not isinstance(cell, str):
        return cell
    word = cell.strip().lower()
    if word in MISSING_WORDS:
        return None
    if word in _FLAGS:
        return _FLAGS[word]
    try:
        number = float(word)
    except ValueError:
        return cell
    return cell if np.isnan(number) else number
