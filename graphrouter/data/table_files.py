"""Reads and writes single tables as files: Parquet, CSV or JSON Lines, by their suffix."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

import pyarrow

from graphrouter.data.values import make_row_error
from graphrouter.data.view_columns import write_cells
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.text_files import parse_json, read_text_file
from graphrouter.wording import count_of

logger = logging.getLogger(__name__)

TableFormat = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)
READABLE_SUFFIXES: dict[str, TableFormat] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".tsv.gz": "csv",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
}
"""What a table that is read may be called; the formats without .gz are written as well."""
_ROWS_AT_ONCE = 262_144
"""Of a table that is written in parts."""
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_table(file: Path) -> pd.DataFrame:
    """The table in one file, as it stands there: nothing but the format is checked.

    CSV comes in as text. It may be divided by commas, semicolons, tabs or bars. Text may be packed
    by gzip.

    Raises:
        DataError: There is no such file, its suffix is unknown or it cannot be read.
    """
    kind = find_format(file)
    if kind is None:
        raise DataError(
            f"{file} has the suffix {file.suffix!r}; expected {_name_suffixes()}. Save the table "
            "in one of these formats."
        )
    if not file.is_file():
        raise DataError(
            f"{file} is {'a folder' if file.is_dir() else 'not there'}; expected a table as a file."
        )
    try:
        if kind == "parquet":
            return _read_parquet(file)
        text = read_text_file(file)
    except OSError as error:
        raise DataError(f"{file.name} cannot be read: {_join_lines(error)}.") from None
    return _read_jsonl(text, file.name) if kind == "jsonl" else _read_csv(text, file.name)


def find_format(file: Path) -> TableFormat | None:
    """The format that the name of a file tells, packed or not; None where it tells none.

    Example:
        >>> find_format(Path("outcomes.csv.gz")), find_format(Path("outcomes.xlsx"))
        ('csv', None)
    """
    return next(
        (kind for suffix, kind in READABLE_SUFFIXES.items() if file.name.endswith(suffix)), None
    )


def _read_parquet(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.name} holds a text that is not UTF-8 ({error.reason}). Write it again."
        ) from None
    except (pyarrow.ArrowException, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{file.name} is no readable Parquet file: {_join_lines(error)}. Write it again."
        ) from None


def _read_csv(text: str, name: str) -> pd.DataFrame:
    # Everything comes in as text: an id such as 001 and a prompt such as NA survive; validation
    # parses the numbers. The reader is Python's own, since that of pandas cuts a text at a NUL,
    # renames a column that stands there twice, and fills up a row that was cut.
    lines = io.StringIO(text, newline="")
    first = _read_first_line(lines)
    if first.lower().startswith("sep=") and len(first) == len("sep=;"):  # as Excel writes it
        separator, first = first[-1], _read_first_line(lines, skip=1)
    else:
        lines.seek(0)
        separator = _find_separator(first)
    if not first.strip():
        raise DataError(f"{name} is empty; expected a header line with the column names.")
    is_spaced = _has_space_after_each(first, separator)
    before = csv.field_size_limit(sys.maxsize)  # prompts of megabytes occur
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=is_spaced, strict=True)
    try:
        header = next(row for row in reader if row)
        rows = [row for row in reader if row and not _is_blank_line(row, len(header))]
    except csv.Error as error:
        raise DataError(
            f"{name}, line {reader.line_num}: no valid CSV ({_join_lines(error)}). Quote texts "
            "that hold quotes, commas or line breaks, and double the quotes in them."
        ) from None
    finally:
        csv.field_size_limit(before)
    _tell_how_read(name, separator, is_spaced=is_spaced)
    return _fill_columns(header, rows, name)


def _read_first_line(lines: io.StringIO, *, skip: int = 0) -> str:
    """The first line that is not blank, behind `skip` lines; reading goes on at its begin."""
    lines.seek(0)
    for _ in range(skip):
        lines.readline()
    while True:
        begin = lines.tell()
        line = lines.readline()
        if line.strip() or not line:
            lines.seek(begin)
            return line.rstrip("\r\n")


def _find_separator(header: str) -> str:
    """What divides the columns: the comma where there is one, else the most frequent of the others.

    Quoted names do not count.
    """
    bare = re.sub(r'"[^"]*"', "", header)
    if "," in bare:
        return ","
    return max(_SEPARATORS, key=bare.count)


def _has_space_after_each(header: str, separator: str) -> bool:
    """Whether a blank follows each separator of the header, as people type it."""
    after = header.split(separator)[1:]
    return bool(after) and all(name.startswith(" ") for name in after)


def _tell_how_read(name: str, separator: str, *, is_spaced: bool) -> None:
    if separator != "," and not (separator == "\t" and ".tsv" in name):
        logger.warning("%s is divided by %s, and was read so.", name, _SEPARATORS[separator])
    if is_spaced:
        logger.warning("%s has a blank after each separator, which was left out.", name)


def _fill_columns(header: list[str], rows: list[list[str]], name: str) -> pd.DataFrame:
    """The rows as a frame of text, in which cells that a row lacks at its end are empty."""
    wide = [number for number, row in enumerate(rows) if len(row) > len(header)]
    if wide:
        raise make_row_error(
            name,
            wide,
            f"no valid CSV: {count_of(len(rows[wide[0]]), 'cell')} for "
            f"{count_of(len(header), 'column')}",
            "Quote texts that hold commas or line breaks.",
        )
    short = [number for number, row in enumerate(rows) if len(row) < len(header)]
    if short:
        logger.warning(
            "%s: %s cells at the end, the first is row %d; those were read as empty. Look whether "
            "the file was cut.",
            name,
            count_of(len(short), "row", "lacks", "lack"),
            short[0] + 1,
        )
        for number in short:
            rows[number] += [""] * (len(header) - len(rows[number]))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    kept = [  # a separator at the end of every line is no column
        pd.Series(cells, dtype="str", name=title)
        for title, cells in zip(header, columns, strict=True)
        if title.strip() or any(cells)
    ]
    return pd.concat(kept, axis=1)


def _is_blank_line(row: list[str], num_columns: int) -> bool:
    return num_columns > 1 and len(row) == 1 and not row[0].strip()


def _read_jsonl(text: str, name: str) -> pd.DataFrame:
    if text.lstrip().startswith("["):
        records = _read_json_array(text, name)
        if records is not None:
            return pd.DataFrame(records, dtype=object)
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except ValueError as error:
            reason = getattr(error, "msg", str(error))
            raise DataError(
                f"{name}, line {number}: no valid JSON ({reason}). Write one object a line."
            ) from None
        if not isinstance(record, dict):
            raise DataError(
                f"{name}, line {number}: a {type(record).__name__}; expected an object, one a line."
            )
        records.append(record)
    # object: a column with a gap must not turn its whole numbers into floats
    return pd.DataFrame(records, dtype=object)


def _read_json_array(text: str, name: str) -> list[dict[str, Any]] | None:
    """The objects of a file that is one JSON list; None where it is something else."""
    try:
        found = parse_json(text)
    except ValueError:
        return None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        return None
    logger.warning("%s is one JSON list, not an object a line, and was read as such.", name)
    return found


def write_table(frame: pd.DataFrame, file: Path) -> None:
    """Write one table to a file, in the format that its suffix names.

    Raises:
        DataError: The suffix is unknown.
    """
    write_parts([frame], file)


def write_parts(parts: Iterable[pd.DataFrame], file: Path) -> int:
    """Write a table that comes in parts, as `write_table` writes it whole, and count its rows.

    Some parts are in memory at a time, so that a table may be longer than memory.

    Args:
        parts: At least one, with the same columns, of the same kinds.
        file: Where.

    Raises:
        DataError: The suffix is unknown.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> part = pd.DataFrame({"model": ["nano"], "effect": [0.5]})
        >>> with TemporaryDirectory() as folder:
        ...     num_rows = write_parts([part, part], Path(folder) / "two.csv")
        ...     num_rows, read_table(Path(folder) / "two.csv")["effect"].tolist()
        (2, ['0.5', '0.5'])
    """
    if file.suffix.removeprefix(".") not in FORMATS:
        raise DataError(
            f"{file} has the suffix {file.suffix!r}; expected {_name_suffixes()}. Choose one of "
            "these formats."
        )
    chunks = (write_cells(chunk, as_text=file.suffix == ".csv") for chunk in _gather(parts))
    if file.suffix == ".parquet":
        return _write_parquet(chunks, file)
    num_rows = 0
    with file.open("w", encoding="utf-8", newline="") as text:
        for chunk in chunks:
            if file.suffix == ".csv":
                _write_csv(chunk, text, header=num_rows == 0)
            else:
                _write_jsonl(chunk, text)
            num_rows += len(chunk)
    return num_rows


def _gather(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The same rows in fewer parts, of about `_ROWS_AT_ONCE`."""
    some: list[pd.DataFrame] = []
    for part in parts:
        some.append(part)
        if sum(map(len, some)) >= _ROWS_AT_ONCE:
            yield some[0] if len(some) == 1 else pd.concat(some, ignore_index=True)
            some = []
    if some:
        yield some[0] if len(some) == 1 else pd.concat(some, ignore_index=True)


def _write_parquet(chunks: Iterator[pd.DataFrame], file: Path) -> int:
    """Write a row group a chunk; a single chunk as pandas writes it."""
    from pyarrow.parquet import ParquetWriter

    first = next(chunks)
    second = next(chunks, None)
    if second is None:
        first.to_parquet(file, index=False)
        return len(first)
    schema = pyarrow.Schema.from_pandas(first, preserve_index=False)
    num_rows = 0
    with ParquetWriter(file, schema) as writer:
        for chunk in chain((first, second), chunks):
            writer.write_table(pyarrow.Table.from_pandas(chunk, schema, preserve_index=False))
            num_rows += len(chunk)
    return num_rows


def _write_csv(frame: pd.DataFrame, text: TextIO, *, header: bool) -> None:
    # A carriage return inside a text ends the row for readers, yet minimal quoting leaves it bare.
    texts = frame.select_dtypes(include=["str", "object"])
    has_return = any(
        texts[name].astype("str").str.contains("\r", regex=False).any() for name in texts.columns
    )
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL
    frame.to_csv(text, index=False, header=header, lineterminator="\n", quoting=quoting)


def _write_jsonl(frame: pd.DataFrame, text: TextIO) -> None:
    for record in frame.to_dict(orient="records"):
        cells = {
            name: None if value is None or value != value else value
            for name, value in record.items()
        }
        text.write(json.dumps(cells, ensure_ascii=False) + "\n")


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
