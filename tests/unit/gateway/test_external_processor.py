"""Envoy's external processor, asked over gRPC as Envoy asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from betterproto2 import which_one_of
from envoy_data_plane.envoy.config.core.v3 import HeaderMap, HeaderValue
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    HttpBody,
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
)

import graphrouter as gr
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.external_processor import (
    METHOD,
    MODEL,
    SERVICE,
    ExternalProcessor,
    start_processor,
)
from graphrouter.gateway.pool_chooser import PoolChooser

CHAT = "/v1/chat/completions"
PROMPT = "Translate 'apple' into French."


def headers(path: str, **more: str) -> ProcessingRequest:
    named = {":path": path, ":method": "POST", **more}
    values = [HeaderValue(key=name, raw_value=value.encode()) for name, value in named.items()]
    return ProcessingRequest(request_headers=HttpHeaders(headers=HeaderMap(headers=values)))


def body(content: object, *, whole: bool = True) -> ProcessingRequest:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return ProcessingRequest(request_body=HttpBody(body=raw, end_of_stream=whole))


def open_stream(channel: Any) -> Any:
    """The call that Envoy makes, on a channel of grpc or grpc.aio."""
    return channel.stream_stream(
        f"/{SERVICE}/{METHOD}",
        request_serializer=bytes,
        response_deserializer=ProcessingResponse.parse,
    )


def ask(
    router: gr.GraphRouter, requests: Iterable[ProcessingRequest], **more: Any
) -> list[ProcessingResponse]:
    """What a server answers to one stream."""

    async def run() -> list[ProcessingResponse]:
        processor = ExternalProcessor(PoolChooser(router), **more)
        server, port = await start_processor(processor, "127.0.0.1", 0)
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return [each async for each in open_stream(channel)(requests)]
        finally:
            await server.stop(1)

    return asyncio.run(run())


def written(response: ProcessingResponse) -> dict[str, str]:
    answer = response.request_body
    mutation = (
        None if answer is None or answer.response is None else answer.response.header_mutation
    )
    if mutation is None:
        return {}
    return {each.header.key: each.header.raw_value.decode() for each in mutation.set_headers}


@pytest.mark.parametrize("preset", ["cost_first", "performance_first"])
@pytest.mark.parametrize("path", [CHAT, "/team/v1/chat/completions?x=1"])
def test_the_chosen_model_is_written(router: gr.GraphRouter, preset: str, path: str) -> None:
    chat = {
        "model": f"auto:{preset}",
        "messages": [{"role": "user", "content": PROMPT}],
        "graphrouter": {"task": str(router.support.queries["task"].iloc[0])},
        "seed": 3,
    }
    first, second = ask(router, [headers(path, **{MODEL: "mine"}), body(chat)])
    assert list(first.request_headers.response.header_mutation.remove_headers) == [MODEL]
    decision = router.route(
        PROMPT,
        task=chat["graphrouter"]["task"],  # type: ignore[index]
        policy=gr.Policy.preset(preset),  # type: ignore[arg-type]
    )
    found = written(second)
    assert found[MODEL] == decision.model
    assert float(found["x-graphrouter-effect"]) == pytest.approx(decision.effect, abs=1e-4)
    assert second.request_body.response.clear_route_cache
    content = second.request_body.response.body_mutation.body
    assert found["content-length"] == str(len(content))
    sent = json.loads(content)
    assert sent == {"model": decision.model, "messages": chat["messages"], "seed": 3}


def test_a_request_of_anthropic_is_read_too(router: gr.GraphRouter) -> None:
    message = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]}
    _, second = ask(router, [headers("/v1/messages"), body(message)])
    assert written(second)[MODEL] == router.route(PROMPT).model


def test_a_named_model_is_written_as_it_is(router: gr.GraphRouter) -> None:
    chat = {"model": router.models[1], "messages": [{"role": "user", "content": PROMPT}]}
    _, second = ask(router, [headers(CHAT), body(chat)], rewrites=False)
    assert written(second) == {MODEL: router.models[1]}
    assert second.request_body.response.body_mutation is None


def test_other_paths_and_parts_pass(router: gr.GraphRouter) -> None:
    rest = [
        ProcessingRequest(response_headers=HttpHeaders()),
        ProcessingRequest(response_body=HttpBody(body=b"x")),
    ]
    found = ask(router, [headers("/v1/embeddings"), body(b"no JSON"), *rest])
    assert [which_one_of(each, "response")[0] for each in found] == [
        "request_headers",
        "request_body",
        "response_headers",
        "response_body",
    ]
    assert not written(found[1])


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"{", 400, "no valid JSON"),
        ({"model": "auto"}, 400, "messages"),
        ({"model": "grnd", "messages": [{"role": "user", "content": "x"}]}, 404, "no model"),
        ({"model": "router-graph-0.6", "messages": [{"role": "user"}]}, 400, "auto:PRESET"),
    ],
)
def test_what_is_not_accepted_is_told_to_the_client(
    router: gr.GraphRouter, content: object, status: int, told: str
) -> None:
    _, second = ask(router, [headers(CHAT), body(content)])
    assert second.immediate_response.status.code == status
    assert told in json.loads(second.immediate_response.body)["error"]["message"]


def test_a_body_in_parts_is_refused(router: gr.GraphRouter) -> None:
    _, second = ask(router, [headers(CHAT), body({"model": "auto"}, whole=False)])
    assert b"BUFFERED" in second.immediate_response.body


def test_a_port_in_use_is_an_error(router: gr.GraphRouter) -> None:
    async def run() -> None:
        processor = ExternalProcessor(PoolChooser(router))
        server, port = await start_processor(processor, "127.0.0.1", 0)
        try:
            with pytest.raises(ConfigError, match="--port"):
                await start_processor(processor, "127.0.0.1", port)
        finally:
            await server.stop(0)

    asyncio.run(run())
