"""The tables of an artifact: Parquet, of which a column is read when it is asked for.

What serves reads a few columns; data frames, and with them pandas, are for what changes a router.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphrouter.exceptions import ArtifactError
from graphrouter.lazy import pandas as pd
from graphrouter.types import BoolArray

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

MEND = "Train again, or restore a copy."
_MOST_GROWTH, _SPARE_BYTES = 100, 256 * 2**20
"""A table may take this many times its file's bytes, and the spare ones, in memory. Compression
and dictionaries make real ones up to 20 times as large."""
_ROWS_OF_NUMBERS, _ROWS_OF_ANY = 65_536, 1_024
"""At once; a text may be as long as it likes in every row."""


class StoredTable:
    """A table as it lies in an artifact. Columns are read when somebody asks for them.

    Asking raises an `ArtifactError` where the bytes are none of a table, or would take far more
    memory than there are of them.

    Example:
        >>> table = pd.DataFrame({"model": ["nano", None], "effect": [0.5, float("nan")]})
        >>> stored = StoredTable(encode_table(table), Path("outcomes.parquet"))
        >>> stored["model"], stored["effect"].tolist(), len(stored)
        (['nano', None], [0.5, nan], 2)
        >>> stored.to_frame().equals(table)
        True
    """

    def __init__(self, blob: bytes, path: Path) -> None:
        """A table of the bytes of a Parquet file.

        Args:
            blob: The bytes.
            path: Where they lie, for messages.

        Raises:
            ArtifactError: They say that they are no table, or one that takes far more memory.
        """
        self.blob, self._path = blob, path
        self._most = _SPARE_BYTES + _MOST_GROWTH * len(blob)
        self._read: dict[str, Any] = {}
        self._hidden: dict[str, BoolArray] = {}
        self._frames: dict[tuple[str, ...], pd.DataFrame] = {}
        with self._named_in_errors():
            stored = self._open()
            said = stored.metadata
            self._num_rows = said.num_rows
            self._schema = stored.schema_arrow
            groups = [said.row_group(i) for i in range(said.num_row_groups)]
            values = sum(
                group.column(i).num_values for group in groups for i in range(group.num_columns)
            )
            _check_growth(
                max(
                    8 * said.num_rows * said.num_columns,
                    8 * values,
                    sum(group.total_byte_size for group in groups),
                ),
                self._most,
            )

    def __len__(self) -> int:
        return int(self._num_rows)

    @property
    def is_changed(self) -> bool:
        """Whether it differs from its file."""
        return bool(self._hidden)

    def __iter__(self) -> Iterator[str]:
        """The names of its columns, as of a frame."""
        return iter(self._schema.names)

    def __contains__(self, column: object) -> bool:
        return column in self._schema.names

    def __getitem__(self, column: str) -> Any:
        """A column: numbers as (num_rows,) with NaN for none, texts as a list with None for none.

        Vectors of one length come as a matrix, (num_rows, length), of the precision they have.
        """
        if column not in self:
            raise KeyError(column)
        if column in self._read:
            return self._read[column]
        found = self._read_column(column)
        if column in self._hidden:
            found = np.where(self._hidden[column], np.nan, found)
        _give_back_memory()
        if not isinstance(found, np.ndarray):  # numbers are soon read again, and much to keep
            self._read[column] = found
        return found

    def to_frame(self, *columns: str) -> pd.DataFrame:
        """The table, or these columns of it, as a data frame; the same one every time."""
        names = columns or tuple(self._schema.names)
        if names not in self._frames:
            with self._named_in_errors():
                frame = self._decode(names).to_pandas()
            shown = {
                name: frame[name].mask(self._hidden[name]) for name in names if name in self._hidden
            }
            self._frames[names] = frame.assign(**shown)
        return self._frames[names]

    def hide(self, **rows: BoolArray) -> StoredTable:
        """The table in which numbers of a column count as none in some rows, (num_rows,) each.

        What is kept of it is which rows.
        """
        other = copy.copy(self)
        other._frames, other._hidden = {}, {**self._hidden, **rows}
        other._read = {name: found for name, found in self._read.items() if name not in rows}
        return other

    def _open(self) -> ParquetFile:
        """A reader for whoever reads: one serves no two threads, and crosses to no process."""
        from pyarrow import BufferReader
        from pyarrow.parquet import ParquetFile

        return ParquetFile(BufferReader(self.blob), pre_buffer=False)

    def _read_column(self, column: str) -> Any:
        with self._named_in_errors():
            values = self._decode([column]).column(0).combine_chunks()
            if _number_kind(values.type):
                return _to_numbers(values)
            if hasattr(values.type, "value_type"):  # lists
                length = len(values.values) // max(len(values), 1)
                return _to_numbers(values.values).reshape(len(values), length)
            return values.to_pylist()

    def _decode(self, columns: Sequence[str]) -> pa.Table:
        """Columns, counted as they are read: what is stated need not be true."""
        from pyarrow import Table, schema

        fields = [self._schema.field(name) for name in columns]
        are_numbers = all(_number_kind(field.type) for field in fields)
        num_rows = _ROWS_OF_NUMBERS if are_numbers else _ROWS_OF_ANY
        num_bytes, batches = 0, []
        stored = self._open()
        for batch in stored.iter_batches(num_rows, columns=list(columns), use_threads=False):
            num_bytes += batch.nbytes  # dictionaries unfold
            _check_growth(num_bytes, self._most)
            batches.append(batch)
        return Table.from_batches(batches, schema=schema(fields, metadata=self._schema.metadata))

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        """Say which file it is that cannot be read."""
        try:
            yield
        # What pyarrow raises over bytes that somebody made by hand.
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError) as error:
            raise ArtifactError(f"{self._path} cannot be read: {error}. {MEND}") from error


Table: TypeAlias = "pd.DataFrame | StoredTable"


def encode_table(table: Table) -> bytes:
    """The table as Parquet."""
    if isinstance(table, StoredTable) and not table.is_changed:
        return table.blob
    buffer = io.BytesIO()
    to_frame(table).to_parquet(buffer, index=False)
    return buffer.getvalue()


def to_frame(table: Table, *columns: str) -> pd.DataFrame:
    """The table as a data frame: itself, or what of a stored one is read; see there."""
    return table.to_frame(*columns) if isinstance(table, StoredTable) else table


def _number_kind(kind: pa.DataType) -> str:
    """NumPy's name of a type of numbers; empty for all else."""
    from pyarrow import types

    if types.is_floating(kind):
        return f"f{kind.bit_width // 8}"
    if types.is_integer(kind):
        return f"{'i' if types.is_signed_integer(kind) else 'u'}{kind.bit_width // 8}"
    return ""


def _to_numbers(values: pa.Array) -> NDArray[Any]:
    """Numbers as they lie in memory, NaN for none; what pyarrow makes of them loads pandas."""
    present, numbers = values.buffers()
    rows = slice(values.offset, values.offset + len(values))
    found = np.frombuffer(numbers, dtype=_number_kind(values.type))[rows]
    if not values.null_count:
        return found
    is_there = np.unpackbits(np.frombuffer(present, dtype=np.uint8), bitorder="little")[rows]
    return np.where(is_there, found, np.nan)


def _give_back_memory() -> None:
    """Let the system have what pyarrow keeps for later: it reads a table once."""
    from pyarrow import default_memory_pool

    default_memory_pool().release_unused()


def _check_growth(num_bytes: int, most: int) -> None:
    if num_bytes > most:
        raise ValueError(f"it would take {num_bytes:,} bytes of memory; expected at most {most:,}")
