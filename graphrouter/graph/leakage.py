"""Proof that nothing supervised is visible: every training and evaluation graph passes it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphrouter.exceptions import LeakageError
from graphrouter.graph.hetero_data import (
    ANSWERED_BY,
    SUPERVISED,
    TARGET_ASKED_BY,
    TARGET_IN_TASK,
    is_similarity,
)

_OUT_OF_TARGETS = (TARGET_IN_TASK, TARGET_ASKED_BY, SUPERVISED)


def check_no_leakage(data: HeteroData) -> None:
    """Check that no supervised pair is a message and no target sends or receives an outcome.

    Queries are told by `position`, their row of the node table: one query may not be in the support
    and a target under two node types.

    Args:
        data: From `to_hetero`, perhaps with stores that somebody added.

    Raises:
        LeakageError: A supervised pair is a message edge, a target gives messages or receives an
            outcome, or a support query has labels.
    """
    position = {name: data[name].position for name in ("query", "target")}
    num_models = data["model"].num_nodes
    labels = _list_pairs(data, SUPERVISED, "edge_label_index", num_models)
    for kind in data.edge_types:
        source, relation, destination = kind
        if "edge_index" not in data[kind] or data[kind].num_edges == 0:
            continue
        if kind in (ANSWERED_BY, SUPERVISED):
            _check_apart(
                labels, _list_pairs(data, kind, "edge_index", num_models), relation, num_models
            )
        elif (source, destination) == ("model", "target"):
            pairs = _list_pairs(data, kind, "edge_index", num_models, query_row=1)
            _check_apart(labels, pairs, relation, num_models)
        if source == "target" and (kind == SUPERVISED or kind not in _OUT_OF_TARGETS):
            query = int(position["target"][data[kind].edge_index[0, 0]])
            raise LeakageError(
                f"Query {query} is a target and a source of messages. Messages may leave support "
                "queries only."
            )
        if destination == "target" and not is_similarity(kind):
            query = int(position["target"][data[kind].edge_index[1, 0]])
            raise LeakageError(
                f"Query {query} is a target and receives an outcome. Outcomes may reach support "
                "queries only."
            )
    _check_sides(data, position["query"], position["target"])


def _list_pairs(
    data: HeteroData, kind: tuple[str, str, str], name: str, num_models: int, query_row: int = 0
) -> Tensor:
    """Codes position * num_models + model of the pairs of a store, none where it is absent."""
    if kind not in data.edge_types or name not in data[kind]:
        return torch.empty(0, dtype=torch.int64)
    index = data[kind][name]
    query, model = index[query_row], index[1 - query_row]
    pairs: Tensor = data[kind[2 * query_row]].position[query] * num_models + model
    return pairs


def _check_apart(labels: Tensor, messages: Tensor, relation: str, num_models: int) -> None:
    shared = torch.isin(labels, messages)
    if shared.any():
        query, model = divmod(int(labels[shared][0]), num_models)
        raise LeakageError(
            f"{int(shared.sum())} supervised pairs are also {relation!r} message edges, the first "
            f"(query {query}, model {model}). "
            "Draw the support without the target queries."
        )


def _check_sides(data: HeteroData, support: Tensor, targets: Tensor) -> None:
    """Check that labels are of targets, and that no query is on both sides."""
    both = targets[torch.isin(targets, support)]
    if "edge_label_index" in data[ANSWERED_BY]:
        both = torch.cat([support[data[ANSWERED_BY].edge_label_index[0]], both])
    if len(both):
        raise LeakageError(
            f"Query {int(both[0])} is in the support and has supervised pairs. A query is one or "
            "the other."
        )
