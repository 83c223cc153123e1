"""Sessions through the gateway, with OpenAI's client."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import graphrouter as gr
from graphrouter.gateway import create_app
from tests.unit.gateway.conftest import Deployments, Serve
from tests.unit.gateway.test_gateway import connect

FIRST: list[Any] = [{"role": "user", "content": "Add 3 and 4, and say how."}]


def ask(
    address: str, messages: list[Any], headers: dict[str, str] | None = None, **more: Any
) -> tuple[str, Any]:
    """Who has answered, and the headers."""
    found = connect(address).chat.completions.with_raw_response.create(
        model=more.pop("model", "auto"), messages=messages, extra_headers=headers, **more
    )
    return found.headers["x-graphrouter-model"], found.headers


def answered(*texts: str) -> list[Any]:
    """The conversation after some turns of the user."""
    said: list[Any] = list(FIRST)
    for text in texts:
        said += [{"role": "assistant", "content": "7"}, {"role": "user", "content": text}]
    return said


def test_a_session_stays_and_can_be_pinned(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    address = serve(create_app(router, deployments))
    first, headers = ask(address, FIRST)
    assert headers["x-graphrouter-session-reason"] == "began"
    second, later = ask(address, answered("And what is 5 times 12, exactly?"))
    assert later["x-graphrouter-session"] == headers["x-graphrouter-session"]
    assert second == first
    others = [name for name in router.models if name != first]
    pin = {"x-graphrouter-session": f"pin={others[0]}"}
    assert ask(address, answered("Go on with it now, please."), pin)[0] == others[0]
    assert ask(address, answered("Go on with it now, please."))[0] == others[0]
    with pytest.raises(openai.NotFoundError, match="There is no model 'x' to pin"):
        ask(address, FIRST, {"x-graphrouter-session": "pin=x"})
    off = ask(address, answered("Go on."), {"x-graphrouter-session": "off"})[1]
    assert "x-graphrouter-session" not in off
    threshold = ask(address, answered("Go on."), model="router-graph-0.5")[1]
    assert "x-graphrouter-session" not in threshold


def test_without_sessions_every_request_is_decided_by_itself(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    address = serve(create_app(router, deployments, sessions=False))
    assert "x-graphrouter-session" not in ask(address, FIRST)[1]


def test_a_user_who_repeats_himself_gets_the_strongest(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    cheap = gr.Policy.preset("cost_first")
    address = serve(create_app(router, deployments, policy=cheap))
    first, _ = ask(address, FIRST)
    text = "Add 3 and 4, and say how!"
    decision = router.route(text, policy=cheap)
    strongest = max(decision.candidates, key=lambda each: each.effect).model
    assert first != strongest
    found, headers = ask(address, answered(text))
    assert (found, headers["x-graphrouter-session-reason"]) == (
        strongest,
        "the user repeats himself",
    )
