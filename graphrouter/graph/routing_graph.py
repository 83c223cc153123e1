"""The typed graph: all that the network reads, a field each, and the function that builds it.

There is one such function, for training episodes, validation and serving alike. `graph.hetero_data`
turns the graph into `HeteroData` and back, for training, looking at and other tools.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from graphrouter.exceptions import LeakageError
from graphrouter.features.outcome_edges import OutcomeEdges, RecordedEdges
from graphrouter.features.tables import Askers, NodeTable
from graphrouter.features.views import ViewNodes
from graphrouter.scoring.nearest import find_nearest, find_nearest_known
from graphrouter.scoring.state import Targets
from graphrouter.scoring.view_state import TargetView

_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class Supervision:
    """What came out on the targets: labels. Losses read it, and never the network."""

    outcomes: RecordedEdges
    """Outcomes of the targets; `query` counts the targets."""
    true_task: Tensor
    """(B,) int64 task of each target, also where it is hidden; -1 = unknown."""
    trade_off: Tensor
    """(B,) effect that one unit of scaled cost is worth, >= 0; 0 where no loss asks for it."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Which rows of the node table the nodes are: for the leakage check, and never a feature."""

    query: Tensor
    """(S,) int64 of the support queries."""
    target: Tensor
    """(B,) int64 of the targets."""


@dataclass(frozen=True, eq=False)
class RoutingGraph:
    """A support, the models and tasks, and targets. S support queries, M models, T tasks.

    Example:
        >>> text = torch.eye(3)
        >>> nodes = NodeTable(text, text, torch.ones(3, 7), torch.zeros(3).long(), text, text, text)
        >>> edges = OutcomeEdges(torch.tensor([0]), torch.tensor([2]), torch.ones(4, 1))
        >>> graph = build_graph(
        ...     nodes,
        ...     support=edges,
        ...     support_queries=torch.tensor([0, 1]),
        ...     target_queries=torch.tensor([2]),
        ...     target_tasks=torch.tensor([-1]),
        ...     num_neighbours=8,
        ... )
        >>> graph.targets.neighbours.shape
        torch.Size([1, 2])
    """

    query_text: Tensor
    """(S, dimension) centred unit embeddings, for the search of neighbours."""
    query_principal: Tensor
    """(S, P) text and surface features in decorrelated coordinates."""
    query_task: Tensor
    """(S,) int64 position of the task, -1 = unknown."""
    model_text: Tensor
    """(M, dimension) embeddings of descriptions; a zero row = none."""
    model_card: Tensor
    """(M, 2 * num_card + 2 * num_own) scaled numbers of the card, then missing marks; then the same
    of the fields of the users' own, which the likeness of cards alone reads."""
    task_text: Tensor
    """(T, dimension) embeddings of descriptions; a zero row = none."""
    outcomes: OutcomeEdges
    """Messages: outcomes of the support, sorted by query; `query` counts the support."""
    targets: Targets
    origin: Origin
    supervision: Supervision | None = None
    """For training and evaluation."""
    askers: Askers | None = None
    """Who asked the support queries; None where nobody is named."""
    views: tuple[ViewNodes, ...] = ()
    """What goes with the support queries beside their texts, by name."""

    def double(self) -> RoutingGraph:
        """The same graph with all features in double precision."""
        return _change_tensors(
            self, lambda part: part.double() if part.is_floating_point() else part
        )

    def validate(self) -> None:
        """Check that sizes agree and that every edge points at a node.

        Raises:
            ValueError: They do not, or an index is out of range.
        """
        num_queries, num_models = len(self.query_principal), len(self.model_card)
        num_tasks, targets = len(self.task_text), self.targets
        sizes = {
            "query": [
                *map(len, (self.query_text, self.query_principal, self.query_task)),
                *(len(part) for view in self.views for part in (view.x, view.text)),
            ],
            "model": [len(self.model_text), num_models],
            "target": [
                len(each) for part in (targets, *targets.views) for each in _tensors_of(part)
            ],
            "outcome": [column.shape[-1] for column in _tensors_of(self.outcomes)],
        }
        if self.askers is not None:
            sizes["query"].append(len(self.askers.of_query))
        for name, found in sizes.items():
            if len(set(found)) > 1:
                raise ValueError(f"The columns of {name!r} have the lengths {found}.")
        labels = (
            () if self.supervision is None else ((self.supervision.outcomes, len(targets.task)),)
        )
        for edges, size in ((self.outcomes, num_queries), *labels):
            _check_range("query", edges.query, size)
            _check_range("model", edges.model, num_models)
        for neighbours in (targets.neighbours, *(view.neighbours for view in targets.views)):
            _check_range("neighbour", neighbours, num_queries)
        if len(self.views) != len(targets.views):
            raise ValueError(
                f"{len(self.views)} views of the support, {len(targets.views)} of the targets."
            )
        if self.askers is not None:
            num_askers, asking = len(self.askers.team), (self.askers.of_query, targets.asker)
            for asker in (part for part in asking if part is not None):
                _check_range("user", asker + 1, num_askers + 1)  # -1 = nobody is named
        for task in (self.query_task, targets.task):
            _check_range("task", task + 1, num_tasks + 1)  # -1 = unknown


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
            asker=None if nodes.askers is None else nodes.askers.of_query[target_queries],
            views=tuple(
                _find_alike(view, support_queries, target_queries, num_neighbours)
                for view in nodes.views
            ),
        ),
        origin=Origin(support_queries, target_queries),
        views=tuple(
            ViewNodes(view.name, view.x[support_queries], view.text[support_queries])
            for view in nodes.views
        ),
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
        askers=None if nodes.askers is None else nodes.askers.take(support_queries),
    )
    graph.validate()
    return graph


def _find_alike(
    view: ViewNodes, support_queries: Tensor, target_queries: Tensor, num_neighbours: int
) -> TargetView:
    """The targets in a view, with the support queries that are alike in it."""
    of_support = view.text[support_queries]
    rows = torch.nonzero(view.x[support_queries, 0] == view.x[support_queries, 0]).flatten()
    found = find_nearest_known(view.text[target_queries], of_support[rows], rows, num_neighbours)
    return TargetView(view.x[target_queries], *found)


def _find_places(nodes: NodeTable, queries: Tensor) -> Tensor:
    """Place of each row of the node table among `queries`, -1 where it is not: (num_queries,)."""
    place = torch.full((nodes.query_text.shape[0],), -1, dtype=torch.int64)
    place[queries] = torch.arange(queries.numel())
    return place


def _sort_by_query(edges: OutcomeEdges, place: Tensor) -> OutcomeEdges:
    """The edges between places of the support, those of a query together."""
    order = torch.argsort(place[edges.query], stable=True)
    return OutcomeEdges(place[edges.query[order]], edges.model[order], edges.channels[:, order])


def _check_range(name: str, index: Tensor, size: int) -> None:
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < size:
        raise ValueError(
            f"A {name} index is out of range: found {int(index.min())} to {int(index.max())}, "
            f"expected 0 to {size - 1}."
        )


def _tensors_of(part: Any) -> list[Tensor]:
    columns = (getattr(part, field.name) for field in fields(part))
    return [column for column in columns if isinstance(column, Tensor)]


def _change_tensors(part: _Part, change: Callable[[Tensor], Tensor]) -> _Part:
    """The dataclass with every tensor in it, at any depth, changed."""
    changed: dict[str, Any] = {}
    for field in fields(part):  # type: ignore[arg-type]  # a dataclass, which no bound can say
        value = getattr(part, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = change(value)
        elif is_dataclass(value):
            changed[field.name] = _change_tensors(value, change)
        elif isinstance(value, tuple):  # of views
            changed[field.name] = tuple(_change_tensors(each, change) for each in value)
    return replace(part, **changed)  # type: ignore[type-var]
