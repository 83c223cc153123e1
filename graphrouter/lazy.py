"""What is made on first use: names of a package, whose import then costs nothing, and tuples.

pandas too: `from graphrouter.lazy import pandas as pd`. What answers imports much that reads
tables, and needs none as a data frame.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    import pandas as pandas

Item = TypeVar("Item", covariant=True)


class LazyNames(NamedTuple):
    """What a package's `__init__` binds to the names that Python asks it for."""

    get: Callable[[str], Any]
    """Its `__getattr__`."""
    list: Callable[[], list[str]]
    """Its `__dir__`."""


def load_lazily(package: str, module_of: Mapping[str, str]) -> LazyNames:
    """The `__getattr__` and `__dir__` of a package whose names load when they are asked for.

    The same names stand in the package's `__all__` and, for type checkers, under `TYPE_CHECKING`;
    tests/unit/test_public_api.py holds the three together.

    Args:
        package: `__name__` of the package.
        module_of: The full name of the module that defines each public name.

    Example:
        >>> names = load_lazily("graphrouter", {"Policy": "graphrouter.policy"})
        >>> names.get("Policy").__module__
        'graphrouter.policy'
    """
    known = ", ".join(sorted(module_of))

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {known}.")
        value = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)  # the next access does not come here again
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    return LazyNames(get, list_names)


class LazyModule(ModuleType):
    """A module that is imported when something of it is asked for.

    Example:
        >>> LazyModule("json").dumps([1])
        '[1]'
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


if not TYPE_CHECKING:
    pandas = LazyModule("pandas")


class LazyTuple(Sequence[Item]):
    """A tuple that is made when somebody looks at it; equal to that tuple.

    Example:
        >>> numbers = LazyTuple(lambda: (1, 2))
        >>> len(numbers), numbers[0], numbers == (1, 2)
        (2, 1, True)
    """

    __slots__ = ("_made",)

    def __init__(self, make: Callable[[], tuple[Item, ...]]) -> None:
        self._made: Callable[[], tuple[Item, ...]] | tuple[Item, ...] = make

    def _look(self) -> tuple[Item, ...]:
        made = self._made
        if not isinstance(made, tuple):
            made = self._made = made()  # twice where two threads look: the same comes of it
        return made

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, index: int | slice) -> Item | tuple[Item, ...]:
        return self._look()[index]

    def __len__(self) -> int:
        return len(self._look())

    def __iter__(self) -> Iterator[Item]:
        return iter(self._look())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, tuple | LazyTuple):
            return self._look() == (other._look() if isinstance(other, LazyTuple) else other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._look())

    def __repr__(self) -> str:
        return repr(self._look())

    def __reduce__(self) -> tuple[Callable[..., tuple[Item, ...]], tuple[tuple[Item, ...]]]:
        return tuple, (self._look(),)  # a copy, or what another process gets, is the tuple
