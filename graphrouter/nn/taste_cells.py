"""Cells of users, whose teams are their parents: their posterior over a grid of variances."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

_VARIANCES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Variances, in squared logits, that deviations of users and of teams may have."""
_CHANCE_OF_NONE = 0.5
"""How likely it is, beforehand, that users do not differ at all; so of teams."""
_MOST_CELLS = 50_000
"""So many of the best known cells say which variances are likely."""
_LEAST_CHANCE = 1e-4
"""Variances that are less likely are left out of the means."""
_LEAST_EVIDENCE = 1.0
"""Bayes factor from which cells are believed to differ at all: from 1 outcomes speak for it rather
than against it (Kass and Raftery 1995, section 3.2)."""


class Cells:
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
        self.believed = Believed(cells, cells, parents, parents)

    def sum_items(self, values: Tensor) -> Tensor:
        """Sums of values (n,) of the items by cell."""
        return sum_by(values, self.cell, len(self.parent))

    def spread(self) -> Tensor:
        """The mean that is believed of the cell of each item: (n,)."""
        return self.believed.mean[self.cell]


class Believed(NamedTuple):
    """What is believed of the cells of a deviation."""

    mean: Tensor
    """(num_cells,)."""
    variance: Tensor
    """(num_cells,)."""
    newcomer: Tensor
    """(num_parents + 1,) of cells of a team without outcomes; 0 at the end, of no team."""
    newcomer_variance: Tensor
    """(num_parents + 1,)."""


def believe(aim: Tensor, known: Tensor, block: Cells) -> Believed:
    """Posterior means and variances of the cells, over the grid of variances.

    All are 0 where outcomes speak against it that cells differ: users of noise would pay for it.

    Args:
        aim: (num_cells,) sums of residuals.
        known: (num_cells,) Fisher information behind them.
        block: What cells are of which team.
    """
    evidence = _weigh_variances(aim, known, block)
    chance = torch.softmax(torch.tensor([each for *_, each in evidence], dtype=aim.dtype), 0)
    if not _is_likely(evidence, chance):
        cells, parents = torch.zeros_like(aim), aim.new_zeros(block.num_parents + 1)
        return Believed(cells, cells, parents, parents)
    first = [torch.zeros_like(aim), aim.new_zeros(block.num_parents + 1)]
    second = [torch.zeros_like(part) for part in first]
    for (of_users, of_teams, _), share in zip(evidence, chance.tolist(), strict=True):
        if share < _LEAST_CHANCE:
            continue
        for i, (mean, variance) in enumerate(find_posterior(aim, known, block, of_users, of_teams)):
            first[i] += share * mean
            second[i] += share * (variance + mean.square())
    left_out = chance[chance >= _LEAST_CHANCE].sum()
    mean, newcomer = (part / left_out for part in first)
    spread, newcomer_spread = (part / left_out for part in second)
    return Believed(
        mean,
        (spread - mean.square()).clamp_min(0),
        newcomer,
        (newcomer_spread - newcomer.square()).clamp_min(0),
    )


def find_posterior(
    aim: Tensor, known: Tensor, block: Cells, of_users: float, of_teams: float
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Mean and variance of each cell, and of a newcomer of each team, at these variances."""
    alone = block.parent == block.num_parents
    own = torch.where(alone, of_users + of_teams, of_users)
    inflation = 1 + own * known
    size = block.num_parents + 1
    of_team, team_known = (
        sum_by(part / inflation * ~alone, block.parent, size) for part in (aim, known)
    )
    team_inflation = 1 + of_teams * team_known
    team, team_variance = of_teams * of_team / team_inflation, of_teams / team_inflation
    leading, doubt = team[block.parent] * ~alone, team_variance[block.parent] * ~alone
    mean = leading + own * (aim - known * leading) / inflation
    variance = own / inflation + doubt / inflation.square()
    return (mean, variance), (team, team_variance + of_users)


def _weigh_variances(aim: Tensor, known: Tensor, block: Cells) -> list[tuple[float, float, float]]:
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
                sum_by(part / inflation * ~alone, parent, block.num_parents + 1)
                for part in (aim, known)
            )
            spread = 1 + of_teams * team_known
            gained = gained + (of_teams * of_team.square() / spread - spread.log()).sum()
            log_prior = sum(map(_log_prior, (of_users, of_teams)))
            found.append((of_users, of_teams, float(gained) / 2 + log_prior))
    return found


def _is_likely(evidence: list[tuple[float, float, float]], chance: Tensor) -> bool:
    """Whether cells differ, by the Bayes factor: posterior odds over prior odds.

    Args:
        evidence: From `_weigh_variances`.
        chance: Posterior chance of each entry.
    """
    pairs = [(of_users, of_teams) for of_users, of_teams, _ in evidence]
    prior = torch.softmax(chance.new_tensor([sum(map(_log_prior, pair)) for pair in pairs]), 0)
    none = pairs.index((0.0, 0.0))
    odds, before = ((1 - part[none]) / part[none] for part in (chance, prior))
    return bool(odds >= _LEAST_EVIDENCE * before)


@cache
def _log_prior(variance: float) -> float:
    """Logarithm of the chance of a variance beforehand: of two, the smaller one is likelier."""
    if variance == 0:
        return math.log(_CHANCE_OF_NONE)
    total = sum(each**-0.5 for each in _VARIANCES if each > 0)
    return math.log((1 - _CHANCE_OF_NONE) * variance**-0.5 / total)


def sum_by(values: Tensor, group: Tensor, size: int) -> Tensor:
    """Sums of values (n,) by group (n,): (size,)."""
    return values.new_zeros(size).index_add_(0, group, values)
