"""What a few later outcomes say beside a settled support, whose pool is held as it was settled.

What the settled outcomes say of a query and of a model is the prior, and the later ones move the
queries that they are of and the levels of their models: by sums over all of them, so that nothing
depends on the order in which they came, nor on how many came at a time. No torch is needed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphrouter.features.channels import EFFECT
from graphrouter.scoring.numpy_operations import sigmoid
from graphrouter.scoring.state import BaseState, FixedTerms, SupportMessages, SupportState
from graphrouter.types import BoolArray, FloatArray, IntArray

_NUM_ROUNDS = 12
"""Newton rounds to the mode of a query's easiness, which is nearly reached after five."""
_MAX_STEP, _MAX_LOGIT = 3.0, 12.0
"""As in the rounds of the base."""


class StackedRows:
    """The rows of a long array and a few behind them, without a copy of the long one.

    Example:
        >>> rows = StackedRows(np.arange(6).reshape(3, 2), np.array([[7, 8]]))
        >>> len(rows), rows[np.array([[2, 3]])].tolist()
        (4, [[[4, 5], [7, 8]]])
    """

    def __init__(self, long: Any, behind: Any) -> None:
        """The rows of two arrays of one kind.

        Args:
            long: (N, ...).
            behind: (n, ...).
        """
        self.long, self.behind = long, behind

    def __len__(self) -> int:
        return len(self.long) + len(self.behind)

    def __getitem__(self, rows: IntArray) -> Any:
        """The rows at some positions, of any shape."""
        off = rows - len(self.long)
        is_behind = off >= 0
        if not is_behind.any():
            return self.long[rows]
        found = self.long[np.where(is_behind, 0, rows)]
        found[is_behind] = self.behind[off[is_behind]]
        return found


class AskedQueries(NamedTuple):
    """Q queries that later outcomes are of: the new ones, then those of the settled support."""

    settled: IntArray
    """(Q,) their rows in the support, -1 for a new one."""
    task: IntArray
    """(Q,) T = unknown."""
    principal: FloatArray
    """(Q, P)."""
    key: FloatArray
    """(Q, W)."""
    promised: FloatArray
    """(C, Q) easiness beyond that of the task by the text; read of the new ones."""


class LaterOutcomes(NamedTuple):
    """n outcomes, each pair of a query and a model once."""

    query: IntArray
    """(n,) among the Q queries, ascending."""
    model: IntArray
    """(n,)."""
    channels: FloatArray
    """(C, n) standardised, NaN = not observed; with the settled outcome of the same pair, where
    there is one, in the mean."""


class _Edges(NamedTuple):
    """Outcomes with what is left of them."""

    query: IntArray
    """Among the Q queries."""
    model: IntArray
    residual: FloatArray
    """(C, edges)."""
    information: FloatArray
    """(C, edges)."""

    def take(self, which: BoolArray) -> _Edges:
        """Some of them."""
        return _Edges(
            self.query[which],
            self.model[which],
            self.residual[:, which],
            self.information[:, which],
        )

    def sum_by_query(self, values: FloatArray, num_queries: int) -> FloatArray:
        """Sums of values (C, edges): (C, Q)."""
        return np.stack([np.bincount(self.query, row, num_queries) for row in values])


def tell_state(
    state: SupportState, asked: AskedQueries, outcomes: LaterOutcomes, easiness_mass: FloatArray
) -> SupportState:
    """The state of the support with the asked queries behind its own.

    A query is a mode: what the settled outcomes say of its easiness is normal around where they put
    it, what text and task promise of a new one is its prior. The levels of a model in all tasks are
    jointly normal, with the covariance that the pool and its own outcomes have left; the later
    outcomes update them as observations of the level in the task of their query (Rasmussen and
    Williams 2006, equation 2.25), the easiness of each query profiled out. What the pool says,
    slopes along texts, shares of tasks and the settled outcomes of other queries stay.

    Args:
        state: Settled, of nobody in particular and without views.
        asked: The queries.
        outcomes: Of these queries.
        easiness_mass: (C, 1) prior precision of the easiness that is a query's own.
    """
    base, num_queries = state.base, len(asked.task)
    settled = _read_settled(state.messages, asked.settled)
    again = np.isin(_code(settled, state), _code(outcomes, state))
    replaced, kept = settled.take(again), settled.take(~again)
    is_new = asked.settled < 0
    rows = np.where(is_new, 0, asked.settled)
    of_task = base.task_easiness[:, asked.task]
    start = of_task + np.where(is_new, asked.promised, base.surprise[:, rows])
    known = np.where(is_new, 0.0, base.reliability[:, rows])
    whole = easiness_mass / (1 - known)
    # Without what is replaced the settled outcomes pull the easiness away from where they put it.
    without = whole - replaced.sum_by_query(replaced.information, num_queries)
    precision = np.maximum(without, easiness_mass)
    pull = -replaced.sum_by_query(replaced.residual, num_queries)
    slopes = np.zeros_like(outcomes.channels)
    if len(base.text_slopes):
        along = asked.principal[outcomes.query] * base.text_slopes[EFFECT][outcomes.model]
        slopes[EFFECT] = along.sum(axis=1)

    easiness = start
    for _ in range(_NUM_ROUNDS):
        later = _compare(outcomes, asked.task, base, easiness, slopes)
        step = later.sum_by_query(later.residual, num_queries) + pull
        step -= precision * (easiness - start)
        total = precision + later.sum_by_query(later.information, num_queries)
        easiness = easiness + (step / total).clip(-_MAX_STEP, _MAX_STEP)
    later = _compare(outcomes, asked.task, base, easiness, slopes)
    total = precision + later.sum_by_query(later.information, num_queries)
    base = _move_levels(base, asked.task, [(later, total, 1.0), (replaced, whole, -1.0)])

    later = _compare(outcomes, asked.task, base, easiness, slopes)
    moved = (easiness - start)[:, kept.query]
    kept = kept._replace(residual=kept.residual - kept.information * moved)
    base = base._replace(
        surprise=np.concatenate([base.surprise, easiness - of_task], axis=1),
        reliability=np.concatenate([base.reliability, 1 - easiness_mass / total], axis=1),
        slope=np.concatenate([base.slope, np.zeros_like(easiness)], axis=1),
    )
    size = np.bincount(asked.task[is_new], minlength=len(state.task) + 1)[: len(state.task)]
    told = state._replace(
        base=base,
        messages=_stack_messages(state, kept, later, num_queries),
        key=StackedRows(state.key, asked.key),
        task_of_query=np.concatenate([state.task_of_query, asked.task]),
        task_size=state.task_size + size,
    )
    return told._replace(terms=FixedTerms.of(told))


def _read_settled(messages: SupportMessages, rows: IntArray) -> _Edges:
    """The outcomes of some queries of a support; of row -1 none."""
    at = np.where(rows < 0, 0, rows)
    start = messages.row_start[at]
    count = np.where(rows < 0, 0, messages.row_start[at + 1] - start)
    query = np.repeat(np.arange(len(rows)), count)
    place = np.arange(len(query)) - np.repeat(count.cumsum() - count, count)
    edges = start[query] + place
    residual, information = np.split(messages.values[edges].T, 2)
    return _Edges(query, messages.model[edges], residual, information)


def _code(pairs: _Edges | LaterOutcomes, state: SupportState) -> IntArray:
    """A number for each pair of a query and a model."""
    return np.asarray(pairs.query * len(state.model) + pairs.model)


def _compare(
    outcomes: LaterOutcomes,
    task: IntArray,
    base: BaseState,
    easiness: FloatArray,
    slopes: FloatArray,
) -> _Edges:
    """The outcomes beside what is expected of them, as `SupportOutcomes.compare` does it."""
    query, model = outcomes.query, outcomes.model
    level = base.ability[:, model] + base.skill[:, task[query], model]
    mean = (level + easiness[:, query] + slopes).clip(-_MAX_LOGIT, _MAX_LOGIT)
    mean[EFFECT] = sigmoid(mean[EFFECT])
    information = np.ones_like(mean)
    information[EFFECT] = mean[EFFECT] * (1 - mean[EFFECT])
    is_observed = np.isfinite(outcomes.channels)
    residual = np.where(is_observed, outcomes.channels - mean, 0.0)
    return _Edges(query, model, residual, information * is_observed)


def _move_levels(
    base: BaseState, task: IntArray, told: list[tuple[_Edges, FloatArray, float]]
) -> BaseState:
    """The base with the levels of the models that outcomes are of.

    Args:
        base: Settled.
        task: (Q,) of the queries.
        told: Outcomes, the precision of the easiness of each query after them (C, Q), and 1; or -1
            for outcomes that are taken back.
    """
    num_channels, num_tasks, num_models = base.skill.shape
    step, information = np.zeros((2, num_channels, num_models * num_tasks))
    for edges, total, sign in told:
        cell = edges.model * num_tasks + task[edges.query]
        # What a query's own easiness takes of what its outcome says.
        share = 1 - edges.information / total[:, edges.query]
        for channel in range(num_channels):
            for sums, values in (
                (step, edges.residual[channel]),
                (information, edges.information[channel] * share[channel]),
            ):
                sums[channel] += sign * np.bincount(cell, values, num_models * num_tasks)
    step, information = (
        part.reshape(num_channels, num_models, num_tasks) for part in (step, information)
    )
    ability, skill, variance = base.ability.copy(), base.skill.copy(), base.variance.copy()
    touched = (step != 0) | (information != 0)
    for model in np.flatnonzero(touched.any(axis=(0, 2))).tolist():
        tasks = np.flatnonzero(touched[:, model].any(axis=0))
        change, shrunk = _update_levels(base, model, tasks, step[:, model], information[:, model])
        skill[:, :, model] += change - change[:, -1:]
        ability[:, model] += change[:, -1]
        variance[:, :, model] = (variance[:, :, model] - shrunk).clip(0)
    known = np.zeros_like(base.skill_information)
    known[:, :-1] = information.transpose(0, 2, 1)[:, :-1]
    return base._replace(
        ability=ability,
        skill=skill,
        variance=variance,
        ability_information=(base.ability_information + information.sum(axis=2)).clip(0),
        skill_information=(base.skill_information + known).clip(0),
    )


def _update_levels(
    base: BaseState, model: int, tasks: IntArray, step: FloatArray, information: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """How the levels of a model move, and how their variances shrink: (C, T + 1) each.

    Args:
        base: Settled.
        model: Its position.
        tasks: (k,) where outcomes came from.
        step: (C, T + 1) sums of residuals.
        information: (C, T + 1).
    """
    basis, factors = base.basis, base.factor_covariance[:, model]
    beside = basis @ factors @ basis[:, tasks].transpose(0, 2, 1)  # (C, T + 1, k)
    own = base.own_variance[:, tasks, model]
    beside[:, tasks, np.arange(len(tasks))] += own
    among = beside[:, tasks]  # (C, k, k)
    weight = information[:, tasks]
    matrix = np.eye(len(tasks)) + weight[:, :, None] * among
    right = np.concatenate(
        [step[:, tasks, None], weight[:, :, None] * beside.transpose(0, 2, 1)], axis=2
    )
    solved = np.linalg.solve(matrix, right)
    change = (beside @ solved[:, :, :1])[:, :, 0]
    shrunk = (beside * solved[:, :, 1:].transpose(0, 2, 1)).sum(axis=2)
    return change, shrunk


def _stack_messages(
    state: SupportState, kept: _Edges, later: _Edges, num_queries: int
) -> SupportMessages:
    """The messages of a support, and behind them those of Q queries."""
    messages = state.messages
    query, model = (
        np.concatenate([getattr(kept, name), getattr(later, name)]) for name in ("query", "model")
    )
    order = np.argsort(query, kind="stable")
    values = np.concatenate(
        [np.concatenate([part.residual, part.information]).T for part in (kept, later)]
    )[order]
    query, model = query[order], model[order]
    ends = len(messages.model) + np.bincount(query, minlength=num_queries).cumsum()
    grid = messages.grid
    if grid is not None:
        num_models = len(state.model)
        rows = np.zeros((num_queries * num_models, values.shape[1]))
        rows[query * num_models + model] = values
        grid = StackedRows(grid, rows.reshape(num_queries, -1))
    return SupportMessages(
        StackedRows(messages.model, model),
        np.concatenate([messages.row_start, ends]),
        StackedRows(messages.values, values),
        grid,
    )
