"""A picture of how near queries are to those that a router has seen solved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphrouter.bench.evaluation.held_out import choose_held_out
from graphrouter.bench.pictures.picture import Heights, Picture
from graphrouter.bench.pictures.picture_style import AREA, HATCH, ORACLE_LINE, ROUTER, Size
from graphrouter.exceptions import NotApplicableError
from graphrouter.types import FloatArray
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

_NUM_BINS = 20
UNLIKE = 1 / _NUM_BINS
"""Familiarity below which a query counts as unlike those seen: of more of the same kinds one in
twenty is."""


def draw_familiarity(router: GraphRouter, data: RoutingDataset) -> Picture:
    """How familiar the queries of `data` are to the router, beside queries of the kinds it knows.

    Familiarity is a rank among solved queries: of more queries of the same kinds it is spread
    evenly from 0 to 1. A tower at 0 says that these are others. Queries that the router has learned
    from are left out.

    Args:
        router: Who has seen solved queries.
        data: The queries; their outcomes do not matter.

    Raises:
        DataError: No query is left.
        NotApplicableError: The router has seen fewer than two solved queries.
    """
    query_ids = choose_held_out(router, data)
    queries = data.queries.set_index("query_id").loc[list(query_ids)]
    tasks = [task if task in (router.known_tasks or ()) else None for task in queries["task"]]
    found = router.predict(queries["prompt"].tolist(), tasks=tasks).familiarity
    if found is None:
        raise NotApplicableError(
            "There is no familiarity to draw: the router does not tell how near queries are to "
            "solved ones."
        )
    unlike = float((found < UNLIKE).mean())
    counts, edges = np.histogram(found, bins=_NUM_BINS, range=(0, 1))
    named = queries["task"].fillna("no task").to_numpy(dtype=object)
    return Picture(
        title=f"Does the router know such queries? {data.name}",
        says=f"Of {count_of(len(found), 'query')}, {unlike:.0%} are unlike those that the router "
        f"has seen solved; of more queries of the same kinds it would be {UNLIKE:.0%}."
        + _name_unlike(found, named),
        draw=lambda figure, size: _draw(figure, size, counts, edges),
        columns=("familiarity from", "to", "queries"),
        rows=[
            (float(low), float(high), int(count))
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
        heights=Heights(3.8, 3.8),
    )


def _name_unlike(found: FloatArray, tasks: np.ndarray) -> str:
    """The task whose queries are unlike most often, where that is more than chance would do."""
    shares = {
        task: float((found[tasks == task] < UNLIKE).mean())
        for task in dict.fromkeys(tasks.tolist())
        if (tasks == task).sum() >= _NUM_BINS
    }
    if len(shares) < 2:
        return ""
    task, share = max(shares.items(), key=lambda item: item[1])
    return f" Least known is {task}: {share:.0%} of its queries." if share > 2 * UNLIKE else ""


def _draw(figure: Figure, size: Size, counts: np.ndarray, edges: FloatArray) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots()
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    usual = counts.sum() / len(counts)
    style = {"edgecolor": ROUTER["color"], "align": "edge", "width": float(edges[1])}
    axes.bar(edges[1:-1], counts[1:], color=AREA, label="queries", **style)
    axes.bar(
        edges[:1],
        counts[:1],
        color=ROUTER["color"],
        hatch=HATCH,
        label="unlike all that was seen",
        **style,
    )
    axes.axhline(usual, label="more of the kinds seen", **ORACLE_LINE)
    axes.set_xlim(0, 1)
    axes.set_xlabel("familiarity (0 = like nothing seen)")
    axes.set_ylabel("queries")
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside lower center", ncols=1 if size.is_narrow else 3)
