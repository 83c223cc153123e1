"""Rows of numbers in a file, of which only those that are asked for are in memory.

What a training makes of all prompts is a few kilobytes each, and an episode looks at two thousand.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from io import FileIO
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from graphrouter.types import BoolArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

Float32Array = NDArray[np.float32]

MOST_IN_MEMORY = 65_536
"""Rows of a table of prompts that are kept in memory; those of a longer one are filed."""
_ROWS_AT_ONCE = 16_384
"""That are written or hashed at once."""


class RowFile:
    """Rows (num_rows, width) of float32 in a file, read where they are indexed.

    The file has no name from the moment it is there, in the folder for temporary files (`TMPDIR`):
    the system takes its room back when nobody holds it any more, after an error or a kill too. What
    is read is read, and not mapped, so that it counts as memory only while it is in use.

    Example:
        >>> import torch
        >>> rows = RowFile.of(np.arange(6, dtype=np.float32).reshape(3, 2))
        >>> rows[np.array([2, 0])].tolist(), rows[torch.tensor([1])].tolist()
        ([[4.0, 5.0], [0.0, 1.0]], [[2.0, 3.0]])
    """

    def __init__(self, file: FileIO, num_rows: int, width: int) -> None:
        """Rows of an open file that belongs to them from now on; `zeros` and `of` make one."""
        self._file, self.shape = file, (num_rows, width)
        self._row_bytes = width * np.dtype(np.float32).itemsize
        weakref.finalize(self, file.close)

    @classmethod
    def zeros(cls, num_rows: int, width: int) -> RowFile:
        """A file of zeros, which `write` fills.

        Raises:
            OSError: The folder for temporary files has too little room.
        """
        file = tempfile.TemporaryFile(prefix="graphrouter-", buffering=0)  # noqa: SIM115
        rows = cls(file, num_rows, width)
        size = num_rows * rows._row_bytes
        if size and hasattr(os, "posix_fallocate"):  # told now, and not in the middle of the work
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return rows

    @classmethod
    def of(cls, rows: Float32Array) -> RowFile:
        """A file of the rows."""
        filed = cls.zeros(*rows.shape)
        filed.write(0, rows)
        return filed

    def write(self, first: int, rows: Float32Array) -> None:
        """Put rows in the place of those from `first` on."""
        left = _as_bytes(np.ascontiguousarray(rows, dtype=np.float32))
        place = first * self._row_bytes
        while left:
            done = os.pwrite(self._file.fileno(), left, place)
            left, place = left[done:], place + done

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, rows: slice | IntArray | BoolArray) -> Float32Array: ...
    @overload
    def __getitem__(self, rows: Tensor) -> Tensor: ...
    def __getitem__(self, rows: Any) -> Any:
        """Some of the rows, in the order asked for: a tensor where a tensor asks.

        Raises:
            IndexError: There is no such row; positions count from the first.
        """
        if isinstance(rows, slice):
            return self._gather(np.arange(len(self))[rows])
        if isinstance(rows, np.ndarray):
            return self._gather(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows)
        import torch  # here: who reads features need not have it

        return torch.from_numpy(self._gather(rows.numpy()))

    def _gather(self, rows: IntArray) -> Float32Array:
        """Rows at positions, neighbours in one piece."""
        found = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        if not len(rows):
            return found
        begins = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist()]
        for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
            self._read(found[begin:end], int(rows[begin]))
        return found

    def _read(self, found: Float32Array, first: int) -> None:
        if not 0 <= first <= len(self) - len(found):
            raise IndexError(
                f"Rows {first} to {first + len(found) - 1} of a file of {len(self)} rows."
            )
        left, place = _as_bytes(found), first * self._row_bytes
        while left:
            done = os.preadv(self._file.fileno(), [left], place)
            left, place = left[done:], place + done

    def iterate_blocks(self) -> Iterator[Float32Array]:
        """All rows, some at a time."""
        for first in range(0, len(self), _ROWS_AT_ONCE):
            yield self[first : first + _ROWS_AT_ONCE]

    def __reduce__(self) -> tuple[Callable[..., RowFile], tuple[Any, ...]]:
        """The same file in a process that is spawned, as those of a training on several devices."""
        from multiprocessing import reduction

        return _open_again, (reduction.DupFd(self._file.fileno()), self.shape)


def _as_bytes(rows: Float32Array) -> memoryview:
    """The memory of rows that lie one behind the other."""
    return rows.reshape(-1).view(np.uint8).data


def _open_again(handle: Any, shape: tuple[int, int]) -> RowFile:
    return RowFile(FileIO(handle.detach(), "r+b"), *shape)


def is_filed(num_rows: int) -> bool:
    """Whether so many rows are filed: where they are many, and the system can.

    Example:
        >>> is_filed(5_000)
        False
    """
    return num_rows > MOST_IN_MEMORY and hasattr(os, "preadv") and hasattr(os, "pwrite")


def write_rows(table: Float32Array | RowFile, first: int, rows: Float32Array) -> None:
    """Put rows in the place of those of a table from `first` on."""
    if isinstance(table, RowFile):
        table.write(first, rows)
    else:
        table[first : first + len(rows)] = rows
