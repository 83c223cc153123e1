"""The gateway with OpenAI's own clients, in front of providers on loopback."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

import graphrouter as gr
from graphrouter.gateway import create_app
from tests.unit.gateway.conftest import CLIENTS, Deployments, Provider, Serve

ASKED: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Add 3 and 4."},
]
BEST = gr.Policy.preset("performance_first")


def connect(address: str, key: str = "none") -> openai.OpenAI:
    client = openai.OpenAI(base_url=address, api_key=key, max_retries=0, timeout=30)
    CLIENTS.append(client)
    return client


def post(address: str, path: str, body: object) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address + path, content, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_auto_goes_to_the_model_that_the_router_chooses(
    router: gr.GraphRouter, provider: Provider, gateway: str
) -> None:
    for model, policy in (("auto", None), ("auto:performance_first", BEST)):
        found = connect(gateway).chat.completions.with_raw_response.create(
            model=model, messages=ASKED, temperature=0.5, seed=7, extra_body={"unknown": [1]}
        )
        chosen = router.route("Add 3 and 4.", policy=policy)
        answer = found.parse()
        assert isinstance(answer, ChatCompletion)
        assert answer.choices[0].message.content == f"at-{chosen.model} answers."
        assert answer.usage is not None
        assert answer.usage.total_tokens == 5
        assert found.headers["x-graphrouter-model"] == chosen.model
        assert found.headers["x-graphrouter-effect"] == f"{chosen.effect:.4f}"
        of_system = 3 * (router.pool[chosen.model].input_usd_per_mtok or 0.0) / 1e6  # "Be brief."
        assert float(found.headers["x-graphrouter-expected-cost-usd"]) == pytest.approx(
            (chosen.cost_usd or 0.0) + of_system, rel=1e-5
        )
        sent = {"model": f"at-{chosen.model}", "messages": ASKED, "temperature": 0.5, "seed": 7}
        assert provider.asked[-1] == sent | {"unknown": [1]}
        assert provider.headers[-1]["authorization"] == "Bearer key"


def test_a_model_is_named_and_nobody_takes_its_place(
    router: gr.GraphRouter, provider: Provider, gateway: str
) -> None:
    name = router.models[-1]
    answer = connect(gateway).chat.completions.create(model=name, messages=ASKED)
    assert answer.choices[0].message.content == f"at-{name} answers."
    provider.statuses[f"at-{name}"] = [500, 503]
    with pytest.raises(
        openai.APIStatusError, match=f"{name}: status 500; {name}: status 503"
    ) as told:
        connect(gateway).chat.completions.create(model=name, messages=ASKED)
    assert told.value.status_code == 502
    assert {body["model"] for body in provider.asked} == {f"at-{name}"}


def test_policy_and_task_of_a_request(
    router: gr.GraphRouter, provider: Provider, gateway: str
) -> None:
    dear = router.route("Add 3 and 4.", policy=BEST).model
    own = {"policy": {"preset": "performance_first", "excluded": [dear]}, "task": "translation"}
    found = connect(gateway).chat.completions.with_raw_response.create(
        model="auto", messages=ASKED, extra_body={"graphrouter": own}
    )
    policy = gr.Policy.preset("performance_first", excluded=(dear,))
    expected = router.route("Add 3 and 4.", task="translation", policy=policy)
    assert found.headers["x-graphrouter-model"] == expected.model != dear
    assert "graphrouter" not in provider.asked[-1]
    status, decided = post(gateway, "/route", {"prompt": "Add 3 and 4.", "graphrouter": own})
    assert status == 200
    assert decided.keys() == expected.to_dict().keys()
    assert (decided["model"], decided["effect"]) == (expected.model, pytest.approx(expected.effect))


def test_streams_pass_as_they_come(
    provider: Provider, gateway: str, router: gr.GraphRouter
) -> None:
    name = router.models[0]
    with connect(gateway).chat.completions.create(
        model=name, messages=ASKED, stream=True
    ) as stream:
        chunks = list(stream)
    words = [chunk.choices[0].delta.content for chunk in chunks]
    assert words == [f"at-{name}", "answers.", None]
    assert {chunk.id for chunk in chunks} == {"chatcmpl-1"}
    assert chunks[-1].choices[0].finish_reason == "stop"

    async def read() -> list[str | None]:
        async with openai.AsyncOpenAI(
            base_url=gateway, api_key="none", max_retries=0, timeout=30
        ) as client:
            stream = await client.chat.completions.create(model="auto", messages=ASKED, stream=True)
            return [chunk.choices[0].delta.content async for chunk in stream]

    assert asyncio.run(read())[-2:] == ["answers.", None]


def test_a_stream_that_breaks_off_ends_in_an_error(gateway: str, router: gr.GraphRouter) -> None:
    with (
        pytest.raises(openai.APIError, match="The upstream broke off"),
        connect(gateway).chat.completions.create(
            model=router.models[0], messages=ASKED, stream=True, user="broken"
        ) as stream,
    ):
        list(stream)


def test_the_upstream_is_left_when_the_client_leaves(
    provider: Provider, gateway: str, router: gr.GraphRouter
) -> None:
    stream = connect(gateway).chat.completions.create(
        model=router.models[0], messages=ASKED, stream=True, user="long"
    )
    next(iter(stream))
    stream.close()
    assert provider.left.wait(10)


def test_tools_and_refusals_pass_unchanged(
    provider: Provider, gateway: str, router: gr.GraphRouter
) -> None:
    tool: Any = {"type": "function", "function": {"name": "add", "parameters": {}}}
    able = [card.model for card in router.pool if card.tools]
    found = connect(gateway).chat.completions.with_raw_response.create(
        model="auto", messages=ASKED, tools=[tool]
    )
    calls = found.parse().choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].to_dict()["function"] == {"name": "add", "arguments": '{"a": 3}'}
    assert found.headers["x-graphrouter-model"] in able
    assert len(able) < len(router.models)
    name = router.models[0]
    provider.statuses[f"at-{name}"] = [422]
    with pytest.raises(openai.UnprocessableEntityError, match="status 422"):
        connect(gateway).chat.completions.create(model=name, messages=ASKED)


def test_who_fails_is_asked_again_then_the_next_is(
    router: gr.GraphRouter, provider: Provider, gateway: str
) -> None:
    ranked = [each.model for each in router.route("Add 3 and 4.").candidates]
    provider.statuses[f"at-{ranked[0]}"] = [429, 500]
    found = connect(gateway).chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert found.headers["x-graphrouter-model"] == ranked[1]
    told = f"{ranked[0]}: status 429; {ranked[0]}: status 500"
    assert found.headers["x-graphrouter-failures"] == told
    provider.statuses[f"at-{ranked[0]}"] = [429]
    found = connect(gateway).chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert found.headers["x-graphrouter-model"] == ranked[0]
    # Who asks for more time than is waited is left for the next at once.
    provider.retry_after, provider.statuses[f"at-{ranked[0]}"] = "3600", [429, 429]
    found = connect(gateway).chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert found.headers["x-graphrouter-failures"] == f"{ranked[0]}: status 429"
    for name in ranked:
        provider.statuses[f"at-{name}"] = [429] * 2
    with pytest.raises(openai.RateLimitError, match="No candidate has answered"):
        connect(gateway).chat.completions.create(model="auto", messages=ASKED)


def test_who_is_silent_or_gone_is_passed_over(
    router: gr.GraphRouter, provider: Provider, deployments: Deployments, serve: Serve
) -> None:
    ranked = [each.model for each in router.route("Add 3 and 4.").candidates]
    silent = deployments[ranked[0]][0]._replace(timeout_s=0.2)
    gone = deployments[ranked[1]][0]._replace(address="http://127.0.0.1:9/v1", retries=0)
    provider.waits[f"at-{ranked[0]}"] = 1.0
    address = serve(create_app(router, deployments | {ranked[0]: (silent,), ranked[1]: (gone,)}))
    found = connect(address).chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert found.headers["x-graphrouter-model"] == ranked[2]
    told = found.headers["x-graphrouter-failures"]
    assert told.startswith(f"{ranked[0]}: ReadTimeout")
    assert f"{ranked[1]}: ConnectError" in told
    assert [body["model"] for body in provider.asked].count(f"at-{ranked[0]}") == 1


def test_models_without_an_address_are_never_chosen(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    best = router.route("Add 3 and 4.", policy=BEST).model
    some = {name: each for name, each in deployments.items() if name != best}
    address = serve(create_app(router, some, policy=BEST))
    listed = list(connect(address).models.list())
    words = ["auto", "auto:performance_first", "auto:balanced", "auto:cost_first"]
    assert [model.id for model in listed] == [*words, *some]
    kinds = [model.to_dict().get("kind") for model in listed]
    assert kinds == [*(None for _ in words), *("model" for _ in some)]
    found = connect(address).chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert found.headers["x-graphrouter-model"] in some
    with pytest.raises(openai.NotFoundError, match="has no address"):
        connect(address).chat.completions.create(model=best, messages=ASKED)


def test_a_key_is_asked_for(router: gr.GraphRouter, deployments: Deployments, serve: Serve) -> None:
    address = serve(create_app(router, deployments, key="secret"))
    with pytest.raises(openai.AuthenticationError, match="The key is missing or wrong"):
        connect(address, "wrong").chat.completions.create(model="auto", messages=ASKED)
    with pytest.raises(openai.AuthenticationError):
        connect(address, "wrong").models.list()
    answer = connect(address, "secret").chat.completions.create(model="auto", messages=ASKED)
    assert answer.choices


def test_named_routes_decide(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    name = router.models[-1]
    routes = gr.Routes(
        [
            {
                "name": "sums",
                "description": "Adding numbers.",
                "task": "word_problems",
                "model": name,
            },
        ]
    )
    prompt = router.support.queries.query("task == 'word_problems'")["prompt"].iloc[0]
    address = serve(create_app(router, deployments, routes=routes))
    found = connect(address).chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": prompt}]
    )
    expected = router.route(prompt, routes=routes)
    assert found.headers.get("x-graphrouter-route", "") == (expected.route or "")
    assert found.headers["x-graphrouter-model"] == expected.model


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{", 400, "The body is no valid JSON"),
        (b"\xff\xfe", 400, "The body is no valid JSON"),
        (b"[" * 200_000, 400, "The body is no valid JSON"),
        ([], 400, "The body is []; expected a JSON object"),
        ({}, 400, "model is None; expected auto or a model's name"),
        ({"model": "auto"}, 400, "messages is None; expected a list of messages"),
        ({"model": "auto", "messages": []}, 400, "messages is []; expected a list of messages"),
        ({"model": "auto", "messages": ["Hello."]}, 400, "expected a list of messages"),
        ({"model": "auto", "messages": [{"role": "system"}]}, 400, "none with the role user"),
        (
            {"model": "auto", "messages": [{"role": "user", "content": 5}]},
            400,
            "content is 5; expected text or a list of parts",
        ),
        ({"model": "auto:cost", "messages": ASKED}, 404, "Did you mean 'auto:cost_first'?"),
        ({"model": "gpt", "messages": ASKED}, 404, "There is no model 'gpt'. There are: auto"),
        ({"model": "auto", "messages": ASKED, "graphrouter": 5}, 400, "expected an object"),
        (
            {"model": "auto", "messages": ASKED, "graphrouter": {"polcy": {}}},
            400,
            "unknown member 'polcy'. Did you mean 'policy'?",
        ),
        (
            {"model": "auto", "messages": ASKED, "graphrouter": {"policy": {"max_cost": 1}}},
            400,
            "unknown setting 'max_cost'",
        ),
        (
            {
                "model": "auto",
                "messages": ASKED,
                "graphrouter": {"policy": {"max_cost_usd": 1e-12}},
            },
            400,
            "No model satisfies the policy",
        ),
        ({"model": "auto", "messages": ASKED, "graphrouter": {"task": 5}}, 400, "task is 5"),
    ],
)
def test_bad_requests_get_one_clear_error(
    gateway: str, provider: Provider, body: object, status: int, told: str
) -> None:
    received, plain = post(gateway, "/chat/completions", body)
    assert received == status
    assert told in plain["error"]["message"]
    assert plain["error"]["type"] == "invalid_request_error"
    assert provider.asked == []


def test_unknown_paths_and_methods_are_told_in_the_same_form(gateway: str) -> None:
    for path, status, told in (
        (
            "/images",
            404,
            "Not Found: POST /v1/images. There are: POST /v1/chat",
        ),
        ("/models", 405, "Method Not Allowed: POST /v1/models"),
    ):
        received, plain = post(gateway, path, {})
        assert received == status
        assert plain["error"]["message"].startswith(told)


def test_a_large_body_is_refused_and_a_prompt_of_no_text_too(gateway: str) -> None:
    status, told = post(gateway, "/route", b'"' + b"x" * (10 * 1024 * 1024) + b'"')
    assert (status, told["error"]["message"][:27]) == (413, "The body is larger than 10,")
    assert post(gateway, "/route", {"prompt": 5})[1]["error"]["message"].startswith("prompt is 5")
    assert post(gateway, "/route", {"model": "x", "prompt": "a"})[0] == 404
