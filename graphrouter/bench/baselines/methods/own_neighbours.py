"""Nearest neighbours of models that joined later.

Each looks among the prompts that it answered itself.

A newcomer answered other prompts than the models before it, and few of them. Among the neighbours
that those share hardly one would be its own, and its own would push theirs aside. So every newcomer
keeps rows of its own, and what it did on them counts relative to what the pool's neighbours lead to
expect there.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.tools.levels import (
    AMOUNTS,
    place_levels,
    stack_amounts,
    take_geometric_mean,
)
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import (
    MARGIN,
    apply_offset,
    fit_offsets,
    subtract_offset,
)
from graphrouter.bench.baselines.tools.vectors import find_largest, measure_similarities
from graphrouter.router.shrunk_means import shrink_mean
from graphrouter.types import FloatArray, IntArray, Predictions


class PoolView(NamedTuple):
    """What the neighbours of the models that were fitted say about some queries."""

    effect: FloatArray
    """(num_queries,) their mean expected effect."""
    ratio: FloatArray
    """(4, num_queries) what the query makes of the amounts, relative to the models' means; 1 where
    nothing is known."""

    @classmethod
    def of(cls, expected: Predictions, means: MeanTable) -> Self:
        """The view of predictions for the fitted models, (num_queries, num_fitted).

        Their means are one row.
        """
        ratio = take_geometric_mean(stack_amounts(expected) / stack_amounts(means), axis=2)
        return cls(
            np.clip(expected.effect, MARGIN, 1 - MARGIN).mean(axis=1),
            np.where(np.isnan(ratio), 1.0, ratio),
        )


class OwnRows(NamedTuple):
    """The newcomers' own rows."""

    embeddings: FloatArray
    """(num_rows, dimension) unit vectors of the prompts that any of them answered."""
    residual: FloatArray
    """(num_rows, num_new) effect beyond what pool and offset lead to expect, NaN = not observed."""
    relative: FloatArray
    """(4, num_rows, num_new) amounts relative to the pool's ratio on the prompt, NaN = not
    observed."""
    offset: FloatArray
    """(num_new,) how much better than the pool each is, in logits."""
    level: FloatArray
    """(4, num_new) mean amounts of each; NaN = not known."""

    @classmethod
    def none(cls, dimension: int) -> Self:
        """No newcomer."""
        relative, level = np.empty((len(AMOUNTS), 0, 0)), np.empty((len(AMOUNTS), 0))
        return cls(np.empty((0, dimension)), np.empty((0, 0)), relative, np.empty(0), level)

    def joined(self, vectors: FloatArray, view: PoolView, means: MeanTable, new: NewModels) -> Self:
        """These rows and those of further models.

        Args:
            vectors: (num_queries, dimension) unit vectors of what the new models were asked.
            view: What the fitted models' neighbours say about those queries.
            means: One row: mean of each fitted model.
            new: The new models.
        """
        offset = fit_offsets(view.effect, new.effect)
        relative = stack_amounts(new.outcomes) / view.ratio[:, :, None]
        levels = np.hstack([stack_amounts(means)[:, 0], self.level])
        return type(self)(
            np.vstack([self.embeddings, vectors]),
            _below_and_beside(self.residual, subtract_offset(view.effect, offset, new.effect)),
            np.stack(
                [_below_and_beside(*pair) for pair in zip(self.relative, relative, strict=True)]
            ),
            np.concatenate([self.offset, offset]),
            np.hstack([self.level, place_levels(levels, relative, new)]),
        )

    def effect(self, vectors: FloatArray, view: PoolView, *, k: int) -> FloatArray:
        """Expected effect (num_queries, num_new): the pool's, moved, plus the mean residual nearby.

        The residual is shrunk.
        """
        nearby = [
            shrink_mean(*_sums(self.residual[:, model], near), np.zeros(1))
            for model, near in self._near(vectors, k)
        ]
        return np.clip(
            apply_offset(view.effect, self.offset) + np.stack(nearby, axis=1), MARGIN, 1 - MARGIN
        )

    def amounts(self, vectors: FloatArray, view: PoolView, *, k: int) -> list[FloatArray]:
        """Expected amounts, (num_queries, num_new) each.

        The mean relative amount nearby, times the pool's ratio.
        """
        found = list(self._near(vectors, k))
        expected = []
        for ratio, relative, level in zip(view.ratio, self.relative, self.level, strict=True):
            nearby = [
                shrink_mean(*_sums(relative[:, model], near), level[model], prior_outcomes=1.0)
                for model, near in found
            ]
            expected.append(ratio[:, None] * np.stack(nearby, axis=1))
        return expected

    def _near(self, vectors: FloatArray, k: int) -> list[tuple[int, IntArray]]:
        """Each model with the rows of its k nearest prompts, (num_queries, at most k)."""
        own = [np.flatnonzero(np.isfinite(column)) for column in self.residual.T]
        near: list[list[IntArray]] = [[] for _ in own]
        for similarity in measure_similarities(vectors, self.embeddings):
            for rows, found in zip(own, near, strict=True):
                size = min(k, len(rows))
                found.extend(
                    rows[find_largest(row[rows], size)] if size else rows for row in similarity
                )
        return [(model, np.stack(found)) for model, found in enumerate(near)]


def _sums(values: FloatArray, near: IntArray) -> tuple[FloatArray, FloatArray]:
    """Sum and number of the known values (num_rows,) over the near rows, (num_queries,) each."""
    taken = values[near]
    return np.nansum(taken, axis=1), np.isfinite(taken).sum(axis=1).astype(np.float64)


def _below_and_beside(values: FloatArray, others: FloatArray) -> FloatArray:
    """Both, one below and beside the other, NaN in the other two corners."""
    joined = np.full((len(values) + len(others), values.shape[1] + others.shape[1]), np.nan)
    joined[: len(values), : values.shape[1]] = values
    joined[len(values) :, values.shape[1] :] = others
    return joined
