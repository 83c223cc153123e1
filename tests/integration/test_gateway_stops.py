"""A gateway that is told to stop, and one whose database stops: what clients notice of it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import sqlalchemy as sa

from graphrouter.gateway.store import Store
from graphrouter.gateway.store.store_tables import calls, decisions, outcomes
from tests.integration.test_gateway_killed import PROVIDER, Told, artifact, start
from tests.postgresql import PROGRAMS, Cluster, start_cluster

__all__ = ["artifact"]
pytestmark = pytest.mark.slow  # each start of a gateway takes seconds
WORKERS = 8
CHAT: Any = [{"role": "user", "content": "Add 3 and 4."}]


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Path]:
    """A file that names a provider whose streams take a second."""
    provider, address = start(sys.executable, "-c", PROVIDER.replace("sleep(0.01)", "sleep(0.5)"))
    file = tmp_path / "upstreams.yaml"
    file.write_text(f"defaults: {{base_url: '{address}'}}\n")
    yield file
    provider.terminate()
    provider.communicate()


def serve(artifact: Path, upstreams: Path, place: str) -> tuple[Any, str]:
    words = ["-m", "graphrouter", "serve", str(artifact), "--upstreams", str(upstreams)]
    return start(sys.executable, *words, "--port", "0", "--store", place)


def listens(address: str) -> bool:
    port = httpx2.URL(address).port
    assert port is not None
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def test_a_gateway_that_is_told_to_stop_finishes_what_it_began(
    artifact: Path, upstreams: Path, tmp_path: Path
) -> None:
    place = str(tmp_path / "gateway.db")
    process, address = serve(artifact, upstreams, place)
    with process, openai.OpenAI(base_url=address, api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(model="auto", messages=CHAT, stream=True)
        chunks = [next(stream)]
        process.send_signal(signal.SIGTERM)
        refused_by = time.monotonic() + 20
        while listens(address):
            assert time.monotonic() < refused_by
            time.sleep(0.02)
        chunks += list(stream)
        assert process.wait(30) == -signal.SIGTERM  # which it raises again once it is done
    assert chunks[-1].choices[0].finish_reason == "stop"
    store = Store.open(place)
    with store.reader.connect() as connection:
        (call,) = connection.execute(sa.select(calls)).all()
    store.close()
    assert (call.status, call.input_tokens, call.output_tokens) == (200, 100, 10)


@pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")
def test_a_database_that_starts_again_under_load_loses_nothing_that_was_told(
    artifact: Path, upstreams: Path
) -> None:
    with start_cluster() as cluster:
        place = cluster.make_database("restarted")
        process, address = serve(artifact, upstreams, place)
        with process:
            told, statuses = asyncio.run(ask_while_it_restarts(address, cluster))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == -signal.SIGTERM
        store = Store.open(place)
        with store.reader.connect() as connection:
            kept = set(connection.execute(sa.select(decisions.c.id)).scalars())
            ended = set(connection.execute(sa.select(calls.c.decision_id)).scalars())
            graded = set(connection.execute(sa.select(outcomes.c.id)).scalars())
        store.close()
    assert told.decisions <= kept
    assert told.calls <= ended
    assert told.grades <= graded
    assert set(statuses) <= {200, 503}
    assert statuses[-WORKERS:] == [200] * WORKERS


async def ask_while_it_restarts(address: str, cluster: Cluster) -> tuple[Told, list[int]]:
    """What clients were told, and the statuses of all answers, in their order."""
    told, statuses, is_over = Told(), list[int](), threading.Event()

    def restart() -> None:
        for how in ("fast", "immediate"):
            time.sleep(1.0)
            cluster.stop(how)
            time.sleep(1.0)
            cluster.start()
        time.sleep(3.0)
        is_over.set()

    async with httpx2.AsyncClient(base_url=address, timeout=60) as client:

        async def work(number: int) -> None:
            while not is_over.is_set():
                body = {"model": "auto", "messages": CHAT}
                found = await client.post("/chat/completions", json=body)
                statuses.append(found.status_code)
                if found.status_code != 200:
                    assert found.json()["error"]["message"]
                    continue
                decision = found.headers["x-graphrouter-decision"]
                told.decisions.add(decision)
                told.calls.add(decision)
                grade = {"decision": decision, "effect": 1, "prompt": "x", "id": f"g-{decision}"}
                answer = await client.post("/outcomes", json=grade)
                statuses.append(answer.status_code)
                if answer.status_code == 200:
                    told.grades.add(f"g-{decision}")

        await asyncio.gather(asyncio.to_thread(restart), *map(work, range(WORKERS)))
    return told, statuses
