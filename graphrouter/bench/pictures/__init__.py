"""Pictures of a router and of what it was measured on: as files, and inline in notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.bench.pictures.familiarity_picture import draw_familiarity
    from graphrouter.bench.pictures.graph_picture import draw_graph
    from graphrouter.bench.pictures.held_out_pictures import draw_calibration, draw_frontier
    from graphrouter.bench.pictures.newcomer_picture import draw_newcomer
    from graphrouter.bench.pictures.picture import Picture
    from graphrouter.bench.pictures.plan_picture import draw_plan
    from graphrouter.bench.pictures.strength_heatmap import draw_heatmap

__all__ = [
    "Picture",
    "draw_calibration",
    "draw_familiarity",
    "draw_frontier",
    "draw_graph",
    "draw_heatmap",
    "draw_newcomer",
    "draw_plan",
]

_MODULE_OF = {
    "Picture": "graphrouter.bench.pictures.picture",
    "draw_calibration": "graphrouter.bench.pictures.held_out_pictures",
    "draw_familiarity": "graphrouter.bench.pictures.familiarity_picture",
    "draw_frontier": "graphrouter.bench.pictures.held_out_pictures",
    "draw_graph": "graphrouter.bench.pictures.graph_picture",
    "draw_heatmap": "graphrouter.bench.pictures.strength_heatmap",
    "draw_newcomer": "graphrouter.bench.pictures.newcomer_picture",
    "draw_plan": "graphrouter.bench.pictures.plan_picture",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
