"""The graph: its typed form, the one builder, its exports, and the leakage check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.graph.hetero_data import from_hetero, to_hetero
    from graphrouter.graph.inspect import (
        GraphSummary,
        LeakageReport,
        report_leakage,
        summarise_graph,
    )
    from graphrouter.graph.leakage import check_no_leakage
    from graphrouter.graph.projections import (
        project_on_families,
        project_on_tasks,
        to_networkx,
        write_graphml,
    )
    from graphrouter.graph.routing_graph import RoutingGraph, build_graph

__all__ = [
    "GraphSummary",
    "LeakageReport",
    "RoutingGraph",
    "build_graph",
    "check_no_leakage",
    "from_hetero",
    "project_on_families",
    "project_on_tasks",
    "report_leakage",
    "summarise_graph",
    "to_hetero",
    "to_networkx",
    "write_graphml",
]

_MODULE_OF = {
    "GraphSummary": "graphrouter.graph.inspect",
    "LeakageReport": "graphrouter.graph.inspect",
    "RoutingGraph": "graphrouter.graph.routing_graph",
    "build_graph": "graphrouter.graph.routing_graph",
    "check_no_leakage": "graphrouter.graph.leakage",
    "from_hetero": "graphrouter.graph.hetero_data",
    "project_on_families": "graphrouter.graph.projections",
    "project_on_tasks": "graphrouter.graph.projections",
    "report_leakage": "graphrouter.graph.inspect",
    "summarise_graph": "graphrouter.graph.inspect",
    "to_hetero": "graphrouter.graph.hetero_data",
    "to_networkx": "graphrouter.graph.projections",
    "write_graphml": "graphrouter.graph.projections",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
