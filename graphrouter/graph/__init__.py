"""The heterogeneous graph: the one builder, the leakage check, the networkx view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.graph.builder import build_graph
    from graphrouter.graph.inspect import (
        GraphSummary,
        LeakageReport,
        report_leakage,
        summarise_graph,
    )
    from graphrouter.graph.leakage import check_no_leakage
    from graphrouter.graph.project import (
        project_on_families,
        project_on_tasks,
        to_networkx,
        write_graphml,
    )

__all__ = [
    "GraphSummary",
    "LeakageReport",
    "build_graph",
    "check_no_leakage",
    "project_on_families",
    "project_on_tasks",
    "report_leakage",
    "summarise_graph",
    "to_networkx",
    "write_graphml",
]

_MODULE_OF = {
    "GraphSummary": "graphrouter.graph.inspect",
    "LeakageReport": "graphrouter.graph.inspect",
    "build_graph": "graphrouter.graph.builder",
    "check_no_leakage": "graphrouter.graph.leakage",
    "project_on_families": "graphrouter.graph.project",
    "project_on_tasks": "graphrouter.graph.project",
    "report_leakage": "graphrouter.graph.inspect",
    "summarise_graph": "graphrouter.graph.inspect",
    "to_networkx": "graphrouter.graph.project",
    "write_graphml": "graphrouter.graph.project",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
