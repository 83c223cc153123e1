"""Who was asked what: what text and task tell of the models that answered a query."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor

from graphrouter.nn.layers import decompose, factorise, sum_segments
from graphrouter.nn.outcomes import SupportOutcomes
from graphrouter.nn.sparse_pairs import PairTable

_ASKED_RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Of the regression of who was asked, in features of an average query."""
_LEAST_TOLD = 0.05
"""A share whose prediction varies less, as by chance, counts by as much less."""
_ROUNDING = 1e-12
"""Shares of who was asked that differ by less are all the same."""
_LEAST_SIZE = 1e-9
"""Of a direction of the coefficients, beside the widest."""


def predict_asked(outcomes: SupportOutcomes, features: Tensor, *, is_foretold: bool) -> Tensor:
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


class _Asked(NamedTuple):
    """Who was asked in a large pool, by outcomes: the share of each model beside its mean."""

    outcomes: SupportOutcomes
    share: Tensor
    """(E,) of the query's answers."""
    mean: Tensor
    """(M,) over queries."""
    table: PairTable
    """(S, M) of the shares."""

    @classmethod
    def of(cls, outcomes: SupportOutcomes, num_queries: int) -> _Asked:
        """Of a support of so many queries."""
        count = torch.bincount(outcomes.query, minlength=num_queries).clamp_min(1).double()
        share = (1 / count)[outcomes.query]
        shape = (num_queries, outcomes.num_models)
        mean = sum_segments(share.unsqueeze(0), outcomes.model, shape[1])[0] / num_queries
        table = PairTable.of(outcomes.query, outcomes.model, share, shape)
        return cls(outcomes, share, mean, table)

    def sum_squares(self, weight: Tensor) -> Tensor:
        """Of each model, over queries of weights (S,): (M,)."""
        weighted = weight[self.outcomes.query] * self.share
        terms = torch.stack([weighted * self.share, weighted])
        squares, sums = sum_segments(terms, self.outcomes.model, len(self.mean))
        return torch.as_tensor(squares - 2 * self.mean * sums + self.mean.square() * weight.sum())

    def multiply(self, features: Tensor) -> Tensor:
        """Products with features (S, D), summed over queries: (D, M)."""
        return self.table.transposed_times(features).mT - features.sum(0).unsqueeze(1) * self.mean


def predict_asked_sparsely(
    outcomes: SupportOutcomes, features: Tensor, *, is_foretold: bool
) -> Tensor:
    """What `predict_asked` holds for a large pool, in fewer columns: (S, R), R <= D.

    Its columns are linear in the features, and their weights have one variance. So their sum is as
    likely what R columns give: the principal ones of the coefficients. Sums over queries and models
    are taken over outcomes alone.
    """
    num_queries, asked = len(features), _Asked.of(outcomes, len(features))
    centred = features - features.mean(0)
    total = asked.sum_squares(torch.ones_like(centred[:, 0]))
    if float(total.max()) <= num_queries * _ROUNDING**2:
        return centred[:, :0]
    gram = centred.mT @ centred
    values, vectors = decompose(gram, "what tells who was asked")
    scores, foretold = centred @ vectors, torch.ones_like(total)
    aims, squared = asked.multiply(scores), scores.square()
    if is_foretold:
        found = []
        for ridge in _ASKED_RIDGES:
            shrunk = 1 / (values.clamp_min(0) + ridge * values.sum() / num_queries + _ROUNDING)
            told = aims * shrunk.unsqueeze(1)
            leverage = (squared @ shrunk + 1 / num_queries).clamp_max(1 - 1e-6)
            weight = (1 - leverage).pow(-2)
            weighted = scores * weight.unsqueeze(1)
            off = (weighted.mT @ scores) @ told - 2 * asked.multiply(weighted)
            missed = asked.sum_squares(weight) + (told * off).sum(0)
            found.append((float(missed.sum()), told, missed))
        _, told, missed = min(found, key=itemgetter(0))
        foretold = (1 - missed / total.clamp_min(_ROUNDING)).clamp_min(0)
    else:
        spread = (gram.diagonal() / num_queries).sqrt()
        width = spread.clamp_min(1e-6 * float(spread.max().clamp_min(1e-12))).square()
        own = torch.diag(width * (float((spread > 0).sum()) + 1e-9))
        factor = factorise(gram + own, "what tells who was asked")
        told = vectors.mT @ torch.cholesky_solve(vectors @ aims, factor)
    varied = (values.clamp_min(0) @ told.square() / num_queries).sqrt()
    coefficients = told * foretold.sqrt() / varied.clamp_min(_LEAST_TOLD)
    sizes, directions = decompose(coefficients @ coefficients.mT, "what tells who was asked")
    kept = sizes > _LEAST_SIZE * sizes.max().clamp_min(_ROUNDING)
    return scores @ (directions[:, kept] * sizes[kept].sqrt())
