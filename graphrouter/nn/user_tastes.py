"""What users grade otherwise than is expected of anybody: solved for once the base has ended."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT
from graphrouter.features.tables import Askers
from graphrouter.nn.outcomes import MAX_STEP, SupportOutcomes
from graphrouter.nn.taste_cells import Cells, believe, sum_by
from graphrouter.scoring.state import BaseState
from graphrouter.scoring.tastes import Tastes

_NUM_SWEEPS = 5
_NUM_SETTLING = 6
_LEAST_DISPERSION, _MOST_DISPERSION = 0.05, 4.0


class UserTastes(nn.Module):
    """How strictly users grade, and which models they like, in which tasks.

    An effect of who asks is a sum of three deviations from what is expected of anybody:

        logit = base + strictness[user] + taste[user, model] + kind[user, task, model],

    each of them normal around that of the team of the user, which is normal around 0, the pool:
    hierarchical empirical Bayes (Gelman and Hill 2007, chapter 12). Strictness is what the easiness
    of a user's queries has in common, since each query is of one user; the others are found with
    the easiness profiled out, as in `TextSkills`. The deviations take turns (backfitting), and each
    is the mean of its posterior over a grid of variances that holds 0, by marginal likelihood
    (Rasmussen and Williams 2006, equation 2.30): where users are noise, 0 is what they are believed
    to be. There is nothing to train, and no gradient goes through.
    """

    @torch.no_grad()
    def forward(
        self,
        askers: Askers,
        outcomes: SupportOutcomes,
        base: BaseState,
        tilt: Tensor | None,
        expected: Tensor,
        easiness_mass: Tensor,
    ) -> SolvedTastes:
        """The deviations, and the base without what they explain of its residuals and surprises.

        Args:
            askers: Who asked the support queries.
            outcomes: Of the support.
            base: What was concluded of them.
            tilt: (1, E) what texts add to the logit of each outcome; nothing without it.
            expected: (S,) easiness that a query of its task and text has.
            easiness_mass: () prior precision of the easiness that is a query's own.
        """
        fit = _Fit(askers, outcomes, base, tilt, expected, easiness_mass)
        before = fit.compare()
        for _ in range(_NUM_SWEEPS):
            for block in fit.blocks:
                fit.solve(block)
        tastes = fit.summarise(base.ability.dtype)
        changed = (after - start for after, start in zip(fit.compare(), before, strict=True))
        residual, curvature, own = (part.to(base.residual.dtype) for part in changed)
        is_effect = torch.arange(len(base.residual), device=residual.device)[:, None] == EFFECT
        left = base._replace(
            residual=base.residual + is_effect * residual,
            curvature=base.curvature + is_effect * curvature,
            surprise=base.surprise + is_effect * own,
        )
        return SolvedTastes(tastes, left, fit.tell().to(base.residual.dtype))


class SolvedTastes(NamedTuple):
    """What users of a support grade otherwise, and what that leaves to the base."""

    tastes: Tastes
    base: BaseState
    """Without what tastes explain of its residuals and surprises."""
    told: Tensor
    """(E,) what who asked adds to the logit of each outcome of the support."""


class _Fit:
    """The working model: residuals at what is believed of queries and users."""

    def __init__(
        self,
        askers: Askers,
        outcomes: SupportOutcomes,
        base: BaseState,
        tilt: Tensor | None,
        expected: Tensor,
        easiness_mass: Tensor,
    ) -> None:
        """A fit in which users deviate in nothing; arguments as of `UserTastes.forward`."""
        effect = slice(EFFECT, EFFECT + 1)
        self._outcomes, self._team = outcomes, askers.team
        self._level = (base.ability[effect, None] + base.skill[effect]).double()
        self._tilt = 0.0 if tilt is None else tilt.double()
        self._expected, self._mass = expected.double(), easiness_mass.double()
        self._easiness = (base.surprise[effect] + base.task_easiness[effect, outcomes.task])[0]
        self._easiness = self._easiness.double()
        self._strictness = torch.zeros_like(self._expected)
        self._taste = torch.zeros(
            len(outcomes.query), dtype=torch.float64, device=outcomes.query.device
        )
        self._make_blocks(askers)
        for _ in range(_NUM_SETTLING):  # to the mode: what is left must not move without tastes
            self._settle()

    def _make_blocks(self, askers: Askers) -> None:
        outcomes, num_models = self._outcomes, self._outcomes.num_models
        num_askers, num_teams = len(askers.team), int(askers.team.max())
        num_tasks, device = outcomes.num_tasks, askers.team.device
        models = torch.arange(num_models, device=device)
        asked = (askers.of_query >= 0).nonzero().squeeze(1)
        everybody = torch.zeros(num_askers, dtype=torch.int64, device=device)
        strictness = Cells(
            "strictness", asked, askers.of_query[asked], askers.team, num_teams, everybody
        )
        who = askers.of_query[outcomes.query]
        edge = ((who >= 0) & (outcomes.observed[EFFECT] > 0)).nonzero().squeeze(1)
        who, model = who[edge], outcomes.model[edge]
        taste = Cells(
            "taste",
            edge,
            who * num_models + model,
            _pair(askers.team, models, num_teams),
            num_teams * num_models,
            models.repeat(num_askers),
        )
        task = outcomes.task[outcomes.query[edge]]
        in_task = task < num_tasks
        pairs, row = torch.unique(who[in_task] * num_tasks + task[in_task], return_inverse=True)
        self._pair_asker = torch.div(pairs, max(num_tasks, 1), rounding_mode="floor")
        self._pair_task = pairs - self._pair_asker * num_tasks
        team = askers.team[self._pair_asker]
        of_team = torch.where(team < num_teams, team * num_tasks + self._pair_task, -1)
        kind = Cells(
            "kind",
            edge[in_task],
            row * num_models + model[in_task],
            _pair(
                torch.where(of_team < 0, num_teams * num_tasks, of_team),
                models,
                num_teams * num_tasks,
            ),
            num_teams * num_tasks * num_models,
            (self._pair_task[:, None] * num_models + models).flatten(),
        )
        self.blocks = (strictness, taste, kind)

    def compare(self) -> tuple[Tensor, Tensor, Tensor]:
        """Residual and information of each outcome, (E,) each, and what is a query's own (S,)."""
        residual, information = self._compare()
        return residual, information, self._easiness - self._strictness

    def tell(self) -> Tensor:
        """What who asked adds to the logit of each outcome: (E,)."""
        return self._taste + self._strictness[self._outcomes.query]

    def _compare(self) -> tuple[Tensor, Tensor]:
        tilt = (self._tilt + self._taste).reshape(1, -1)
        found = self._outcomes.compare(self._level, self._easiness[None], tilt)
        return found[0][0], found[1][0]

    def _settle(self) -> None:
        """One Newton step of the easiness of all queries."""
        residual, information = self._compare()
        step, total = (self._by_query(part) for part in (residual, information))
        off = self._easiness - self._expected - self._strictness
        step = (step - self._mass * off) / (total + self._mass)
        self._easiness = self._easiness + step.clamp(-MAX_STEP, MAX_STEP)

    def _by_query(self, values: Tensor) -> Tensor:
        return sum_by(values, self._outcomes.query, len(self._expected))

    def solve(self, block: Cells) -> None:
        """Find one deviation, the others as they are believed to be."""
        if not len(block.item):
            return
        residual, information = self._compare()
        total = self._by_query(information)
        if block.name == "strictness":
            # What a query's outcomes pull it away from what was expected: the slope of its prior.
            step = self._mass * (self._easiness - self._expected - self._strictness)
            left = self._mass * total / (total + self._mass)
        else:
            step = residual
            left = information * (1 - information / (total[self._outcomes.query] + self._mass))
        step, left = step[block.item], left[block.item]
        dispersion = step.square().sum() / left.sum().clamp_min(1e-12)
        dispersion = dispersion.clamp(_LEAST_DISPERSION, _MOST_DISPERSION)
        before = block.spread()
        aim = block.sum_items((step + left * before) / dispersion)
        known = block.sum_items(left / dispersion)
        size = int(block.pool.max()) + 1
        # The mean of all is the pool's, which the base has found.
        mean = sum_by(aim, block.pool, size) / sum_by(known, block.pool, size).clamp_min(1e-12)
        block.believed = believe(aim - known * mean[block.pool], known, block)
        change = block.spread() - before
        if block.name == "strictness":
            self._strictness = self._strictness.index_add(0, block.item, change)
        else:
            self._taste = self._taste.index_add(0, block.item, change)
        self._settle()

    def summarise(self, dtype: torch.dtype) -> Tastes:
        """What is believed of users, as it is served."""
        strictness, taste, kind = (block.believed for block in self.blocks)
        num_askers, num_models = len(self._team), self._outcomes.num_models
        num_teams, num_tasks = int(self._team.max()), self._outcomes.num_tasks
        parts = []
        for ending in ("", "_variance"):
            of_user = "variance" if ending else "mean"
            strict = getattr(strictness, of_user), getattr(strictness, f"newcomer{ending}")
            liked = getattr(taste, of_user), getattr(taste, f"newcomer{ending}")
            # Newcomers are their teams, whoever of a team asked without a name.
            last = num_askers - num_teams - 1
            by_user = strict[0][:last, None] + liked[0].view(num_askers, -1)[:last]
            parts.append(torch.cat([by_user, strict[1][:, None] + _end(liked[1], num_models)]))
            of_team = _end(getattr(kind, f"newcomer{ending}"), num_models)
            of_team = torch.cat([of_team[:-1], of_team[-1:].expand(num_tasks, -1)])
            of_team = of_team.view(num_teams + 1, num_tasks, num_models)
            team = self._team[self._pair_asker]
            own = getattr(kind, of_user).view(-1, num_models) - of_team[team, self._pair_task]
            parts += [of_team, own]
        shift, team_kind, own_kind, variance, team_variance, own_variance = (
            part.to(dtype) for part in parts
        )
        count = torch.bincount(self._pair_asker, minlength=num_askers)
        start = torch.cat([count.new_zeros(1), count.cumsum(0)])
        return Tastes(
            shift,
            variance,
            self._team,
            team_kind,
            team_variance,
            start,
            self._pair_task,
            own_kind,
            own_variance,
        )


def _pair(group: Tensor, models: Tensor, num_groups: int) -> Tensor:
    """Cells of groups by models, flat; those of the group behind the last are all the last cell."""
    cell = group[:, None] * len(models) + models
    return torch.where(group[:, None] < num_groups, cell, num_groups * len(models)).flatten()


def _end(newcomer: Tensor, num_models: int) -> Tensor:
    """Newcomers by model (n + 1, M), of which the last value, of no team, is that of all models."""
    by_team = newcomer[:-1].view(-1, num_models)
    return torch.cat([by_team, newcomer[-1:].expand(1, num_models)])
