"""Parses single columns, from whatever a file format made of them.

Ids, texts, numbers and flags.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.exceptions import DataError
from graphrouter.types import FloatArray

MISSING_WORDS = frozenset({"", "nan", "na", "n/a", "<na>", "null", "none"})
"""What may stand for a missing number or flag in a text file, in lower case."""
_FLAGS = {
    "true": True,
    "yes": True,
    "1": True,
    "1.0": True,
    "false": False,
    "no": False,
    "0": False,
    "0.0": False,
}


def parse_ids(column: pd.Series, source: str, name: str) -> pd.Series:
    """The column as text, every value present.

    Whole numbers lose the `.0` that a missing neighbour gave them.

    Raises:
        DataError: An id is missing or empty.
    """
    texts = (
        column
        if isinstance(column.dtype, pd.StringDtype)
        else column.map(_write_id, na_action="ignore")
    )
    texts = texts.astype("str")
    wrong = (texts.isna() | (texts.str.strip() == "")).to_numpy(dtype=bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{source}, row {row + 1}: {name} is empty; expected a name. Write one, or delete the "
            "row."
        )
    return texts.reset_index(drop=True)


def _write_id(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def parse_texts(column: pd.Series, source: str, name: str) -> pd.Series:
    """The column as text, NaN where it is missing or blank.

    Raises:
        DataError: A value is neither text nor a number (a list, a mapping).
    """
    if not isinstance(column.dtype, pd.StringDtype):
        missing = column.isna().to_numpy(dtype=bool)
        for row in np.flatnonzero(~missing):
            value = column.iloc[row]
            if not isinstance(value, str | numbers.Number):
                raise DataError(
                    f"{source}, row {row + 1}: {name} is {value!r}; expected text. Write it as "
                    "one piece of text."
                )
        column = column.map(_write_id, na_action="ignore")
    texts = column.astype("str").reset_index(drop=True)
    return texts.where(texts.str.strip() != "")


def parse_numbers(column: pd.Series, source: str, name: str) -> FloatArray:
    """The column as (num_rows,) float64, NaN where it is missing.

    Text such as "0.5" is read as CSV has it.

    An empty cell, NA or null is a value that was not recorded. The word nan is the result of a
    calculation that failed, and is refused; in a frame, where NaN is how pandas marks a missing
    value, it is taken as such.

    Raises:
        DataError: A value is no number, or the word nan.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.full(len(column), np.nan)
    for row, value in enumerate(column.tolist()):
        word = value.strip().lower() if isinstance(value, str) else None
        if word == "nan":
            raise DataError(
                f"{source}, row {row + 1}: {name} is {value!r}. Leave it empty where nothing was "
                "recorded."
            )
        if value is None or value is pd.NA or word in MISSING_WORDS:
            continue
        try:
            values[row] = float(value)
        except (TypeError, ValueError):
            raise DataError(
                f"{source}, row {row + 1}: {name} is {value!r}, which is no number. Write a plain "
                "number, or leave it empty."
            ) from None
    return values


def parse_flags(column: pd.Series, source: str, name: str) -> pd.Series:
    """The column as True, False and None (not stated), dtype object.

    Raises:
        DataError: A value is neither a truth value nor a word for one.
    """
    flags: list[bool | None] = []
    for row, value in enumerate(column.tolist()):
        text = str(value).strip().lower()
        if value is None or text in MISSING_WORDS:
            flags.append(None)
        elif text in _FLAGS:
            flags.append(_FLAGS[text])
        else:
            raise DataError(
                f"{source}, row {row + 1}: {name} is {value!r}; expected true, false or nothing. "
                "Write one of them."
            )
    return pd.Series(flags, dtype=object)
