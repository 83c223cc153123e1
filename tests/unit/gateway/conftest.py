"""A router of a simulated world, and providers on loopback that answer as they are told."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

import graphrouter as gr
from graphrouter.gateway import Deployment, create_app
from graphrouter.gateway.store import Store
from tests.postgresql import PROGRAMS, Cluster, start_cluster

Serve = Callable[[Any], str]
DATABASES = ["sqlite", *(["postgresql"] if PROGRAMS else [])]
_numbers = count()
CLIENTS: list[Any] = []
"""Clients that a test has made; each is closed behind it, lest its connections hang about."""
Deployments = dict[str, tuple[Deployment, ...]]


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while CLIENTS:
        CLIENTS.pop().close()


@pytest.fixture(scope="session")
def router() -> gr.GraphRouter:
    data = gr.simulate(num_queries=150, num_models=4, seed=1).data
    return gr.GraphRouter.fit(
        data, gr.load_config(overrides=["encoder.name=hashing"]), instant=True
    )


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves ASGI applications on free ports of loopback; gives their addresses."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> str:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        servers.append((server, thread))
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    yield start
    for server, _ in servers:
        server.should_exit = True
    for _, thread in servers:
        thread.join(10)


@dataclass
class Provider:
    """What a provider was asked, and how it is to answer."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Of the next answers of a model, by its name at the provider; 200 after them."""
    waits: dict[str, float] = field(default_factory=dict)
    """Seconds before each answer of a model."""
    says: dict[str, str] = field(default_factory=dict)
    """What a model answers; that it does without."""
    retry_after: str | None = None
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client has left a stream."""

    def make_app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/v1/chat/completions", self._answer, methods=["POST"])
        return app

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        await asyncio.sleep(self.waits.get(body["model"], 0.0))
        waiting = self.statuses.get(body["model"], [])
        status = waiting.pop(0) if waiting else 200
        if status != 200:
            told = {
                "error": {"message": f"status {status}", "type": "x", "param": None, "code": "y"}
            }
            headers = {} if self.retry_after is None else {"retry-after": self.retry_after}
            return JSONResponse(told, status, headers=headers)
        text = self.says.get(body["model"], f"{body['model']} answers.")
        if body.get("stream"):
            return StreamingResponse(self._stream(body, text), media_type="text/event-stream")
        message = {"role": "assistant", "content": text}
        if body.get("tools"):
            call = {"name": "add", "arguments": '{"a": 3}'}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
        return JSONResponse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }
        )

    async def _stream(self, body: dict[str, Any], text: str) -> AsyncIterator[str]:
        try:
            for word in [*text.split(), *["more"] * (10_000 if body.get("user") == "long" else 0)]:
                delta = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                yield self._event(body, delta)
                await asyncio.sleep(0.001 if body.get("user") == "long" else 0)
                if body.get("user") == "broken":
                    raise RuntimeError("gone")
            yield self._event(body, {"index": 0, "delta": {}, "finish_reason": "stop"})
            if (body.get("stream_options") or {}).get("include_usage"):
                usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
                yield self._event(body, usage=usage)
            yield "data: [DONE]\n\n"
        finally:
            self.left.set()

    def _event(self, body: dict[str, Any], *choices: dict[str, Any], **more: Any) -> str:
        event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
        told = event | {"model": body["model"], "choices": list(choices), **more}
        return f"data: {json.dumps(told)}\n\n"


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def deployments(router: gr.GraphRouter, provider: Provider, serve: Serve) -> Deployments:
    address = serve(provider.make_app())
    return {
        name: (
            Deployment(
                name, address, {"authorization": "Bearer key"}, {"model": f"at-{name}"}, 5, 1
            ),
        )
        for name in router.models
    }


@pytest.fixture
def gateway(router: gr.GraphRouter, deployments: Deployments, serve: Serve) -> str:
    """Address of a gateway."""
    return serve(create_app(router, deployments))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with start_cluster() as found:
        yield found


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which nothing is, for copies: its tables take longer than most tests."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    Store.open(path).close()
    return path


@pytest.fixture(scope="session")
def empty_database(cluster: Cluster) -> str:
    Store.open(cluster.make_database("empty")).close()
    return "empty"


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store is in which nothing is yet."""
    if request.param == "sqlite":
        empty: Path = request.getfixturevalue("empty_file")
        return str(shutil.copy(empty, tmp_path / "gateway.db"))
    cluster: Cluster = request.getfixturevalue("cluster")
    empty_database: str = request.getfixturevalue("empty_database")
    return cluster.make_database(f"store{next(_numbers)}", empty_database)


@pytest.fixture(params=DATABASES)
def free_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store is to be."""
    if request.param == "sqlite":
        return str(tmp_path / "gateway.db")
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.make_database(f"free{next(_numbers)}")


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    found = Store.open(place)
    yield found
    found.close()
