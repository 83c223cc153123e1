"""The solved queries of a router, ready to be quoted as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np

from graphrouter.data.prompt_keys import withhold_person, withhold_prompt
from graphrouter.decision import Evidence
from graphrouter.features.channels import read_columns
from graphrouter.lazy import LazyTuple
from graphrouter.router.parts import Support
from graphrouter.types import FloatArray, IntArray

_NUM_EVIDENCE = 5


@dataclass(frozen=True, eq=False)
class SolvedQueries:
    """The solved queries of a support, which are read when somebody looks at the first quote."""

    support: Support

    def quote(
        self, query: IntArray, cosine: FloatArray, user: str | None = None
    ) -> Sequence[Evidence]:
        """The first few of the similar queries of which any answer was graded.

        Args:
            query: (K,) positions in the support, most similar first.
            cosine: (K,) their similarities.
            user: Who asks; the prompts of other users are cited by a digest then.
        """

        def quote() -> tuple[Evidence, ...]:
            pairs = zip(query.tolist(), cosine.tolist(), strict=True)
            answered = ((j, near) for j, near in pairs if self._is_graded(j))
            cited = (self._cite(*each) for each in islice(answered, _NUM_EVIDENCE))
            return tuple(self._hide(each, user) for each in cited) if user else tuple(cited)

        return LazyTuple(quote)

    @property
    def _read(self) -> _Read:
        support = self.support
        of = support.query_table, support.outcome_table, support.pool.names
        return support.kept.find("quoted", of, self._read_support)

    def _read_support(self) -> _Read:
        support = self.support
        (effect,) = read_columns(support.outcome_table, "effect")
        graded = ~np.isnan(effect)
        query, model = (part[graded] for part in support.positions)
        effect = effect[graded]
        order = np.argsort(query, kind="stable")
        counts = np.bincount(query, minlength=len(support.query_table))
        return _Read(
            support.query_ids,
            list(support.query_table["prompt"]),
            [task if isinstance(task, str) else None for task in support.query_table["task"]],
            model[order],
            effect[order],
            np.concatenate([[0], counts.cumsum()]),
        )

    def _is_graded(self, query: int) -> bool:
        start = self._read.row_start
        return bool(start[query] < start[query + 1])

    def _cite(self, query: int, cosine: float) -> Evidence:
        read, models = self._read, self.support.pool.names
        rows = slice(*read.row_start[query : query + 2])
        graded = map(models.__getitem__, read.model[rows].tolist())
        return Evidence(
            read.query_ids[query],
            read.prompts[query],
            read.tasks[query],
            cosine,
            dict(zip(graded, read.effect[rows].tolist(), strict=True)),
        )

    def _hide(self, evidence: Evidence, user: str) -> Evidence:
        """The evidence without its prompt where that is of another user."""
        owner = self._owners.get(evidence.query_id)
        if owner in (None, user, withhold_person(user, "user")):
            return evidence
        return replace(evidence, prompt=withhold_prompt(evidence.prompt))

    @cached_property
    def _owners(self) -> dict[str, str]:
        """Who asked each query of which that is known."""
        people = self.support.people
        if people is None:
            return {}
        asked = zip(self.support.query_ids, people.of_query.tolist(), strict=True)
        num_users = len(people.users)
        return {query: people.users[at] for query, at in asked if 0 <= at < num_users}


class _Read(NamedTuple):
    """What is quoted, by position. S queries, E outcomes."""

    query_ids: list[str]
    prompts: list[str]
    tasks: list[str | None]
    model: IntArray
    """(E,) model of each graded outcome, those of a query together."""
    effect: FloatArray
    """(E,) observed."""
    row_start: IntArray
    """(S + 1,): the outcomes of query s are row_start[s] .. row_start[s + 1]."""
