"""Notices of PostgreSQL: a gateway hears at once that another one has written to their store.

A transaction that others should know of calls `notify` before it is committed, and a `Listener`
calls back when it was. Nothing rests on that: who listens also looks twice a second, which is all
that there is on SQLite, and while a connection is lost.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import sqlalchemy as sa

from graphrouter.gateway.store.database import Store

__all__ = ["Listener", "notify"]

_CHANNEL = "graphrouter"
_LOOKS_S = 0.5
"""Seconds after which a listener sees that it was closed, or connects again."""

_logger = logging.getLogger(__name__)


def notify(store: Store, connection: sa.Connection) -> None:
    """Let everybody who listens to the store know, once this transaction is committed.

    Args:
        store: A database of PostgreSQL; with any other nothing is done.
        connection: In a transaction that writes.
    """
    if store.is_postgresql:
        connection.execute(sa.select(sa.func.pg_notify(_CHANNEL, "")))


class Listener:
    """Calls back, from a thread of its own, when somebody has written to a store."""

    def __init__(self, store: Store, heard: Callable[[], None]) -> None:
        """A listener that is not started yet.

        Args:
            store: What is listened to.
            heard: Called after each notice; several at once count as one.
        """
        self._store, self._heard = store, heard
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="listen", daemon=True)

    def start(self) -> None:
        """Listen from now on, where the store tells of changes at all."""
        if self._store.is_postgresql:
            self._thread.start()

    def close(self) -> None:
        """Listen no longer."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        import psycopg  # here: the driver of PostgreSQL is an extra

        while not self._closing.is_set():
            try:
                self._listen()
            except (sa.exc.DBAPIError, psycopg.Error) as error:
                _logger.debug("The store tells of no changes (%s); it is looked at.", error)
                self._closing.wait(_LOOKS_S)

    def _listen(self) -> None:
        engine = self._store.engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"LISTEN {_CHANNEL}")
            try:
                driver = connection.connection.driver_connection
                while not self._closing.is_set():
                    notices = list(driver.notifies(timeout=_LOOKS_S, stop_after=1))  # type: ignore[union-attr]
                    if notices:
                        self._heard()
            finally:
                connection.invalidate()  # so that nobody else gets one that listens
