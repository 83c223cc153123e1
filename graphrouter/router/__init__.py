"""The router: fit it, ask it, change its pool, save it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.batch_records import BatchRouting
    from graphrouter.router.budget_stream import BudgetStream
    from graphrouter.router.call_plan import Plan
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.router.loading import load_router
    from graphrouter.router.protocol import Router
    from graphrouter.router.provenance import Change, Provenance
    from graphrouter.router.run_records import Answer, Run
    from graphrouter.router.training_view import TrainingView

__all__ = [
    "Answer",
    "BatchRouting",
    "BudgetStream",
    "Change",
    "GraphRouter",
    "Plan",
    "Provenance",
    "Router",
    "Run",
    "TrainingView",
    "load_router",
]

_MODULE_OF = {
    "Answer": "graphrouter.router.run_records",
    "BatchRouting": "graphrouter.batch_records",
    "BudgetStream": "graphrouter.router.budget_stream",
    "Change": "graphrouter.router.provenance",
    "GraphRouter": "graphrouter.router.graph_router",
    "Plan": "graphrouter.router.call_plan",
    "Provenance": "graphrouter.router.provenance",
    "Router": "graphrouter.router.protocol",
    "Run": "graphrouter.router.run_records",
    "TrainingView": "graphrouter.router.training_view",
    "load_router": "graphrouter.router.loading",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
