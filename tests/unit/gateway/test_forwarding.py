"""Several deployments of a model, those that fail, those that are slow, and deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

import graphrouter as gr
from graphrouter.gateway import Deployment, create_app
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import CHAT_COMPLETIONS
from graphrouter.gateway.forwarding import Forwarder, NobodyAnsweredError
from graphrouter.gateway.sending import Outgoing
from graphrouter.gateway.upstream_health import FAILURES_TO_OPEN, LEAST_SEEN, UpstreamHealth
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_gateway import ASKED, connect

NANO = Deployment("nano", "http://a/v1", {}, {"model": "n"}, 5, 2)
TWIN = NANO._replace(address="http://b/v1")
GRAND = NANO._replace(candidate="grand", address="http://c/v1")
OUTGOING = Outgoing(CHAT_COMPLETIONS, {"messages": ASKED})
Answer = Callable[[httpx2.Request], Any]


class World:
    """Hosts that answer as they are told, and who was asked."""

    def __init__(self, **answers: int | float) -> None:
        self.answers, self.asked, self.left = answers, list[str](), list[str]()
        self.health, self.slept = UpstreamHealth(), list[float]()

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        self.asked.append(host)
        told = self.answers.get(host, 200)
        if isinstance(told, float):  # seconds
            try:
                await asyncio.sleep(told)
            except asyncio.CancelledError:
                self.left.append(host)
                raise
            told = 200
        return httpx2.Response(told, json={"id": host})

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def reach(self, *deployments: Deployment, outgoing: Outgoing = OUTGOING) -> Any:
        async def run() -> Any:
            transport = httpx2.MockTransport(self.answer)
            async with httpx2.AsyncClient(transport=transport) as client:
                forwarder = Forwarder(client, self.health, sleep=self.sleep)
                return await forwarder.reach(deployments, outgoing)

        return asyncio.run(run())


def test_a_twin_is_asked_at_once_and_the_last_one_again() -> None:
    world = World(a=503, b=503)
    found = world.reach(NANO, TWIN, GRAND)
    assert world.asked == ["a", "b", "b", "b", "c"]
    assert len(world.slept) == 2
    assert found.deployment is GRAND
    assert [each.reason for each in found.failures] == ["status 503"] * 4


def test_who_is_paused_is_passed_over_unless_nobody_else_is_there() -> None:
    world = World(a=503)
    once = NANO._replace(retries=0)
    for _ in range(FAILURES_TO_OPEN):
        world.reach(once, GRAND)
    world.asked.clear()
    found = world.reach(once, GRAND)
    assert world.asked == ["c"]
    assert str(found.failures[0]) == "nano: left alone after failures"
    world.answers["a"] = 200
    assert world.reach(once).deployment is once
    assert world.health.of(once).num_failures == 0
    assert world.health.of(once).in_flight == world.health.of(GRAND).in_flight == set()


def test_who_is_slow_is_not_waited_for_alone_where_that_is_asked() -> None:
    slow = NANO._replace(hedges=True)
    for hedges in (True, False):
        world = World(a=0.5)
        for _ in range(LEAST_SEEN):
            world.health.note_answer(NANO, 0.02)
        found = world.reach(slow if hedges else NANO, GRAND)
        assert found.deployment.candidate == ("grand" if hedges else "nano")
        assert world.left == (["a"] if hedges else [])
        assert len(found.failures) == hedges
        assert world.health.of(NANO).in_flight == set()
    quick = World(a=0.04, c=503)
    for _ in range(LEAST_SEEN):
        quick.health.note_answer(NANO, 0.02)
    assert quick.reach(slow, GRAND._replace(retries=0)).deployment is slow


def test_a_deadline_ends_waiting() -> None:
    world = World(a=5.0, c=5.0)
    with pytest.raises(NobodyAnsweredError, match=r"the deadline of 0.1 s has passed") as told:
        world.reach(NANO, GRAND, outgoing=OUTGOING._replace(deadline_s=0.1))
    assert told.value.status == 504
    assert world.left == ["a"]
    assert world.health.of(NANO).in_flight == set()


def test_what_cannot_be_translated_is_told() -> None:
    native = NANO._replace(protocol="anthropic")
    with pytest.raises(ApiError, match="expected an object"):
        World().reach(native, outgoing=OUTGOING._replace(body={"messages": ASKED, "tools": [{}]}))


def test_weights_share_the_calls_of_one_model(
    router: gr.GraphRouter, provider: Provider, deployments: Deployments, serve: Serve
) -> None:
    name = router.models[0]
    (first,) = deployments[name]
    twin = first._replace(body={"model": "twin"}, weight=3)
    client = connect(serve(create_app(router, deployments | {name: (first, twin)})))
    for _ in range(40):
        client.chat.completions.create(model=name, messages=ASKED)
    drawn = Counter(body["model"] for body in provider.asked)
    assert 18 <= drawn["twin"] <= 40  # 30 expected, 4 standard errors


def test_who_is_paused_is_not_chosen_and_a_deadline_is_kept(
    router: gr.GraphRouter, provider: Provider, deployments: Deployments, serve: Serve
) -> None:
    ranked = [each.model for each in router.route("Add 3 and 4.").candidates]
    once = {name: (each._replace(retries=0),) for name, (each,) in deployments.items()}
    client = connect(serve(create_app(router, once)))
    provider.statuses[f"at-{ranked[0]}"] = [503] * FAILURES_TO_OPEN
    create = client.chat.completions.with_raw_response.create
    for _ in range(FAILURES_TO_OPEN):
        found = create(model="auto", messages=ASKED)
        assert found.headers["x-graphrouter-failures"] == f"{ranked[0]}: status 503"
    found = create(model="auto", messages=ASKED)
    assert found.headers["x-graphrouter-model"] == ranked[1]
    assert "x-graphrouter-failures" not in found.headers
    provider.waits[f"at-{ranked[2]}"] = 1.5
    for more in (
        {"extra_headers": {"x-graphrouter-deadline-s": "0.2"}},
        {"extra_body": {"graphrouter": {"deadline_s": 0.2}}},
    ):
        with pytest.raises(openai.InternalServerError, match="the deadline of 0.2 s") as late:
            create(model=ranked[2], messages=ASKED, **more)  # type: ignore[call-overload]
        assert late.value.status_code == 504
    for wrong in ("soon", "0", "nan", "1e9"):
        with pytest.raises(openai.BadRequestError, match="expected seconds above 0"):
            create(
                model=ranked[1],
                messages=ASKED,
                extra_headers={"x-graphrouter-deadline-s": wrong},
            )


def test_seconds_seen_now_enter_the_decision(
    router: gr.GraphRouter, provider: Provider, deployments: Deployments, serve: Serve
) -> None:
    policy = gr.Policy(usd_per_effect=1.0, usd_per_second=0.25)
    first = router.route("Add 3 and 4.", policy=policy)
    assert first.latency_s is not None
    provider.waits[f"at-{first.model}"] = first.latency_s + 1.5
    client = connect(serve(create_app(router, deployments, policy=policy)))
    create = client.chat.completions.with_raw_response.create
    assert create(model="auto", messages=ASKED).headers["x-graphrouter-model"] == first.model
    found = create(model="auto", messages=ASKED).headers["x-graphrouter-model"]
    later = router.route("Add 3 and 4.", policy=policy, extra_latency_s={first.model: 0.7}).model
    assert found == later != first.model


def test_a_client_that_leaves_before_the_first_event_leaves_the_upstream(
    router: gr.GraphRouter, deployments: Deployments
) -> None:
    name, left = router.models[0], list[str]()

    async def events() -> Any:
        yield b"data: {}\n\n"

    class Body(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            async for each in events():
                yield each

        async def aclose(self) -> None:
            left.append(name)

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    async def leave() -> None:
        app = create_app(router, deployments, transport=httpx2.MockTransport(answer))
        body = json.dumps({"model": name, "messages": ASKED, "stream": True}).encode()
        messages = [{"type": "http.request", "body": body}]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "headers": [],
            "asgi": {"version": "3.0"},
        }

        async def receive() -> Any:
            if messages:
                return messages.pop()
            if not starting:
                await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        starting = list[Any]()

        async def send(message: Any) -> None:
            starting.append(message)
            raise OSError("gone")

        async with app.router.lifespan_context(app):
            with contextlib.suppress(OSError):
                await app(scope, receive, send)

    asyncio.run(leave())
    assert left == [name]
