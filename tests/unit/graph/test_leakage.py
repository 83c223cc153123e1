"""Each kind of planted leak is found; graphs that are drawn at random never leak."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from graphrouter.bench.simulate import simulate
from graphrouter.config import TrainConfig
from graphrouter.data import split_dataset
from graphrouter.encoders import HashingEncoder
from graphrouter.exceptions import LeakageError
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.features.tables import NodeTable
from graphrouter.graph.hetero_data import ANSWERED_BY, SUPERVISED, to_hetero
from graphrouter.graph.leakage import check_no_leakage
from graphrouter.graph.routing_graph import build_graph
from graphrouter.training.episodes import draw_episode, validation_graph
from graphrouter.training.prepare import TrainingTables, prepare

MakeNodes = Callable[..., NodeTable]
MakeEdges = Callable[..., RecordedEdges]
NEAREST = 2
ANSWERED = ("model", "answered", "target")
TARGET_SIMILAR_TO = ("target", "similar_to", "target")
"""Ways on which a leak could come in, none of which the export knows."""


@pytest.fixture
def graph(make_nodes: MakeNodes, make_edges: MakeEdges) -> HeteroData:
    """Queries 0, 1, 2 are the support, 3 and 4 targets; query 3 has labels with the models 0 and
    1, query 4 none."""
    return to_hetero(
        build_graph(
            make_nodes(5),
            support=make_edges([(0, 0), (0, 1), (1, 0), (2, 2)]),
            support_queries=torch.tensor([0, 1, 2]),
            target_queries=torch.tensor([3, 4]),
            target_tasks=torch.tensor([0, 1]),
            num_neighbours=NEAREST,
            labels=make_edges([(3, 0), (3, 1)]),
        )
    )


def add_edge(graph: HeteroData, kind: tuple[str, str, str], source: int, target: int) -> None:
    there = graph[kind].get("edge_index", torch.empty(2, 0, dtype=torch.int64))
    graph[kind].edge_index = torch.cat([there, torch.tensor([[source], [target]])], dim=1)


def test_a_clean_graph_passes(graph: HeteroData) -> None:
    check_no_leakage(graph)


def test_a_graph_without_labels_passes(graph: HeteroData) -> None:
    del graph[SUPERVISED]
    check_no_leakage(graph)


def test_a_supervised_pair_among_the_messages_is_found(graph: HeteroData) -> None:
    add_edge(graph, SUPERVISED, 0, 1)  # target 0 is query 3
    with pytest.raises(
        LeakageError,
        match=r"1 supervised pairs are also 'answered_by' message edges, the first \(query 3, "
        r"model 1\)",
    ):
        check_no_leakage(graph)


def test_a_supervised_pair_among_the_reverse_messages_is_found(graph: HeteroData) -> None:
    add_edge(graph, ANSWERED, 0, 0)
    with pytest.raises(
        LeakageError, match=r"also 'answered' message edges, the first \(query 3, model 0\)"
    ):
        check_no_leakage(graph)


def test_pairs_are_told_apart_by_query_and_model(graph: HeteroData) -> None:
    # (2, 2) and (3, 0) exist or existed; (3, 2) is no message
    graph[SUPERVISED].edge_label_index = torch.tensor([[0], [2]])
    check_no_leakage(graph)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_message_from_a_target_is_found_with_and_without_labels(
    graph: HeteroData, labelled: bool
) -> None:
    if not labelled:
        del graph[SUPERVISED].edge_label_index
    add_edge(graph, SUPERVISED, 1, 2)
    with pytest.raises(LeakageError, match="Query 4 is a target and a source of messages"):
        check_no_leakage(graph)


def test_a_target_as_neighbour_is_found(graph: HeteroData) -> None:
    add_edge(graph, TARGET_SIMILAR_TO, 1, 0)
    with pytest.raises(LeakageError, match="Query 4 is a target and a source of messages"):
        check_no_leakage(graph)


def test_an_outcome_that_reaches_a_target_is_found(graph: HeteroData) -> None:
    add_edge(graph, ANSWERED, 2, 1)
    with pytest.raises(LeakageError, match="Query 4 is a target and receives an outcome"):
        check_no_leakage(graph)


def test_labels_of_a_support_query_are_found(graph: HeteroData) -> None:
    graph[ANSWERED_BY].edge_label_index = torch.tensor([[1], [2]])
    with pytest.raises(LeakageError, match="Query 1 is in the support and has supervised pairs"):
        check_no_leakage(graph)


def test_a_query_under_both_node_types_is_found(graph: HeteroData) -> None:
    """Node types alone would not tell: the target is query 3 of the node table, and so is node 1
    of the support."""
    graph["query"].position = torch.tensor([0, 3, 2])
    with pytest.raises(
        LeakageError, match=r"1 supervised pairs are also .* the first \(query 3, model 0\)"
    ):
        check_no_leakage(graph)
    del graph[SUPERVISED]
    with pytest.raises(LeakageError, match="Query 3 is in the support"):
        check_no_leakage(graph)


def test_a_store_without_edges_is_no_leak(graph: HeteroData) -> None:
    graph[ANSWERED].edge_index = torch.empty(2, 0, dtype=torch.int64)
    check_no_leakage(graph)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int]], list[int], list[int]]:
    """Numbers of queries and models, observed pairs, and disjoint supports and targets in any
    order."""
    num_queries, num_models = draw(st.integers(2, 12)), draw(st.integers(2, 5))
    cells = [(query, model) for query in range(num_queries) for model in range(num_models)]
    pairs = draw(st.lists(st.sampled_from(cells), unique=True, max_size=30))
    order = draw(st.permutations(range(num_queries)))
    cut = draw(st.integers(1, num_queries - 1))
    return num_queries, num_models, pairs, list(order[:cut]), list(order[cut:])


@given(worlds())
def test_random_supports_and_targets_never_leak(
    make_nodes: MakeNodes,
    make_edges: MakeEdges,
    world: tuple[int, int, list[tuple[int, int]], list[int], list[int]],
) -> None:
    num_queries, num_models, pairs, support, targets = world
    graph = to_hetero(
        build_graph(
            make_nodes(num_queries, num_models=num_models),
            support=make_edges([pair for pair in pairs if pair[0] in support]),
            support_queries=torch.tensor(support),
            target_queries=torch.tensor(targets),
            target_tasks=torch.full((len(targets),), -1),
            num_neighbours=3,
            labels=make_edges([pair for pair in pairs if pair[0] in targets]),
        )
    )
    check_no_leakage(graph)
    assert sorted([*messages_of(graph), *supervised_of(graph)]) == sorted(
        pairs
    )  # so the two are disjoint and nothing is lost


@pytest.fixture(scope="module")
def tables() -> TrainingTables:
    data = simulate(120, 5, seed=3).data
    return prepare(data, split_dataset(data, TrainConfig().split), HashingEncoder(16))


@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=50)
def test_random_episodes_never_leak(tables: TrainingTables, seed: int) -> None:
    config = TrainConfig.model_validate(
        {"training": {"batch_queries": 20, "newcomer_share": 0.5}, "graph": {"num_neighbours": 5}}
    )
    graph = draw_episode(tables, config, torch.Generator().manual_seed(seed))
    messages, supervised = messages_of(graph), supervised_of(graph)
    assert {query for query, _ in messages}.isdisjoint(query for query, _ in supervised)
    trained = set(zip(tables.train.query.tolist(), tables.train.model.tolist(), strict=True))
    assert messages <= trained
    assert supervised <= trained


@pytest.mark.parametrize("task_known", [True, False])
def test_the_validation_graph_holds_training_outcomes_as_messages_and_validation_outcomes_as_labels(
    tables: TrainingTables, task_known: bool
) -> None:
    graph = validation_graph(tables, TrainConfig(), task_known=task_known)
    assert messages_of(graph) == set(
        zip(tables.train.query.tolist(), tables.train.model.tolist(), strict=True)
    )
    assert supervised_of(graph) == set(
        zip(tables.validation.query.tolist(), tables.validation.model.tolist(), strict=True)
    )


def messages_of(graph: HeteroData) -> set[tuple[int, int]]:
    """(query, model) positions of the message edges."""
    return _pairs(graph, "query", graph[ANSWERED_BY].edge_index)


def supervised_of(graph: HeteroData) -> set[tuple[int, int]]:
    return _pairs(graph, "target", graph[SUPERVISED].edge_label_index)


def _pairs(graph: HeteroData, kind: str, index: torch.Tensor) -> set[tuple[int, int]]:
    return set(zip(graph[kind].position[index[0]].tolist(), index[1].tolist(), strict=True))
