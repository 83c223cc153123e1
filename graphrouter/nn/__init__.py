"""The graph neural network, as a composition of parts that can be swapped one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.nn.forecaster import Forecaster
    from graphrouter.nn.network import (
        FeatureSizes,
        NetworkParts,
        RoutingGNN,
        compose_network,
        compose_parts,
    )

__all__ = [
    "FeatureSizes",
    "Forecaster",
    "NetworkParts",
    "RoutingGNN",
    "compose_network",
    "compose_parts",
]

_MODULE_OF = {
    "FeatureSizes": "graphrouter.nn.network",
    "Forecaster": "graphrouter.nn.forecaster",
    "NetworkParts": "graphrouter.nn.network",
    "RoutingGNN": "graphrouter.nn.network",
    "compose_network": "graphrouter.nn.network",
    "compose_parts": "graphrouter.nn.network",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
