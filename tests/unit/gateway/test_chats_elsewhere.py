"""OpenAI's own client: chats to an upstream of Anthropic's API, and all other endpoints."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

import graphrouter as gr
from graphrouter.gateway import Deployment, create_app
from tests.unit.gateway.conftest import Serve
from tests.unit.gateway.providers import AnthropicProvider, ResponsesProvider
from tests.unit.gateway.test_gateway import ASKED, connect, post

TOOL: Any = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


@pytest.fixture
def native() -> AnthropicProvider:
    return AnthropicProvider()


@pytest.fixture
def address(router: gr.GraphRouter, native: AnthropicProvider, serve: Serve) -> str:
    """A gateway all of whose models are served by Anthropic's API."""
    at = serve(native.make_app())
    served = {
        name: (Deployment(name, at, {"x-api-key": "key"}, {"model": name}, 5, 1, "anthropic"),)
        for name in router.models
    }
    return serve(create_app(router, served))


@pytest.fixture
def keepers() -> list[ResponsesProvider]:
    return [ResponsesProvider("a"), ResponsesProvider("b")]


@pytest.fixture
def keeping(router: gr.GraphRouter, keepers: list[ResponsesProvider], serve: Serve) -> str:
    """A gateway of two upstreams that keep responses; the first serves embeddings too."""
    first, second = (serve(each.make_app()) for each in keepers)
    half = len(router.models) // 2
    served = {
        name: (Deployment(name, first if i < half else second, {}, {"model": name}, 5, 1),)
        for i, name in enumerate(router.models)
    }
    served["small-embedding"] = (
        Deployment("small-embedding", first, {}, {"model": "embed", "seed": 1}, 5, 1),
    )
    return serve(create_app(router, served))


def test_a_chat_is_translated_and_its_answer_back(
    router: gr.GraphRouter, native: AnthropicProvider, address: str
) -> None:
    found = connect(address).chat.completions.with_raw_response.create(
        model="auto", messages=ASKED, stop="!", user="me", seed=7, extra_body={"top_k": 5}
    )
    answer = found.parse()
    chosen = found.headers["x-graphrouter-model"]
    message = answer.choices[0].message  # type: ignore[union-attr]
    assert message.content == f"{chosen} answers."
    assert message.to_dict()["reasoning_content"] == "Hm."
    assert answer.usage.to_dict() == {  # type: ignore[union-attr]
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert native.asked == [
        {
            "model": chosen,
            "max_tokens": 4096,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Add 3 and 4."}]}],
            "stop_sequences": ["!"],
            "metadata": {"user_id": "me"},
            "top_k": 5,
        }
    ]


def test_tools_results_images_and_schemas_translated(
    router: gr.GraphRouter, native: AnthropicProvider, address: str
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    linked = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}
    conversation: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "See."}, image, linked]},
        {"role": "assistant", "content": None, "tool_calls": [call, call | {"id": "d"}]},
        {"role": "tool", "tool_call_id": "c", "content": "4"},
        {"role": "tool", "tool_call_id": "d", "content": "5"},
        {"role": "user", "content": "So?"},
    ]
    schema = {"name": "n", "schema": {"type": "object"}}
    answer = connect(address).chat.completions.create(
        model=router.models[0],
        messages=conversation,
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "add"}},
        parallel_tool_calls=False,
        response_format={"type": "json_schema", "json_schema": schema},
        reasoning_effort="low",
        max_completion_tokens=7,
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    (called,) = answer.choices[0].message.tool_calls or ()
    assert called.to_dict()["function"] == {"name": "add", "arguments": '{"a": 3}'}
    (sent,) = native.asked
    assert sent["messages"][0]["content"][1:] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
        },
        {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}},
    ]
    assert [each["type"] for each in sent["messages"][1]["content"]] == ["tool_use", "tool_use"]
    assert [each["type"] for each in sent["messages"][2]["content"]] == [
        "tool_result",
        "tool_result",
        "text",
    ]
    assert sent["tools"] == [{"name": "add", "input_schema": {"type": "object"}}]
    chosen = {"type": "tool", "name": "add", "disable_parallel_tool_use": True}
    assert (sent["tool_choice"], sent["max_tokens"]) == (chosen, 7)
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert sent["output_config"] == {"format": form, "effort": "low"}


def test_streams_have_one_id_usage_and_an_end(
    router: gr.GraphRouter, native: AnthropicProvider, address: str
) -> None:
    with connect(address).chat.completions.create(
        model="auto",
        messages=ASKED,
        tools=[TOOL],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    assert {chunk.id for chunk in chunks} == {"chatcmpl-1"}
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 7
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:-1]] == ["tool_calls"]
    calls = [
        call
        for chunk in chunks[:-1]
        for call in chunk.choices[0].delta.tool_calls or ()
        if call.function is not None
    ]
    assert calls[0].id == "toolu_1"
    assert "".join(call.function.arguments or "" for call in calls if call.function) == '{"a": 3}'
    words = [chunk.choices[0].delta.content for chunk in chunks[:-1]]
    assert "answers." in words


@pytest.mark.parametrize(("user", "told"), [("broken", "Too many"), ("short", "before its answer")])
def test_a_broken_stream_ends_in_an_error(address: str, user: str, told: str) -> None:
    with (
        pytest.raises(openai.APIError, match=told),
        connect(address).chat.completions.create(
            model="auto", messages=ASKED, stream=True, user=user
        ) as stream,
    ):
        list(stream)


def test_the_upstream_is_left_when_an_async_client_leaves(
    native: AnthropicProvider, address: str
) -> None:
    async def leave() -> None:
        async with openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="auto", messages=ASKED, stream=True, user="long"
            )
            await anext(aiter(stream))
            await stream.close()

    asyncio.run(leave())
    assert native.left.wait(10)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"n": 2}, "n needs an upstream of protocol openai"),
        ({"response_format": {"type": "json_object"}}, "json_object needs an upstream"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "a tool of type custom needs"),
        ({"logprobs": True}, "logprobs needs"),
    ],
)
def test_what_has_no_counterpart_is_refused(address: str, more: dict[str, Any], told: str) -> None:
    status, plain = post(address, "/chat/completions", {"model": "auto", "messages": ASKED} | more)
    assert status == 400
    assert plain["error"]["message"].startswith("No model can take this request")
    assert told in plain["error"]["message"]


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "user", "content": [5]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 5}]}]},
        {"tools": [{"type": "function"}]},
        {"tools": "all"},
        {"tool_choice": {"type": "function"}},
        {"response_format": "json"},
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": [5]}]},
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": 5}]},
    ],
)
def test_wrong_types_are_refused_and_break_nothing(
    router: gr.GraphRouter, address: str, more: dict[str, Any]
) -> None:
    body = {"model": router.models[0], "messages": ASKED} | more
    status, told = post(address, "/chat/completions", body)
    assert (status, told["error"]["type"]) == (400, "invalid_request_error")


def test_responses_are_kept_by_who_made_them(
    router: gr.GraphRouter, keepers: list[ResponsesProvider], keeping: str
) -> None:
    client = connect(keeping)
    first = client.responses.create(model=router.models[-1], input="Add 3 and 4.")
    assert first.output_text == f"{router.models[-1]} answers."
    assert first.id == "resp_b_0"
    assert client.responses.retrieve(first.id).id == first.id
    items = client.responses.input_items.list(first.id, limit=5)
    assert items.data[0].to_dict()["limit"] == 5
    for _ in range(3):
        goes_on = client.responses.create(
            model="auto", input="And then?", previous_response_id=first.id
        )
        assert goes_on.id.startswith("resp_b_")
    with pytest.raises(openai.BadRequestError, match="does not keep the previous response"):
        client.responses.create(
            model=router.models[0], input="And then?", previous_response_id=first.id
        )
    assert client.responses.cancel(first.id).status == "cancelled"
    assert keepers[1].kept[first.id]["status"] == "cancelled"
    client.responses.delete(first.id)
    assert first.id not in keepers[1].kept
    for ask in (client.responses.retrieve, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            ask("resp_c_0")


def test_responses_of_another_process_are_found(
    router: gr.GraphRouter, keepers: list[ResponsesProvider], keeping: str
) -> None:
    for each in keepers:
        kept = {"id": f"resp_{each.name}_9", "object": "response", "output": []}
        each.kept[f"resp_{each.name}_9"] = kept
    client = connect(keeping)
    assert client.responses.retrieve("resp_b_9").id == "resp_b_9"
    goes_on = client.responses.create(model="auto", input="Go on.", previous_response_id="resp_a_9")
    assert goes_on.id.startswith("resp_a_")
    with pytest.raises(openai.NotFoundError, match="No upstream has a response"):
        client.responses.create(model="auto", input="Go on.", previous_response_id="resp_c_9")


def test_streamed_responses_pass_verbatim_and_are_remembered(
    router: gr.GraphRouter, keeping: str
) -> None:
    client = connect(keeping)
    with client.responses.stream(model=router.models[-1], input="Add 3 and 4.") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert client.responses.create(
        model="auto", input="Go on.", previous_response_id=final.id
    ).id.startswith("resp_b_")
    with client.responses.create(model="auto", input="Hello.", stream=True, user="short") as broken:
        last = list(broken)[-1]
    assert last.type == "error"
    assert "ended before its answer" in last.message


def test_a_response_is_routed_by_its_input(
    router: gr.GraphRouter, keepers: list[ResponsesProvider], keeping: str
) -> None:
    chosen = router.route("Add 3 and 4.", policy=gr.Policy.preset("performance_first")).model
    given: Any = [{"role": "user", "content": [{"type": "input_text", "text": "Add 3 and 4."}]}]
    found = connect(keeping).responses.with_raw_response.create(
        model="auto:performance_first", input=given, instructions="Be brief."
    )
    assert found.headers["x-graphrouter-model"] == chosen
    status, told = post(keeping, "/responses", {"model": "auto", "input": []})
    assert (status, told["error"]["param"]) == (400, "input")


def test_completions_and_embeddings(
    router: gr.GraphRouter, keepers: list[ResponsesProvider], keeping: str
) -> None:
    client = connect(keeping)
    completed = client.completions.create(model="auto", prompt="Once upon a", max_tokens=2)
    assert completed.choices[0].text == " time."
    stream = client.completions.create(model=router.models[0], prompt="Once", stream=True)
    assert [chunk.choices[0].text for chunk in stream] == [" time."]
    found = client.embeddings.create(
        model="small-embedding", input=["Hello."], encoding_format="float"
    )
    assert found.data[0].embedding == [0.5, 0.25]
    sent = {"model": "embed", "input": ["Hello."], "encoding_format": "float"}
    assert keepers[0].asked[-1] == sent
    assert "small-embedding" in [model.id for model in client.models.list()]
    with pytest.raises(openai.BadRequestError, match="embeddings are of one model"):
        client.embeddings.create(model="auto", input="Hello.")
    with pytest.raises(openai.BadRequestError, match="expected text or a list"):
        client.embeddings.create(model="small-embedding", input=[])


def test_an_upstream_that_serves_some_endpoints_alone(
    router: gr.GraphRouter, native: AnthropicProvider, address: str
) -> None:
    with pytest.raises(openai.BadRequestError, match="its upstream does not serve responses"):
        connect(address).responses.create(model="auto", input="Hello.")
