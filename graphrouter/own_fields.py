"""Fields of the user's own on a model card: which names and values they may have."""

from __future__ import annotations

import datetime
import difflib
import sys
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

__all__ = [
    "OF_OUTCOMES",
    "OwnValue",
    "agrees",
    "check_own_fields",
    "check_value",
    "find_meant_field",
    "is_own_name",
]

OwnValue = bool | float | str
"""What a field may hold."""
_MEANT = {
    "context": "context_tokens", "context_length": "context_tokens",
    "context_size": "context_tokens", "context_window": "context_tokens",
    "input_price": "input_usd_per_mtok", "output_price": "output_usd_per_mtok",
    "name": "model", "parameters": "num_params", "params": "num_params", "size": "num_params",
    "price": "", "prices": "", "cost": "", "capabilities": "",
}  # fmt: skip
"""What people call fields that a card has; "" where several are meant."""
OF_OUTCOMES = (
    "query_id", "effect", "cost_usd", "input_tokens", "output_tokens", "latency_s", "answer",
    "num_runs", "ttft_s", "output_tokens_per_s", "prompt", "task",
)  # fmt: skip
"""What is observed or predicted of a call, so that no card states it."""
_LEAST_LIKENESS = 0.8
_LARGEST = sys.float_info.max
_MOST_CHARS = 60
_WORDS = dict.fromkeys(("true", "yes", "1", "1.0"), True) | dict.fromkeys(
    ("false", "no", "0", "0.0"), False
)


def find_meant_field(name: str, known: Collection[str]) -> str | None:
    """The field of a card that a name is a slip of; None for a name of the user's own.

    "" where several fields may be meant. A name that adds words to a field is no slip of it.

    Example:
        >>> known = ("input_usd_per_mtok", "description")
        >>> find_meant_field("descripton", known), find_meant_field("region", known)
        ('description', None)
        >>> find_meant_field("input_usd_per_mtok_cached", known) is None
        True
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in _MEANT:
        return _MEANT[plain]
    if any(plain.startswith(f"{each}_") or plain.endswith(f"_{each}") for each in known):
        return None
    near = difflib.get_close_matches(plain, list(known), n=1, cutoff=_LEAST_LIKENESS)
    return near[0] if near else None


def is_own_name(name: str, kind: type[BaseModel]) -> bool:
    """Whether a field of the user's own may have this name on cards of a class."""
    fields = _list_fields(kind)
    return name not in fields and not _find_fault(name, kind, fields)


def check_own_fields(values: Mapping[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    """The values of a card with clean fields of the user's own, without those None or blank.

    Args:
        values: By the names of the fields.
        kind: The class of the card.

    Raises:
        ValueError: A name is a slip of a field or taken, or a value is neither a finite number,
            text, nor true or false.
    """
    known, clean = _list_fields(kind), {}
    for name, value in values.items():
        if name in known:
            clean[name] = value
            continue
        if fault := _find_fault(name, kind, known):
            raise ValueError(fault)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            try:
                clean[name] = check_value(value)
            except ValueError as error:
                shown = ascii(value)
                shown = shown if len(shown) <= _MOST_CHARS else f"{shown[: _MOST_CHARS - 3]}..."
                raise ValueError(
                    f"{name} = {shown} is not accepted: a field of your own holds {error}; leave "
                    "it out where it is unknown, or make several fields of it"
                ) from None
    return clean


def _list_fields(kind: type[BaseModel]) -> tuple[str, ...]:
    """The fields that every card of a class has, in order."""
    return tuple(field.alias or name for name, field in kind.model_fields.items())


def _find_fault(name: str, kind: type[BaseModel], fields: Collection[str]) -> str:
    """Why no field of the user's own can have a name, in words; empty where one can."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return (
            f"a field is named {name!r}; expected a name that is not blank, of characters that can "
            "be printed"
        )
    if name.strip().casefold() in OF_OUTCOMES:
        return (
            f"no field of your own can be named {name!r}, which is a column of outcomes: it is "
            f"known of a call and not of a model; expected another name, such as "
            f"usual_{name.strip()}"
        )
    meant = find_meant_field(name, fields)
    if meant is not None:
        hint = f"Did you mean {meant!r}?" if meant else f"Fields: {', '.join(fields)}."
        return (
            f"unknown field {name!r}. {hint} A field of your own needs a name less like those of "
            "a card"
        )
    if hasattr(kind, name) or "=" in name:
        return (
            f"no field of your own can be named {name!r}, which has a meaning already; expected "
            f"another name, such as my_{name.replace('=', '_')}"
        )
    return ""


def check_value(value: Any) -> OwnValue:
    """The value as a field holds it; a date is written as text, as in "2024-05-31".

    Raises:
        ValueError: It is neither a finite number, text, nor true or false.

    Example:
        >>> check_value(datetime.date(2024, 5, 31))
        '2024-05-31'
    """
    if isinstance(value, datetime.date):  # a moment of a day too; YAML makes dates of such words
        return value.isoformat()
    if hasattr(value, "item"):  # a number of NumPy
        value = value.item()
    if isinstance(value, str) or (isinstance(value, int | float) and abs(value) <= _LARGEST):
        return value
    raise ValueError("one finite number, one text, or true or false")


def agrees(stated: OwnValue | None, wanted: OwnValue) -> bool:
    """Whether a card states what is wanted; capitals do not count, and words may be numbers.

    Example:
        >>> agrees("EU", "eu"), agrees(3, "3.0"), agrees(True, "yes"), agrees(None, "eu")
        (True, True, True, False)
    """
    if stated is None:
        return False
    if isinstance(stated, bool) or isinstance(wanted, bool):
        return _WORDS.get(_fold(stated)) == _WORDS.get(_fold(wanted), not stated)
    if isinstance(stated, str) and isinstance(wanted, str):
        return _fold(stated) == _fold(wanted)
    try:
        return float(stated) == float(wanted)
    except ValueError:
        return False


def _fold(value: OwnValue) -> str:
    return str(value).strip().casefold()
