"""A picture of the graph: tasks, users, a sample of queries, and the models that they go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.bench.evaluation.held_out import choose_held_out
from graphrouter.bench.pictures.graph_page import render_graph_page
from graphrouter.bench.pictures.picture import Heights, Picture
from graphrouter.bench.pictures.picture_style import BLUE, GREY, INK, SOFT, Size
from graphrouter.bench.pictures.routed_graph import RoutedGraph, build_routed_graph
from graphrouter.notebook import cut_text
from graphrouter.policy import Policy
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

_MARKS = {
    True: ("o", BLUE, "the model had solved it"),
    False: ("X", "white", "the model had failed on it"),
    None: ("o", "white", "not known"),
}


@dataclass(frozen=True, repr=False, eq=False)
class GraphPicture(Picture):
    """The picture of a graph, whose page can be asked why a query goes where it goes.

    In a notebook the page stands in a frame.
    """

    routed: RoutedGraph | None = None

    def to_html(self) -> str:
        """A page that needs nothing else: click on a query, a task or a model to see more of it."""
        return super().to_html() if self.routed is None else render_graph_page(self, self.routed)

    def _repr_html_(self) -> str:
        page = escape(self.to_html(), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="720" style="border: 0"></iframe>'


def draw_graph(
    router: GraphRouter,
    data: RoutingDataset,
    *,
    policy: Policy | None = None,
    num_queries: int = 36,
    seed: int = 0,
) -> GraphPicture:
    """Tasks, a sample of queries and the models that they would be sent to, of the networkx view.

    Where queries name who asked them, users stand below the tasks.

    Its HTML can be asked: a click on a query shows its candidates, the similar solved queries that
    speak for them, and what each model that was run on it brought.

    Args:
        router: Who decides.
        data: Where the queries are; those that the router has not learned from are drawn from.
        policy: What it decides by; balanced without it.
        num_queries: How many are drawn, at least 1.
        seed: Of the draw.

    Raises:
        DataError: No query is left, or the number is below 1.
        PolicyError: Nobody satisfies the policy and it names no fallback.
    """
    ids = choose_held_out(router, data)
    routed = build_routed_graph(
        router, data.select_queries(ids), policy=policy, num_queries=num_queries, seed=seed
    )
    graph = routed.graph
    rows = [
        (graph.nodes[query]["label"], routed.task_of(query), routed.model_of(query))
        for query in routed.queries
    ]
    shares = ", ".join(
        f"{graph.nodes[model]['label']} {len(routed.sent_to(model))}"
        for model in routed.models
        if routed.sent_to(model)
    )
    height = 0.7 + 0.17 * routed.num_rows
    return GraphPicture(
        title=f"Where queries of {data.name} would go",
        says=f"{count_of(len(routed.queries), 'query')} that the router has not learned from, drawn"
        f" at random over {count_of(len(routed.tasks), 'task')}, and whom they would be sent to by "
        f"the policy {routed.policy}: {shares}.",
        draw=lambda figure, size: _draw(figure, size, routed),
        columns=("query", "task", "sent to"),
        rows=rows,
        heights=Heights(height, height),
        routed=routed,
    )


def _draw(figure: Figure, size: Size, routed: RoutedGraph) -> None:
    axes = figure.subplots()
    axes.set_axis_off()
    graph = routed.graph
    left, queries, models = (
        _spread(nodes, place)
        for nodes, place in (
            ((*routed.tasks, *routed.users), 0.0),
            (routed.queries, 0.5),
            (routed.models, 1.0),
        )
    )
    places = {**left, **queries, **models}
    for query in routed.queries:
        for beside, color, width in (
            (routed.task_node_of(query), GREY, 0.6),
            (routed.user_node_of(query), GREY, 0.6),
            (routed.model_node_of(query), BLUE, 1.3),
        ):
            if beside is not None:
                ends = np.array([places[query], places[beside]])
                axes.plot(ends[:, 0], ends[:, 1], zorder=1, color=color, linewidth=width)
    for outcome, (marker, face, label) in _MARKS.items():
        there = [queries[query] for query in routed.queries if routed.solved(query) is outcome]
        if there:
            axes.plot(
                *zip(*there, strict=True),
                marker,
                markersize=6,
                markerfacecolor=face,
                color=INK if outcome is not None else SOFT,
                linestyle="",
                label=label,
            )
    width = 15 if size.is_narrow else 28
    for nodes, align, shift in ((left, "right", -0.02), (models, "left", 0.02)):
        for node, (x, y) in nodes.items():
            number = len(routed.sent_to(node)) if nodes is models else 0
            name = cut_text(str(graph.nodes[node]["label"]), width)
            mark = "o" if graph.nodes[node]["kind"] == "user" else "s"
            axes.plot([x], [y], mark, color=INK, markersize=4)
            axes.text(
                x + shift,
                y,
                f"{name} ({number})" if nodes is models else name,
                ha=align,
                va="center",
                fontweight="bold" if number else "normal",
                color=INK if number or nodes is left else SOFT,
            )
    margin = 0.75 if size.is_narrow else 0.45
    axes.set_xlim(-margin, 1 + margin)
    axes.set_ylim(1.02, -0.02)
    figure.legend(loc="outside lower center", ncols=1 if size.is_narrow else 3)


def _spread(nodes: Sequence[str], x: float) -> dict[str, tuple[float, float]]:
    """Places of nodes in a column, from the top (0) to the bottom (1)."""
    step = 1 / max(len(nodes), 1)
    return {node: (x, (number + 0.5) * step) for number, node in enumerate(nodes)}
