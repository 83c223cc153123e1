"""The Rasch base: levels of models and easiness of queries, by unrolled, differentiable Newton
rounds on the support.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.nn.layers import (
    PositiveParameter,
    channel_curvature,
    channel_mean,
    masses,
    segment_sum,
)
from graphrouter.nn.population import (
    Likelihood,
    Population,
    Posterior,
    factor_posterior,
    population_prior,
)

_MAX_STEP = 3.0
_MAX_LOGIT = 12.0
_MAX_RATIO = 4.0
"""Natural logarithm of the largest ratio between an amount and what was expected that counts in a
mean."""
_EXCESS_MASS = 10.0
_SMALLEST_EXCESS = 1e-4


class SupportEdges(NamedTuple):
    """Observed outcomes of the support, sorted by query. C channels, E edges."""

    query: Tensor
    """(E,) int64 in [0, num_support)."""
    model: Tensor
    """(E,) int64 in [0, num_models)."""
    value: Tensor
    """(C, E), 0 where not observed."""
    observed: Tensor
    """(C, E), 1 where observed, else 0."""


class BaseState(NamedTuple):
    """What the base concludes from the support.

    C channels, S support queries, T tasks, M models, E edges.

    Index T of the task axis stands for "task unknown".
    """

    ability: Tensor
    """(C, M) logit of each model where the task is unknown."""
    ability_information: Tensor
    """(C, M) Fisher information behind each ability, prior excluded, >= 0."""
    skill: Tensor
    """(C, T + 1, M) what a model adds to its ability in a task; 0 at index T."""
    skill_information: Tensor
    """(C, T + 1, M) Fisher information behind each skill, >= 0."""
    own_variance: Tensor
    """(C, T + 1, M) posterior variance of what a model has of its own in a task, >= 0."""
    factors: Tensor
    """(C, F, M) what a model has in common with others: its place along `basis`."""
    factor_covariance: Tensor
    """(C, M, F, F) posterior covariance of the factors."""
    basis: Tensor
    """(C, T + 1, F) how the levels of models vary together, a standard deviation a factor, the
    largest first."""
    task_easiness: Tensor
    """(C, T + 1) mean easiness of a task; the overall mean at index T."""
    surprise: Tensor
    """(C, S) easiness of a query beyond what its task promises."""
    slope: Tensor
    """(C, S) how much more than its task a query tells models apart that differ by one standard
    deviation of the first factor."""
    reliability: Tensor
    """(C, S) share of the surprise that is evidence and not prior, in [0, 1)."""
    residual: Tensor
    """(C, E) outcome minus expected outcome, 0 where not observed."""
    curvature: Tensor
    """(C, E) Fisher information of each outcome, 0 where not observed."""
    excess: Tensor
    """(C, M) logarithm of the mean of each model's amounts over their geometric mean, > 0; means
    nothing for the effect."""

    @property
    def variance(self) -> Tensor:
        """(C, T + 1, M) posterior variance of ability + skill, >= 0."""
        shared: Tensor = torch.einsum(
            "ctf,ctg,cmfg->ctm", self.basis, self.basis, self.factor_covariance
        )
        return shared + self.own_variance

    def without_edges(self) -> BaseState:
        """The same conclusions with E = 0: the edges are kept once, by row, as the messages of the
        support.
        """
        none = self.residual.new_zeros(self.residual.shape[0], 0)
        return self._replace(residual=none, curvature=none)


class _Queries(NamedTuple):
    """What is known of the support queries."""

    easiness: Tensor
    """(C, S)."""
    task_easiness: Tensor
    """(C, T + 1)."""
    reliability: Tensor
    """(C, S)."""


class _Slopes(NamedTuple):
    """How much more than its task a query tells strong models from weak ones."""

    query: Tensor
    """(C, S) by all models that answered."""
    edge: Tensor
    """(C, E) by the other models: a slope that has seen an outcome must not explain it."""


class _Outcomes:
    """The outcomes of a support as sums by query and by cell, a cell being a (task, model) pair."""

    def __init__(self, edges: SupportEdges, task: Tensor, num_tasks: int, num_models: int) -> None:
        self.edges, self.task, self.num_tasks, self.num_models = edges, task, num_tasks, num_models
        self._cell = task[edges.query] * num_models + edges.model

    @property
    def nothing(self) -> Tensor:
        """Zeros by cell: (C, T + 1, M)."""
        return self.edges.value.new_zeros(
            self.edges.value.shape[0], self.num_tasks + 1, self.num_models
        )

    def compare(
        self, level: Tensor, easiness: Tensor, tilt: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Residual and Fisher information of each outcome, (C, E) each.

        Args:
            level: (C, T + 1, M) or (C, 1, M).
            easiness: (C, S).
            tilt: (C, E) more on the logit, none by default.
        """
        by_cell = level.expand(-1, self.num_tasks + 1, -1).flatten(1)
        logit = by_cell.index_select(1, self._cell) + easiness.index_select(1, self.edges.query)
        logit = logit if tilt is None else logit + tilt
        mean = channel_mean(logit.clamp(-_MAX_LOGIT, _MAX_LOGIT))
        return (self.edges.value - mean) * self.edges.observed, channel_curvature(
            mean
        ) * self.edges.observed

    def of_query(self, values: Tensor) -> Tensor:
        """Values of support queries (C, S) at the edges: (C, E)."""
        return values.index_select(1, self.edges.query)

    def of_model(self, values: Tensor) -> Tensor:
        """Values of models (C, M) at the edges: (C, E)."""
        return values.index_select(1, self.edges.model)

    def by_query(self, values: Tensor) -> Tensor:
        """Sums of edge values by support query: (C, S)."""
        return segment_sum(values, self.edges.query, self.task.shape[0])

    def by_cell(self, values: Tensor) -> Tensor:
        """Sums of edge values by cell: (C, T + 1, M)."""
        size = (self.num_tasks + 1) * self.num_models
        return segment_sum(values, self._cell, size).view(-1, self.num_tasks + 1, self.num_models)

    def steps(
        self, level: Tensor, easiness: Tensor, tilt: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Residuals and information by cell."""
        residual, curvature = self.compare(level, easiness, tilt)
        return self.by_cell(residual), self.by_cell(curvature)


class QuerySlopes(nn.Module):
    """Slopes of support queries along the first factor of the models (Birnbaum 1968)."""

    def __init__(self) -> None:
        super().__init__()
        self.mass = PositiveParameter(masses(2.0, 8.0))

    def forward(
        self, outcomes: _Outcomes, easiness: Tensor, level: Tensor, leading: Tensor
    ) -> _Slopes:
        """One Newton step from no slopes at all.

        Args:
            outcomes: Of the support.
            easiness: (C, S) of the support queries.
            level: (C, T + 1, M) of the models.
            leading: (C, M) first factor of each model.
        """
        residual, curvature = outcomes.compare(level, easiness)
        strength = outcomes.of_model(leading)
        step, information = residual * strength, curvature * strength.square()
        total, weight = outcomes.by_query(step), outcomes.by_query(information) + self.mass()
        edge = (outcomes.of_query(total) - step) / (outcomes.of_query(weight) - information)
        return _Slopes(
            (total / weight).clamp(-_MAX_STEP, _MAX_STEP), edge.clamp(-_MAX_STEP, _MAX_STEP)
        )


class NoQuerySlopes(nn.Module):
    """All queries tell models apart alike: takes the place of `QuerySlopes` where left out."""

    def forward(
        self, outcomes: _Outcomes, easiness: Tensor, level: Tensor, leading: Tensor
    ) -> _Slopes:
        """Zeros; arguments of `QuerySlopes`."""
        return _Slopes(torch.zeros_like(easiness), torch.zeros_like(outcomes.edges.value))


class RaschBase(nn.Module):
    """An item-response model inside the graph (Rasch 1960; logit P = level of the model in the task + easiness of the query).

    Every update is a Newton step with a learned prior mass: (sum of residuals) / (information +
    mass). A message therefore has the same scale for a model with five outcomes and for one with
    five thousand, which is what makes newcomers comparable. The logarithmic channels use the same
    steps with the information of a normal distribution.

    The first rounds treat each model by itself. What they find makes a prior for every model: how
    models vary together, and what their cards say (see `population`). The second rounds start from
    that prior. There each support query also has a slope (Birnbaum 1968): an outcome on a query
    that tells strong models from weak ones places a model better.
    """

    channel_scale: Tensor

    def __init__(
        self,
        num_rounds: int,
        channel_scale: Sequence[float] = (1.0,) * NUM_CHANNELS,
        *,
        slopes: nn.Module | None = None,
    ) -> None:
        """A base with the default masses.

        Args:
            num_rounds: Newton rounds with each prior.
            channel_scale: (C,) natural logarithms a unit of each channel.
            slopes: Which support queries tell models apart better than others: `QuerySlopes`
                without it, or another module with the same call.
        """
        super().__init__()
        self.num_rounds = num_rounds
        self.register_buffer(
            "channel_scale",
            torch.tensor(channel_scale, dtype=torch.float32).unsqueeze(1),
            persistent=False,
        )
        self.ability_mass = PositiveParameter(masses(1.0, 2.0))
        self.skill_mass = PositiveParameter(masses(4.0, 4.0))
        self.easiness_mass = PositiveParameter(masses(0.5, 1.0))
        self.slopes = QuerySlopes() if slopes is None else slopes
        self.task_mass = PositiveParameter(masses(2.0, 2.0))
        self.prior_mass = PositiveParameter(masses(1.0, 1.0))

    def forward(
        self, edges: SupportEdges, task: Tensor, num_tasks: int, likeness: Tensor
    ) -> BaseState:
        """The state of the base.

        Args:
            edges: Outcomes of the support.
            task: (S,) int64 task of each support query; num_tasks = unknown.
            num_tasks: T.
            likeness: (M, M) of the models, by their cards.
        """
        outcomes = _Outcomes(edges, task, num_tasks, likeness.shape[0])
        queries, level = self._first_rounds(outcomes)
        prior = self._prior(outcomes, queries, level, likeness)
        slopes = self.slopes(outcomes, queries.easiness, level, prior.scores[:, 0])
        queries, posterior, own, own_variance = self._second_rounds(
            outcomes, queries, level, prior, slopes.edge
        )
        level = prior.level(posterior.factors) + own
        # Slopes place models; what they explain stays in the residuals, for the messages along
        # paths.
        residual, curvature = outcomes.compare(level, queries.easiness)
        information = outcomes.by_cell(curvature)
        return BaseState(
            ability=level[:, -1],
            ability_information=information.sum(1),
            skill=level - level[:, -1:],
            skill_information=_tasks_only(information),
            own_variance=own_variance,
            factors=posterior.factors,
            factor_covariance=posterior.covariance,
            basis=prior.basis,
            task_easiness=queries.task_easiness,
            surprise=queries.easiness - queries.task_easiness[:, task],
            slope=slopes.query,
            reliability=queries.reliability,
            residual=residual,
            curvature=curvature,
            excess=self._excess(outcomes, residual),
        )

    def _excess(self, outcomes: _Outcomes, residual: Tensor) -> Tensor:
        """From logarithms to means, without the assumption that residuals are normal (the smearing estimate of Duan 1983).

        Answers of one model vary with long tails to either side, those of another hardly at all;
        the variance of a logarithm alone misjudges the mean cost of a model by a third.
        """
        observed = outcomes.edges.observed
        natural = (residual * self.channel_scale.to(residual.dtype)).clamp(-_MAX_RATIO, _MAX_RATIO)
        total, shift, count = (
            outcomes.by_cell(values * observed).sum(1)
            for values in (natural.exp(), natural, observed)
        )
        pool = _log_mean_ratio(
            total.sum(1, keepdim=True), shift.sum(1, keepdim=True), count.sum(1, keepdim=True)
        )
        return (count * _log_mean_ratio(total, shift, count) + _EXCESS_MASS * pool) / (
            count + _EXCESS_MASS
        )

    def _first_rounds(self, outcomes: _Outcomes) -> tuple[_Queries, Tensor]:
        """Queries, and levels (C, T + 1, M), each model shrunk to the mean of all."""
        level = _level(outcomes.edges).expand(-1, outcomes.num_tasks + 1)
        easiness = level[:, outcomes.task]
        queries = _Queries(easiness, level, torch.zeros_like(easiness))
        ability, skill = outcomes.nothing[:, :1], outcomes.nothing
        for _ in range(self.num_rounds):
            queries = self._ease(outcomes, ability + skill, queries)
            step, information = outcomes.steps(ability + skill, queries.easiness)
            ability = ability + _newton(
                step.sum(1, True),
                information.sum(1, True),
                self.ability_mass().unsqueeze(2),
                ability,
            )
            step, information = outcomes.steps(ability + skill, queries.easiness)
            skill = skill + _tasks_only(
                _newton(step, information, self.skill_mass().unsqueeze(2), skill)
            )
        return queries, ability + skill

    def _prior(
        self, outcomes: _Outcomes, queries: _Queries, level: Tensor, likeness: Tensor
    ) -> Population:
        """What the levels of all models say about each."""
        _, information = outcomes.steps(level, queries.easiness)
        prior = population_prior(
            level.detach(), information.detach(), likeness, self.ability_mass().detach()
        )
        return prior._replace(variance=prior.variance / self.prior_mass().unsqueeze(1))

    def _second_rounds(
        self,
        outcomes: _Outcomes,
        queries: _Queries,
        level: Tensor,
        prior: Population,
        slope: Tensor,
    ) -> tuple[_Queries, Posterior, Tensor, Tensor]:
        """Queries, the factors, what each model has of its own, and the variance of that, (C, T +
        1, M) each.
        """
        factors, mass = prior.scores, self.skill_mass().unsqueeze(2)
        own = _tasks_only(level - prior.level(factors))

        def compare() -> tuple[Tensor, Tensor]:
            tilt = slope * outcomes.of_model(factors[:, 0])
            return outcomes.compare(prior.level(factors) + own, queries.easiness, tilt)

        def likelihood() -> Likelihood:
            residual, curvature = compare()
            return prior.likelihood(
                outcomes.by_cell(residual),
                outcomes.by_cell(curvature),
                outcomes.by_cell(residual * slope).sum(1),
                outcomes.by_cell(curvature * slope),
                outcomes.by_cell(curvature * slope.square()).sum(1),
            )

        for _ in range(self.num_rounds):
            queries = self._ease(
                outcomes,
                prior.level(factors) + own,
                queries,
                slope * outcomes.of_model(factors[:, 0]),
            )
            factors = factors + prior.newton_step(factors, likelihood()).clamp(
                -_MAX_STEP, _MAX_STEP
            )
            step, information = map(outcomes.by_cell, compare())
            own = own + _tasks_only(_newton(step, information, mass, own))
        information = outcomes.by_cell(compare()[1])
        known = information.sum(1).detach()
        posterior = factor_posterior(
            prior, factors, likelihood(), known / (known + self.ability_mass().detach())
        )
        return queries, posterior, own, _tasks_only(1 / (information + mass))

    def _ease(
        self, outcomes: _Outcomes, level: Tensor, before: _Queries, tilt: Tensor | None = None
    ) -> _Queries:
        """One Newton step of the easiness of all queries."""
        residual, curvature = outcomes.compare(level, before.easiness, tilt)
        step, information = outcomes.by_query(residual), outcomes.by_query(curvature)
        mass = self.easiness_mass()
        surprise = before.easiness - before.task_easiness[:, outcomes.task]
        easiness = before.easiness + _newton(step, information, mass, surprise)
        reliability = information / (information + mass)
        by_task = self._task_easiness(easiness, reliability, outcomes.task, outcomes.num_tasks)
        return _Queries(easiness, by_task, reliability)

    def _task_easiness(
        self, easiness: Tensor, reliability: Tensor, task: Tensor, num_tasks: int
    ) -> Tensor:
        """Mean easiness of each task, shrunk to the overall mean: (C, T + 1)."""
        overall = (easiness * reliability).sum(1, keepdim=True) / reliability.sum(
            1, keepdim=True
        ).clamp_min(1e-6)
        total = segment_sum(easiness * reliability, task, num_tasks + 1)
        weight = segment_sum(reliability, task, num_tasks + 1)
        mean = (total + self.task_mass() * overall) / (weight + self.task_mass())
        return torch.cat([mean[:, :num_tasks], overall], dim=1)


def _newton(step: Tensor, information: Tensor, mass: Tensor, distance: Tensor) -> Tensor:
    """A Newton step towards the posterior mode.

    `distance` is how far the estimate is from its prior mean.
    """
    return ((step - mass * distance) / (information + mass)).clamp(-_MAX_STEP, _MAX_STEP)


def _log_mean_ratio(total: Tensor, shift: Tensor, count: Tensor) -> Tensor:
    """log(mean of exp(x)) - mean(x), >= 0 by Jensen's inequality, from sums of exp(x), of x, and of
    ones; same shape.
    """
    count = count.clamp_min(_SMALLEST_EXCESS)
    ratio: Tensor = (total / count).clamp_min(_SMALLEST_EXCESS).log() - shift / count
    return ratio.clamp_min(_SMALLEST_EXCESS)


def _tasks_only(by_cell: Tensor) -> Tensor:
    """(C, T + 1, M) with zeros at index T: nothing is special about queries of unknown task."""
    return torch.cat([by_cell[:, :-1], torch.zeros_like(by_cell[:, -1:])], dim=1)


def _level(edges: SupportEdges) -> Tensor:
    """Mean of each channel over the support, on the logit scale, from one pseudo-outcome on: (C,
    1).
    """
    count = edges.observed.sum(1, keepdim=True)
    mean = (edges.value.sum(1, keepdim=True)) / count.clamp_min(1)
    effect = (edges.value[:1].sum(1, keepdim=True) + 0.5) / (count[:1] + 1)
    return torch.cat([torch.logit(effect), mean[1:]])
