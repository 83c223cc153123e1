"""What all forms of requests have in common: turns, what they need of a model, how long they are.

Every form of request is read into a `Conversation`; what is chosen depends on nothing else of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from graphrouter.exceptions import ChatError
from graphrouter.wording import show_value

__all__ = [
    "Conversation",
    "Role",
    "Turn",
    "count_tokens",
    "read_list",
    "tells_failure",
]

Role = Literal["system", "user", "assistant", "tool"]
BYTES_PER_TOKEN = 4
"""Of UTF-8: what tokenizers make of English; other languages take more bytes, and more tokens."""
TOKENS_PER_IMAGE = 1000
_FAILURES = ("error", "traceback", "exception", "failed", '{"error"', "fatal")


class Turn(NamedTuple):
    """One message, or the result of one call of a tool."""

    role: Role
    text: str
    num_images: int = 0
    calls: tuple[str, ...] = ()
    """Names of the tools that it calls."""
    has_failed: bool = False
    """Whether it is the result of a tool that failed."""


class Conversation(NamedTuple):
    """A request, as far as the choice of a model depends on it."""

    turns: tuple[Turn, ...]
    needs: frozenset[str] = frozenset()
    """Capabilities by their names on cards: tools, vision, json."""
    num_tokens: int = 0
    """Of all that is sent, tools among them; an estimate."""
    max_output_tokens: int | None = None
    """None where the request does not say."""
    num_earlier_tokens: int = 0
    """Of what was sent before and answered: all but the turns behind the last answer."""
    native: tuple[str, ...] = ()
    """What of it only an upstream of the request's own protocol understands."""

    @classmethod
    def of(
        cls,
        turns: Iterable[Turn],
        *,
        tools: object = None,
        wants_json: bool = False,
        max_output_tokens: object = None,
        native: Sequence[str] = (),
    ) -> Conversation:
        """A conversation whose needs and length are read off its parts.

        Args:
            turns: The oldest first.
            tools: As the request has them.
            wants_json: Whether the answer is to be JSON.
            max_output_tokens: As the request has it; counts where it is a whole number.
            native: What only the request's own protocol has.
        """
        listed = tuple(turns)
        has_image = any(turn.num_images for turn in listed)
        needed = {"tools": bool(tools), "vision": has_image, "json": wants_json}
        lengths = [count_tokens(turn.text) + TOKENS_PER_IMAGE * turn.num_images for turn in listed]
        of_tools = count_tokens(json.dumps(tools)) if tools else 0
        length = sum(lengths) + of_tools
        answers = [at for at, turn in enumerate(listed) if turn.role == "assistant"]
        earlier = sum(lengths[: answers[-1] + 1]) + of_tools if answers else 0
        most = max_output_tokens if type(max_output_tokens) is int else None
        needs = frozenset(name for name, is_needed in needed.items() if is_needed)
        return cls(listed, needs, length, most, earlier, tuple(native))


def count_tokens(text: str) -> int:
    """An estimate of the tokens of a text.

    Example:
        >>> count_tokens("Add 3 and 4.")
        3
    """
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def tells_failure(text: str) -> bool:
    """Whether the result of a tool reads as if it had failed.

    Example:
        >>> tells_failure("Error: no such file"), tells_failure("3 files changed")
        (True, False)
    """
    return text.lstrip()[:20].lower().startswith(_FAILURES)


def read_list(value: object, name: str, of: str = "objects") -> list[Mapping[str, Any]]:
    """A list of objects that a request must hold, and at least one.

    Raises:
        ChatError: It is something else.
    """
    is_list = isinstance(value, list) and bool(value)
    if not is_list or not all(isinstance(each, Mapping) for each in value):  # type: ignore[attr-defined]
        raise ChatError(f"{name} is {show_value(value)}; expected a list of {of}.", member=name)
    return value  # type: ignore[return-value]
