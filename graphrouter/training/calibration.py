"""Expected effects that come true on average: effect logits of a network, corrected by what
validation outcomes say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from graphrouter.config import TrainConfig
from graphrouter.features.channels import EFFECT
from graphrouter.nn.network import RoutingGNN, targets_of
from graphrouter.nn.readout import PairPredictions
from graphrouter.nn.threads import cpu_threads
from graphrouter.training.effect_scores import (
    expected_calibration_error,
    log_loss_of_pairs,
    mean_of_known,
)
from graphrouter.training.episodes import labels_of, validation_graph
from graphrouter.training.logit_line import Exam, FittedLine, LogitLine, fit_line
from graphrouter.training.prepare import TrainingTables
from graphrouter.types import FloatArray, IntArray

NEEDED_ERRORS = 1.0
"""So many standard errors the log loss must fall, out of fold, before anything is corrected."""
FEWEST_QUERIES = 50
"""Below this many validation queries nothing is corrected: neither the correction nor its noise can
be told."""
_NUM_FOLDS = 10


@dataclass(frozen=True)
class EffectCalibration:
    """From the effect logits of the network to calibrated ones; the identity as it stands.

    The line, and the offset of the task, are those of the query, the same for all models, and the
    slope is above 0. So the order of the models on a query never changes, nor does a choice by
    effect alone, and a newcomer needs no calibration of its own. What effect is worth against cost
    does change.

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
            >>> EffectCalibration.from_dict({"task_known": {"slope": 0.9}, "task_hidden": {}, "offsets": []}).task_known.slope
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


class FittedCalibration(NamedTuple):
    """A calibration and what it is worth."""

    calibration: EffectCalibration
    metrics: dict[str, float]
    """Means of both settings on validation queries, out of fold: `ece_before`, `ece_after`,
    `log_loss_calibrated`. Where nothing is corrected, after is as before."""


def fit_calibration(
    net: RoutingGNN, tables: TrainingTables, config: TrainConfig
) -> FittedCalibration:
    """The correction that validation outcomes call for, or none.

    Nothing is trained. The same input gives the same correction.

    Args:
        net: Trained, on CPU.
        tables: What it was trained on.
        config: Its settings.
    """
    with cpu_threads(1), torch.inference_mode():
        graph = validation_graph(tables, config, task_known=True)
        state, targets = net.encode_support(graph), targets_of(graph)
        observed = labels_of(graph).channels[EFFECT].double().numpy()
        unknown = torch.full_like(targets.task, -1)
        named, hidden = (
            Exam(
                net.score_in_parts(state, asked).location[EFFECT].double().numpy(),
                observed,
                asked.task.numpy(),
            )
            for asked in (targets, targets._replace(task=unknown))
        )
    return calibrate(named, hidden, num_tasks=tables.nodes.task_text.shape[0], seed=config.seed)


def calibrate(named: Exam, hidden: Exam, *, num_tasks: int, seed: int = 0) -> FittedCalibration:
    """The correction for two settings of the same queries, and what it is worth.

    Each setting has a line of its own: a network may be right where the task is known and too sure
    where it has to be guessed.

    Args:
        named: With the tasks of the queries; those without a task count in the other setting alone.
        hidden: The same queries, tasks hidden.
        num_tasks: Tasks of the training.
        seed: Of the folds.
    """
    folds = np.random.default_rng(seed).permutation(len(hidden.task)) % _NUM_FOLDS
    rows = [np.intersect1d(named.is_observed, np.flatnonzero(named.task >= 0)), hidden.is_observed]
    verdicts = [
        _judge(exam.take(some), folds[some], num_tasks)
        for exam, some in zip((named, hidden), rows, strict=True)
    ]
    held = [verdict for verdict, some in zip(verdicts, rows, strict=True) if len(some)]
    metrics = (
        {
            name: float(np.mean([verdict.metrics[name] for verdict in held]))
            for name in held[0].metrics
        }
        if held
        else {}
    )
    return FittedCalibration(
        EffectCalibration(verdicts[0].fit.line, verdicts[1].fit.line, verdicts[0].fit.offsets),
        metrics,
    )


class _Verdict(NamedTuple):
    fit: FittedLine
    metrics: dict[str, float]


def _judge(exam: Exam, folds: IntArray, num_tasks: int) -> _Verdict:
    """The fit on all queries, where fits on the other folds lower the log loss by more than its standard error; else none.

    The one-standard-error rule (Breiman et al., 1984, section 3.4.3), errors taken over queries,
    whose outcomes come together.
    """
    before = expit(exam.logit)
    if len(exam.task) < FEWEST_QUERIES:
        return _Verdict(FittedLine(), _figures(before, before, exam.observed))
    after = np.empty_like(before)
    for fold in range(_NUM_FOLDS):
        mine, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        after[mine] = expit(fit_line(exam.take(others), num_tasks).logits(exam.take(mine)))
    gain = np.nansum(
        log_loss_of_pairs(before, exam.observed) - log_loss_of_pairs(after, exam.observed), axis=1
    )
    if gain.sum() <= NEEDED_ERRORS * math.sqrt(len(gain)) * gain.std():
        return _Verdict(FittedLine(), _figures(before, before, exam.observed))
    return _Verdict(fit_line(exam, num_tasks), _figures(before, after, exam.observed))


def _figures(before: FloatArray, after: FloatArray, observed: FloatArray) -> dict[str, float]:
    return {
        "ece_before": expected_calibration_error(before, observed),
        "ece_after": expected_calibration_error(after, observed),
        "log_loss_calibrated": mean_of_known(log_loss_of_pairs(after, observed)),
    }
