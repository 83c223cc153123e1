"""How near prompts are to solved ones, and what it means that their task may be a new one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from graphrouter.features.channels import EFFECT
from graphrouter.features.prompts import SHARPNESS
from graphrouter.scoring.nearest import find_nearest
from graphrouter.scoring.operations import Array, operations_of
from graphrouter.scoring.state import SupportState

_NUM_NEAREST = 5
"""Nearness is averaged over so many solved prompts: one alone may be near by chance."""
_STRANGE = 0.01
"""Strange begins beyond so small a familiarity."""
_MOST_COMPARED = 512
"""So many solved prompts, drawn at random, say how near to the others is usual."""
_UNUSUAL = 0.1
"""Familiarity below which a prompt of unknown task counts, by and by, as one of a task not seen."""
_PRIOR_TASKS, _PRIOR_VARIANCE = 2.0, 1.0
"""How much effect logits vary between tasks, in so many tasks' worth of doubt."""
_SQUARED_QUANTILE = 1.2815515655446004**2
"""Of a normal distribution, 90 %."""


class Met(NamedTuple):
    """How queries compare with the solved ones. B queries."""

    familiarity: Array
    """(B,) in [0, 1]; see `Familiarity`."""
    strangeness: Array
    """(B,) in [0, 1]: 0 where a query is not further off than 1 in 100 solved ones is from the
    others, 1 where it has nothing in common with any. It goes on where familiarity is 0."""


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How near prompts are to solved ones, measured by how near those are to each other.

    Nearness is the mean kernel of text and surface to the nearest solved prompts. A prompt's
    familiarity is its rank among those of solved prompts, each compared with the others: about
    uniform on [0, 1] for more prompts of the same kinds, however many were solved, and 0 for a
    prompt that is further off than all of them. It is a conformal p-value (Vovk, Gammerman and
    Shafer, 2005). S support queries.
    """

    surface: Array
    """(S, num_surface) float64 scaled surface features."""
    is_solved: Array
    """(S,) bool: some model has answered."""
    num_nearest: int
    """How many solved prompts a nearness is averaged over, at least 1."""
    usual: Array
    """(n,) float64 nearness of solved prompts to the others, ascending; empty below two."""

    @classmethod
    def of(
        cls,
        text: Array,
        surface: Array,
        is_solved: Array,
        num_neighbours: int,
        usual: Array | None = None,
    ) -> Self:
        """The familiarity that a support gives.

        Args:
            text: (S, dimension) float64 centred unit embeddings.
            surface: (S, num_surface) float64 scaled surface features.
            is_solved: (S,) bool; a query that nobody answered makes nothing familiar.
            num_neighbours: Similar support queries that are looked up for a query.
            usual: What its field of that name is, where it was found before.

        Example:
            >>> text, surface = np.eye(3), np.zeros((3, 11))
            >>> known = Familiarity.of(text, surface, np.ones(3, dtype=bool), 2)
            >>> similar = find_nearest(text[:1], text, 2)
            >>> known.rank(surface[:1], *similar).tolist()
            [1.0]
        """
        xp = operations_of(text)
        solved = xp.positions_of(text, len(text))[is_solved]
        found = cls(
            surface,
            is_solved,
            max(1, min(_NUM_NEAREST, len(solved) - 1, num_neighbours)),
            text[:0].sum(axis=1) if usual is None else usual,
        )
        if len(solved) < 2 or usual is not None:
            return found
        drawn = np.random.default_rng(0).permutation(len(solved))[:_MOST_COMPARED]
        rows = solved[np.sort(drawn)]
        neighbours, cosine = find_nearest(text[rows], text, num_neighbours + 1)
        # By its number: among equals the prompt itself need not come first.
        others = xp.where(neighbours == rows[:, None], -math.inf, cosine)
        usual = found._measure_nearness(surface[rows], neighbours, others)
        return replace(found, usual=usual[usual.argsort()])

    def rank(self, surface: Array, neighbours: Array, cosine: Array) -> Array:
        """Familiarity of prompts, (B,) float64 in [0, 1], each by itself.

        0 where fewer than two prompts were solved.

        Args:
            surface: (B, num_surface) float64 scaled surface features.
            neighbours: (B, K) positions of similar support queries.
            cosine: (B, K) their similarities.
        """
        return self.meet(surface, neighbours, cosine).familiarity

    def meet(self, surface: Array, neighbours: Array, cosine: Array) -> Met:
        """Familiarity of prompts, and how strange they are beyond that; arguments of `rank`."""
        if not len(self.usual):
            nothing = 0 * surface.sum(axis=1)
            return Met(nothing, nothing + 1)
        xp, count = operations_of(surface), len(self.usual)
        nearness = self._measure_nearness(surface, neighbours, cosine)
        rank = xp.searchsorted(self.usual, nearness, side="right") / float(count)
        least = max(float(self.usual[int(_STRANGE * count)]), 1e-9)
        return Met(rank, xp.clip(1 - nearness / least, 0, 1))

    def _measure_nearness(self, surface: Array, neighbours: Array, cosine: Array) -> Array:
        """Mean kernel to the nearest solved prompts, (B,)."""
        xp = operations_of(surface)
        off = surface[:, None] - self.surface[neighbours]
        apart = (off * off).sum(2) / (2 * surface.shape[1])
        kernel = xp.exp(SHARPNESS * (cosine - 1) - apart) * self.is_solved[neighbours]
        nearest = xp.largest_of(kernel, self.num_nearest)
        # Rounded, so that equals stay equal whatever batch they are in.
        return xp.round_to(nearest.sum(1) / self.num_nearest, 10)


class TaskLevels(NamedTuple):
    """How models do in the tasks of a support. T tasks, M models; all in logits of the effect."""

    level: Array
    """(T + 1, M) in each task, and beside them."""
    square: Array
    """(T + 1, M) of the level."""
    mean: Array
    """(M,) over the tasks that have queries."""
    variance: Array
    """(M,) between them."""
    doubt: Array
    """(M,) how much larger that must be for a normal interval to hold for 80 % of new tasks: the
    more the fewer were seen."""
    is_unseen: Array
    """(T + 1,) bool: no query of the task was solved; beside them False."""

    @classmethod
    def of(cls, state: SupportState) -> Self:
        """The levels that a support shows."""
        xp, has_queries = operations_of(state.task_size), state.task_size > 0
        level = state.base.task_easiness[EFFECT][:, None] + state.base.skill[EFFECT]
        seen = level[:-1][has_queries]
        mean = seen.mean(0) if len(seen) else level[-1]
        off = seen - mean
        prior = _PRIOR_TASKS * _PRIOR_VARIANCE + (off * off).sum(0)
        variance = prior / (_PRIOR_TASKS + max(len(seen) - 1, 0))
        is_unseen = xp.concat([~has_queries, has_queries[:0].any()[None]])
        doubt = variance * (_widen_for_few(len(seen)) - 1)
        return cls(level, level * level, mean, variance, doubt, is_unseen)


def _widen_for_few(num_tasks: int) -> float:
    """How much larger the variance between so many tasks must be for 80 % of new ones, at least 1.

    The squared ratio of the quantiles of Student's t and of a normal distribution (Abramowitz and
    Stegun 1964, 26.7.5), times what is in doubt about the mean of the tasks. Of less than two tasks
    nothing is estimated, and what is assumed of them stands as it is.

    Example:
        >>> [round(_widen_for_few(number), 2) for number in (1, 2, 5, 50)]
        [1.0, 2.42, 1.51, 1.05]
    """
    if num_tasks < 2:
        return 1.0
    square, freedom = _SQUARED_QUANTILE, _PRIOR_TASKS + num_tasks - 1
    first, second = (square + 1) / 4, (5 * square**2 + 16 * square + 3) / 96
    return float((1 + first / freedom + second / freedom**2) ** 2 * (1 + 1 / num_tasks))


class TaskDoubt(NamedTuple):
    """What it means for effects that a query may be of a task not seen. B queries, M models.

    All in logits.
    """

    shift: Array
    """(B, M) from where the belief over tasks puts the effect towards the mean over all tasks."""
    variance: Array
    """(B, M) of the effect over the tasks that the query may be of, as far as it is not strange."""
    strange: Array
    """(B, M) variance that comes on top where a query is strange: that between all tasks."""
    softening: Array
    """(B, M) the part of `strange` where the task is unknown, which softens the effect."""
    unseen: Array
    """(B, M) variance between tasks where the one that is named has no solved query, which softens
    the effect; 0 elsewhere."""
    strangeness: Array
    """(B, 1) in [0, 1]."""
    few: Array
    """(B, M) variance that comes on top where few tasks were seen, as far as the query may be of
    another and is not strange."""

    @classmethod
    def of(cls, levels: TaskLevels, share: Array, task: Array, met: Met) -> Self:
        """The doubt about queries of the support.

        A query of unknown task is perhaps of a task not seen, the more the less familiar it is; and
        a new task differs from the others as they differ from each other. A task that is named is
        believed, unless the query is strange. Where few tasks were seen, a new one may be further
        off than by a normal distribution with their variance. That strange queries are of another
        task is an assumption, and not made stronger.

        A named task without a solved query is a new one, whatever its prompts resemble.

        Args:
            levels: Of the support.
            share: (B, T + 1) belief over tasks.
            task: (B,) int64 task that is named, -1 = unknown.
            met: How the queries compare with the solved ones.
        """
        xp = operations_of(share)
        believed = xp.multiply_rows(share, levels.level)
        between = xp.clip(xp.multiply_rows(share, levels.square) - believed * believed, 0)
        named = xp.take_columns(share, xp.clip(task, 0)[:, None])[:, 0]
        open_minded = 1 - xp.where(task >= 0, named, 0.0)
        is_unseen = levels.is_unseen[task]
        unusual = xp.where(is_unseen, 1.0, xp.clip(1 - met.familiarity / _UNUSUAL, 0, 1))
        new = (open_minded * unusual)[:, None]
        strange, lost = met.strangeness[:, None], (open_minded * met.strangeness)[:, None]
        return cls(
            lost * (levels.mean - believed),
            (1 - strange) * ((1 - new) * between + new * levels.variance),
            strange * levels.variance,
            xp.where(is_unseen[:, None], 0.0, lost * levels.variance),
            xp.where(is_unseen[:, None], levels.variance + levels.doubt, 0.0),
            strange,
            (1 - strange) * new * levels.doubt,
        )
