"""What a decision rests on: the solved queries of the support that resemble a query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from graphrouter.decision import Evidence
from graphrouter.router.support import Support


@dataclass(frozen=True)
class SolvedQueries:
    """The support by position, ready to be quoted."""

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

    def most_similar(self, pairs: Iterable[tuple[int, float]], num: int) -> tuple[Evidence, ...]:
        """The first `num` of the queries that any model has answered.

        Args:
            pairs: Positions in the support with their cosines, most similar first.
            num: How many to quote; fewer when there are fewer.
        """
        answered = ((j, cosine) for j, cosine in pairs if self.query_ids[j] in self.effects)
        return tuple(
            Evidence(
                self.query_ids[j],
                self.prompts[j],
                self.tasks[j],
                cosine,
                self.effects[self.query_ids[j]],
            )
            for j, cosine in islice(answered, num)
        )
