"""Queries with their observed outcomes: what baselines are fitted and routers scored on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.exceptions import DataError
from graphrouter.pool import ModelPool
from graphrouter.types import QUANTITIES, ObservedOutcomes, Queries

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset


@dataclass(frozen=True)
class Observations:
    """Some queries of a dataset with their outcomes.

    Rows are queries, columns the models of the pool.
    """

    pool: ModelPool
    query_ids: tuple[str, ...]
    queries: Queries
    outcomes: ObservedOutcomes
    """What was observed of the queries, a column a model of the pool."""

    @classmethod
    def of(
        cls,
        data: RoutingDataset,
        query_ids: Sequence[str],
        *,
        held_out_models: Collection[str] = (),
    ) -> Observations:
        """The given queries in the given order; outcomes of held-out models count as not observed.

        Raises:
            DataError: No query is given, or one that the dataset does not have.
        """
        if len(query_ids) == 0:
            raise DataError("No query ids were given; expected at least one query of the dataset.")
        held_out = np.array([name in held_out_models for name in data.pool.names], dtype=bool)
        matrices = [
            np.where(held_out, np.nan, data.outcome_matrix(name, query_ids=query_ids))
            for name in QUANTITIES
        ]
        rows = data.queries.set_index("query_id").loc[list(query_ids)]
        return cls(
            pool=data.pool,
            query_ids=tuple(query_ids),
            queries=Queries.of_frame(rows),
            outcomes=ObservedOutcomes(data.pool.names, *matrices),
        )

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text of each query."""
        return self.queries.prompts

    @property
    def tasks(self) -> tuple[str | None, ...]:
        """Task of each query, None where unknown."""
        return self.queries.tasks
