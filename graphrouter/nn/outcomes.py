"""The outcomes of a support: compared with what is expected, and summed by query and by cell.

A cell is a (task, model) pair; index T of the task axis stands for "task unknown".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.nn.layers import (
    PositiveParameter,
    channel_curvature,
    channel_mean,
    masses,
    sum_segments,
)

MAX_STEP = 3.0
"""Longest Newton step, in logits or standard deviations: far from the mode it leads astray."""
_MAX_LOGIT = 12.0
"""Beyond it the information of an outcome is below 1e-5, and a Newton step would leap."""
_MAX_RATIO = 4.0
"""Natural logarithm of the largest ratio between an amount and what was expected that counts in a
mean."""
_EXCESS_MASS = 10.0
_SMALLEST_EXCESS = 1e-4


class EasinessStart(NamedTuple):
    """Where the rounds of the base start, and what texts promise. See `text_prior.TextPrior`."""

    ability: Tensor
    """(C, 1, M)."""
    easiness: Tensor
    """(C, S)."""
    text: Tensor
    """(C, S) what its text, and what tells who was asked, add to the easiness of each query."""


class SupportOutcomes:
    """The observed outcomes of a support, ready for Newton steps. C channels, E edges."""

    def __init__(
        self,
        edges: OutcomeEdges,
        task: Tensor,
        num_tasks: int,
        num_models: int,
        known: Tensor | None = None,
    ) -> None:
        """Outcomes by cell.

        Args:
            edges: Outcomes of the support, NaN = not observed.
            task: (S,) int64 task of each support query; num_tasks = unknown.
            num_tasks: T.
            num_models: M.
            known: (E,) what is known to be on the logit of each effect, whoever compares; nothing
                without it.
        """
        is_observed = torch.isfinite(edges.channels)
        self.query, self.model, self.task = edges.query, edges.model, task
        self.num_tasks, self.num_models = num_tasks, num_models
        self._known = known
        # What was not observed is 0 in every sum: the value, the residual and the information.
        self.value = edges.channels.masked_fill(~is_observed, 0.0)
        self.observed = is_observed.to(edges.channels.dtype)
        self._cell = task[edges.query] * num_models + edges.model

    @property
    def zeros(self) -> Tensor:
        """Zeros by cell: (C, T + 1, M)."""
        return self.value.new_zeros(self.value.shape[0], self.num_tasks + 1, self.num_models)

    @property
    def mean_level(self) -> Tensor:
        """(C, 1) mean of each channel, on the logit scale.

        Of the effect with half a success and half a failure more, so that it is finite.
        """
        count = self.observed.sum(1, keepdim=True)
        mean = (self.value.sum(1, keepdim=True)) / count.clamp_min(1)
        effect = (self.value[:1].sum(1, keepdim=True) + 0.5) / (count[:1] + 1)
        return torch.cat([torch.logit(effect), mean[1:]])

    def compare(
        self, level: Tensor, easiness: Tensor, tilt: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Residual and Fisher information of each outcome, (C, E) each.

        Of the first channels alone where the arguments are of fewer.

        Args:
            level: (C, T + 1, M) or (C, 1, M).
            easiness: (C, S).
            tilt: (C, E) more on the logit, none by default.
        """
        by_cell = level.expand(-1, self.num_tasks + 1, -1).flatten(1)
        logit = _spread(by_cell, self._cell) + _spread(easiness, self.query)
        logit = logit if tilt is None else logit + tilt
        mean = channel_mean(self.add_known(logit).clamp(-_MAX_LOGIT, _MAX_LOGIT))
        value, observed = self.value[: len(mean)], self.observed[: len(mean)]
        # The information of an amount is 1, whatever is expected: what was observed says it.
        of_effect = channel_curvature(mean[:1]) * observed[:1]
        return (value - mean) * observed, torch.cat([of_effect, observed[1:]])

    def add_known(self, logit: Tensor) -> Tensor:
        """The logits (C, E), of which the effect comes first, with what is known beside them."""
        if self._known is None:
            return logit
        return torch.cat([logit[:1] + self._known.to(logit.dtype), logit[1:]])

    def spread_queries(self, values: Tensor) -> Tensor:
        """Values of support queries (C, S) at the edges: (C, E)."""
        return _spread(values, self.query)

    def spread_models(self, values: Tensor) -> Tensor:
        """Values of models (C, M) at the edges: (C, E)."""
        return _spread(values, self.model)

    def sum_by_query(self, values: Tensor) -> Tensor:
        """Sums of edge values by support query: (C, S)."""
        return sum_segments(values, self.query, self.task.shape[0])

    def sum_by_cell(self, values: Tensor) -> Tensor:
        """Sums of edge values by cell: (C, T + 1, M)."""
        size = (self.num_tasks + 1) * self.num_models
        return sum_segments(values, self._cell, size).view(-1, self.num_tasks + 1, self.num_models)

    def sum_steps(
        self, level: Tensor, easiness: Tensor, tilt: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Residuals and information by cell, (C, T + 1, M) each; arguments as in `compare`."""
        residual, curvature = self.compare(level, easiness, tilt)
        return self.sum_by_cell(residual), self.sum_by_cell(curvature)


def _spread(values: Tensor, index: Tensor) -> Tensor:
    """Columns of values (C, n) at (E,) positions: (C, E); six times faster than `index_select`."""
    return values.gather(1, index.expand(len(values), -1))


class Slopes(NamedTuple):
    """How much more than its task a query tells strong models from weak ones."""

    query: Tensor
    """(C, S) by all models that answered."""
    edge: Tensor
    """(C, E) by the other models: a slope that has seen an outcome must not explain it."""


class QuerySlopes(nn.Module):
    """Slopes of support queries along the first factor of the models (Birnbaum 1968)."""

    def __init__(self) -> None:
        super().__init__()
        self.mass = PositiveParameter(masses(2.0, 8.0))

    def forward(
        self, outcomes: SupportOutcomes, easiness: Tensor, level: Tensor, leading: Tensor
    ) -> Slopes:
        """One Newton step from no slopes at all.

        Args:
            outcomes: Of the support.
            easiness: (C, S) of the support queries.
            level: (C, T + 1, M) of the models.
            leading: (C, M) first factor of each model.
        """
        residual, curvature = outcomes.compare(level, easiness)
        strength = outcomes.spread_models(leading)
        step, information = residual * strength, curvature * strength.square()
        total, weight = (
            outcomes.sum_by_query(step),
            outcomes.sum_by_query(information) + self.mass(),
        )
        # Without the outcome itself, or it would explain itself away as a telling query.
        edge = (outcomes.spread_queries(total) - step) / (
            outcomes.spread_queries(weight) - information
        )
        return Slopes((total / weight).clamp(-MAX_STEP, MAX_STEP), edge.clamp(-MAX_STEP, MAX_STEP))


class NoQuerySlopes(nn.Module):
    """All queries tell models apart alike: takes the place of `QuerySlopes` where left out."""

    def forward(
        self, outcomes: SupportOutcomes, easiness: Tensor, level: Tensor, leading: Tensor
    ) -> Slopes:
        """Zeros; arguments of `QuerySlopes`."""
        return Slopes(torch.zeros_like(easiness), torch.zeros_like(outcomes.value))


def split_common(
    ability: Tensor, skill: Tensor, information: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What models have in common in each task, (C, T + 1), and what is left of their levels.

    Levels plus easiness stay the same where the common part is added to the easiness of queries.

    Args:
        ability: (C, 1, M) of the models.
        skill: (C, T + 1, M) of the models in each task, 0 at index T.
        information: (C, T + 1, M) by which the models count.
    """
    overall = information.sum(1, keepdim=True)
    of_all = (overall * ability).sum(2, True) / overall.sum(2, True).clamp_min(1e-6)
    of_task = (information * skill).sum(2, True) / information.sum(2, True).clamp_min(1e-6)
    # Nothing is special about queries of unknown task: their skills are 0, and stay so.
    of_task = torch.cat([of_task[:, :-1], torch.zeros_like(of_task[:, -1:])], dim=1)
    left = torch.cat([skill[:, :-1] - of_task[:, :-1], skill[:, -1:]], dim=1)
    return (of_all + of_task).squeeze(2), ability - of_all, left


def estimate_excess(outcomes: SupportOutcomes, residual: Tensor, channel_scale: Tensor) -> Tensor:
    """Logarithm of the mean of each model's amounts over their geometric mean, > 0: (C, M).

    The smearing estimate of Duan (1983), which does not assume that residuals are normal: answers
    of one model vary with long tails to either side, those of another hardly at all, and the
    variance of a logarithm alone misjudges the mean cost of a model by a third.

    Args:
        outcomes: Of the support.
        residual: (C, E) outcome minus expected outcome.
        channel_scale: (C, 1) natural logarithms a unit of each channel.
    """
    observed = outcomes.observed
    natural = (residual * channel_scale.to(residual.dtype)).clamp(-_MAX_RATIO, _MAX_RATIO)
    total, shift, count = (
        outcomes.sum_by_cell(values * observed).sum(1)
        for values in (natural.exp(), natural, observed)
    )
    pool = _log_mean_ratio(
        total.sum(1, keepdim=True), shift.sum(1, keepdim=True), count.sum(1, keepdim=True)
    )
    # A mean of exponentials is at the mercy of single outcomes: few of them say less than the pool.
    return (count * _log_mean_ratio(total, shift, count) + _EXCESS_MASS * pool) / (
        count + _EXCESS_MASS
    )


def _log_mean_ratio(total: Tensor, shift: Tensor, count: Tensor) -> Tensor:
    """log(mean of exp(x)) - mean(x), >= 0 by Jensen's inequality; shape of the arguments.

    Args:
        total: Sums of exp(x).
        shift: Sums of x.
        count: Numbers of summands.
    """
    count = count.clamp_min(_SMALLEST_EXCESS)
    ratio: Tensor = (total / count).clamp_min(_SMALLEST_EXCESS).log() - shift / count
    return ratio.clamp_min(_SMALLEST_EXCESS)
