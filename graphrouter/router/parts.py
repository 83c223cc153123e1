"""What a graph router has seen: its support."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from graphrouter.artifact_tables import Table, to_frame
from graphrouter.data.columns import PEOPLE
from graphrouter.data.prompt_keys import is_withheld, question_key, withhold_queries
from graphrouter.data.view_columns import VIEW_KEY, question_keys
from graphrouter.features.askers import People
from graphrouter.features.bills import Bills
from graphrouter.features.channels import (
    ChannelScaler,
    Tariff,
    read_columns,
)
from graphrouter.features.prompts import Float32Array, PromptTransform
from graphrouter.features.recorded_prices import reprice_scale
from graphrouter.features.suspect_zeros import hide_suspect_zeros
from graphrouter.features.tables import (
    FeatureTransform,
    NodeTable,
    RawFeatures,
    find_positions,
)
from graphrouter.features.tariffs import read_tariff
from graphrouter.features.token_rates import TokenRates
from graphrouter.lazy import pandas as pd
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.router.effort_order import EffortOrder
from graphrouter.router.kept import Kept
from graphrouter.router.speeds import Speeds
from graphrouter.types import BoolArray, IntArray, Queries


class Positions(NamedTuple):
    """Of E outcomes."""

    query: IntArray
    """(E,) of each outcome's query among the queries."""
    model: IntArray
    """(E,) of its model in the pool."""


@dataclass(frozen=True, eq=False)
class Support:
    """What the router has seen: solved queries, their outcomes, and the features of all nodes."""

    pool: ModelPool
    task_table: Table
    """Columns `task`, `description`; as they were saved, or a frame. So are all tables."""
    query_table: Table
    """Columns `query_id`, `task`, `prompt`, one row a support query, in the order of `raw`; `user`
    and `team` where queries say who asked them, and `view_key` where something goes with them
    beside their texts."""
    outcome_table: Table
    """Columns `query_id`, `model`, `effect`, `cost_usd`, `input_tokens`, `output_tokens`,
    `latency_s`, the prices of the model when it was recorded, `input_usd_per_mtok` and
    `output_usd_per_mtok`, and `num_runs`, the runs that it is the mean of; `ttft_s` and
    `output_tokens_per_s` where they were logged."""
    raw: RawFeatures
    """Embeddings and raw numbers of queries, models and tasks."""
    old_models: frozenset[str] = frozenset()
    """Models of an artifact before format 5 of which no outcome has come since: their costs are
    read as that release read them."""
    kept: Kept = field(default_factory=Kept, repr=False)
    """What was computed of it, or of the supports that it comes from. A support that is made of
    this one by `dataclasses.replace` starts with it, and computes anew what has changed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", self.kept.copy())

    @property
    def tasks(self) -> pd.DataFrame:
        """Columns `task`, `description`."""
        return to_frame(self.task_table, "task", "description")

    @property
    def queries(self) -> pd.DataFrame:
        """The columns of `query_table`."""
        named = [name for name in (*PEOPLE, VIEW_KEY) if name in self.query_table]
        return to_frame(self.query_table, "query_id", "task", "prompt", *named)

    @property
    def outcomes(self) -> pd.DataFrame:
        """The columns of `outcome_table`."""
        return to_frame(self.outcome_table)

    def read_outcomes(self) -> Table:
        """Its outcomes, in which a 0 that cannot be meant counts as not recorded."""

        def read() -> Table:
            named = self.positions.model, self.pool.names
            return hide_suspect_zeros(self.outcome_table, trusted=self.old_models, named=named)

        return self.kept.find("read_outcomes", self._recorded, read)

    @property
    def num_outcomes(self) -> IntArray:
        """(M,) how many outcomes there are of each model."""
        return self.kept.find(
            "num_outcomes",
            (self.outcome_table, self.pool.names),
            lambda: np.bincount(self.positions.model, minlength=len(self.pool)),
        )

    def list_logged(self, column: str) -> frozenset[str]:
        """Models of which the column was recorded in at least one outcome."""

        def read() -> frozenset[str]:
            (values,) = read_columns(self.read_outcomes(), column)
            logged = np.flatnonzero(np.bincount(self.positions.model[~np.isnan(values)]))
            return frozenset(self.pool.names[i] for i in logged)

        return self.kept.find(f"logged {column}", self._recorded, read)

    def read_bills(self, scaler: ChannelScaler) -> Bills:
        """What its outcomes say of the bills of its models, with a scaler of training rows."""
        names = self.pool.names

        def read() -> Bills:
            return Bills.read(
                self.outcome_table,
                names,
                scaler,
                old_models=self.old_models,
                shown=self.read_outcomes(),
                model=self.positions.model,
            )

        return self.kept.find("bills", (*self._recorded, names, scaler), read)

    def note_bills(self, bills: Bills) -> None:
        """Take over what `read_bills` has found of the same support before."""
        self.kept.note("bills", (*self._recorded, self.pool.names, bills.scaler), bills)

    def count_tokens(self) -> TokenRates:
        """How many tokens the models of the pool count in a text, by these outcomes."""

        def count() -> TokenRates:
            return self.raw.count_tokens(*self.positions, self.read_outcomes())

        return self.kept.find("tokens", self._counted, count)

    def note_tokens(self, tokens: TokenRates) -> None:
        """Take over what `count_tokens` has found of the same support before."""
        self.kept.note("tokens", self._counted, tokens)

    def read_tariff(self, bills: Bills, tokens: TokenRates) -> Tariff:
        """What its models charge at the prices that they have now.

        Args:
            bills: From `read_bills`.
            tokens: From `count_tokens`.
        """

        def read() -> Tariff:
            prices, outcomes = self.pool.prices, self.read_outcomes()
            return read_tariff(bills, prices, self.raw, *self.positions, outcomes, tokens)

        return self.kept.find("tariff", (*self._counted, self.pool, bills), read)

    def reprice_scale(self, scale: CostScale) -> CostScale:
        """A cost scale of training rows at the prices that its models have now."""
        return self.kept.find(
            "reprice_scale",
            (*self._recorded, self.pool, scale),
            lambda: reprice_scale(scale, self.read_outcomes(), self.pool, self.positions.model),
        )

    def read_speeds(self) -> Speeds:
        """How fast the answers of its models come, where that was logged."""
        names, of_model = self.pool.names, self.positions.model
        if not any(name in self.outcome_table for name in Speeds._fields):
            return Speeds(None, None)
        return self.kept.find(
            "speeds",
            (*self._recorded, names),
            lambda: Speeds.fit(self.read_outcomes(), of_model, len(names)),
        )

    def order_efforts(self) -> EffortOrder:
        """What settings of one model promise of those whose amounts were never seen."""
        names = self.pool.names

        def find() -> BoolArray:
            amounts = read_columns(self.outcome_table, "output_tokens", "latency_s", "cost_usd")
            seen = ~np.isnan(amounts).all(axis=0)
            return np.isin(np.arange(len(names)), self.positions.model[seen])

        return EffortOrder.of(self.pool, self.kept.find("tried", (self.outcome_table, names), find))

    @property
    def positions(self) -> Positions:
        """Where the queries and the models of its outcomes stand."""
        return self.kept.find(
            "positions",
            self._placed,
            lambda: Positions(
                find_positions(self.outcome_table["query_id"], self.query_ids),
                find_positions(self.outcome_table["model"], self.pool.names),
            ),
        )

    def note_positions(self, positions: Positions) -> None:
        """Take over what `positions` was of the same support before."""
        self.kept.note("positions", self._placed, positions)

    @property
    def _placed(self) -> tuple[object, ...]:
        return self.outcome_table, self.query_table, self.pool.names

    @property
    def query_ids(self) -> list[str]:
        """Ids of its queries."""
        return self.kept.find(
            "query_ids", (self.query_table,), lambda: list(self.query_table["query_id"])
        )

    @property
    def prompt_keys(self) -> list[str]:
        """The `question_key` of each of its queries."""
        return self.kept.find(
            "prompt_keys",
            (self.query_table,),
            lambda: list(map(question_key, self.query_table["prompt"], self.view_keys)),
        )

    @property
    def view_keys(self) -> list[str]:
        """What identifies what goes with each query beside its text; empty where nothing does."""
        if VIEW_KEY not in self.query_table:
            return [""] * len(self.query_table)
        return list(self.query_table[VIEW_KEY])

    @property
    def query_keys(self) -> list[str]:
        """What identifies each of its queries, with what goes with it, under any id."""
        if VIEW_KEY not in self.query_table:
            return self.prompt_keys
        return [a + b for a, b in zip(self.prompt_keys, self.view_keys, strict=True)]

    @property
    def withholds_prompts(self) -> bool:
        """Whether the text of any of its prompts was left out when it was saved."""
        return self.kept.find(
            "withheld",
            (self.query_table,),
            lambda: any(is_withheld(prompt) for prompt in self.query_table["prompt"]),
        )

    def withhold_prompts(self) -> Support:
        """The same without the text of its prompts, and the names of those who asked."""
        return replace(self, query_table=withhold_queries(self.queries))

    @property
    def people(self) -> People | None:
        """Who asked its queries; None where nobody is named."""
        return self.kept.find("people", (self.query_table,), lambda: People.of(self.query_table))

    def pass_on(self, wider: Support) -> None:
        """Tell a support what it has in common with this one.

        Args:
            wider: The same with more queries and outcomes behind its own; outcomes may be averaged
                with others of their pair.
        """
        if wider.query_table is not self.query_table:
            new = wider.queries.iloc[len(self.query_table) :]
            ids = [*self.query_ids, *new["query_id"].tolist()]
            keys = [*self.prompt_keys, *question_keys(new)]
            wider.kept.note("query_ids", (wider.query_table,), ids)
            wider.kept.note("prompt_keys", (wider.query_table,), keys)
        more = wider.outcomes.iloc[len(self.outcome_table) :]
        names, before = self.pool.names, self.positions
        positions = Positions(
            np.concatenate([before.query, find_positions(more["query_id"], wider.query_ids)]),
            np.concatenate([before.model, find_positions(more["model"], names)]),
        )
        wider.note_positions(positions)

    def find_askers(self, queries: Queries) -> IntArray | None:
        """Who asks each query, as `Targets.asker`; None where nobody is told apart."""
        if self.people is None or not queries.names_people:
            return None
        return self.people.locate(queries.users, queries.teams)

    def to_nodes(self, transform: FeatureTransform) -> NodeTable:
        """Its nodes under a transform that was fitted on training rows."""
        principal = self._find_principal(transform.prompts)
        nodes = self.raw.to_nodes(transform, self.pool, self.positions.model, principal)
        return nodes if self.people is None else replace(nodes, askers=self.people.to_nodes())

    def _find_principal(self, transform: PromptTransform) -> Float32Array:
        """(num_queries, P) principal coordinates; those of a query are computed once."""
        read = self.raw.prompts, self.raw.surface

        def compute() -> Float32Array:
            known = self.kept.latest("principal")
            if known is None:
                return transform.principal(*read)
            (*before, of), rows = known
            # Queries that come in stand behind those that were there.
            rest = slice(len(rows), None)
            is_longer = of is transform and all(
                np.array_equal(old, new[: len(rows)]) for old, new in zip(before, read, strict=True)
            )
            if not is_longer:
                return transform.principal(*read)
            return np.concatenate([rows, transform.principal(*(part[rest] for part in read))])

        return self.kept.find("principal", (*read, transform), compute)

    @property
    def _counted(self) -> tuple[object, ...]:
        """What says how many tokens texts have."""
        raw = self.raw
        texts = raw.num_chars, raw.query_task, len(raw.tasks)
        return (*self._recorded, self.pool.names, *texts)

    @property
    def _recorded(self) -> tuple[Table, frozenset[str]]:
        """What says how its outcomes are to be read."""
        return self.outcome_table, self.old_models
