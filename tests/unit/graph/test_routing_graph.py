"""The builder: order of the nodes, disjoint support and targets, labels apart from messages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from graphrouter.exceptions import LeakageError
from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.features.tables import NodeTable
from graphrouter.graph.routing_graph import RoutingGraph, build_graph

MakeNodes = Callable[..., NodeTable]
MakeEdges = Callable[..., RecordedEdges]


@pytest.fixture
def graph(make_nodes: MakeNodes, make_edges: MakeEdges) -> RoutingGraph:
    """Support queries 4 and 1 (in this order), targets 3 and 0; query 3 hides its task."""
    return build_graph(
        make_nodes(5),
        support=make_edges([(1, 2), (4, 1), (1, 0), (4, 0)], [0.0, 0.25, 0.5, 0.75]),
        support_queries=torch.tensor([4, 1]),
        target_queries=torch.tensor([3, 0]),
        target_tasks=torch.tensor([-1, 0]),
        num_neighbours=64,
        labels=make_edges([(0, 1), (3, 2), (0, 0)], [0.1, 0.2, 0.3]),
    )


def test_query_nodes_are_the_support_then_the_targets_in_the_order_given(
    graph: RoutingGraph, make_nodes: MakeNodes
) -> None:
    nodes = make_nodes(5)
    assert (graph.origin.query.tolist(), graph.origin.target.tolist()) == ([4, 1], [3, 0])
    assert graph.targets.num_chars[:, 0].tolist() == [3, 0]
    assert torch.equal(graph.query_text, nodes.query_text[[4, 1]])
    assert torch.equal(graph.query_principal, nodes.query_principal[[4, 1]])
    assert torch.equal(graph.targets.principal, nodes.query_principal[[3, 0]])
    assert (len(graph.task_text), len(graph.model_text), len(graph.model_card)) == (2, 3, 3)


def test_messages_are_the_support_sorted_by_query(graph: RoutingGraph) -> None:
    assert graph.outcomes.query.tolist() == [0, 0, 1, 1]
    assert graph.outcomes.model.tolist() == [1, 0, 2, 0]
    assert graph.outcomes.channels[0].tolist() == [0.25, 0.75, 0.0, 0.5]
    assert graph.outcomes.channels[1:].isnan().all()
    assert not hasattr(graph.outcomes, "scaled_cost"), "a cost is never a message"


def test_supervised_pairs_point_at_the_target_nodes_in_the_order_given(graph: RoutingGraph) -> None:
    assert graph.supervision is not None
    labels = graph.supervision.outcomes
    assert [labels.query.tolist(), labels.model.tolist()] == [[1, 0, 1], [1, 2, 0]]
    assert labels.channels.shape == (NUM_CHANNELS, 3)
    assert labels.channels[0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert labels.scaled_cost.shape == (3,)


def test_a_hidden_task_is_unknown_to_messages_and_known_to_the_loss(graph: RoutingGraph) -> None:
    assert graph.supervision is not None
    assert graph.query_task.tolist() == [0, 1]
    assert graph.targets.task.tolist() == [-1, 0]
    assert graph.supervision.true_task.tolist() == [1, 0]


def test_targets_attend_to_every_support_query_when_the_support_is_smaller_than_k(
    graph: RoutingGraph, make_nodes: MakeNodes
) -> None:
    neighbours, cosine = graph.targets.neighbours, graph.targets.cosine
    assert neighbours.shape == cosine.shape == (2, 2)
    assert neighbours.sort(1).values.tolist() == [[0, 1], [0, 1]]
    text = make_nodes(5).query_text
    source, target = text[[4, 1]][neighbours], text[[3, 0]].unsqueeze(1)
    torch.testing.assert_close(cosine, (source * target).sum(2), rtol=0, atol=1e-6)


def test_labels_do_not_change_a_message(make_nodes: MakeNodes, make_edges: MakeEdges) -> None:
    def build(labels: RecordedEdges | None) -> RoutingGraph:
        return build_graph(
            make_nodes(4),
            support=make_edges([(0, 0), (1, 1)]),
            support_queries=torch.tensor([0, 1]),
            target_queries=torch.tensor([2, 3]),
            target_tasks=torch.tensor([0, 1]),
            num_neighbours=2,
            labels=labels,
        )

    without, solved, failed = (
        build(None),
        build(make_edges([(2, 0)], [1.0])),
        build(make_edges([(2, 0), (3, 1)], [0.0, 0.0])),
    )
    assert without.supervision is None
    for other in (solved, failed):
        for mine, theirs in zip(_tensors(without), _tensors(other), strict=True):
            torch.testing.assert_close(theirs, mine, rtol=0, atol=0, equal_nan=True)


def _tensors(graph: RoutingGraph) -> list[torch.Tensor]:
    """Everything but the labels."""
    parts = [graph, graph.outcomes, graph.targets, graph.origin]
    values = [getattr(part, field.name) for part in parts for field in dataclasses.fields(part)]
    return [value for value in values if isinstance(value, torch.Tensor)]


def test_the_graph_of_a_support_alone(make_nodes: MakeNodes, make_edges: MakeEdges) -> None:
    nothing = torch.empty(0, dtype=torch.int64)
    graph = build_graph(
        make_nodes(3),
        support=make_edges([]),
        support_queries=torch.arange(3),
        target_queries=nothing,
        target_tasks=nothing,
        num_neighbours=8,
    )
    assert graph.origin.query.tolist() == [0, 1, 2]
    assert graph.outcomes.channels.shape == (NUM_CHANNELS, 0)
    assert graph.targets.neighbours.numel() == 0


def test_a_target_that_is_in_the_support_is_refused(
    make_nodes: MakeNodes, make_edges: MakeEdges
) -> None:
    with pytest.raises(LeakageError, match="A target query is also a support query"):
        build_graph(
            make_nodes(3),
            support=make_edges([(0, 0)]),
            support_queries=torch.tensor([0, 1]),
            target_queries=torch.tensor([2, 1]),
            target_tasks=torch.tensor([0, 0]),
            num_neighbours=1,
        )


@pytest.mark.parametrize("side", ["support", "labels"])
@pytest.mark.parametrize(
    ("pair", "index"),
    [((1, 0), "query"), ((0, 7), "model")],
    ids=["query that is on the other side", "model outside the pool"],
)
def test_an_edge_that_points_nowhere_is_refused(
    make_nodes: MakeNodes, make_edges: MakeEdges, pair: tuple[int, int], index: str, side: str
) -> None:
    edges = {"support": make_edges([(0, 1)]), "labels": make_edges([(2, 1)])}
    of_side = {"support": 0, "labels": 2}[side]
    query = of_side if index == "model" else 1
    edges[side] = make_edges([(of_side, 1), (query, pair[1])])
    with pytest.raises(ValueError, match=f"A {index} index is out of range"):
        build_graph(
            make_nodes(3),
            **edges,
            support_queries=torch.tensor([0]),
            target_queries=torch.tensor([2]),
            target_tasks=torch.tensor([0]),
            num_neighbours=1,
        )


def test_a_task_that_is_not_there_and_columns_that_disagree_are_refused(
    graph: RoutingGraph,
) -> None:
    targets = dataclasses.replace(graph.targets, task=torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="A task index is out of range"):
        dataclasses.replace(graph, targets=targets).validate()
    with pytest.raises(ValueError, match="The columns of 'model' have the lengths"):
        dataclasses.replace(graph, model_card=graph.model_card[:2]).validate()
