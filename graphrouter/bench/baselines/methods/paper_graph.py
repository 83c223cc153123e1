"""The graph of the published GraphRouter: what nodes and edges carry, from the learning rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from graphrouter.bench.baselines.learning import LearningData, Questions, find_positions
from graphrouter.bench.baselines.tools.vectors import scale_to_unit
from graphrouter.bench.observations import Observations, ObservedOutcomes
from graphrouter.encoders import TextEncoder, encode_texts
from graphrouter.policy import PRESETS
from graphrouter.pool import ModelCard
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


class CostBounds(NamedTuple):
    """Smallest and largest training cost of each task, between which costs are scaled."""

    low_usd: FloatArray
    """(num_tasks + 1,) smallest training cost of a task; of all rows in the last one, and where a
    task has none."""
    high_usd: FloatArray
    """(num_tasks + 1,) largest one."""
    pool: float
    """Mean scaled training cost; 0 where nobody has any."""

    @classmethod
    def of(cls, cost_usd: FloatArray, task: IntArray, *, num_tasks: int) -> Self:
        """The bounds of the training costs.

        Args:
            cost_usd: (num_queries, num_models), NaN = not recorded.
            task: (num_queries,) number of each query's task, -1 = unknown.
            num_tasks: Number of tasks.
        """
        groups = [*(cost_usd[task == i] for i in range(num_tasks)), cost_usd]
        known = [group[np.isfinite(group)] for group in groups]
        low, high = (
            np.array([edge(group) if group.size else np.nan for group in known])
            for edge in (np.min, np.max)
        )
        low, high = (
            np.where(np.isfinite(low), low, low[-1]),
            np.where(np.isfinite(high), high, high[-1]),
        )
        scaled = cls(low, high, 0.0).scale(cost_usd, task)
        there = np.isfinite(scaled)
        return cls(low, high, float(scaled[there].mean()) if there.any() else 0.0)

    def scale(self, cost_usd: FloatArray, task: IntArray) -> FloatArray:
        """Costs between the bounds of their task, 0 to 1, (num_queries, num_models).

        NaN stays NaN.

        Args:
            cost_usd: (num_queries, num_models), NaN = not recorded.
            task: (num_queries,) number of each query's task, -1 = unknown.
        """
        width = (self.high_usd - self.low_usd)[task][:, None]
        above = cost_usd - self.low_usd[task][:, None]
        return np.asarray(np.clip(above / np.where(width > 0, width, 1.0), 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class GraphMaker:
    """What the graphs of training and validation rows share."""

    tasks: tuple[str, ...]
    task_vectors: FloatArray
    """(num_tasks + 1, dimension); zeros in the last row."""
    model_vectors: FloatArray
    """(num_models, dimension)."""
    costs: CostBounds
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
        costs = CostBounds.of(cost, index, num_tasks=len(names))
        task_vectors = np.zeros((len(names) + 1, data.encoder.dimension))
        if names:
            task_vectors[:-1] = scale_to_unit(
                encode_texts(data.encoder, [data.task_texts.get(name, name) for name in names])
            )
        models = describe_models(data.encoder, data.pool)
        mean = mean_costs(costs.scale(cost, index), costs.pool)
        return cls(names, task_vectors, models, costs, mean, share_ties)

    def graph(self, rows: Observations, questions: Questions) -> PaperGraph:
        """The nodes and edges of these rows, in single precision."""
        index = find_positions(self.tasks, questions.tasks)
        attributes = edge_attributes(rows.outcomes, index, self.costs, self.mean_cost)
        there = rows.outcomes.mask
        label = np.stack(
            [
                labels(np.where(there, utility, np.nan), share_ties=self.share_ties)
                for utility in attributes[:, 0]
            ]
        )
        return PaperGraph(
            task=_single(self.task_vectors),
            task_of_query=torch.from_numpy(
                index % len(self.task_vectors)
            ),  # -1, unknown, is the last row
            query=_single(questions.vectors),
            model=_single(self.model_vectors),
            attributes=_single(attributes.transpose(0, 1, 3, 2)),
            edge=_single(there.T.astype(np.float64)),
            label=_single(label.transpose(0, 2, 1)),
        )


def describe_models(encoder: TextEncoder, cards: Iterable[ModelCard]) -> FloatArray:
    """Embedding of each model's description, of its name without one: (num_models, dimension)."""
    return scale_to_unit(encode_texts(encoder, [card.description or card.model for card in cards]))


def mean_costs(scaled: FloatArray, pool: float) -> FloatArray:
    """Mean scaled cost of each model, (num_models,): what a call counts whose cost is missing.

    Args:
        scaled: (num_queries, num_models), NaN = not recorded.
        pool: What stands for a model without any.
    """
    there = np.isfinite(scaled)
    mean = np.nansum(scaled, axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there.any(axis=0), mean, pool)


def edge_attributes(
    outcomes: ObservedOutcomes, task: IntArray, costs: CostBounds, mean_cost: FloatArray
) -> FloatArray:
    """Utility, scaled cost and effect of each edge in each preset, 0 where there is no edge.

    (num_presets, 3, num_queries, num_models).

    Args:
        outcomes: What was observed, (num_queries, num_models) each.
        task: (num_queries,) number of each query's task, -1 = unknown.
        costs: Bounds to scale the costs by.
        mean_cost: (num_models,) stands for a cost that is missing.
    """
    scaled = costs.scale(outcomes.cost_usd, task)
    cost = np.where(np.isfinite(scaled), scaled, mean_cost)
    edges = [
        (weight * outcomes.effect - cost_weight * cost, cost, outcomes.effect)
        for weight, cost_weight in PRESETS.values()
    ]
    return np.where(outcomes.mask, np.array(edges), 0.0)


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
