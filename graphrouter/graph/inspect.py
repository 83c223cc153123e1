"""Counts of the graph of a dataset, and the leakage check of a built graph in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch_geometric.data import HeteroData

from graphrouter.data import RoutingDataset, Split
from graphrouter.data.view_columns import count_embeddings
from graphrouter.exceptions import LeakageError
from graphrouter.features.views import CONTEXT, name_embedding
from graphrouter.graph.hetero_data import (
    ANSWERED_BY,
    QUERY_ASKED_BY,
    QUERY_IN_TASK,
    SIMILAR_TO,
    SUPERVISED,
    TARGET_ASKED_BY,
    TARGET_IN_TASK,
    is_similarity,
    name_similarity,
)
from graphrouter.graph.leakage import check_no_leakage
from graphrouter.types import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class TaskCoverage:
    """What is connected to one task node.

    The one named None gathers the queries of unknown task, which have no such node.
    """

    task: str | None
    num_queries: int
    num_outcomes: int
    """Outcomes of its queries."""
    num_models: int
    """Models with at least one of those outcomes."""
    coverage: float | None
    """Share of its (query, model) pairs that were run, in [0, 1]; None for a task without
    queries."""


@dataclass(frozen=True, slots=True)
class ModelCoverage:
    """What is connected to one model node."""

    model: str
    family: str | None
    num_outcomes: int
    num_tasks: int
    """Known tasks in which it answered at least one query."""
    coverage: float
    """Share of all queries that it was run on, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class IsolatedNodes:
    """Nodes without membership and without outcomes: nothing but their text speaks for them."""

    tasks: tuple[str, ...]
    queries: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GraphSummary:
    """The counts of the graph of a whole dataset."""

    name: str
    nodes: dict[str, int]
    """Number of nodes by type."""
    edges: dict[str, int]
    """Number of edges by type. `similar_to` is not built: it counts K neighbours of every
    query."""
    tasks: tuple[TaskCoverage, ...]
    models: tuple[ModelCoverage, ...]
    isolated: IsolatedNodes
    num_queries_without_outcomes: int
    num_outcome_components: int
    """Connected parts of the outcomes alone. With more than one, no chain of outcomes links the
    models of different parts, and only descriptions and prices can compare them."""


@dataclass(frozen=True, slots=True)
class LeakageReport:
    """The counts of a graph in which no supervised pair and no hidden outcome is a message."""

    num_support_queries: int
    num_target_queries: int
    nodes: dict[str, int]
    """Number of nodes of the graph by type; queries are those of the support and the targets."""
    edges: dict[str, int]
    """Number of edges of the graph by type."""
    num_message_outcomes: int
    num_supervised_pairs: int
    num_supervised_messages: int
    """Supervised pairs that are message edges; 0, since anything else is an error."""
    num_hidden_outcomes: int
    """Outcomes of test queries and of held-out models."""
    num_hidden_messages: int
    """Hidden outcomes that are message edges; 0, since anything else is an error."""


def summarise_graph(data: RoutingDataset, *, num_neighbours: int) -> GraphSummary:
    """The counts of the graph of `data`: nodes, edges, coverage, isolated nodes.

    Args:
        data: A dataset; all of its queries count.
        num_neighbours: Similar queries that each query attends to.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> summary = summarise_graph(simulate(num_queries=60).data, num_neighbours=8)
        >>> summary.nodes
        {'task': 10, 'query': 60, 'model': 12}
        >>> summary.edges["answered_by"], summary.num_outcome_components
        (612, 1)
    """
    queries, num_queries, num_models = data.queries, len(data.queries), len(data.models)
    answers = np.bincount(data.pair_positions[0], minlength=num_queries)
    tasks, models = _count_tasks(data), _count_models(data)
    alone = (answers == 0) & queries["task"].isna().to_numpy(dtype=bool)
    return GraphSummary(
        name=data.name,
        nodes={
            "task": len(data.tasks),
            "query": num_queries,
            "model": num_models,
            **({"user": int(queries["user"].nunique())} if "user" in queries else {}),
        },
        edges={
            "in": int(queries["task"].notna().sum()),
            "answered_by": len(data.outcomes),
            "similar_to": num_queries * min(num_neighbours, num_queries - 1),
            **({"asked_by": int(queries["user"].notna().sum())} if "user" in queries else {}),
            **_count_alike(queries, num_neighbours),
        },
        tasks=tasks,
        models=models,
        isolated=IsolatedNodes(
            tasks=tuple(
                task.task for task in tasks if task.task is not None and task.num_queries == 0
            ),
            queries=tuple(queries["query_id"][alone]),
            models=tuple(model.model for model in models if model.num_outcomes == 0),
        ),
        num_queries_without_outcomes=int((answers == 0).sum()),
        num_outcome_components=_count_components(data),
    )


def report_leakage(graph: HeteroData, data: RoutingDataset, split: Split) -> LeakageReport:
    """The counts of a graph of training queries and validation queries that leaks nothing.

    Besides the check inside the graph, every message edge is traced back to its query and model in
    `data` and compared with what the split hides: outcomes of test queries and of held-out models.

    Args:
        graph: From `validation_graph`: the node table holds `split.train`, then `split.validation`,
            models are those of the pool without the held-out ones, each in that order.
        data: The dataset that the graph was made of.
        split: Its division.

    Raises:
        LeakageError: Something that should be hidden is a message edge.
    """
    check_no_leakage(graph)
    query_row = pd.Index(data.queries["query_id"]).get_indexer(
        pd.Index([*split.train, *split.validation])
    )
    seen_models = np.array(
        [name not in split.held_out_models for name in data.pool.names], dtype=bool
    )
    model_row = np.flatnonzero(seen_models)
    num_models = len(seen_models)

    def list_codes(index: Tensor, position: Tensor) -> IntArray:
        query, model = position[index[0]].numpy(), index[1].numpy()
        return np.asarray(query_row[query] * num_models + model_row[model], dtype=np.int64)

    messages = list_codes(graph[ANSWERED_BY].edge_index, graph["query"].position)
    supervised = list_codes(graph[SUPERVISED].edge_label_index, graph["target"].position)
    hidden = _list_hidden_pairs(data, split, seen_models)
    num_supervised_messages, num_hidden_messages = (
        int(np.isin(pairs, messages).sum()) for pairs in (supervised, hidden)
    )
    if num_supervised_messages or num_hidden_messages:
        raise LeakageError(
            f"{num_supervised_messages} supervised pairs and {num_hidden_messages} outcomes of "
            "test queries or held-out models "
            "are message edges; expected none. Build the graph with the outcomes of training "
            "queries alone."
        )
    num_support, num_targets = graph["query"].num_nodes, graph["target"].num_nodes
    num_members = graph[QUERY_IN_TASK].num_edges + graph[TARGET_IN_TASK].num_edges
    return LeakageReport(
        num_support_queries=num_support,
        num_target_queries=num_targets,
        nodes={
            "task": graph["task"].num_nodes,
            "query": num_support + num_targets,
            "model": graph["model"].num_nodes,
            **({"user": _count_users(graph)} if "user" in graph.node_types else {}),
        },
        edges={
            "in": num_members,
            "answered_by": graph[ANSWERED_BY].num_edges,
            "similar_to": graph[SIMILAR_TO].num_edges,
            **_count_asking(graph),
            **{
                kind[1]: graph[kind].num_edges
                for kind in graph.edge_types
                if is_similarity(kind) and kind != SIMILAR_TO
            },
        },
        num_message_outcomes=len(messages),
        num_supervised_pairs=len(supervised),
        num_supervised_messages=num_supervised_messages,
        num_hidden_outcomes=len(hidden),
        num_hidden_messages=num_hidden_messages,
    )


def _count_users(graph: HeteroData) -> int:
    """Users that are known: the nodes without those who stand for newcomers."""
    team = graph["user"].node_team
    return len(team) - int(team.max()) - 1


def _count_asking(graph: HeteroData) -> dict[str, int]:
    """How many queries and targets name who asked; nothing where none does."""
    kinds = [kind for kind in (QUERY_ASKED_BY, TARGET_ASKED_BY) if kind in graph.edge_types]
    return {"asked_by": sum(graph[kind].num_edges for kind in kinds)} if kinds else {}


def _count_alike(queries: pd.DataFrame, num_neighbours: int) -> dict[str, int]:
    """Edges of queries that are alike in what goes with them, by type; counted as `similar_to`."""
    counts = {name_embedding(name): count for name, count in count_embeddings(queries).items()}
    if "context" in queries.columns:
        counts[CONTEXT] = int(queries["context"].notna().sum())
    return {
        name_similarity(view)[1]: count * min(num_neighbours, max(count - 1, 0))
        for view, count in sorted(counts.items())
    }


def _list_hidden_pairs(data: RoutingDataset, split: Split, seen_models: BoolArray) -> IntArray:
    """Code (query row * num_models + model row) of each outcome that training must not see."""
    rows, columns = data.pair_positions
    is_test = data.queries["query_id"].isin(split.test).to_numpy(dtype=bool)
    return np.asarray(
        (rows * len(seen_models) + columns)[is_test[rows] | ~seen_models[columns]], dtype=np.int64
    )


def _count_tasks(data: RoutingDataset) -> tuple[TaskCoverage, ...]:
    names: list[str | None] = [*data.tasks["task"]]
    position = _find_task_positions(data)
    if (position < 0).any():
        names.append(None)
        position = np.where(position < 0, len(names) - 1, position)
    rows, columns = data.pair_positions
    num_queries = np.bincount(position, minlength=len(names))
    answered = _count_pairs(position[rows], columns, len(names), len(data.models))
    return tuple(
        TaskCoverage(
            task=name,
            num_queries=int(num_queries[i]),
            num_outcomes=int(answered[i].sum()),
            num_models=int((answered[i] > 0).sum()),
            coverage=float(answered[i].sum() / (num_queries[i] * len(data.models)))
            if num_queries[i]
            else None,
        )
        for i, name in enumerate(names)
    )


def _count_models(data: RoutingDataset) -> tuple[ModelCoverage, ...]:
    rows, columns = data.pair_positions
    task = _find_task_positions(data)[rows]
    counts = np.bincount(columns, minlength=len(data.models))
    in_task = _count_pairs(task[task >= 0], columns[task >= 0], len(data.tasks), len(data.models))
    return tuple(
        ModelCoverage(
            model=card.model,
            family=card.family,
            num_outcomes=int(counts[i]),
            num_tasks=int((in_task[:, i] > 0).sum()),
            coverage=float(counts[i] / len(data.queries)),
        )
        for i, card in enumerate(data.pool)
    )


def _find_task_positions(data: RoutingDataset) -> IntArray:
    """Row in `tasks` of each query's task, -1 = unknown: (num_queries,)."""
    return np.asarray(
        pd.Index(data.tasks["task"]).get_indexer(pd.Index(data.queries["task"])), dtype=np.int64
    )


def _count_pairs(first: IntArray, second: IntArray, num_first: int, num_second: int) -> IntArray:
    """How often each pair of positions occurs: (num_first, num_second)."""
    counts = np.bincount(first * num_second + second, minlength=num_first * num_second)
    return np.asarray(counts, dtype=np.int64).reshape(num_first, num_second)


def _count_components(data: RoutingDataset) -> int:
    """Connected parts of queries and models that have outcomes."""
    rows, columns = data.pair_positions
    size = len(data.queries) + len(data.models)
    adjacency = coo_array(
        (np.ones(len(rows), dtype=np.int8), (rows, columns + len(data.queries))), shape=(size, size)
    )
    labels = connected_components(adjacency, directed=False)[1]
    return len(np.unique(labels[rows]))
