"""Means over groups of training queries: what tables of tasks, clusters and models hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphrouter.types import QUANTITIES, IntArray, Predictions, QuantityArrays


@dataclass(frozen=True, slots=True)
class MeanTable(QuantityArrays):
    """Mean of every quantity for each (group of queries, model).

    A row is a group, say a task or a cluster; a table of one row has the means over all queries.
    NaN means "not known": no outcome of the model carries the quantity, and no prior stands in.

    Example:
        >>> import numpy as np
        >>> table = MeanTable.from_arrays(("nano", "grand"), np.array([[0.4, 0.9], [0.2, 0.8]]))
        >>> table.look_up(np.array([1, 1, 0])).effect.tolist()
        [[0.2, 0.8], [0.2, 0.8], [0.4, 0.9]]
    """

    _row_word: ClassVar[str] = "num_groups"

    def look_up(self, rows: IntArray) -> Predictions:
        """What each query's row of the table forecasts; `rows` is (num_queries,)."""
        return Predictions(self.models, *(getattr(self, name)[rows] for name in QUANTITIES))
