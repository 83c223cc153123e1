"""What a graph router is made of: what it has seen and learned, and where that comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from graphrouter.config import TrainConfig
from graphrouter.data import Split
from graphrouter.data.splits import prompt_key
from graphrouter.features.bills import Bills, hide_suspect_zeros
from graphrouter.features.channels import LATENCY, ChannelScaler, SpendUnit, Tariff
from graphrouter.features.tables import FittedTransforms, RawFeatures, find_positions
from graphrouter.features.tariffs import read_tariff
from graphrouter.features.token_rates import TokenRates
from graphrouter.nn.decoding import AmountCalibration
from graphrouter.nn.forecaster import EffectCalibration, Forecaster
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.readout import EffectInterval
from graphrouter.pool import ModelPool
from graphrouter.router.effort_order import EffortOrder
from graphrouter.router.speeds import Speeds
from graphrouter.types import IntArray

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

    def read_outcomes(self) -> pd.DataFrame:
        """Its outcomes, in which a 0 that cannot be meant counts as not recorded."""
        return hide_suspect_zeros(self.outcomes, trusted=self.old_models)

    def list_logged(self, column: str) -> frozenset[str]:
        """Models of which the column was recorded in at least one outcome."""
        outcomes = self.read_outcomes()
        return frozenset(outcomes["model"][outcomes[column].notna()])

    def read_bills(self, scaler: ChannelScaler) -> Bills:
        """What its outcomes say of the bills of its models, with a scaler of training rows."""
        names, old = self.pool.names, self.old_models
        return Bills.read(self.outcomes, names, scaler, old_models=old)

    def count_tokens(self) -> TokenRates:
        """How many tokens the models of the pool count in a text, by these outcomes."""
        return self.raw.count_tokens(*self._positions, self.read_outcomes())

    def read_tariff(self, bills: Bills, tokens: TokenRates) -> Tariff:
        """What its models charge at the prices that they have now.

        Args:
            bills: From `read_bills`.
            tokens: From `count_tokens`.
        """
        prices, outcomes = self.pool.prices, self.read_outcomes()
        return read_tariff(bills, prices, self.raw, *self._positions, outcomes, tokens)

    def read_speeds(self) -> Speeds:
        """How fast the answers of its models come, where that was logged."""
        return Speeds.fit(self.read_outcomes(), self._positions[1], len(self.pool))

    def order_efforts(self) -> EffortOrder:
        """What settings of one model promise of those whose amounts were never seen."""
        seen = self.outcomes[["output_tokens", "latency_s", "cost_usd"]].notna().any(axis=1)
        tried = self.outcomes["model"][seen]
        return EffortOrder.of(self.pool, np.isin(self.pool.names, tried.unique()))

    @cached_property
    def _positions(self) -> tuple[IntArray, IntArray]:
        """(E,) positions of the outcomes' queries, and of their models."""
        query = find_positions(self.outcomes["query_id"], self.queries["query_id"].tolist())
        return query, find_positions(self.outcomes["model"], self.pool.names)


@dataclass(frozen=True, eq=False)
class Learned:
    """What training produced; independent of the pool and of the support."""

    net: RoutingGNN
    transforms: FittedTransforms
    config: TrainConfig
    calibration: EffectCalibration
    """What validation outcomes correct in its effects."""
    interval: EffectInterval
    """How sure the network is of a calibrated effect, calibrated on models left out."""
    amounts: AmountCalibration = field(default_factory=AmountCalibration)
    """What validation outcomes correct in its amounts."""

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
        """What reads the network, in double precision."""
        return Forecaster.in_double(
            self.net, self.transforms.channels, self.calibration, self.interval, self.amounts
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

    def after(self, made: Sequence[Change], support: Support) -> Provenance:
        """The provenance once changes were made that lead to this support.

        Prompts that came with the changes count as seen from then on.
        """
        seen = self.seen_prompts | frozenset(map(prompt_key, support.queries["prompt"]))
        return replace(self, seen_prompts=seen, changes=(*self.changes, *made))
