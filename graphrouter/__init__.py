"""A graph-based learned router for language models.

Names load on first use, so importing the package costs nothing: no torch, no pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.forks import keep_forks_alive
from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.bench.simulate.simulation import simulate
    from graphrouter.config import TrainConfig, load_config
    from graphrouter.data.readers import load_dataset
    from graphrouter.data.schema import RoutingDataset
    from graphrouter.data.splits import split_dataset
    from graphrouter.decision import Decision
    from graphrouter.exceptions import GraphRouterError
    from graphrouter.grades import Grade, Judge
    from graphrouter.policy import Policy
    from graphrouter.pool import ModelCard
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.router.loading import change_router, load_router
    from graphrouter.routes.named_routes import Routes
    from graphrouter.types import Predictions

__all__ = [
    "Decision",
    "Grade",
    "GraphRouter",
    "GraphRouterError",
    "Judge",
    "ModelCard",
    "Policy",
    "Predictions",
    "Routes",
    "RoutingDataset",
    "TrainConfig",
    "change_router",
    "load_config",
    "load_dataset",
    "load_router",
    "simulate",
    "split_dataset",
]

_MODULE_OF = {
    "Decision": "graphrouter.decision",
    "Grade": "graphrouter.grades",
    "GraphRouter": "graphrouter.router.graph_router",
    "GraphRouterError": "graphrouter.exceptions",
    "Judge": "graphrouter.grades",
    "ModelCard": "graphrouter.pool",
    "Policy": "graphrouter.policy",
    "Predictions": "graphrouter.types",
    "Routes": "graphrouter.routes.named_routes",
    "RoutingDataset": "graphrouter.data.schema",
    "TrainConfig": "graphrouter.config",
    "change_router": "graphrouter.router.loading",
    "load_config": "graphrouter.config",
    "load_dataset": "graphrouter.data.readers",
    "load_router": "graphrouter.router.loading",
    "simulate": "graphrouter.bench.simulate.simulation",
    "split_dataset": "graphrouter.data.splits",
}
__version__: str

keep_forks_alive()
__getattr__, __dir__ = load_lazily(__name__, {**_MODULE_OF, "__version__": "graphrouter.version"})
