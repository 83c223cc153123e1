"""The Rasch base: levels of models and easiness of queries, by unrolled Newton rounds.

The rounds are differentiable, so that what is learned are the prior masses: here those of
abilities, skills, tasks and queries; those of messages are in `attention`, those of profiles in
`regressions`. A mass counts Fisher information, of which an outcome of the effect carries at most
0.25: the ability's 1.0 is worth four outcomes or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.nn.card_likeness import InducedLikeness
from graphrouter.nn.layers import PositiveParameter, masses, sum_segments
from graphrouter.nn.outcomes import (
    MAX_STEP,
    QuerySlopes,
    SupportOutcomes,
    estimate_excess,
    split_common,
)
from graphrouter.nn.population import (
    Likelihood,
    Population,
    Posterior,
    estimate_prior,
    update_factors,
)
from graphrouter.nn.text_skills import promise_levels
from graphrouter.scoring.state import BaseState


class _Queries(NamedTuple):
    """What is known of the support queries."""

    easiness: Tensor
    """(C, S)."""
    task_easiness: Tensor
    """(C, T + 1)."""
    reliability: Tensor
    """(C, S)."""
    text: Tensor | None = None
    """(C, S) what its text, and what tells who was asked, add to the easiness of each query; None
    where texts are not asked."""
    promised: Tensor | None = None
    """(C, S) the same around the mean of the task."""


class RaschBase(nn.Module):
    """An item-response model inside the graph (Rasch 1960).

    logit P = level of the model in the task + easiness of the query.

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
        text_prior: nn.Module | None = None,
        text_skills: nn.Module | None = None,
    ) -> None:
        """A base with the default masses.

        Args:
            num_rounds: Newton rounds with each prior.
            channel_scale: (C,) natural logarithms a unit of each channel.
            slopes: Which support queries tell models apart better than others: `QuerySlopes`
                without it, or another module with the same call.
            text_prior: What texts promise of queries: a `text_prior.TextPrior`; nothing without.
            text_skills: What texts say of models, beside their skills: `text_skills.TextSkills`;
                skills are then as the rounds left them.
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
        self.text_prior = text_prior
        self.text_skills = text_skills
        self.task_mass = PositiveParameter(masses(2.0, 2.0))
        self.prior_mass = PositiveParameter(masses(1.0, 1.0))

    def forward(
        self,
        edges: OutcomeEdges,
        task: Tensor,
        num_tasks: int,
        likeness: Tensor | InducedLikeness,
        principal: Tensor | None = None,
        known: Tensor | None = None,
    ) -> BaseState:
        """The state of the base.

        Args:
            edges: Outcomes of the support, NaN = not observed.
            task: (S,) int64 task of each support query; num_tasks = unknown.
            num_tasks: T.
            likeness: (M, M) of the models, by their cards; or that of a large pool.
            principal: (S, P) coordinates of the support queries; read where texts are asked.
            known: (E,) what is known to be on the logit of each effect beside the base.
        """
        outcomes = SupportOutcomes(edges, task, num_tasks, len(likeness), known)
        queries, level = self._run_first_rounds(outcomes, principal)
        prior = self._estimate_prior(outcomes, queries, level, likeness)
        slopes = self.slopes(outcomes, queries.easiness, level, prior.scores[:, 0])
        queries, posterior, own, own_variance = self._run_second_rounds(
            outcomes, queries, level, prior, slopes.edge
        )
        level = prior.level(posterior.factors) + own
        tilt, text_slopes = None, level.new_zeros(0, outcomes.num_models, 0)
        if self.text_skills is not None and principal is not None:
            known = outcomes.sum_by_cell(outcomes.compare(level, queries.easiness)[1])
            levels = prior.level(prior.mean), prior.level(posterior.factors)
            promised = promise_levels(*levels, known)
            solved = self.text_skills(
                outcomes, principal, queries.easiness, level, promised, self.easiness_mass()
            )
            level, text_slopes = solved.level, solved.slopes
            tilt = solved.tilt(outcomes, principal)
        # Slopes of queries place models; what they explain stays in the residuals, for the messages
        # along paths.
        residual, curvature = outcomes.compare(level, queries.easiness, tilt)
        information = outcomes.sum_by_cell(curvature)
        shared = torch.einsum("ctf,ctg,cmfg->ctm", prior.basis, prior.basis, posterior.covariance)
        return BaseState(
            ability=level[:, -1],
            ability_information=information.sum(1),
            skill=level - level[:, -1:],
            skill_information=_clear_unknown(information),
            own_variance=own_variance,
            variance=shared + own_variance,
            factors=posterior.factors,
            factor_covariance=posterior.covariance,
            basis=prior.basis,
            task_easiness=queries.task_easiness,
            surprise=queries.easiness - queries.task_easiness[:, task],
            slope=slopes.query,
            reliability=queries.reliability,
            residual=residual,
            curvature=curvature,
            text_slopes=text_slopes,
            excess=estimate_excess(outcomes, residual, self.channel_scale),
        )

    def _run_first_rounds(
        self, outcomes: SupportOutcomes, principal: Tensor | None = None
    ) -> tuple[_Queries, Tensor]:
        """Queries, and levels (C, T + 1, M), each model shrunk to the mean of all."""
        level = outcomes.mean_level.expand(-1, outcomes.num_tasks + 1)
        easiness = level[:, outcomes.task]
        queries = _Queries(easiness, level, torch.zeros_like(easiness))
        ability, skill = outcomes.zeros[:, :1], outcomes.zeros
        if self.text_prior is not None and principal is not None:
            masses = self.ability_mass(), self.task_mass(), self.easiness_mass()
            start = self.text_prior(outcomes, principal, *masses)
            ability = start.ability
            information = outcomes.sum_by_query(outcomes.compare(ability, start.easiness)[1])
            reliability = information / (information + self.easiness_mass())
            queries = self._centre(outcomes, start.easiness, reliability, reliability, start.text)
        for _ in range(self.num_rounds):
            queries = self._step_easiness(outcomes, ability + skill, queries)
            # Ability takes what is common to all tasks, skill then what is left in each: at once
            # both would take the same.
            step, information = outcomes.sum_steps(ability + skill, queries.easiness)
            ability = ability + _step_to_mode(
                step.sum(1, True),
                information.sum(1, True),
                self.ability_mass().unsqueeze(2),
                ability,
            )
            step, information = outcomes.sum_steps(ability + skill, queries.easiness)
            skill = skill + _clear_unknown(
                _step_to_mode(step, information, self.skill_mass().unsqueeze(2), skill)
            )
            if queries.text is not None:
                # The common part belongs to the queries: models would draw it to 0, each as far as
                # it is known, and one that was hardly run in an easy task would fall behind.
                common, ability, skill = split_common(ability, skill, information)
                queries = queries._replace(
                    easiness=queries.easiness + common[:, outcomes.task],
                    task_easiness=queries.task_easiness + common,
                )
        return queries, ability + skill

    def _estimate_prior(
        self,
        outcomes: SupportOutcomes,
        queries: _Queries,
        level: Tensor,
        likeness: Tensor | InducedLikeness,
    ) -> Population:
        """What the levels of all models say about each."""
        _, information = outcomes.sum_steps(level, queries.easiness)
        prior = estimate_prior(
            level.detach(), information.detach(), likeness, self.ability_mass().detach()
        )
        return prior._replace(variance=prior.variance / self.prior_mass().unsqueeze(1))

    def _run_second_rounds(
        self,
        outcomes: SupportOutcomes,
        queries: _Queries,
        level: Tensor,
        prior: Population,
        slope: Tensor,
    ) -> tuple[_Queries, Posterior, Tensor, Tensor]:
        """Queries, factors, and what each model has of its own with its variance.

        The last two are (C, T + 1, M) each.
        """
        # From where the first rounds ended: few rounds then suffice, and a model that is well known
        # stays where it is.
        factors, mass = prior.scores, self.skill_mass().unsqueeze(2)
        own = _clear_unknown(level - prior.level(factors))
        tilt, squared = slope * outcomes.spread_models(factors[:, 0]), slope.square()

        def compare() -> tuple[Tensor, Tensor]:
            return outcomes.compare(prior.level(factors) + own, queries.easiness, tilt)

        def likelihood() -> Likelihood:
            residual, curvature = compare()
            return prior.likelihood(
                outcomes.sum_by_cell(residual),
                outcomes.sum_by_cell(curvature),
                outcomes.sum_by_cell(residual * slope).sum(1),
                outcomes.sum_by_cell(curvature * slope),
                outcomes.sum_by_cell(curvature * squared),
            )

        for _ in range(self.num_rounds):
            queries = self._step_easiness(outcomes, prior.level(factors) + own, queries, tilt)
            factors = factors + prior.newton_step(factors, likelihood()).clamp(-MAX_STEP, MAX_STEP)
            tilt = slope * outcomes.spread_models(factors[:, 0])
            step, information = map(outcomes.sum_by_cell, compare())
            own = own + _clear_unknown(_step_to_mode(step, information, mass, own))
        # How well a model is known says how likely others are to be much like it: that is counted,
        # and must not be moved by the loss.
        information = outcomes.sum_by_cell(compare()[1])
        known = information.sum(1).detach()
        posterior = update_factors(
            prior, factors, likelihood(), known / (known + self.ability_mass().detach())
        )
        return queries, posterior, own, _clear_unknown(1 / (information + mass))

    def _step_easiness(
        self, outcomes: SupportOutcomes, level: Tensor, before: _Queries, tilt: Tensor | None = None
    ) -> _Queries:
        """One Newton step of the easiness of all queries."""
        residual, curvature = outcomes.compare(level, before.easiness, tilt)
        step, information = outcomes.sum_by_query(residual), outcomes.sum_by_query(curvature)
        mass = self.easiness_mass()
        expected = before.task_easiness[:, outcomes.task]
        if before.promised is not None:
            expected = expected + before.promised
        surprise = before.easiness - expected
        easiness = before.easiness + _step_to_mode(step, information, mass, surprise)
        reliability = weight = information / (information + mass)
        if before.text is not None:
            # At what was expected of the query: at what its answer made of it a wrong answer would
            # weigh more than a right one, and the means of tasks would sink with every round. An
            # amount says the same at any.
            effect = slice(EFFECT, EFFECT + 1)
            tilted = None if tilt is None else tilt[effect]
            curvature = outcomes.compare(level[effect], expected[effect], tilted)[1]
            at_expected = outcomes.sum_by_query(curvature)
            weight = torch.cat(
                [at_expected / (at_expected + mass[effect]), reliability[EFFECT + 1 :]]
            )
        return self._centre(outcomes, easiness, reliability, weight, before.text)

    def _centre(
        self,
        outcomes: SupportOutcomes,
        easiness: Tensor,
        reliability: Tensor,
        weight: Tensor,
        text: Tensor | None,
    ) -> _Queries:
        """The queries around the mean easiness of each task, in which each has a weight (C, S)."""
        by_task = self._average_tasks(easiness, weight, outcomes)
        if text is None:
            return _Queries(easiness, by_task, reliability)
        promised = text - self._average_tasks(text, weight, outcomes)[:, outcomes.task]
        return _Queries(easiness, by_task, reliability, text, promised)

    def _average_tasks(self, easiness: Tensor, weight: Tensor, outcomes: SupportOutcomes) -> Tensor:
        """Mean easiness of each task, shrunk to the overall mean: (C, T + 1)."""
        task, num_tasks = outcomes.task, outcomes.num_tasks
        # A query that hardly anybody answered says little of its task.
        overall = (easiness * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp_min(
            1e-6
        )
        total = sum_segments(easiness * weight, task, num_tasks + 1)
        mass = sum_segments(weight, task, num_tasks + 1)
        mean = (total + self.task_mass() * overall) / (mass + self.task_mass())
        return torch.cat([mean[:, :num_tasks], overall], dim=1)


def _step_to_mode(step: Tensor, information: Tensor, mass: Tensor, distance: Tensor) -> Tensor:
    """A Newton step towards the posterior mode.

    `distance` is how far the estimate is from its prior mean.
    """
    return ((step - mass * distance) / (information + mass)).clamp(-MAX_STEP, MAX_STEP)


def _clear_unknown(by_cell: Tensor) -> Tensor:
    """(C, T + 1, M) with zeros at index T: nothing is special about queries of unknown task."""
    return torch.cat([by_cell[:, :-1], torch.zeros_like(by_cell[:, -1:])], dim=1)
