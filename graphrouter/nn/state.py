"""What is computed once from the support and kept: everything that a target query needs to be
scored.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphrouter.nn.rasch import BaseState, SupportEdges


class SupportMessages(NamedTuple):
    """What the base leaves unexplained at each support edge, rows of a query together.

    C channels, E edges, S support queries.
    """

    model: Tensor
    """(E,) int64 model of each edge."""
    row_start: Tensor
    """(S + 1,) int64: the edges of support query s are row_start[s] .. row_start[s + 1]."""
    values: Tensor
    """(E, 2 C) residuals, then Fisher information; 0 where a channel was not observed."""


class SupportState(NamedTuple):
    """Cached states of models, tasks and support queries.

    S support queries, M models, T tasks, W width.
    """

    base: BaseState
    """Its conclusions, without edges."""
    messages: SupportMessages
    key: Tensor
    """(S, W) unit vectors of support queries in the learned metric of path attention."""
    query_text: Tensor
    """(S, dimension) centred unit embeddings, for the neighbour search."""
    task_of_query: Tensor
    """(S,) int64, T = unknown."""
    model: Tensor
    """(M, W) states of models, profile included."""
    profile: Tensor
    """(C, M, P) on which kinds of queries a model beats its ability, along the principal
    coordinates."""
    slope: Tensor
    """(C, P) how easiness changes along the principal coordinates."""
    task: Tensor
    """(T, W) states of tasks."""
    prototype: Tensor
    """(T, W) mean state of each task's support queries; zero for a task without any."""
    task_likeness: Tensor
    """(T, T) cosine of the descriptions; 0 where one is missing."""
    task_size: Tensor
    """(T,) number of support queries of each task."""
    channel_scale: Tensor
    """(C, 1) natural logarithms a unit of each channel."""

    @property
    def num_models(self) -> int:
        """M."""
        return int(self.model.shape[0])

    @property
    def num_tasks(self) -> int:
        """T."""
        return int(self.task.shape[0])


def support_messages(base: BaseState, edges: SupportEdges) -> SupportMessages:
    """The messages of a support, for edges sorted by query."""
    counts = torch.bincount(edges.query, minlength=base.surprise.shape[1])
    row_start = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return SupportMessages(
        edges.model, row_start, torch.cat([base.residual, base.curvature]).T.contiguous()
    )


def dense_rows(messages: SupportMessages, rows: Tensor, num_models: int) -> Tensor:
    """Residuals and information of some support queries: (num_rows, M, 2 C), 0 where a model did not answer.

    Outcomes are kept as edges; only the rows that a message needs are spread out, and a zero adds
    nothing to either sum.

    Args:
        messages: Of the support.
        rows: (num_rows,) int64 support queries, each at most once.
        num_models: M.
    """
    start = messages.row_start[rows]
    length = messages.row_start[rows + 1] - start
    row = torch.arange(rows.numel(), device=rows.device).repeat_interleave(length)
    offset = torch.arange(row.numel(), device=rows.device) - (length.cumsum(0) - length)[row]
    edge = start[row] + offset
    values = messages.values.index_select(0, edge)
    flat = values.new_zeros(rows.numel() * num_models, values.shape[1])
    cell = row * num_models + messages.model[edge]
    return flat.index_copy(0, cell, values).view(rows.numel(), num_models, -1)
