"""Tokens as each form of answer tells them."""

from __future__ import annotations

import json

import pytest

from graphrouter.chats.usage import StreamedUsage, Usage, read_usage

CHAT = {
    "prompt_tokens": 30,
    "completion_tokens": 2,
    "prompt_tokens_details": {"cached_tokens": 10},
}
RESPONSE = {"input_tokens": 30, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 10}}
MESSAGE = {"input_tokens": 15, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 5}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"usage": CHAT}, Usage(30, 10, 2)),
        ({"usage": RESPONSE}, Usage(30, 10, 2)),
        ({"type": "response.completed", "response": {"usage": RESPONSE}}, Usage(30, 10, 2)),
        ({"usage": {**MESSAGE, "output_tokens": 2}}, Usage(30, 10, 2)),
        ({"type": "message_start", "message": {"usage": MESSAGE}}, Usage(30, 10, None)),
        ({"usage": {"prompt_tokens": 8, "total_tokens": 8}}, Usage(8, None, None)),
        ({"usage": {"prompt_tokens": "8", "completion_tokens": -1}}, Usage()),
        ({"usage": None}, Usage()),
        ({"choices": []}, Usage()),
        ([1], Usage()),
    ],
)
def test_every_form(body: object, expected: Usage) -> None:
    assert read_usage(body) == expected


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_streams_in_pieces_of_any_size(size: int) -> None:
    events = [
        {"type": "message_start", "message": {"usage": {**MESSAGE, "output_tokens": 1}}},
        {"choices": [{"delta": {"content": 'the word "usage" and é'}}]},
        {"type": "message_delta", "usage": {"output_tokens": 7}},
    ]
    lines = [f"event: x\ndata: {json.dumps(event)}\n\n" for event in events]
    told = "".join([*lines, 'data: {"usage": broken\n\n', "data: [DONE]\n\n"]).encode()
    reader = StreamedUsage()
    for start in range(0, len(told), size):
        reader.feed(told[start : start + size])
    assert reader.usage == Usage(30, 10, 7)
