"""The upper bound: a router that has seen the answers. For comparison only, never for serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.routers.base import Router, check_prompts
from graphrouter.routers.observations import QUANTITIES, Observations
from graphrouter.types import FloatArray, IntArray, Predictions

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset


@dataclass(frozen=True, eq=False)
class Oracle(Router):
    """Predicts what was observed on the queries asked, so it has to be given the outcomes that others are judged by.

    A pair that was not run is NaN. A prompt that is not among the queries has a row of NaN.
    """

    pool: ModelPool
    cost_scale: CostScale
    observations: Observations

    @classmethod
    def fit(cls, data: RoutingDataset, query_ids: Sequence[str], *, cost_scale: CostScale) -> Self:
        """The oracle of the given queries; `cost_scale` is the one of the routers that it is compared with."""
        return cls(data.pool, cost_scale, Observations.of(data, query_ids))

    def predict(self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None) -> Predictions:
        """The observed outcomes of each prompt; the mean where several queries share the prompt."""
        check_prompts(prompts, tasks)
        rows_of: dict[str, list[int]] = {}
        for row, prompt in enumerate(self.observations.prompts):
            rows_of.setdefault(prompt, []).append(row)
        rows = [np.array(rows_of.get(prompt, []), dtype=np.int64) for prompt in prompts]
        return Predictions(self.pool.names, *(self._observed(name, rows) for name in QUANTITIES))

    def _observed(self, name: str, rows: list[IntArray]) -> FloatArray:
        values: FloatArray = getattr(self.observations.outcomes, name)
        result = np.full((len(rows), len(self.pool)), np.nan)
        for i, group in enumerate(rows):
            count = np.isfinite(values[group]).sum(axis=0)
            np.divide(np.nansum(values[group], axis=0), count, out=result[i], where=count > 0)
        return result
