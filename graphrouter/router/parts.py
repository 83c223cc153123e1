"""What a graph router is made of: what it has seen and learned, and where that comes from."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from graphrouter.config import TrainConfig
from graphrouter.data import Split
from graphrouter.data.splits import prompt_key
from graphrouter.features.bills import Bills, hide_suspect_zeros
from graphrouter.features.channels import LATENCY, ChannelScaler, SpendUnit, Tariff
from graphrouter.features.prompts import Float32Array, PromptTransform
from graphrouter.features.recorded_prices import reprice_scale
from graphrouter.features.tables import (
    FeatureTransform,
    FittedTransforms,
    NodeTable,
    RawFeatures,
    find_positions,
)
from graphrouter.features.tariffs import read_tariff
from graphrouter.features.token_rates import TokenRates
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.router.effort_order import EffortOrder
from graphrouter.router.kept import Kept
from graphrouter.router.speeds import Speeds
from graphrouter.scoring.decoding import AmountCalibration
from graphrouter.scoring.effects import EffectCalibration, EffectInterval
from graphrouter.scoring.forecaster import Forecaster
from graphrouter.scoring.scorer import FeatureSizes, Scorer
from graphrouter.types import BoolArray, IntArray

if TYPE_CHECKING:
    from graphrouter.nn.network import RoutingGNN

ChangeName = Literal[
    "add_model",
    "remove_model",
    "update_card",
    "set_price",
    "add_outcomes",
    "replace_outcomes",
    "add_task",
    "migrate",
]


_SPEND_COLUMNS = ["cost_usd", "output_tokens"]
DEVIATION_SHARE = "deviation_share"
"""Name of the metric that says how much is believed of what texts say of models; see
`Decision.deviation_share`."""


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
    tasks: pd.DataFrame
    """Columns `task`, `description`."""
    queries: pd.DataFrame
    """Columns `query_id`, `task`, `prompt`, one row a support query, in the order of `raw`."""
    outcomes: pd.DataFrame
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

    def read_outcomes(self) -> pd.DataFrame:
        """Its outcomes, in which a 0 that cannot be meant counts as not recorded."""
        return self.kept.find(
            "read_outcomes",
            self._recorded,
            lambda: hide_suspect_zeros(self.outcomes, trusted=self.old_models),
        )

    def list_logged(self, column: str) -> frozenset[str]:
        """Models of which the column was recorded in at least one outcome."""

        def read() -> frozenset[str]:
            outcomes = self.read_outcomes()
            return frozenset(outcomes["model"][outcomes[column].notna()])

        return self.kept.find(f"logged {column}", self._recorded, read)

    def read_bills(self, scaler: ChannelScaler) -> Bills:
        """What its outcomes say of the bills of its models, with a scaler of training rows."""
        names, old = self.pool.names, self.old_models
        return self.kept.find(
            "bills",
            (*self._recorded, names, scaler),
            lambda: Bills.read(
                self.outcomes, names, scaler, old_models=old, shown=self.read_outcomes()
            ),
        )

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
        prices, outcomes = self.pool.prices, self.read_outcomes()
        return read_tariff(bills, prices, self.raw, *self.positions, outcomes, tokens)

    def reprice_scale(self, scale: CostScale) -> CostScale:
        """A cost scale of training rows at the prices that its models have now."""
        return reprice_scale(scale, self.read_outcomes(), self.pool, self.positions.model)

    def read_speeds(self) -> Speeds:
        """How fast the answers of its models come, where that was logged."""
        names, of_model = self.pool.names, self.positions.model
        return self.kept.find(
            "speeds",
            (*self._recorded, names),
            lambda: Speeds.fit(self.read_outcomes(), of_model, len(names)),
        )

    def order_efforts(self) -> EffortOrder:
        """What settings of one model promise of those whose amounts were never seen."""
        names = self.pool.names

        def find() -> BoolArray:
            seen = self.outcomes[["output_tokens", "latency_s", "cost_usd"]].notna().any(axis=1)
            return np.isin(np.arange(len(names)), self.positions.model[seen.to_numpy(dtype=bool)])

        return EffortOrder.of(self.pool, self.kept.find("tried", (self.outcomes, names), find))

    @property
    def positions(self) -> Positions:
        """Where the queries and the models of its outcomes stand."""
        names = self.pool.names
        return self.kept.find(
            "positions",
            (self.outcomes, self.queries, names),
            lambda: Positions(
                find_positions(self.outcomes["query_id"], self.query_ids),
                find_positions(self.outcomes["model"], names),
            ),
        )

    @property
    def query_ids(self) -> list[str]:
        """Ids of its queries."""
        return self.kept.find(
            "query_ids", (self.queries,), lambda: self.queries["query_id"].tolist()
        )

    @property
    def prompt_keys(self) -> list[str]:
        """The `prompt_key` of each of its queries."""
        prompts = self.queries["prompt"]
        return self.kept.find(
            "prompt_keys", (self.queries,), lambda: [prompt_key(prompt) for prompt in prompts]
        )

    def pass_on(self, wider: Support) -> None:
        """Tell a support what it has in common with this one.

        Args:
            wider: The same with more queries and outcomes behind its own; outcomes may be averaged
                with others of their pair.
        """
        queries, outcomes = wider.queries, wider.outcomes
        if queries is not self.queries:
            new = queries.iloc[len(self.queries) :]
            ids = [*self.query_ids, *new["query_id"].tolist()]
            keys = [*self.prompt_keys, *map(prompt_key, new["prompt"])]
            wider.kept.note("query_ids", (queries,), ids)
            wider.kept.note("prompt_keys", (queries,), keys)
        more = outcomes.iloc[len(self.outcomes) :]
        names, before = self.pool.names, self.positions
        positions = Positions(
            np.concatenate([before.query, find_positions(more["query_id"], wider.query_ids)]),
            np.concatenate([before.model, find_positions(more["model"], names)]),
        )
        wider.kept.note("positions", (outcomes, queries, names), positions)

    def to_nodes(self, transform: FeatureTransform) -> NodeTable:
        """Its nodes under a transform that was fitted on training rows."""
        principal = self._find_principal(transform.prompts)
        return self.raw.to_nodes(transform, self.pool, self.positions.model, principal)

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
    def _recorded(self) -> tuple[pd.DataFrame, frozenset[str]]:
        """What says how its outcomes are to be read."""
        return self.outcomes, self.old_models


@dataclass(frozen=True, eq=False)
class Learned:
    """What training produced; independent of the pool and of the support."""

    weights: Mapping[str, Float32Array]
    """Of the network, by the names of its parameters."""
    sizes: FeatureSizes
    transforms: FittedTransforms
    config: TrainConfig
    calibration: EffectCalibration
    """What validation outcomes correct in its effects."""
    interval: EffectInterval
    """How sure the network is of a calibrated effect, calibrated on models left out."""
    amounts: AmountCalibration = field(default_factory=AmountCalibration)
    """What validation outcomes correct in its amounts."""

    @cached_property
    def net(self) -> RoutingGNN:
        """The network, in evaluation mode; it is made when something is to be learned or changed.

        Raises:
            RuntimeError: The weights are not those of the network that the settings make.
        """
        import torch  # here: serving reads the weights

        from graphrouter.nn.network import compose_network

        scale = self.transforms.channels.scale.tolist()
        with torch.random.fork_rng(devices=[]):  # its first weights are thrown away
            net = compose_network(self.config.network, self.sizes, scale)
        # Copies: arrays of an artifact cannot be written to.
        weights = {name: torch.tensor(array) for name, array in self.weights.items()}
        net.load_state_dict(weights)
        return net.eval()

    @cached_property
    def precise_net(self) -> RoutingGNN:
        """The network in double precision, in which states are computed."""
        return copy.deepcopy(self.net).double()

    @property
    def columns_without_use(self) -> tuple[str, ...]:
        """Columns of outcomes that came in no training row, so that nothing can be made of them.

        Costs that were all 0 in training are no such column: then free models are known as free,
        and those of others stay unknown.
        """
        channels, lost = self.transforms.channels, []
        if channels.spend_unit is SpendUnit.NONE:
            lost += ["output_tokens"] if self.transforms.cost.is_known else _SPEND_COLUMNS
        return (*lost, *([] if channels.observed[LATENCY] else ["latency_s"]))

    def make_forecaster(self) -> Forecaster:
        """What reads the scores of the network, in double precision.

        Raises:
            KeyError: A weight is lacking.
        """
        return Forecaster(
            Scorer(self.weights, self.config.network),
            self.transforms.channels,
            self.calibration,
            self.interval,
            self.amounts,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed after training."""

    what: ChangeName
    model: str
    """Empty where several models are concerned, or none in particular."""
    num_outcomes: int
    """Outcomes that came with it."""
    at: str
    """When, in UTC, as ISO 8601."""
    task: str = ""
    """The task that was added, else empty."""

    @classmethod
    def now(
        cls, what: ChangeName, *, model: str = "", num_outcomes: int = 0, task: str = ""
    ) -> Change:
        """A change that is made at this moment.

        Example:
            >>> Change.now("add_task", task="law").task
            'law'
        """
        return cls(what, model, num_outcomes, datetime.now(UTC).isoformat(timespec="seconds"), task)


@dataclass(frozen=True)
class Provenance:
    """Where a router comes from."""

    dataset: str
    fingerprint: str
    split: Split
    seen_prompts: frozenset[str]
    """`prompt_key` of every training and validation prompt: what the router may not be judged on,
    also under another id."""
    metrics: dict[str, float]
    """Validation figures of the chosen epoch, and of the calibration."""
    changes: tuple[Change, ...] = ()
    """What was changed after training, in order."""

    def after(
        self, made: Sequence[Change], support: Support, before: Support | None = None
    ) -> Provenance:
        """The provenance once changes were made that lead from a support `before` to this one.

        Prompts that came with the changes count as seen from then on.
        """
        seen = self.seen_prompts
        if before is None or before.queries is not support.queries:
            seen = seen.union(support.prompt_keys)
        return replace(self, seen_prompts=seen, changes=(*self.changes, *made))
