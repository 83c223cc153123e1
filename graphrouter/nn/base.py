"""The Rasch base: abilities of models and easiness of queries, by unrolled, differentiable Newton rounds on the support."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.nn.layers import PositiveParameter, channel_curvature, channel_mean, masses, segment_sum

_MAX_STEP = 3.0
_MAX_LOGIT = 12.0


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
    """What the base concludes from the support. C channels, S support queries, T tasks, M models, E edges.

    Index T of the task axis stands for "task unknown".
    """

    ability: Tensor
    """(C, M) logit of each model."""
    ability_information: Tensor
    """(C, M) Fisher information behind each ability, prior excluded, >= 0."""
    skill: Tensor
    """(C, T + 1, M) what a model adds to its ability in a task, shrunk to 0; 0 at index T."""
    skill_information: Tensor
    """(C, T + 1, M) Fisher information behind each skill, >= 0."""
    task_easiness: Tensor
    """(C, T + 1) mean easiness of a task; the overall mean at index T."""
    surprise: Tensor
    """(C, S) easiness of a query beyond what its task promises."""
    reliability: Tensor
    """(C, S) share of the surprise that is evidence and not prior, in [0, 1)."""
    residual: Tensor
    """(C, E) outcome minus expected outcome, 0 where not observed."""
    curvature: Tensor
    """(C, E) Fisher information of each outcome, 0 where not observed."""

    def without_edges(self) -> BaseState:
        """The same conclusions with E = 0: the edges are kept once, by row, as the messages of the support."""
        none = self.residual.new_zeros(self.residual.shape[0], 0)
        return self._replace(residual=none, curvature=none)


class RaschBase(nn.Module):
    """An item-response model inside the graph (Rasch 1960; logit P = ability + easiness), with skills by task.

    Every update is a Newton step with a learned prior mass: (sum of residuals) / (information + mass). A message therefore
    has the same scale for a model with five outcomes and for one with five thousand, which is what makes newcomers
    comparable. The logarithmic channels use the same steps with the information of a normal distribution.
    """

    def __init__(self, num_rounds: int) -> None:
        super().__init__()
        self.num_rounds = num_rounds
        self.ability_mass = PositiveParameter(masses(1.0, 2.0))
        self.skill_mass = PositiveParameter(masses(4.0, 4.0))
        self.easiness_mass = PositiveParameter(masses(0.5, 1.0))
        self.task_mass = PositiveParameter(masses(2.0, 2.0))

    def forward(self, edges: SupportEdges, task: Tensor, num_tasks: int, ability_prior: Tensor) -> BaseState:
        """The state of the base.

        Args:
            edges: Outcomes of the support.
            task: (S,) int64 task of each support query; num_tasks = unknown.
            num_tasks: T.
            ability_prior: (C, M) what description and price promise.
        """
        num_support, num_models = task.shape[0], ability_prior.shape[1]
        cell = task[edges.query] * num_models + edges.model  # flat (task, model) index of each edge
        known = (task[edges.query] < num_tasks).to(edges.value.dtype)

        ability = ability_prior
        skill = ability_prior.new_zeros(ability_prior.shape[0], (num_tasks + 1) * num_models)
        level = _level(edges)
        task_easiness = level.expand(-1, num_tasks + 1)
        easiness = task_easiness[:, task]

        def expected() -> tuple[Tensor, Tensor]:
            logit = ability.index_select(1, edges.model) + easiness.index_select(1, edges.query) + skill.index_select(1, cell)
            mean = channel_mean(logit.clamp(-_MAX_LOGIT, _MAX_LOGIT))
            return (edges.value - mean) * edges.observed, channel_curvature(mean) * edges.observed

        for _ in range(self.num_rounds):
            residual, curvature = expected()
            step = segment_sum(residual, edges.query, num_support)
            information = segment_sum(curvature, edges.query, num_support)
            surprise = easiness - task_easiness[:, task]
            easiness = easiness + _newton(step, information, self.easiness_mass(), surprise)
            reliability = information / (information + self.easiness_mass())
            task_easiness = self._task_easiness(easiness, reliability, task, num_tasks)

            residual, curvature = expected()
            step = segment_sum(residual, edges.model, num_models)
            ability_information = segment_sum(curvature, edges.model, num_models)
            ability = ability + _newton(step, ability_information, self.ability_mass(), ability - ability_prior)

            residual, curvature = expected()
            step = segment_sum(residual * known, cell, skill.shape[1])
            skill_information = segment_sum(curvature * known, cell, skill.shape[1])
            skill = skill + _newton(step, skill_information, self.skill_mass(), skill)

        residual, curvature = expected()
        shape = (-1, num_tasks + 1, num_models)
        return BaseState(
            ability=ability,
            ability_information=ability_information,
            skill=skill.view(shape),
            skill_information=skill_information.view(shape),
            task_easiness=task_easiness,
            surprise=easiness - task_easiness[:, task],
            reliability=reliability,
            residual=residual,
            curvature=curvature,
        )

    def _task_easiness(self, easiness: Tensor, reliability: Tensor, task: Tensor, num_tasks: int) -> Tensor:
        """Mean easiness of each task, shrunk to the overall mean: (C, T + 1)."""
        overall = (easiness * reliability).sum(1, keepdim=True) / reliability.sum(1, keepdim=True).clamp_min(1e-6)
        total = segment_sum(easiness * reliability, task, num_tasks + 1)
        weight = segment_sum(reliability, task, num_tasks + 1)
        mean = (total + self.task_mass() * overall) / (weight + self.task_mass())
        return torch.cat([mean[:, :num_tasks], overall], dim=1)


def _newton(step: Tensor, information: Tensor, mass: Tensor, distance: Tensor) -> Tensor:
    """A Newton step towards the posterior mode; `distance` is how far the estimate is from its prior mean."""
    return ((step - mass * distance) / (information + mass)).clamp(-_MAX_STEP, _MAX_STEP)


def _level(edges: SupportEdges) -> Tensor:
    """Mean of each channel over the support, on the logit scale, from one pseudo-outcome on: (C, 1)."""
    count = edges.observed.sum(1, keepdim=True)
    mean = (edges.value.sum(1, keepdim=True)) / count.clamp_min(1)
    effect = (edges.value[:1].sum(1, keepdim=True) + 0.5) / (count[:1] + 1)
    return torch.cat([torch.logit(effect), mean[1:]])
