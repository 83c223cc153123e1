"""A store: a database of a known version, made where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from graphrouter.exceptions import StoreError
from graphrouter.extras import require_extra

__all__ = ["Store"]

_BUSY_S = 10
_MAKING = 7_041_226
"""Of the advisory lock of PostgreSQL that a store is made under."""
_READS = "graphrouter_reads"
_SQLITE, _POSTGRESQL = "sqlite", "postgresql"


class Store:
    """A database that holds what the gateway remembers.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     store = Store.open(f"{folder}/gateway.db")
        ...     with store.reader.connect() as connection:
        ...         found = connection.exec_driver_sql("SELECT count(*) FROM decisions").scalar()
        ...     store.close()
        >>> found
        0
    """

    def __init__(self, engine: sa.Engine) -> None:
        """A store that has been checked; `open` does that.

        Args:
            engine: Of the database.
        """
        self.engine = engine
        self.reader = engine.execution_options(**{_READS: True})
        """Begins transactions that only read, and so wait for nobody."""

    @classmethod
    def open(cls, place: str | Path, *, must_exist: bool = False) -> Store:
        """The store at a place, made where there is none, and brought to the newest version.

        Args:
            place: A file, which SQLite keeps, or a URL such as `postgresql://user@host/name`.
            must_exist: Refuse to make a file.

        Raises:
            StoreError: It cannot be opened, belongs to something else, or is of a newer version.
            MissingExtraError: The driver of PostgreSQL is not installed.
        """
        url = _read_url(place)
        shown = url.render_as_string(hide_password=True)
        if url.get_backend_name() == _SQLITE:
            shown = url.database or ""
            if must_exist and not Path(shown).is_file():
                raise StoreError(f"There is no store {shown}. Name one that a gateway has written.")
        engine = sa.create_engine(url, **_options(url))
        if url.get_backend_name() == _SQLITE:
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        try:
            _bring_up_to_date(engine, shown)
        except sa.exc.DBAPIError as error:
            engine.dispose()
            raise StoreError(
                f"The store {shown} cannot be opened ({_first_line(error.orig)}). Name a file that "
                "can be written, or the URL of a database that answers."
            ) from None
        except StoreError:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def is_postgresql(self) -> bool:
        """Whether it is a database of PostgreSQL."""
        return self.engine.dialect.name == _POSTGRESQL

    def insert_new(self, table: sa.Table) -> Any:
        """A statement that inserts a row, and leaves one that is there as it is.

        Args:
            table: Of this store.
        """
        if self.is_postgresql:
            from sqlalchemy.dialects.postgresql import insert

            return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        return insert_sqlite(table).on_conflict_do_nothing()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _read_url(place: str | Path) -> sa.URL:
    text = str(place)
    if "://" not in text:
        return sa.URL.create(_SQLITE, database=text)
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise StoreError(
            "The store is no URL that can be read; expected a file, or "
            "postgresql://user:password@host:port/name."
        ) from None
    if url.get_backend_name() == _POSTGRESQL:
        require_extra("postgresql", purpose="A store of PostgreSQL")
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == _SQLITE:
        return url
    raise StoreError(
        f"The store is a database of {url.get_backend_name()}; expected a file, or a URL that "
        "begins with postgresql://."
    )


def _options(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == _SQLITE:
        return {"connect_args": {"timeout": _BUSY_S}}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": _BUSY_S}}


def _prepare_sqlite(connection: Any, record: object) -> None:
    # The driver would begin transactions by itself, and too late for a lock; see `_begin_sqlite`.
    connection.isolation_level = None
    for setting in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # One who reads and then writes cannot wait for others who write, so writers begin as such.
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _bring_up_to_date(engine: sa.Engine, shown: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.execution_options(**{_READS: True}).connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
    with engine.begin() as connection:
        if engine.dialect.name == _POSTGRESQL:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
        there = MigrationContext.configure(connection).get_current_revision()
        if there is None and sa.inspect(connection).get_table_names():
            raise StoreError(
                f"{shown} is a database of something else. Name another for the store."
            )
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise StoreError(
                f"The store {shown} is of version {there}, which this release does not know; it "
                f"reads up to version {newest}. Use a newer release, or name another store."
            ) from None


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
