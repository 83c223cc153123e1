"""What users grade otherwise than is expected of anybody: solved for once the base has ended."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT
from graphrouter.features.tables import Askers
from graphrouter.nn.outcomes import MAX_STEP, SupportOutcomes
from graphrouter.scoring.state import BaseState
from graphrouter.scoring.tastes import Tastes

_VARIANCES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Variances, in squared logits, that deviations of users and of teams may have."""
_CHANCE_OF_NONE = 0.5
"""How likely it is, beforehand, that users do not differ at all; so of teams."""
_NUM_SWEEPS = 5
_NUM_SETTLING = 6
_MOST_CELLS = 50_000
"""So many of the best known cells say which variances are likely."""
_LEAST_CHANCE = 1e-4
"""Variances that are less likely are left out of the means."""
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


class _Cells:
    """One of the three deviations: its cells, their parents in teams, and what is believed."""

    def __init__(
        self, name: str, item: Tensor, cell: Tensor, parent: Tensor, num_parents: int, pool: Tensor
    ) -> None:
        """Cells of which nothing is known yet.

        Args:
            name: strictness, taste or kind.
            item: (n,) positions of the queries, or of the outcomes, that say something.
            cell: (n,) the cell that each is of.
            parent: (num_cells,) cell of the team that each belongs to; num_parents = none.
            num_parents: How many of those there are.
            pool: (num_cells,) cells whose mean is that of the pool.
        """
        self.name, self.item, self.cell = name, item, cell
        self.parent, self.num_parents, self.pool = parent, num_parents, pool
        cells = torch.zeros(len(parent), dtype=torch.float64, device=parent.device)
        parents = cells.new_zeros(num_parents + 1)
        self.believed = _Believed(cells, cells, parents, parents)

    def sum_items(self, values: Tensor) -> Tensor:
        """Sums of values (n,) of the items by cell."""
        return _sum_by(values, self.cell, len(self.parent))

    def spread(self) -> Tensor:
        """The mean that is believed of the cell of each item: (n,)."""
        return self.believed.mean[self.cell]


class _Believed(NamedTuple):
    """What is believed of the cells of a deviation."""

    mean: Tensor
    """(num_cells,)."""
    variance: Tensor
    """(num_cells,)."""
    newcomer: Tensor
    """(num_parents + 1,) of cells of a team without outcomes; 0 at the end, of no team."""
    newcomer_variance: Tensor
    """(num_parents + 1,)."""


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
        strictness = _Cells(
            "strictness", asked, askers.of_query[asked], askers.team, num_teams, everybody
        )
        who = askers.of_query[outcomes.query]
        edge = ((who >= 0) & (outcomes.observed[EFFECT] > 0)).nonzero().squeeze(1)
        who, model = who[edge], outcomes.model[edge]
        taste = _Cells(
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
        kind = _Cells(
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
        return _sum_by(values, self._outcomes.query, len(self._expected))

    def solve(self, block: _Cells) -> None:
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
        mean = _sum_by(aim, block.pool, size) / _sum_by(known, block.pool, size).clamp_min(1e-12)
        block.believed = _believe(aim - known * mean[block.pool], known, block)
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


def _believe(aim: Tensor, known: Tensor, block: _Cells) -> _Believed:
    """Posterior means and variances of the cells, over the grid of variances.

    Args:
        aim: (num_cells,) sums of residuals.
        known: (num_cells,) Fisher information behind them.
        block: What cells are of which team.
    """
    evidence = _weigh_variances(aim, known, block)
    chance = torch.softmax(torch.tensor([each for *_, each in evidence], dtype=aim.dtype), 0)
    first = [torch.zeros_like(aim), aim.new_zeros(block.num_parents + 1)]
    second = [torch.zeros_like(part) for part in first]
    for (of_users, of_teams, _), share in zip(evidence, chance.tolist(), strict=True):
        if share < _LEAST_CHANCE:
            continue
        for i, (mean, variance) in enumerate(
            _find_posterior(aim, known, block, of_users, of_teams)
        ):
            first[i] += share * mean
            second[i] += share * (variance + mean.square())
    left_out = chance[chance >= _LEAST_CHANCE].sum()
    mean, newcomer = (part / left_out for part in first)
    spread, newcomer_spread = (part / left_out for part in second)
    return _Believed(
        mean,
        (spread - mean.square()).clamp_min(0),
        newcomer,
        (newcomer_spread - newcomer.square()).clamp_min(0),
    )


def _find_posterior(
    aim: Tensor, known: Tensor, block: _Cells, of_users: float, of_teams: float
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Mean and variance of each cell, and of a newcomer of each team, at these variances."""
    alone = block.parent == block.num_parents
    own = torch.where(alone, of_users + of_teams, of_users)
    inflation = 1 + own * known
    size = block.num_parents + 1
    of_team, team_known = (
        _sum_by(part / inflation * ~alone, block.parent, size) for part in (aim, known)
    )
    team_inflation = 1 + of_teams * team_known
    team, team_variance = of_teams * of_team / team_inflation, of_teams / team_inflation
    leading, doubt = team[block.parent] * ~alone, team_variance[block.parent] * ~alone
    mean = leading + own * (aim - known * leading) / inflation
    variance = own / inflation + doubt / inflation.square()
    return (mean, variance), (team, team_variance + of_users)


def _weigh_variances(aim: Tensor, known: Tensor, block: _Cells) -> list[tuple[float, float, float]]:
    """Each pair of variances, of users and of teams, with its log evidence up to a constant."""
    parent = block.parent
    if len(aim) > _MOST_CELLS:
        best = torch.topk(known, _MOST_CELLS).indices
        aim, known, parent = aim[best], known[best], parent[best]
    alone = parent == block.num_parents
    teams = (0.0,) if bool(alone[known > 0].all()) else _VARIANCES
    found = []
    for of_users in _VARIANCES:
        for of_teams in teams:
            own = torch.where(alone, of_users + of_teams, of_users)
            inflation = 1 + own * known
            gained = (own * aim.square() / inflation - inflation.log()).sum()
            of_team, team_known = (
                _sum_by(part / inflation * ~alone, parent, block.num_parents + 1)
                for part in (aim, known)
            )
            spread = 1 + of_teams * team_known
            gained = gained + (of_teams * of_team.square() / spread - spread.log()).sum()
            log_prior = sum(map(_log_prior, (of_users, of_teams)))
            found.append((of_users, of_teams, float(gained) / 2 + log_prior))
    return found


def _log_prior(variance: float) -> float:
    """Logarithm of the chance of a variance beforehand: of two, the smaller one is likelier."""
    if variance == 0:
        return math.log(_CHANCE_OF_NONE)
    total = sum(each**-0.5 for each in _VARIANCES if each > 0)
    return math.log((1 - _CHANCE_OF_NONE) * variance**-0.5 / total)


def _pair(group: Tensor, models: Tensor, num_groups: int) -> Tensor:
    """Cells of groups by models, flat; those of the group behind the last are all the last cell."""
    cell = group[:, None] * len(models) + models
    return torch.where(group[:, None] < num_groups, cell, num_groups * len(models)).flatten()


def _end(newcomer: Tensor, num_models: int) -> Tensor:
    """Newcomers by model (n + 1, M), of which the last value, of no team, is that of all models."""
    by_team = newcomer[:-1].view(-1, num_models)
    return torch.cat([by_team, newcomer[-1:].expand(1, num_models)])


def _sum_by(values: Tensor, group: Tensor, size: int) -> Tensor:
    """Sums of values (n,) by group (n,): (size,)."""
    return values.new_zeros(size).index_add_(0, group, values)
