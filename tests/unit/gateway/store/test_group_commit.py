"""Many writers, one transaction: order, errors of one alone, a database that is locked."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from graphrouter.exceptions import StoreError
from graphrouter.gateway.store import GroupCommit, Store
from graphrouter.gateway.store.store_tables import settings
from tests.postgresql import Cluster


@pytest.fixture
def writer(store: Store) -> Iterator[GroupCommit]:
    found = GroupCommit(store)
    yield found
    found.close()


def read(store: Store) -> dict[str, str]:
    with store.reader.connect() as connection:
        return {row.name: row.value for row in connection.execute(sa.select(settings))}


def test_who_waits_finds_it_written(store: Store, writer: GroupCommit) -> None:
    async def write(number: int) -> None:
        name = f"name{number % 40}"
        await writer.insert(settings, {"name": name, "value": str(number)})
        assert name in read(store)

    async def write_all() -> None:
        await asyncio.gather(*map(write, range(200)))

    asyncio.run(write_all())
    assert read(store) == {f"name{i}": str(i) for i in range(40)}


def test_what_fails_fails_alone(store: Store, writer: GroupCommit) -> None:
    held, go = threading.Event(), threading.Event()

    def hold(connection: sa.Connection) -> None:
        held.set()
        go.wait(10)

    def fail(connection: sa.Connection) -> None:
        connection.execute(store.insert_new(settings), {"name": "undone", "value": "1"})
        raise ValueError("mine")

    def repeat(connection: sa.Connection) -> None:
        connection.execute(sa.insert(settings), {"name": "there", "value": "2"})

    writer.run(hold)
    assert held.wait(10)
    rest = [  # all in one transaction
        writer.insert(settings, {"name": "there", "value": "1"}),
        writer.run(fail),
        writer.run(repeat),
        writer.run(
            lambda connection: connection.execute(sa.select(settings.c.name)).scalars().all()
        ),
    ]
    go.set()
    writer.close()
    assert [type(each.future.exception()) for each in rest[:3]] == [
        type(None),
        ValueError,
        sa.exc.IntegrityError,
    ]
    assert rest[3].future.result() == ["there"]
    assert read(store) == {"there": "1"}


def test_a_row_that_no_database_takes_costs_no_other(store: Store, writer: GroupCommit) -> None:
    held, go = threading.Event(), threading.Event()

    def hold(connection: sa.Connection) -> None:
        held.set()
        go.wait(10)

    writer.run(hold)
    assert held.wait(10)
    rows = [  # in one transaction, the second of which lacks a value
        {"name": "a", "value": "1"},
        {"name": "b", "value": None},
        {"name": "c\0", "value": "half \ud800"},
    ]
    written = [writer.insert(settings, row) for row in rows]
    go.set()
    writer.close()
    assert written[0].future.result() is written[2].future.result() is None
    assert "takes nothing" in str(written[1].future.exception())
    assert read(store) == {"a": "1", "c?": "half ?"}


def test_a_database_that_starts_again_is_waited_for(
    store: Store, writer: GroupCommit, request: pytest.FixtureRequest
) -> None:
    if not store.is_postgresql:
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    written = []
    for number in range(60):
        written.append(writer.insert(settings, {"name": str(number), "value": ""}))
        if number == 20:
            cluster.stop("immediate")
        if number == 40:
            cluster.start()
    assert [each.future.result() for each in written] == [None] * 60
    assert len(read(store)) == 60


def test_who_gives_up_waiting_takes_no_write_back(store: Store, writer: GroupCommit) -> None:
    held, go = threading.Event(), threading.Event()

    def hold(connection: sa.Connection) -> None:
        held.set()
        go.wait(10)

    async def wait(number: int) -> None:
        await writer.insert(settings, {"name": str(number), "value": ""})

    async def give_up() -> None:
        writer.run(hold)
        held.wait(10)
        tasks = [asyncio.create_task(wait(number)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in found] == [type(None), asyncio.CancelledError, type(None)]
        await wait(3)

    asyncio.run(give_up())
    assert sorted(read(store)) == ["0", "1", "2", "3"]


def test_nothing_that_waits_is_lost_on_closing(store: Store, writer: GroupCommit) -> None:
    for number in range(2000):
        writer.insert(settings, {"name": str(number), "value": ""})
    writer.close()
    assert len(read(store)) == 2000
    with pytest.raises(StoreError, match="has been closed"):
        writer.insert(settings, {"name": "late", "value": ""}).future.result()


def test_a_store_that_is_not_to_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrouter.gateway.store.group_commit.WAITS_S", (0.01,))
    monkeypatch.setattr("graphrouter.gateway.store.database._BUSY_S", 0.01)
    store = Store.open(tmp_path / "a.db")
    writer = GroupCommit(store)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = writer.insert(settings, {"name": "a", "value": ""})
    with pytest.raises(StoreError, match="takes nothing .database is locked"):
        refused.future.result()
    other.execute("COMMIT")
    assert writer.insert(settings, {"name": "a", "value": ""}).future.result() is None
    other.close()
    writer.close()
    store.close()
