"""Finds and reads the files in which others publish their outcomes.

Parquet, CSV, JSON and JSON Lines, never pickle.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet as arrow_parquet

from graphrouter.bench.hub.sources import SOURCE_FILE
from graphrouter.data.columns import SplitName
from graphrouter.data.table_files import read_table
from graphrouter.exceptions import DataError
from graphrouter.text_files import parse_json, read_text_file

PICKLES = (".pkl", ".pickle")
_CSV_BLOCK_BYTES = 1 << 26
"""A row must fit into a block; prompts of several megabytes occur."""
_SPLITS: dict[str, SplitName] = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


def find_files(source: Path, suffixes: Sequence[str], *, wanted: str) -> list[Path]:
    """The file itself, or the files below a folder that have one of the suffixes, sorted by path.

    Args:
        source: A file or a folder, in which hidden files and what `data fetch` notes beside its
            files are passed over.
        suffixes: What a file may end in.
        wanted: What is expected, for messages.

    Raises:
        DataError: There is nothing of the kind, or only pickles.
    """
    if source.is_file():
        found = [source]
    elif source.is_dir():
        parts = {
            path: path.relative_to(source).parts
            for path in sorted(source.rglob("*"))
            if path.is_file()
        }
        found = [
            path
            for path in parts
            if not any(part.startswith(".") or part == SOURCE_FILE for part in parts[path])
        ]
    else:
        raise DataError(f"There is no {source}; expected {wanted}.")
    usable = [path for path in found if path.suffix in suffixes]
    pickles = [path for path in found if path.suffix in PICKLES]
    if pickles and not usable:
        raise DataError(
            f"{pickles[0]} is a pickle, and reading one runs whatever code its author put inside, "
            "so graphrouter does not. "
            "Convert it once in a throw-away environment: docs/formats.md, section Pickles."
        )
    if not usable:
        there = ", ".join(path.name for path in found[:5]) or "nothing"
        raise DataError(
            f"{source} holds no {' or '.join(suffixes)} file (found: {there}); expected {wanted}."
        )
    return usable


def find_one_file(source: Path, suffixes: Sequence[str], *, wanted: str) -> Path:
    """The file itself, or the only such file below a folder.

    Raises:
        DataError: There is none, or more than one.
    """
    found = find_files(source, suffixes, wanted=wanted)
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(source)) for path in found[:5])
        raise DataError(
            f"{source} holds {len(found)} files that could be meant ({names}). Name one of them."
        )
    return found[0]


def find_split_in_name(file: Path) -> SplitName | None:
    """The split that a file name such as `train-00000-of-00003.parquet` or `my_val.csv` tells.

    None where it tells none.

    Example:
        >>> find_split_in_name(Path("data/validation-00000-of-00001.parquet"))
        'validation'
    """
    words = "".join(c if c.isalpha() else " " for c in file.stem.lower()).split()
    told = {_SPLITS[word] for word in words if word in _SPLITS}
    return told.pop() if len(told) == 1 else None


def read_column_names(file: Path) -> list[str]:
    """The columns of a .parquet or .csv file, of which only the head is read.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        if file.suffix == ".parquet":
            return list(arrow_parquet.read_schema(file).names)
        read, parse, _ = _find_csv_options(())
        with arrow_csv.open_csv(file, read_options=read, parse_options=parse) as head:
            return list(head.schema.names)
    except (pa.ArrowException, OSError) as error:
        raise _describe_unreadable(file, error) from None


def read_columns(
    file: Path, columns: Sequence[str], *, repeated: Collection[str] = ()
) -> pd.DataFrame:
    """Some columns of a .parquet or .csv file.

    CSV comes in as text. `.field` reaches into a struct of a Parquet file.

    Args:
        file: What to read.
        columns: What to take; all of them must be there.
        repeated: Columns with few distinct values, which come as categories to save memory.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        if file.suffix == ".parquet":
            few = [column for column in repeated if column in columns]
            with arrow_parquet.ParquetFile(
                file, read_dictionary=few
            ) as parquet:  # read_table trips over dots in names
                table = parquet.read(columns=list(columns))
        else:
            read, parse, text = _find_csv_options(columns, repeated)
            table = arrow_csv.read_csv(
                file, read_options=read, parse_options=parse, convert_options=text
            )
        frame: pd.DataFrame = table.to_pandas(
            ignore_metadata=True
        )  # rows count from 0, whatever index was saved
    except (pa.ArrowException, OSError) as error:
        raise _describe_unreadable(file, error) from None
    return frame


def read_rows(file: Path, columns: Collection[str] | None = None) -> pd.DataFrame:
    """Those of the columns that are there; all of them where none are named.

    Of a .parquet, .csv or .jsonl file, or of a .json file that holds a list of objects.

    Raises:
        DataError: The file cannot be read.
    """
    if file.suffix in (".parquet", ".csv"):
        there = read_column_names(file)
        return read_columns(file, [name for name in there if columns is None or name in columns])
    rows = (
        read_table(file)
        if file.suffix == ".jsonl"
        else pd.DataFrame(read_json_objects(read_json(file), file), dtype=object)
    )
    return rows if columns is None else rows[[name for name in rows.columns if name in columns]]


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: It is no JSON, or no UTF-8.
    """
    text = read_text_file(file)
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        where, reason = f"{file}, line {error.lineno}", error.msg
    except ValueError as error:
        where, reason = str(file), str(error)
    raise DataError(f"{where}: no valid JSON ({reason}). Write or download the file again.")


def read_json_objects(value: Any, file: Path) -> list[dict[str, Any]]:
    """The value, once it is sure that it is a list of objects.

    Raises:
        DataError: It is something else.
    """
    if not isinstance(value, list):
        raise DataError(f"{file} holds a {type(value).__name__}; expected a list of objects.")
    for row, item in enumerate(value, start=1):
        if not isinstance(item, dict):
            raise DataError(f"{file}, row {row}: a {type(item).__name__}; expected an object.")
    return value


def require_columns(
    found: Collection[str], needed: Sequence[str], file: Path, *, form: str
) -> None:
    """Check that every needed column or key is there.

    Raises:
        DataError: One is missing.
    """
    for name in needed:
        if name not in found:
            there = ", ".join(sorted(map(str, found))[:12]) or "none"
            raise DataError(
                f"{file}: {name!r} is missing (found: {there}). Expected {form}, with "
                f"{', '.join(needed)}."
            )


def _find_csv_options(
    columns: Sequence[str], repeated: Collection[str] = ()
) -> tuple[arrow_csv.ReadOptions, arrow_csv.ParseOptions, arrow_csv.ConvertOptions]:
    categories = pa.dictionary(pa.int32(), pa.string())
    types = {column: categories if column in repeated else pa.string() for column in columns}
    convert = arrow_csv.ConvertOptions(
        column_types=types, include_columns=list(columns), strings_can_be_null=False
    )
    return (
        arrow_csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
        arrow_csv.ParseOptions(newlines_in_values=True),
        convert,
    )


def _describe_unreadable(file: Path, error: BaseException) -> DataError:
    what = " ".join(str(error).split()).rstrip(".")
    return DataError(
        f"{file} is no readable {file.suffix.removeprefix('.').upper()} file: {what}. Write or "
        "download it again."
    )
