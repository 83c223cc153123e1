"""Requests that are drawn from the OpenAPI document, and spoiled ones: none ends in a 5xx."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.gateway import Deployment, create_app
from graphrouter.gateway.serving_state import ReadArtifact
from tests.unit.gateway.conftest import Serve

DRAWN = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def answer(request: httpx2.Request) -> httpx2.Response:
    """A provider of both protocols that takes everything."""
    body = json.loads(request.content) if request.content else {}
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    if request.url.path.endswith("/messages"):
        block = {"type": "text", "text": "7"}
        return httpx2.Response(200, json={"id": "1", "content": [block], "stop_reason": "end_turn"})
    message = {"role": "assistant", "content": "7"}
    choice = {"index": 0, "message": message, "text": "7", "finish_reason": "stop"}
    told = {"id": "1", "choices": [choice], "usage": usage, "model": body.get("model")}
    return httpx2.Response(200, json=told)


@pytest.fixture
def address(router: gr.GraphRouter, serve: Serve) -> str:
    served = {}
    for i, name in enumerate(router.models):
        one = Deployment(name, f"http://host-{i}/v1", {}, {"model": name}, 5, 0)
        served[name] = (one._replace(protocol="anthropic") if i % 2 else one,)
    routes = gr.Routes([{"name": "law", "description": "Contracts.", "model": router.models[0]}])
    transport = httpx2.MockTransport(answer)
    app = create_app(
        router,
        served,
        routes=routes,
        key="k",
        load=lambda: ReadArtifact("0f3c", router),
        transport=transport,
    )
    return serve(app).removesuffix("/v1")


def test_what_the_document_allows_ends_in_no_5xx(router: gr.GraphRouter, address: str) -> None:
    document = schemathesis.openapi.from_url(f"{address}/openapi.json")
    models = st.sampled_from(["auto", "auto:law", "router-graph-0.6", *router.models])
    found: Counter[tuple[str, int]] = Counter()
    operations = [each.ok() for each in document.get_all_operations()]
    assert len(operations) > 15

    def check(operation: Any) -> None:
        @DRAWN
        @given(case=operation.as_strategy(), model=models, data=st.data())
        def ask(case: Any, model: str, data: st.DataObject) -> None:
            if isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = model
            if "name" in case.path_parameters and data.draw(st.booleans()):
                case.path_parameters["name"] = router.models[1]
            response = case.call(headers={"authorization": "Bearer k"})
            found[operation.path, response.status_code] += 1
            assert response.status_code < 500, (operation.label, case.body, response.text)

        ask()

    with httpx2.Client(base_url=address, headers={"authorization": "Bearer k"}) as admin:
        for operation in operations:
            check(operation)
            assert admin.post("/admin/reload").is_success
    good = {path for (path, status), _ in found.items() if status < 300}
    assert {"/v1/chat/completions", "/v1/messages", "/v1/route"} <= good


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
SPOILED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
MEMBERS = {
    "/v1/chat/completions": "messages tools tool_choice response_format stop n max_tokens stream "
    "graphrouter user reasoning_effort parallel_tool_calls stream_options",
    "/v1/messages": "messages system tools tool_choice metadata thinking output_config stream "
    "stop_sequences max_tokens",
    "/v1/responses": "input instructions tools text previous_response_id",
    "/v1/completions": "prompt max_tokens stream",
    "/v1/embeddings": "input encoding_format",
    "/v1/route": "prompt messages graphrouter tools steps",
}
PART_TYPES = [
    "text",
    "image",
    "image_url",
    "tool_result",
    "tool_use",
    "file",
    "document",
    "thinking",
    "x",
]
PART_MEMBERS = ["text", "source", "content", "image_url", "file", "input", "name", "id"]


@pytest.mark.parametrize("path", MEMBERS)
def test_spoiled_requests_end_in_no_5xx(router: gr.GraphRouter, address: str, path: str) -> None:
    parts = st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(PART_TYPES)},
            optional=dict.fromkeys(PART_MEMBERS, SPOILED),
        ),
        max_size=3,
    )
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system", "x"])},
        optional={"content": parts | SPOILED, "tool_calls": SPOILED},
    )
    good = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 5}
    good |= {"input": "Hello.", "prompt": "Hello."}

    @settings(DRAWN, max_examples=120)
    @given(
        member=st.sampled_from(MEMBERS[path].split()),
        value=SPOILED,
        messages=st.none() | st.lists(message, min_size=1, max_size=3),
        model=st.sampled_from(["auto", *router.models]),
    )
    def ask(member: str, value: Any, messages: Any, model: str) -> None:
        body = good | {"model": model}
        if path == "/v1/route":
            body = {"messages": body["messages"]}
        if messages is not None and path != "/v1/embeddings":
            body["messages"] = messages
        if member != "messages" or messages is None:
            body[member] = value
        content = json.dumps(body)
        headers = {"authorization": "Bearer k", "content-type": "application/json"}
        response = client.post(path, content=content, headers=headers)
        assert response.status_code < 500, (content, response.text)

    with httpx2.Client(base_url=address, timeout=30) as client:
        ask()
