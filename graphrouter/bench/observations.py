"""Queries with their observed outcomes: what baselines are fitted and routers scored on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.exceptions import DataError
from graphrouter.pool import ModelPool
from graphrouter.types import QUANTITIES, BoolArray, Predictions, QuantityArrays, Queries

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset


@dataclass(frozen=True, slots=True, repr=False)
class ObservedOutcomes(QuantityArrays):
    """What was observed of every (query, model) pair, apart from what a router forecasts.

    Rows are queries, columns are `models`. NaN means "not observed": the model was not run on the
    query, or nobody wrote the quantity down. It never means 0, nor that a forecast failed.

    Example:
        >>> effect = np.array([[1.0, np.nan], [0.0, 1.0]])
        >>> outcomes = ObservedOutcomes.from_arrays(("nano", "grand"), effect)
        >>> outcomes.mask.tolist()
        [[True, False], [True, True]]
    """

    @classmethod
    def none(cls, models: tuple[str, ...]) -> Self:
        """Outcomes of no query."""
        return cls(models, *(np.empty((0, len(models))) for _ in QUANTITIES))

    def to_predictions(self) -> Predictions:
        """What an oracle forecasts: every outcome as it was observed, the others not at all."""
        return Predictions(self.models, *(getattr(self, name) for name in QUANTITIES))

    @property
    def mask(self) -> BoolArray:
        """(num_queries, num_models), True where the effect was observed."""
        return np.isfinite(self.effect)


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

        So do zeros of these queries that cannot be meant (`features.suspect_zeros`): nobody learns
        from them, and no router is credited with a call that cost nothing by mistake.

        Raises:
            DataError: No query is given, or one that the dataset does not have.
        """
        from graphrouter.features.suspect_zeros import hide_suspect_zeros

        if len(query_ids) == 0:
            raise DataError("No query ids were given; expected at least one query of the dataset.")
        held_out = np.array([name in held_out_models for name in data.pool.names], dtype=bool)
        in_question = data.outcomes[data.outcomes["query_id"].isin(query_ids)]
        shown = hide_suspect_zeros(in_question)
        if shown is not in_question:
            data = replace(data, outcomes=shown)
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
