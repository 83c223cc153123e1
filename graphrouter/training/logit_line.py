"""A line through effect logits that makes the effects come true on average: its fit to outcomes
that come in queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from graphrouter.nn.forecaster import LogitLine
from graphrouter.types import FloatArray, IntArray

PRIOR_SCALE = 0.05
"""How far a trained network is typically off: 0.05 logits (1.3 points of effect at one half), and 5
% of the slope."""
FEWEST_OF_TASK = 20
"""Below this many queries a task has no offset."""
_FREEDOM = 4.0
_MOST_STEPS = 100
_LONGEST_STEP = 0.5
_TOLERANCE = 1e-8


class Exam(NamedTuple):
    """What the network said of validation queries in one setting, and what came out.

    B queries, M models.
    """

    logit: FloatArray
    """(B, M) effect logit."""
    observed: FloatArray
    """(B, M) effect in [0, 1], NaN where not observed."""
    task: IntArray
    """(B,) position of the task, -1 = unknown."""

    def take(self, rows: IntArray) -> Exam:
        """Some of the queries."""
        return Exam(self.logit[rows], self.observed[rows], self.task[rows])

    @property
    def is_observed(self) -> IntArray:
        """(n,) positions of the queries with an outcome."""
        return np.flatnonzero(np.isfinite(self.observed).any(axis=1))


class FittedLine(NamedTuple):
    """A line, and offsets for the tasks."""

    line: LogitLine = LogitLine()
    offsets: tuple[float, ...] = ()
    """One a task, or none."""

    def logits(self, exam: Exam) -> FloatArray:
        """(B, M)."""
        level = np.full(len(exam.task), self.line.intercept)
        if self.offsets:
            level += np.where(exam.task >= 0, np.asarray(self.offsets)[exam.task], 0.0)
        return np.asarray(level[:, None] + self.line.slope * exam.logit)


def fit_line(exam: Exam, num_tasks: int) -> FittedLine:
    """The penalised maximum likelihood, by Fisher scoring.

    Student t priors of scale `PRIOR_SCALE` hold the intercept, the offsets and the logarithm of the
    slope near 0; their heavy tails let a network that is grossly off be corrected in full (Lange,
    Little and Taylor, 1989, whose weights these are). The outcomes of a query are no independent
    witnesses: the log likelihood is divided by their design effect under the line, as a composite
    likelihood is (Varin, Reid and Firth, 2011, section 2.3).

    Args:
        exam: Queries with an outcome each.
        num_tasks: Tasks that the positions are of.
    """
    row, model = np.nonzero(np.isfinite(exam.observed))
    observed, logit = exam.observed[row, model], exam.logit[row, model]
    tasks = _tasks_with_offset(exam.task)
    slot_of_task = np.full(
        num_tasks + 1, len(tasks)
    )  # the last entry is that of an unknown task, -1
    slot_of_task[tasks] = np.arange(len(tasks))
    slot = slot_of_task[exam.task[row]]
    theta = np.zeros(2 + len(tasks))  # intercept, logarithm of the slope, offsets
    for _ in range(_MOST_STEPS):
        offsets, tilted = np.append(theta[2:], 0.0), math.exp(theta[1]) * logit
        probability = expit(theta[0] + offsets[slot] + tilted)
        trust = 1 / design_effect(
            observed - probability, probability * (1 - probability), logit, row
        )
        gradient = trust * _sums(observed - probability, tilted, slot, len(theta))
        information = trust * _information(
            probability * (1 - probability), tilted, slot, len(theta)
        )
        doubt = (_FREEDOM + 1) / (_FREEDOM * PRIOR_SCALE**2 + theta**2)
        step = np.linalg.solve(information + np.diag(doubt), gradient - doubt * theta)
        theta += step.clip(-_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _TOLERANCE:
            break
    return FittedLine(
        LogitLine(float(theta[0]), math.exp(theta[1])), _spread(tasks, theta[2:], num_tasks)
    )


def design_effect(
    residual: FloatArray, weight: FloatArray, logit: FloatArray, query: IntArray
) -> float:
    """How many outcomes count as one, at least 1 (Kish, 1965): the outcomes of a query come together.

    The variance of the scores over that of independent outcomes, as a mean over intercept and
    slope: trace(H^-1 J) / 2, with the information H and the variance J of the scores.

    Args:
        residual: (n,) effects minus expected effects.
        weight: (n,) variance of an effect of 0 or 1 by its expectation.
        logit: (n,) what the network said.
        query: (n,) whose outcomes these are, each number from 0 up at least once.
    """
    design = np.stack([np.ones_like(logit), logit])
    scores = np.stack([np.bincount(query, weights=residual * column) for column in design])
    scores -= scores.mean(axis=1, keepdims=True)  # what is wrong everywhere is no noise
    information = (weight * design) @ design.T
    return max(1.0, float(np.trace(np.linalg.pinv(information) @ scores @ scores.T)) / 2)


def _tasks_with_offset(task: IntArray) -> IntArray:
    """The tasks with enough queries, ascending.

    None where there is only one, whose offset the intercept is.
    """
    names, counts = np.unique(task[task >= 0], return_counts=True)
    return names[counts >= FEWEST_OF_TASK] if len(names) > 1 else names[:0]


def _sums(values: FloatArray, tilted: FloatArray, slot: IntArray, size: int) -> FloatArray:
    """Sums of values, of values times logits, and of the values of each task: (size,)."""
    return np.array(
        [
            values.sum(),
            values @ tilted,
            *np.bincount(slot, weights=values, minlength=size - 1)[: size - 2],
        ]
    )


def _information(weight: FloatArray, tilted: FloatArray, slot: IntArray, size: int) -> FloatArray:
    """The Fisher information (size, size): no pair has two tasks, so the block of the tasks is
    diagonal.
    """
    first = _sums(weight, tilted, slot, size)
    second = _sums(weight * tilted, tilted, slot, size)
    information = np.diag(first)
    information[0], information[:, 0] = first, first
    information[1], information[:, 1] = second, second
    return information


def _spread(
    tasks: IntArray, offsets: Sequence[float] | FloatArray, num_tasks: int
) -> tuple[float, ...]:
    """One offset a task, 0 for those that have none; nothing where nobody has one."""
    if not len(tasks):
        return ()
    every = np.zeros(num_tasks)
    every[tasks] = offsets
    return tuple(every.tolist())
