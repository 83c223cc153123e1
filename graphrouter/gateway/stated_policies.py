"""Policies as clients, keys and admins state them: the name of a preset, or settings."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from graphrouter.exceptions import PolicyError
from graphrouter.policy import Policy, parse_policy

__all__ = ["read_policy_text", "read_stated_policy"]


def read_stated_policy(stated: object, source: str) -> Policy:
    """A policy from a JSON value.

    Args:
        stated: Settings, or the name of a preset.
        source: What to call it in messages.

    Raises:
        PolicyError: A setting is unknown or not accepted.

    Example:
        >>> read_stated_policy("cost_first", "policy").cost_weight
        0.8
    """
    settings: Any = {"preset": stated} if isinstance(stated, str) else stated
    return parse_policy(settings, source=source)


@lru_cache(256)  # a client sends the same header every time
def read_policy_text(text: str, source: str) -> Policy:
    """A policy from the words of a header or an option.

    Args:
        text: Settings as a JSON object, or the name of a preset.
        source: What to call it in messages.

    Raises:
        PolicyError: It is no JSON, or as `read_stated_policy`.

    Example:
        >>> read_policy_text('{"max_cost_usd": 0.01}', "x-graphrouter-policy").max_cost_usd
        0.01
    """
    stated: object = text.strip()
    if text.lstrip().startswith("{"):
        try:
            stated = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PolicyError(f"{source} is no valid JSON ({error}).") from None
    return read_stated_policy(stated, source)
