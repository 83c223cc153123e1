"""What the gateway remembers: decisions, calls, outcomes, keys and what was spent.

`Store.open` opens a database or makes one, `GroupCommit` writes to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.gateway.store.database import Store
    from graphrouter.gateway.store.group_commit import GroupCommit

__all__ = ["GroupCommit", "Store"]

_MODULE_OF = {
    "GroupCommit": "graphrouter.gateway.store.group_commit",
    "Store": "graphrouter.gateway.store.database",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
