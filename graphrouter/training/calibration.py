"""Expected effects that come true on average: effect logits of a network, corrected by what
validation outcomes say.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit

from graphrouter.config import TrainConfig
from graphrouter.features.channels import EFFECT
from graphrouter.nn.forecaster import EffectCalibration
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.network import RoutingGNN, targets_of
from graphrouter.training.effect_scores import (
    expected_calibration_error,
    log_loss_of_pairs,
    mean_of_known,
)
from graphrouter.training.episodes import labels_of, validation_graph
from graphrouter.training.logit_line import Exam, FittedLine, fit_line
from graphrouter.training.prepare import TrainingTables
from graphrouter.types import FloatArray, IntArray

NEEDED_ERRORS = 1.0
"""So many standard errors the log loss must fall, out of fold, before anything is corrected."""
FEWEST_QUERIES = 50
"""Below this many validation queries nothing is corrected: neither the correction nor its noise can
be told."""
_NUM_FOLDS = 10


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
