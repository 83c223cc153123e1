"""The graph neural network, as a composition of parts that can be swapped one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.nn.network import NetworkParts, RoutingGNN, compose_network, compose_parts
    from graphrouter.scoring.scorer import FeatureSizes

__all__ = [
    "FeatureSizes",
    "NetworkParts",
    "RoutingGNN",
    "compose_network",
    "compose_parts",
]

_MODULE_OF = {
    "FeatureSizes": "graphrouter.scoring.scorer",
    "NetworkParts": "graphrouter.nn.network",
    "RoutingGNN": "graphrouter.nn.network",
    "compose_network": "graphrouter.nn.network",
    "compose_parts": "graphrouter.nn.network",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
