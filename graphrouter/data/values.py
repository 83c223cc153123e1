"""Parses single columns, from whatever a file format or a program made of them.

Ids, texts, prompts and flags; numbers are in `number_columns`. What can be meant in one way alone
is read, and the log says that it was. Everything else is refused: the message names the first row,
and all rows that are like it.
"""

from __future__ import annotations

import logging
import numbers
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from graphrouter.data.columns import SHORT_NAMES
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.pool import find_alike
from graphrouter.text_files import JsonNaN, has_half_character
from graphrouter.wording import agree, count_of, name_some, show_value

logger = logging.getLogger(__name__)

MISSING_WORDS = frozenset({"", "nan", "na", "n/a", "<na>", "null", "none"})
"""What may stand for a missing number or flag in a text file, in lower case."""
MOST_ROWS = 10
_MOST_COLUMNS = 20
"""So many rows a message names."""
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
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


def make_row_error(source: str, rows: Sequence[int], problem: str, mending: str) -> DataError:
    """An error about rows: the problem is that of the first, the others are named and counted.

    Args:
        source: The table.
        rows: Positions from 0, at least one.
        problem: What is wrong in the first row.
        mending: What to do about it.

    Example:
        >>> str(make_row_error("models.csv", [1, 3], "model is empty", "Write one."))
        'models.csv, row 2: model is empty. Write one. 2 rows are like it: 2, 4.'
    """
    text = f"{source}, row {rows[0] + 1}: {problem}. {mending}"
    if len(rows) > 1:
        shown = ", ".join(str(row + 1) for row in rows[:MOST_ROWS])
        more = ", ..." if len(rows) > MOST_ROWS else ""
        text += f" {count_of(len(rows), 'row')} are like it: {shown}{more}."
    return DataError(text)


def tidy_columns(frame: Any, source: str, *, required: Iterable[str]) -> pd.DataFrame:
    """The frame with columns named without outer blanks and rows numbered from 0.

    Raises:
        DataError: It is no frame, lacks a required column, or has one twice.
    """
    wanted = tuple(required)
    if not isinstance(frame, pd.DataFrame):
        received = "nothing" if frame is None else f"a {type(frame).__name__}"
        raise DataError(
            f"{source}: received {received}; expected a pandas DataFrame with {', '.join(wanted)}."
        )
    names = [name.strip() if isinstance(name, str) else name for name in frame.columns]
    if names != list(frame.columns):
        logger.warning("%s: blanks around the names of columns were taken off.", source)
    tidy = frame.reset_index(drop=True)
    tidy.columns = pd.Index(names, dtype=object)
    broken = [name for name in names if isinstance(name, str) and has_half_character(name)]
    if broken:
        raise DataError(
            f"{source}: the name of the column {broken[0]!a} holds half of a character, which "
            "is no valid Unicode. Rename it."
        )
    twice = tidy.columns[tidy.columns.duplicated()]
    if len(twice):
        raise DataError(f"{source}: column {twice[0]!r} occurs more than once. Keep one of them.")
    for column in wanted:
        if column not in names:
            raise DataError(_describe_missing_column(column, names, source))
    return tidy


def name_in_full(frame: pd.DataFrame, source: str, *, known: Collection[str]) -> pd.DataFrame:
    """The tidy frame with the columns of `SHORT_NAMES` by the names of the contract.

    The log names every other column that is not known.

    Args:
        frame: A table of outcomes from `tidy_columns`.
        source: What to call it in messages.
        known: Columns that are used.

    Raises:
        DataError: One is there under both of its names.

    Example:
        >>> short = pd.DataFrame({"effect": [1.0], "cost": [0.1]})
        >>> name_in_full(short, "answers", known=["effect", "cost_usd"]).columns.tolist()
        ['effect', 'cost_usd']
    """
    twice = [short for short, full in SHORT_NAMES.items() if {short, full} <= {*frame.columns}]
    if twice:
        raise DataError(
            f"{source}: columns {twice[0]!r} and {SHORT_NAMES[twice[0]]!r} are the same quantity; "
            "expected one of them. Drop the other."
        )
    full = frame.rename(columns=SHORT_NAMES)
    unused = [column for column in full.columns if column not in known]
    if unused:
        logger.warning(
            "%s: not used: %s %s.",
            source,
            agree(len(unused), "column"),
            name_some([show_value(name) for name in unused], most=_MOST_COLUMNS),
        )
    return full


def _describe_missing_column(column: str, names: list[Any], source: str) -> str:
    shown = [ascii(name) if name != name else str(name) for name in names]
    found = name_some(shown, most=_MOST_COLUMNS) or "none"
    cause = ""
    if len(names) == 1 and re.search(r"[;\t|]", str(names[0])):
        cause = " The columns seem to be divided by another character than a comma."
    elif names and all(re.fullmatch(r"\d+(\.\d+)?", str(name).strip()) for name in names):
        cause = " The line with the names of the columns seems to be missing."
    elif other := [name for name in names if str(name).lower() == column]:
        cause = f" Names are written in lower case: {other[0]!r} is {column!r}."
    elif {"prompt", "model", "effect"} <= {*map(str, names)}:
        cause = " One table with a row an answer is read by graphrouter.data.read_answers."
    elif column == "effect":
        cause = " Its cells may be empty where nobody graded the answer."
    return (
        f"{source}: column {column!r} is missing (found: {found}). Add it, or rename the column "
        f"meant.{cause}"
    )


def parse_ids(column: pd.Series, source: str, name: str) -> pd.Series:
    """The column as text, every value present, without outer blanks.

    Whole numbers lose the `.0` that a missing neighbour gave them.

    Raises:
        DataError: An id is missing, empty or no text and no number.
    """
    texts = parse_optional_ids(column, source, name)
    wrong = np.flatnonzero(texts.isna().to_numpy(dtype=bool))
    if len(wrong):
        raise make_row_error(
            source,
            wrong.tolist(),
            f"{name} is empty; expected a name",
            "Write one, or delete the row.",
        )
    return texts


def refuse_alike(models: pd.Series, source: str) -> None:
    """Refuse names of models that differ by capitals or spaces alone: they are hardly two models.

    Raises:
        DataError: There are such.
    """
    names = models.drop_duplicates().tolist()
    alike = find_alike(names)
    if not alike:
        return
    later, first = next((names[i], names[place]) for i, place in alike.items())
    rows = np.flatnonzero((models == later).to_numpy(dtype=bool))
    there = int(np.argmax((models == first).to_numpy(dtype=bool))) + 1
    raise make_row_error(
        source,
        rows.tolist(),
        f"model {later!r} differs from {first!r} in row {there} by capitals or spaces alone",
        "Give both one name if they are one model, else names that differ more.",
    )


def parse_optional_ids(column: pd.Series, source: str, name: str) -> pd.Series:
    """As `parse_ids`, with NaN where there is none."""
    texts = parse_texts(column, source, name)
    stripped = texts.str.strip()
    changed = int((stripped != texts).to_numpy(dtype=bool)[texts.notna()].sum())
    if not changed:
        return texts
    logger.warning("%s: %s: blanks around %d names were taken off.", source, name, changed)
    return stripped


def match_ids(received: pd.Series, known: Iterable[str], source: str, name: str) -> pd.Series:
    """The ids as they are known, where they differ from a known one in how a number is written.

    A spreadsheet makes `1` of `01`, and a gap in the column makes `1.0` of it. An id that is known
    as it stands stays, and so does one that could be several.

    Args:
        received: Ids, NaN = none.
        known: Ids that there are.
        source: The table, for the log.
        name: The column, for the log.

    Example:
        >>> match_ids(pd.Series(["7.0", "8"]), ["07", "8", "9"], "outcomes", "query_id").tolist()
        ['07', '8']
    """
    there = pd.Index(known).tolist()
    named = received.dropna().unique().tolist()
    unknown = set(named).difference(there)
    if not unknown:
        return received
    written: dict[str, list[str]] = {}
    for identity in there:
        if _WHOLE.fullmatch(identity):
            written.setdefault(_write_plainly(identity), []).append(identity)
    found = {
        identity: ways[0]
        for identity in named
        if identity in unknown
        and _WHOLE.fullmatch(identity)
        and len(ways := written.get(_write_plainly(identity), [])) == 1
    }
    if found:
        first = next(iter(found))
        logger.warning(
            "%s: %s: %s in another way than where defined (%r for %r), and read as defined there.",
            source,
            name,
            count_of(len(found), "id", "is written", "are written"),
            first,
            found[first],
        )
    return received.map(lambda identity: found.get(identity, identity), na_action="ignore").astype(
        "str"
    )


def _write_plainly(identity: str) -> str:
    whole = identity.partition(".")[0]
    sign = "-" if whole.startswith("-") else ""
    return sign + (whole.lstrip("+-").lstrip("0") or "0")


def _write_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def parse_texts(column: pd.Series, source: str, name: str) -> pd.Series:
    """The column as text, NaN where it is missing or blank.

    Raises:
        DataError: A value is neither text nor a number (a list, a mapping), or holds half of a
            character.
    """
    if not isinstance(column.dtype, pd.StringDtype):
        values = column.astype(object)
        missing = values.isna().to_numpy(dtype=bool)
        wrong = [
            row
            for row, value in enumerate(values.tolist())
            if not missing[row] and not isinstance(value, str | numbers.Number)
        ]
        if wrong:
            raise make_row_error(
                source,
                wrong,
                f"{name} is {show_cell(values.iloc[wrong[0]])}; expected text",
                "Write it as one piece of text.",
            )
        nans = sum(isinstance(value, JsonNaN) for value in values)
        if nans:
            logger.warning(
                "%s: %s: NaN in %s was read as empty.", source, name, count_of(nans, "row")
            )
        texts = [None if gap else _write_text(x) for x, gap in zip(values, missing, strict=True)]
        refuse_half_characters(texts, source, name)
        column = pd.Series(texts, dtype="str")
    elif column.dtype.storage != "pyarrow":  # which has texts in UTF-8, where none can be
        refuse_half_characters(column.tolist(), source, name)
    plain = column.astype("str").reset_index(drop=True)
    is_blank = plain.str.strip() == ""
    # As it stands where it may: of a long log the copy counts.
    return plain.where(~is_blank) if is_blank.any() else plain


def refuse_half_characters(values: Sequence[Any], source: str, name: str) -> None:
    """Check that no text holds half of a character, as JSON escapes of cut strings do.

    Raises:
        DataError: One does.
    """
    broken = [
        row
        for row, value in enumerate(values)
        if isinstance(value, str) and not value.isascii() and has_half_character(value)
    ]
    if broken:
        raise make_row_error(
            source,
            broken,
            f"{name} holds half of a character ({ascii(values[broken[0]])[:60]}), which is no "
            "valid Unicode",
            "Write the text again with errors='replace'.",
        )


def parse_flags(column: pd.Series, source: str, name: str) -> pd.Series:
    """The column as True, False and None (not stated), dtype object.

    Raises:
        DataError: A value is neither a truth value nor a word for one.
    """
    flags: list[bool | None] = []
    wrong = []
    values = column.tolist()
    for row, value in enumerate(values):
        text = str(value).strip().lower()
        if value is None or text in MISSING_WORDS:
            flags.append(None)
        elif text in _FLAGS:
            flags.append(_FLAGS[text])
        else:
            wrong.append(row)
    if wrong:
        raise make_row_error(
            source,
            wrong,
            f"{name} is {show_cell(values[wrong[0]])}; expected true, false or nothing",
            "Write one of them.",
        )
    return pd.Series(flags, dtype=object)


def show_cell(value: Any) -> str:
    """A cell as Python writes it, cut where it is long."""
    shown = ascii(value) if isinstance(value, str) and has_half_character(value) else repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
