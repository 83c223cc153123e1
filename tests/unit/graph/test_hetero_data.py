"""The typed graph as HeteroData and back: nothing is lost, and only declared stores are there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.features.tables import NodeTable
from graphrouter.features.views import ViewNodes
from graphrouter.graph.hetero_data import (
    ANSWERED_BY,
    EDGE_TYPES,
    QUERY_IN_TASK,
    SIMILAR_TO,
    SUPERVISED,
    TARGET_IN_TASK,
    from_hetero,
    to_hetero,
)
from graphrouter.graph.routing_graph import RoutingGraph, build_graph

MakeNodes = Callable[..., NodeTable]
MakeEdges = Callable[..., RecordedEdges]


@pytest.fixture
def build(make_nodes: MakeNodes, make_edges: MakeEdges) -> Callable[..., RoutingGraph]:
    def make(
        *, labelled: bool = True, num_targets: int = 2, tasks: bool = True, views: bool = False
    ) -> RoutingGraph:
        nodes = make_nodes(6)
        if views:  # the second is of numbers alone; the target 0 has neither
            x = torch.arange(12.0).view(6, 2).masked_fill(torch.eye(6)[:, :1] > 0, torch.nan)
            alike = ViewNodes("context", x, torch.nn.functional.normalize(x, dim=1))
            nodes = dataclasses.replace(nodes, views=(alike, ViewNodes("other", x, x[:, :0])))
        if not tasks:
            nothing = torch.full_like(nodes.query_task, -1)
            nodes = dataclasses.replace(nodes, query_task=nothing, task_text=nodes.task_text[:0])
        targets = torch.tensor([3, 0, 5])[:num_targets]
        return build_graph(
            nodes,
            support=make_edges([(1, 2), (4, 1), (1, 0), (2, 0)], [0.0, 0.25, 0.5, 0.75]),
            support_queries=torch.tensor([4, 1, 2]),
            target_queries=targets,
            target_tasks=torch.where(targets > 0, -1, nodes.query_task[targets]),
            num_neighbours=2,
            labels=make_edges([(0, 1), (3, 2), (0, 0)][:num_targets]) if labelled else None,
            trade_off=torch.rand(num_targets),
        )

    return make


def _flatten(part: Any) -> dict[str, torch.Tensor | None]:
    flat: dict[str, torch.Tensor | None] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            flat |= {f"{field.name}.{name}": inner for name, inner in _flatten(value).items()}
        elif isinstance(value, tuple):
            for number, view in enumerate(value):
                flat |= {f"{field.name}.{number}.{k}": x for k, x in _flatten(view).items()}
        elif isinstance(value, str):
            continue
        else:
            flat[field.name] = value
    return flat


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"labelled": False},
        {"tasks": False},
        {"num_targets": 0, "labelled": False},
        {"views": True},
    ],
    ids=["labelled", "without labels", "without tasks", "a support alone", "with views"],
)
def test_there_and_back_is_the_same_graph(
    build: Callable[..., RoutingGraph], settings: dict[str, Any]
) -> None:
    graph = build(**settings)
    before, after = _flatten(graph), _flatten(from_hetero(to_hetero(graph)))
    assert before.keys() == after.keys()
    for name, value in before.items():
        if value is None:
            assert after[name] is None
        elif value.numel() == 0:  # without targets nobody counts their neighbours
            assert after[name].numel() == 0
        else:
            assert after[name].dtype == value.dtype
            torch.testing.assert_close(after[name], value, rtol=0, atol=0, equal_nan=True)


def test_stores_are_the_declared_ones_and_the_graph_itself_holds_nothing(
    build: Callable[..., RoutingGraph],
) -> None:
    data = to_hetero(build())
    assert set(data.node_types) == {"query", "target", "model", "task"}
    assert set(data.edge_types) == set(EDGE_TYPES)
    assert dict(data._global_store) == {}, "attributes of the graph belong to no node"
    assert set(to_hetero(build(labelled=False)).edge_types) == set(EDGE_TYPES) - {SUPERVISED}


def test_edges_by_hand(build: Callable[..., RoutingGraph]) -> None:
    data = to_hetero(build())
    assert data[ANSWERED_BY].edge_index.tolist() == [[0, 1, 1, 2], [1, 2, 0, 0]]
    assert data[ANSWERED_BY].edge_attr[:, 0].tolist() == [0.25, 0.0, 0.5, 0.75]
    # tasks of the queries 4, 1, 2 and 0 are 0, 1, 0 and 0; query 3 (target 0) hides its own
    assert data[QUERY_IN_TASK].edge_index.tolist() == [[0, 1, 2], [0, 1, 0]]
    assert data[TARGET_IN_TASK].edge_index.tolist() == [[1], [0]]
    assert data[SIMILAR_TO].edge_index[1].tolist() == [0, 0, 1, 1]
    assert data[SUPERVISED].edge_label_index.tolist() == [[1, 0], [1, 2]]
    assert data["target"].true_task.tolist() == [1, 0]


def test_an_index_that_points_nowhere_does_not_validate(build: Callable[..., RoutingGraph]) -> None:
    graph = build()
    wrong = dataclasses.replace(graph.outcomes, model=graph.outcomes.model + 2)
    with pytest.raises(ValueError, match="index"):
        to_hetero(dataclasses.replace(graph, outcomes=wrong))


def test_the_order_of_edges_does_not_matter(build: Callable[..., RoutingGraph]) -> None:
    graph = build()
    data = to_hetero(graph)
    for kind in (ANSWERED_BY, SIMILAR_TO):
        data[kind].edge_index = data[kind].edge_index.flip(1)
        data[kind].edge_attr = data[kind].edge_attr.flip(0)
    again = from_hetero(data)
    assert torch.equal(again.outcomes.query, graph.outcomes.query)
    first, second = (
        {*zip(g.outcomes.query.tolist(), g.outcomes.model.tolist(), strict=True)}
        for g in (graph, again)
    )
    assert first == second
    assert torch.equal(again.targets.neighbours, graph.targets.neighbours.flip(1))
    assert torch.equal(again.targets.cosine, graph.targets.cosine.flip(1))
