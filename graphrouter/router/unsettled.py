"""Outcomes that a router has taken in since the states of its support were solved for.

They are told beside a settled support, in milliseconds and without torch; see
`scoring.later_outcomes`. What is known of a router is a function of the settled support and of all
outcomes since, in whatever order and groups they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from graphrouter.data.columns import PEOPLE, VIEWS
from graphrouter.data.repeats import count_runs
from graphrouter.decision import Evidence
from graphrouter.encoders import TextEncoder
from graphrouter.features.bills import Bills
from graphrouter.features.channels import PRICE_COLUMNS, read_columns
from graphrouter.lazy import LazyModule
from graphrouter.lazy import pandas as pd
from graphrouter.pool import ModelPool
from graphrouter.router.encoded_queries import encode_queries, encode_solved
from graphrouter.router.learned import Learned
from graphrouter.router.parts import Support
from graphrouter.router.solved_queries import SolvedQueries
from graphrouter.router.states import States
from graphrouter.scoring.forecaster import EncodedQueries
from graphrouter.scoring.later_outcomes import (
    AskedQueries,
    LaterOutcomes,
    StackedRows,
    tell_state,
)
from graphrouter.scoring.novelty import TaskLevels
from graphrouter.scoring.numpy_operations import multiply_rows
from graphrouter.scoring.scorer import Scorer
from graphrouter.scoring.search_index import Search
from graphrouter.types import FloatArray, IntArray, Queries

_NUMBERS = ("effect", "cost_usd", "input_tokens", "output_tokens", "latency_s")
_EFFECT, _COST, _PROMPT, _ANSWER, _LATENCY = range(len(_NUMBERS))
_FEWEST, _SHARE = 4, 0.25
"""Outcomes of a model that may be unsettled: so many, or this share of its settled ones."""


class _Runs(NamedTuple):
    """Recorded outcomes, repeats of a pair one by one. n rows."""

    query: IntArray
    """(n,) row in the settled support, or behind it the number of a new query."""
    model: IntArray
    """(n,)."""
    weight: FloatArray
    """(n,) runs that each is the mean of."""
    numbers: FloatArray
    """(5, n) in the order of `_NUMBERS`, NaN = not recorded."""

    def join(self, more: _Runs) -> _Runs:
        """These and more behind them."""
        return _Runs(
            np.concatenate([self.query, more.query]),
            np.concatenate([self.model, more.model]),
            np.concatenate([self.weight, more.weight]),
            np.concatenate([self.numbers, more.numbers], axis=1),
        )

    def take(self, rows: IntArray) -> _Runs:
        """Some of them."""
        return _Runs(self.query[rows], self.model[rows], self.weight[rows], self.numbers[:, rows])

    def average(self) -> _Runs:
        """Each pair once, its numbers the means over the runs that recorded them."""
        pairs, place = np.unique(np.stack([self.query, self.model]), axis=1, return_inverse=True)
        numbers = np.empty((len(self.numbers), pairs.shape[1]))
        for row, values in enumerate(self.numbers):
            known = np.isfinite(values)
            of, weight = place[known], self.weight[known]
            total = np.bincount(of, weight, pairs.shape[1])
            amount = np.bincount(of, weight * values[known], pairs.shape[1])
            numbers[row] = amount / np.where(total > 0, total, np.nan)
        weight = np.bincount(place, self.weight, pairs.shape[1]).astype(np.float64)
        return _Runs(pairs[0], pairs[1], weight, numbers)


@dataclass(frozen=True, eq=False)
class Unsettled:
    """Outcomes since a support was settled."""

    settled: Support
    states: States
    """Of the settled support."""
    runs: _Runs
    queries: pd.DataFrame
    """The queries that the settled support does not have: `query_id`, `prompt`, `task`."""
    asked: EncodedQueries | None = None
    """These queries in numbers."""
    tables: tuple[pd.DataFrame, ...] = ()
    """The outcomes as they came, checked."""

    @classmethod
    def of(cls, settled: Support, states: States) -> Self:
        """No outcomes yet."""
        nothing = np.zeros(0, dtype=np.int64)
        runs = _Runs(nothing, nothing, np.zeros(0), np.zeros((len(_NUMBERS), 0)))
        queries = pd.DataFrame({"query_id": [], "prompt": [], "task": []}, dtype="str")
        return cls(settled, states, runs, queries)

    def __len__(self) -> int:
        return len(self.runs.model)

    def add(
        self,
        outcomes: pd.DataFrame,
        learned: Learned,
        encoder: TextEncoder,
        bills: Bills,
    ) -> Self | None:
        """These and more; None where they have to be settled.

        That is where users or views are read, where a model has not been seen enough for what the
        outcomes say to be small beside it, and where anything about them is unusual, for which
        settling has the checks.

        Args:
            outcomes: From `support_changes.read_outcomes`.
            learned: What training produced.
            encoder: Encodes prompts that are new.
            bills: Of the settled support.
        """
        from graphrouter.router.asked_queries import identify_queries  # reads tables

        support = self.settled
        if not _is_plain(support, self.states, outcomes, bills):
            return None
        ids, new = identify_queries(support, outcomes, "outcomes", self.queries)
        first = len(support.query_table)
        place = _find_rows(support)
        later = [*self.queries["query_id"], *new["query_id"]]
        place_of_later = {query: first + i for i, query in enumerate(later)}
        runs = _Runs(
            np.array([place.get(i, place_of_later.get(i, -1)) for i in ids], dtype=np.int64),
            np.array([support.pool.position(name) for name in outcomes["model"]], dtype=np.int64),
            count_runs(outcomes),
            np.stack(read_columns(outcomes, *_NUMBERS)),
        )
        runs = self.runs.join(_complete(runs, support.pool, bills))
        if _is_much(runs, support):
            return None
        tasks = {str(task): i for i, task in enumerate(support.task_table["task"])}
        queries, asked = self._name_tasks(ids, outcomes["task"], tasks)
        if len(new):
            fresh = Queries.of_frame(new.drop(columns="query_id"))
            asked = _join(asked, encode_queries(learned, encoder, fresh, tasks))
            queries = pd.concat([queries, new], ignore_index=True)
        return replace(
            self, runs=runs, queries=queries, asked=asked, tables=(*self.tables, outcomes)
        )

    def _name_tasks(
        self, ids: Sequence[str], told: pd.Series, tasks: Mapping[str, int]
    ) -> tuple[pd.DataFrame, EncodedQueries | None]:
        """The queries, each of the first task that it was named with, as if all came at once.

        Args:
            ids: The query of each new outcome.
            told: The task that each came with.
            tasks: Positions of those that the support knows.
        """
        if self.asked is None or not self.queries["task"].isna().any():
            return self.queries, self.asked
        first = told.groupby(np.array(ids)).first()
        named = self.queries["task"].fillna(self.queries["query_id"].map(first))
        task = np.array([tasks.get(name, -1) for name in named], dtype=np.int64)
        return self.queries.assign(task=named), self.asked._replace(task=task)

    def join(self, encoder: TextEncoder) -> Support:
        """The support with all of them, to be settled."""
        support_changes = LazyModule("graphrouter.router.support_changes")
        joined: Support = support_changes.add_outcomes(
            self.settled, pd.concat(self.tables, ignore_index=True), encoder
        )
        return joined

    def tell(self, learned: Learned, scorer: Scorer, bills: Bills) -> Told:
        """What they say beside the settled support.

        Args:
            learned: What training produced.
            scorer: Of its weights.
            bills: Of the settled support.
        """
        support, state = self.settled, self.states.support
        first = len(support.query_table)
        rows = np.unique(self.runs.query[self.runs.query < first])
        again = _read_again(support, self.runs)
        runs = self.runs.join(again).average()
        num_new = np.bincount(runs.model, minlength=len(support.pool))
        num_new -= np.bincount(again.model, minlength=len(support.pool))
        encoded = self.asked
        if len(rows):
            encoded = _join(encoded, encode_solved(learned, support.raw.take_queries(rows)))
        assert encoded is not None, "there are no outcomes"
        num_asked = len(self.queries)
        settled = np.concatenate([np.full(num_asked, -1), rows])
        task = np.where(encoded.task < 0, len(state.task), encoded.task)
        asked = AskedQueries(
            settled,
            task,
            encoded.principal,
            scorer.find_keys(encoded.principal),
            scorer.text_easiness(state.slope, encoded.principal),
        )
        order = np.where(
            runs.query < first, num_asked + np.searchsorted(rows, runs.query), runs.query - first
        )
        by_query = np.argsort(order, kind="stable")
        runs, order = runs.take(by_query), order[by_query]
        columns = dict(zip(_NUMBERS, runs.numbers, strict=True))
        columns |= dict(zip(PRICE_COLUMNS, support.pool.prices[:, runs.model], strict=True))
        channels = bills.encode(columns, runs.model).astype(np.float32).astype(np.float64)
        mass = np.exp(np.asarray(learned.weights["base.easiness_mass.log"], dtype=np.float64))
        told = tell_state(state, asked, LaterOutcomes(order, runs.model, channels), mass)
        is_solved = np.zeros(len(task), dtype=bool)
        is_solved[order[np.isfinite(runs.numbers[_EFFECT])]] = True
        known = self.states.familiarity
        is_solved[num_asked:] |= known.is_solved[rows]
        familiarity = replace(
            known,
            surface=StackedRows(known.surface, encoded.surface),
            is_solved=StackedRows(known.is_solved, is_solved),
        )
        moved = np.arange(first + num_asked)
        moved[rows] = first + num_asked + np.arange(len(rows))
        states, text = States(told, familiarity, TaskLevels.of(told)), encoded.text[:num_asked]
        return Told(states, text, moved, rows, runs._replace(query=order), num_new)


class Told(NamedTuple):
    """What unsettled outcomes say. Q queries: the new ones, then those that are solved again."""

    states: States
    """With the Q queries behind those of the support."""
    text: FloatArray
    """(N, dimension) unit vectors of the new ones."""
    moved: IntArray
    """(S + N,) where what is known of each query stands now."""
    rows: IntArray
    """(Q - N,) where those that are solved again stand in the settled support."""
    runs: _Runs
    """Of the Q queries, each pair once."""
    num_new: IntArray
    """(M,) outcomes of each model on queries that it was not known to have answered."""


@dataclass(frozen=True, eq=False)
class SolvedSince(SolvedQueries):
    """The solved queries of a settled support, and behind them those of unsettled outcomes."""

    queries: pd.DataFrame
    """Those that the settled support does not have, as in `Unsettled`."""
    told: Told
    """What the outcomes say."""

    def _is_graded(self, query: int) -> bool:
        behind = query - len(self.support.query_table)
        if behind < 0:
            return super()._is_graded(query)
        return bool(self.told.states.familiarity.is_solved.behind[behind])

    def _cite(self, query: int, cosine: float) -> Evidence:
        behind = query - len(self.support.query_table)
        if behind < 0:
            return super()._cite(query, cosine)
        queries, told = self.queries, self.told
        if behind >= len(queries):
            found = super()._cite(int(told.rows[behind - len(queries)]), cosine)
        else:
            query_id, prompt, task = queries.iloc[behind][["query_id", "prompt", "task"]]
            named = task if isinstance(task, str) else None
            found = Evidence(query_id, prompt, named, cosine, {})
        runs = told.runs.take(np.flatnonzero(told.runs.query == behind))
        graded = zip(runs.model.tolist(), runs.numbers[_EFFECT].tolist(), strict=True)
        names = self.support.pool.names
        more = {names[model]: effect for model, effect in graded if effect == effect}
        return replace(found, effects={**found.effects, **more})


class LaterSearch:
    """A search in a settled support and a few queries that came since."""

    def __init__(self, search: Search, told: Told) -> None:
        """A search.

        Args:
            search: In the settled support.
            told: What came since.
        """
        self._search, self._text, self._moved = search, told.text, told.moved

    def __call__(
        self, targets: FloatArray, support: FloatArray, num_neighbours: int
    ) -> tuple[IntArray, FloatArray]:
        """As `find_nearest`; positions are those of what is known of the queries now."""
        found, cosine = self._search(targets, support, num_neighbours)
        behind = np.arange(len(support), len(self._moved))
        found = np.concatenate([found, np.broadcast_to(behind, (len(found), len(behind)))], axis=1)
        near = np.round(multiply_rows(targets, self._text.T), 10)
        cosine = np.concatenate([cosine, near], axis=1)
        order = np.lexsort((found, -cosine), axis=1)[:, :num_neighbours]
        found, cosine = (np.take_along_axis(part, order, axis=1) for part in (found, cosine))
        return self._moved[found], cosine


def _is_plain(support: Support, states: States, outcomes: pd.DataFrame, bills: Bills) -> bool:
    """Whether nothing about outcomes and support wants more than the states of queries and models.

    A blank prompt, a model that nobody knows and zeros whose meaning depends on all outcomes of the
    model are left to those who check whole tables.
    """
    prompts, models = outcomes["prompt"].dropna(), set(outcomes["model"])
    return not (
        support.people is not None
        or states.support.views
        or any(name in outcomes.columns and outcomes[name].notna().any() for name in PEOPLE)
        or any(name in outcomes.columns for name in VIEWS)
        or not prompts.str.strip().all()
        or not models <= set(support.pool.names)
        or models & bills.old_models
        or (outcomes["output_tokens"] == 0).any()
    )


def _find_rows(support: Support) -> Mapping[str, int]:
    """Where each query of a support stands."""
    return support.kept.find(
        "rows of queries",
        (support.query_table,),
        lambda: {query: row for row, query in enumerate(support.query_ids)},
    )


def _complete(runs: _Runs, pool: ModelPool, bills: Bills) -> _Runs:
    """The runs without zeros that stand for what was not recorded, and with what tokens cost."""
    numbers = runs.numbers.copy()
    numbers[_COST, (numbers[_COST] == 0) & (bills.num_billed[runs.model] > 0)] = np.nan
    for row in (_PROMPT, _LATENCY):
        numbers[row, numbers[row] == 0] = np.nan
    listed = (numbers[[_PROMPT, _ANSWER]] * pool.prices[:, runs.model]).sum(axis=0) / 1e6
    numbers[_COST] = np.where(np.isnan(numbers[_COST]), listed, numbers[_COST])
    return runs._replace(numbers=numbers)


def _is_much(runs: _Runs, support: Support) -> bool:
    """Whether what they say of any model is no longer small beside what is settled."""
    came = np.bincount(runs.model, minlength=len(support.pool))
    return bool((came > np.maximum(_FEWEST, _SHARE * support.num_outcomes)).any())


def _read_again(support: Support, runs: _Runs) -> _Runs:
    """The settled outcomes of pairs that were run again; costs at other prices are left out."""
    query, model = support.positions
    size = len(support.pool)
    rows = np.flatnonzero(np.isin(query * size + model, runs.query * size + runs.model))
    if not len(rows):
        nothing = np.zeros(0, dtype=np.int64)
        return _Runs(nothing, nothing, np.zeros(0), np.zeros((len(_NUMBERS), 0)))
    shown = support.read_outcomes()
    columns = support.kept.find(
        "numbers of outcomes",
        (support.outcome_table, support.old_models),
        lambda: np.stack(read_columns(shown, *_NUMBERS, "num_runs", *PRICE_COLUMNS)),
    )[:, rows]
    numbers, weight, prices = np.split(columns, [len(_NUMBERS), len(_NUMBERS) + 1])
    now = support.pool.prices[:, model[rows]]
    is_dearer = ((prices != now) & ~(np.isnan(prices) & np.isnan(now))).any(axis=0)
    numbers[_COST, is_dearer] = np.nan
    return _Runs(query[rows], model[rows], weight[0], numbers)


def _join(first: EncodedQueries | None, second: EncodedQueries) -> EncodedQueries:
    """Queries in numbers, and more behind them; they have no views, and nobody asks them."""
    if first is None:
        return second
    return EncodedQueries(
        text=np.concatenate([first.text, second.text]),
        principal=np.concatenate([first.principal, second.principal]),
        task=np.concatenate([first.task, second.task]),
        num_chars=np.concatenate([first.num_chars, second.num_chars]),
        surface=np.concatenate([first.surface, second.surface]),
    )
