"""How sure the graph router is of an expected effect, calibrated on what was left out.

Families of models are left out to see how wide it is for a newcomer, whole tasks to see how wide it
is for prompts of a task not seen.

What is fitted here, an `EffectInterval`, is applied in `scoring.forecaster`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graphrouter.config import TrainConfig
from graphrouter.features.channels import EFFECT
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.graph.routing_graph import RoutingGraph, build_graph
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.effects import Z_80, EffectCalibration, EffectInterval
from graphrouter.scoring.novelty import Familiarity, TaskDoubt, TaskLevels
from graphrouter.scoring.numpy_operations import sigmoid
from graphrouter.scoring.operations import to_numpy
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.scoring.state import SupportState
from graphrouter.training.effect_scores import FEWEST_OUTCOMES, Cells, group_queries
from graphrouter.training.episodes import select_edges
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.start import build_network
from graphrouter.types import BoolArray, FloatArray, IntArray

COVERAGE = 0.8
SHOTS = (0, 5, 20, 100)
"""How many outcomes the models keep that are left out."""
PRIOR_MODELS = 20.0
"""How many models' worth of evidence says that the network's own standard deviations are right."""
PRIOR_TASKS = 2.0
"""How many tasks' worth of evidence says that a new task differs from the others as they do."""
_NUM_FOLDS = 4
_NUM_TASK_FOLDS = 5
_MOST_TASKS = 20
_MOST_OF_TASK = 40
_FEWEST_TASKS = 3
_NUM_CLUSTERS = 8
_WANTED_OF_TASKS = 0.84
"""80 % of 20 tasks and the next one: the quantile of split conformal prediction (Lei et al. 2018,
theorem 2.2). Of fewer nearly all would have to be covered; what these leave in doubt is in the
variance between them already (`TaskDoubt`)."""
_MOST_TARGETS = 400
_MOST_SUPPORT = 4096
NOVELTY = 1.0
"""A new task differs from the others as they differ from each other, unless there is evidence."""
_SCALES = tuple(np.geomspace(0.25, 4.0, 41).tolist())
_FLOORS = tuple(np.linspace(0.0, 0.6, 25).tolist())


def fit_effect_interval(
    net: RoutingGNN,
    tables: TrainingTables,
    config: TrainConfig,
    *,
    calibration: EffectCalibration | None = None,
) -> EffectInterval:
    """Scale, floor and novelty with which 80 % of the intervals hold; nothing is trained.

    Scale and floor come from families of training models left out. The models of a fold keep 0, 5,
    20 or 100 random outcomes, and are predicted on validation queries of known task. Novelty comes
    from whole tasks left out, or clusters of prompts where there are hardly any tasks: their
    queries leave the support and are predicted as queries of unknown task. Where there is little to
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
        # The network has learned from the tasks that are left out of the support; what is expected
        # on others may be further off, as it is by a network that has learned from none, and whose
        # logits the calibration does not correct.
        blank = build_network(tables, config).eval()
        untrained = dataclasses.replace(study, net=blank, calibration=EffectCalibration())
        unseen = [each.forecast_new_tasks(rng) for each in (study, untrained)]
    default = EffectInterval()
    scale, trust = _calibrate(as_newcomers, _SCALES, lambda value: EffectInterval(scale=value))
    chosen = math.exp(trust * math.log(scale) + (1 - trust) * math.log(default.scale))
    floor, trust = _calibrate(well_known, _FLOORS, lambda value: EffectInterval(chosen, value))
    floor = trust * floor + (1 - trust) * default.floor
    make = partial(EffectInterval, chosen, floor, few_tasks=True)
    found = [
        _calibrate([forecast], _SCALES, make, of_tasks=True)
        for forecast in unseen
        if forecast is not None
    ]
    novelty, trust = max(found, default=(NOVELTY, 0.0))
    return make(math.exp(trust * math.log(novelty / NOVELTY)) * NOVELTY)


class LeftOutForecast(NamedTuple):
    """What is expected where models keep few outcomes, or tasks no queries.

    B queries, M models.
    """

    cells: Cells
    location: FloatArray
    """(B, M)."""
    log_scale: FloatArray
    """(B, M)."""
    doubt: TaskDoubt | None = None

    def check_coverage(self, interval: EffectInterval) -> BoolArray:
        """(G, M) whether each cell lies in its interval."""
        low, high = interval.bounds(self.location, self.log_scale, self.doubt)
        return self.cells.check_coverage(low, high)

    @property
    def weight(self) -> FloatArray:
        """(G, M) how much each cell says about the interval.

        Next to nothing where noise is larger than ignorance. The Fisher information on log h of an
        error of variance h^2 + noise^2 is 2 (h^2 / (h^2 + noise^2))^2. A network that is too sure
        of itself must not make its errors look like noise: h^2 is at least what they are larger by
        on average.
        """
        low, high = EffectInterval().bounds(self.location, self.log_scale)
        lower, upper = self.cells.average_ends(low, high)
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
        location, log_scale = np.zeros((2, *self.observed.shape))
        observed = self.observed.copy()
        for fold in range(int(folds.max()) + 1):
            mine = folds == fold
            keep = ~mine[self.support.model.numpy()] | (self.rank < shots)
            if not keep.any():
                observed[:, mine] = np.nan
                continue
            calibrated = self._everything_kept if keep.all() else self._calibrate_kept(keep)
            columns = np.flatnonzero(mine)
            location[:, columns], log_scale[:, columns] = (
                part[EFFECT][:, columns] for part in calibrated[:2]
            )
        groups = group_queries(self.tables.nodes.query_task[self.targets].tolist())
        return LeftOutForecast(Cells.of(observed, sigmoid(location), groups), location, log_scale)

    def forecast_new_tasks(self, rng: np.random.Generator) -> LeftOutForecast | None:
        """What is expected of every model on queries of tasks that have left the support.

        None where there are too few queries to leave some out.

        Args:
            rng: Draws the tasks and their queries, at most 20 and 40 of each.
        """
        kind = _sort_queries(self.tables, self.support_queries)
        names, counts = np.unique(kind[kind >= 0], return_counts=True)
        drawn = rng.permutation(names[counts >= FEWEST_OUTCOMES])[:_MOST_TASKS]
        if len(names) < 2 or not len(drawn):
            return None
        parts, of_targets, positions = [], [], []
        for some in (drawn[fold::_NUM_TASK_FOLDS] for fold in range(_NUM_TASK_FOLDS)):
            rows = [rng.permutation(np.flatnonzero(kind == name))[:_MOST_OF_TASK] for name in some]
            if not rows:
                continue
            asked = self.support_queries[torch.from_numpy(np.concatenate(rows))]
            stays = torch.from_numpy(~np.isin(kind, some))
            rest = self.support_queries[stays & ~self._has_prompt_of(asked)]
            edges = select_edges(self.tables.train, rest, self.tables.nodes)
            scored, state, graph = self._score(edges, rest, asked, torch.full_like(asked, -1))
            doubt = TaskDoubt(*map(to_numpy, self._doubt_tasks(scored, state, graph)))
            met = EffectInterval(novelty=NOVELTY).draw_together(scored.to_numpy(), doubt)
            parts.append((self.calibration.apply(met, graph.targets.task), doubt))
            of_targets += [name for name, mine in zip(some, rows, strict=True) for _ in mine]
            positions.append(asked)
        location = np.concatenate([scored.location[EFFECT] for scored, _ in parts])
        observed = _tabulate_effects(self.tables.train, torch.cat(positions), location.shape[1])
        groups = np.array(of_targets)[None, :] == drawn[:, None]
        return LeftOutForecast(
            Cells.of(observed, sigmoid(location), groups),
            location,
            np.concatenate([scored.log_scale[EFFECT] for scored, _ in parts]),
            TaskDoubt(*map(np.concatenate, zip(*(doubt for _, doubt in parts), strict=True))),
        )

    @cached_property
    def _everything_kept(self) -> PairPredictions:
        """Of every fold whose models have no more outcomes than they may keep."""
        return self._calibrate_kept(np.ones(len(self.rank), dtype=np.bool_))

    def _calibrate_kept(self, keep: BoolArray) -> PairPredictions:
        """What is expected of all models on the targets where some outcomes (E,) are kept."""
        tasks = self.tables.nodes.query_task[self.targets]
        support = self.support.take(torch.from_numpy(keep))
        scored, _, _ = self._score(support, self.support_queries, self.targets, tasks)
        return self.calibration.apply(scored.to_numpy(), tasks)

    def _has_prompt_of(self, queries: Tensor) -> Tensor:
        """(S,) which support queries have the prompt of one of the queries."""
        group = self.tables.prompt_group
        return torch.isin(group[self.support_queries], group[queries])

    def _score(
        self, support: RecordedEdges, support_queries: Tensor, targets: Tensor, tasks: Tensor
    ) -> tuple[PairPredictions, SupportState, RoutingGraph]:
        """Predictions before their calibration, and what they were made of."""
        graph = build_graph(
            self.tables.nodes,
            support=support,
            support_queries=support_queries,
            target_queries=targets,
            target_tasks=tasks,
            num_neighbours=self.num_neighbours,
        )
        state = self.net.encode_support(graph)
        scored = self.net.score_in_parts(state, graph.targets)
        return scored, state, graph

    def _doubt_tasks(
        self, scored: PairPredictions, state: SupportState, graph: RoutingGraph
    ) -> TaskDoubt:
        """The doubt about the tasks of the targets of a graph."""
        prompts = self.tables.transforms.features.prompts
        solved, asked = (
            torch.from_numpy(prompts.surface(self.tables.raw.surface[rows.numpy()])).double()
            for rows in (graph.origin.query, graph.origin.target)
        )
        known = Familiarity.of(
            graph.query_text.double(),
            solved,
            state.messages.row_start.diff() > 0,
            self.num_neighbours,
        )
        targets = graph.targets
        met = known.meet(asked, targets.neighbours, targets.cosine)
        return TaskDoubt.of(TaskLevels.of(state), scored.task_share, targets.task, met)


def _sort_queries(tables: TrainingTables, queries: Tensor) -> IntArray:
    """The kind of each query, -1 = none: its task, or where there are hardly any, a cluster."""
    task = tables.nodes.query_task[queries].numpy()
    if len(np.unique(task[task >= 0])) >= _FEWEST_TASKS:
        return np.asarray(task, dtype=np.int64)
    number = min(_NUM_CLUSTERS, len(queries) // _MOST_OF_TASK)
    if number < 2:
        return np.full(len(queries), -1, dtype=np.int64)
    from scipy.cluster.vq import kmeans2  # here: most data have tasks

    points = tables.nodes.query_principal[queries].double().numpy()
    return np.asarray(kmeans2(points, number, minit="++", seed=0)[1], dtype=np.int64)


def _tabulate_effects(edges: RecordedEdges, queries: Tensor, num_models: int) -> FloatArray:
    """Observed effects (num_queries, num_models), NaN where not observed."""
    row_of = np.full(int(max(queries.max(), edges.query.max())) + 1, -1)
    row_of[queries.numpy()] = np.arange(len(queries))
    row = row_of[edges.query.numpy()]
    observed = np.full((len(queries), num_models), np.nan)
    observed[row[row >= 0], edges.model.numpy()[row >= 0]] = edges.channels[EFFECT].numpy()[
        row >= 0
    ]
    return observed


def _calibrate(
    forecasts: Sequence[LeftOutForecast],
    values: Sequence[float],
    make: Callable[[float], EffectInterval],
    *,
    of_tasks: bool = False,
) -> tuple[float, float]:
    """The smallest value with which 80 % of the cells are covered, or else the largest.

    And how far to trust it, in [0, 1). Where tasks are what was left out, the next one is to be
    covered too.

    Args:
        forecasts: Of the same models.
        values: In ascending order.
        make: The interval of a value.
        of_tasks: Tasks are what was left out, and not models.
    """
    weights = [forecast.weight for forecast in forecasts]
    total = sum(float(weight.sum()) for weight in weights)
    # The cells of a model err together, and so do its forecasts: all of them together count as one
    # model at most. Where a task was left out, all models are off on it together.
    axis, prior = (1, PRIOR_TASKS) if of_tasks else (0, PRIOR_MODELS)
    num_cells = sum(forecast.cells.is_counted.sum(axis=axis) for forecast in forecasts)
    evidence = float(
        (sum(weight.sum(axis=axis) for weight in weights) / np.maximum(num_cells, 1)).sum()
    )
    wanted = _WANTED_OF_TASKS if of_tasks else COVERAGE
    for value in values:
        held = sum(
            float((weight * forecast.check_coverage(make(value))).sum())
            for forecast, weight in zip(forecasts, weights, strict=True)
        )
        if held >= wanted * total:
            break
    return value, evidence / (evidence + prior)


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
