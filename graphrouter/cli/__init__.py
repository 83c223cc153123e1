"""The command line; `graphrouter` in a terminal calls `main`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.cli.app import main, run

__all__ = [
    "main",
    "run",
]

_MODULE_OF = {
    "main": "graphrouter.cli.app",
    "run": "graphrouter.cli.app",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
