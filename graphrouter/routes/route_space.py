"""Coordinates in which prompts are compared with routes, and the solved queries they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from graphrouter.encoders import TextEncoder, encode_texts
from graphrouter.features.prompts import Float32Array, PromptReading, PromptTransform
from graphrouter.features.surface import SURFACE_NAMES
from graphrouter.types import FloatArray, IntArray

_RIDGE = 3.0
"""Added to every variance, as a multiple of the mean variance."""
_SURFACE_LENGTH = 0.4
"""Usual length of all scaled surface features together, beside an embedding of length 1; chosen as
docs/routes.md says of the constants."""
_SURFACE_WEIGHT = _SURFACE_LENGTH / np.sqrt(len(SURFACE_NAMES))
"""Of one of them, whose variance is 1."""
_MOST_COMPARED = 300
"""Solved queries, evenly spread, that say how any prompt scores."""
_MOST_EXAMPLES = 100
"""Solved queries of a task, evenly spread, that stand for it as examples."""


@dataclass(frozen=True, eq=False)
class RouteSpace:
    """Prompts as points: within a kind of prompt they vary about alike in every direction.

    Points are centred embeddings and weighted surface features, times the inverse Cholesky factor
    of their covariance within the tasks of the solved queries (of all of them where no task is
    known), with a ridge. Distances between points are then those of a linear discriminant
    (Fisher 1936; the ridge as in Friedman 1989). A point does not depend on others.
    """

    encoder: TextEncoder
    transform: PromptTransform
    """Of the router: how embeddings and surface are centred and scaled."""
    embeddings: Float32Array
    """(num_solved, dimension) of the solved queries, as the encoder made them."""
    surface: Float32Array
    """(num_solved, num_surface) of the solved queries, as `read_surface` made them."""
    query_task: IntArray
    """(num_solved,) position of each solved query's task, -1 = unknown."""
    tasks: tuple[str, ...]
    descriptions: Float32Array
    """(num_tasks, dimension) embeddings of the tasks' descriptions, a zero row = none."""

    def place(self, prompts: Sequence[str]) -> FloatArray:
        """Points of prompts, (num_prompts, D)."""
        return self.place_reading(PromptReading.of(prompts, self.encoder))

    def place_reading(self, reading: PromptReading) -> FloatArray:
        """Points of prompts that are read already, (num_prompts, D)."""
        return self._whiten(self._weigh(*reading))

    def place_descriptions(self, texts: Sequence[str]) -> FloatArray:
        """Points of descriptions, (num_texts, D), whose surface says nothing of that of prompts."""
        return self._whiten(self._weigh(encode_texts(self.encoder, list(texts)), None))

    def place_task(self, task: str) -> tuple[FloatArray, FloatArray]:
        """Points of the description of a task, (0 or 1, D), and of some of its queries, (n, D)."""
        position = self.tasks.index(task)
        described = self.descriptions[position : position + 1]
        rows = _spread(np.flatnonzero(self.query_task == position), _MOST_EXAMPLES)
        told = described[np.abs(described).sum(axis=1) > 0]
        return self._whiten(self._weigh(told, None)), self._whiten(self._solved[rows])

    @cached_property
    def background(self) -> FloatArray:
        """Points of some solved queries, evenly spread, (at most 300, D)."""
        return self._whiten(self._solved[_spread(np.arange(len(self._solved)), _MOST_COMPARED)])

    @cached_property
    def _solved(self) -> FloatArray:
        return self._weigh(self.embeddings, self.surface)

    @cached_property
    def _axes(self) -> FloatArray:
        """(D, D): a weighted row times these is a point."""
        away = self._solved.copy()
        known = np.flatnonzero(self.query_task >= 0)
        for task in np.unique(self.query_task[known]):
            rows = self.query_task == task
            away[rows] -= away[rows].mean(axis=0)
        used = known if len(known) else np.arange(len(away))
        apart = away[used]
        covariance = apart.T @ apart / max(len(apart), 1)
        mean_variance = max(float(covariance.diagonal().mean()), 1e-9)
        covariance += _RIDGE * mean_variance * np.eye(len(covariance))
        axes: FloatArray = np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(covariance)).T)
        return axes

    def _weigh(self, embeddings: Float32Array, surface: Float32Array | None) -> FloatArray:
        text = self.transform.text(embeddings).astype(np.float64)
        if surface is None:
            scaled = np.zeros((len(text), len(self.transform.surface_mean)))
        else:
            scaled = self.transform.surface(surface).astype(np.float64)
        return np.hstack([text, scaled * _SURFACE_WEIGHT])

    def _whiten(self, weighted: FloatArray) -> FloatArray:
        # One product a row: a matrix product may round a row differently in another batch.
        points = [np.ascontiguousarray(row) @ self._axes for row in weighted]
        return np.array(points).reshape(len(weighted), len(self._axes))


def _spread(rows: IntArray, most: int) -> IntArray:
    """At most so many of the rows, evenly spread."""
    if len(rows) <= most:
        return rows
    chosen: IntArray = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return chosen
