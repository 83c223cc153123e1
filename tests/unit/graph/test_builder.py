"""The builder: order of the nodes, attributes by hand, disjoint support and targets, neighbours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from graphrouter.exceptions import LeakageError
from graphrouter.features.channels import INPUT_TOKENS, LATENCY, NUM_CHANNELS, SPEND
from graphrouter.features.tables import NodeTable, OutcomeEdges
from graphrouter.graph.builder import (
    ANSWERED,
    ANSWERED_BY,
    EDGE_ATTRIBUTES,
    QUERY_IN_TASK,
    SIMILAR_TO,
    TASK_HAS_QUERY,
    build_graph,
    edge_attributes,
)

NAN = float("nan")
MakeNodes = Callable[..., NodeTable]
MakeEdges = Callable[..., OutcomeEdges]


@pytest.fixture
def graph(make_nodes: MakeNodes, make_edges: MakeEdges) -> HeteroData:
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
    graph: HeteroData, make_nodes: MakeNodes
) -> None:
    nodes = make_nodes(5)
    assert graph["query"].num_chars.tolist() == [4, 1, 3, 0]
    assert graph["query"].is_support.tolist() == [True, True, False, False]
    for name, table in (("x", nodes.query_text), ("principal", nodes.query_principal)):
        assert torch.equal(graph["query"][name], table[torch.tensor([4, 1, 3, 0])])
    assert (graph["task"].num_nodes, graph["model"].num_nodes) == (2, 3)


def test_messages_are_the_support_sorted_by_query_with_their_reverses(graph: HeteroData) -> None:
    assert graph[ANSWERED_BY].edge_index.tolist() == [[0, 0, 1, 1], [1, 0, 2, 0]]
    assert graph[ANSWERED_BY].edge_attr[:, 0].tolist() == [0.25, 0.75, 0.0, 0.5]
    assert torch.equal(graph[ANSWERED].edge_index, graph[ANSWERED_BY].edge_index.flip(0))
    assert torch.equal(graph[ANSWERED].edge_attr, graph[ANSWERED_BY].edge_attr)


def test_supervised_pairs_point_at_the_target_nodes_in_the_order_given(graph: HeteroData) -> None:
    assert graph[ANSWERED_BY].edge_label_index.tolist() == [[3, 2, 3], [1, 2, 0]]
    assert graph[ANSWERED_BY].edge_label.shape == (3, NUM_CHANNELS)
    assert graph[ANSWERED_BY].edge_label[:, 0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert graph[ANSWERED_BY].edge_label_cost.shape == (3,)


def test_a_hidden_task_has_no_membership(graph: HeteroData) -> None:
    # tasks of the queries 4, 1, 0 are 0, 1, 0; query 3 (node 2) is hidden
    assert graph[QUERY_IN_TASK].edge_index.tolist() == [[0, 1, 3], [0, 1, 0]]
    assert torch.equal(graph[TASK_HAS_QUERY].edge_index, graph[QUERY_IN_TASK].edge_index.flip(0))


def test_targets_attend_to_every_support_query_when_the_support_is_smaller_than_k(
    graph: HeteroData, make_nodes: MakeNodes
) -> None:
    source, target = graph[SIMILAR_TO].edge_index
    assert target.tolist() == [2, 2, 3, 3]
    assert sorted(source[:2].tolist()) == sorted(source[2:].tolist()) == [0, 1]
    text = make_nodes(5).query_text[torch.tensor([4, 1, 3, 0])]
    assert graph[SIMILAR_TO].edge_attr.flatten().tolist() == pytest.approx(
        (text[source] * text[target]).sum(1).tolist(), abs=1e-6
    )


def test_labels_do_not_change_a_message(make_nodes: MakeNodes, make_edges: MakeEdges) -> None:
    def build(labels: OutcomeEdges | None) -> HeteroData:
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
    assert "edge_label_index" not in without[ANSWERED_BY]
    for kind in without.edge_types:
        for name, value in without[kind].items():
            for other in (solved, failed):
                torch.testing.assert_close(other[kind][name], value, rtol=0, atol=0, equal_nan=True)


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
    assert graph["query"].is_support.all()
    assert graph[ANSWERED_BY].edge_attr.shape == (0, 2 * len(EDGE_ATTRIBUTES))
    assert graph[SIMILAR_TO].num_edges == 0


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


@pytest.mark.parametrize(
    ("pair", "error"),
    [((2, 0), IndexError), ((0, 7), ValueError)],
    ids=["query outside the support", "model outside the pool"],
)
def test_an_edge_that_points_nowhere_is_refused(
    make_nodes: MakeNodes, make_edges: MakeEdges, pair: tuple[int, int], error: type[Exception]
) -> None:
    with pytest.raises(error, match="index"):
        build_graph(
            make_nodes(3),
            support=make_edges([(0, 1), pair]),
            support_queries=torch.tensor([0, 1]),
            target_queries=torch.tensor([2]),
            target_tasks=torch.tensor([0]),
            num_neighbours=1,
        )


def test_edge_attributes_by_hand() -> None:
    channels = torch.full((NUM_CHANNELS, 4), NAN)
    channels[0] = torch.tensor([1.0, 0.0, 0.5, 1.0])
    channels[INPUT_TOKENS] = 7.0
    channels[SPEND, :2] = torch.tensor([-1.5, 2.0])
    channels[LATENCY, 3] = 0.25
    received = edge_attributes(channels, torch.tensor([0, 0, 0, 1]), 3)
    assert EDGE_ATTRIBUTES == (
        "effect",
        "input_tokens",
        "spend",
        "latency",
        "effect_minus_query_mean",
    )
    # query 0: the means of the others are 0.25, 0.75 and 0.5; query 1 was answered by one model
    # alone
    assert received.tolist() == [
        [1.0, 7.0, -1.5, 0.0, 0.75, 0, 0, 0, 1, 0],
        [0.0, 7.0, 2.0, 0.0, -0.75, 0, 0, 0, 1, 0],
        [0.5, 7.0, 0.0, 0.0, 0.0, 0, 0, 1, 1, 0],
        [1.0, 7.0, 0.0, 0.25, 0.0, 0, 0, 1, 0, 1],
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        min_size=1,
        max_size=12,
    ),
)
def test_effect_minus_query_mean_does_not_depend_on_other_queries(
    rows: list[tuple[int, float]],
) -> None:
    query = torch.tensor([row[0] for row in rows])
    channels = torch.full((NUM_CHANNELS, len(rows)), NAN)
    channels[0] = torch.tensor([row[1] for row in rows])
    received = edge_attributes(channels, query, 4)
    mine = query == rows[0][0]
    alone = edge_attributes(channels[:, mine], query[mine], 4)
    assert torch.equal(received[mine], alone)
    assert torch.equal(received[:, -1].bool(), torch.bincount(query, minlength=4)[query] == 1)
