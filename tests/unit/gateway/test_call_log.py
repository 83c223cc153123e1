"""What the gateway tells of every call: once when it begins, once when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import openai
import pytest

import graphrouter as gr
from graphrouter.gateway import create_app
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import CallEnd, CallLog, CallStart, OpenCall
from graphrouter.gateway.relaying import CLIENT_LEFT
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_gateway import ASKED, connect, post


class Noted(CallLog):
    """Keeps what it is told in lists; the order of candidates is turned round where asked for."""

    def __init__(self) -> None:
        self.starts: list[CallStart] = []
        self.ends: list[CallEnd] = []
        self.is_turned = False

    async def begin(self, start: CallStart) -> OpenCall:
        if start.prompt == "refuse":
            raise ApiError(429, "No more today.")
        self.starts.append(start)
        order = start.order[::-1] if self.is_turned else start.order
        return NotedCall(self, f"d{len(self.starts)}", order)


class NotedCall(OpenCall):
    def __init__(self, log: Noted, decision_id: str, order: tuple[str, ...]) -> None:
        super().__init__(decision_id, order)
        self.log = log

    def _end(self, end: CallEnd) -> Awaitable[None]:
        self.log.ends.append(end)
        return super()._end(end)


@pytest.fixture
def log() -> Noted:
    return Noted()


@pytest.fixture
def address(router: gr.GraphRouter, deployments: Deployments, serve: Serve, log: Noted) -> str:
    return serve(create_app(router, deployments, log=log))


def test_a_call_is_told_of_when_decided_and_when_ended(
    router: gr.GraphRouter, provider: Provider, address: str, log: Noted
) -> None:
    chosen = router.route("Add 3 and 4.").model
    provider.statuses[f"at-{chosen}"] = [500]
    found = connect(address).chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    (start,), (end,) = log.starts, log.ends
    assert found.headers["x-graphrouter-decision"] == "d1"
    assert (start.endpoint, start.prompt) == ("/v1/chat/completions", "Add 3 and 4.")
    assert start.decision is not None
    assert start.order[0] == start.decision.model == chosen
    assert (end.status, end.model, end.usage) == (200, chosen, (3, None, 2))
    assert [str(each) for each in end.failures] == [f"{chosen}: status 500"]
    assert end.ttft_s is not None
    assert 0 < end.ttft_s <= end.latency_s


def test_the_log_says_whom_to_ask(router: gr.GraphRouter, address: str, log: Noted) -> None:
    log.is_turned = True
    found = connect(address).chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert found.headers["x-graphrouter-model"] == log.starts[0].order[-1] == log.ends[0].model
    with pytest.raises(openai.RateLimitError, match="No more today"):
        connect(address).chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "refuse"}]
        )
    assert len(log.ends) == 1


def test_what_is_not_called_and_what_nobody_answers(
    router: gr.GraphRouter, provider: Provider, address: str, log: Noted
) -> None:
    assert post(address, "/route", {"prompt": "Hello."})[0] == 200
    assert (log.starts[0].order, log.starts[0].endpoint, log.ends) == ((), "/v1/route", [])
    name = router.models[0]
    provider.statuses[f"at-{name}"] = [500, 500]
    with pytest.raises(openai.InternalServerError):
        connect(address).chat.completions.create(model=name, messages=ASKED)
    assert (log.starts[1].order, log.starts[1].decision) == ((name,), None)
    (end,) = log.ends
    assert (end.status, end.model, len(end.failures), end.ttft_s) == (502, None, 2, None)


def test_streams_end_with_their_last_chunk_and_with_the_client(
    router: gr.GraphRouter, provider: Provider, address: str, log: Noted
) -> None:
    for user in ("whole", "broken"):
        stream = connect(address).chat.completions.create(
            model=router.models[0], messages=ASKED, stream=True, user=user
        )
        if user == "broken":
            with pytest.raises(openai.APIError):
                list(stream)
        else:
            list(stream)
    stream = connect(address).chat.completions.create(
        model=router.models[0], messages=ASKED, stream=True, user="long"
    )
    next(iter(stream))
    stream.close()
    assert provider.left.wait(10)

    async def wait() -> None:
        while len(log.ends) < 3:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(wait(), 10))
    assert [end.status for end in log.ends] == [200, 502, CLIENT_LEFT]


def test_who_leaves_before_the_answer_is_not_waited_for(
    router: gr.GraphRouter, provider: Provider, address: str, log: Noted
) -> None:
    provider.waits[f"at-{router.models[0]}"] = 2.0
    impatient = connect(address).with_options(timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(model=router.models[0], messages=ASKED)

    async def wait() -> None:
        while not log.ends:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(wait(), 10))
    assert (log.ends[0].status, log.ends[0].model) == (CLIENT_LEFT, None)


def test_a_call_ends_once() -> None:
    log = Noted()

    async def end_twice() -> None:
        call = await log.begin(CallStart("/v1/chat/completions", ("a",)))
        await call.end(200, "a")
        await call.end(500)

    asyncio.run(end_twice())
    assert [each.status for each in log.ends] == [200]
