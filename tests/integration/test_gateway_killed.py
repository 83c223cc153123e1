"""A gateway is killed under load, ten times: whatever it has told a client is in its store."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.client_keys import KeyTerms, add_key
from graphrouter.gateway.store.store_tables import budgets, calls, decisions, outcomes
from tests.postgresql import PROGRAMS, start_cluster

# Each start of a gateway takes seconds, and tens of them where much else runs.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KILLS = 10
WORKERS = 16
PROVIDER = """
import asyncio, json, socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
HEAD = {"id": "c", "created": 1, "model": "m"}

async def stream():
    for choice in ({"delta": {"content": "7"}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}):
        yield "data: %s\\n\\n" % json.dumps(HEAD | {"object": "chat.completion.chunk", "choices": [choice | {"index": 0}]})
        await asyncio.sleep(0.01)
    yield "data: %s\\n\\n" % json.dumps(HEAD | {"object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    yield "data: [DONE]\\n\\n"

async def answer(request):
    body = json.loads(await request.body())
    if body.get("stream"):
        return StreamingResponse(stream(), media_type="text/event-stream")
    message = {"role": "assistant", "content": "7"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse(HEAD | {"object": "chat.completion", "choices": [choice], "usage": USAGE})

listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
print("at http://127.0.0.1:%d/v1" % listening.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listening])
"""  # noqa: E501


@dataclass
class Told:
    """What clients were told."""

    decisions: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    grades: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed") / "router"
    data = gr.simulate(num_queries=150, num_models=4, seed=1).data
    config = gr.load_config(overrides=["encoder.name=hashing"])
    gr.GraphRouter.fit(data, config, instant=True).save(folder)
    return folder


@pytest.fixture(params=["sqlite", *(["postgresql"] if PROGRAMS else [])])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "gateway.db")
    else:
        with start_cluster() as cluster:
            yield cluster.make_database("killed")


def start(*words: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


async def ask_until_it_is_gone(
    address: str, key: str, told: Told, process: subprocess.Popen[str], rng: random.Random
) -> None:
    async with openai.AsyncOpenAI(
        base_url=address, api_key=key, max_retries=0, timeout=120
    ) as client:

        async def ask_one(number: int) -> None:
            chat: Any = [{"role": "user", "content": f"Add {number} and 4."}]
            create = client.chat.completions.with_raw_response.create
            if number % 3 == 0:
                found = await create(model="auto", messages=chat, stream=True)
                decision = found.headers["x-graphrouter-decision"]
                told.decisions.add(decision)
                async for _ in found.parse():
                    pass
                return
            found = await create(model="auto", messages=chat)
            decision = found.headers["x-graphrouter-decision"]
            told.decisions.add(decision)
            told.calls.add(decision)
            if number % 2:
                grade = {"decision": decision, "effect": 1, "prompt": "x", "id": f"g-{decision}"}
                await client.post("/outcomes", body=grade, cast_to=object)
                told.grades.add(str(grade["id"]))

        async def work() -> None:
            while True:
                try:
                    await ask_one(rng.randrange(10_000))
                except openai.APIConnectionError:
                    return
                except Exception:
                    if process.poll() is not None:  # it was cut off in the middle of an answer
                        return
                    raise

        enough = len(told.calls) + rng.randrange(20, 60)
        working = asyncio.gather(*(work() for _ in range(WORKERS)))
        try:
            while len(told.calls) < enough:
                await asyncio.sleep(rng.uniform(0, 0.05))
                assert not working.done()
        finally:
            process.kill()
            process.wait()
        await working


def test_nothing_that_was_told_is_lost(artifact: Path, place: str, tmp_path: Path) -> None:
    store = Store.open(place)
    key = add_key(store, "ada", KeyTerms(scopes=["route", "grade"], nanousd_per_day=10**15))
    provider, upstream = start(sys.executable, "-c", PROVIDER)
    upstreams = tmp_path / "upstreams.yaml"
    upstreams.write_text(
        f"defaults: {{base_url: '{upstream}', input_usd_per_mtok: 1, output_usd_per_mtok: 4}}\n"
    )
    words = ["-m", "graphrouter", "serve", str(artifact), "--upstreams", str(upstreams)]
    words += ["--port", "0", "--store", place]
    told, rng = Told(), random.Random(0)
    try:
        for _ in range(KILLS):
            process, address = start(sys.executable, *words)
            with process:
                asyncio.run(ask_until_it_is_gone(address, key, told, process, rng))
            with store.reader.connect() as connection:
                kept = set(connection.execute(sa.select(decisions.c.id)).scalars())
                ended = set(connection.execute(sa.select(calls.c.decision_id)).scalars())
                graded = set(connection.execute(sa.select(outcomes.c.id)).scalars())
            assert told.decisions <= kept
            assert told.calls <= ended <= kept
            assert told.grades <= graded
    finally:
        provider.terminate()
        provider.communicate()
    assert len(told.grades) > KILLS
    with store.reader.connect() as connection:
        cost = connection.execute(sa.select(sa.func.sum(calls.c.cost_nanousd))).scalar_one()
        spent = connection.execute(sa.select(budgets)).one()
        expected = connection.execute(
            sa.select(sa.func.sum(decisions.c.expected_nanousd)).where(
                decisions.c.id.not_in(sa.select(calls.c.decision_id))
            )
        ).scalar_one()
    assert cost == 140_000 * len(ended)
    # A call is settled behind its row: what was cut off between the two is set aside, not lost.
    assert 0 <= int(cost) - spent.spent_nanousd <= 140_000 * KILLS * WORKERS
    assert spent.reserved_nanousd >= int(expected or 0)
    store.close()
