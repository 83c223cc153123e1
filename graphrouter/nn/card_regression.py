"""What the cards of the other models say of each model: a Gaussian process."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphrouter.nn.card_likeness import InducedLikeness
from graphrouter.nn.layers import factorise

CARD_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
"""Shares of the variance between models that cards may explain; averaged by how well each explains
the pool at hand."""
_LEAST_VARIANCE = 0.02
_JITTER = 1e-9


def predict_from_others(
    scores: Tensor, precision: Tensor, likeness: Tensor | InducedLikeness
) -> tuple[Tensor, Tensor]:
    """What cards and the other models say about each score: mean and variance, (C, F, M) each.

    Gaussian process regression (Rasmussen and Williams 2006, section 2.2) with each model's own
    score divided out of its posterior, averaged over `CARD_SHARES` by marginal likelihood. A model
    that nothing is known of changes nothing for others.

    Args:
        scores: (C, F, M) of about unit variance.
        precision: (C, F, M) of each score, >= 0.
        likeness: (M, M), or that of a large pool.
    """
    dtype = scores.dtype
    # Cholesky factors of kernels of near copies need double precision.
    scores, precision = scores.double(), precision.double()
    if isinstance(likeness, InducedLikeness):
        found = [_regress_induced(scores, precision, likeness, share) for share in CARD_SHARES]
    else:
        found = [_regress(scores, precision, likeness, share) for share in CARD_SHARES]
    means, variances, likelihoods = zip(*found, strict=True)
    # Not the best share but all of them: a pool of a few models cannot tell which is right.
    belief = torch.softmax(torch.stack(likelihoods), dim=0).unsqueeze(-1)
    average = (belief * torch.stack(means)).sum(0)
    spread = (belief * (torch.stack(variances) + (torch.stack(means) - average).square())).sum(0)
    return average.to(dtype), spread.clamp_min(_LEAST_VARIANCE).to(dtype)


class _Regression(NamedTuple):
    """At one share of the variance that cards explain."""

    mean: Tensor
    """(C, F, M) of each score by the others."""
    variance: Tensor
    """(C, F, M)."""
    evidence: Tensor
    """(C, F) log marginal likelihood, up to a constant."""


def _regress(scores: Tensor, precision: Tensor, likeness: Tensor, share: float) -> _Regression:
    likeness, root = likeness.double(), precision.sqrt()
    own = torch.eye(likeness.shape[0], dtype=likeness.dtype, device=likeness.device)
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
    return _Regression(
        mean,
        torch.minimum(variance, kernel.diagonal()),
        -0.5 * fitted.square().sum((-2, -1)) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1),
    )


def _regress_induced(
    scores: Tensor, precision: Tensor, likeness: InducedLikeness, share: float
) -> _Regression:
    """As `_regress`, by the inducing models: the largest matrix is theirs, (I, I).

    With kernel = s L L' + diag(o), the inverse of 1 + R kernel R follows from that of
    1 + s L' R^2 (1 + o R^2)^-1 L (Woodbury; Rasmussen and Williams 2006, equations A.9 and A.10).
    """
    root, size = precision.sqrt(), likeness.factor.shape[1] if share > 0 else 0
    factor = share**0.5 * likeness.factor[:, :size].double()
    own = share * likeness.own.double() + 1 - share
    inflation = 1 + precision * own
    shared = (factor * (precision / inflation).unsqueeze(-1)).mT @ factor
    one = torch.eye(size, dtype=factor.dtype, device=factor.device)
    chosen = factorise(one + shared, "what cards say of the models")
    spread = torch.linalg.solve_triangular(chosen, factor.mT, upper=False)  # (C, F, I, M)
    told = root * scores / inflation
    pulled = spread @ (root * told).unsqueeze(-1)
    pull = told - root / inflation * (spread.mT @ pulled).squeeze(-1)
    through = spread.square().sum(-2)
    kernel = own + factor.square().sum(1)
    mean, variance = _leave_out(
        scores,
        precision,
        (root * pull) @ factor @ factor.mT + own * root * pull,
        own / inflation + through / inflation.square(),
        pull=pull,
        left=(1 - precision / inflation * through) / inflation,
    )
    volume = 0.5 * inflation.log().sum(-1) + chosen.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    evidence = -0.5 * (root * scores * pull).sum(-1) - volume
    return _Regression(mean, torch.minimum(variance, kernel), evidence)


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
