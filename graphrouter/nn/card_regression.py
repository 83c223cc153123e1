"""What the cards of the other models say of each model: a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
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
_MODELS_AT_ONCE = 1024
"""Whose outer products of what inducing models say of them are made at once, 60 MB of them."""


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
        found = _regress_induced(scores, precision, likeness, CARD_SHARES)
    else:
        each = (_regress(scores, precision, likeness, share) for share in CARD_SHARES)
        found = _Regression(*map(torch.stack, zip(*each, strict=True)))
    # Not the best share but all of them: a pool of a few models cannot tell which is right.
    belief = torch.softmax(found.evidence, dim=0).unsqueeze(-1)
    average = (belief * found.mean).sum(0)
    spread = (belief * (found.variance + (found.mean - average).square())).sum(0)
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
    scores: Tensor, precision: Tensor, likeness: InducedLikeness, shares: Sequence[float]
) -> _Regression:
    """As `_regress` for K shares, by the inducing models: the largest matrices are theirs, (I, I).

    With kernel = s L L' + diag(o), the inverse of 1 + R kernel R follows from that of
    1 + s L' R^2 (1 + o R^2)^-1 L (Woodbury; Rasmussen and Williams 2006, equations A.9 and A.10).
    All have K in front: (K, C, F, M), or (K, C, F).
    """
    factor, root = likeness.factor.double(), precision.sqrt()
    share = scores.new_tensor(shares)[:, None, None, None]
    own = share * likeness.own.double() + 1 - share
    inflation = 1 + precision * own
    one = torch.eye(factor.shape[1], dtype=factor.dtype, device=factor.device)
    products = _OuterProducts(factor)
    shared = products.add_up(share * precision / inflation)
    chosen = factorise(one + shared, "what cards say of the models")
    inverse = torch.cholesky_inverse(chosen)
    told = root * scores / inflation
    pulled = ((root * told) @ factor).unsqueeze(-2) @ inverse @ factor.mT
    pull = told - share * root / inflation * pulled.squeeze(-2)
    through = share * products.measure(inverse)
    mean, variance = _leave_out(
        scores,
        precision,
        share * ((root * pull) @ factor @ factor.mT) + own * root * pull,
        own / inflation + through / inflation.square(),
        pull=pull,
        left=(1 - precision / inflation * through) / inflation,
    )
    volume = 0.5 * inflation.log().sum(-1) + chosen.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    evidence = -0.5 * (root * scores * pull).sum(-1) - volume
    kernel = own + share * factor.square().sum(1)
    return _Regression(mean, torch.minimum(variance, kernel), evidence)


class _OuterProducts:
    """The outer products of the rows of a factor (M, I) with themselves, each half of them once.

    Sums of them, and forms with symmetric matrices, are each one product of matrices.
    """

    def __init__(self, factor: Tensor) -> None:
        self._factor = factor
        size = factor.shape[1]
        self._row, self._column = torch.tril_indices(size, size, device=factor.device)
        blocks = range(0, len(factor), _MODELS_AT_ONCE)
        self._blocks = [slice(first, first + _MODELS_AT_ONCE) for first in blocks]
        self._only = self._multiply(self._blocks[0]) if len(self._blocks) == 1 else None

    def add_up(self, weight: Tensor) -> Tensor:
        """Sums of weight f f' over the rows f: (..., I, I) for weights (..., M)."""
        half = weight.new_zeros(*weight.shape[:-1], len(self._row))
        for some in self._blocks:
            half += weight[..., some] @ self._take(some).mT
        size = self._factor.shape[1]
        total = weight.new_empty(*half.shape[:-1], size, size)
        total[..., self._row, self._column] = half
        total[..., self._column, self._row] = half
        return total

    def measure(self, matrix: Tensor) -> Tensor:
        """Forms f' A f of the rows f for symmetric matrices A (..., I, I): (..., M)."""
        half = matrix[..., self._row, self._column]
        half *= 1.0 + (self._row != self._column).to(half.dtype)
        return torch.cat([half @ self._take(some) for some in self._blocks], dim=-1)

    def _take(self, some: slice) -> Tensor:
        return self._multiply(some) if self._only is None else self._only

    def _multiply(self, some: slice) -> Tensor:
        """(I (I + 1) / 2, m) of some rows, those of one column after the other."""
        columns = self._factor[some].mT.contiguous()
        found = columns.new_empty(len(self._row), columns.shape[1])
        first = 0
        for place, column in enumerate(columns):
            last = first + place + 1
            torch.mul(columns[: place + 1], column, out=found[first:last])
            first = last
        return found


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
