"""What is computed once from the support and kept: everything that a target query needs to be scored."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphrouter.nn.base import BaseState, SupportEdges


class SupportState(NamedTuple):
    """Cached states of models, tasks and support queries. S support queries, M models, T tasks, W width."""

    base: BaseState
    edges: SupportEdges
    row_start: Tensor
    """(S + 1,) int64: the edges of support query s are row_start[s] .. row_start[s + 1]."""
    query: Tensor
    """(S, W) states of support queries."""
    query_text: Tensor
    """(S, dimension) centred unit embeddings, for the neighbour search."""
    task_of_query: Tensor
    """(S,) int64, T = unknown."""
    model: Tensor
    """(M, W) states of models, profile included."""
    profile: Tensor
    """(C, M, P) on which kinds of queries a model beats its ability, along the principal coordinates."""
    slope: Tensor
    """(C, P) how easiness changes along the principal coordinates."""
    task: Tensor
    """(T, W) states of tasks."""
    prototype: Tensor
    """(T, W) mean state of each task's support queries; zero for a task without any."""

    @property
    def num_models(self) -> int:
        """M."""
        return int(self.model.shape[0])

    @property
    def num_tasks(self) -> int:
        """T."""
        return int(self.task.shape[0])


def dense_rows(base: BaseState, edges: SupportEdges, row_start: Tensor, rows: Tensor, num_models: int) -> Tensor:
    """Residuals and information of some support queries: (2, C, num_rows, M), 0 where a model did not answer.

    Outcomes are kept as edges; only the rows that a message needs are spread out, and a zero adds nothing to either sum.

    Args:
        base: State of the base.
        edges: Outcomes of the support, sorted by query.
        row_start: (S + 1,) int64.
        rows: (num_rows,) int64 support queries, each at most once.
        num_models: M.
    """
    start, length = row_start[rows], row_start[rows + 1] - row_start[rows]
    row = torch.arange(rows.numel(), device=rows.device).repeat_interleave(length)
    offset = torch.arange(row.numel(), device=rows.device) - (length.cumsum(0) - length)[row]
    edge = start[row] + offset
    values = torch.stack([base.residual.index_select(1, edge), base.curvature.index_select(1, edge)])
    flat = values.new_zeros(*values.shape[:2], rows.numel() * num_models)
    return flat.index_copy(2, row * num_models + edges.model[edge], values).view(*values.shape[:2], rows.numel(), num_models)
