"""Messages along target - similar query - model paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

from graphrouter.scoring.operations import Array, operations_of
from graphrouter.scoring.state import SupportMessages, SupportState, Targets

_TARGETS_AT_ONCE = 8


class PathMessages(NamedTuple):
    """What similar queries say. C channels, B targets, M models, H heads."""

    residual: Array
    """(C, B, M) shrunk mean residual of the model on similar queries (logit scale)."""
    evidence: Array
    """(B, M) share of that mean that is evidence and not prior (effect channel), in [0, 1)."""
    surprise: Array
    """(C, B) shrunk mean surprise of similar queries."""
    spread: Array
    """(B,) standard deviation of the similar queries' surprises (effect channel), >= 0."""
    by_view: Array | None = None
    """(B, M) what goes with the target beside its text says of each model (effect channel); None
    where nothing does."""

    @classmethod
    def without_neighbours(cls, state: SupportState, num_targets: int, num_models: int) -> Self:
        """What is left without similar queries: the spread of all surprises of the support."""
        surprise, reliability = state.base.surprise, state.base.reliability[0]
        xp = operations_of(surprise)
        weight = reliability / xp.clip(reliability.sum(), 1e-6)
        off = surprise[0] - weight @ surprise[0]
        pairs = xp.zeros(surprise, len(surprise), num_targets, num_models)
        spread = xp.sqrt(weight @ (off * off) + 1e-6)
        return cls(pairs, pairs[0], pairs[:, :, :1].sum(axis=2), pairs[0, :, :1].sum(1) + spread)


class PathWeights(NamedTuple):
    """What is learned of path attention. C channels, H heads."""

    sharpness: Array
    """(H,)."""
    metric_scale: Array
    """(H,)."""
    same_task: Array
    """(H,)."""
    path_mass: Array
    """(C, H, 1)."""
    path_mix: Array
    """(C, H, 1)."""
    surprise_mass: Array
    """(C, H)."""
    surprise_mix: Array
    """(C, H)."""


def attend(
    weights: PathWeights,
    state: SupportState,
    key: Array,
    targets: Targets,
    task_share: Array,
    sum_up: Callable[[SupportMessages, Array, Array, int], Array] | None = None,
) -> PathMessages:
    """Messages to every (target, model) pair.

    Args:
        weights: What is learned.
        state: Cached support.
        key: (B, W) unit vectors of the targets in the learned metric.
        targets: The same targets, with their similar support queries.
        task_share: (B, T + 1) belief over tasks, rows sum to 1; index T = unknown.
        sum_up: From messages, neighbours (B, K), attention (B, H, K) and M to weighted sums
            (B, H, M, 2 C); by a table of what all neighbours say, without it.
    """
    xp = operations_of(key)
    weight = _weigh(weights, state, key, targets, task_share)
    base = state.base
    sums = (sum_up or sum_rows)(state.messages, targets.neighbours, weight, len(state.model))
    num_channels = sums.shape[3] // 2
    sums = xp.permute(sums, 3, 0, 1, 2)
    total, information = sums[:num_channels], sums[num_channels:]  # each (C, B, H, M)
    mass = weights.path_mass[:, None]  # (C, 1, H, 1)
    certainty = information + mass
    residual = (weights.path_mix[:, None] * (total / certainty)).sum(2)
    evidence = xp.average(information[0] / certainty[0], 1)

    surprise = xp.gather(base.surprise, targets.neighbours)  # (C, B, K)
    reliability = xp.gather(base.reliability, targets.neighbours)
    # A surprise that is mostly prior says little: it counts by its reliability. Each (B, H, C).
    attention = xp.matmul(weight, xp.permute(reliability, 1, 2, 0))
    carried = xp.matmul(weight, xp.permute(reliability * surprise, 1, 2, 0))
    shrunk = carried / (attention + weights.surprise_mass.T)
    # All K neighbours count alike in the spread: how much easiness varies here, not what it is.
    flat = reliability[0] / xp.clip(reliability[0].sum(axis=1, keepdims=True), 1e-6)
    off = surprise[0] - (flat * surprise[0]).sum(axis=1, keepdims=True)
    spread = xp.sqrt((flat * off * off).sum(1) + 1e-6)
    return PathMessages(residual, evidence, (weights.surprise_mix.T * shrunk).sum(1).T, spread)


def _weigh(
    weights: PathWeights, state: SupportState, key: Array, targets: Targets, task_share: Array
) -> Array:
    """Unnormalised attention, in (0, e^4]: (B, H, K).

    Not a softmax: where nothing is similar all weights are small, and the masses in the sums draw
    what is said to zero.
    """
    xp = operations_of(key)
    likeness = xp.matmul(state.key[targets.neighbours], key[:, :, None])[:, :, 0]
    task = state.task_of_query[targets.neighbours]
    # Unknown is no shared task.
    shared = xp.take_columns(task_share, task) * (task < len(state.task))
    logit = (
        weights.sharpness[:, None] * (targets.cosine - 1)[:, None]
        + weights.metric_scale[:, None] * likeness[:, None]
        + weights.same_task[:, None] * shared[:, None]
    )
    return xp.exp(xp.clip(logit, -30, 4))


def spread_rows(messages: SupportMessages, rows: Array, num_models: int) -> Array:
    """Residuals and information of some support queries: (num_rows, M, 2 C).

    0 where a model did not answer, which adds nothing to either sum. Outcomes are kept as edges,
    and only the rows that a message needs are spread out.

    Args:
        messages: Of the support.
        rows: (num_rows,) int64 support queries.
        num_models: M.
    """
    xp = operations_of(messages.row_start)
    start = messages.row_start[rows]
    length = messages.row_start[rows + 1] - start
    row = xp.repeat(xp.positions_of(rows, len(rows)), length)
    # All edges of the rows, without a loop over rows.
    edge = xp.positions_of(rows, len(row)) + (start - length.cumsum(0) + length)[row]
    cell = row * num_models + messages.model[edge]
    flat = xp.spread(messages.values[edge], cell, len(rows) * num_models)
    return flat.reshape(len(rows), num_models, -1)


def sum_rows(messages: SupportMessages, neighbours: Array, weight: Array, num_models: int) -> Array:
    """Weighted sums of what the neighbours of each target say: (B, H, M, 2 C).

    Args:
        messages: Of the support.
        neighbours: (B, K) support queries.
        weight: (B, H, K) attention.
        num_models: M.
    """
    xp = operations_of(weight)
    # What a few targets gather of the grid is still in the cache when it is summed up.
    at_once = len(weight) if messages.grid is None else _TARGETS_AT_ONCE
    sums = [
        xp.matmul(
            weight[first : first + at_once],
            gather_rows(messages, neighbours[first : first + at_once], num_models),
        )
        for first in range(0, len(weight), max(at_once, 1))
    ]
    found = sums[0] if len(sums) == 1 else xp.concat(sums)
    return found.reshape(*weight.shape[:2], num_models, -1)


def gather_rows(messages: SupportMessages, neighbours: Array, num_models: int) -> Array:
    """What the neighbours (B, K) of each target have to say: (B, K, M * 2 C)."""
    xp = operations_of(messages.row_start)
    if messages.grid is not None:
        return messages.grid[neighbours]
    if len(neighbours) == 1:
        spread = spread_rows(messages, neighbours[0], num_models)
        return spread.reshape(1, len(spread), -1)
    # Targets share neighbours: each row is spread out once, however many targets it is near.
    rows, position = xp.find_distinct(neighbours)
    dense = spread_rows(messages, rows, num_models)
    return dense.reshape(len(rows), -1)[position]
