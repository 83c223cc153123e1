"""Which session a request is of, and what its client asks of sessions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from graphrouter.chats.conversation import Conversation
from graphrouter.gateway.api_errors import ApiError
from graphrouter.wording import show_value

__all__ = ["SessionName", "name_session"]

HEADERS = (
    "x-session-id",
    "session-id",
    "session_id",  # Codex
    "x-session-affinity",  # OpenCode
    "x-litellm-session-id",
    "x-openwebui-chat-id",
    "helicone-session-id",
)
"""In which clients name their sessions, the first that is there counts."""
CONTROL = "x-graphrouter-session"
MOST_SWITCHES = "x-graphrouter-max-switches"
_OF_USER = re.compile(r"session_([0-9a-zA-Z-]{8,64})$")
"""How Claude Code names its session at the end of `metadata.user_id`."""
_PIN = re.compile(r"pin(?:=(?P<model>.+))?")


class SessionName(NamedTuple):
    """Which session a request is of."""

    key: str
    """Unique; the session, the client's key and what its turns begin with are in it, so that
    sub-agents, whose turns begin otherwise, are apart."""
    is_told: bool
    """Whether the client names it; else it is known by its first turns alone."""
    control: str = ""
    """`pin`, `unpin`, `off`, or nothing."""
    pinned: str | None = None
    """The model to pin; None for the one that the session is on."""
    max_switches: int | None = None
    """None where the client does not say."""


def name_session(
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    conversation: Conversation,
    key_id: str | None,
) -> SessionName:
    """The session of a request.

    By a header that clients send, `prompt_cache_key` or the end of `metadata.user_id` in the body,
    and the first turn of the user; else by what the system says and the first turn of the user.

    Args:
        headers: Of the request, with small letters.
        body: Of the request.
        conversation: What it asks.
        key_id: Of the client's key.

    Raises:
        ApiError: A header for the router is not accepted.
    """
    told = _find_told(headers, body)
    turns = conversation.turns
    first = next((turn.text for turn in turns if turn.role == "user"), "")
    system = "" if told else "\n".join(turn.text for turn in turns if turn.role == "system")
    begins = "" if body.get("previous_response_id") else first  # earlier turns are not sent again
    parts = "\0".join((key_id or "", told, system, begins))
    key = hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:32]
    control, pinned = _read_control(headers.get(CONTROL, "").strip())
    return SessionName(key, bool(told), control, pinned, _read_most(headers.get(MOST_SWITCHES)))


def _find_told(headers: Mapping[str, str], body: Mapping[str, Any]) -> str:
    for name in HEADERS:
        if headers.get(name, "").strip():
            return headers[name].strip()
    if isinstance(body.get("prompt_cache_key"), str):
        return str(body["prompt_cache_key"])
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    found = _OF_USER.search(user) if isinstance(user, str) else None
    return found[1] if found else ""


def _read_control(text: str) -> tuple[str, str | None]:
    if text in ("", "unpin", "off"):
        return text, None
    found = _PIN.fullmatch(text)
    if found is None:
        raise ApiError(
            400, f"{CONTROL} is {show_value(text)}; expected pin, pin=MODEL, unpin or off.", CONTROL
        )
    return "pin", found["model"]


def _read_most(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.strip().isdecimal() or len(text) > 9:
        raise ApiError(
            400,
            f"{MOST_SWITCHES} is {show_value(text)}; expected a whole number of at least 0.",
            MOST_SWITCHES,
        )
    return int(text)
