"""From a network's scores to predictions: calibrated effects with intervals, tokens, cost, latency.

Serving, the reward that validation watches and the tuning of settings all read a network this way.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from graphrouter.features.channels import EFFECT, ChannelScaler, Tariff
from graphrouter.features.prompts import find_nearest
from graphrouter.features.token_rates import TokenRates
from graphrouter.graph.routing_graph import Targets
from graphrouter.nn.attention import Familiarity
from graphrouter.nn.decoding import AmountCalibration, decode_channels
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.readout import EffectInterval, PairPredictions, TaskDoubt
from graphrouter.nn.state import SupportState
from graphrouter.pool import ModelPool
from graphrouter.types import Predictions

_QUERIES_AT_ONCE = 64


@dataclass(frozen=True)
class LogitLine:
    """A corrected effect logit: intercept + slope * logit.

    After Platt (1999); the slope alone is temperature scaling (Guo et al., 2017).
    """

    intercept: float = 0.0
    """In logits."""
    slope: float = 1.0
    """> 0; below 1 for a network that is too sure."""


@dataclass(frozen=True)
class EffectCalibration:
    """From the effect logits of the network to calibrated ones; the identity as it stands.

    The line, and the offset of the task, are those of the query, the same for all models, and the
    slope is above 0. So the order of the models on a query never changes, nor does a choice by
    effect alone, and a newcomer needs no calibration of its own. What effect is worth against cost
    does change. `training.calibration` fits it.

    Example:
        >>> calibration = EffectCalibration(task_known=LogitLine(0.5, 2.0), offsets=(0.0, -0.25))
        >>> level, slope = calibration.lines(torch.tensor([0, 1, -1]))
        >>> level.tolist(), slope.tolist()
        ([0.5, 0.25, 0.0], [2.0, 2.0, 1.0])
    """

    task_known: LogitLine = field(default_factory=LogitLine)
    """For queries whose task is named."""
    task_hidden: LogitLine = field(default_factory=LogitLine)
    """For queries whose task is unknown."""
    offsets: tuple[float, ...] = ()
    """Added to the intercept for each task of the training, in their order, in logits; 0 for tasks
    that came later."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The calibration that `dataclasses.asdict` took apart.

        Example:
            >>> values = {"task_known": {"slope": 0.9}, "task_hidden": {}, "offsets": []}
            >>> EffectCalibration.from_dict(values).task_known.slope
            0.9
        """
        return cls(
            LogitLine(**values["task_known"]),
            LogitLine(**values["task_hidden"]),
            tuple(values["offsets"]),
        )

    @property
    def is_identity(self) -> bool:
        """Whether nothing is corrected."""
        return self == EffectCalibration()

    def lines(self, task: Tensor) -> tuple[Tensor, Tensor]:
        """Level and slope for each query, (num_queries,) float64 each.

        Args:
            task: (num_queries,) int64 position of the task, -1 = unknown.
        """
        known = task >= 0
        level, slope = (
            torch.where(known, named, hidden).double()
            for named, hidden in (
                (self.task_known.intercept, self.task_hidden.intercept),
                (self.task_known.slope, self.task_hidden.slope),
            )
        )
        if self.offsets:
            has_offset = known & (task < len(self.offsets))
            offsets = torch.tensor(self.offsets, dtype=torch.float64)
            level = level + torch.where(
                has_offset, offsets[task.clamp(0, len(self.offsets) - 1)], 0.0
            )
        return level, slope

    def apply(self, scored: PairPredictions, task: Tensor) -> PairPredictions:
        """The predictions with calibrated effect logits, and the standard deviations of these.

        The other channels as they were.

        Args:
            scored: What the network says of B queries.
            task: (B,) int64 position of the task, -1 = unknown.
        """
        if self.is_identity:
            return scored
        level, slope = (part.to(scored.location.dtype).unsqueeze(1) for part in self.lines(task))
        location, log_scale = scored.location.clone(), scored.log_scale.clone()
        location[EFFECT] = level + slope * location[EFFECT]
        log_scale[EFFECT] = log_scale[EFFECT] + slope.log()
        return scored._replace(location=location, log_scale=log_scale)


class EncodedQueries(NamedTuple):
    """Queries as the network reads them, before similar ones are looked up. B queries."""

    text: Tensor
    """(B, dimension) centred unit embeddings."""
    principal: Tensor
    """(B, P) text and surface features in decorrelated coordinates."""
    task: Tensor
    """(B,) int64 position of the task, -1 = unknown."""
    num_chars: Tensor
    """(B, NUM_KINDS) float64 characters of the prompt by kind."""
    surface: Tensor
    """(B, num_surface) scaled surface features."""

    def split(self, size: int) -> list[EncodedQueries]:
        """The same queries in parts of at most `size`, at least one part."""
        if len(self.task) <= size:
            return [self]
        parts = (torch.split(column, size) for column in self)
        return [EncodedQueries(*columns) for columns in zip(*parts, strict=True)]


class Forecast(NamedTuple):
    """Predictions, and what they rest on. B queries, M models, K neighbours a query."""

    predictions: Predictions
    """(B, M) of each quantity."""
    neighbours: Tensor
    """(B, K) int64 similar support queries, most similar first."""
    cosine: Tensor
    """(B, K) their similarity."""


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A network, and how its scores are read: calibrate, sigmoid, decode, interval."""

    net: RoutingGNN
    """In evaluation mode."""
    channels: ChannelScaler
    """From channels to tokens, dollars and seconds."""
    calibration: EffectCalibration = field(default_factory=EffectCalibration)
    """What corrects the effects; nothing by default."""
    interval: EffectInterval | None = None
    """How wide the interval of an effect is; None for predictions without intervals."""
    amounts: AmountCalibration = field(default_factory=AmountCalibration)
    """What corrects the amounts; nothing by default."""

    @classmethod
    def in_double(
        cls,
        net: RoutingGNN,
        channels: ChannelScaler,
        calibration: EffectCalibration | None = None,
        interval: EffectInterval | None = None,
        amounts: AmountCalibration | None = None,
    ) -> Forecaster:
        """A forecaster that computes in double precision, with a copy of the network.

        In double precision a score does not depend on the batch that it is computed in.
        """
        precise = copy.deepcopy(net).double().eval()
        effects, amounts = calibration or EffectCalibration(), amounts or AmountCalibration()
        return cls(precise, channels, effects, interval, amounts)

    @torch.inference_mode()
    def forecast_queries(
        self,
        state: SupportState,
        queries: EncodedQueries,
        pool: ModelPool,
        num_neighbours: int,
        tokens: TokenRates,
        tariff: Tariff | None = None,
        *,
        familiarity: Familiarity | None = None,
    ) -> Forecast:
        """What is expected of every model on each query, and the queries it rests on.

        Args:
            state: Of the support, in the precision of the network.
            queries: To be predicted, of the same precision.
            pool: The models of the support.
            num_neighbours: Similar support queries to look up a query.
            tokens: From characters to tokens, for the models of the pool.
            tariff: As in `read`.
            familiarity: Of the support; predictions do not tell how familiar a query is without it.
        """
        if queries.task.numel() == 0:
            return self._forecast_nothing(pool)
        predictions, found, ranks = [], [], []
        for some in queries.split(_QUERIES_AT_ONCE):
            similar = find_nearest(some.text, state.query_text, num_neighbours)
            targets = Targets(
                principal=some.principal,
                task=some.task,
                neighbours=similar[0],
                cosine=similar[1],
                num_chars=some.num_chars,
            )
            scored, doubt = self.net.score(state, targets), None
            if familiarity is not None:
                met = familiarity.meet(some.surface, *similar)
                doubt = TaskDoubt.of(state, scored.task_share, some.task, met)
                ranks.append(met.familiarity)
            predictions.append(self.read(scored, targets, pool, tokens, tariff, doubt))
            found.append(similar)
        neighbours, cosine = (torch.cat(column) for column in zip(*found, strict=True))
        known = replace(
            Predictions.concatenate(predictions),
            familiarity=torch.cat(ranks).numpy() if ranks else None,
        )
        return Forecast(known, neighbours, cosine)

    def read(
        self,
        scored: PairPredictions,
        targets: Targets,
        pool: ModelPool,
        tokens: TokenRates,
        tariff: Tariff | None = None,
        doubt: TaskDoubt | None = None,
    ) -> Predictions:
        """What the scores mean: expected effect, tokens, cost and latency of each pair.

        Args:
            scored: What the network says of B queries, on CPU.
            targets: The queries.
            pool: The models that were scored, for their names and prices.
            tokens: From characters to tokens, for the same models.
            tariff: What the models charge; by list prices alone without it.
            doubt: About the tasks of the queries; none without it.
        """
        task, num_chars = targets.task.cpu(), targets.num_chars.cpu().double().numpy()
        task_share = scored.task_share.cpu().double().numpy()
        drawn = (self.interval or EffectInterval()).draw_together(scored, doubt)
        calibrated = self.calibration.apply(drawn, task)
        location = calibrated.location.clone()
        location[EFFECT] = torch.sigmoid(location[EFFECT])
        predictions = decode_channels(
            self.channels,
            pool.names,
            location.numpy(),
            calibrated.log_scale.numpy(),
            tariff=tariff or Tariff.of_list_prices(self.channels.spend_unit, pool.prices),
            count_tokens=partial(
                tokens.estimate, num_chars, task_share, trust=self.amounts.token_trust
            ),
            amounts=self.amounts,
            num_chars=num_chars,
            task_share=task_share,
        )
        if self.interval is None:
            return predictions
        low, high = self.interval.bounds(
            calibrated.location[EFFECT], calibrated.log_scale[EFFECT], doubt
        )
        return replace(predictions, effect_low=low.numpy(), effect_high=high.numpy())

    def _forecast_nothing(self, pool: ModelPool) -> Forecast:
        """The forecast of no query."""
        none = np.zeros((0, len(pool)))
        ends = none if self.interval else None
        predictions = Predictions.from_arrays(
            pool.names, none, effect_low=ends, effect_high=ends, familiarity=none[:, 0]
        )
        return Forecast(predictions, torch.zeros(0, 0, dtype=torch.int64), torch.zeros(0, 0))
