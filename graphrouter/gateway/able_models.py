"""Which models can take a request, as their cards tell."""

from __future__ import annotations

from graphrouter.chats.conversation import Conversation
from graphrouter.pool import ModelPool

__all__ = ["find_incapable"]


def find_incapable(conversation: Conversation, pool: ModelPool) -> dict[str, str]:
    """Why models cannot take a request, by model, as their cards tell.

    A card that does not say is given the benefit of the doubt.
    """
    found = {}
    length = conversation.num_tokens + (conversation.max_output_tokens or 0)
    for card in pool:
        lacking = [name for name in conversation.needs if card.has_capability(name) is False]
        if lacking:
            found[card.model] = f"cannot do {' and '.join(sorted(lacking))}"
        elif card.context_tokens is not None and length > card.context_tokens:
            found[card.model] = (
                f"context of {card.context_tokens} tokens is shorter than the {length} that the "
                "request may take"
            )
    return found
