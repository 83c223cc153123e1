"""Anthropic's own client, in front of an upstream of its own API and of one of OpenAI's."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

import graphrouter as gr
from graphrouter.gateway import Deployment, create_app
from tests.unit.gateway.conftest import CLIENTS, Deployments, Provider, Serve
from tests.unit.gateway.providers import AnthropicProvider
from tests.unit.gateway.test_gateway import post

ASKED: list[Any] = [{"role": "user", "content": "Add 3 and 4."}]
TOOL: Any = {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}
PIXEL: Any = {"type": "base64", "media_type": "image/png", "data": "aGk="}


def connect(address: str, key: str = "none") -> anthropic.Anthropic:
    client = anthropic.Anthropic(
        base_url=address.removesuffix("/v1"), api_key=key, max_retries=0, timeout=30
    )
    CLIENTS.append(client)
    return client


@pytest.fixture
def native() -> AnthropicProvider:
    return AnthropicProvider()


@pytest.fixture
def address(
    router: gr.GraphRouter, deployments: Deployments, native: AnthropicProvider, serve: Serve
) -> str:
    """A gateway whose first model is served by Anthropic's API, and the others by OpenAI's."""
    first, at = router.models[0], serve(native.make_app())
    headers = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
    own = Deployment(first, at, headers, {"model": "claude"}, 5, 1, "anthropic")
    return serve(create_app(router, deployments | {first: (own,)}))


def test_requests_pass_as_they_are_to_its_own_api(
    router: gr.GraphRouter, native: AnthropicProvider, address: str
) -> None:
    found = connect(address).messages.with_raw_response.create(
        model=router.models[0],
        max_tokens=9,
        system="Be brief.",
        messages=ASKED,
        extra_body={"unknown": [1]},
        extra_headers={"anthropic-beta": "mine"},
    )
    message = found.parse()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.usage.cache_read_input_tokens == 4
    assert found.headers["x-graphrouter-model"] == router.models[0]
    sent = {"model": "claude", "max_tokens": 9, "system": "Be brief.", "messages": ASKED}
    assert native.asked == [sent | {"unknown": [1]}]
    assert native.headers[0]["x-api-key"] == "key"
    assert native.headers[0]["anthropic-beta"] == "mine"


def test_auto_reaches_openai_too_and_answers_are_messages(
    router: gr.GraphRouter, provider: Provider, address: str
) -> None:
    chosen = router.route("Add 3 and 4.", policy=gr.Policy(excluded=router.models[:1])).model
    own = {"policy": {"excluded": [router.models[0]]}}
    found = connect(address).messages.with_raw_response.create(
        model="auto",
        max_tokens=9,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=ASKED,
        stop_sequences=["!"],
        metadata={"user_id": "me"},
        extra_body={"graphrouter": own, "temperature": 0.5, "top_p": 0.9},
    )
    message = found.parse()
    assert found.headers["x-graphrouter-model"] == chosen
    assert (message.id, message.type, message.role) == ("msg_chatcmpl-1", "message", "assistant")
    assert message.content[0].to_dict() == {"type": "text", "text": f"at-{chosen} answers."}
    assert (message.stop_reason, message.usage.input_tokens) == ("end_turn", 3)
    assert provider.asked[-1] == {
        "model": f"at-{chosen}",
        "messages": [{"role": "system", "content": "Be brief."}, *ASKED],
        "max_completion_tokens": 9,
        "stop": ["!"],
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "me",
    }


def test_tools_results_and_images_translated(
    router: gr.GraphRouter, provider: Provider, address: str
) -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "No.", "is_error": True}
    used = {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}
    conversation: list[Any] = [
        *ASKED,
        {"role": "assistant", "content": [{"type": "text", "text": "Well."}, used]},
        {"role": "user", "content": [result, {"type": "image", "source": PIXEL}]},
    ]
    message = connect(address).messages.create(
        model=router.models[1],
        max_tokens=9,
        messages=conversation,
        tools=[TOOL],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    assert message.content[1].to_dict() == {
        "type": "tool_use",
        "id": "call_1",
        "name": "add",
        "input": {"a": 3},
    }
    sent = provider.asked[-1]
    call = {"name": "add", "arguments": '{"a": 1}'}
    assert sent["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Well.",
            "tool_calls": [{"id": "t", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "t", "content": "Error: No."},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
        },
    ]
    function = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    assert sent["tools"] == [{"type": "function", "function": function}]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)


@pytest.mark.parametrize("place", [0, 1])
def test_streams_of_both(router: gr.GraphRouter, address: str, place: int) -> None:
    name = router.models[place]
    with connect(address).messages.stream(model=name, max_tokens=9, messages=ASKED) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_message()
    assert events[0] == "message_start"
    assert events[-1] == "message_stop"
    assert final.content[-1].type == "text"
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 2

    async def read() -> str:
        async with (
            anthropic.AsyncAnthropic(
                base_url=address.removesuffix("/v1"), api_key="none", max_retries=0
            ) as client,
            client.messages.stream(
                model=name, max_tokens=9, messages=ASKED, tools=[TOOL]
            ) as stream,
        ):
            message = await stream.get_final_message()
        return str(message.content[-1].type)

    assert asyncio.run(read()) == ("tool_use" if place == 0 else "text")


@pytest.mark.parametrize("place", [0, 1])
def test_a_broken_stream_ends_in_an_error_of_its_api(
    router: gr.GraphRouter, address: str, place: int
) -> None:
    with (
        pytest.raises(anthropic.APIError, match="Too many" if place == 0 else "broke off"),
        connect(address).messages.stream(
            model=router.models[place],
            max_tokens=9,
            messages=ASKED,
            metadata={"user_id": "broken"},
        ) as stream,
    ):
        stream.get_final_message()


def test_a_stream_that_ends_too_soon_is_told(router: gr.GraphRouter, address: str) -> None:
    with (
        pytest.raises(anthropic.APIError, match="ended before its answer"),
        connect(address).messages.stream(
            model=router.models[0], max_tokens=9, messages=ASKED, metadata={"user_id": "short"}
        ) as stream,
    ):
        stream.get_final_message()


@pytest.mark.parametrize("place", [0, 1])
def test_the_upstream_is_left_when_the_client_leaves(
    router: gr.GraphRouter,
    native: AnthropicProvider,
    provider: Provider,
    address: str,
    place: int,
) -> None:
    with connect(address).messages.stream(
        model=router.models[place], max_tokens=9, messages=ASKED, metadata={"user_id": "long"}
    ) as stream:
        next(iter(stream))
    assert (native.left, provider.left)[place].wait(10)


def test_errors_in_its_schema(router: gr.GraphRouter, provider: Provider, address: str) -> None:
    client = connect(address)
    with pytest.raises(anthropic.NotFoundError, match="There is no model 'x'") as told:
        client.messages.create(model="x", max_tokens=9, messages=ASKED)
    body: Any = told.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"
    provider.statuses[f"at-{router.models[1]}"] = [422]
    with pytest.raises(anthropic.UnprocessableEntityError, match="status 422") as refused:
        client.messages.create(model=router.models[1], max_tokens=9, messages=ASKED)
    body = refused.value.body
    assert body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError, match="expected a list of messages"):
        client.messages.create(model="auto", max_tokens=9, messages=[])


def test_tokens_are_counted_where_the_upstream_can(
    router: gr.GraphRouter, native: AnthropicProvider, address: str
) -> None:
    count = connect(address).messages.count_tokens
    assert count(model="auto", messages=ASKED).input_tokens == 11
    assert native.asked[-1] == {"model": "claude", "messages": ASKED}
    with pytest.raises(anthropic.BadRequestError, match="does not serve count_tokens"):
        count(model=router.models[1], messages=ASKED)


def test_what_only_its_own_api_has_goes_nowhere_else(router: gr.GraphRouter, address: str) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    found = connect(address).messages.with_raw_response.create(
        model="auto", max_tokens=9, messages=ASKED, tools=[search]
    )
    assert found.headers["x-graphrouter-model"] == router.models[0]
    with pytest.raises(anthropic.BadRequestError, match="needs an upstream of protocol anthropic"):
        connect(address).messages.create(
            model=router.models[1], max_tokens=9, messages=ASKED, tools=[search]
        )


def test_a_key_as_its_clients_send_it(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    address = serve(create_app(router, deployments, key="secret"))
    with pytest.raises(anthropic.AuthenticationError, match="The key is missing or wrong"):
        connect(address).messages.create(model="auto", max_tokens=9, messages=ASKED)
    client = connect(address, "secret")
    assert client.messages.create(model="auto", max_tokens=9, messages=ASKED).content


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": ["a"]}]},
        {"tools": 5},
        {"tools": [5]},
        {"tool_choice": "any"},
        {"metadata": "me"},
        {"output_config": {"format": 5}},
        {"thinking": 5},
        {"system": 5},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": 5}]}]},
    ],
)
def test_wrong_types_are_refused_and_break_nothing(
    router: gr.GraphRouter, address: str, more: dict[str, Any]
) -> None:
    body = {"model": router.models[1], "max_tokens": 9, "messages": ASKED} | more
    status, told = post(address, "/messages", body)
    assert (status, told["type"]) == (400, "error")
