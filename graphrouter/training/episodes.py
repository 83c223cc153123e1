"""Episodes: target queries, a support that excludes them, and models that play the newcomer."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphrouter.config import TrainConfig
from graphrouter.graph.builder import ANSWERED_BY, NodeTable, OutcomeEdges, build_graph
from graphrouter.graph.leakage import check_no_leakage
from graphrouter.training.losses import Labels
from graphrouter.training.prepare import TrainingTables


def draw_episode(tables: TrainingTables, config: TrainConfig, generator: torch.Generator) -> HeteroData:
    """One training graph.

    Targets and support are disjoint random sets of training queries. A random subset of models keeps only k outcomes in the
    support, k log-uniform from 0; some hide their description; some targets hide their task. All random numbers come from
    `generator`.
    """
    settings = config.training
    shuffled = tables.train_queries[torch.randperm(tables.train_queries.numel(), generator=generator)]
    num_targets = max(1, min(settings.batch_queries, shuffled.numel() // 4))
    targets, rest = shuffled[:num_targets], shuffled[num_targets:]
    # A copy of a target in the support would give its outcomes away; at prediction there is none.
    rest = rest[~torch.isin(tables.prompt_group[rest], tables.prompt_group[targets])]
    support_queries = rest[: settings.support_queries]
    support = edges_of(tables.train, support_queries, tables.nodes)
    support = thin_out_newcomers(support, len(tables.pool), settings.newcomer_share, settings.newcomer_max_shots, generator)
    hidden = torch.rand(num_targets, generator=generator) < settings.hide_task
    graph = build_graph(
        hide_descriptions(tables.nodes, settings.hide_description, generator),
        support=support,
        support_queries=support_queries,
        target_queries=targets,
        target_tasks=torch.where(hidden, -1, tables.nodes.query_task[targets]),
        num_neighbours=config.graph.num_neighbours,
        labels=edges_of(tables.train, targets, tables.nodes),
    )
    graph.true_task = tables.nodes.query_task[targets]
    graph.trade_off = torch.rand(num_targets, generator=generator) ** 2 * 2
    check_no_leakage(graph)
    return graph


def validation_graph(tables: TrainingTables, config: TrainConfig, *, task_known: bool) -> HeteroData:
    """The graph of all training queries as support and the validation queries as targets."""
    targets = tables.validation_queries
    true_task = tables.nodes.query_task[targets]
    graph = build_graph(
        tables.nodes,
        support=tables.train,
        support_queries=tables.train_queries,
        target_queries=targets,
        target_tasks=true_task if task_known else torch.full_like(true_task, -1),
        num_neighbours=config.graph.num_neighbours,
        labels=tables.validation,
    )
    graph.true_task = true_task
    check_no_leakage(graph)
    return graph


def edges_of(edges: OutcomeEdges, queries: Tensor, nodes: NodeTable) -> OutcomeEdges:
    """The outcomes of some queries."""
    wanted = torch.zeros(nodes.query_text.shape[0], dtype=torch.bool)
    wanted[queries] = True
    return edges.take(wanted[edges.query])


def thin_out_newcomers(
    support: OutcomeEdges, num_models: int, share: float, max_shots: int, generator: torch.Generator
) -> OutcomeEdges:
    """The support in which a random `share` of the models keeps only k random outcomes, k log-uniform from 0 to `max_shots`."""
    is_newcomer = torch.rand(num_models, generator=generator) < share
    shots = torch.floor(torch.exp(torch.rand(num_models, generator=generator) * math.log(max_shots + 1.5)) - 0.5)
    order = torch.argsort(torch.rand(support.model.numel(), generator=generator))
    by_model = order[torch.argsort(support.model[order], stable=True)]  # models together, random order within
    counts = torch.bincount(support.model, minlength=num_models)
    rank = torch.empty_like(support.model)
    start = (counts.cumsum(0) - counts)[support.model[by_model]]
    rank[by_model] = torch.arange(support.model.numel()) - start
    keep = ~is_newcomer[support.model] | (rank < shots[support.model])
    return support.take(keep) if keep.any() else support


def hide_descriptions(nodes: NodeTable, share: float, generator: torch.Generator) -> NodeTable:
    """The nodes with the description of a random share of the models missing."""
    hidden = torch.rand(nodes.model_text.shape[0], 1, generator=generator) < share
    return dataclasses.replace(nodes, model_text=nodes.model_text.masked_fill(hidden, 0.0))


def labels_of(graph: HeteroData) -> Labels:
    """The supervised pairs of a graph as a grid over its targets and models."""
    num_support = int(graph["query"].is_support.sum())
    num_targets = graph["query"].num_nodes - num_support
    num_models = graph["model"].num_nodes
    query, model = graph[ANSWERED_BY].edge_label_index
    cell = (query - num_support) * num_models + model
    values = torch.cat([graph[ANSWERED_BY].edge_label, graph[ANSWERED_BY].edge_label_cost.unsqueeze(1)], dim=1)
    grid = values.new_full((num_targets * num_models, values.shape[1]), torch.nan)
    grid = grid.index_copy(0, cell, values).T.reshape(-1, num_targets, num_models)
    return Labels(channels=grid[:-1], scaled_cost=grid[-1])
