"""Which form of requests can be had from an upstream of which protocol, and how."""

from __future__ import annotations

from graphrouter.gateway.api_forms import ApiForm, Protocol
from graphrouter.gateway.translation import chat_to_messages, messages_to_chat
from graphrouter.gateway.translation.chat_chunks import ChatChunks
from graphrouter.gateway.translation.message_events import MessageEvents
from graphrouter.gateway.translation.translator import Translation

__all__ = ["can_serve", "find_translation"]

_TRANSLATIONS: dict[tuple[str, Protocol], Translation] = {
    ("messages", "openai"): Translation(
        "/chat/completions",
        messages_to_chat.write_chat,
        messages_to_chat.read_answer,
        MessageEvents,
    ),
    ("chat", "anthropic"): Translation(
        "/messages",
        chat_to_messages.write_messages,
        chat_to_messages.read_answer,
        ChatChunks,
        {"max_tokens": chat_to_messages.MAX_TOKENS},
    ),
}


def find_translation(form: ApiForm, protocol: Protocol) -> Translation | None:
    """How requests of a form go to an upstream; None where they pass as they are.

    Raises:
        KeyError: They cannot go there, see `can_serve`.
    """
    if form.protocol == protocol:
        return None
    return _TRANSLATIONS[form.name, protocol]


def can_serve(form: ApiForm, protocol: Protocol) -> bool:
    """Whether an upstream of a protocol can answer requests of a form, translated or not."""
    return form.protocol == protocol or (form.name, protocol) in _TRANSLATIONS
