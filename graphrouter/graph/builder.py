"""The one function that builds the graph, for training episodes, validation and serving alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphrouter.exceptions import LeakageError
from graphrouter.features.channels import CHANNELS, EFFECT
from graphrouter.features.prompts import find_nearest
from graphrouter.features.tables import NodeTable, OutcomeEdges

QUERY_IN_TASK = ("query", "in", "task")
TASK_HAS_QUERY = ("task", "has", "query")
ANSWERED_BY = ("query", "answered_by", "model")
ANSWERED = ("model", "answered", "query")
SIMILAR_TO = ("query", "similar_to", "query")
EDGE_ATTRIBUTES = (*CHANNELS, "effect_minus_query_mean")
"""Values of an `answered_by` edge: the channels, then the effect minus the mean effect of the other
models on the query."""


def build_graph(
    nodes: NodeTable,
    *,
    support: OutcomeEdges,
    support_queries: Tensor,
    target_queries: Tensor,
    target_tasks: Tensor,
    num_neighbours: int,
    labels: OutcomeEdges | None = None,
) -> HeteroData:
    """The graph of a support and of target queries, validated.

    Query nodes are the support queries, then the targets; a query is never both. Messages flow
    along outcomes of the support; the labels of targets are supervised pairs (`edge_label_index`,
    `edge_label`) and never messages.

    Args:
        nodes: Features to draw from.
        support: Outcomes that messages may use; every query of them is in `support_queries`.
        support_queries: (num_support,) int64, distinct positions in the node table.
        target_queries: (num_targets,) int64 positions in the node table.
        target_tasks: (num_targets,) int64 position of each target's task, -1 = unknown or hidden.
        num_neighbours: Similar support queries a target attends to; fewer when the support is
            smaller.
        labels: Outcomes of the targets, for training and evaluation.

    Returns:
        HeteroData with node stores `task`, `query`, `model`, the edges of DESIGN section 2 with
        their reverses, and, with labels, `edge_label_index` (2, num_labels), `edge_label`
        (num_labels, NUM_CHANNELS) and `edge_label_cost` (num_labels,) on `query answered_by model`.

    Raises:
        LeakageError: A target query is in the support.
    """
    if torch.isin(
        target_queries, support_queries
    ).any():  # as two nodes they would pass every later check
        raise LeakageError(
            "A target query is also a support query. Draw the support without the target queries."
        )
    num_support = support_queries.numel()
    queries = torch.cat([support_queries, target_queries])
    data = HeteroData()
    data["query"].x = nodes.query_text[queries]
    data["query"].principal = nodes.query_principal[queries]
    data["query"].num_chars = nodes.query_chars[queries]
    data["query"].is_support = torch.arange(queries.numel()) < num_support
    data["model"].x, data["model"].card = nodes.model_text, nodes.model_card
    data["task"].x = nodes.task_text

    tasks = torch.cat([nodes.query_task[support_queries], target_tasks])
    known = torch.nonzero(tasks >= 0).flatten()
    membership = torch.stack([known, tasks[known]])
    data[QUERY_IN_TASK].edge_index, data[TASK_HAS_QUERY].edge_index = membership, membership.flip(0)

    position = torch.full((nodes.query_text.shape[0],), -1, dtype=torch.int64)
    position[support_queries] = torch.arange(num_support)
    order = torch.argsort(
        position[support.query], stable=True
    )  # sorted by query: rows are contiguous
    edges = torch.stack([position[support.query[order]], support.model[order]])
    channels = support.channels[:, order]
    attributes = edge_attributes(channels, edges[0], num_support)
    data[ANSWERED_BY].edge_index, data[ANSWERED].edge_index = edges, edges.flip(0)
    data[ANSWERED_BY].edge_attr = data[ANSWERED].edge_attr = attributes

    neighbours, cosine = find_nearest(
        nodes.query_text[target_queries], nodes.query_text[support_queries], num_neighbours
    )
    targets = torch.arange(num_support, queries.numel()).repeat_interleave(neighbours.shape[1])
    data[SIMILAR_TO].edge_index = torch.stack([neighbours.flatten(), targets])
    data[SIMILAR_TO].edge_attr = cosine.reshape(-1, 1)

    if labels is not None:
        position[target_queries] = torch.arange(num_support, queries.numel())
        data[ANSWERED_BY].edge_label_index = torch.stack([position[labels.query], labels.model])
        data[ANSWERED_BY].edge_label = labels.channels.T.contiguous()
        data[ANSWERED_BY].edge_label_cost = labels.scaled_cost
    data.validate(raise_on_error=True)
    return data


def edge_attributes(channels: Tensor, query: Tensor, num_queries: int) -> Tensor:
    """Attributes of `answered_by` edges: (num_edges, 2 * len(EDGE_ATTRIBUTES)), values (0 where missing), then missing marks.

    Args:
        channels: (NUM_CHANNELS, num_edges), NaN = not observed.
        query: (num_edges,) int64 in [0, num_queries).
        num_queries: Number of queries.
    """
    effect = channels[EFFECT]
    total = torch.zeros(num_queries).index_add_(0, query, effect)[query]
    count = torch.zeros(num_queries).index_add_(0, query, torch.ones_like(effect))[query]
    others = (total - effect) / (
        count - 1
    )  # 0 / 0 = NaN where one model alone answered: missing, not zero
    values = torch.cat([channels, (effect - others).unsqueeze(0)]).T
    missing = ~torch.isfinite(values)
    return torch.cat([values.masked_fill(missing, 0.0), missing.float()], dim=1)
