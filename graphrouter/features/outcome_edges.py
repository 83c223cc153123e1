"""Outcomes as edges of the graph, from queries to models."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class OutcomeEdges:
    """Outcomes as edges from query to model: what may be a message. E edges.

    Example:
        >>> import torch
        >>> edges = OutcomeEdges(torch.tensor([0, 1]), torch.tensor([2, 0]), torch.zeros(4, 2))
        >>> edges.take(edges.model == 0).query.tolist()
        [1]
    """

    query: Tensor
    """(E,) int64 position in the node table, or among the queries of a graph."""
    model: Tensor
    """(E,) int64 position in the pool."""
    channels: Tensor
    """(NUM_CHANNELS, E) float32, standardised; NaN = not observed."""

    @cached_property
    def is_sorted(self) -> bool:
        """Whether outcomes of one query stand together, queries in ascending order."""
        return bool((self.query[1:] >= self.query[:-1]).all())

    def take(self, edges: Tensor | slice) -> Self:
        """The edges at the given positions (int64) or where the mask (bool) is true.

        A slice of them shares their memory.
        """
        return type(self)(*(getattr(self, field.name)[..., edges] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class RecordedEdges(OutcomeEdges):
    """Outcome edges with what they cost, which is a label and never a message."""

    scaled_cost: Tensor
    """(E,) float32, cost mapped to [0, 1] by the policy's scale; NaN = not observed."""
