"""Expected cost, tokens and latency for baselines that have no predictor of their own.

A log-linear regression a model.

Every router that is compared needs costs to trade against, and few publications say how to get
them. All baselines without a method of their own share this one, so that none of them wins or loses
by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.tools.levels import (
    AMOUNTS,
    FLOORS,
    LEVEL_OUTCOMES,
    price_by_list,
    stack_amounts,
    take_geometric_mean,
)
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.features.token_rates import TokenRates, count_chars, fit_token_rates
from graphrouter.types import FloatArray

NUM_DIRECTIONS = 32
PENALTIES = (30.0, 3.0, 300.0)
"""Ridge penalties to choose from, in outcomes; the first one without validation rows."""
NEW_PENALTY = 300.0
"""The penalty of a new model, on what sets its coefficients apart from the pool's: those it shares
most of."""
SMALLEST_SPREAD = 1e-6
"""Singular value of the training vectors below which a direction is left out."""
_Rows = tuple[FloatArray, Sequence[str], ObservedOutcomes]


@dataclass(frozen=True, eq=False)
class Amounts:
    """A ridge regression for each (quantity, model), on prompt length and principal directions.

    The logarithm is what is fitted; the exponential is scaled so that the training mean comes out
    (Duan, "Smearing Estimate", 1983, with one factor a model), and kept inside the range that was
    observed of the model.
    """

    centre: FloatArray
    """(dimension,) mean of the training vectors."""
    directions: FloatArray
    """(dimension, num_directions) principal directions, scaled to unit variance in training."""
    weights: FloatArray
    """(4, num_features, num_models) coefficients of the log amounts, in the order of `AMOUNTS`; NaN
    = never observed."""
    factor: FloatArray
    """(4, num_models) from exponential to mean."""
    bounds: FloatArray
    """(4, 2, num_models) smallest and largest training amount."""
    log_length: float
    """Mean log length of the training prompts: a typical prompt has that and no principal
    coordinate."""
    tokens: TokenRates | None = None
    """From characters to prompt tokens, for what a prompt is longer than any that was seen; None in
    an artifact of an earlier release, which stays within the range it observed."""

    @classmethod
    def fit(
        cls,
        vectors: FloatArray,
        prompts: Sequence[str],
        outcomes: ObservedOutcomes,
        *,
        held: _Rows | None = None,
    ) -> Self:
        """The predictor that the training outcomes make.

        Args:
            vectors: (num_train, dimension) text embeddings of unit length.
            prompts: The training prompts.
            outcomes: What was observed, (num_train, num_models) each.
            held: The same three for validation rows, to choose the penalty on.
        """
        centre = vectors.mean(axis=0)
        rank = min(NUM_DIRECTIONS, vectors.shape[1], max(1, len(vectors) // 10))
        _, singular, axes = np.linalg.svd(vectors - centre, full_matrices=False)
        # Prompts that hardly differ have no direction: what is left of them is rounding.
        spread = singular[:rank]
        scale = np.where(
            spread > SMALLEST_SPREAD,
            np.sqrt(len(vectors)) / np.maximum(spread, SMALLEST_SPREAD),
            0.0,
        )
        directions = np.ascontiguousarray(
            axes[:rank].T * scale
        )  # as it comes back from a file: products round alike
        features = _make_features(vectors, prompts, centre, directions)
        length = float(features[:, 1].mean())
        fits = [
            cls(centre, directions, *_solve(features, outcomes, penalty), length)
            for penalty in PENALTIES[: 1 if held is None else 3]
        ]
        best = fits[0] if held is None else min(fits, key=lambda fit: fit._log_error(*held))
        return replace(best, tokens=_rate_tokens(prompts, outcomes.input_tokens))

    def predict(
        self, vectors: FloatArray, prompts: Sequence[str], *, prices: FloatArray | None = None
    ) -> list[FloatArray]:
        """Expected amounts in the order of `AMOUNTS`, (num_queries, num_models) each.

        NaN for what was never observed.

        Args:
            vectors: (num_queries, dimension) text embeddings of unit length.
            prompts: The prompts.
            prices: (2, num_models) input and output US dollars per million tokens, by which what a
                prompt has beyond those seen is charged; nothing is charged without.
        """
        features = _make_features(vectors, prompts, self.centre, self.directions)
        cost, expected, *others = (self._amount(features, i) for i in range(len(AMOUNTS)))
        if self.tokens is None:
            return [cost, expected, *others]
        nowhere = np.ones((len(prompts), 1))
        found = self.tokens.estimate(count_chars(prompts).astype(np.float64), nowhere, expected)
        if prices is not None:
            cost = cost + found.beyond * np.nan_to_num(prices[0]) / 1e6
        return [cost, expected + found.beyond, *others]

    def extended(self, vectors: FloatArray, prompts: Sequence[str], new: NewModels) -> Self:
        """The predictor with new models.

        How an amount follows the prompt is regressed on the model's own calls, from the mean
        coefficients of the pool on. The pool's promise of its level (`levels`) counts as some calls
        more.

        Args:
            vectors: (num_queries, dimension) embeddings of the new models' prompts, of unit length.
            prompts: The prompts.
            new: The new models.
        """
        features = _make_features(vectors, prompts, self.centre, self.directions)
        observed = stack_amounts(new.outcomes)
        typical = self._describe_typical
        levels = self.levels
        promised = np.repeat(take_geometric_mean(levels, axis=1)[:, None], new.num_new, axis=1)
        start = [_mean_coefficients(weights) for weights in self.weights]
        fits = [
            _regress(features, typical, *each)
            for each in zip(observed, start, promised, strict=True)
        ]
        # The promise of the cost follows from the tokens.
        priced = price_by_list(levels, np.stack([fit.level for fit in fits]), new)
        fits[0] = _regress(features, typical, observed[0], start[0], priced)
        return replace(
            self,
            weights=np.concatenate([self.weights, np.stack([fit.weights for fit in fits])], axis=2),
            factor=np.hstack([self.factor, np.stack([fit.factor for fit in fits])]),
            bounds=np.concatenate([self.bounds, self._new_bounds(levels, fits, observed)], axis=2),
            tokens=self.tokens and _add_models(self.tokens, new.num_new),
        )

    @property
    def levels(self) -> FloatArray:
        """(4, num_models) expected amounts of a typical prompt; NaN for what was never observed."""
        return np.asarray(
            np.exp(np.einsum("f,afm->am", self._describe_typical, self.weights)) * self.factor
        )

    @property
    def _describe_typical(self) -> FloatArray:
        return np.array([1.0, self.log_length, *np.zeros(self.directions.shape[1])])

    def _new_bounds(self, levels: FloatArray, fits: list[_Fit], observed: FloatArray) -> FloatArray:
        """(4, 2, num_new) range of each amount.

        The widest of the pool, scaled to the model's level, and what was observed.
        """
        relative = self.bounds / levels[:, None, :]
        level = np.stack([fit.level for fit in fits])
        low = np.fmin.reduce(relative[:, 0], axis=1)[:, None] * level
        high = np.fmax.reduce(relative[:, 1], axis=1)[:, None] * level
        nothing = np.full((len(AMOUNTS), 1, level.shape[1]), np.nan)
        rows = np.concatenate([nothing, observed], axis=1)
        return np.stack(
            [
                np.fmin(low, np.fmin.reduce(rows, axis=1)),
                np.fmax(high, np.fmax.reduce(rows, axis=1)),
            ],
            axis=1,
        )

    def _amount(self, features: FloatArray, i: int) -> FloatArray:
        low, high = self.bounds[i]
        # Clipped before the exponential too: far outside the training texts a regression may say
        # anything.
        logs = np.clip(features @ self.weights[i], np.log(low) - 1, np.log(high) + 1)
        return np.asarray(np.clip(np.exp(logs) * self.factor[i], low, high))

    def _log_error(
        self, vectors: FloatArray, prompts: Sequence[str], outcomes: ObservedOutcomes
    ) -> float:
        """Mean squared log error over all quantities, each counted the same."""
        errors = []
        for name, predicted in zip(AMOUNTS, self.predict(vectors, prompts), strict=True):
            observed = np.maximum(getattr(outcomes, name), FLOORS[name])
            known = np.isfinite(observed) & np.isfinite(predicted)
            if known.any():
                errors.append(
                    float(np.mean((np.log(predicted[known]) - np.log(observed[known])) ** 2))
                )
        return float(np.mean(errors)) if errors else 0.0


def _rate_tokens(prompts: Sequence[str], tokens: FloatArray) -> TokenRates:
    """From characters to tokens, by the prompt tokens (num_prompts, num_models) that were seen."""
    query, model = np.nonzero(np.isfinite(tokens))
    return fit_token_rates(
        count_chars(prompts).astype(np.float64),
        np.full(len(prompts), -1),
        query,
        model,
        tokens[query, model],
        num_models=tokens.shape[1],
        num_tasks=0,
    )


def _add_models(rates: TokenRates, num_new: int) -> TokenRates:
    """The rates with new models, which are as the mean of the others."""

    def widen(part: FloatArray) -> FloatArray:
        mean = part.mean(axis=0, keepdims=True)
        return np.concatenate([part, np.repeat(mean, num_new, axis=0)])

    return rates._replace(
        rates=widen(rates.rates),
        doubt=widen(rates.doubt),
        offset=widen(rates.offset.T).T,
        spread=widen(rates.spread),
    )


class _Fit(NamedTuple):
    """One amount of the new models."""

    weights: FloatArray
    """(num_features, num_new)."""
    factor: FloatArray
    """(num_new,)."""
    level: FloatArray
    """(num_new,) expected amount of a typical prompt; NaN = nothing is known of it."""


def _make_features(
    vectors: FloatArray, prompts: Sequence[str], centre: FloatArray, directions: FloatArray
) -> FloatArray:
    """(num_queries, 2 + num_directions): one, log length, principal coordinates."""
    length = np.log1p([len(prompt) for prompt in prompts])
    return np.column_stack([np.ones(len(vectors)), length, (vectors - centre) @ directions])


def _solve(
    features: FloatArray, outcomes: ObservedOutcomes, penalty: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights, factors and bounds; see the fields of `Amounts`."""
    shape = (len(AMOUNTS), len(outcomes.models))
    weights = np.full((len(AMOUNTS), features.shape[1], len(outcomes.models)), np.nan)
    factor, bounds = (
        np.full(shape, np.nan),
        np.full((len(AMOUNTS), 2, len(outcomes.models)), np.nan),
    )
    ridge = _ridge(features.shape[1], penalty)
    for i, name in enumerate(AMOUNTS):
        amounts = np.maximum(getattr(outcomes, name), FLOORS[name])
        for model in np.flatnonzero(np.isfinite(amounts).any(axis=0)):
            known = np.isfinite(amounts[:, model])
            x, y = features[known], amounts[known, model]
            coefficients = np.linalg.solve(x.T @ x + ridge, x.T @ np.log(y))
            weights[i, :, model] = coefficients
            bounds[i, :, model] = y.min(), y.max()
            fitted = np.exp(np.clip(x @ coefficients, np.log(y.min()) - 1, np.log(y.max()) + 1))
            factor[i, model] = y.mean() / fitted.mean()
    return weights, factor, bounds


def _ridge(num_features: int, penalty: float) -> FloatArray:
    """Prompt length is worth a coefficient of its own only when it varies.

    The constant is not penalised.
    """
    return np.asarray(penalty * np.diag(np.concatenate([[1e-6], np.full(num_features - 1, 1.0)])))


def _mean_coefficients(weights: FloatArray) -> FloatArray:
    """Mean over the models (num_features, num_models) of which the amount was observed.

    0 without any.
    """
    known = weights[:, np.isfinite(weights).all(axis=0)]
    return np.asarray(known.mean(axis=1)) if known.size else np.zeros(len(weights))


def _regress(
    features: FloatArray,
    typical: FloatArray,
    observed: FloatArray,
    start: FloatArray,
    promised: FloatArray,
) -> _Fit:
    """The regression of one amount of each new model on its own calls; see `Amounts.extended`.

    Args:
        features: (num_queries, num_features).
        typical: (num_features,) features of a typical prompt.
        observed: (num_queries, num_new), NaN = not observed.
        start: (num_features,) coefficients that the penalty draws to.
        promised: (num_new,) amount that the pool leads to expect of a typical prompt, NaN =
            nothing.
    """
    weights = np.full((len(start), observed.shape[1]), np.nan)
    factor, level = np.full((2, observed.shape[1]), np.nan)
    for model, column in enumerate(observed.T):
        known = np.isfinite(column)
        if not known.any() and np.isnan(promised[model]):
            continue
        x, y = features[known], column[known]
        own = start + np.linalg.solve(
            x.T @ x + _ridge(len(start), NEW_PENALTY), x.T @ (np.log(y) - x @ start)
        )
        fitted = (
            np.exp(np.clip(x @ own, np.log(y.min()) - 1, np.log(y.max()) + 1)) if known.any() else y
        )
        weight = 0.0 if np.isnan(promised[model]) else LEVEL_OUTCOMES
        total, expected = (
            y.sum() + weight * np.nan_to_num(promised[model]),
            fitted.sum() + weight * np.exp(typical @ own),
        )
        weights[:, model], factor[model] = own, total / expected
        level[model] = np.exp(typical @ own) * factor[model]
    return _Fit(weights, factor, level)
