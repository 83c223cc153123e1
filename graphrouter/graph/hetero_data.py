"""The typed graph as `HeteroData` of PyTorch Geometric, and back.

`HeteroData` is the form in which training episodes are drawn, batched, moved between devices,
exported and looked at. Its stores are named, and everything in them is part of the typed graph:

| store | attributes |
|---|---|
| `query` | `x` (principal coordinates), `text`, `position` (row of the node table, for leakage) |
| `target` | `x`, `num_chars`, `position`, and labels: `true_task`, `trade_off` |
| `model` | `x`, `card` |
| `task` | `x` |
| `user` | `node_team`: position of each one's team; a newcomer of each team is behind the users |
| `query in task`, `target in task` | membership; absent where the task is unknown or hidden |
| `query asked_by user`, `target asked_by user` | who asked; absent where nobody is named |
| `query answered_by model` | `edge_attr`: the channels of an outcome, NaN = not observed |
| `query similar_to target` | `edge_attr`: the cosine |
| `target answered_by model` | labels: `edge_label_index`, `edge_label`, `edge_label_cost` |

Where something goes with queries beside their texts, each view VIEW (`context`, `embedding:clip`)
adds to `query` and `target` its coordinates `x_VIEW` (NaN rows = a query does not have it), to
`query` the vectors `text_VIEW`, and an edge type `query similar_in_VIEW_to target` with the cosine.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphrouter.features.outcome_edges import OutcomeEdges, RecordedEdges
from graphrouter.features.tables import Askers
from graphrouter.features.views import ViewNodes
from graphrouter.graph.routing_graph import Origin, RoutingGraph, Supervision
from graphrouter.scoring.state import Targets
from graphrouter.scoring.view_state import TargetView

QUERY_IN_TASK = ("query", "in", "task")
TARGET_IN_TASK = ("target", "in", "task")
QUERY_ASKED_BY = ("query", "asked_by", "user")
TARGET_ASKED_BY = ("target", "asked_by", "user")
"""There are users, and edges to them, where any query says who asked it."""
ANSWERED_BY = ("query", "answered_by", "model")
SIMILAR_TO = ("query", "similar_to", "target")
SUPERVISED = ("target", "answered_by", "model")
"""Holds labels alone and no `edge_index`, so that no message can flow along them."""
EDGE_TYPES = (QUERY_IN_TASK, TARGET_IN_TASK, ANSWERED_BY, SIMILAR_TO, SUPERVISED)
"""Those of a graph in which nobody is named."""


_SIMILAR_IN = "similar_in_"


def name_similarity(view: str) -> tuple[str, str, str]:
    """The edge type of queries that are alike in a view.

    Example:
        >>> name_similarity("context")
        ('query', 'similar_in_context_to', 'target')
    """
    return ("query", f"{_SIMILAR_IN}{view}_to", "target")


def is_similarity(kind: tuple[str, str, str]) -> bool:
    """Whether an edge type says which solved queries a target is like, and no more."""
    return kind == SIMILAR_TO or kind == name_similarity(
        kind[1].removeprefix(_SIMILAR_IN).removesuffix("_to")
    )


def to_hetero(graph: RoutingGraph) -> HeteroData:
    """The graph as `HeteroData`, validated; `from_hetero` gives the same graph back."""
    data = HeteroData()
    data["query"].x, data["query"].text = graph.query_principal, graph.query_text
    data["query"].position = graph.origin.query
    targets = graph.targets
    data["target"].x, data["target"].num_chars = targets.principal, targets.num_chars
    data["target"].position = graph.origin.target
    data["model"].x, data["model"].card = graph.model_text, graph.model_card
    data["task"].x = graph.task_text
    data[QUERY_IN_TASK].edge_index = _list_members(graph.query_task)
    data[TARGET_IN_TASK].edge_index = _list_members(targets.task)
    if graph.askers is not None:
        data["user"].node_team = graph.askers.team
        data[QUERY_ASKED_BY].edge_index = _list_members(graph.askers.of_query)
        if targets.asker is not None:
            data[TARGET_ASKED_BY].edge_index = _list_members(targets.asker)
    edges = graph.outcomes
    data[ANSWERED_BY].edge_index = torch.stack([edges.query, edges.model])
    data[ANSWERED_BY].edge_attr = edges.channels.T.contiguous()
    num_targets, num_neighbours = targets.neighbours.shape
    target = torch.arange(num_targets, device=targets.task.device)
    data[SIMILAR_TO].edge_index = torch.stack(
        [targets.neighbours.flatten(), target.repeat_interleave(num_neighbours)]
    )
    data[SIMILAR_TO].edge_attr = targets.cosine.reshape(-1, 1)
    for view, of_targets in zip(graph.views, targets.views, strict=True):
        data["query"][f"x_{view.name}"], data["target"][f"x_{view.name}"] = view.x, of_targets.x
        if view.text.shape[1]:
            data["query"][f"text_{view.name}"] = view.text
            is_there = ~torch.isnan(of_targets.cosine)
            near, rank = torch.nonzero(is_there, as_tuple=True)
            store = data[name_similarity(view.name)]
            store.edge_index = torch.stack([of_targets.neighbours[near, rank], near])
            store.edge_attr = of_targets.cosine[is_there].unsqueeze(1)
    if graph.supervision is not None:
        labels = graph.supervision.outcomes
        data["target"].true_task = graph.supervision.true_task
        data["target"].trade_off = graph.supervision.trade_off
        data[SUPERVISED].edge_label_index = torch.stack([labels.query, labels.model])
        data[SUPERVISED].edge_label = labels.channels.T.contiguous()
        data[SUPERVISED].edge_label_cost = labels.scaled_cost
    data.validate(raise_on_error=True)
    return data


def from_hetero(data: HeteroData) -> RoutingGraph:
    """The typed graph that `to_hetero` exported, on the device where its tensors are.

    Example:
        >>> from graphrouter.features.tables import NodeTable
        >>> from graphrouter.graph.routing_graph import build_graph
        >>> text, none, one = torch.eye(3), torch.zeros(3).long(), torch.tensor([0])
        >>> nodes = NodeTable(text, text, torch.ones(3, 7), none, text, text, text)
        >>> edges = OutcomeEdges(one, one, torch.ones(4, 1))
        >>> places = {"support_queries": one, "target_queries": one + 1, "target_tasks": one}
        >>> graph = build_graph(nodes, support=edges, num_neighbours=1, **places)
        >>> torch.equal(from_hetero(to_hetero(graph)).targets.cosine, graph.targets.cosine)
        True
    """
    query, target = data["query"], data["target"]
    answered, similar = data[ANSWERED_BY], data[SIMILAR_TO]
    num_targets = target.num_nodes
    num_neighbours = similar.edge_index.shape[1] // max(num_targets, 1)
    by_target = _sort_places(similar.edge_index[1])
    by_query = _sort_places(answered.edge_index[0])
    askers = asker = None
    if "user" in data.node_types:
        of_query = _find_members(data[QUERY_ASKED_BY].edge_index, query.num_nodes)
        askers = Askers(of_query, data["user"].node_team)
        if TARGET_ASKED_BY in data.edge_types:
            asker = _find_members(data[TARGET_ASKED_BY].edge_index, num_targets)
    supervision = None
    if SUPERVISED in data.edge_types:
        labels = data[SUPERVISED]
        supervision = Supervision(
            outcomes=RecordedEdges(
                query=labels.edge_label_index[0],
                model=labels.edge_label_index[1],
                channels=labels.edge_label.T.contiguous(),
                scaled_cost=labels.edge_label_cost,
            ),
            true_task=target.true_task,
            trade_off=target.trade_off,
        )
    names = sorted(key.removeprefix("x_") for key in [*query] if key.startswith("x_"))
    return RoutingGraph(
        query_text=query.text,
        query_principal=query.x,
        query_task=_find_members(data[QUERY_IN_TASK].edge_index, query.num_nodes),
        model_text=data["model"].x,
        model_card=data["model"].card,
        task_text=data["task"].x,
        outcomes=OutcomeEdges(
            query=answered.edge_index[0, by_query],
            model=answered.edge_index[1, by_query],
            # Channels first: sums along the last axis are what the network spends its time on.
            channels=answered.edge_attr[by_query].T.contiguous(),
        ),
        targets=Targets(
            principal=target.x,
            task=_find_members(data[TARGET_IN_TASK].edge_index, num_targets),
            neighbours=similar.edge_index[0, by_target].view(num_targets, num_neighbours),
            cosine=similar.edge_attr[by_target].view(num_targets, num_neighbours),
            num_chars=target.num_chars,
            asker=asker,
            views=tuple(_read_target_view(data, name) for name in names),
        ),
        views=tuple(
            ViewNodes(name, x := query[f"x_{name}"], query.get(f"text_{name}", x[:, :0]))
            for name in names
        ),
        origin=Origin(query.position, target.position),
        supervision=supervision,
        askers=askers,
    )


def _read_target_view(data: HeteroData, name: str) -> TargetView:
    """The targets in a view; those with fewer neighbours than others have NaN for the rest."""
    x, kind = data["target"][f"x_{name}"], name_similarity(name)
    if kind not in data.edge_types:
        none = x[:, :0]
        return TargetView(x, none.long(), none)
    order = _sort_places(data[kind].edge_index[1])
    (query, target), cosine = data[kind].edge_index[:, order], data[kind].edge_attr[order, 0]
    count = torch.bincount(target, minlength=len(x))
    most = int(count.max()) if len(count) else 0
    rank = torch.arange(len(target), device=target.device) - (count.cumsum(0) - count)[target]
    neighbours = torch.zeros(len(x), most, dtype=torch.int64, device=target.device)
    found = torch.full((len(x), most), torch.nan, dtype=cosine.dtype, device=target.device)
    neighbours[target, rank], found[target, rank] = query, cosine
    return TargetView(x, neighbours, found)


def _sort_places(index: Tensor) -> Tensor | slice:
    """What brings edges in ascending order of `index` (n,); other tools may permute edges."""
    is_sorted = bool((index[1:] >= index[:-1]).all())
    return slice(None) if is_sorted else torch.argsort(index, stable=True)


def _list_members(group: Tensor) -> Tensor:
    """Edges (2, n) to the known tasks or users among `group` (n,), where -1 is unknown."""
    known = torch.nonzero(group >= 0).flatten()
    return torch.stack([known, group[known]])


def _find_members(membership: Tensor, num_nodes: int) -> Tensor:
    """Task or user of each node, -1 = unknown: (num_nodes,) int64, from edges (2, n)."""
    group = torch.full((num_nodes,), -1, dtype=torch.int64, device=membership.device)
    group[membership[0]] = membership[1]
    return group
