"""Stores are made, brought up to date and refused, on every kind of database."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from graphrouter.exceptions import StoreError
from graphrouter.gateway.store import Store, migrations
from graphrouter.gateway.store.migrations.versions import first_tables
from graphrouter.gateway.store.store_tables import METADATA, budgets, settings


def test_migrations_make_the_tables_that_the_code_reads(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_store_is_opened_again_as_it_was(free_place: str) -> None:
    store = Store.open(free_place)
    with store.engine.begin() as connection:
        connection.execute(store.insert_new(settings), {"name": "a", "value": "1"})
        connection.execute(store.insert_new(settings), {"name": "a", "value": "2"})
    store.close()
    again = Store.open(free_place, must_exist=True)
    with again.reader.connect() as connection:
        assert connection.execute(sa.select(settings)).all() == [("a", "1")]
    again.close()


def test_a_store_of_the_first_version_is_brought_up_to_date(place: str) -> None:
    store = Store.open(place)
    with store.engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            METADATA.drop_all(connection)
            connection.exec_driver_sql("DROP TABLE alembic_version")
            first_tables.upgrade()
        context.stamp(ScriptDirectory(str(Path(migrations.__file__).parent)), "1")
        connection.exec_driver_sql("INSERT INTO budgets VALUES ('k', '2026-05-01', 7, 0)")
    store.close()
    again = Store.open(place)
    with again.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert connection.execute(sa.select(budgets)).all() == [("k", "2026-05-01", 7, 0)]
    again.close()


def test_several_make_a_store_at_once(free_place: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: Store.open(free_place), range(6)))
    for store in stores:
        store.close()


def test_a_store_of_another_version_is_refused(place: str) -> None:
    store = Store.open(place)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '999'")
    store.close()
    with pytest.raises(StoreError, match="is of version 999, which this release does not know"):
        Store.open(place)


def test_a_database_of_something_else_is_refused(place: str) -> None:
    store = Store.open(place)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    store.close()
    with pytest.raises(StoreError, match="is a database of something else"):
        Store.open(place)


def test_what_is_no_store_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    with sqlite3.connect(tmp_path / "empty.db"):
        pass
    Store.open(tmp_path / "empty.db").close()
    for place, told in (
        (tmp_path / "text.db", "cannot be opened .file is not a database"),
        (tmp_path / "none" / "there.db", "cannot be opened .unable to open"),
        ("mysql://user:secret@host/name", "a database of mysql"),
        ("postgresql://user:secret@127.0.0.1:1/name", "cannot be opened"),
        ("no url://", "no URL that can be read"),
    ):
        with pytest.raises(StoreError, match=told) as refused:
            Store.open(place)
        assert "\n" not in str(refused.value)
        assert "secret" not in str(refused.value)
    with pytest.raises(StoreError, match="There is no store"):
        Store.open(tmp_path / "new.db", must_exist=True)
    assert not (tmp_path / "new.db").exists()
