"""Parses columns of numbers, as programs, spreadsheets and people write them.

`$0.01`, `0,5`, `85 %` and the words `pass` and `fail` are read where they can mean one thing alone,
and the log says so. `1,234` alone can be two numbers, and is refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from graphrouter.data.columns import NUM_RUNS, NUMBERS, SPEEDS, NumberColumn
from graphrouter.data.values import MISSING_WORDS, make_row_error
from graphrouter.lazy import pandas as pd
from graphrouter.text_files import JsonNaN
from graphrouter.types import FloatArray

logger = logging.getLogger(__name__)

_VERDICTS = {
    **dict.fromkeys(("true", "yes", "pass", "passed", "correct"), 1.0),
    **dict.fromkeys(("false", "no", "fail", "failed", "incorrect"), 0.0),
}
"""Words for an effect, in lower case."""
_DOLLARS = re.compile(r"(?:us)?\$\s*(?P<after>.+)|usd\s*(?P<word>.+)|(?P<before>.+?)\s*(?:usd|\$)")
_DECIMAL_COMMA = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d*),\d+(?:e[+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
_GROUPED_BY_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+")
_PERCENT_TOP = 100.0
_MOST_CHARS = 60
_LATE = 1.01
"""Seconds are rounded: a little later than the last token is no other unit."""
_PLAIN = "Write a plain number, or leave it empty."
_AMBIGUOUS = "Write it without commas between thousands, and with a point before decimals."


class _Odd(NamedTuple):
    """What became of the cells that are no plain numbers."""

    values: dict[int, float]
    """By row."""
    notes: list[str]
    """How they were read."""
    wrong: dict[int, str]
    """Rows that are no number in any way, with what to do about each."""


def parse_number_column(raw: pd.DataFrame, column: NumberColumn, source: str) -> FloatArray:
    """Values of a column of numbers within its range, (num_rows,), NaN = not known.

    An absent column is all NaN. An effect from 0 to 100 is read as percent where it can be nothing
    else: 100 occurs, nothing is above it, and nothing but 0 is at or below 1.

    Args:
        raw: The table.
        column: What the values mean, and their range.
        source: The table, for messages.

    Raises:
        DataError: A value is no number, or out of range.
    """
    name = column.name
    if name not in raw.columns:
        return np.full(len(raw), np.nan)
    values = parse_numbers(raw[name], source, name, meaning=column)
    if column.is_share and _is_percent(values):
        logger.warning("%s: %s goes from 0 to 100, and was read as percent.", source, name)
        values = values / _PERCENT_TOP
    check_range(values, column, source, name)
    return values


def parse_outcome_numbers(raw: pd.DataFrame, source: str) -> dict[str, FloatArray]:
    """Every number of outcomes by its column, (num_rows,) each, NaN = not observed.

    Runs and speeds are there only where they were given. A first token that came after the last is
    warned of: one of the two is in another unit. A row without an effect is a call that nobody
    graded: it has to say what the call took.

    Args:
        raw: The table.
        source: The table, for messages.

    Raises:
        DataError: As `parse_number_column`, or a row has neither an effect nor a cost, tokens or a
            latency.
    """
    given = [column for column in (NUM_RUNS, *SPEEDS) if column.name in raw.columns]
    columns = (*NUMBERS["outcomes"], *given)
    read = {column.name: parse_number_column(raw, column, source) for column in columns}
    for column in SPEEDS:
        if column.name in read and np.isnan(read[column.name]).all():
            del read[column.name]
    amounts = [column.name for column in NUMBERS["outcomes"]]
    unknown = np.logical_and.reduce([np.isnan(read[name]) for name in amounts])
    if unknown.any():
        raise make_row_error(
            source,
            np.flatnonzero(unknown).tolist(),
            "effect is missing, and so are cost, tokens and latency",
            "Grade the answer, say what it took, or delete the row: a pair that was not run has no "
            "row.",
        )
    late = int((read["ttft_s"] > read["latency_s"] * _LATE).sum()) if "ttft_s" in read else 0
    if late:
        logger.warning(
            "%s: in %d rows ttft_s is above latency_s: the first token came after the last. Are "
            "both in seconds, from the start of the call?",
            source,
            late,
        )
    return read


def check_range(values: FloatArray, column: NumberColumn, source: str, name: str) -> None:
    """Check that all known values lie in the range of the column.

    Raises:
        DataError: One does not.
    """
    low = values <= 0 if column.positive else values < 0
    wrong = np.flatnonzero(low | (values > column.at_most) | np.isinf(values))
    if not len(wrong):
        return
    mending = "Correct it, or leave it empty where it is unknown."
    largest = float(np.nanmax(values))
    if column.is_share and 2 < largest <= _PERCENT_TOP and not low.any():
        mending = (
            f"The values go to {largest:g}: divide all by the highest grade that can be given, "
            "such as 100 where they are percent."
        )
    raise make_row_error(
        source,
        wrong.tolist(),
        f"{name} is {values[wrong[0]]:g}; expected {column.expected} ({column.what})",
        mending,
    )


def _is_percent(values: FloatArray) -> bool:
    known = values[~np.isnan(values)]
    return bool(
        len(known)
        and known.max() == _PERCENT_TOP
        and known.min() >= 0
        and not ((known > 0) & (known <= 1)).any()
    )


def parse_numbers(
    column: pd.Series, source: str, name: str, *, meaning: NumberColumn
) -> FloatArray:
    """The column as (num_rows,) float64, NaN where it is missing.

    An empty cell, NA or null is a value that was not recorded. The word nan is the result of a
    calculation that failed, and is refused; in a frame, where NaN is how pandas marks a missing
    value, it is taken as such.

    Args:
        column: Numbers, or text as CSV has it.
        source: The table, for messages.
        name: What the column is called in the table.
        meaning: What it means: dollars may have a sign, an effect may be a word.

    Raises:
        DataError: A value is no number, could be two, or is the word nan.
    """
    if pd.api.types.is_bool_dtype(column.dtype) or not pd.api.types.is_numeric_dtype(column.dtype):
        return _parse_objects(column, source, name, meaning)
    if pd.api.types.is_complex_dtype(column.dtype):
        raise make_row_error(
            source, [0], f"{name} is {column.iloc[0]!r}, which is no number", "Write a real one."
        )
    if column.dtype == np.float64:  # no copy: long logs are columns of these
        return column.to_numpy()
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _parse_objects(column: pd.Series, source: str, name: str, meaning: NumberColumn) -> FloatArray:
    values = np.full(len(column), np.nan)
    cells = column.astype(object).tolist()
    odd: dict[int, str] = {}
    wrong: dict[int, str] = {}
    num_flags = 0
    for row, cell in enumerate(cells):
        if cell is None or cell is pd.NA or cell is pd.NaT:
            continue
        if isinstance(cell, bool | np.bool_):
            values[row] = float(cell)
            num_flags += 1
            if not meaning.is_share:
                wrong[row] = _PLAIN
            continue
        word = cell.strip().lower() if isinstance(cell, str) else None
        if word == "nan" or isinstance(cell, JsonNaN):
            wrong[row] = "Leave it empty where nothing was recorded."
        elif word not in MISSING_WORDS:
            try:
                values[row] = float(cell)
                if word is not None and np.isnan(values[row]):
                    wrong[row] = "Leave it empty where nothing was recorded."
            except (TypeError, ValueError, OverflowError):
                if word is None:
                    wrong[row] = _PLAIN
                else:
                    odd[row] = word
    notes = ["true and false as 1 and 0"] if num_flags and not wrong else []
    if odd:
        plain = [cell for row, cell in enumerate(cells) if isinstance(cell, str) and row not in odd]
        found = _read_odd(odd, plain, meaning)
        wrong |= found.wrong
        notes += found.notes
        values[list(found.values)] = list(found.values.values())
    if wrong:
        rows = sorted(wrong)
        cell = cells[rows[0]]
        is_nan = isinstance(cell, float) or str(cell).strip().lower().lstrip("+-") == "nan"
        what = "" if is_nan else ", which is no number"
        if wrong[rows[0]] == _AMBIGUOUS:
            what = ", which can be read as two numbers"
        shown = "NaN" if isinstance(cell, JsonNaN) else ascii(cell)
        shown = shown if len(shown) <= _MOST_CHARS else shown[: _MOST_CHARS - 3] + "..."
        raise make_row_error(source, rows, f"{name} is {shown}{what}", wrong[rows[0]])
    if notes:
        logger.warning("%s: %s was read with %s.", source, name, ", ".join(notes))
    return values


def _read_odd(odd: Mapping[int, str], plain: list[str], meaning: NumberColumn) -> _Odd:
    """What texts mean that no program reads as numbers.

    Args:
        odd: The texts by row, in lower case without outer blanks.
        plain: Texts of the column that are plain numbers, or missing.
        meaning: What the column means.
    """
    values: dict[int, float] = {}
    notes: dict[str, None] = {}
    rest: dict[int, tuple[str, float]] = {}
    for row, text in odd.items():
        if meaning.is_share and text in _VERDICTS:
            values[row] = _VERDICTS[text]
            notes["words as 1 and 0"] = None
            continue
        unit = 1.0
        if "usd" in meaning.name and (match := _DOLLARS.fullmatch(text)):
            text = next(part for part in match.groups() if part)
            notes["a dollar sign"] = None
        elif meaning.is_share and text.endswith("%"):
            text, unit = text[:-1].rstrip(), _PERCENT_TOP
            notes["a percent sign"] = None
        rest[row] = text, unit
    comma, unclear = _find_comma([text for text, _ in rest.values()], plain, meaning)
    wrong = {}
    for row, (text, unit) in rest.items():
        if "," in text and comma is not None:
            text = text.replace(".", "").replace(",", ".") if comma else text.replace(",", "")
            notes[f"a {'decimal comma' if comma else 'comma between thousands'}"] = None
        try:
            values[row] = float(text) / unit
        except ValueError:
            is_comma = "," in text and bool(
                _GROUPED.fullmatch(text) or _DECIMAL_COMMA.fullmatch(text)
            )
            wrong[row] = _AMBIGUOUS if unclear and is_comma else _PLAIN
    return _Odd(values, list(notes), wrong)


def _find_comma(
    texts: list[str], plain: list[str], meaning: NumberColumn
) -> tuple[bool | None, bool]:
    """Whether commas of a column are decimal, and whether that is unclear.

    True where they are decimal, False where they stand between thousands, None where there are
    none, or where it cannot be told.
    """
    with_comma = [text for text in texts if "," in text]
    decimal = any(_DECIMAL_COMMA.fullmatch(x) and not _GROUPED.fullmatch(x) for x in with_comma)
    grouped = any(_GROUPED.fullmatch(x) and not _DECIMAL_COMMA.fullmatch(x) for x in with_comma)
    if meaning.is_share and not grouped:
        return (True, False) if with_comma else (None, False)
    if decimal and not grouped:
        # Where commas are decimal, a point in 1.234 may stand between thousands.
        if any(_GROUPED_BY_POINTS.fullmatch(text.strip()) for text in [*plain, *texts]):
            return None, True
        return True, False
    if grouped and not decimal:
        return False, False
    return None, bool(with_comma)
