"""The graph of the published GraphRouter: what nodes and edges carry, from the learning rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from graphrouter.bench.baselines.learning import LearningData, Questions, find_positions
from graphrouter.bench.baselines.tools.vectors import scale_to_unit
from graphrouter.bench.observations import Observations
from graphrouter.encoders import encode_texts
from graphrouter.policy import PRESETS
from graphrouter.types import FloatArray, IntArray

NUM_ATTRIBUTES = 3
"""Utility, scaled cost and effect of an edge."""


class PaperGraph(NamedTuple):
    """Nodes and edges. P presets, Q queries, M models, T tasks, D text dimensions."""

    task: Tensor
    """(T + 1, D) embeddings of the tasks; zeros in the last row, for "task unknown"."""
    task_of_query: Tensor
    """(Q,) int64 row of each query's task."""
    query: Tensor
    """(Q, D) embedding of each prompt."""
    model: Tensor
    """(M, D) embedding of each model's description."""
    attributes: Tensor
    """(P, 3, M, Q) utility, scaled cost and effect; 0 where there is no edge."""
    edge: Tensor
    """(M, Q) 1 where an outcome was observed, else 0."""
    label: Tensor
    """(P, M, Q) 1 for the model of the best utility of a query, see `labels`, else 0."""

    def join(self, more: PaperGraph) -> PaperGraph:
        """One graph of the queries of both, which share tasks and models."""
        return self._replace(
            task_of_query=torch.cat([self.task_of_query, more.task_of_query]),
            query=torch.cat([self.query, more.query]),
            attributes=torch.cat([self.attributes, more.attributes], dim=3),
            edge=torch.cat([self.edge, more.edge], dim=1),
            label=torch.cat([self.label, more.label], dim=2),
        )

    def double(self) -> PaperGraph:
        """The same in double precision."""
        return PaperGraph(*(part.double() if part.is_floating_point() else part for part in self))


@dataclass(frozen=True, eq=False)
class GraphMaker:
    """What the graphs of training and validation rows share."""

    tasks: tuple[str, ...]
    task_vectors: FloatArray
    """(num_tasks + 1, dimension); zeros in the last row."""
    model_vectors: FloatArray
    """(num_models, dimension)."""
    low_usd: FloatArray
    """(num_tasks + 1,) smallest training cost of a task; of all rows in the last one, and where a
    task has none."""
    high_usd: FloatArray
    """(num_tasks + 1,) largest one."""
    mean_cost: FloatArray
    """(num_models,) mean scaled training cost; the pool's where a model has none, 0 where nobody
    has any."""
    share_ties: bool
    """Whether all models of the best utility are labelled, or the first of them alone."""

    @classmethod
    def of(cls, data: LearningData, *, share_ties: bool) -> Self:
        """What the training rows fix: embeddings of tasks and models, bounds and means of costs."""
        names, index = data.tasks
        cost = data.outcomes.cost_usd
        groups = [*(cost[index == i] for i in range(len(names))), cost]
        known = [group[np.isfinite(group)] for group in groups]
        low, high = (
            np.array([edge(group) if group.size else np.nan for group in known])
            for edge in (np.min, np.max)
        )
        low, high = (
            np.where(np.isfinite(low), low, low[-1]),
            np.where(np.isfinite(high), high, high[-1]),
        )
        scaled = _scale(cost, index, low, high)
        there = np.isfinite(scaled)
        pool_mean = scaled[there].mean() if there.any() else 0.0
        mean = np.where(
            there.any(axis=0),
            np.nansum(scaled, axis=0) / np.maximum(there.sum(axis=0), 1),
            pool_mean,
        )
        task_vectors = np.zeros((len(names) + 1, data.encoder.dimension))
        if names:
            task_vectors[:-1] = scale_to_unit(
                encode_texts(data.encoder, [data.task_texts.get(name, name) for name in names])
            )
        models = scale_to_unit(
            encode_texts(data.encoder, [card.description or card.model for card in data.pool])
        )
        return cls(names, task_vectors, models, low, high, mean, share_ties)

    def graph(self, rows: Observations, questions: Questions) -> PaperGraph:
        """The nodes and edges of these rows, in single precision."""
        index = find_positions(self.tasks, questions.tasks)
        effect = rows.outcomes.effect
        there = np.isfinite(effect)
        scaled = _scale(rows.outcomes.cost_usd, index, self.low_usd, self.high_usd)
        cost = np.where(np.isfinite(scaled), scaled, self.mean_cost)
        utility = np.stack(
            [weight * effect - cost_weight * cost for weight, cost_weight in PRESETS.values()]
        )
        attributes = np.stack(
            [utility, np.broadcast_to(cost, utility.shape), np.broadcast_to(effect, utility.shape)],
            axis=1,
        )
        label = np.stack([labels(one, share_ties=self.share_ties) for one in utility])
        return PaperGraph(
            task=_single(self.task_vectors),
            task_of_query=torch.from_numpy(
                index % len(self.task_vectors)
            ),  # -1, unknown, is the last row
            query=_single(questions.vectors),
            model=_single(self.model_vectors),
            attributes=_single(np.where(there, attributes, 0.0).transpose(0, 1, 3, 2)),
            edge=_single(there.T.astype(np.float64)),
            label=_single(label.transpose(0, 2, 1)),
        )


def _scale(cost_usd: FloatArray, task: IntArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Costs (num_queries, num_models) between the bounds of their task, 0 to 1; NaN stays NaN."""
    width = (high - low)[task][:, None]
    return np.asarray(
        np.clip((cost_usd - low[task][:, None]) / np.where(width > 0, width, 1.0), 0.0, 1.0)
    )


def labels(utility: FloatArray, *, share_ties: bool = False) -> FloatArray:
    """1 for the model of the best utility of each query, else 0.

    Same shape (num_queries, num_models).

    Args:
        utility: NaN = not observed; a query without any gets no label.
        share_ties: Among equals all are labelled, and not the first one alone.

    Example:
        >>> labels(np.array([[0.5, 1.0, 1.0], [np.nan, np.nan, 0.0]])).tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    marked = np.zeros_like(utility)
    rows = np.flatnonzero(np.isfinite(utility).any(axis=1))
    known = np.nan_to_num(utility[rows], nan=-np.inf)
    if share_ties:
        marked[rows] = known >= known.max(axis=1, keepdims=True) - 1e-9
    else:
        marked[rows, np.argmax(known, axis=1)] = 1.0
    return marked


def _single(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
