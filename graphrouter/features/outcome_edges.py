"""Outcomes as edges of the graph, from queries to models."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.artifact_tables import Table
from graphrouter.data.columns import OUTCOME_NUMBERS
from graphrouter.features.bills import Bills
from graphrouter.features.channels import (
    NUM_CHANNELS,
    PRICE_COLUMNS,
    OutcomeColumns,
    read_columns,
)
from graphrouter.features.suspect_zeros import hide_suspect_zeros
from graphrouter.types import IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from graphrouter.features.tables import FittedTransforms

_OUTCOMES_AT_ONCE = 1_000_000


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


def encode_outcomes(
    query: IntArray,
    model: IntArray,
    outcomes: Table,
    transforms: FittedTransforms,
    bills: Bills,
) -> RecordedEdges:
    """Outcomes as edges between positions of the node table and of the pool.

    Args:
        query: (E,) position of each outcome's query.
        model: (E,) position of its model.
        outcomes: E rows with the columns that `ChannelScaler` reads.
        transforms: Fitted on training rows.
        bills: Of the pool's training outcomes.
    """
    import torch

    shown = hide_suspect_zeros(outcomes, trusted=bills.old_models, named=(model, bills.models))
    channels = np.empty((NUM_CHANNELS, len(query)), dtype=np.float32)
    cost = np.empty(len(query), dtype=np.float32)
    # Some at a time: on the way they are several columns in double precision.
    for first in range(0, len(query), _OUTCOMES_AT_ONCE):
        rows = slice(first, first + _OUTCOMES_AT_ONCE)
        some = shown if len(query) <= _OUTCOMES_AT_ONCE else _take_numbers(shown, rows)
        channels[:, rows] = bills.encode(some, model[rows])
        cost[rows] = transforms.cost.scale(*read_columns(some, "cost_usd"))
    return RecordedEdges(
        query=torch.from_numpy(query),
        model=torch.from_numpy(model),
        channels=torch.from_numpy(channels),
        scaled_cost=torch.from_numpy(cost),
    )


def _take_numbers(outcomes: Table, rows: slice) -> OutcomeColumns:
    """Some rows of all columns that channels are made of."""
    names = (*OUTCOME_NUMBERS, *PRICE_COLUMNS)
    return {name: np.asarray(outcomes[name], dtype=np.float64)[rows] for name in names}
