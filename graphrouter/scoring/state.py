"""What is computed once from the support and kept: all that a target needs to be scored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np

from graphrouter.scoring.operations import Array, operations_of, to_numpy
from graphrouter.scoring.tastes import Tastes
from graphrouter.scoring.view_state import TargetView, ViewState

_MOST_EMPTY = 2
"""Cells of a grid an outcome, at most."""


class BaseState(NamedTuple):
    """What the base concludes from the support.

    C channels, S support queries, T tasks, M models, E edges.

    Index T of the task axis stands for "task unknown".
    """

    ability: Array
    """(C, M) logit of each model where the task is unknown."""
    ability_information: Array
    """(C, M) Fisher information behind each ability, prior excluded, >= 0."""
    skill: Array
    """(C, T + 1, M) what a model adds to its ability in a task; 0 at index T."""
    skill_information: Array
    """(C, T + 1, M) Fisher information behind each skill, >= 0."""
    own_variance: Array
    """(C, T + 1, M) posterior variance of what a model has of its own in a task, >= 0."""
    variance: Array
    """(C, T + 1, M) posterior variance of ability + skill, >= 0."""
    factors: Array
    """(C, F, M) what a model has in common with others: its place along `basis`."""
    factor_covariance: Array
    """(C, M, F, F) posterior covariance of the factors."""
    basis: Array
    """(C, T + 1, F) how the levels of models vary together, a standard deviation a factor, the
    largest first."""
    task_easiness: Array
    """(C, T + 1) mean easiness of a task; the overall mean at index T."""
    surprise: Array
    """(C, S) easiness of a query beyond what its task promises."""
    slope: Array
    """(C, S) how much more than its task a query tells models apart that differ by one standard
    deviation of the first factor."""
    reliability: Array
    """(C, S) share of the surprise that is evidence and not prior, in [0, 1)."""
    residual: Array
    """(C, E) outcome minus expected outcome, 0 where not observed."""
    curvature: Array
    """(C, E) Fisher information of each outcome, 0 where not observed."""
    text_slopes: Array
    """(1, M, P) of the effect: on which kinds of queries a model is better than its level.
    (0, M, 0) where skills are not solved for together with texts."""
    excess: Array
    """(C, M) logarithm of the mean of each model's amounts over their geometric mean, > 0; means
    nothing for the effect."""

    def without_edges(self) -> BaseState:
        """The same conclusions with E = 0.

        The edges are kept once, by row, as the messages of the support.
        """
        none = self.residual[:, :0]
        return self._replace(residual=none, curvature=none)


class GridValues:
    """The values of outcomes where they lie in a grid, so that they are in memory once.

    Example:
        >>> grid = np.array([[[1.0, 2.0], [0.0, 0.0]], [[3.0, 4.0], [5.0, 6.0]]])
        >>> values = GridValues(grid, np.array([0, 0, 1]), np.array([0, 1, 3]))
        >>> values.shape, values[np.array([2, 0])].tolist()
        ((3, 2), [[5.0, 6.0], [1.0, 2.0]])
    """

    def __init__(self, grid: Array, model: Array, row_start: Array) -> None:
        """Values of a grid (S, M, 2 C); the rest as in `SupportMessages`."""
        self._grid, self._model, self._row_start = grid, model, row_start
        self.shape = len(model), grid.shape[2]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, edges: Array) -> Array:
        """(n, 2 C) of the outcomes at some positions."""
        query = np.searchsorted(self._row_start, edges, side="right") - 1
        return self._grid[query, self._model[edges]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All of them, (E, 2 C)."""
        return self[np.arange(len(self))]


class SupportMessages(NamedTuple):
    """What the base leaves unexplained at each support edge, rows of a query together.

    C channels, E edges, S support queries.
    """

    model: Array
    """(E,) int64 model of each edge."""
    row_start: Array
    """(S + 1,) int64: the edges of support query s are row_start[s] .. row_start[s + 1]."""
    values: Array
    """(E, 2 C) residuals, then Fisher information; 0 where a channel was not observed. Where there
    is a grid they are read from it."""
    grid: Array | None = None
    """(S, M * 2 C) the same by query and model, 0 where a model did not answer; None where most did
    not, and wherever it is not worth the memory."""

    @classmethod
    def of_columns(
        cls, model: Array, row_start: Array, columns: Iterable[Array], shape: tuple[int, int]
    ) -> Self:
        """Messages as arrays of NumPy, with the grid where at least half of it is answered.

        Args:
            model: As the field of that name.
            row_start: As the field of that name.
            columns: 2 C of (E,), the columns of the values; each is read when its turn comes.
            shape: M and 2 C.
        """
        (num_models, width), num_queries = shape, len(row_start) - 1
        if num_queries * num_models > _MOST_EMPTY * len(model):
            values = np.empty((len(model), width))
            for i, column in enumerate(columns):
                values[:, i] = column
            return cls(model, row_start, values)
        query = np.repeat(np.arange(num_queries), np.diff(row_start))
        grid = np.zeros((num_queries, num_models, width))
        for i, column in enumerate(columns):
            grid[query, model, i] = column
        by_edge = GridValues(grid, model, row_start)
        return cls(model, row_start, by_edge, grid.reshape(num_queries, -1))

    def spread_out(self, num_models: int) -> SupportMessages:
        """The same as arrays of NumPy, with the grid where that is worth its memory."""
        if self.grid is not None:
            return self
        shape = num_models, self.values.shape[1]
        return self.of_columns(self.model, self.row_start, self.values.T, shape)


class TaskEvidence(NamedTuple):
    """How tasks are told apart by a prompt. T tasks, P coordinates."""

    centre: Array
    """(P,) mean of the principal coordinates."""
    axes: Array
    """(P, P): what is beside the centre, times these, varies by about 1 within a task."""
    mean: Array
    """(T, P) where the queries of each task lie along the axes; 0 for a task without any."""
    reach: Array
    """() squared distance from the mean of its task that is usual, > 0."""
    weight: Array
    """(2,) of the discriminant, and of the logarithm of what similar queries vote for, >= 0."""


class FixedTerms(NamedTuple):
    """Terms of scores that are the same for every target.

    C channels, M models, T tasks, W width.
    """

    is_empty: Array
    """(T,) bool: a task without support queries, where others have some."""
    task_state: Array
    """(T, 2 W) states of tasks, then their prototypes."""
    log_spread: Array
    """(C - 1, 1, M) log deviation, in units of the channel, that gives amounts their mean.

    For the log-normal, log(mean) - mean(log) = sigma^2 / 2; `BaseState.excess` is the left side.
    """

    @classmethod
    def of(cls, state: SupportState) -> Self:
        """The terms of a support."""
        has_queries, scale = state.task_size > 0, state.channel_scale[1:]
        xp, variance = operations_of(scale), 2 * state.base.excess[1:] / (scale * scale)
        return cls(
            (state.task_size == 0) & has_queries.any(),
            xp.concat([state.task, state.prototype], axis=1),
            0.5 * xp.log(variance)[:, None],
        )


class SupportState(NamedTuple):
    """Cached states of models, tasks and support queries.

    S support queries, M models, T tasks, W width.
    """

    base: BaseState
    """Its conclusions, without edges."""
    messages: SupportMessages
    key: Array
    """(S, W) unit vectors of support queries in the learned metric of path attention."""
    query_text: Array
    """(S, dimension) centred unit embeddings, for the neighbour search."""
    task_of_query: Array
    """(S,) int64, T = unknown."""
    model: Array
    """(M, W) states of models, profile included."""
    profile: Array
    """(C, M, P) on which kinds of queries a model beats its ability, along the principal
    coordinates."""
    slope: Array
    """(C, P) how easiness changes along the principal coordinates."""
    task: Array
    """(T, W) states of tasks."""
    prototype: Array
    """(T, W) mean state of each task's support queries; zero for a task without any."""
    task_likeness: Array
    """(T, T) cosine of the descriptions; 0 where one is missing."""
    task_evidence: TaskEvidence | None
    """None where the network learns to tell tasks apart."""
    task_size: Array
    """(T,) number of support queries of each task."""
    channel_scale: Array
    """(C, 1) natural logarithms a unit of each channel."""
    tastes: Tastes | None = None
    """What users grade otherwise; None where no query says who asked it."""
    views: tuple[ViewState, ...] = ()
    """What there is to learn from what goes with queries beside their texts, by name."""
    terms: FixedTerms | None = None
    """What follows from the rest, where it was computed already: last, when nothing changes."""

    def find_terms(self) -> FixedTerms:
        """The fixed terms of the support."""
        return FixedTerms.of(self) if self.terms is None else self.terms


@dataclass(frozen=True, eq=False)
class Targets:
    """Queries to score. B targets, K neighbours."""

    principal: Array
    """(B, P) text and surface features in decorrelated coordinates."""
    task: Array
    """(B,) int64 position of the task; -1 = unknown, or hidden in training."""
    neighbours: Array
    """(B, K) int64 similar support queries, most similar first."""
    cosine: Array
    """(B, K) similarity of the embeddings, in [-1, 1]."""
    num_chars: Array
    """(B, NUM_KINDS) characters of the prompt by kind, by which a long prompt is charged."""
    asker: Array | None = None
    """(B,) int64 who asks, among the users of the graph; -1 = nobody is named. None where no query
    of the graph says who asked it."""
    views: tuple[TargetView, ...] = ()
    """What goes with the targets beside their texts, in the order of the state's."""

    def split(self, size: int) -> list[Targets]:
        """The same targets in parts of at most `size`, at least one part."""
        starts = range(0, max(len(self.task), 1), size)
        return [self.take(slice(start, start + size)) for start in starts]

    def take(self, rows: Any) -> Targets:
        """The targets at some positions (int64), or of a slice."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        views = tuple(view.take(rows) for view in columns.pop("views"))
        taken = {name: None if part is None else part[rows] for name, part in columns.items()}
        return Targets(**taken, views=views)


def arrange_in_rows(part: Any) -> Any:
    """The named tuple with every tensor in it, at any depth, as an array laid out row after row."""
    if isinstance(part, tuple):
        arranged = map(arrange_in_rows, part)
        return part._make(arranged) if hasattr(part, "_make") else tuple(arranged)
    return None if part is None else to_numpy(part).copy(order="C")
