"""What effect logits are made of on their way out: calibration, and intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from graphrouter.features.channels import EFFECT
from graphrouter.scoring.novelty import TaskDoubt
from graphrouter.scoring.operations import Array, operations_of, to_numpy
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.types import FloatArray

Z_80 = 1.2815515655446004
"""Standard deviations on either side that hold 80 % of a normal distribution."""
DEFAULT_FLOOR = 0.05
"""Standard deviation of an effect logit, in logits, where everything about the model is known."""


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
        >>> level, slope = calibration.lines(np.array([0, 1, -1]))
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

    @cached_property
    def _lines(self) -> FloatArray:
        """Levels, then slopes, of the tasks with an offset, of later ones, and hidden: (2, n)."""
        known, hidden = (
            # As every release has read them: an artifact goes on predicting what it predicted.
            np.array([line.intercept, line.slope], dtype=np.float32).astype(np.float64)
            for line in (self.task_known, self.task_hidden)
        )
        lines = np.stack([*[known] * (len(self.offsets) + 1), hidden], axis=1)
        lines[0, : len(self.offsets)] += self.offsets
        return lines

    @cached_property
    def is_identity(self) -> bool:
        """Whether nothing is corrected."""
        return self == EffectCalibration()

    def lines(self, task: Array) -> tuple[FloatArray, FloatArray]:
        """Level and slope for each query, (num_queries,) float64 each.

        Args:
            task: (num_queries,) int64 position of the task, -1 = unknown.
        """
        levels, slopes = self._lines
        place = np.minimum(to_numpy(task), len(self.offsets))  # -1 is the last of them
        return levels[place], slopes[place]

    def apply(self, scored: PairPredictions, task: Array) -> PairPredictions:
        """The predictions with calibrated effect logits, and the standard deviations of these.

        The other channels as they were; arrays of NumPy, where anything is corrected.

        Args:
            scored: What the network says of B queries.
            task: (B,) int64 position of the task, -1 = unknown.
        """
        if self.is_identity:
            return scored
        scored = scored.to_numpy()
        location, log_scale = scored.location.copy(), scored.log_scale.copy()
        location[EFFECT], log_scale[EFFECT] = self.calibrate(scored, task)
        return scored._replace(location=location, log_scale=log_scale)

    def calibrate(self, scored: PairPredictions, task: Array) -> tuple[FloatArray, FloatArray]:
        """Calibrated effect logits (B, M), and the logs of their standard deviations.

        Args:
            scored: What the network says of B queries, as arrays of NumPy.
            task: As of `apply`.
        """
        logit, log_scale = scored.location[EFFECT], scored.log_scale[EFFECT]
        if self.is_identity:
            return logit, log_scale
        level, slope = self.lines(task)
        return level[:, None] + slope[:, None] * logit, log_scale + np.log(slope)[:, None]


@dataclass(frozen=True)
class EffectInterval:
    """From what the network says of a pair to an 80 % interval of the expected effect.

    The interval is about what the model achieves on average on queries like this one, as far as the
    model is not known; it is not about the single outcome, which is mostly 0 or 1.
    `training.effect_intervals` fits it.

    Example:
        >>> location, spread = np.zeros((1, 2)), np.array([[0.1, 1.0]])
        >>> low, high = EffectInterval().bounds(location, np.log(spread))
        >>> [round(width, 2) for width in (high - low)[0].tolist()]
        [0.07, 0.57]
    """

    scale: float = 1.0
    """Factor of the standard deviation that the network gives, > 0."""
    floor: float = DEFAULT_FLOOR
    """Standard deviation in logits that stays when the network has no doubt left, >= 0."""
    novelty: float = 0.0
    """Factor of the standard deviation between the tasks that a query may be of, >= 0. With 0, as
    for artifacts that were made before it was there, unfamiliar queries are like all others."""
    few_tasks: bool = False
    """Whether intervals are wider where few tasks say how far off a new one may be; not those of
    artifacts that were made before they were."""

    def bounds(
        self, location: Array, log_scale: Array, doubt: TaskDoubt | None = None
    ) -> tuple[Array, Array]:
        """Both ends, in [0, 1]; sigmoid(location) is never outside.

        Args:
            location: (num_queries, num_models) effect logit.
            log_scale: (num_queries, num_models) logarithm of its standard deviation.
            doubt: About the tasks of the queries; none without it.
        """
        low, _, high = self.find_effects(location, log_scale, doubt)
        return low, high

    def find_effects(
        self, location: Array, log_scale: Array, doubt: TaskDoubt | None
    ) -> tuple[Array, Array, Array]:
        """Lower ends, sigmoid(location) and upper ends; arguments of `bounds`."""
        xp = operations_of(location)
        variance = self.scale**2 * xp.exp(2 * log_scale) + self.floor**2
        if doubt is not None and self.novelty > 0:
            # Novelty makes up for texts that mislead; of a strange one hardly anything is believed.
            factor = self.novelty ** (2 * (1 - doubt.strangeness))
            of_task = doubt.variance + doubt.few if self.few_tasks else doubt.variance
            variance = variance + factor * of_task + doubt.strange
        half = Z_80 * xp.sqrt(variance)
        low, middle, high = xp.sigmoid(
            xp.concat([ends[None] for ends in (location - half, location, location + half)])
        )
        return xp.minimum(low, middle), middle, xp.maximum(high, middle)

    def draw_together(self, scored: PairPredictions, doubt: TaskDoubt | None) -> PairPredictions:
        """The predictions, the effect logits of strange queries nearer to each other.

        They go to the mean over tasks, and are softened as all that is uncertain is; so are those
        of a task that has no solved query, which stay where what resembles it puts them.
        """
        if doubt is None or (self.novelty == 0 and not bool(doubt.unseen.any())):
            return scored
        xp = operations_of(scored.location)
        shift, variance = doubt.shift, doubt.softening + doubt.unseen
        if self.novelty == 0:
            shift, variance = 0.0, doubt.unseen
        softened = xp.sqrt(1 + math.pi / 8 * variance)
        effect = (scored.location[EFFECT] + shift) / softened
        return scored._replace(location=xp.concat([effect[None], scored.location[EFFECT + 1 :]]))
