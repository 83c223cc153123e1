"""How sure the graph router is of an expected effect, calibrated on families of models left out.

What is fitted here, an `EffectInterval`, is applied in `nn.forecaster`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graphrouter.config import TrainConfig
from graphrouter.features.channels import EFFECT
from graphrouter.features.tables import RecordedEdges
from graphrouter.graph.routing_graph import build_graph
from graphrouter.nn.forecaster import Z_80, EffectCalibration, EffectInterval
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.readout import PairPredictions
from graphrouter.training.episodes import select_edges
from graphrouter.training.prepare import TrainingTables
from graphrouter.types import BoolArray, FloatArray, IntArray

COVERAGE = 0.8
FEWEST_OUTCOMES = 15
"""A mean over fewer outcomes says too little to be compared with an interval."""
SHOTS = (0, 5, 20, 100)
"""How many outcomes the models keep that are left out."""
PRIOR_MODELS = 20.0
"""How many models' worth of evidence says that the network's own standard deviations are right."""
_NUM_FOLDS = 4
_MOST_TARGETS = 400
_MOST_SUPPORT = 4096
_SCALES = tuple(np.geomspace(0.25, 4.0, 41).tolist())
_FLOORS = tuple(np.linspace(0.0, 0.6, 25).tolist())


@dataclass(frozen=True, eq=False)
class Cells:
    """Models on groups of queries, as means: what was observed and what was expected.

    G groups, B queries, M models.

    What is not known of a model is the same for all of its queries; so the interval of a cell runs
    from the mean of the lower ends to that of the upper ends. The observed mean has a sampling
    noise of its own, which must not pass for ignorance.
    """

    share: FloatArray
    """(G, B) what each query counts for in the sums of a group: 1 or 0."""
    is_observed: BoolArray
    """(B, M)."""
    num_outcomes: FloatArray
    """(G, M)."""
    observed: FloatArray
    """(G, M) mean observed effect; NaN without an outcome."""
    expected: FloatArray
    """(G, M) mean expected effect of the pairs that were observed."""
    noise: FloatArray
    """(G, M) standard deviation of the observed mean around the true one: sqrt(sum p (1 - p)) /
    count."""

    @classmethod
    def of(cls, observed: FloatArray, expected: FloatArray, groups: BoolArray) -> Cells:
        """The cells of outcomes and of what was expected.

        Args:
            observed: (B, M) effects, NaN where not observed.
            expected: (B, M) expected effects.
            groups: (G, B) which queries are in each group.

        Example:
            >>> effect = np.array([[1.0], [0.0], [np.nan]])
            >>> expected = np.array([[0.5], [0.5], [0.9]])
            >>> cells = Cells.of(effect, expected, np.ones((1, 3), dtype=bool))
            >>> cells.num_outcomes.item(), cells.observed.item(), round(cells.noise.item(), 3)
            (2.0, 0.5, 0.354)
        """
        share, known = groups.astype(np.float64), np.isfinite(observed)
        count = share @ known
        some = np.where(count > 0, count, np.nan)
        variance = share @ np.where(known, expected * (1 - expected), 0.0)
        reached, promised = (
            share @ np.where(known, values, 0.0) / some for values in (observed, expected)
        )
        return cls(share, known, count, reached, promised, np.sqrt(variance) / some)

    @property
    def is_counted(self) -> BoolArray:
        """(G, M) enough outcomes to compare."""
        return self.num_outcomes >= FEWEST_OUTCOMES

    def average_ends(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means of the ends (B, M) of the pairs that were observed: (G, M) each."""
        some = np.where(self.num_outcomes > 0, self.num_outcomes, np.nan)
        lower, upper = (
            self.share @ np.where(self.is_observed, each, 0.0) / some for each in (low, high)
        )
        return lower, upper

    def check_coverage(self, low: FloatArray, high: FloatArray) -> BoolArray:
        """(G, M) whether the observed mean lies in the interval.

        Its sampling noise is added in quadrature to either half-width.
        """
        lower, upper = self.average_ends(low, high)
        noise = Z_80 * self.noise
        below, above = (
            np.hypot(self.expected - lower, noise),
            np.hypot(upper - self.expected, noise),
        )
        return (self.observed >= self.expected - below) & (self.observed <= self.expected + above)


def group_queries(tasks: Sequence[object]) -> BoolArray:
    """Masks of all queries, then of each task where there are several: (num_groups, num_queries).

    None and -1 = unknown.

    Example:
        >>> group_queries(["law", None, "maths"]).astype(int).tolist()
        [[1, 1, 1], [1, 0, 0], [0, 0, 1]]
    """
    named = list(dict.fromkeys(task for task in tasks if task is not None and task != -1))
    of_task = [[task == name for task in tasks] for name in named] if len(named) > 1 else []
    return np.array([[True] * len(tasks), *of_task], dtype=bool)


def fit_effect_interval(
    net: RoutingGNN,
    tables: TrainingTables,
    config: TrainConfig,
    *,
    calibration: EffectCalibration | None = None,
) -> EffectInterval:
    """Scale and floor with which 80 % of the intervals hold; nothing is trained.

    They come from families of training models left out. The models of a fold keep 0, 5, 20 or 100
    random outcomes, and are predicted on validation queries of known task. Where there is little to
    compare, the interval stays near that of the network itself. The same tables and settings give
    the same interval.

    Args:
        net: Trained, on CPU.
        tables: What it was trained on.
        config: Its settings.
        calibration: What its effects are corrected by before anything else; nothing without it.
    """
    rng = np.random.default_rng(config.seed)
    with cpu_threads(1), torch.inference_mode():
        study = LeaveOutStudy.of(net, tables, config, rng)
        if calibration is not None:
            study = dataclasses.replace(study, calibration=calibration)
        folds = _draw_folds(tables.model_family.numpy(), rng)
        as_newcomers = [study.forecast_left_out(folds, shots) for shots in SHOTS]
        well_known = [study.forecast_left_out(np.zeros_like(folds), len(study.rank))]
    default = EffectInterval()
    scale, trust = _calibrate(as_newcomers, _SCALES, lambda value: EffectInterval(scale=value))
    chosen = math.exp(trust * math.log(scale) + (1 - trust) * math.log(default.scale))
    floor, trust = _calibrate(well_known, _FLOORS, lambda value: EffectInterval(chosen, value))
    return EffectInterval(chosen, trust * floor + (1 - trust) * default.floor)


class LeftOutForecast(NamedTuple):
    """What is expected of models that keep few outcomes, on validation queries.

    B queries, M models.
    """

    cells: Cells
    location: Tensor
    """(B, M)."""
    log_scale: Tensor
    """(B, M)."""

    def check_coverage(self, interval: EffectInterval) -> BoolArray:
        """(G, M) whether each cell lies in its interval."""
        low, high = interval.bounds(self.location, self.log_scale)
        return self.cells.check_coverage(low.numpy(), high.numpy())

    @property
    def weight(self) -> FloatArray:
        """(G, M) how much each cell says about the interval.

        Next to nothing where noise is larger than ignorance. The Fisher information on log h of an
        error of variance h^2 + noise^2 is 2 (h^2 / (h^2 + noise^2))^2. A network that is too sure
        of itself must not make its errors look like noise: h^2 is at least what they are larger by
        on average.
        """
        low, high = EffectInterval().bounds(self.location, self.log_scale)
        lower, upper = self.cells.average_ends(low.numpy(), high.numpy())
        is_counted, noise = self.cells.is_counted, self.cells.noise**2
        excess = ((self.cells.observed - self.cells.expected) ** 2 - noise)[is_counted]
        ignorance = np.maximum(
            ((upper - lower) / (2 * Z_80)) ** 2, excess.mean() if excess.size else 0.0
        )
        return (
            np.divide(ignorance, ignorance + noise, out=np.zeros_like(noise), where=is_counted) ** 2
        )


@dataclass(frozen=True, eq=False)
class LeaveOutStudy:
    """Validation queries to forecast, and the outcomes that models keep or lose.

    B queries, M models, E outcomes.
    """

    net: RoutingGNN
    tables: TrainingTables
    num_neighbours: int
    support_queries: Tensor
    support: RecordedEdges
    rank: IntArray
    """(E,) place of each outcome in a random order of those of its model, from 0: more shots
    contain fewer."""
    targets: Tensor
    """(B,) positions in the node table."""
    observed: FloatArray
    """(B, M) effects, NaN where not observed."""
    calibration: EffectCalibration = field(default_factory=EffectCalibration)

    @classmethod
    def of(
        cls, net: RoutingGNN, tables: TrainingTables, config: TrainConfig, rng: np.random.Generator
    ) -> LeaveOutStudy:
        """The study of a dataset: 400 queries to forecast, 4,096 to learn from, at most.

        Both are drawn at random.
        """
        support_queries = _draw(tables.train_queries, _MOST_SUPPORT, rng)
        targets = _draw(tables.validation_queries, _MOST_TARGETS, rng)
        support = select_edges(tables.train, support_queries, tables.nodes)
        labels = select_edges(tables.validation, targets, tables.nodes)
        observed = np.full((len(targets), len(tables.pool)), np.nan)
        row = np.searchsorted(targets.numpy(), labels.query.numpy())
        observed[row, labels.model.numpy()] = labels.channels[EFFECT].numpy()
        order = pd.Series(rng.permutation(len(support.model)))
        rank = order.groupby(support.model.numpy()).rank().to_numpy(np.int64) - 1
        return cls(
            net,
            tables,
            config.graph.num_neighbours,
            support_queries,
            support,
            rank,
            targets,
            observed,
        )

    def forecast_left_out(self, folds: IntArray, shots: int) -> LeftOutForecast:
        """What is expected of every model when the models of its fold keep few outcomes each.

        Args:
            folds: (M,) from 0.
            shots: Most outcomes that a model keeps. A fold after which no outcome at all is left
                is not forecast.
        """
        location, log_scale = torch.zeros(2, *self.observed.shape, dtype=torch.float64)
        observed = self.observed.copy()
        for fold in range(int(folds.max()) + 1):
            mine = folds == fold
            keep = ~mine[self.support.model.numpy()] | (self.rank < shots)
            if not keep.any():
                observed[:, mine] = np.nan
                continue
            scored = self._score(self.support.take(torch.from_numpy(keep)))
            columns = torch.from_numpy(np.flatnonzero(mine))
            location[:, columns], log_scale[:, columns] = (
                part[EFFECT][:, columns].double() for part in scored[:2]
            )
        groups = group_queries(self.tables.nodes.query_task[self.targets].tolist())
        return LeftOutForecast(
            Cells.of(observed, torch.sigmoid(location).numpy(), groups), location, log_scale
        )

    def _score(self, support: RecordedEdges) -> PairPredictions:
        tasks = self.tables.nodes.query_task[self.targets]
        graph = build_graph(
            self.tables.nodes,
            support=support,
            support_queries=self.support_queries,
            target_queries=self.targets,
            target_tasks=tasks,
            num_neighbours=self.num_neighbours,
        )
        return self.calibration.apply(
            self.net.score_in_parts(self.net.encode_support(graph), graph.targets), tasks
        )


def _calibrate(
    forecasts: Sequence[LeftOutForecast],
    values: Sequence[float],
    make: Callable[[float], EffectInterval],
) -> tuple[float, float]:
    """The smallest value with which 80 % of the cells are covered, or else the largest.

    And how far to trust it, in [0, 1).

    Args:
        forecasts: Of the same models.
        values: In ascending order.
        make: The interval of a value.
    """
    weights = [forecast.weight for forecast in forecasts]
    total = sum(float(weight.sum()) for weight in weights)
    # The cells of a model err together, and so do its forecasts: all of them together count as one
    # model at most.
    num_cells = sum(forecast.cells.is_counted.sum(axis=0) for forecast in forecasts)
    num_models = float(
        (sum(weight.sum(axis=0) for weight in weights) / np.maximum(num_cells, 1)).sum()
    )
    for value in values:
        held = sum(
            float((weight * forecast.check_coverage(make(value))).sum())
            for forecast, weight in zip(forecasts, weights, strict=True)
        )
        if held >= COVERAGE * total:
            break
    return value, num_models / (num_models + PRIOR_MODELS)


def _draw_folds(family: IntArray, rng: np.random.Generator) -> IntArray:
    """Fold of each model, families together: (num_models,).

    Where all models are of one family, each is a family of its own.
    """
    names, position = np.unique(family, return_inverse=True)
    if len(names) == 1:
        position = np.arange(len(family))
    num_families = int(position.max()) + 1
    fold_of = rng.permutation(num_families) % _NUM_FOLDS
    return np.asarray(fold_of[position], dtype=np.int64)


def _draw(queries: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """At most so many of the queries at random, in ascending order."""
    chosen = rng.permutation(len(queries))[:most]
    return torch.sort(queries[torch.from_numpy(chosen)]).values
