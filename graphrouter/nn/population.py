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

from graphrouter.nn.layers import decompose, factorise

MAX_FACTORS = 8
CARD_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
"""Shares of the variance between models that cards may explain; averaged by how well each explains
the pool at hand."""
PSEUDO_MODELS = 3.0
"""How many models the learned mass counts for in the covariance between tasks."""
RESEMBLANCE_VARIANCE = 0.15
"""Variance of a factor between models that are much alike, as a share of that between all
models."""
CARD_TEMPER = 0.3
"""How much of the card's log density decides which models a model may be like: cards are surer of
themselves than they should."""
_MAX_CARD = 3.0
_LEAST_VARIANCE = 0.02
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


def compare_cards(text: Tensor, card: Tensor, is_known: Tensor) -> Tensor:
    """Likeness of models by what is said of them: (M, M), positive semi-definite.

    Its diagonal is at least about 1. The sum of three kernels: cosine of the descriptions, linear
    and Gaussian in the numbers. A model of which little is said is like nobody.

    Args:
        text: (M, dimension) centred unit embeddings of descriptions, zero rows where there is none.
        card: (M, 2 n) scaled numbers, 0 where missing, then n missing marks.
        is_known: (M,) models that outcomes are known of. Numbers that none of them states say
            nothing.
    """
    numbers, missing = card.chunk(2, dim=1)
    used = (missing[is_known] < 1).any(0)
    count = used.sum().clamp_min(1)
    numbers = numbers.clamp(-_MAX_CARD, _MAX_CARD) * used
    product = numbers @ numbers.T / count
    norm = product.diagonal()
    kernel = (
        text @ text.T + product + torch.exp(product - (norm.unsqueeze(0) + norm.unsqueeze(1)) / 2)
    )
    # In units of a typical known model, so that a share of it is a share of the variance between
    # models; a card that says little gets the rest of its variance as its own.
    typical = kernel.diagonal()[is_known].mean() if is_known.any() else kernel.new_ones(())
    kernel = kernel / typical
    return kernel + torch.diag((1 - kernel.diagonal()).clamp_min(0))


class CardLikeness(nn.Module):
    """Models are alike as far as their cards say so."""

    def forward(self, text: Tensor, card: Tensor, is_known: Tensor) -> Tensor:
        """Likeness (M, M); arguments of `compare_cards`."""
        return compare_cards(text, card, is_known)


class NoLikeness(nn.Module):
    """No model is like another: takes the place of `CardLikeness` where cards are left out."""

    def forward(self, text: Tensor, card: Tensor, is_known: Tensor) -> Tensor:
        """The identity (M, M); arguments of `compare_cards`."""
        return torch.eye(text.shape[0], dtype=text.dtype, device=text.device)


def estimate_prior(
    level: Tensor, information: Tensor, likeness: Tensor, ability_mass: Tensor
) -> Population:
    """The prior that the levels of a pool make: their principal components, and what cards say.

    The covariance between tasks is that of the models, each counted by how well it is known, with a
    few models' worth of what the prior mass of abilities stands for. Without a gradient: what is
    learned are the masses.

    Args:
        level: (C, T + 1, M) ability + skill, shrunk.
        information: (C, T + 1, M) Fisher information behind each level.
        likeness: (M, M) from `compare_cards`.
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


def predict_from_others(
    scores: Tensor, precision: Tensor, likeness: Tensor
) -> tuple[Tensor, Tensor]:
    """What cards and the other models say about each score: mean and variance, (C, F, M) each.

    Gaussian process regression (Rasmussen and Williams 2006, section 2.2) with each model's own
    score divided out of its posterior, averaged over `CARD_SHARES` by marginal likelihood. A model
    that nothing is known of changes nothing for others.

    Args:
        scores: (C, F, M) of about unit variance.
        precision: (C, F, M) of each score, >= 0.
        likeness: (M, M).
    """
    dtype = scores.dtype
    # Cholesky factors of kernels of near copies need double precision.
    scores, precision, likeness = scores.double(), precision.double(), likeness.double()
    root = precision.sqrt()
    own = torch.eye(likeness.shape[0], dtype=likeness.dtype, device=likeness.device)
    means, variances, likelihoods = [], [], []
    for share in CARD_SHARES:
        kernel = share * likeness + (1 - share) * own
        # Its eigenvalues are 1 and more: no precision is too large, and none too small.
        factor = factorise(
            own + root.unsqueeze(-1) * kernel * root.unsqueeze(-2), "what cards say of the models"
        )
        inverse = torch.linalg.solve_triangular(factor, own, upper=False)
        half = inverse @ (root.unsqueeze(-1) * kernel)
        fitted = inverse @ (root * scores).unsqueeze(-1)
        mean, variance = _leave_out(
            scores,
            precision,
            # Of the posterior: from the prior down, and from the model's own noise up.
            (half.mT @ fitted).squeeze(-1),
            kernel.diagonal() - half.square().sum(-2),
            pull=(inverse.mT @ fitted).squeeze(-1),
            left=inverse.square().sum(-2),
        )
        means.append(mean)
        variances.append(torch.minimum(variance, kernel.diagonal()))
        likelihoods.append(
            -0.5 * fitted.square().sum((-2, -1)) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        )
    # Not the best share but all of them: a pool of a few models cannot tell which is right.
    belief = torch.softmax(torch.stack(likelihoods), dim=0).unsqueeze(-1)
    average = (belief * torch.stack(means)).sum(0)
    spread = (belief * (torch.stack(variances) + (torch.stack(means) - average).square())).sum(0)
    return average.to(dtype), spread.clamp_min(_LEAST_VARIANCE).to(dtype)


def _leave_out(
    scores: Tensor,
    precision: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    pull: Tensor,
    left: Tensor,
) -> tuple[Tensor, Tensor]:
    """Mean and variance that the posterior of each score has without the score itself.

    Precisions could be subtracted; but of a model that is known well the rest is lost in rounding.
    So where its own score says more than half, the form of Rasmussen and Williams (2006, equation
    5.12) is used, which divides by the precision, and elsewhere the one that does not. All
    arguments are (C, F, M).

    Args:
        scores: Of the models.
        precision: Of each score, >= 0.
        mean: Of the posterior.
        variance: Of the posterior.
        pull: B^-1 R scores, where R is the root of the precision and B = 1 + R kernel R.
        left: Diagonal of B^-1: the share of the posterior that is not the model's own score.
    """
    root, own = precision.sqrt().clamp_min(_JITTER), precision.clamp_min(_JITTER)
    known_well = left < 0.5
    without = torch.where(
        known_well, scores - pull / (root * left), (mean - (1 - left) * scores) / left
    )
    return without, torch.where(known_well, (1 - left) / own, variance) / left


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
