"""What `model`, headers and the body say of who is to be asked, and by what text it is decided."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

import graphrouter as gr
from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.chats.routed_text import MOST_BEFORE, read_prompt
from graphrouter.gateway import create_app
from graphrouter.gateway.able_models import find_incapable
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.wanted_models import Wanted, read_wanted
from graphrouter.pool import ModelPool
from graphrouter.types import Embedding
from tests.unit.gateway.conftest import Deployments, Serve
from tests.unit.gateway.test_gateway import ASKED, connect, post

BEST = gr.Policy.preset("performance_first")


def ask(address: str, model: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    found = connect(address).chat.completions.with_raw_response.create(
        model=model, messages=ASKED, extra_headers=headers, **more
    )
    return found.headers


@pytest.fixture
def routes(router: gr.GraphRouter) -> gr.Routes:
    return gr.Routes(
        [
            {"name": "law", "description": "Contracts.", "model": router.models[0]},
            {"name": "dear", "description": "Proofs.", "policy": "performance_first"},
        ]
    )


def test_a_named_route_decides_whatever_the_prompt(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve, routes: gr.Routes
) -> None:
    address = serve(create_app(router, deployments, routes=routes))
    law = ask(address, "auto:law")
    assert (law["x-graphrouter-model"], law["x-graphrouter-route"]) == (router.models[0], "law")
    dear = ask(address, "auto:dear")
    assert dear["x-graphrouter-model"] == router.route("Add 3 and 4.", policy=BEST).model
    listed = [model.id for model in connect(address).models.list()]
    assert {"auto:law", "auto:dear"} < set(listed)
    own = {"graphrouter": {"policy": {"excluded": [router.models[0]]}}}
    with pytest.raises(openai.BadRequestError, match="the policy allows none of them"):
        ask(address, "auto:law", extra_body=own)
    with pytest.raises(openai.NotFoundError, match="Did you mean 'auto:law'"):
        ask(address, "auto:laws")


def test_a_threshold_stands_between_strong_and_weak(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    ranked = router.route("Add 3 and 4.", policy=BEST).candidates
    strong = ranked[0]
    weak = min(ranked, key=lambda each: each.cost_usd or 0)
    wins = (1 + strong.effect - weak.effect) / 2
    assert 0.5 < wins < 0.99
    address = serve(create_app(router, deployments))
    for threshold, model in ((0, strong), (wins - 0.005, strong), (wins + 0.005, weak), (1, weak)):
        found = ask(address, f"router-graph-{threshold:.4f}")
        assert found["x-graphrouter-model"] == model.model
    fixed = serve(create_app(router, deployments, pair=(ranked[1].model, ranked[2].model)))
    assert ask(fixed, "router-graph-0.1")["x-graphrouter-model"] == ranked[1].model
    assert ask(fixed, "router-graph-1")["x-graphrouter-model"] == ranked[2].model
    for wrong in ("router-graph-", "router-graph-1.5", "router-graph-x", "router-mf-0.1"):
        with pytest.raises(openai.NotFoundError, match=r"has no threshold|There is no model"):
            ask(address, wrong)


def test_policy_and_task_by_header(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    address = serve(create_app(router, deployments))
    best, cheap = (
        router.route("Add 3 and 4.", policy=gr.Policy.preset(name)).model
        for name in ("performance_first", "cost_first")
    )
    header = "x-graphrouter-policy"
    assert ask(address, "auto", {header: "performance_first"})["x-graphrouter-model"] == best
    settings = {header: json.dumps({"effect_weight": 1, "excluded": [best]})}
    assert ask(address, "auto", settings)["x-graphrouter-model"] != best
    body = {"graphrouter": {"policy": "cost_first"}}  # which counts before the header
    found = ask(address, "auto", {header: "performance_first"}, extra_body=body)
    assert found["x-graphrouter-model"] == cheap
    known = {"x-graphrouter-task": "translation", header: "performance_first"}
    expected = router.route("Add 3 and 4.", task="translation", policy=BEST)
    assert ask(address, "auto", known)["x-graphrouter-effect"] == f"{expected.effect:.4f}"
    for wrong in ("dear", "{", '{"max_cost": 1}', "{" * 5000):
        with pytest.raises(openai.BadRequestError, match="x-graphrouter-policy"):
            ask(address, "auto", {header: wrong})


LONG = "Summarise the report on rivers. " * 60


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([Turn("system", "Be brief."), Turn("user", "Add 3 and 4.")], "Add 3 and 4."),
        ([Turn("user", "One question to answer."), Turn("tool", "7")], "One question to answer."),
        (
            [
                Turn("user", "Prove that 7 is a prime number."),
                Turn("assistant", "Shall I write it out?"),
                Turn("user", "Hm."),
                Turn("user", "yes"),
            ],
            "Prove that 7 is a prime number.\nShall I write it out?\nyes",
        ),
        ([Turn("user", "Hi."), Turn("assistant", "Hello!"), Turn("user", "ok")], "ok"),
        (
            [Turn("user", "<system-reminder>Be\ncareful.</system-reminder>Name all the rivers.")],
            "Name all the rivers.",
        ),
        ([Turn("user", "A \ud800 alone, and some more words.")], "A ? alone, and some more words."),
        ([Turn("user", "", num_images=1)], ""),
        ([Turn("tool", "It has failed.")], "It has failed."),
    ],
)
def test_the_text_that_is_routed_by(turns: list[Turn], expected: str) -> None:
    assert read_prompt(Conversation(tuple(turns))) == expected


def test_what_came_before_is_cut() -> None:
    turns = (Turn("user", LONG), Turn("assistant", LONG), Turn("user", "go on"))
    text = read_prompt(Conversation(turns))
    assert text.endswith("\ngo on")
    assert MOST_BEFORE < len(text) < MOST_BEFORE + 250


def test_who_cannot_take_a_request_is_told_with_reasons(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    pool = ModelPool.of(
        [
            gr.ModelCard(model="blind", vision=False, tools=True),
            gr.ModelCard(model="short", context_tokens=1000),
            gr.ModelCard(model="unknown"),
        ]
    )
    image = Conversation.of([Turn("user", "See.", num_images=1)], tools=[{"name": "a"}])
    assert find_incapable(image, pool) == {
        "blind": "cannot do vision",
        "short": "context of 1000 tokens is shorter than the 1005 that the request may take",
    }
    long = Conversation.of([Turn("user", "x" * 2000)], max_output_tokens=600)
    assert list(find_incapable(long, pool)) == ["short"]
    address = serve(create_app(router, deployments))
    body = {"model": "auto", "messages": [{"role": "user", "content": "many words " * 900_000}]}
    status, told = post(address, "/chat/completions", body)
    assert status == 400
    assert told["error"]["message"].startswith("No model can take this request (juniper-30b: con")
    assert "is shorter than the 2475000 that the request may take" in told["error"]["message"]


def test_what_goes_with_the_prompt_is_read_off_the_body(router: gr.GraphRouter) -> None:
    state = ServingState(router, {}, None, None)

    def read(**own: Any) -> Wanted:
        return read_wanted({"model": "auto", "graphrouter": own}, {}, state)

    assert read().context is None
    found = read(context=["One.", "Two."], embedding={"vector": [1, 2], "encoder": "clip"})
    assert found.context == ("One.", "Two.")
    assert found.embedding == Embedding.of([1.0, 2.0], "clip")
    assert read(context="One.", embedding=[0.5]).embedding == Embedding.of([0.5])
    for wrong in (
        {"context": [" "]},
        {"context": 3},
        {"embedding": "words"},
        {"embedding": []},
        {"embedding": {"vector": [1.0], "encoder": ""}},
        {"embeddings": [1.0]},
    ):
        with pytest.raises(ApiError):
            read(**wrong)
