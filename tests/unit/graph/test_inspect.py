"""The counts of a graph by hand, its networkx view and projections, GraphML, and the leakage
report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest
import torch
from torch_geometric.data import HeteroData

from graphrouter.bench.simulate import simulate
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split, load_dataset, split_dataset
from graphrouter.encoders import HashingEncoder
from graphrouter.exceptions import DataError, LeakageError
from graphrouter.graph.hetero_data import ANSWERED_BY
from graphrouter.graph.inspect import (
    IsolatedNodes,
    ModelCoverage,
    TaskCoverage,
    report_leakage,
    summarise_graph,
)
from graphrouter.graph.projections import (
    project_on_families,
    project_on_tasks,
    to_networkx,
    write_graphml,
)
from graphrouter.training.episodes import validation_graph
from graphrouter.training.prepare import prepare


@pytest.fixture
def data() -> RoutingDataset:
    """Two tasks with queries and one without; query d has neither task nor outcome; model idle has
    no outcome."""
    return RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": ["a", "b", "c", "d", "e"],
                "task": ["sums", "sums", "prose", None, None],
                "prompt": ["1 + 1?", "2 + 2?", "Write. " * 100, "Hello.", "Bye."],
            }
        ),
        models=pd.DataFrame(
            {
                "model": ["nano", "grand", "idle"],
                "family": ["small", None, "small"],
                "description": ["Small.", None, None],
                "input_usd_per_mtok": [0.5, None, 1.0],
                "tools": [True, None, False],
            }
        ),
        outcomes=pd.DataFrame(
            {
                "query_id": ["a", "a", "b", "c", "e"],
                "model": ["nano", "grand", "nano", "grand", "grand"],
                "effect": [0.0, 1.0, 0.5, 1.0, 0.25],
                "cost_usd": [0.125, None, None, None, None],
            }
        ),
        tasks=pd.DataFrame(
            {"task": ["sums", "prose", "unused"], "description": ["Add numbers.", None, None]}
        ),
        name="tiny",
    )


def test_counts_by_hand(data: RoutingDataset) -> None:
    summary = summarise_graph(data, num_neighbours=3)
    assert summary.nodes == {"task": 3, "query": 5, "model": 3}
    assert summary.edges == {"in": 3, "answered_by": 5, "similar_to": 15}
    assert summary.tasks == (
        TaskCoverage("sums", num_queries=2, num_outcomes=3, num_models=2, coverage=0.5),
        TaskCoverage("prose", num_queries=1, num_outcomes=1, num_models=1, coverage=1 / 3),
        TaskCoverage("unused", num_queries=0, num_outcomes=0, num_models=0, coverage=None),
        TaskCoverage(None, num_queries=2, num_outcomes=1, num_models=1, coverage=1 / 6),
    )
    assert summary.models == (
        ModelCoverage("nano", "small", num_outcomes=2, num_tasks=1, coverage=0.4),
        ModelCoverage("grand", None, num_outcomes=3, num_tasks=2, coverage=0.6),
        ModelCoverage("idle", "small", num_outcomes=0, num_tasks=0, coverage=0.0),
    )
    assert summary.isolated == IsolatedNodes(tasks=("unused",), queries=("d",), models=("idle",))
    assert summary.num_queries_without_outcomes == 1
    assert summary.num_outcome_components == 1


def test_neighbours_are_at_most_all_other_queries(data: RoutingDataset) -> None:
    assert summarise_graph(data, num_neighbours=64).edges["similar_to"] == 5 * 4


def test_outcomes_that_no_query_links_fall_into_parts(data: RoutingDataset) -> None:
    outcomes = data.outcomes.drop(index=1)  # the only query that both models answered
    parted = RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    )
    assert summarise_graph(parted, num_neighbours=3).num_outcome_components == 2


def test_the_view_holds_every_node_and_edge_with_what_is_known(data: RoutingDataset) -> None:
    graph = to_networkx(data)
    assert graph.number_of_nodes() == 11
    assert graph.number_of_edges() == 8
    assert graph.nodes["task:sums"] == {
        "kind": "task",
        "label": "sums",
        "description": "Add numbers.",
    }
    assert graph.nodes["model:nano"] == {
        "kind": "model",
        "label": "nano",
        "description": "Small.",
        "family": "small",
        "input_usd_per_mtok": 0.5,
        "tools": True,
    }
    assert graph.nodes["model:grand"] == {"kind": "model", "label": "grand"}
    assert graph.nodes["query:c"] == {
        "kind": "query",
        "label": "c",
        "prompt": ("Write. " * 100)[:200],
        "num_chars": 700,
    }
    assert graph.edges["query:a", "task:sums"] == {"kind": "in"}
    assert graph.edges["query:a", "model:nano"] == {
        "kind": "answered_by",
        "effect": 0.0,
        "cost_usd": 0.125,
    }
    assert graph.edges["query:a", "model:grand"] == {"kind": "answered_by", "effect": 1.0}
    assert set(nx.isolates(graph)) == {"task:unused", "query:d", "model:idle"}


def test_a_task_a_query_and_a_model_of_one_name_are_three_nodes() -> None:
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ["x"], "task": ["x"], "prompt": ["?"]}),
        models=pd.DataFrame({"model": ["x", "y"]}),
        outcomes=pd.DataFrame({"query_id": ["x"], "model": ["x"], "effect": [1.0]}),
    )
    assert set(to_networkx(data)) == {"task:x", "query:x", "model:x", "model:y"}


def test_projection_on_families(data: RoutingDataset) -> None:
    graph = project_on_families(data)
    assert set(graph) == {"family:small", "model:nano", "model:grand", "model:idle"}
    assert graph.nodes["family:small"] == {
        "kind": "family",
        "label": "small",
        "num_outcomes": 2,
        "mean_effect": 0.25,
    }
    assert graph.nodes["model:idle"] == {"kind": "model", "label": "idle", "num_outcomes": 0}
    assert list(graph.edges(data=True)) == [
        ("family:small", "model:nano", {"num_outcomes": 2, "mean_effect": 0.25, "weight": 2})
    ]


def test_projection_on_tasks(data: RoutingDataset) -> None:
    graph = project_on_tasks(data)
    assert graph.nodes["task:unused"] == {"kind": "task", "label": "unused", "num_outcomes": 0}
    assert (
        graph.nodes["model:grand"]["mean_effect"] == 0.75
    )  # its outcome of unknown task counts here
    edges = {
        (u, v): (edge["num_outcomes"], edge["mean_effect"]) for u, v, edge in graph.edges(data=True)
    }
    assert edges == {
        ("task:sums", "model:nano"): (2, 0.25),
        ("task:sums", "model:grand"): (1, 1.0),
        ("task:prose", "model:grand"): (1, 1.0),
    }


def test_projections_of_a_dataset_without_tasks_and_families(data: RoutingDataset) -> None:
    bare = RoutingDataset.from_frames(
        queries=data.queries.assign(task=None),
        models=data.models[["model"]],
        outcomes=data.outcomes,
    )
    for project in (project_on_families, project_on_tasks):
        graph = project(bare)
        assert set(graph) == {"model:nano", "model:grand", "model:idle"}
        assert graph.number_of_edges() == 0


def test_fields_of_a_card_do_not_take_the_names_of_what_nodes_have(
    data: RoutingDataset, tmp_path: Path
) -> None:
    models = data.models.assign(
        kind=["model", "retriever", None], label=["red", "blue", "red"], card_label=[1.0, 2.0, 3.0]
    )
    wider = RoutingDataset.from_frames(
        queries=data.queries, models=models, outcomes=data.outcomes, tasks=data.tasks
    )
    graph = to_networkx(wider)
    node = graph.nodes["model:grand"]
    assert (node["kind"], node["label"], node["card_kind"]) == ("model", "grand", "retriever")
    assert (node["card_label"], node["card_card_label"]) == (2.0, "blue")
    write_graphml(graph, tmp_path / "graph.graphml")
    assert "card_kind" not in graph.nodes["model:idle"]


@pytest.mark.parametrize("view", [to_networkx, project_on_families, project_on_tasks])
def test_graphml_reads_back_as_it_was(
    tmp_path: Path, view: Callable[[RoutingDataset], nx.Graph]
) -> None:
    graph = view(simulate(60, 5, seed=2).data)
    file = tmp_path / "graph.graphml"
    write_graphml(graph, file)
    read = nx.read_graphml(file)
    assert read.is_directed() == graph.is_directed()
    assert dict(read.nodes(data=True)) == dict(graph.nodes(data=True))
    assert read.number_of_edges() == graph.number_of_edges()
    assert all(read.edges[ends] == graph.edges[ends] for ends in graph.edges)


def test_graphml_of_awkward_texts(tmp_path: Path) -> None:
    prompt = '<b>&amp;</b> \x00\x1b[31m\r\nline é 中 \U0001f600 ]]> "quoted"'
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ['a<\x01>"&'], "task": ["é & ü"], "prompt": [prompt]}),
        models=pd.DataFrame({"model": ["x/y:z", "None"], "description": ["\x07", None]}),
        outcomes=pd.DataFrame({"query_id": ['a<\x01>"&'], "model": ["x/y:z"], "effect": [1.0]}),
    )
    graph = to_networkx(data)
    file = tmp_path / "graph.graphml"
    write_graphml(graph, file)
    read = nx.read_graphml(file)
    assert (
        read.nodes['query:a<\ufffd>"&']["prompt"]
        == '<b>&amp;</b> \ufffd\ufffd[31m\nline é 中 \U0001f600 ]]> "quoted"'
    )
    assert read.nodes["model:x/y:z"]["description"] == "\ufffd"
    assert read.edges['query:a<\ufffd>"&', "task:é & ü"] == {"kind": "in"}
    assert graph.nodes['query:a<\x01>"&']["prompt"] == prompt  # the graph itself is left alone


def test_a_file_that_cannot_be_written_is_one_clear_error(
    tmp_path: Path, data: RoutingDataset
) -> None:
    with pytest.raises(DataError, match="Cannot write .*absent.*No such file or directory"):
        write_graphml(to_networkx(data), tmp_path / "absent" / "graph.graphml")


def test_nothing_unknown_is_written(tmp_path: Path, data: RoutingDataset) -> None:
    file = tmp_path / "graph.graphml"
    write_graphml(to_networkx(data), file)
    text = file.read_text(encoding="utf-8")
    assert "None" not in text
    assert "nan" not in text.replace("nano", "")


@pytest.fixture(scope="module")
def world() -> RoutingDataset:
    return simulate(100, 6, seed=5).data


def leak_free(data: RoutingDataset, by: str = "query") -> tuple[HeteroData, Split]:
    config = TrainConfig.model_validate({"split": {"by": by}, "graph": {"num_neighbours": 4}})
    split = split_dataset(data, config.split)
    return validation_graph(
        prepare(data, split, HashingEncoder(16)), config, task_known=True
    ), split


@pytest.mark.parametrize("by", ["query", "task", "model"])
def test_the_report_counts_messages_labels_and_what_is_hidden(
    world: RoutingDataset, by: str
) -> None:
    graph, split = leak_free(world, by)
    report = report_leakage(graph, world, split)
    seen = world.outcomes[~world.outcomes["model"].isin(split.held_out_models)]
    assert report.num_message_outcomes == seen["query_id"].isin(split.train).sum()
    assert report.num_supervised_pairs == seen["query_id"].isin(split.validation).sum()
    assert (
        report.num_message_outcomes + report.num_supervised_pairs + report.num_hidden_outcomes
        == len(world.outcomes)
    )
    assert (report.num_supervised_messages, report.num_hidden_messages) == (0, 0)
    assert (report.num_support_queries, report.num_target_queries) == (
        len(split.train),
        len(split.validation),
    )
    assert report.edges["similar_to"] == 4 * len(split.validation)
    assert report.nodes == {
        "task": world.queries.loc[world.queries["query_id"].isin(split.train), "task"].nunique(),
        "query": len(split.train) + len(split.validation),
        "model": 6 - len(split.held_out_models),
    }


def test_a_message_of_a_hidden_outcome_is_found(world: RoutingDataset) -> None:
    graph, split = leak_free(world)
    # The tensors are clean in themselves; only the ids tell that the first training query is really
    # a test query.
    swapped = dataclasses.replace(
        split, train=(split.test[0], *split.train[1:]), test=(split.test[0], *split.test[1:])
    )
    assert len(graph[ANSWERED_BY].edge_index[0]) > 0
    with pytest.raises(
        LeakageError,
        match=r"0 supervised pairs and [1-6] outcomes of test queries or held-out models",
    ):
        report_leakage(graph, world, swapped)


def test_a_supervised_pair_among_the_messages_is_found_by_id(world: RoutingDataset) -> None:
    graph, split = leak_free(world)
    same = dataclasses.replace(split, validation=(split.train[0], *split.validation[1:]))
    with pytest.raises(LeakageError, match=r"[1-6] supervised pairs and 0 outcomes"):
        report_leakage(graph, world, same)


def test_the_report_runs_the_check_inside_the_graph(world: RoutingDataset) -> None:
    graph, split = leak_free(world)
    graph["target", "similar_to", "target"].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(LeakageError, match="is a target and a source of messages"):
        report_leakage(graph, world, split)


def test_a_large_dataset_is_summarised(shared_data: Callable[[str], Path]) -> None:
    data = load_dataset(shared_data("zeroeval"))
    summary = summarise_graph(data, num_neighbours=64)
    edges = project_on_tasks(data).number_of_edges()
    assert summary.edges == {"in": 6324, "answered_by": 306_699, "similar_to": 6324 * 64}
    assert edges == sum(task.num_models for task in summary.tasks)
    assert math.isclose(sum(model.coverage for model in summary.models) * 6324, 306_699)
