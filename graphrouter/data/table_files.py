"""Reads and writes single tables as files: Parquet, CSV or JSON Lines, by their suffix."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
import pyarrow

from graphrouter.exceptions import DataError

TableFormat = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)


def read_table(file: Path) -> pd.DataFrame:
    """The table in one file, as it stands there: nothing but the format is checked.

    CSV comes in as text.

    Raises:
        DataError: There is no such file, its suffix is unknown or it cannot be read.
    """
    readers = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_jsonl}
    if file.suffix not in readers:
        raise DataError(
            f"{file} has the suffix {file.suffix!r}; expected {_name_suffixes()}. Save the table "
            "in one of these formats."
        )
    if not file.is_file():
        raise DataError(
            f"{file} is {'a folder' if file.is_dir() else 'not there'}; expected a table as a file."
        )
    try:
        return readers[file.suffix](file)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.name} is not UTF-8 text (byte {error.start}: {error.reason}). Save it as UTF-8."
        ) from None
    except OSError as error:
        raise DataError(f"{file.name} cannot be read: {_join_lines(error)}.") from None


def _read_parquet(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except pyarrow.ArrowException as error:
        raise DataError(
            f"{file.name} is no readable Parquet file: {_join_lines(error)}. Write it again."
        ) from None


def _read_csv(file: Path) -> pd.DataFrame:
    # Everything comes in as text: an id such as 001 and a prompt such as NA survive; validation
    # parses the numbers.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                file, dtype="str", keep_default_na=False, index_col=False, encoding="utf-8-sig"
            )
    except pd.errors.EmptyDataError:
        raise DataError(
            f"{file.name} is empty; expected a header line with the column names."
        ) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise DataError(
            f"{file.name} is no valid CSV: {_join_lines(error)}. Quote texts that hold commas or "
            "line breaks."
        ) from None


def _read_jsonl(file: Path) -> pd.DataFrame:
    records = []
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line, parse_constant=_parse_constant)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{file.name}, line {number}: no valid JSON ({error.msg}). Write one object a "
                    "line."
                ) from None
            if not isinstance(record, dict):
                raise DataError(
                    f"{file.name}, line {number}: a {type(record).__name__}; expected an object, "
                    "one a line."
                )
            records.append(record)
    # object: a column with a gap must not turn its whole numbers into floats
    return pd.DataFrame(records, dtype=object)


def _parse_constant(name: str) -> str | float:
    """NaN as the word, which validation refuses by row and column.

    Infinities as numbers, which it refuses as well.
    """
    return name if name == "NaN" else float(name)


def write_table(frame: pd.DataFrame, file: Path) -> None:
    """Write one table to a file, in the format that its suffix names.

    Raises:
        DataError: The suffix is unknown.
    """
    if file.suffix.removeprefix(".") not in FORMATS:
        raise DataError(
            f"{file} has the suffix {file.suffix!r}; expected {_name_suffixes()}. Choose one of "
            "these formats."
        )
    if file.suffix == ".parquet":
        frame.to_parquet(file, index=False)
    elif file.suffix == ".csv":
        # A carriage return inside a text ends the row for readers, yet minimal quoting leaves it
        # bare.
        texts = frame.select_dtypes(include=["str", "object"])
        has_return = any(
            texts[name].astype("str").str.contains("\r", regex=False).any()
            for name in texts.columns
        )
        quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL
        frame.to_csv(file, index=False, lineterminator="\n", quoting=quoting)
    else:
        with file.open("w", encoding="utf-8", newline="\n") as lines:
            for record in frame.to_dict(orient="records"):
                cells = {
                    name: None if value is None or value != value else value
                    for name, value in record.items()
                }
                lines.write(json.dumps(cells, ensure_ascii=False) + "\n")


def write_tables(frames: Mapping[str, pd.DataFrame], folder: Path, *, format: TableFormat) -> None:
    """Write each frame to `folder` under its name, replacing files of the same format.

    Raises:
        DataError: The folder holds one of the tables in another format, or the format is unknown.
    """
    if format not in FORMATS:
        raise DataError(f"Unknown table format {format!r}. Formats: {', '.join(FORMATS)}.")
    for table in frames:
        for other in FORMATS:
            if other != format and (folder / f"{table}.{other}").exists():
                raise DataError(
                    f"{folder} already holds {table}.{other}. Delete it, choose another folder, "
                    f"or save as {other}."
                )
    folder.mkdir(parents=True, exist_ok=True)
    for table, frame in frames.items():
        write_table(frame, folder / f"{table}.{format}")


def _name_suffixes() -> str:
    return " or ".join(f".{name}" for name in FORMATS)


def _join_lines(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
