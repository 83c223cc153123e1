"""Which session a request is of: by what clients send, by first turns, and apart for sub-agents."""

from __future__ import annotations

from typing import Any

import pytest

from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.sessions.session_names import SessionName, name_session

FIRST = (Turn("system", "Be brief."), Turn("user", "Mend the tests."))


def name(
    headers: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
    turns: tuple[Turn, ...] = FIRST,
    key: str | None = None,
) -> SessionName:
    return name_session(headers or {}, body or {}, Conversation(turns), key)


def test_clients_name_their_sessions() -> None:
    told = [
        name({"x-session-id": "abc12345"}),
        name({"session_id": "abc12345"}),
        name({"x-litellm-session-id": " abc12345"}),
        name(body={"prompt_cache_key": "abc12345"}),
        name(body={"metadata": {"user_id": "user_1_account__session_abc12345"}}),
    ]
    assert len({each.key for each in told}) == 1
    assert all(each.is_told for each in told)
    assert name({"x-session-id": "other"}).key != told[0].key
    assert not name().is_told
    assert not name(body={"metadata": {"user_id": "me"}, "prompt_cache_key": 5}).is_told
    assert not name(body={"metadata": 5}).is_told


def test_without_a_name_first_turns_tell() -> None:
    later = (*FIRST, Turn("assistant", "Done."), Turn("user", "And now?"))
    assert name().key == name(turns=later).key
    assert name().key != name(key="k1").key
    assert name().key != name(turns=(Turn("system", "Be long."), *FIRST[1:])).key


def test_sub_agents_are_apart_and_stored_responses_together() -> None:
    header = {"x-session-id": "a"}
    agent = (Turn("user", "Search the files."),)
    assert name(header).key != name(header, turns=agent).key
    changed = (Turn("system", "Now it is noon."), *FIRST[1:])
    assert name(header).key == name(header, turns=changed).key
    goes_on = {"previous_response_id": "r"}
    assert name(header, goes_on).key == name(header, goes_on, turns=agent).key


def test_controls() -> None:
    assert name({"x-graphrouter-session": "pin"}).control == "pin"
    found = name({"x-graphrouter-session": "pin=grand", "x-graphrouter-max-switches": "2"})
    assert (found.control, found.pinned, found.max_switches) == ("pin", "grand", 2)
    assert name({"x-graphrouter-session": "off"}).control == "off"
    for header, text in (
        ("x-graphrouter-session", "stay"),
        ("x-graphrouter-session", "pin="),
        ("x-graphrouter-max-switches", "-1"),
        ("x-graphrouter-max-switches", "many"),
        ("x-graphrouter-max-switches", "9" * 5000),
    ):
        with pytest.raises(ApiError, match="expected") as told:
            name({header: text})
        assert told.value.param == header
