"""Names of a package that load on first use, so that importing the package costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple


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
