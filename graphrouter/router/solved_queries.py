"""The solved queries of a router, ready to be quoted as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import pandas as pd
from torch import Tensor

from graphrouter.decision import Evidence
from graphrouter.router.parts import Support

_NUM_EVIDENCE = 5


@dataclass(frozen=True)
class SolvedQueries:
    """The solved queries of a support, by position."""

    query_ids: list[str]
    prompts: list[str]
    tasks: list[str | None]
    effects: dict[str, dict[str, float]]
    """Observed effects by query and model; a query that nobody has answered is absent."""

    @classmethod
    def of(cls, support: Support) -> SolvedQueries:
        """The queries of a support."""
        effects: dict[str, dict[str, float]] = {}
        columns = (support.outcomes[name].tolist() for name in ("query_id", "model", "effect"))
        for query, model, effect in zip(*columns, strict=True):
            effects.setdefault(query, {})[model] = effect
        tasks = [None if pd.isna(task) else str(task) for task in support.queries["task"]]
        return cls(
            support.queries["query_id"].tolist(), support.queries["prompt"].tolist(), tasks, effects
        )

    def quote(self, query: Tensor, cosine: Tensor) -> tuple[Evidence, ...]:
        """The first few of the similar queries that any model has answered.

        Args:
            query: (K,) positions in the support, most similar first.
            cosine: (K,) their similarities.
        """
        pairs = zip(query.tolist(), cosine.tolist(), strict=True)
        answered = ((j, cosine) for j, cosine in pairs if self.query_ids[j] in self.effects)
        return tuple(
            Evidence(
                self.query_ids[j],
                self.prompts[j],
                self.tasks[j],
                cosine,
                self.effects[self.query_ids[j]],
            )
            for j, cosine in islice(answered, _NUM_EVIDENCE)
        )
