"""Ridge regressions inside the graph: what the text of a query says about models and easiness.

The profile and the slope are one Newton step a coordinate: the principal coordinates are
decorrelated, so the information matrix is close to diagonal. They have a closed form over a support
that excludes the targets, so they cannot learn them by heart. `TextPrior` solves for all at once.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.nn.attention import spread_rows
from graphrouter.nn.layers import (
    PositiveParameter,
    channel_curvature,
    channel_mean,
    decompose,
    factorise,
    masses,
    sum_segments,
)
from graphrouter.nn.outcomes import EasinessStart, SupportOutcomes
from graphrouter.nn.rasch import BaseState
from graphrouter.nn.state import SupportMessages

_ROWS_AT_ONCE = 2048
_TEXT_VARIANCES = (0.1, 0.5, 2.0)
"""Variances of the easiness, in squared logits, that texts may explain; beside none at all."""
_SPECTRA = (0, 1, 2)
"""How a coordinate's share of that variance falls with its own: not, as fast, or twice as fast."""
_NEWTON_STEPS = 3
_OVERALL_PRECISION = 0.01
"""Of the mean easiness around that of all outcomes: hardly held."""
_ASKED_PRECISION = 0.1
"""Of what a predicted share of a model, in standard deviations, may say of the easiness."""
_ASKED_RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Of the regression of who was asked, in features of an average query."""
_LEAST_TOLD = 0.05
"""A share whose prediction varies less, as by chance, counts by as much less."""
_ROUNDING = 1e-12
"""Shares of who was asked that differ by less are all the same."""
_LEAST_SPREAD = 1e-9
"""Of a coordinate, beside the widest: one that is the same for all queries explains nothing."""
_MAX_LOGIT = 8.0


class Profile(nn.Module):
    """On which kinds of queries each model beats its ability."""

    def __init__(self) -> None:
        super().__init__()
        self.mass = PositiveParameter(masses(1000.0, 1000.0).unsqueeze(-1))

    def forward(self, messages: SupportMessages, principal: Tensor, num_models: int) -> Tensor:
        """Slopes of each model's residuals along the principal coordinates: (C, M, P).

        Args:
            messages: Of the support.
            principal: (S, P) principal coordinates of the support queries.
            num_models: M.
        """
        total = principal.new_zeros(NUM_CHANNELS, num_models, principal.shape[1])
        information = torch.zeros_like(total)
        # In parts: spread out, the messages of a large support would not fit into memory.
        for rows in torch.split(
            torch.arange(principal.shape[0], device=principal.device), _ROWS_AT_ONCE
        ):
            residual, curvature = spread_rows(messages, rows, num_models).chunk(2, dim=2)
            total = total + torch.einsum("smc,sp->cmp", residual, principal[rows])
            information = information + torch.einsum(
                "smc,sp->cmp", curvature, principal[rows].square()
            )
        profile: Tensor = total / (information + self.mass())
        return profile


class NoProfile(nn.Module):
    """Models are alike on all kinds: takes the place of `Profile` where it is left out."""

    def forward(self, messages: SupportMessages, principal: Tensor, num_models: int) -> Tensor:
        """Zeros (C, M, P); arguments of `Profile`."""
        return principal.new_zeros(NUM_CHANNELS, num_models, principal.shape[1])


class EasinessSlope(nn.Module):
    """How easiness changes along the principal coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.mass = PositiveParameter(masses(300.0, 300.0))

    def forward(self, base: BaseState, principal: Tensor) -> Tensor:
        """Slopes of the queries' surprises: (C, P).

        Args:
            base: Of the support.
            principal: (S, P) principal coordinates of the support queries.
        """
        # A surprise is already shrunk; its reliability is how much of it is evidence, hence its
        # weight in both sums.
        total = (base.surprise * base.reliability) @ principal
        slope: Tensor = total / (base.reliability @ principal.square() + self.mass())
        return slope


class NoEasinessSlope(nn.Module):
    """Easiness does not change: takes the place of `EasinessSlope` where it is left out."""

    def forward(self, base: BaseState, principal: Tensor) -> Tensor:
        """Zeros (C, P); arguments of `EasinessSlope`."""
        return principal.new_zeros(NUM_CHANNELS, principal.shape[1])


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
            asked = _predict_asked(outcomes, features, is_foretold=self.is_foretold)
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
                equations = _collect_equations(outcomes, design, weights, centre, own, channels)
                found = _average_solutions(equations, precision[channels], grid)
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


def _collect_equations(
    outcomes: SupportOutcomes,
    design: Tensor,
    weights: Tensor,
    centre: Tensor,
    own: Tensor,
    channels: slice,
) -> _Equations:
    """The equations of some channels at given weights (C, D), around the centre (C, 1).

    The others are own (C, 1) and design (S, D - M).
    """
    num_models, num_queries = outcomes.num_models, len(design)
    weights, centre, own = weights[channels], centre[channels], own[channels]
    fitted = outcomes.spread_models(weights[:, :num_models]) + outcomes.spread_queries(
        weights[:, num_models:] @ design.mT
    )
    mean = channel_mean(fitted.clamp(-_MAX_LOGIT, _MAX_LOGIT))
    observed, value = outcomes.observed[channels].double(), outcomes.value[channels].double()
    curvature = channel_curvature(mean) * observed
    aim = curvature * (fitted - centre) + (value - mean) * observed
    information, by_query = outcomes.sum_by_query(curvature), outcomes.sum_by_query(aim)
    left = own / (information + own)  # of what a query's answers say, beside its own easiness
    by_model = sum_segments(aim, outcomes.model, num_models)
    pair = outcomes.query * num_models + outcomes.model
    matrices, vectors = [], []
    for channel in range(len(own)):  # one at a time: the table of pairs may be large
        table = sum_segments(curvature[channel : channel + 1], pair, num_queries * num_models)
        table = table.view(num_queries, num_models)
        shared = 1 / (information[channel] + own[channel])
        top = torch.diag(table.sum(0)) - (table * shared[:, None]).mT @ table
        side = (table * left[channel, :, None]).mT @ design
        bottom = (design * (information[channel] * left[channel])[:, None]).mT @ design
        matrices.append(torch.cat([torch.cat([top, side], 1), torch.cat([side.mT, bottom], 1)]))
        ability = by_model[channel] - table.mT @ (by_query[channel] * shared)
        vectors.append(torch.cat([ability, design.mT @ (by_query[channel] * left[channel])]))
    square = (aim.square() / curvature.clamp_min(1e-12)).sum(1)
    explained = (by_query.square() / (information + own)).sum(1)
    count = observed.sum(1).clamp_min(1)
    return _Equations(torch.stack(matrices), torch.stack(vectors), square - explained, count)


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


def _predict_asked(outcomes: SupportOutcomes, features: Tensor, *, is_foretold: bool) -> Tensor:
    """What text and task tell of who was asked, by ridge regression: (S, M), at most 1 wide.

    Where somebody chose the model by the prompt, slopes that are drawn to 0 leave a part of the
    difficulty to the models that were sent it. What predicts the model takes that part
    (regularisation-induced confounding: Hahn, Murray and Carvalho 2020, section 5). The ridge is
    the one with which the other queries foretell each query best (leave-one-out residuals; Allen
    1974), and the width the share that they foretell: a regression that fits the assignment itself
    would take the abilities of the models, and where models were asked at random there is nothing
    to take. Zero where all models answered all queries.

    Args:
        outcomes: Of the support.
        features: (S, D) of the queries.
        is_foretold: False for a fixed ridge on features of one width, and the full width, whatever
            is foretold.
    """
    share = sum_segments(
        torch.ones_like(outcomes.value[:1], dtype=features.dtype),
        outcomes.query * outcomes.num_models + outcomes.model,
        len(features) * outcomes.num_models,
    ).view(len(features), outcomes.num_models)
    share = share / share.sum(1, keepdim=True).clamp_min(1)
    asked = share - share.mean(0)
    if not bool((asked.abs() > _ROUNDING).any()):
        return torch.zeros_like(asked)
    centred = features - features.mean(0)
    if not is_foretold:
        return _scale_to_unit(_fit_in_full(centred, asked))
    values, vectors = decompose(centred.mT @ centred, "what tells who was asked")
    scores = centred @ vectors
    aims, squared = scores.mT @ asked, scores.square()
    found = []
    for ridge in _ASKED_RIDGES:
        shrunk = 1 / (values.clamp_min(0) + ridge * values.sum() / len(features) + _ROUNDING)
        told = scores @ (aims * shrunk.unsqueeze(1))
        # The mean is left out with the query.
        leverage = (squared @ shrunk + 1 / len(features)).clamp_max(1 - 1e-6).unsqueeze(1)
        missed = ((asked - told) / (1 - leverage)).square().sum(0)
        found.append((float(missed.sum()), told, missed))
    _, told, missed = min(found, key=itemgetter(0))
    foretold = 1 - missed / asked.square().sum(0).clamp_min(_ROUNDING)
    return _scale_to_unit(told) * foretold.clamp_min(0).sqrt()


def _fit_in_full(centred: Tensor, asked: Tensor) -> Tensor:
    """Who was asked (S, M) by features (S, D) of one width, a ridge of one query's worth each."""
    spread = centred.square().mean(0).sqrt()
    scaled = centred / spread.clamp_min(1e-6 * float(spread.max().clamp_min(1e-12)))
    ridge = float((spread > 0).sum()) + 1e-9  # a task without queries is none
    matrix = scaled.mT @ scaled + ridge * torch.eye(len(spread), dtype=scaled.dtype)
    factor = factorise(matrix, "what tells who was asked")
    return scaled @ torch.cholesky_solve(scaled.mT @ asked, factor)


def _scale_to_unit(told: Tensor) -> Tensor:
    """Columns one wide, but for what hardly varies."""
    return told / told.square().mean(0).sqrt().clamp_min(_LEAST_TOLD)
