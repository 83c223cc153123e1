"""The solved queries of a router, ready to be quoted as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from graphrouter.decision import Evidence
from graphrouter.lazy import LazyTuple
from graphrouter.router.parts import Support
from graphrouter.types import FloatArray, IntArray

_NUM_EVIDENCE = 5


@dataclass(frozen=True, eq=False)
class SolvedQueries:
    """The solved queries of a support, by position. S queries, E outcomes."""

    query_ids: list[str]
    prompts: pd.Series[str]
    tasks: pd.Series[str]
    models: tuple[str, ...]
    model: IntArray
    """(E,) model of each graded outcome, those of a query together."""
    effect: FloatArray
    """(E,) observed."""
    row_start: IntArray
    """(S + 1,): the outcomes of query s are row_start[s] .. row_start[s + 1]."""

    @classmethod
    def of(cls, support: Support) -> SolvedQueries:
        """The queries of a support."""
        query, model = support.positions
        effect = support.outcomes["effect"].to_numpy(dtype=np.float64)
        graded = np.flatnonzero(~np.isnan(effect))
        query, model, effect = query[graded], model[graded], effect[graded]
        order = np.argsort(query, kind="stable")
        counts = np.bincount(query, minlength=len(support.queries))
        return cls(
            support.query_ids,
            support.queries["prompt"],
            support.queries["task"],
            support.pool.names,
            model[order],
            effect[order],
            np.concatenate([[0], counts.cumsum()]),
        )

    def quote(self, query: IntArray, cosine: FloatArray) -> Sequence[Evidence]:
        """The first few of the similar queries of which any answer was graded.

        Args:
            query: (K,) positions in the support, most similar first.
            cosine: (K,) their similarities.
        """

        def quote() -> tuple[Evidence, ...]:
            pairs = zip(query.tolist(), cosine.tolist(), strict=True)
            answered = ((j, near) for j, near in pairs if self.row_start[j] < self.row_start[j + 1])
            return tuple(self._cite(*each) for each in islice(answered, _NUM_EVIDENCE))

        return LazyTuple(quote)

    def _cite(self, query: int, cosine: float) -> Evidence:
        rows = slice(*self.row_start[query : query + 2])
        effects = zip(self.model[rows].tolist(), self.effect[rows].tolist(), strict=True)
        task = self.tasks.iloc[query]
        return Evidence(
            self.query_ids[query],
            str(self.prompts.iloc[query]),
            None if pd.isna(task) else str(task),
            cosine,
            {self.models[model]: effect for model, effect in effects},
        )
