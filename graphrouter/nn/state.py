"""What is computed once from the support and kept: all that a target needs to be scored."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from graphrouter.nn.rasch import BaseState


class SupportMessages(NamedTuple):
    """What the base leaves unexplained at each support edge, rows of a query together.

    C channels, E edges, S support queries.
    """

    model: Tensor
    """(E,) int64 model of each edge."""
    row_start: Tensor
    """(S + 1,) int64: the edges of support query s are row_start[s] .. row_start[s + 1]."""
    values: Tensor
    """(E, 2 C) residuals, then Fisher information; 0 where a channel was not observed."""


class TaskEvidence(NamedTuple):
    """How tasks are told apart by a prompt. T tasks, P coordinates."""

    centre: Tensor
    """(P,) mean of the principal coordinates."""
    axes: Tensor
    """(P, P): what is beside the centre, times these, varies by about 1 within a task."""
    mean: Tensor
    """(T, P) where the queries of each task lie along the axes; 0 for a task without any."""
    reach: Tensor
    """() squared distance from the mean of its task that is usual, > 0."""
    weight: Tensor
    """(2,) of the discriminant, and of the logarithm of what similar queries vote for, >= 0."""


class SupportState(NamedTuple):
    """Cached states of models, tasks and support queries.

    S support queries, M models, T tasks, W width.
    """

    base: BaseState
    """Its conclusions, without edges."""
    messages: SupportMessages
    key: Tensor
    """(S, W) unit vectors of support queries in the learned metric of path attention."""
    query_text: Tensor
    """(S, dimension) centred unit embeddings, for the neighbour search."""
    task_of_query: Tensor
    """(S,) int64, T = unknown."""
    model: Tensor
    """(M, W) states of models, profile included."""
    profile: Tensor
    """(C, M, P) on which kinds of queries a model beats its ability, along the principal
    coordinates."""
    slope: Tensor
    """(C, P) how easiness changes along the principal coordinates."""
    task: Tensor
    """(T, W) states of tasks."""
    prototype: Tensor
    """(T, W) mean state of each task's support queries; zero for a task without any."""
    task_likeness: Tensor
    """(T, T) cosine of the descriptions; 0 where one is missing."""
    task_evidence: TaskEvidence | None
    """None where the network learns to tell tasks apart."""
    task_size: Tensor
    """(T,) number of support queries of each task."""
    channel_scale: Tensor
    """(C, 1) natural logarithms a unit of each channel."""
