"""Expected effects that come true on average: what validation outcomes correct.

The correction of effect logits is a line, the same for all models (`EffectCalibration`). It is
fitted to outcomes that come in queries, and taken only where it helps out of fold. Amounts are
corrected beside it, see `training.amount_calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from graphrouter.config import TrainConfig
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.decoding import AmountCalibration
from graphrouter.scoring.effects import EffectCalibration, LogitLine
from graphrouter.training.amount_calibration import fit_amounts, trust_counts
from graphrouter.training.deviation_share import choose_share
from graphrouter.training.effect_scores import (
    expected_calibration_error,
    log_loss_of_pairs,
    mean_of_known,
)
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.start import HeldEffects, Solved, score_crosswise, score_validation
from graphrouter.types import BoolArray, FloatArray, IntArray

NEEDED_ERRORS = 1.0
"""So many standard errors the log loss must fall, out of fold, before anything is corrected."""
FEWEST_QUERIES = 50
"""Below this many queries nothing is corrected: neither the correction nor its noise can
be told."""
PRIOR_SCALE = 0.05
"""How far a trained network is typically off, in logits, and as a share of the slope.

0.05 logits are 1.3 points of effect at one half.
"""
FEWEST_OF_TASK = 20
"""Below this many queries a task has no offset."""
_FREEDOM = 4.0
_MOST_STEPS = 100
_LONGEST_STEP = 0.5
_TOLERANCE = 1e-8
_NUM_FOLDS = 10
_LEAST_SPREAD = 1e-12  # of logits, as a share of their mean square


class FittedCalibration(NamedTuple):
    """A calibration and what it is worth."""

    calibration: EffectCalibration
    metrics: dict[str, float]
    """Means of both settings on validation queries, out of fold: `ece_before`, `ece_after`,
    `log_loss_calibrated`. Where nothing is corrected, after is as before."""
    deviation_share: float = 1.0
    """How much of the network's deviations is to be believed; the calibration is for that."""


class FittedLine(NamedTuple):
    """A line, and offsets for the tasks."""

    line: LogitLine = LogitLine()
    offsets: tuple[float, ...] = ()
    """One a task, or none."""

    def correct(self, setting: HeldEffects) -> FloatArray:
        """Corrected logits, (B, M)."""
        level = np.full(len(setting.task), self.line.intercept)
        if self.offsets:
            level += np.where(setting.task >= 0, np.asarray(self.offsets)[setting.task], 0.0)
        return np.asarray(level[:, None] + self.line.slope * setting.logit)


def fit_calibration(
    net: RoutingGNN, tables: TrainingTables, config: TrainConfig
) -> tuple[FittedCalibration, AmountCalibration]:
    """The corrections of effects and of amounts that outcomes call for, or none.

    Amounts are corrected by validation queries. Effects by them and by training queries that the
    network scores crosswise: these are many more, and what start values and closed forms say of
    them is as new as what they say of others. A network that was trained on them has seen their
    outcomes as targets; its corrections came out the same with them and without (experiments/LOG).

    Nothing is trained. The same input gives the same corrections.

    Args:
        net: On CPU.
        tables: What it was trained on.
        config: Its settings.
    """
    halves = score_crosswise(net, Solved.of(tables), config)
    amounts, held = AmountCalibration(token_trust=trust_counts(halves, tables)), halves
    num_measured = 0
    if len(tables.validation_queries):
        scores = score_validation(net, tables, config)
        amounts, held, num_measured = (
            fit_amounts(scores, tables),
            [scores, *halves],
            len(scores.task),
        )
    if not held:
        return FittedCalibration(EffectCalibration(), {}), amounts
    share = choose_share(held)
    effects = [each.with_share(share).effects for each in held]
    named, hidden = map(HeldEffects.join, zip(*effects, strict=True))
    calibration = calibrate(
        named,
        hidden,
        num_tasks=tables.nodes.task_text.shape[0],
        seed=config.seed,
        num_measured=num_measured,
    )
    return calibration._replace(deviation_share=share), amounts


def calibrate(
    named: HeldEffects,
    hidden: HeldEffects,
    *,
    num_tasks: int,
    seed: int = 0,
    num_measured: int | None = None,
) -> FittedCalibration:
    """The correction for two settings of the same queries, and what it is worth.

    Each setting has a line of its own: a network may be right where the task is known and too sure
    where it has to be guessed.

    Args:
        named: With the tasks of the queries; those without a task count in the other setting alone.
        hidden: The same queries, tasks hidden.
        num_tasks: Tasks of the training.
        seed: Of the folds.
        num_measured: So many of the first queries, the validation queries, count in the figures;
            all by default.
    """
    is_measured = np.arange(len(hidden.task)) < (
        len(hidden.task) if num_measured is None else num_measured
    )
    folds = np.random.default_rng(seed).permutation(len(hidden.task)) % _NUM_FOLDS
    rows = [np.intersect1d(named.is_observed, np.flatnonzero(named.task >= 0)), hidden.is_observed]
    fitted = [
        _fit_if_it_helps(setting.take(some), folds[some], num_tasks, is_measured[some])
        for setting, some in zip((named, hidden), rows, strict=True)
    ]
    held = [each for each, some in zip(fitted, rows, strict=True) if is_measured[some].any()]
    metrics = (
        {name: float(np.mean([each.metrics[name] for each in held])) for name in held[0].metrics}
        if held
        else {}
    )
    return FittedCalibration(
        EffectCalibration(fitted[0].fit.line, fitted[1].fit.line, fitted[0].fit.offsets),
        metrics,
    )


class _CheckedLine(NamedTuple):
    """A line, and what it changes out of fold."""

    fit: FittedLine
    metrics: dict[str, float]


def _fit_if_it_helps(
    setting: HeldEffects, folds: IntArray, num_tasks: int, is_measured: BoolArray
) -> _CheckedLine:
    """The fit on all queries, where it helps; else none.

    It helps where fits on the other folds lower the log loss by more than its standard error: the
    one-standard-error rule (Breiman et al., 1984, section 3.4.3), errors taken over queries, whose
    outcomes come together.
    """
    before = expit(setting.logit)
    measured = setting.observed[is_measured]
    as_it_was = _CheckedLine(
        FittedLine(), _measure(before[is_measured], before[is_measured], measured)
    )
    if len(setting.task) < FEWEST_QUERIES:
        return as_it_was
    after = np.empty_like(before)
    for fold in range(_NUM_FOLDS):
        mine, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        after[mine] = expit(fit_line(setting.take(others), num_tasks).correct(setting.take(mine)))
    gain = np.nansum(
        log_loss_of_pairs(before, setting.observed) - log_loss_of_pairs(after, setting.observed),
        axis=1,
    )
    if gain.sum() <= NEEDED_ERRORS * math.sqrt(len(gain)) * gain.std():
        return as_it_was
    metrics = _measure(before[is_measured], after[is_measured], measured)
    return _CheckedLine(fit_line(setting, num_tasks), metrics)


def _measure(before: FloatArray, after: FloatArray, observed: FloatArray) -> dict[str, float]:
    return {
        "ece_before": expected_calibration_error(before, observed),
        "ece_after": expected_calibration_error(after, observed),
        "log_loss_calibrated": mean_of_known(log_loss_of_pairs(after, observed)),
    }


def fit_line(setting: HeldEffects, num_tasks: int) -> FittedLine:
    """The penalised maximum likelihood, by Fisher scoring.

    Student t priors of scale `PRIOR_SCALE` hold the intercept, the offsets and the logarithm of the
    slope near 0; their heavy tails let a network that is grossly off be corrected in full (Lange,
    Little and Taylor, 1989, whose weights these are). The outcomes of a query are no independent
    witnesses: the log likelihood is divided by their design effect under the line, as a composite
    likelihood is (Varin, Reid and Firth, 2011, section 2.3).

    Args:
        setting: Queries with an outcome each.
        num_tasks: Tasks that the positions are of.
    """
    row, model = np.nonzero(np.isfinite(setting.observed))
    observed, logit = setting.observed[row, model], setting.logit[row, model]
    tasks = _tasks_with_offset(setting.task)
    slot_of_task = np.full(
        num_tasks + 1, len(tasks)
    )  # the last entry is that of an unknown task, -1
    slot_of_task[tasks] = np.arange(len(tasks))
    slot = slot_of_task[setting.task[row]]
    theta = np.zeros(2 + len(tasks))  # intercept, logarithm of the slope, offsets
    for _ in range(_MOST_STEPS):
        offsets, tilted = np.append(theta[2:], 0.0), math.exp(theta[1]) * logit
        probability = expit(theta[0] + offsets[slot] + tilted)
        residual, weight = observed - probability, probability * (1 - probability)
        trust = 1 / design_effect(residual, weight, logit, row)
        gradient = trust * _sums(residual, tilted, slot, len(theta))
        information = trust * _information(weight, tilted, slot, len(theta))
        doubt = (_FREEDOM + 1) / (_FREEDOM * PRIOR_SCALE**2 + theta**2)
        step = np.linalg.solve(information + np.diag(doubt), gradient - doubt * theta)
        theta += step.clip(-_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _TOLERANCE:
            break
    return FittedLine(
        LogitLine(float(theta[0]), math.exp(theta[1])), _spread_offsets(tasks, theta[2:], num_tasks)
    )


def design_effect(
    residual: FloatArray, weight: FloatArray, logit: FloatArray, query: IntArray
) -> float:
    """How many outcomes count as one, at least 1 (Kish, 1965).

    The outcomes of a query come together. The variance of the scores over that of independent
    outcomes, as a mean over intercept and slope: trace(H^-1 J) / 2, with the information H and the
    variance J of the scores.

    Args:
        residual: (n,) effects minus expected effects.
        weight: (n,) variance of an effect of 0 or 1 by its expectation.
        logit: (n,) what the network said.
        query: (n,) whose outcomes these are, each number from 0 up at least once.
    """
    total = float(weight.sum())
    if total <= 0:  # every expectation is 0 or 1
        return 1.0
    # Around the mean logit H is diagonal, and the trace stays what it is. Logits that are all alike
    # have no slope; what is left of one is rounding.
    centred = logit - float(weight @ logit) / total
    information = np.array([total, float(weight @ centred**2)])
    scores = np.stack([np.bincount(query, weights=each) for each in (residual, residual * centred)])
    scores -= scores.mean(axis=1, keepdims=True)  # what is wrong everywhere is no noise
    has_slope = np.array([True, information[1] > _LEAST_SPREAD * float(weight @ logit**2)])
    share = (scores[has_slope] ** 2).sum(axis=1) / information[has_slope]
    return max(1.0, float(share.sum()) / 2)


def _tasks_with_offset(task: IntArray) -> IntArray:
    """The tasks with enough queries, ascending.

    None where there is only one, whose offset the intercept is.
    """
    names, counts = np.unique(task[task >= 0], return_counts=True)
    return names[counts >= FEWEST_OF_TASK] if len(names) > 1 else names[:0]


def _sums(values: FloatArray, tilted: FloatArray, slot: IntArray, size: int) -> FloatArray:
    """Sums of values, of values times logits, and of the values of each task: (size,)."""
    common = [values.sum(), values @ tilted]
    if size == len(common):  # no task has an offset: nothing to add up by tasks
        return np.array(common)
    return np.array([*common, *np.bincount(slot, weights=values, minlength=size - 1)[: size - 2]])


def _information(weight: FloatArray, tilted: FloatArray, slot: IntArray, size: int) -> FloatArray:
    """The Fisher information (size, size); the block of the tasks is diagonal.

    No pair has two tasks.
    """
    first = _sums(weight, tilted, slot, size)
    second = _sums(weight * tilted, tilted, slot, size)
    information = np.diag(first)
    information[0], information[:, 0] = first, first
    information[1], information[:, 1] = second, second
    return information


def _spread_offsets(
    tasks: IntArray, offsets: Sequence[float] | FloatArray, num_tasks: int
) -> tuple[float, ...]:
    """One offset a task, 0 for those that have none; nothing where nobody has one."""
    if not len(tasks):
        return ()
    every = np.zeros(num_tasks)
    every[tasks] = offsets
    return tuple(every.tolist())
