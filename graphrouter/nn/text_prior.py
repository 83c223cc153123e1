"""What texts promise of the easiness of support queries, given who was asked."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT
from graphrouter.nn.asked_models import predict_asked, predict_asked_sparsely
from graphrouter.nn.layers import (
    channel_curvature,
    channel_mean,
    factorise,
    is_large_pool,
    sum_segments,
)
from graphrouter.nn.outcomes import EasinessStart, SupportOutcomes
from graphrouter.nn.sparse_pairs import AbilityEquations, PairTable

_TEXT_VARIANCES = (0.1, 0.5, 2.0)
"""Variances of the easiness, in squared logits, that texts may explain; beside none at all."""
_SPECTRA = (0, 1, 2)
"""How a coordinate's share of that variance falls with its own: not, as fast, or twice as fast."""
_NEWTON_STEPS = 3
_OVERALL_PRECISION = 0.01
"""Of the mean easiness around that of all outcomes: hardly held."""
_ASKED_PRECISION = 0.1
"""Of what a predicted share of a model, in standard deviations, may say of the easiness."""
_LEAST_SPREAD = 1e-9
"""Of a coordinate, beside the widest: one that is the same for all queries explains nothing."""
_MAX_LOGIT = 8.0


class TextPrior(nn.Module):
    """What text and task promise of the easiness of support queries, given who answered them.

    A query that was answered once says little by itself: the model may be able, or the query easy.
    Where somebody who looked at the difficulty chose the model, levels that take each answer for
    themselves mistake the one for the other: a strong model looks weak since it was sent the hard
    prompts. So abilities, tasks and texts are solved for together, and the easiness that is the
    query's own is integrated out:

        logit = ability + overall + task + asked . weights + text . slopes + own,
        own ~ N(0, 1 / easiness mass), asked = what task and text tell of who was asked

    by Newton's method on the marginal of `own` (Laplace), as generalised linear mixed models are
    fitted (Breslow and Clayton 1993, section 2). How much texts may explain, and whether wide
    coordinates explain more than narrow ones, is averaged by marginal likelihood over a small grid,
    which also holds "nothing". There is nothing to train, and no gradient goes through.
    """

    def __init__(self, *, is_foretold: bool = True) -> None:
        """A prior.

        Args:
            is_foretold: Whether who was asked counts as far as other queries foretell it, or in
                full.
        """
        super().__init__()
        self.is_foretold = is_foretold

    def forward(
        self,
        outcomes: SupportOutcomes,
        principal: Tensor,
        ability_mass: Tensor,
        task_mass: Tensor,
        easiness_mass: Tensor,
    ) -> EasinessStart:
        """Where the rounds of the base start.

        Args:
            outcomes: Of the support.
            principal: (S, P) coordinates of the support queries.
            ability_mass: (C, 1) prior precision of an ability.
            task_mass: (C, 1) prior mass of a task's mean, in queries that are fully known.
            easiness_mass: (C, 1) prior precision of the easiness that is a query's own.
        """
        with torch.no_grad():
            own = easiness_mass.detach().double()
            text = principal.detach().double()
            in_task = nn.functional.one_hot(outcomes.task, outcomes.num_tasks + 1)
            known_task = in_task[:, : outcomes.num_tasks].double()
            features = torch.cat([known_task, text], 1)
            is_large = is_large_pool(outcomes.num_models)
            predict = predict_asked_sparsely if is_large else predict_asked
            asked = predict(outcomes, features, is_foretold=self.is_foretold)
            design = torch.cat([torch.ones_like(text[:, :1]), known_task, asked, text], 1)
            num_models, first_asked = outcomes.num_models, 1 + outcomes.num_tasks
            precision = torch.cat(
                [
                    ability_mass.detach().double().expand(-1, num_models),
                    torch.full_like(own, _OVERALL_PRECISION),
                    (own * task_mass.detach().double()).expand(-1, outcomes.num_tasks),
                    torch.full_like(own, _ASKED_PRECISION).expand(-1, asked.shape[1]),
                ],
                1,
            )
            centre = outcomes.mean_level.double()
            weights = text.new_zeros(len(own), num_models + design.shape[1])
            weights[:, num_models] = centre[:, 0]
            grid, effect = _list_text_precisions(text), slice(EFFECT, EFFECT + 1)
            # Amounts are linear: their first step is their last.
            for channels in (slice(None), *[effect] * (_NEWTON_STEPS - 1)):
                step = _start_step(outcomes, design, weights, centre, own, channels)
                solve = _solve_sparsely if is_large else _solve_densely
                found = solve(step, outcomes, design, precision[channels], grid)
                found[:, num_models] += centre[channels, 0]
                weights[channels] = found
            easiness = weights[:, num_models:] @ design.mT
            promised = weights[:, num_models + first_asked :] @ design[:, first_asked:].mT
            ability = weights[:, None, :num_models]
            return EasinessStart(
                *(part.to(principal.dtype) for part in (ability, easiness, promised))
            )


class _Equations(NamedTuple):
    """Normal equations of one Newton step, the queries' own easiness integrated out. D unknowns."""

    matrix: Tensor
    """(C, D, D)."""
    vector: Tensor
    """(C, D)."""
    square: Tensor
    """(C,) weighted square of what is to be explained."""
    num_outcomes: Tensor
    """(C,), at least 1."""


class _Step(NamedTuple):
    """What the outcomes of C channels say at given weights. E edges, S queries, M models."""

    curvature: Tensor
    """(C, E)."""
    information: Tensor
    """(C, S) of the outcomes of each query."""
    own: Tensor
    """(C, 1) prior precision of the easiness that is a query's own."""
    by_query: Tensor
    """(C, S) sums of what is to be explained, times the curvature."""
    by_model: Tensor
    """(C, M) the same of each model."""
    square: Tensor
    """(C,) weighted square of what is to be explained, the queries' own easiness left out."""
    num_outcomes: Tensor
    """(C,), at least 1."""


def _start_step(
    outcomes: SupportOutcomes,
    design: Tensor,
    weights: Tensor,
    centre: Tensor,
    own: Tensor,
    channels: slice,
) -> _Step:
    """A step of some channels at given weights (C, D), around the centre (C, 1).

    The others are own (C, 1) and design (S, D - M).
    """
    num_models = outcomes.num_models
    weights, centre, own = weights[channels], centre[channels], own[channels]
    fitted = outcomes.spread_models(weights[:, :num_models]) + outcomes.spread_queries(
        weights[:, num_models:] @ design.mT
    )
    mean = channel_mean(outcomes.add_known(fitted).clamp(-_MAX_LOGIT, _MAX_LOGIT))
    observed, value = outcomes.observed[channels].double(), outcomes.value[channels].double()
    curvature = channel_curvature(mean) * observed
    aim = curvature * (fitted - centre) + (value - mean) * observed
    information, by_query = outcomes.sum_by_query(curvature), outcomes.sum_by_query(aim)
    by_model = sum_segments(aim, outcomes.model, num_models)
    square = (aim.square() / curvature.clamp_min(1e-12)).sum(1)
    explained = (by_query.square() / (information + own)).sum(1)
    count = observed.sum(1).clamp_min(1)
    return _Step(curvature, information, own, by_query, by_model, square - explained, count)


def _solve_densely(
    step: _Step, outcomes: SupportOutcomes, design: Tensor, precision: Tensor, grid: list[Tensor]
) -> Tensor:
    """The posterior means (C, D) of a step."""
    num_models, num_queries = outcomes.num_models, len(design)
    information, own, by_query = step.information, step.own, step.by_query
    left = own / (information + own)  # of what a query's answers say, beside its own easiness
    pair = outcomes.query * num_models + outcomes.model
    matrices, vectors = [], []
    for channel in range(len(own)):  # one at a time: the table of pairs may be large
        table = sum_segments(
            step.curvature[channel : channel + 1], pair, num_queries * num_models
        ).view(num_queries, num_models)
        shared = 1 / (information[channel] + own[channel])
        top = torch.diag(table.sum(0)) - (table * shared[:, None]).mT @ table
        side = (table * left[channel, :, None]).mT @ design
        bottom = (design * (information[channel] * left[channel])[:, None]).mT @ design
        matrices.append(torch.cat([torch.cat([top, side], 1), torch.cat([side.mT, bottom], 1)]))
        ability = step.by_model[channel] - table.mT @ (by_query[channel] * shared)
        vectors.append(torch.cat([ability, design.mT @ (by_query[channel] * left[channel])]))
    equations = _Equations(
        torch.stack(matrices), torch.stack(vectors), step.square, step.num_outcomes
    )
    return _average_solutions(equations, precision, grid)


def _solve_sparsely(
    step: _Step, outcomes: SupportOutcomes, design: Tensor, precision: Tensor, grid: list[Tensor]
) -> Tensor:
    """As `_solve_densely` for a large pool: abilities are solved for first, as the rest has them.

    What is left is a system as large as the design is wide (a Schur complement). The evidence of
    abilities is the same all over the grid.
    """
    num_models, num_queries, width = outcomes.num_models, len(design), design.shape[1]
    solutions, matrices, vectors, gained = [], [], [], []
    for channel, of_models in enumerate(precision[:, :num_models]):
        information, own = step.information[channel], step.own[channel]
        shared = 1 / (information + own)
        curvature, by_query = step.curvature[channel], step.by_query[channel]
        table = PairTable.of(outcomes.query, outcomes.model, curvature, (num_queries, num_models))
        known = sum_segments(curvature.unsqueeze(0), outcomes.model, num_models)[0]
        weighted = design * (own * shared).unsqueeze(1)
        told = table.transposed_times((by_query * shared).unsqueeze(1))
        right = torch.cat(
            [table.transposed_times(weighted), step.by_model[channel].unsqueeze(1) - told], 1
        )
        solved = AbilityEquations(table, known + of_models, shared).solve(right)
        explained = right.mT @ solved
        bottom = weighted.mT @ (design * information.unsqueeze(1))
        matrix = bottom - explained[:width, :width]
        matrices.append((matrix + matrix.mT) / 2)
        vectors.append(weighted.mT @ by_query - explained[:width, width])
        gained.append(explained[width, width])
        solutions.append(solved)
    square = step.square - torch.stack(gained)
    equations = _Equations(torch.stack(matrices), torch.stack(vectors), square, step.num_outcomes)
    weights = _average_solutions(equations, precision[:, num_models:], grid)
    solved = torch.stack(solutions)
    ability = solved[:, :, width] - (solved[:, :, :width] @ weights.unsqueeze(2)).squeeze(2)
    return torch.cat([ability, weights], 1)


def _list_text_precisions(text: Tensor) -> list[Tensor]:
    """Prior precisions (P,) of the slopes, one for each entry of the grid; none without texts."""
    spread = text.square().mean(0)
    if not bool(spread.max() > 0):
        return []
    spread = spread.clamp_min(_LEAST_SPREAD * float(spread.max()))
    return [
        spread.pow(1 + power).sum() / (variance * spread.pow(power))
        for variance in _TEXT_VARIANCES
        for power in _SPECTRA
    ]


def _average_solutions(
    equations: _Equations, precision: Tensor, text_precisions: list[Tensor]
) -> Tensor:
    """The posterior means (C, D), averaged over the grid by marginal likelihood."""
    num_all, num_fixed = equations.vector.shape[1], precision.shape[1]
    solutions, evidence = [], []
    for text_precision in (None, *text_precisions):
        size = num_fixed if text_precision is None else num_all
        prior = precision
        if text_precision is not None:
            prior = torch.cat([precision, text_precision.expand(len(precision), -1)], 1)
        matrix = equations.matrix[:, :size, :size] + torch.diag_embed(prior)
        factor = factorise(matrix, "the joint easiness of texts and tasks")
        half = torch.linalg.solve_triangular(factor, equations.vector[:, :size, None], upper=False)
        solution = torch.linalg.solve_triangular(factor.mT, half, upper=True).squeeze(2)
        solutions.append(nn.functional.pad(solution, (0, num_all - size)))
        gained = half.square().sum((1, 2))
        volume = 0.5 * prior.log().sum(1) - factor.diagonal(dim1=1, dim2=2).log().sum(1)
        # The variance of a logit is known; that of a logarithmic amount is what is left over.
        left = (equations.square - gained).clamp_min(1e-9)
        fit = torch.cat([0.5 * gained[:1], -0.5 * equations.num_outcomes[1:] * left[1:].log()])
        evidence.append(fit + volume)
    belief = torch.softmax(torch.stack(evidence), 0)
    return (belief.unsqueeze(2) * torch.stack(solutions)).sum(0)
