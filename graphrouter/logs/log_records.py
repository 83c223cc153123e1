"""The records of a log: from files, a folder of them, or a table of PostgreSQL."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphrouter.data.table_files import read_table
from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.files import to_path
from graphrouter.logs.logged_calls import Record
from graphrouter.text_files import read_text_file
from graphrouter.wording import show_value

__all__ = ["is_database", "read_records"]

_DATABASES = ("postgresql://", "postgres://")
_TEXTS = (".json", ".jsonl", ".ndjson")
_TABLES = (".csv", ".tsv", ".parquet")
_LISTS = ("data", "result", "results", "traces", "observations", "items")
"""Members of an answer of an API that hold its records."""
_ROWS_AT_ONCE = 1000


def is_database(source: str) -> bool:
    """Whether a source is the address of a PostgreSQL database.

    Example:
        >>> is_database("postgresql://reader@db.example/spend"), is_database("spend.jsonl")
        (True, False)
    """
    return source.startswith(_DATABASES)


def read_records(source: str | Path, *, table: str = "") -> Iterator[Record]:
    """The records of a log, file after file in the order of their names.

    Args:
        source: A file (.jsonl, .json, .csv, .tsv, .parquet; packed as .gz or not), a folder of
            such files, or the address of a PostgreSQL database.
        table: Of the database, its schema before it where it has one.

    Raises:
        DataError: There is nothing to be read, or it cannot be read.
        MissingExtraError: psycopg is not installed.
    """
    if isinstance(source, str) and is_database(source):
        yield from _read_database(source, table)
        return
    place = to_path(source, "a log", DataError)
    for file in _list_files(place):
        yield from _read_file(file)


def _list_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"There is no file or folder {place}. Name the log.")
    found = [file for file in sorted(place.rglob("*")) if _find_suffix(file) in _TEXTS + _TABLES]
    if not found:
        raise DataError(
            f"{place} holds no file of a log; expected {', '.join(_TEXTS + _TABLES)}, packed as "
            ".gz or not."
        )
    return found


def _find_suffix(file: Path) -> str:
    return Path(file.stem).suffix if file.suffix == ".gz" else file.suffix


def _read_file(file: Path) -> Iterator[Record]:
    if _find_suffix(file) in _TABLES:
        for row in read_table(file).to_dict("records"):
            yield {str(name): _drop_nan(value) for name, value in row.items()}
        return
    text = read_text_file(file)
    whole = _parse_whole(text)
    if whole is not None:
        yield from _unfold(whole, file)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield from _unfold(_parse_line(line, file, number), file)


def _parse_whole(text: str) -> Any:
    """The one value that a text is, None where it is a line each."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _parse_line(line: str, file: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", str(error))
        raise DataError(
            f"{file.name}, line {number}: no valid JSON ({reason}). Write one object a line."
        ) from None


def _unfold(value: Any, file: Path) -> Iterator[Record]:
    """The records of a value: itself, those of a list, or those that an API has answered."""
    if isinstance(value, dict):
        held = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
        is_page = held and not {"request", "info", "trace", "custom_id"} & value.keys()
        if not is_page:
            yield value
            return
        value = held[0]
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise DataError(f"{file.name} holds {show_value(value)}; expected objects.")
    yield from value


def _read_database(address: str, table: str) -> Iterator[Record]:
    require_extra("postgresql", "psycopg", purpose="Reading a log from PostgreSQL")
    import psycopg
    from psycopg.rows import dict_row
    from psycopg.sql import SQL, Identifier

    name = Identifier(*table.split("."))
    try:
        with (
            psycopg.connect(address) as connection,
            connection.cursor("log", row_factory=dict_row) as rows,
        ):
            connection.read_only = True
            rows.itersize = _ROWS_AT_ONCE
            rows.execute(SQL("SELECT * FROM {}").format(name))
            yield from rows
    except psycopg.Error as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"Cannot read the table {table!r} of the database: {reason}.") from None


def _drop_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
