"""The text that a conversation is routed by."""

from __future__ import annotations

import re

from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.exceptions import ChatError

__all__ = ["read_prompt"]

SAYS_LITTLE = 24
"""Bytes below which a turn of the user is read with what came before: "yes, go on"."""
MOST_BEFORE = 600
"""Characters of the earlier turn of the user that are read with it, half from each end."""
MOST_ANSWER = 200
"""Characters of the end of the answer in between, where a question may stand."""
_REMINDERS = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
"""What coding agents put beside the words of the user."""


def read_prompt(conversation: Conversation) -> str:
    r"""The text that a conversation is routed by.

    It is that of the last turn of the user, whatever tools have answered since. What the system
    says is shared by many requests and does not count, neither do reminders that agents add. A turn
    that says little by itself is read behind the last one that says more, and the end of the answer
    to that.

    Args:
        conversation: What was asked.

    Raises:
        ChatError: Nobody but the system has said anything.

    Example:
        >>> turns = [Turn("user", "Prove that 17 is a prime."), Turn("assistant", "By trial?")]
        >>> read_prompt(Conversation((*turns, Turn("user", "Yes, go on."))))
        'Prove that 17 is a prime.\nBy trial?\nYes, go on.'
    """
    turns = [turn for turn in conversation.turns if turn.role != "system"]
    users = [at for at, turn in enumerate(turns) if turn.role == "user"]
    if not turns:
        raise ChatError(
            "messages has none with the role user, by which to route.", member="messages"
        )
    if not users:  # it goes on from a response that the upstream keeps
        return _clean(turns[-1].text)
    last = _clean(turns[users[-1]].text)
    if not _says_little(last):
        return last
    for at in reversed(users[:-1]):
        text = _clean(turns[at].text)
        if not _says_little(text):
            answer = _find_answer(turns[at + 1 : users[-1]])
            return "\n".join(filter(None, (_cut(text), answer[-MOST_ANSWER:], last)))
    return last


def _clean(text: str) -> str:
    # A lone surrogate, which JSON can hold, is no text that an encoder takes.
    plain = text.encode("utf-8", "replace").decode()
    return _REMINDERS.sub("", plain).strip() if "<system-reminder>" in plain else plain


def _says_little(text: str) -> bool:
    return len(text.strip().encode()) < SAYS_LITTLE


def _cut(text: str) -> str:
    if len(text) <= MOST_BEFORE:
        return text
    half = MOST_BEFORE // 2
    return f"{text[:half]}\n{text[-half:]}"


def _find_answer(turns: list[Turn]) -> str:
    """The last text of the assistant."""
    said = (turn.text for turn in reversed(turns) if turn.role == "assistant" and turn.text)
    return next(map(_clean, said), "")
