"""One thread that writes to a store, all who wait in one transaction."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa

from graphrouter.exceptions import StoreError
from graphrouter.gateway.store.database import Store

__all__ = ["GroupCommit", "Written"]

T = TypeVar("T")
MOST_AT_ONCE = 500
"""Writes of one transaction."""
WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before a transaction is tried again that the database has refused: it may be busy, or be
starting again."""

_logger = logging.getLogger(__name__)


class Written(Generic[T]):
    """A write to come: who awaits it knows it committed, and gets what it found."""

    def __init__(self, future: Future[T]) -> None:
        """A write.

        Args:
            future: Done when it is committed.
        """
        self.future = future

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the commit without holding up the event loop.

        Whoever gives up waiting, as for a client that has left, does not take the write back.
        """
        return asyncio.shield(asyncio.wrap_future(self.future)).__await__()


class _Write(NamedTuple):
    work: tuple[sa.Table, Mapping[str, Any]] | Callable[[sa.Connection], Any]
    future: Future[Any]


class GroupCommit:
    """Writes rows in the order in which they are given, many of them in one transaction.

    Nobody waits who does not want to: a write is in the store once what comes back is done. While
    one transaction commits, the writes of the next gather.
    """

    def __init__(self, store: Store) -> None:
        """Begin to write.

        Args:
            store: Where to.
        """
        self.store = store
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    def insert(self, table: sa.Table, row: Mapping[str, Any]) -> Written[None]:
        """Insert a row; one that is there stays as it is.

        Args:
            table: Of the store.
            row: Every row of a table names the same columns. Of texts, what no database keeps
                (zeros, halves of characters) becomes a question mark.
        """
        return self._put((table, {name: _clean(value) for name, value in row.items()}))

    def run(self, work: Callable[[sa.Connection], T]) -> Written[T]:
        """Run something in a transaction, after the inserts of the same one.

        Args:
            work: Reads and writes by the connection; may run again where a transaction fails.
        """
        return self._put(work)

    def close(self) -> None:
        """Write what waits, and stop; what is given after that is refused."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _put(self, work: Any) -> Written[Any]:
        future: Future[Any] = Future()
        if self._closed:
            future.set_exception(StoreError("The store has been closed. Open it again."))
        else:
            self._queue.put(_Write(work, future))
        return Written(future)

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch = []
            found = self._queue.get()
            while found is not None:
                batch.append(found)
                if len(batch) == MOST_AT_ONCE:
                    break
                try:
                    found = self._queue.get_nowait()
                except Empty:
                    break
            is_open = found is not None
            if batch:
                self._write(batch)

    def _write(self, batch: Sequence[_Write]) -> None:
        found: Sequence[Any] | None = None
        reason = ""
        for wait_s in (*WAITS_S, None):
            try:
                with self.store.engine.begin() as connection:
                    found = _apply(self.store, connection, batch)
                break
            except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
                reason = _first_line(error.orig)
                if wait_s is not None:
                    time.sleep(wait_s)
            except Exception as error:  # of one of the writes: the others are good
                if len(batch) > 1:
                    for write in batch:
                        self._write([write])
                    return
                reason = f"{type(error).__name__}: {_first_line(error)}"
                break
        if found is None:
            _logger.error("The store takes nothing (%s).", reason)
            refused = StoreError(f"The store takes nothing ({reason}). See that it can be written.")
            found = [refused] * len(batch)
        for write, value in zip(batch, found, strict=True):
            if isinstance(value, BaseException):
                write.future.set_exception(value)
            else:
                write.future.set_result(value)


def _apply(store: Store, connection: sa.Connection, batch: Sequence[_Write]) -> list[Any]:
    """What each write found, or the error that it alone has met."""
    rows = defaultdict(list)
    for write in batch:
        if isinstance(write.work, tuple):
            table, row = write.work
            rows[table].append(row)
    for table, found in rows.items():
        connection.execute(store.insert_new(table), found)
    return [
        None if isinstance(write.work, tuple) else _run(connection, write.work) for write in batch
    ]


def _run(connection: sa.Connection, work: Callable[[sa.Connection], Any]) -> Any:
    try:
        with connection.begin_nested():
            return work(connection)
    except sa.exc.OperationalError:
        raise  # of the connection, not of this work
    except Exception as error:
        return error


def _clean(value: Any) -> Any:
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "?").encode("utf-8", "replace").decode()


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
