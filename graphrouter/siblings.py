"""Settings of one provider's model: what siblings share, and how hard each is made to think."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = [
    "EFFORTS",
    "complete",
    "find_unread_effort",
    "group_by_base",
    "read_effort",
    "read_parameters",
    "warn_of_unread_efforts",
]

logger = logging.getLogger(__name__)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Words for how hard a model is made to think, the least first."""
SHARED = ("description", "family", "context_tokens", "num_params")
"""Fields that siblings have in common, besides prices. What a call can do and fields of the user's
own may differ between settings, and a policy may rely on them: they are never taken over."""
PRICES = ("input_usd_per_mtok", "output_usd_per_mtok")
"""Taken over together, or not at all."""
_WORDS_OF_EFFORT = ("reasoning_effort", "effort", "thinking_level")
_TOKENS_OF_EFFORT = ("budget_tokens", "thinking_budget", "max_thinking_tokens")
_LOW_TOKENS = 1024.0
"""Tokens of thinking that count as low effort; four times as many are a word more."""


def read_parameters(value: Any) -> dict[str, Any] | None:
    """What to send with a call, from a mapping or the text of a JSON object; None for nothing.

    Raises:
        ValueError: It is something else, or holds what JSON cannot say.

    Example:
        >>> read_parameters('{"reasoning_effort": "high"}')
        {'reasoning_effort': 'high'}
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        read = json.loads(value) if isinstance(value, str) else value
        if isinstance(read, Mapping) and all(isinstance(name, str) for name in read):
            plain: dict[str, Any] = json.loads(json.dumps(dict(read), allow_nan=False))
            return plain or None
    except (TypeError, ValueError, RecursionError):
        pass
    hint = "; the size of a model is num_params" if isinstance(value, int | float) else ""
    raise ValueError(
        f'expected a mapping that JSON can say, such as {{"reasoning_effort": "high"}}{hint}'
    )


def read_effort(parameters: Mapping[str, Any] | None) -> float | None:
    """How hard the parameters make a model think: 0 for none, 2 for low, 4 for high.

    A word (`reasoning_effort`, `effort`, `thinking_level`) is its place in `EFFORTS`; a number of
    tokens (`budget_tokens`, `thinking_budget`, `max_thinking_tokens`) is low at 1,024, and a word
    more for each four times as many. None where neither is stated, at any depth.

    Example:
        >>> read_effort({"reasoning": {"effort": "high"}}), read_effort({"temperature": 0})
        (4.0, None)
        >>> read_effort({"thinking": {"type": "enabled", "budget_tokens": 4096}})
        3.0
    """
    for name, value in _walk(parameters or {}):
        if name in _WORDS_OF_EFFORT and str(value).lower() in EFFORTS:
            return float(EFFORTS.index(str(value).lower()))
        if name in _TOKENS_OF_EFFORT and isinstance(value, int | float) and value >= 0:
            return max(0.0, 2 + math.log(max(value, 1) / _LOW_TOKENS, 4))
    return None


def find_unread_effort(parameters: Mapping[str, Any] | None) -> str | None:
    """A word of effort that is none of `EFFORTS`, with its name; None without one.

    Example:
        >>> find_unread_effort({"reasoning_effort": "hihg"}), find_unread_effort({"effort": "low"})
        ("reasoning_effort = 'hihg'", None)
    """
    for name, value in _walk(parameters or {}):
        is_word = name in _WORDS_OF_EFFORT and isinstance(value, str)
        if is_word and value.lower() not in EFFORTS:
            return f"{name} = {value!r}"
    return None


def warn_of_unread_efforts(parameters: Iterable[Mapping[str, Any] | None]) -> None:
    """Log a warning where words of effort have no place in an order, and so order nothing."""
    unread = dict.fromkeys(found for each in parameters if (found := find_unread_effort(each)))
    if unread:
        logger.warning(
            "%s: no known effort, so that siblings are not ordered by it; known are %s.",
            ", ".join(unread),
            ", ".join(EFFORTS),
        )


def group_by_base(bases: Sequence[str | None], models: Sequence[str]) -> list[list[int]]:
    """Positions of the models of each base that several share, a model named like the base first.

    Example:
        >>> group_by_base(["x", None, "x", None], ["x-high", "y", "x-low", "x"])
        [[3, 0, 2]]
    """
    groups: dict[str, list[int]] = {}
    for place, base in enumerate(bases):
        if base is not None:
            groups.setdefault(base, []).append(place)
    for place, (base, model) in enumerate(zip(bases, models, strict=True)):
        if base is None and model in groups:
            groups[model].insert(0, place)
    return [places for places in groups.values() if len(places) > 1]


def complete(cards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each card takes over from its siblings: values of fields that it leaves empty.

    The card named like the base says first what siblings share, then the others in their order.

    Args:
        cards: Fields by name, without those that are not known; `model` and `base` among them.

    Example:
        >>> complete([{"model": "x", "num_params": 7e9}, {"model": "x-high", "base": "x"}])
        [{}, {'num_params': 7000000000.0}]
    """
    taken: list[dict[str, Any]] = [{} for _ in cards]
    bases, models = [card.get("base") for card in cards], [str(card["model"]) for card in cards]
    for places in group_by_base(bases, models):
        for fields in (*((name,) for name in SHARED), PRICES):
            givers = [cards[place] for place in places if all(f in cards[place] for f in fields)]
            for place in places:
                if givers and not any(field in cards[place] for field in fields):
                    taken[place] |= {field: givers[0][field] for field in fields}
    return taken


def _walk(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All names and values, at any depth."""
    for name, value in parameters.items():
        yield name, value
        if isinstance(value, Mapping):
            yield from _walk(value)
