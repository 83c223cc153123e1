"""Answers and streams that name their decision, and are otherwise as they were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from graphrouter.gateway.answer_marks import ask_for_usage, hides_usage, mark_answer, mark_stream
from graphrouter.gateway.api_forms import CHAT_COMPLETIONS, MESSAGES, ApiForm
from graphrouter.gateway.call_log import OpenCall
from graphrouter.gateway.forwarding import Outgoing

CALL = OpenCall("0f3c", ["nano"])
MARK = {"decision": "0f3c"}
USAGE = {"choices": [], "usage": {"prompt_tokens": 3}}


@pytest.mark.parametrize(
    "content", [b"{}", b"", b'[{"a": 1}]', b'say {"a": 1}', b'"{\\"a\\": 1}"', b"7"]
)
def test_what_is_no_object_stays_as_it_is(content: bytes) -> None:
    assert mark_answer(content, CALL) == content


@pytest.mark.parametrize("content", [b'{"a": {"b": 1}}', b' {\n  "a": 1}', '{"é": "ü"}'.encode()])
def test_an_object_says_who_decided(content: bytes) -> None:
    found = json.loads(mark_answer(content, CALL))
    assert found == {"graphrouter": MARK, **json.loads(content)}


def stream(*events: object, size: int, hides: bool = False, marks: bool = True) -> list[Any]:
    """What the client reads of some events that come in pieces of a size."""
    text = "".join(
        f"event: x\ndata: {each if isinstance(each, str) else json.dumps(each)}\n\n"
        for each in events
    ).encode()

    async def read() -> bytes:
        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(text), size):
                yield text[start : start + size]

        found = mark_stream(pieces(), CALL, marks=marks, hides=hides)
        return b"".join([piece async for piece in found])

    lines = asyncio.run(read()).decode().splitlines()
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


@pytest.mark.parametrize("size", [1, 13, 10_000])
def test_the_first_and_the_last_event_say_who_decided(size: int) -> None:
    words = [{"choices": [{"delta": {}, "finish_reason": None}]}] * 3
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    found = stream(*words, last, USAGE, "[DONE]", size=size)
    marked = {"graphrouter": MARK}
    assert found == [marked | words[0], *words[1:], marked | last, USAGE, "[DONE]"]
    assert stream(*words, last, USAGE, "[DONE]", size=size, hides=True) == [*found[:-2], "[DONE]"]
    plain = stream(*words, last, USAGE, "[DONE]", size=size, marks=False)
    assert plain == [*words, last, USAGE, "[DONE]"]


@pytest.mark.parametrize("last", ["message_stop", "response.completed"])
def test_other_forms_end_otherwise(last: str) -> None:
    found = stream({"type": "begin"}, {"type": "delta"}, {"type": last}, size=7)
    assert ["graphrouter" in each for each in found] == [True, False, True]


@pytest.mark.parametrize(
    ("form", "body", "hidden"),
    [
        (CHAT_COMPLETIONS, {"stream": True}, True),
        (CHAT_COMPLETIONS, {"stream": True, "stream_options": {"include_usage": False}}, True),
        (CHAT_COMPLETIONS, {"stream": True, "stream_options": {"include_usage": True}}, False),
        (CHAT_COMPLETIONS, {"stream": True, "stream_options": 3}, False),
        (CHAT_COMPLETIONS, {}, False),
        (MESSAGES, {"stream": True}, False),
    ],
)
def test_usage_is_asked_for_where_the_client_did_not(
    form: ApiForm, body: Mapping[str, Any], hidden: bool
) -> None:
    assert hides_usage(form, body) == hidden
    asked = ask_for_usage(Outgoing(form, body)).body
    assert asked == ({**body, "stream_options": {"include_usage": True}} if hidden else body)
