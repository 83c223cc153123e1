"""Two gateways of one store: what one is told, the other knows at once where the store tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.gateway import Memory, create_app, memory
from graphrouter.gateway.store import Store, feedback_learner
from graphrouter.gateway.store.client_keys import KeyTerms, add_key, change_key, revoke_key
from graphrouter.gateway.store.store_notices import Listener, notify
from graphrouter.gateway.store.stored_calls import WhatIsKept
from tests.postgresql import PROGRAMS
from tests.unit.gateway.conftest import Deployments, Serve

NEVER_S = 600.0
WITHIN_S = 5.0

needs_postgresql = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")


def wait_for(found: Callable[[], object], seconds: float = WITHIN_S) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() < began + seconds
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_change_by_an_admin_and_a_grade_reach_another_gateway(
    router: gr.GraphRouter,
    deployments: Deployments,
    serve: Serve,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On PostgreSQL though neither looks by itself."""
    if "://" in place:
        monkeypatch.setattr(memory, "PERIOD_S", NEVER_S)
        monkeypatch.setattr(feedback_learner, "PERIOD_S", NEVER_S)
    headers = {"authorization": "Bearer secret"}
    clients = []
    for _ in range(2):
        remembers = Memory(Store.open(place), WhatIsKept({}, "0f3c"))
        address = serve(create_app(router, deployments, memory=remembers, key="secret"))
        base = address.removesuffix("/v1")
        clients.append(httpx2.Client(base_url=base, headers=headers, timeout=30))
    one, other = clients
    time.sleep(0.5)  # until both listen
    name = router.models[0]
    path = f"/admin/models/{name}"
    assert one.patch(path, json={"description": "Told to one."}).status_code == 200

    def knows() -> bool:
        return bool(other.get(path).json()["card"]["description"] == "Told to one.")

    wait_for(knows)
    prompt = "A prompt that nobody has seen before."
    own = {"policy": {"preset": "performance_first", "allowed": [name]}}
    body = {"prompt": prompt, "graphrouter": own}
    before = other.post("/v1/route", json=body).json()["effect"]
    grade = {"prompt": prompt, "model": name, "effect": 0.0 if before > 0.5 else 1.0}
    assert one.post("/v1/outcomes", json=grade).is_success
    wait_for(lambda: other.post("/v1/route", json=body).json()["effect"] != before, 60)
    for client in clients:
        client.close()


def test_a_key_that_is_made_changed_or_revoked_counts_in_a_gateway_that_runs(
    router: gr.GraphRouter,
    deployments: Deployments,
    serve: Serve,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On PostgreSQL at once, though the gateway does not look by itself."""
    store = Store.open(place)
    key = add_key(store, "ci", KeyTerms(scopes=("grade",)))
    if "://" in place:
        monkeypatch.setattr(memory, "PERIOD_S", NEVER_S)
    remembers = Memory(Store.open(place), WhatIsKept({}, "0f3c"))
    address = serve(create_app(router, deployments, memory=remembers))
    time.sleep(0.5)  # until it listens
    with httpx2.Client(base_url=address, timeout=30) as client:

        def ask() -> int:
            return client.get("/models", headers={"authorization": f"Bearer {key}"}).status_code

        assert ask() == 403
        change_key(store, "ci", KeyTerms(scopes=("route",)))
        wait_for(lambda: ask() == 200)
        revoke_key(store, "ci")
        wait_for(lambda: ask() == 401)
        key = add_key(store, "next")
        wait_for(lambda: ask() == 200)
    store.close()


@needs_postgresql
def test_a_listener_hears_what_is_committed_and_connects_again(cluster: Any) -> None:
    store = Store.open(cluster.make_database("notices"))
    heard = threading.Event()
    listener = Listener(store, heard.set)
    listener.start()
    time.sleep(0.5)
    with store.engine.connect() as connection:
        notify(store, connection)
        connection.rollback()
    assert not heard.wait(0.3), "what is rolled back did not happen"
    with store.engine.begin() as connection:
        notify(store, connection)
    assert heard.wait(WITHIN_S)
    with store.engine.begin() as connection:  # every other connection is cut off
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    time.sleep(1.5)
    heard.clear()
    with store.engine.begin() as connection:
        notify(store, connection)
    assert heard.wait(WITHIN_S)
    listener.close()
    store.close()


def test_a_file_tells_nobody(tmp_path: Any) -> None:
    store = Store.open(tmp_path / "gateway.db")
    listener = Listener(store, pytest.fail)
    listener.start()
    with store.engine.begin() as connection:
        notify(store, connection)
    listener.close()
    store.close()
