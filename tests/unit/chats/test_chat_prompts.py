"""A chat in the place of a prompt: the same text in tables, in routers and in the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.chats import read_any_chat, to_text
from graphrouter.data import read_answers
from graphrouter.data.new_outcomes import read_query_file
from graphrouter.data.table_files import write_table
from graphrouter.exceptions import ChatError, DataError
from graphrouter.gateway.api_forms import CHAT_COMPLETIONS, MESSAGES
from graphrouter.types import Queries

ASKED = "Which of these two proofs is the shorter one?"
CHAT = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Hello there, I have two proofs."},
    {"role": "assistant", "content": "Show them."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": ASKED},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        ],
    },
]
TOOLS = [
    {"role": "user", "content": "How warm is it in Lisbon today?"},
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "21"}]},
]


@pytest.mark.parametrize(
    ("chat", "text"),
    [
        (CHAT, ASKED),
        (TOOLS, "How warm is it in Lisbon today?"),
        ([*CHAT[1:3], {"role": "user", "content": "Yes."}], None),
        ([{"role": "tool", "content": "7", "tool_call_id": "a"}], "7"),
    ],
)
def test_the_text_is_that_of_the_gateway(chat: list[dict[str, Any]], text: str | None) -> None:
    form = MESSAGES if chat is TOOLS else CHAT_COMPLETIONS
    served = gr.chats.read_prompt(form.read({"messages": chat}))
    assert to_text(chat) == served
    assert text is None or served == text


def test_roles_are_kept_and_images_and_calls_counted() -> None:
    turns = read_any_chat(CHAT).turns
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert [turn.num_images for turn in turns] == [0, 0, 0, 1]
    assert read_any_chat(CHAT).needs == {"vision"}
    called, answered = read_any_chat(TOOLS).turns[1:]
    assert called.calls == ("weather",)
    assert (answered.role, answered.text) == ("tool", "21")


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ([{"role": "system", "content": "Be brief."}], "none with the role user"),
        ([{"role": "user", "content": 7}], "content is 7; expected text or a list of parts"),
    ],
)
def test_what_is_no_chat_is_refused_with_its_place(chat: Any, message: str) -> None:
    with pytest.raises(ChatError, match=rf"^prompts\[1\]: .*{message}"):
        Queries.of(["Hello.", chat])
    table = {"prompt": ["Hello.", chat], "model": ["a", "b"], "effect": [1, 0]}
    with pytest.raises(DataError, match=f"^answers, row 2: prompt: .*{message}"):
        read_answers(table)


def test_one_chat_is_no_sequence_of_prompts() -> None:
    with pytest.raises(DataError, match=r"messages of one chat.*pass \[messages\]"):
        Queries.of(CHAT)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["queries.jsonl", "queries.parquet"])
def test_files_hold_chats_too(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"query_id": ["a", "b"], "prompt": [CHAT[:3], TOOLS[:1]]})
    if name.endswith("parquet"):
        write_table(frame, tmp_path / name)
    else:
        frame.to_json(tmp_path / name, orient="records", lines=True)
    assert read_query_file(tmp_path / name)["prompt"].tolist() == [
        "Hello there, I have two proofs.",
        "How warm is it in Lisbon today?",
    ]


def test_routers_take_chats_wherever_they_take_texts() -> None:
    prompts = [CHAT, TOOLS, "1 + 1?", "2 + 2?"]
    rows = [(p, m, i % 2) for i, p in enumerate(prompts) for m in ("nano", "grand")]
    table = pd.DataFrame(rows, columns=["prompt", "model", "effect"])
    router = gr.GraphRouter.fit(table, instant=True)
    assert ASKED in set(router.support.queries["prompt"])
    mine, plain = router.predict([CHAT]), router.predict([ASKED])
    np.testing.assert_array_equal(mine.effect, plain.effect)
    assert router.route(CHAT).model == router.route(ASKED).model
    [decision] = router.route_batch([CHAT])
    assert decision.model == router.route(ASKED).model
    more = router.add_outcomes(pd.DataFrame([{"prompt": CHAT, "model": "nano", "effect": 1.0}]))
    assert len(more.support.queries) == len(router.support.queries)
    given: list[Any] = []

    def ask(model: str, prompt: Any) -> str:
        given.append(prompt)
        return "The first."

    run = router.run(CHAT, ask=ask, judge=lambda prompt, answer: float(prompt == ASKED))
    assert given[0] is CHAT  # whoever is asked gets the whole chat
    assert run.prompt == ASKED
    assert run.effect == 1.0
