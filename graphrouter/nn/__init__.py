"""The graph neural network, as a composition of parts that can be swapped one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.nn.forecaster import Forecaster
    from graphrouter.nn.network import RoutingGNN

__all__ = [
    "Forecaster",
    "RoutingGNN",
]

_MODULE_OF = {
    "Forecaster": "graphrouter.nn.forecaster",
    "RoutingGNN": "graphrouter.nn.network",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
