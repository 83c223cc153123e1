"""Proof that nothing supervised is visible: the check that every training and evaluation graph
passes.
"""

from __future__ import annotations

import torch
from torch_geometric.data import HeteroData

from graphrouter.exceptions import LeakageError
from graphrouter.graph.builder import ANSWERED, ANSWERED_BY, SIMILAR_TO


def check_no_leakage(data: HeteroData) -> None:
    """Nothing, when no supervised pair is a message edge and no target query has or gives any outcome message.

    Raises:
        LeakageError: A supervised pair is a message edge, a target query gives messages or receives
            an outcome, or a support query has labels.
    """
    edges = data[ANSWERED_BY].edge_index
    labels = data[ANSWERED_BY].get("edge_label_index")
    if labels is None:
        labels = edges[:, :0]
    num_models = data["model"].num_nodes
    for name, index in (("answered_by", edges), ("answered", data[ANSWERED].edge_index.flip(0))):
        shared = torch.isin(labels[0] * num_models + labels[1], index[0] * num_models + index[1])
        if shared.any():
            query, model = labels[:, shared][:, 0].tolist()
            raise LeakageError(
                f"{int(shared.sum())} supervised pairs are also {name!r} message edges, the first "
                f"(query {query}, model {model}). "
                "Draw the support without the target queries."
            )
    support = data["query"].is_support
    sources = torch.cat([edges[0], data[SIMILAR_TO].edge_index[0]])
    if not support[sources].all():
        query = int(sources[~support[sources]][0])
        raise LeakageError(
            f"Query {query} is a target and a source of messages. Messages may leave support "
            "queries only."
        )
    answered = data[ANSWERED].edge_index[1]
    if not support[answered].all():
        query = int(answered[~support[answered]][0])
        raise LeakageError(
            f"Query {query} is a target and receives an outcome. Outcomes may reach support "
            "queries only."
        )
    if labels.numel() and support[labels[0]].any():
        query = int(labels[0][support[labels[0]]][0])
        raise LeakageError(
            f"Query {query} is in the support and has supervised pairs. A query is one or the "
            "other."
        )
