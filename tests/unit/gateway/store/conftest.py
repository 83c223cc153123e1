"""A store of each kind of database: SQLite, and PostgreSQL where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from graphrouter.gateway.store import Store
from tests.postgresql import PROGRAMS, Cluster, start_cluster

KINDS = ["sqlite", *(["postgresql"] if PROGRAMS else [])]
_numbers = count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with start_cluster() as found:
        yield found


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store is to be."""
    if request.param == "sqlite":
        return str(tmp_path / "gateway.db")
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.make_database(f"store{next(_numbers)}")


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    found = Store.open(place)
    yield found
    found.close()
