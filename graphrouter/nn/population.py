"""What the pool knows of a model before it has answered much: how models vary, what cards say.

A model's level in each task is centre + basis @ factors. The factors of a model have a prior mean
and variance from a Gaussian process over the cards of the other models, and a model may also be
much like one of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

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
_LEAST_FACTOR = 1e-4  # of the largest eigenvalue
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
            sloped_square: (C, M) sum of slope^2 x information.
        """
        gradient = torch.einsum("ctf,ctm->cmf", self.basis, step)
        matrix = torch.einsum("ctf,ctg,ctm->cmfg", self.basis, self.basis, information)
        cross = torch.einsum("ctf,ctm->cmf", self.basis, sloped)
        first = torch.zeros_like(gradient[0, 0])
        first[0] = 1.0
        corner = cross.unsqueeze(-1) * first
        matrix = (
            matrix + corner + corner.mT + sloped_square[..., None, None] * torch.outer(first, first)
        )
        return Likelihood(gradient + sloped_step.unsqueeze(-1) * first, matrix)

    def newton_step(self, factors: Tensor, likelihood: Likelihood) -> Tensor:
        """How far the posterior mode is from `factors`, to second order: (C, F, M)."""
        pull = (likelihood.gradient - ((factors - self.mean) / self.variance).mT).unsqueeze(-1)
        total = likelihood.information + torch.diag_embed(1 / self.variance.mT)
        step: Tensor = torch.linalg.solve(total, pull).squeeze(-1).mT
        return step


class Likelihood(NamedTuple):
    """Of the factors of each model, to second order."""

    gradient: Tensor
    """(C, M, F)."""
    information: Tensor
    """(C, M, F, F)."""


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
    moments = torch.einsum("ctm,csm->cts", deviation * weight.unsqueeze(1), deviation)
    promised = PSEUDO_MODELS / ability_mass.unsqueeze(2)  # all tasks together
    counted = (has_outcomes & has_outcomes.mT).to(level.dtype)
    values, vectors = torch.linalg.eigh(counted * (moments + promised) / (count + PSEUDO_MODELS))
    size = min(level.shape[1], MAX_FACTORS)
    values, directions = values.flip(1)[:, :size], vectors.flip(2)[:, :, :size]
    # Where models do not vary, directions are arbitrary: they must not matter.
    scale = torch.where(values > _LEAST_FACTOR * values[:, :1], values, 0.0).sqrt()
    basis = directions * scale.unsqueeze(1)
    scores = torch.einsum("ctf,ctm->cfm", basis, deviation) / scale.square().clamp_min(
        _JITTER
    ).unsqueeze(2)
    precision = torch.einsum("ctf,ctm->cfm", basis.square(), information)
    mean, variance = predict_from_others(scores, precision, likeness)
    basis = torch.where(has_outcomes, basis, basis[:, -1:])
    return Population(centre, basis, mean, variance, scores)


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
        factor = torch.linalg.cholesky(own + root.unsqueeze(-1) * kernel * root.unsqueeze(-2))
        half = torch.linalg.solve_triangular(factor, root.unsqueeze(-1) * kernel, upper=False)
        fitted = torch.linalg.solve_triangular(factor, (root * scores).unsqueeze(-1), upper=False)
        mean = (half.mT @ fitted).squeeze(-1)
        variance = (kernel.diagonal() - half.square().sum(-2)).clamp_min(_JITTER)
        # Dividing a normal likelihood out of a normal posterior subtracts precisions.
        others = (1 / variance - precision).clamp_min(1 / kernel.diagonal())
        means.append((mean / variance - precision * scores) / others)
        variances.append(1 / others)
        likelihoods.append(
            -0.5 * fitted.square().sum((-2, -1)) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        )
    # Not the best share but all of them: a pool of a few models cannot tell which is right.
    belief = torch.softmax(torch.stack(likelihoods), dim=0).unsqueeze(-1)
    average = (belief * torch.stack(means)).sum(0)
    spread = (belief * (torch.stack(variances) + (torch.stack(means) - average).square())).sum(0)
    return average.to(dtype), spread.clamp_min(_LEAST_VARIANCE).to(dtype)


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
    here, by_card = factors.mT, prior.mean.mT  # (C, M, F)
    precision = 1 / prior.variance.mT
    card = _expand(likelihood, torch.diag_embed(precision), (by_card - here).unsqueeze(2))
    centres = (1 - RESEMBLANCE_VARIANCE) ** 0.5 * prior.scores.mT
    alike = torch.eye(here.shape[2], dtype=here.dtype, device=here.device) / RESEMBLANCE_VARIANCE
    models = _expand(
        likelihood,
        alike.expand_as(likelihood.information),
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
    return Posterior((here + mean).mT, covariance)


class _Components(NamedTuple):
    """Normal priors updated by the same likelihood. N components a model."""

    evidence: Tensor
    """(C, M, N) log marginal likelihood, up to a constant."""
    move: Tensor
    """(C, M, N, F) from where the likelihood was expanded to the posterior mean."""
    covariance: Tensor
    """(C, M, F, F) of the posterior."""


def _expand(likelihood: Likelihood, precision: Tensor, distance: Tensor) -> _Components:
    """Components of prior precision (C, M, F, F) whose means are at `distance` (C, M, N, F)."""
    total = likelihood.information + precision
    covariance = torch.linalg.inv(total)
    pull = distance @ precision
    push = likelihood.gradient.unsqueeze(2) + pull
    move = push @ covariance
    scale = 0.5 * (torch.logdet(precision) - torch.logdet(total)).unsqueeze(-1)
    return _Components(
        scale + 0.5 * (push * move).sum(-1) - 0.5 * (pull * distance).sum(-1), move, covariance
    )
