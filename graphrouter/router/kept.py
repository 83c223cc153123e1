"""What was computed of a support and still holds for the supports that come from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")
_COMPARED = (bool, int, str, bytes, tuple, frozenset)


class Kept:
    """Values by name, each with the parts that it was computed from.

    A value is computed again as soon as one of its parts is exchanged. Frames and arrays count as
    exchanged when they are other objects, since nobody changes them in place.

    Example:
        >>> kept, outcomes = Kept(), [1, 2]
        >>> [kept.find("sum", (outcomes,), lambda: sum(outcomes)) for _ in range(2)]
        [3, 3]
        >>> kept.find("sum", ([4],), lambda: 4)
        4
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def copy(self) -> Kept:
        """The same values, for a support that goes its own way."""
        other = Kept()
        other._values = self._values.copy()
        return other

    def find(self, name: str, parts: tuple[Any, ...], compute: Callable[[], Value]) -> Value:
        """The value of that name, computed where none is kept of these parts.

        Args:
            name: What it is called.
            parts: All that it depends on.
            compute: Computes it.
        """
        kept = self._values.get(name)
        if kept is not None and _are_same(kept[0], parts):
            found: Value = kept[1]
            return found
        value = compute()
        self.note(name, parts, value)
        return value

    def note(self, name: str, parts: tuple[Any, ...], value: object) -> None:
        """Keep a value that is known already."""
        self._values[name] = (parts, value)

    def latest(self, name: str) -> tuple[tuple[Any, ...], Any] | None:
        """The parts and the value that were kept last; None where there are none."""
        return self._values.get(name)


def _are_same(kept: tuple[Any, ...], parts: tuple[Any, ...]) -> bool:
    return len(kept) == len(parts) and all(
        old is new or (isinstance(new, _COMPARED) and old == new)
        for old, new in zip(kept, parts, strict=True)
    )
