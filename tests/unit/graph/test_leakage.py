"""Each kind of planted leak is found; graphs that are drawn at random never leak."""

from __future__ import annotations

import dataclasses
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
from graphrouter.features.tables import NodeTable, OutcomeEdges
from graphrouter.graph.builder import ANSWERED, ANSWERED_BY, SIMILAR_TO, build_graph
from graphrouter.graph.leakage import check_no_leakage
from graphrouter.training.episodes import draw_episode, validation_graph
from graphrouter.training.prepare import TrainingTables, prepare

MakeNodes = Callable[..., NodeTable]
MakeEdges = Callable[..., OutcomeEdges]
NEAREST = 2


@pytest.fixture
def graph(make_nodes: MakeNodes, make_edges: MakeEdges) -> HeteroData:
    """Nodes 0, 1, 2 are support queries, 3 and 4 targets; node 3 has labels with the models 0 and
    1, node 4 none."""
    return build_graph(
        make_nodes(5),
        support=make_edges([(0, 0), (0, 1), (1, 0), (2, 2)]),
        support_queries=torch.tensor([0, 1, 2]),
        target_queries=torch.tensor([3, 4]),
        target_tasks=torch.tensor([0, 1]),
        num_neighbours=NEAREST,
        labels=make_edges([(3, 0), (3, 1)]),
    )


def add_edge(graph: HeteroData, kind: tuple[str, str, str], source: int, target: int) -> None:
    graph[kind].edge_index = torch.cat(
        [graph[kind].edge_index, torch.tensor([[source], [target]])], dim=1
    )


def test_a_clean_graph_passes(graph: HeteroData) -> None:
    check_no_leakage(graph)


def test_a_graph_without_labels_passes(graph: HeteroData) -> None:
    del graph[ANSWERED_BY].edge_label_index
    check_no_leakage(graph)


def test_a_supervised_pair_among_the_messages_is_found(graph: HeteroData) -> None:
    add_edge(graph, ANSWERED_BY, 3, 1)
    with pytest.raises(
        LeakageError,
        match=r"1 supervised pairs are also 'answered_by' message edges, the first \(query 3, "
        r"model 1\)",
    ):
        check_no_leakage(graph)


def test_a_supervised_pair_among_the_reverse_messages_is_found(graph: HeteroData) -> None:
    add_edge(graph, ANSWERED, 0, 3)
    with pytest.raises(
        LeakageError, match=r"also 'answered' message edges, the first \(query 3, model 0\)"
    ):
        check_no_leakage(graph)


def test_pairs_are_told_apart_by_query_and_model(graph: HeteroData) -> None:
    graph[ANSWERED_BY].edge_label_index = torch.tensor(
        [[3], [2]]
    )  # (2, 2) and (3, 0) exist or existed; (3, 2) is no message
    check_no_leakage(graph)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_message_from_a_target_is_found_with_and_without_labels(
    graph: HeteroData, labelled: bool
) -> None:
    if not labelled:
        del graph[ANSWERED_BY].edge_label_index
    add_edge(graph, ANSWERED_BY, 4, 2)
    with pytest.raises(LeakageError, match="Query 4 is a target and a source of messages"):
        check_no_leakage(graph)


def test_a_target_as_neighbour_is_found(graph: HeteroData) -> None:
    add_edge(graph, SIMILAR_TO, 4, 3)
    with pytest.raises(LeakageError, match="Query 4 is a target and a source of messages"):
        check_no_leakage(graph)


def test_an_outcome_that_reaches_a_target_is_found(graph: HeteroData) -> None:
    add_edge(graph, ANSWERED, 2, 4)
    with pytest.raises(LeakageError, match="Query 4 is a target and receives an outcome"):
        check_no_leakage(graph)


def test_labels_of_a_support_query_are_found(graph: HeteroData) -> None:
    graph[ANSWERED_BY].edge_label_index = torch.tensor([[3, 1], [0, 2]])
    with pytest.raises(LeakageError, match="Query 1 is in the support and has supervised pairs"):
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
    graph = build_graph(
        make_nodes(num_queries, num_models=num_models),
        support=make_edges([pair for pair in pairs if pair[0] in support]),
        support_queries=torch.tensor(support),
        target_queries=torch.tensor(targets),
        target_tasks=torch.full((len(targets),), -1),
        num_neighbours=3,
        labels=make_edges([pair for pair in pairs if pair[0] in targets]),
    )
    check_no_leakage(graph)
    assert sorted([*messages_of(graph), *supervised_of(graph)]) == sorted(
        pairs
    )  # so the two are disjoint and nothing is lost


@pytest.fixture(scope="module")
def tables() -> TrainingTables:
    """A small simulated dataset whose prompt lengths are replaced by the positions of the
    queries."""
    data = simulate(120, 5, seed=3).data
    prepared = prepare(data, split_dataset(data, TrainConfig().split), HashingEncoder(16))
    positions = torch.arange(prepared.nodes.query_chars.numel(), dtype=torch.float32)
    return dataclasses.replace(
        prepared, nodes=dataclasses.replace(prepared.nodes, query_chars=positions)
    )


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
    """(query, model) positions of the message edges; queries are told by their `num_chars`."""
    return _pairs(graph, graph[ANSWERED_BY].edge_index)


def supervised_of(graph: HeteroData) -> set[tuple[int, int]]:
    return _pairs(graph, graph[ANSWERED_BY].edge_label_index)


def _pairs(graph: HeteroData, index: torch.Tensor) -> set[tuple[int, int]]:
    query = graph["query"].num_chars[index[0]].long()
    return set(zip(query.tolist(), index[1].tolist(), strict=True))
