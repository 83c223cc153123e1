"""The one function that builds the graph, for training episodes, validation and serving alike."""

from __future__ import annotations

import torch
from torch import Tensor

from graphrouter.exceptions import LeakageError
from graphrouter.features.prompts import find_nearest
from graphrouter.features.tables import NodeTable, OutcomeEdges, RecordedEdges
from graphrouter.graph.routing_graph import Origin, RoutingGraph, Supervision, Targets


def build_graph(
    nodes: NodeTable,
    *,
    support: OutcomeEdges,
    support_queries: Tensor,
    target_queries: Tensor,
    target_tasks: Tensor,
    num_neighbours: int,
    labels: RecordedEdges | None = None,
    trade_off: Tensor | None = None,
) -> RoutingGraph:
    """The graph of a support and of target queries, validated.

    A query is in the support or a target, never both. Messages flow along outcomes of the support;
    the labels of targets are supervision and never messages.

    Args:
        nodes: Features to draw from.
        support: Outcomes that messages may use; every query of them is in `support_queries`.
        support_queries: (S,) int64, distinct positions in the node table.
        target_queries: (B,) int64 positions in the node table.
        target_tasks: (B,) int64 position of each target's task, -1 = unknown or hidden.
        num_neighbours: Similar support queries a target attends to; fewer when the support is
            smaller.
        labels: Outcomes of the targets, for training and evaluation.
        trade_off: (B,) effect that one unit of scaled cost is worth in the loss of each target; 0
            without it.

    Raises:
        LeakageError: A target query is in the support.
        ValueError: An outcome is of a query or a model that is not there.
    """
    # As a support query and a target at once it would pass every later check of the tensors.
    if torch.isin(target_queries, support_queries).any():
        raise LeakageError(
            "A target query is also a support query. Draw the support without the target queries."
        )
    neighbours, cosine = find_nearest(
        nodes.query_text[target_queries], nodes.query_text[support_queries], num_neighbours
    )
    graph = RoutingGraph(
        query_text=nodes.query_text[support_queries],
        query_principal=nodes.query_principal[support_queries],
        query_task=nodes.query_task[support_queries],
        model_text=nodes.model_text,
        model_card=nodes.model_card,
        task_text=nodes.task_text,
        outcomes=_sort_by_query(support, _find_places(nodes, support_queries)),
        targets=Targets(
            principal=nodes.query_principal[target_queries],
            task=target_tasks,
            neighbours=neighbours,
            cosine=cosine,
            num_chars=nodes.query_chars[target_queries],
        ),
        origin=Origin(support_queries, target_queries),
        supervision=None
        if labels is None
        else Supervision(
            outcomes=RecordedEdges(
                query=_find_places(nodes, target_queries)[labels.query],
                model=labels.model,
                channels=labels.channels,
                scaled_cost=labels.scaled_cost,
            ),
            true_task=nodes.query_task[target_queries],
            trade_off=torch.zeros(len(target_queries)) if trade_off is None else trade_off,
        ),
    )
    graph.validate()
    return graph


def _find_places(nodes: NodeTable, queries: Tensor) -> Tensor:
    """Place of each row of the node table among `queries`, -1 where it is not: (num_queries,)."""
    place = torch.full((nodes.query_text.shape[0],), -1, dtype=torch.int64)
    place[queries] = torch.arange(queries.numel())
    return place


def _sort_by_query(edges: OutcomeEdges, place: Tensor) -> OutcomeEdges:
    """The edges between places of the support, those of a query together."""
    order = torch.argsort(place[edges.query], stable=True)
    return OutcomeEdges(place[edges.query[order]], edges.model[order], edges.channels[:, order])
