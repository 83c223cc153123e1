"""What the pool knows of a model before it has answered much: how models vary, what cards say.

A model's level in each task is centre + basis @ factors. The factors of a model have a prior mean
and variance from a Gaussian process over the cards of the other models, and a model may also be
much like one of them.

Whatever is decomposed here is decomposed in double precision, in the smaller of tasks and models,
and is positive definite by its form: a pool of two models over many tasks has a covariance of rank
two, of which single precision finds no eigenvectors.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.nn.card_likeness import InducedLikeness
from graphrouter.nn.card_regression import predict_from_others
from graphrouter.nn.layers import decompose, factorise, is_large_pool

MAX_FACTORS = 8
PSEUDO_MODELS = 3.0
"""How many models the learned mass counts for in the covariance between tasks."""
RESEMBLANCE_VARIANCE = 0.15
"""Variance of a factor between models that are much alike, as a share of that between all
models."""
CARD_TEMPER = 0.3
"""How much of the card's log density decides which models a model may be like: cards are surer of
themselves than they should."""
_LEAST_FACTOR = 1e-4
"""Share of the largest eigenvalue below which a direction counts as one in which models do not
vary. In double precision an eigenvalue is known to 1e-16 of the largest, so what passes is no
rounding."""
_JITTER = 1e-9


class Population(NamedTuple):
    """A prior for levels. C channels, T tasks, M models, F factors.

    Index T of the task axis stands for "task unknown".
    """

    centre: Tensor
    """(C, T + 1) mean level."""
    basis: Tensor
    """(C, T + 1, F) how levels vary together, a standard deviation a factor."""
    mean: Tensor
    """(C, F, M) expected factors of each model, from its card and from the other models."""
    variance: Tensor
    """(C, F, M) their variance, about 1 where nothing is said."""
    scores: Tensor
    """(C, F, M) factors of the levels that the prior was made of."""

    def level(self, factors: Tensor) -> Tensor:
        """Levels (C, T + 1, M) of factors (C, F, M)."""
        level: Tensor = self.centre.unsqueeze(2) + torch.einsum("ctf,cfm->ctm", self.basis, factors)
        return level

    def likelihood(
        self,
        step: Tensor,
        information: Tensor,
        sloped_step: Tensor,
        sloped: Tensor,
        sloped_square: Tensor,
    ) -> Likelihood:
        """Of the factors, from sums over the outcomes of each model.

        A query may have a slope along the first factor: the slope adds to the first entry of what
        an outcome says about the factors, hence the cross terms.

        Args:
            step: (C, T + 1, M) sum of the residuals.
            information: (C, T + 1, M) sum of the Fisher information.
            sloped_step: (C, M) sum of slope x residual.
            sloped: (C, T + 1, M) sum of slope x information.
            sloped_square: (C, T + 1, M) sum of slope^2 x information.
        """
        dtype = step.dtype
        # Outcomes of many queries add up to information that dwarfs the prior: what rounding takes
        # away from sums in single precision must not make the matrix indefinite.
        information, sloped, sloped_square = (
            sums.double() for sums in (information, sloped, sloped_square)
        )
        # By the inequality of Cauchy and Schwarz, which rounded sums need not keep.
        least = sloped.square() / information.clamp_min(_JITTER)
        sloped_square = torch.maximum(sloped_square, least).sum(1)
        basis = self.basis.double()
        gradient = torch.einsum("ctf,ctm->cmf", self.basis, step)
        matrix = torch.einsum("ctf,ctg,ctm->cmfg", basis, basis, information)
        cross = torch.einsum("ctf,ctm->cmf", basis, sloped)
        first = torch.zeros_like(cross[0, 0])
        first[0] = 1.0
        corner = cross.unsqueeze(-1) * first
        matrix = (
            matrix + corner + corner.mT + sloped_square[..., None, None] * torch.outer(first, first)
        )
        return Likelihood(gradient + sloped_step.unsqueeze(-1) * first.to(dtype), matrix)

    def newton_step(self, factors: Tensor, likelihood: Likelihood) -> Tensor:
        """How far the posterior mode is from `factors`, to second order: (C, F, M)."""
        pull = (likelihood.gradient - ((factors - self.mean) / self.variance).mT).unsqueeze(-1)
        total = likelihood.information + torch.diag_embed(1 / self.variance.double().mT)
        factor = factorise(total, "the Newton step of the models' factors")
        step: Tensor = torch.cholesky_solve(pull.double(), factor).squeeze(-1).mT
        return step.to(factors.dtype)


class Likelihood(NamedTuple):
    """Of the factors of each model, to second order."""

    gradient: Tensor
    """(C, M, F)."""
    information: Tensor
    """(C, M, F, F) positive semi-definite, in double precision."""


class Posterior(NamedTuple):
    """What prior and outcomes say together."""

    factors: Tensor
    """(C, F, M) mean."""
    covariance: Tensor
    """(C, M, F, F)."""


def estimate_prior(
    level: Tensor,
    information: Tensor,
    likeness: Tensor | InducedLikeness,
    ability_mass: Tensor,
) -> Population:
    """The prior that the levels of a pool make: their principal components, and what cards say.

    The covariance between tasks is that of the models, each counted by how well it is known, with a
    few models' worth of what the prior mass of abilities stands for. Without a gradient: what is
    learned are the masses.

    Args:
        level: (C, T + 1, M) ability + skill, shrunk.
        information: (C, T + 1, M) Fisher information behind each level.
        likeness: (M, M) from `compare_cards`, or that of a large pool.
        ability_mass: (C, 1) prior mass of abilities.
    """
    known = information.sum(1)
    weight = known / (known + ability_mass)
    # A task that nobody has answered has nothing of its own; its row is that of an unknown task.
    has_outcomes = information.sum(2, keepdim=True) > 0
    has_outcomes[:, -1] = True
    level = torch.where(has_outcomes, level, level[:, -1:])
    count = weight.sum(1)[:, None, None]
    centre = (level * weight.unsqueeze(1)).sum(2) / (count[:, :, 0] + _JITTER)
    deviation = level - centre.unsqueeze(2)
    basis, scale = _find_directions(deviation, weight, ability_mass, has_outcomes)
    basis, scale = basis.to(level.dtype), scale.to(level.dtype)
    scores = torch.einsum("ctf,ctm->cfm", basis, deviation) / scale.square().clamp_min(
        _JITTER
    ).unsqueeze(2)
    precision = torch.einsum("ctf,ctm->cfm", basis.square(), information)
    mean, variance = predict_from_others(scores, precision, likeness)
    basis = torch.where(has_outcomes, basis, basis[:, -1:])
    return Population(centre, basis, mean, variance, scores)


def _find_directions(
    deviation: Tensor, weight: Tensor, ability_mass: Tensor, has_outcomes: Tensor
) -> tuple[Tensor, Tensor]:
    """Principal components of the levels of a pool, in double precision.

    The basis is (C, T + 1, F), and its columns are as long as `scale` says, (C, F): the largest
    first, zero for directions in which models do not vary. These are arbitrary, and must not
    matter.

    The covariance A A' / n and the matrix A' A / n have the same eigenvalues except zeros, and A
    maps the eigenvectors of the one to those of the other. So the smaller is decomposed: that of
    the tasks, or that of the models.

    Args:
        deviation: (C, T + 1, M) of the levels from their mean.
        weight: (C, M) how well each model is known.
        ability_mass: (C, 1) prior mass of abilities.
        has_outcomes: (C, T + 1, 1) whether a task has a row of its own.
    """
    deviation, weight, mass = deviation.double(), weight.double(), ability_mass.double()
    promised = (PSEUDO_MODELS / mass).sqrt().unsqueeze(2)  # all tasks together, a column of A
    columns = torch.cat(
        [deviation * weight.sqrt().unsqueeze(1), promised.expand(-1, deviation.shape[1], 1)], dim=2
    )
    count = (weight.sum(1) + PSEUDO_MODELS)[:, None, None]
    columns = columns * has_outcomes / count.sqrt()
    num_rows, num_columns = columns.shape[1:]
    size, found = min(num_rows, MAX_FACTORS), min(num_rows, num_columns, MAX_FACTORS)
    few_tasks = num_rows <= num_columns
    smaller = columns @ columns.mT if few_tasks else columns.mT @ columns
    values, vectors = decompose(smaller, "how levels vary together")
    values, vectors = values.flip(1)[:, :found], vectors.flip(2)[:, :, :found]
    scale = torch.where(values > _LEAST_FACTOR * values[:, :1], values, 0.0).sqrt().unsqueeze(1)
    basis = vectors * scale if few_tasks else (columns @ vectors) * (scale > 0)
    missing = (0, size - found)
    return nn.functional.pad(basis, missing), nn.functional.pad(scale.squeeze(1), missing)


def update_factors(
    prior: Population, factors: Tensor, likelihood: Likelihood, weight: Tensor
) -> Posterior:
    """The factors of each model: as its card says, or much like one of the known models.

    All components are expanded at the same place to second order, so that the mixture is in closed
    form. For a model with many outcomes they all agree.

    Args:
        prior: From `estimate_prior`.
        factors: (C, F, M) where the likelihood is expanded.
        likelihood: There.
        weight: (C, M) how well each model is known, in [0, 1].
    """
    if is_large_pool(factors.shape[2]):
        return _update_by_moments(prior, factors, likelihood, weight)
    dtype = factors.dtype
    here, by_card = factors.double().mT, prior.mean.double().mT  # (C, M, F)
    precision, weight = 1 / prior.variance.double().mT, weight.double()
    card = _expand(likelihood, precision, (by_card - here).unsqueeze(2))
    centres = (1 - RESEMBLANCE_VARIANCE) ** 0.5 * prior.scores.double().mT
    models = _expand(
        likelihood,
        torch.full_like(precision, 1 / RESEMBLANCE_VARIANCE),
        centres.unsqueeze(1) - here.unsqueeze(2),
    )
    from_card = (
        (centres.unsqueeze(1) - by_card.unsqueeze(2)).square() * precision.unsqueeze(2)
    ).sum(-1)  # (C, M, M)
    share = (weight / weight.sum(1, keepdim=True).clamp_min(_JITTER)).unsqueeze(1)
    evidence = models.evidence + share.clamp_min(_JITTER).log() - 0.5 * CARD_TEMPER * from_card
    # A model is not much like itself, nor like one that nothing is known of.
    itself = torch.eye(weight.shape[1], dtype=torch.bool, device=weight.device)
    evidence = evidence.masked_fill(itself | (share == 0), -torch.inf)

    belief = torch.softmax(torch.cat([card.evidence, evidence], dim=2), dim=2)
    move = torch.cat([card.move, models.move], dim=2)
    mean = torch.einsum("cmn,cmnf->cmf", belief, move)
    # Variance of a mixture: of its components, and of the distance between them.
    off = move - mean.unsqueeze(2)
    in_card = belief[:, :, :1].unsqueeze(-1)
    covariance = in_card * card.covariance + (1 - in_card) * models.covariance
    covariance = covariance + torch.einsum("cmn,cmnf,cmng->cmfg", belief, off, off)
    return Posterior((here + mean).mT.to(dtype), covariance.to(dtype))


def _update_by_moments(
    prior: Population, factors: Tensor, likelihood: Likelihood, weight: Tensor
) -> Posterior:
    """The same without a vector for each pair of models; arguments as in `update_factors`.

    The components of the likenesses share a precision p, so their evidence is quadratic in their
    centre, and where they lead is linear in it. Products with the centres c, and with c c', say for
    each model what sums over all components would.
    """
    here, by_card = factors.double().mT, prior.mean.double().mT  # (C, M, F)
    precision, weight = 1 / prior.variance.double().mT, weight.double()
    card = _expand(likelihood, precision, (by_card - here).unsqueeze(2))
    likened = 1 / RESEMBLANCE_VARIANCE
    middle = _expand(likelihood, torch.full_like(precision, likened), -here.unsqueeze(2))
    start = (middle.move.squeeze(2), middle.covariance)  # of a component whose centre is 0

    centres = (1 - RESEMBLANCE_VARIANCE) ** 0.5 * prior.scores.double().mT
    squares = (centres.unsqueeze(3) * centres.unsqueeze(2)).flatten(2)
    linear = likened * (start[0] + here) + CARD_TEMPER * precision * by_card
    square = 0.5 * likened * (likened * start[1] - _identity(start[1]))
    square = square - 0.5 * CARD_TEMPER * torch.diag_embed(precision)
    off_card = 0.5 * CARD_TEMPER * (precision * by_card.square()).sum(2, keepdim=True)
    evidence = linear @ centres.mT + square.flatten(2) @ squares.mT + middle.evidence - off_card
    share = (weight / weight.sum(1, keepdim=True).clamp_min(_JITTER)).unsqueeze(1)
    evidence = evidence + share.clamp_min(_JITTER).log()
    itself = torch.eye(weight.shape[1], dtype=torch.bool, device=weight.device)
    evidence = evidence.masked_fill(itself | (share == 0), -torch.inf)

    belief = torch.softmax(torch.cat([card.evidence, evidence], dim=2), dim=2)
    in_card, belief = belief[:, :, :1], belief[:, :, 1:]
    # Around where a centre of 0 leads to: the mean and the second moment of all centres.
    lead = likened * start[1]
    first = (lead @ (belief @ centres).unsqueeze(3)).squeeze(3)
    second = lead @ (belief @ squares).view_as(lead) @ lead
    mean = in_card * card.move.squeeze(2) + (1 - in_card) * start[0] + first
    off, off_card_move = start[0] - mean, card.move.squeeze(2) - mean
    cross = off.unsqueeze(3) * first.unsqueeze(2)
    in_card = in_card.unsqueeze(3)
    covariance = in_card * (card.covariance + _square(off_card_move))
    covariance = covariance + (1 - in_card) * (start[1] + _square(off)) + cross + cross.mT + second
    dtype = factors.dtype
    return Posterior((here + mean).mT.to(dtype), covariance.to(dtype))


def _square(vectors: Tensor) -> Tensor:
    """Outer products (..., F, F) of vectors (..., F) with themselves."""
    return vectors.unsqueeze(-1) * vectors.unsqueeze(-2)


def _identity(matrix: Tensor) -> Tensor:
    """(F, F) for matrices (..., F, F), of their precision and device."""
    return torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)


class _Components(NamedTuple):
    """Normal priors updated by the same likelihood. N components a model."""

    evidence: Tensor
    """(C, M, N) log marginal likelihood, up to a constant."""
    move: Tensor
    """(C, M, N, F) from where the likelihood was expanded to the posterior mean."""
    covariance: Tensor
    """(C, M, F, F) of the posterior."""


def _expand(likelihood: Likelihood, precision: Tensor, distance: Tensor) -> _Components:
    """Components of prior precisions (C, M, F) whose means are at `distance` (C, M, N, F)."""
    total = likelihood.information + torch.diag_embed(precision)
    factor = factorise(total, "the posterior of the models' factors")
    covariance = torch.cholesky_inverse(factor)
    pull = distance * precision.unsqueeze(2)
    push = likelihood.gradient.double().unsqueeze(2) + pull
    move = push @ covariance
    # Half the logarithms of the determinants of prior and posterior precision.
    scale = 0.5 * precision.log().sum(-1) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return _Components(
        scale.unsqueeze(-1) + 0.5 * (push * move).sum(-1) - 0.5 * (pull * distance).sum(-1),
        move,
        covariance,
    )
