"""Belief over tasks: what is named, what a prompt is like, and the tasks of similar queries."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from graphrouter.scoring.operations import Array, operations_of
from graphrouter.scoring.state import SupportState, Targets

_LEAST_VOTE = 0.01
"""A task that no neighbour has is unlikely, and not impossible."""


class BeliefWeights(NamedTuple):
    """What is learned of how tasks are believed in, () each."""

    vote_sharpness: Array
    kin_scale: Array
    task_mass: Array


def count_votes(sharpness: Array, cosine: Array, task: Array, num_tasks: int) -> Array:
    """Logarithm of the share of similar queries (B, K) that are of each task: (B, T).

    Args:
        sharpness: () of the votes.
        cosine: (B, K) similarities.
        task: (B, K) int64 task of each similar query, T = unknown.
        num_tasks: T.
    """
    xp = operations_of(cosine)
    votes = xp.share_out(xp.softmax(sharpness * cosine), task, num_tasks + 1)
    return xp.log(votes[:, :num_tasks] + _LEAST_VOTE)


def believe(
    weights: BeliefWeights,
    state: SupportState,
    targets: Targets,
    weigh: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """Belief over tasks (B, T + 1), and the evidence (B, T) that the prompts alone give.

    Rows of the belief sum to 1, index T = "none" (all of it when there are no tasks). Evidence is
    logarithmic, up to a constant a target; minus infinity for a task without support queries.

    Args:
        weights: What is learned.
        state: Cached support.
        targets: With their similar support queries and their tasks.
        weigh: From votes (B, T) to evidence (B, T).
    """
    xp, num_tasks, task = operations_of(targets.principal), len(state.task), targets.task
    if num_tasks == 0:
        nothing = targets.principal[:, :0]
        return nothing.sum(axis=1, keepdims=True) + 1, nothing
    votes = count_votes(
        weights.vote_sharpness, targets.cosine, state.task_of_query[targets.neighbours], num_tasks
    )
    # Nothing is known of a task without queries: believing in it would say nothing about the
    # target.
    evidence = xp.where(state.find_terms().is_empty, -math.inf, weigh(votes))
    is_named = (task >= 0)[:, None]
    if xp.is_nowhere(is_named):
        others = xp.softmax(evidence)
        return xp.concat([others, xp.zeros_like(others[:, :1])], axis=1), evidence
    place = xp.clip(task, 0)
    kin = xp.where(is_named, weights.kin_scale * state.task_likeness[place], 0.0)
    others = xp.softmax(evidence + kin)
    named = place[:, None] == xp.positions_of(task, num_tasks)
    size = state.task_size[place][:, None]
    certain = xp.where(is_named, size / (size + weights.task_mass), 0.0)
    belief = certain * named + (1 - certain) * others
    return xp.concat([belief, xp.zeros_like(belief[:, :1])], axis=1), evidence


def discriminate(state: SupportState, principal: Array, votes: Array) -> Array:
    """Log evidence for each task by the discriminant, up to a constant a target: (B, T).

    Args:
        state: Cached support.
        principal: (B, P) coordinates of the targets.
        votes: (B, T) logarithm of the share of similar queries that are of each task.
    """
    solved = state.task_evidence
    assert solved is not None, "the state is of another network"
    values = operations_of(principal).multiply_rows(principal - solved.centre, solved.axes)
    distance = measure_distances(values, solved.mean)
    return solved.weight[0] * find_density(distance, solved.reach) + solved.weight[1] * votes


def measure_distances(values: Array, mean: Array) -> Array:
    """Squared distances of rows (n, P) from each mean (T, P): (n, T)."""
    product = operations_of(values).multiply_rows(values, mean.T)
    square = (values * values).sum(axis=1, keepdims=True) - 2 * product
    return operations_of(values).clip(square + (mean * mean).sum(axis=1), 0)


def find_density(distance: Array, reach: Array) -> Array:
    """Logarithm of a density with the tails of a Student t, up to a constant and a factor.

    log (1 + distance / reach)^(-1/2), the kernel of a t distribution (Lange, Little and Taylor
    1989) whose exponent, of its freedom and the number of coordinates, is in the weight that is
    found for it.

    Args:
        distance: Squared, any shape.
        reach: () squared distance at which it turns.
    """
    return operations_of(distance).log1p(distance / reach) / -2
