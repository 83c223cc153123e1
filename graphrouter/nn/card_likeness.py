"""How much alike models are by what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphrouter.nn.layers import is_large_pool

MOST_INDUCING = 128
"""So many models at most stand for all in the likeness of a large pool."""
_LEAST_LEFT = 1e-6
"""Of a model's own likeness that inducing models leave: with less there is nothing to add."""
_MAX_CARD = 3.0


@dataclass(frozen=True, eq=False)
class InducedLikeness:
    """Likeness of a large pool through some of its models: factor @ factor.T + diag(own).

    The Nystroem approximation (Williams and Seeger 2001) with the diagonal kept, as in the fully
    independent training conditional (Quinonero-Candela and Rasmussen 2005): what the inducing
    models do not tell of a model is its own.
    """

    factor: Tensor
    """(M, I)."""
    own: Tensor
    """(M,), >= 0."""

    def __len__(self) -> int:
        return len(self.own)

    @property
    def dense(self) -> Tensor:
        """(M, M), for comparisons."""
        return self.factor @ self.factor.mT + torch.diag(self.own)


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
    numbers, count = _select_numbers(card, is_known)
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


def induce_likeness(text: Tensor, card: Tensor, is_known: Tensor, most: int) -> InducedLikeness:
    """The likeness of `compare_cards` through `most` known models or fewer, in double precision.

    They are chosen greedily, each the one that those before leave most of: a pivoted Cholesky
    decomposition (Harbrecht, Peters and Schneider 2012, algorithm 1). Unknown models are never
    chosen, so that they change nothing for others.
    """
    text, (numbers, count) = text.double(), _select_numbers(card.double(), is_known)
    norm = numbers.square().sum(1) / count
    diagonal = text.square().sum(1) + norm + 1
    typical = diagonal[is_known].mean() if is_known.any() else diagonal.new_ones(())

    def compare_with(model: int) -> Tensor:
        product = numbers @ numbers[model] / count
        apart = torch.exp(product - (norm + norm[model]) / 2)
        return (text @ text[model] + product + apart) / typical

    factor = decompose_pivoted(diagonal / typical, compare_with, is_known, most)
    own = (diagonal / typical).clamp_min(1) - factor.square().sum(1)
    return InducedLikeness(factor, own.clamp_min(0))


def decompose_pivoted(
    diagonal: Tensor, column: Callable[[int], Tensor], may_lead: Tensor, most: int
) -> Tensor:
    """The factor (M, I) of a positive semi-definite matrix, by its largest pivots, I <= `most`.

    Args:
        diagonal: (M,) of the matrix.
        column: A column (M,) of it, by its number.
        may_lead: (M,) bool, which may be pivots.
        most: Pivots.
    """
    factor, left = diagonal.new_zeros(len(diagonal), most), diagonal * may_lead
    for step in range(most):
        lead = int(left.argmax())
        if left[lead] <= _LEAST_LEFT * diagonal[lead]:
            return factor[:, :step]
        told = factor[:, :step] @ factor[lead, :step]
        factor[:, step] = (column(lead) - told) / left[lead].sqrt()
        left = left - factor[:, step].square() * may_lead
        left[lead] = 0.0
    return factor


def _select_numbers(card: Tensor, is_known: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of cards (M, n) that a known model states, 0 elsewhere, and how many those are."""
    numbers, missing = card.chunk(2, dim=1)
    used = (missing[is_known] < 1).any(0)
    return numbers.clamp(-_MAX_CARD, _MAX_CARD) * used, used.sum().clamp_min(1)


class CardLikeness(nn.Module):
    """Models are alike as far as their cards say so."""

    def forward(self, text: Tensor, card: Tensor, is_known: Tensor) -> Tensor | InducedLikeness:
        """Likeness (M, M), or through some models in a large pool; see `compare_cards`."""
        if is_large_pool(len(text)):
            return induce_likeness(text, card, is_known, MOST_INDUCING)
        return compare_cards(text, card, is_known)


class NoLikeness(nn.Module):
    """No model is like another: takes the place of `CardLikeness` where cards are left out."""

    def forward(self, text: Tensor, card: Tensor, is_known: Tensor) -> Tensor | InducedLikeness:
        """The identity (M, M), or no factor in a large pool; arguments of `compare_cards`."""
        if is_large_pool(len(text)):
            return InducedLikeness(text.new_zeros(len(text), 0), text.new_ones(len(text)))
        return torch.eye(text.shape[0], dtype=text.dtype, device=text.device)
