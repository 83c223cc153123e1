"""From a network's scores to predictions: calibrated effects with intervals, tokens, cost, latency.

Serving, the reward that validation watches and the tuning of settings all read a network this way.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from graphrouter.features.channels import ChannelScaler, Tariff
from graphrouter.features.token_rates import TokenRates
from graphrouter.pool import ModelPool
from graphrouter.scoring.decoding import AmountCalibration, decode_channels
from graphrouter.scoring.effects import EffectCalibration, EffectInterval
from graphrouter.scoring.nearest import find_nearest, find_nearest_known
from graphrouter.scoring.novelty import Familiarity, TaskDoubt, TaskLevels
from graphrouter.scoring.numpy_operations import sigmoid
from graphrouter.scoring.operations import Array, operations_of, to_numpy
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.scoring.search_index import Search
from graphrouter.scoring.state import SupportState, Targets
from graphrouter.scoring.view_state import TargetView, ViewState
from graphrouter.types import FloatArray, Predictions

_QUERIES_AT_ONCE, _PAIRS_AT_ONCE = 128, 8192
"""What similar queries say of so many pairs of a query and a model is in memory at a time."""


class EncodedView(NamedTuple):
    """A view of queries as the network reads it, before alike ones are looked up. B queries."""

    x: Array
    """(B, P) principal coordinates, NaN rows where a query does not have it."""
    text: Array
    """(B, dimension) centred unit vectors, NaN rows likewise."""

    def find_alike(self, of: ViewState, num_neighbours: int) -> TargetView:
        """The targets in this view, with the solved queries that are alike in it.

        Args:
            of: The same view of the support.
            num_neighbours: Most to look up a query.
        """
        return TargetView(self.x, *find_nearest_known(self.text, of.text, of.rows, num_neighbours))


class EncodedQueries(NamedTuple):
    """Queries as the network reads them, before similar ones are looked up. B queries."""

    text: Array
    """(B, dimension) centred unit embeddings."""
    principal: Array
    """(B, P) text and surface features in decorrelated coordinates."""
    task: Array
    """(B,) int64 position of the task, -1 = unknown."""
    num_chars: Array
    """(B, NUM_KINDS) float64 characters of the prompt by kind."""
    surface: Array
    """(B, num_surface) scaled surface features."""
    asker: Array | None = None
    """(B,) int64 as `Targets.asker`."""
    views: tuple[EncodedView, ...] = ()
    """What goes with the queries beside their texts, in the order of the state's."""

    def split(self, size: int) -> list[EncodedQueries]:
        """The same queries in parts of at most `size`."""
        if len(self.task) <= size:
            return [self]
        starts = range(0, len(self.task), size)
        return [self._take(slice(i, i + size)) for i in starts]

    def _take(self, rows: slice) -> EncodedQueries:
        columns = self._asdict()
        views = tuple(EncodedView(*(part[rows] for part in view)) for view in columns.pop("views"))
        taken = {k: None if part is None else part[rows] for k, part in columns.items()}
        return EncodedQueries(**taken, views=views)


class Forecast(NamedTuple):
    """Predictions, and what they rest on. B queries, M models, K neighbours a query."""

    predictions: Predictions
    """(B, M) of each quantity."""
    neighbours: Array
    """(B, K) int64 similar support queries, most similar first."""
    cosine: Array
    """(B, K) their similarity."""

    def split(self) -> list[Forecast]:
        """The forecast of each query by itself."""
        return [
            Forecast(self.predictions.at(i), self.neighbours[i : i + 1], self.cosine[i : i + 1])
            for i in range(len(self.predictions))
        ]


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A network, and how its scores are read: calibrate, sigmoid, decode, interval."""

    net: Any
    """What scores: a `nn.network.RoutingGNN` in evaluation mode, or a `Scorer` of its weights."""
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
        net: Any,
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
        levels: TaskLevels | None = None,
        search: Search = find_nearest,
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
            levels: Of the support, where they were computed already.
            search: What finds similar support queries; all are compared without it.
        """
        if len(queries.task) == 0:
            return self._forecast_nothing(pool)
        levels = TaskLevels.of(state) if levels is None else levels
        predictions, found = [], []
        counts = [num_neighbours] * len(state.views)
        at_once = max(1, min(_QUERIES_AT_ONCE, _PAIRS_AT_ONCE // len(pool)))
        for some in queries.split(at_once):
            similar = search(some.text, state.query_text, num_neighbours)
            views = tuple(map(EncodedView.find_alike, some.views, state.views, counts))
            targets = Targets(
                some.principal, some.task, *similar, some.num_chars, some.asker, views
            )
            scored, doubt, rank = self.net.score(state, targets), None, None
            if familiarity is not None:
                met = familiarity.meet(some.surface, *similar)
                doubt = TaskDoubt.of(levels, scored.task_share, some.task, met)
                rank = to_numpy(met.familiarity)
            predictions.append(
                self.read(scored, targets, pool, tokens, tariff, doubt, familiarity=rank)
            )
            found.append(similar)
        known = Predictions.concatenate(predictions)
        if len(found) == 1:
            return Forecast(known, *found[0])
        xp = operations_of(queries.text)
        return Forecast(known, *map(xp.concat, zip(*found, strict=True)))

    def read(
        self,
        scored: PairPredictions,
        targets: Targets,
        pool: ModelPool,
        tokens: TokenRates,
        tariff: Tariff | None = None,
        doubt: TaskDoubt | None = None,
        *,
        familiarity: FloatArray | None = None,
    ) -> Predictions:
        """What the scores mean: expected effect, tokens, cost and latency of each pair.

        Args:
            scored: What the network says of B queries.
            targets: The queries.
            pool: The models that were scored, for their names and prices.
            tokens: From characters to tokens, for the same models.
            tariff: What the models charge; by list prices alone without it.
            doubt: About the tasks of the queries; none without it.
            familiarity: (B,) of the queries, which the predictions carry along.
        """
        num_chars = to_numpy(targets.num_chars).astype(np.float64, copy=False)
        drawn = (self.interval or EffectInterval()).draw_together(scored, doubt).to_numpy()
        logit, log_scale = self.calibration.calibrate(drawn, targets.task)
        ends = None
        if self.interval is None:
            effect = sigmoid(logit)
        else:
            of_arrays = None if doubt is None else TaskDoubt(*map(to_numpy, doubt))
            low, effect, high = self.interval.find_effects(logit, log_scale, of_arrays)
            ends = low, high
        return decode_channels(
            self.channels,
            pool.names,
            drawn.location,
            drawn.log_scale,
            tariff=tariff or Tariff.of_list_prices(self.channels.spend_unit, pool.prices),
            count_tokens=partial(
                tokens.estimate, num_chars, drawn.task_share, trust=self.amounts.token_trust
            ),
            effect=effect,
            amounts=self.amounts,
            num_chars=num_chars,
            task_share=drawn.task_share,
            ends=ends,
            familiarity=familiarity,
        )

    def _forecast_nothing(self, pool: ModelPool) -> Forecast:
        """The forecast of no query."""
        none = np.zeros((0, len(pool)))
        ends = none if self.interval else None
        predictions = Predictions.from_arrays(
            pool.names, none, effect_low=ends, effect_high=ends, familiarity=none[:, 0]
        )
        return Forecast(predictions, np.zeros((0, 0), np.int64), np.zeros((0, 0)))
