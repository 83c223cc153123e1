"""What the text of a query says about each model, solved for together with its skills in tasks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT
from graphrouter.nn.layers import factorise, is_large_pool, sum_segments
from graphrouter.nn.outcomes import SupportOutcomes

_VARIANCES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Variances, in squared logits, that skills a task and texts may have: a grid of both."""
_MOST_ASKED = 8
"""So many of the best known models say which variances are likely."""
_MOST_COORDINATES = 32
"""So many coordinates, the widest, say it: the others hold little of the text."""
_ROWS_AT_ONCE = 512
"""Texts of so many outcomes stay in the cache between one operation and the next."""
_FEW_OUTCOMES = (16, 32, 64)
"""Models of a large pool with up to so many outcomes are solved for by these."""
_MODELS_AT_ONCE = 128
_PAIRS_AT_ONCE = 2**22
"""Of a query and a model: 32 MiB in double precision."""
_LEAST_ROOT = 1e-12
_LEAST_DISPERSION, _MOST_DISPERSION = 0.05, 2.0
_WELL_KNOWN = 30.0
"""Fisher information of a model, in its outcomes, that weighs as much as the pool: about 150
outcomes."""


class TextSkills(nn.Module):
    """Skills a task and slopes along the text, one joint regression a model.

    Where tasks are many and small, a skill a task is mostly noise, and a regression on what it
    leaves finds nothing more. So both are solved for at once, around what the pool promises:

        logit = ability + easiness + promised[task] + own[task] + slopes . text,
        own ~ N(0, a) in each task,  slopes . text ~ N(0, b) on an average query,

    by one Newton step from where the rounds of the base ended. The easiness of each query is
    profiled out of the information, and outcomes vary by a dispersion that the support shows
    (McCullagh and Nelder 1989, section 4.5): means of several answers vary less than single ones.
    The variances a and b are the pool's own: means over a grid by marginal likelihood. There is
    nothing to train, and no gradient goes through but that of ability and promise.
    """

    def forward(
        self,
        outcomes: SupportOutcomes,
        principal: Tensor,
        easiness: Tensor,
        level: Tensor,
        promised: Tensor,
        easiness_mass: Tensor,
    ) -> SolvedSkills:
        """The skills and slopes of the effect.

        Args:
            outcomes: Of the support.
            principal: (S, P) coordinates of the support queries.
            easiness: (C, S) of the support queries.
            level: (C, T + 1, M) of the models, where the step starts.
            promised: (C, T + 1, M) what the pool says of each model; see `promise_levels`.
            easiness_mass: (C, 1) prior precision of the easiness that is a query's own.
        """
        ability = level[EFFECT, -1:]
        aim = promised[EFFECT] - promised[EFFECT, -1:] + ability
        with torch.no_grad():
            step, information = _profile_out(outcomes, easiness, level, easiness_mass)
            scale = principal.square().sum(1).mean().sqrt().clamp_min(1e-12)
            lead = (level[EFFECT] - aim).double()[outcomes.task[outcomes.query], outcomes.model]
            solve = _solve_each if is_large_pool(outcomes.num_models) else _solve_all
            found = solve(outcomes, principal / scale, information, step + information * lead)
            own, slopes = (part.to(level.dtype) for part in found)
        skilled = torch.cat([aim[:-1] + own.mT, ability])
        return SolvedSkills(
            torch.cat([skilled.unsqueeze(0), level[EFFECT + 1 :]]),
            (slopes / scale).to(principal.dtype).unsqueeze(0),
        )


class SolvedSkills(NamedTuple):
    """C channels, T tasks, M models, P coordinates."""

    level: Tensor
    """(C, T + 1, M) of the models; channels that were not solved for as they were."""
    slopes: Tensor
    """(1, M, P) of each model along the principal coordinates, for the effect."""

    def tilt(self, outcomes: SupportOutcomes, principal: Tensor) -> Tensor:
        """What the slopes add to the logit of each outcome: (C, E)."""
        effect = spread_slopes(outcomes, principal, self.slopes[EFFECT])
        rest = effect.new_zeros(len(self.level) - 1, len(effect))
        return torch.cat([effect.unsqueeze(0), rest])


def spread_slopes(outcomes: SupportOutcomes, principal: Tensor, slopes: Tensor) -> Tensor:
    """What the slopes of the models say of the text of each outcome: (E,).

    A pair costs one number while it is at work. Those of a long log and a large pool, most of which
    were never run, would be the largest thing in memory: they are taken some queries at a time.

    Args:
        outcomes: Of the support, those of a query together, queries in ascending order.
        principal: (S, P) coordinates of the support queries.
        slopes: (M, P).
    """
    at_once = max(1, _PAIRS_AT_ONCE // max(len(slopes), 1))
    if len(principal) <= at_once:
        return (principal @ slopes.mT)[outcomes.query, outcomes.model]
    found = []
    for first, rows in enumerate(torch.split(principal, at_once)):
        start = first * at_once
        ends = torch.tensor([start, start + len(rows)], device=principal.device)
        edges = slice(*torch.searchsorted(outcomes.query, ends).tolist())
        told = rows @ slopes.mT
        found.append(told[outcomes.query[edges] - start, outcomes.model[edges]])
    return torch.cat(found)


def promise_levels(by_others: Tensor, by_all: Tensor, information: Tensor) -> Tensor:
    """What the pool promises of the level of each model in each task: (C, T + 1, M).

    A model that is well known must not promise itself what its own outcomes said: they would count
    twice. One that is hardly known has its place in the pool from the few that it has.

    Args:
        by_others: (C, T + 1, M) levels by the cards and the other models.
        by_all: (C, T + 1, M) levels by its own outcomes too.
        information: (C, T + 1, M) Fisher information of its outcomes.
    """
    known = information.sum(1, keepdim=True)
    share = _WELL_KNOWN / (_WELL_KNOWN + known)
    return share * by_all + (1 - share) * by_others


class _Equations(NamedTuple):
    """Normal equations of each model: of its skills in T tasks, and of its P slopes."""

    tasks: Tensor
    """(M, T) diagonal: no query is of two tasks."""
    cross: Tensor
    """(M, T, P)."""
    texts: Tensor
    """(M, P, P)."""
    task_aim: Tensor
    """(M, T)."""
    text_aim: Tensor
    """(M, P)."""

    def take(self, models: Tensor, num_coordinates: int) -> _Equations:
        """Those of some models, along the first coordinates alone."""
        num = num_coordinates
        return _Equations(
            self.tasks[models],
            self.cross[models, :, :num],
            self.texts[models, :num, :num],
            self.task_aim[models],
            self.text_aim[models, :num],
        )


def _profile_out(
    outcomes: SupportOutcomes, easiness: Tensor, level: Tensor, easiness_mass: Tensor
) -> tuple[Tensor, Tensor]:
    """Residual and information of each outcome, (E,) each, over the dispersion.

    A query's easiness is fitted to its outcomes, which takes a part of what each says about its
    model: of var(residual) = (1/information + 1/mass of all together)^-1, the diagonal.
    """
    residual, information = (
        part[EFFECT].double()
        for part in outcomes.compare(level[: EFFECT + 1].detach(), easiness[: EFFECT + 1].detach())
    )
    total = outcomes.sum_by_query(information.unsqueeze(0))[0][outcomes.query]
    left = information * (1 - information / (total + easiness_mass[EFFECT].double()))
    dispersion = (residual.square().sum() / left.sum().clamp_min(1e-12)).clamp(
        _LEAST_DISPERSION, _MOST_DISPERSION
    )
    return residual / dispersion, left / dispersion


def _solve_all(
    outcomes: SupportOutcomes, text: Tensor, information: Tensor, aim: Tensor
) -> tuple[Tensor, Tensor]:
    """Skills (M, T) and slopes (M, P) of all models; arguments of `_collect_equations`."""
    every = torch.arange(outcomes.num_models, device=text.device)
    equations = _collect_equations(outcomes, text, information, aim, every)
    return _solve(equations, *_find_variances(equations))


def _solve_each(
    outcomes: SupportOutcomes, text: Tensor, information: Tensor, aim: Tensor
) -> tuple[Tensor, Tensor]:
    """As `_solve_all` for a large pool, with the memory of some models at a time.

    A model with fewer outcomes than coordinates is solved for in the space of its outcomes.
    """
    known = information * text.square().sum(1).double()[outcomes.query]
    weight = sum_segments(known.unsqueeze(0), outcomes.model, outcomes.num_models)[0]
    best = torch.argsort(weight, descending=True, stable=True)[:_MOST_ASKED]
    variances = _find_variances(_collect_equations(outcomes, text, information, aim, best))
    own = text.new_zeros(outcomes.num_models, outcomes.num_tasks, dtype=torch.float64)
    slopes = text.new_zeros(outcomes.num_models, text.shape[1], dtype=torch.float64)
    count = torch.bincount(outcomes.model, minlength=outcomes.num_models)
    smallest = 0
    for largest in (*_FEW_OUTCOMES, None):
        is_meant = count > smallest
        if largest is not None:
            is_meant, smallest = is_meant & (count <= largest), largest
        for models in torch.split(is_meant.nonzero().squeeze(1), _MODELS_AT_ONCE):
            if largest is None:
                equations = _collect_equations(outcomes, text, information, aim, models)
                found = _solve(equations, *variances)
            else:
                edges, is_edge = _list_edges(outcomes, models, largest)
                root = information[edges].sqrt() * is_edge
                aimed = aim[edges] / root.clamp_min(_LEAST_ROOT) * (root > 0)
                found = _solve_by_outcomes(outcomes, text, edges, root, aimed, *variances)
            own[models], slopes[models] = found
    return own, slopes


def _list_edges(outcomes: SupportOutcomes, models: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Positions (n, most) of the outcomes of some models, and which of them are any."""
    order = torch.argsort(outcomes.model, stable=True)
    count = torch.bincount(outcomes.model, minlength=outcomes.num_models)
    start = (count.cumsum(0) - count)[models]
    place = torch.arange(most, device=models.device)
    is_edge = place < count[models].unsqueeze(1)
    last = len(order) - 1
    return order[(start.unsqueeze(1) + place).clamp_max(last)], is_edge


def _solve_by_outcomes(
    outcomes: SupportOutcomes,
    text: Tensor,
    edges: Tensor,
    root: Tensor,
    aimed: Tensor,
    of_tasks: float,
    of_texts: float,
) -> tuple[Tensor, Tensor]:
    """Skills (n, T) and slopes (n, P) of models with few outcomes: the same posterior means.

    As Gaussian process regression, whose matrix is that of the outcomes (Rasmussen and Williams
    2006, section 2.1.2, equation 2.12).

    Args:
        outcomes: Of the support.
        text: (S, P).
        edges: (n, O) positions of the outcomes of each model.
        root: (n, O) root of the information, 0 where there is no outcome.
        aimed: (n, O) root x what is to be explained.
        of_tasks: Variance of skills.
        of_texts: Variance of what texts say.
    """
    query = outcomes.query[edges]
    rows, task = text[query].double(), outcomes.task[query]
    in_task = nn.functional.one_hot(task, outcomes.num_tasks + 1)[:, :, :-1].double()
    alike = of_texts * rows @ rows.mT + of_tasks * in_task @ in_task.mT
    matrix = root.unsqueeze(2) * alike * root.unsqueeze(1)
    factor = factorise(matrix + _identity(matrix), "what texts say of the models")
    pull = root * torch.cholesky_solve(aimed.unsqueeze(2), factor).squeeze(2)
    own = of_tasks * (in_task * pull.unsqueeze(2)).sum(1)
    return own, of_texts * (rows * pull.unsqueeze(2)).sum(1)


def _collect_equations(
    outcomes: SupportOutcomes, text: Tensor, information: Tensor, aim: Tensor, models: Tensor
) -> _Equations:
    """The equations of skills and slopes of some models with the text (S, P) of each query.

    Args:
        outcomes: Of the support.
        text: (S, P).
        information: (E,).
        aim: (E,) information x what is to be explained.
        models: (n,) int64, in the order of the equations.
    """
    # Sums in the precision of the text: in training these products are half of the work.
    information, aim = information.to(text.dtype), aim.to(text.dtype)
    order = torch.argsort(outcomes.model, stable=True)
    counts = torch.bincount(outcomes.model, minlength=outcomes.num_models).tolist()
    num_models, num_rows, size = len(models), outcomes.num_tasks + 1, text.shape[1]
    # Queries of unknown task are of none: the last row is left out in the end.
    tasks, task_aim = text.new_zeros(2, num_models, num_rows)
    cross = text.new_zeros(num_models, num_rows, size)
    texts = text.new_zeros(num_models, size, size)
    text_aim = text.new_zeros(num_models, size)
    edges_of = torch.split(order, counts)
    for model, number in enumerate(models.tolist()):
        for edges in torch.split(edges_of[number], _ROWS_AT_ONCE):
            query, weight, aimed = outcomes.query[edges], information[edges], aim[edges]
            task, rows = outcomes.task[query], text[query]
            weighted = rows * weight.unsqueeze(1)
            tasks[model].index_add_(0, task, weight)
            task_aim[model].index_add_(0, task, aimed)
            cross[model].index_add_(0, task, weighted)
            texts[model].addmm_(weighted.mT, rows)
            text_aim[model].addmv_(rows.mT, aimed)
    sums = tasks[:, :-1], cross[:, :-1], texts, task_aim[:, :-1], text_aim
    return _Equations(*(part.double() for part in sums))


def _solve(equations: _Equations, of_tasks: float, of_texts: float) -> tuple[Tensor, Tensor]:
    """Skills (M, T) and slopes (M, P): posterior means, at the variances that the pool shows."""
    reduced = _without_tasks(equations, of_tasks)
    matrix = reduced.matrix * of_texts
    factor = factorise(matrix + _identity(matrix), "what texts say of the models")
    slopes = torch.cholesky_solve(of_texts * reduced.aim.unsqueeze(2), factor)
    told = (equations.cross @ slopes).squeeze(2)
    return reduced.shrinkage * (equations.task_aim - told), slopes.squeeze(2)


def _find_variances(equations: _Equations) -> tuple[float, float]:
    """Variances of skills and of what texts say: means over the grid by marginal likelihood.

    Those of the best known models, along the widest coordinates (Rasmussen and Williams 2006,
    equation 2.30).
    """
    known = equations.texts.diagonal(dim1=1, dim2=2).sum(1)
    best = torch.argsort(known, descending=True, stable=True)[:_MOST_ASKED]
    asked = equations.take(best, _MOST_COORDINATES)
    variances = known.new_tensor(_VARIANCES)
    evidence = torch.stack(
        [_without_tasks(asked, of_tasks).evidence(variances) for of_tasks in _VARIANCES]
    )
    belief = torch.softmax(evidence.flatten(), 0).view_as(evidence)
    return float(belief.sum(1) @ variances), float(belief.sum(0) @ variances)


class _TextEquations(NamedTuple):
    """Equations of the slopes alone, the skills integrated out."""

    matrix: Tensor
    """(M, P, P)."""
    aim: Tensor
    """(M, P)."""
    shrinkage: Tensor
    """(M, T) posterior variance of each skill, slopes given."""
    gained: Tensor
    """(M,) log marginal likelihood of the skills without slopes."""

    def evidence(self, variances: Tensor) -> Tensor:
        """Log marginal likelihood of all models at each variance (V,): (V,), up to a constant."""
        scale = variances[:, None, None, None]
        matrix = scale * self.matrix
        factor = factorise(matrix + _identity(matrix), "what texts say of the models")
        half = torch.linalg.solve_triangular(
            factor, scale.sqrt() * self.aim.unsqueeze(2), upper=False
        )
        volume = factor.diagonal(dim1=2, dim2=3).log().sum(2)
        found: Tensor = (self.gained + half.square().sum((2, 3)) / 2 - volume).sum(1)
        return found


def _without_tasks(equations: _Equations, variance: float) -> _TextEquations:
    """The equations of the slopes where skills have this variance (a Schur complement)."""
    inflation = 1 + variance * equations.tasks
    shrinkage = variance / inflation
    shrunk = shrinkage.unsqueeze(2) * equations.cross
    aim = equations.text_aim - (shrunk.mT @ equations.task_aim.unsqueeze(2)).squeeze(2)
    gained = (shrinkage * equations.task_aim.square() - inflation.log()).sum(1) / 2
    return _TextEquations(equations.texts - equations.cross.mT @ shrunk, aim, shrinkage, gained)


def _identity(matrix: Tensor) -> Tensor:
    """(n, n) for matrices (..., n, n), of their precision and device."""
    return torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
