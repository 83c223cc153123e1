"""The page of a gateway: what its operator looks at in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.gateway.page.operator_page import OperatorPage

__all__ = ["OperatorPage"]

_MODULE_OF = {"OperatorPage": "graphrouter.gateway.page.operator_page"}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
