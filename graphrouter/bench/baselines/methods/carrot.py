"""CARROT: predict effect and cost of every model, then take the best trade-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeVar

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.bench.baselines.methods.own_neighbours import OwnRows
from graphrouter.bench.baselines.methods.regressors import (
    LinearMap,
    fit_best_effect_map,
    fit_ridge_map,
    fit_ridge_maps,
    keep_inside,
    widen_map,
)
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.training.effect_scores import log_loss
from graphrouter.types import QUANTITIES, FloatArray

CARROT_K = (2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Numbers of neighbours to choose from."""
CARROT_DEFAULT_K = 32
"""Taken when there is nothing to validate on."""
T = TypeVar("T")
COST_PENALTIES = (30.0, 3.0, 300.0)
"""Ridge penalties of the cost regression; the first one without validation rows."""


@dataclass(frozen=True, eq=False)
class CarrotKNN(NearestNeighbours):
    """Means over nearest training queries, with a number of neighbours for effect and cost each.

    The plug-in rule argmax (1 - mu) effect - mu cost is `Policy` with `cost_weight` = mu. The
    original chooses the numbers of neighbours by cross-validation; here they come from the
    validation rows that all baselines have.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = CarrotKNN.fit(data, encoder=HashingEncoder(64))
        >>> router.k, router.cost_k
        (2, 4)
    """

    name: ClassVar[str] = "carrot_knn"
    source: ClassVar[str] = "CARROT: A Cost Aware Rate Optimal Router (arXiv 2502.03261), kNN"

    cost_k: int
    """Neighbours for cost, tokens and latency; `k` counts those for effect."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Each k is that of the lowest loss on the validation rows.
        """
        vectors = data.questions.vectors
        k, none = min(CARROT_DEFAULT_K, len(vectors)), OwnRows.none(vectors.shape[1])
        router = cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            vectors,
            data.outcomes,
            data.means,
            none,
            k=k,
            cost_k=k,
        )
        if data.validation is None or data.held_questions is None:
            return router
        candidates = sorted({min(k, len(vectors)) for k in CARROT_K})
        held, scale = data.validation.outcomes, data.means.cost_usd
        near = np.vstack(list(router._neighbours(data.held_questions.vectors, candidates[-1])))
        effect_losses = [
            log_loss(router._average("effect", near[:, :k]), held.effect) for k in candidates
        ]
        cost_losses = [
            _squared_error(router._average("cost_usd", near[:, :k]), held.cost_usd, scale)
            for k in candidates
        ]
        return replace(
            router, k=_best(candidates, effect_losses, k), cost_k=_best(candidates, cost_losses, k)
        )

    @property
    def _used_k(self) -> tuple[int, ...]:
        """Number of neighbours for each of `QUANTITIES`."""
        return (self.k, *[self.cost_k] * (len(QUANTITIES) - 1))


@dataclass(frozen=True, eq=False)
class CarrotLinear(TextBaseline):
    """Effect and cost of each model by ridge regression on the text embedding.

    Tokens and latency as for all baselines.

    The plug-in rule is `Policy`, as for `CarrotKNN`. Costs are linear in the embedding, not their
    logarithm, and kept inside the range that was observed of the model.
    """

    name: ClassVar[str] = "carrot_linear"
    source: ClassVar[str] = "CARROT: A Cost Aware Rate Optimal Router (arXiv 2502.03261), linear"
    can_extend: ClassVar[bool] = True

    effects: LinearMap
    penalty: float
    """Ridge penalty of the effects."""
    costs: LinearMap
    """US dollars; NaN for a model whose cost was never observed."""
    cost_penalty: float
    cost_bounds: FloatArray
    """(2, num_models) smallest and largest training cost in US dollars, NaN = never observed."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Each penalty is that of the lowest loss on the validation rows.
        """
        effects, penalty = fit_best_effect_map(data)
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            effects,
            penalty,
            *_cost_map(data),
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return keep_inside(self.effects.apply(questions.vectors))

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost by its own regression.

        Input tokens, output tokens and latency by the shared one.
        """
        cost = np.clip(self.costs.apply(questions.vectors), *self.cost_bounds)
        return [cost, *super().predict_amounts(questions)[1:]]

    def _extend(self, new: NewModels) -> Self:
        """A column more for effect, as in `Linear`, and one for cost.

        Cost starts from the pool's mean map at the model's own level.
        """
        questions = Questions.of(new.queries, self.encoder)
        joined = self._join_pool(new, questions)
        effects = widen_map(self.effects, questions.vectors, new.effect, penalty=self.penalty)
        level = joined.amounts.levels[0, len(self.pool) :]
        relative = np.nan_to_num(self.costs.weights / self.costs.intercept)[
            :, np.isfinite(self.costs.intercept)
        ]
        shape = (
            relative.mean(axis=1, keepdims=True) if relative.size else np.zeros((len(relative), 1))
        )
        start = LinearMap(self.costs.centre, shape * level, level)
        residual = new.outcomes.cost_usd - start.apply(questions.vectors)
        left = fit_ridge_map(
            questions.vectors, residual, penalty=self.cost_penalty, centre=self.costs.centre
        )
        costs = self.costs.beside(
            LinearMap(start.centre, start.weights + left.weights, start.intercept + left.intercept)
        )
        bounds = np.hstack([self.cost_bounds, joined.amounts.bounds[0][:, len(self.pool) :]])
        return replace(joined, effects=effects, costs=costs, cost_bounds=bounds)


def _cost_map(data: LearningData) -> tuple[LinearMap, float, FloatArray]:
    """The regression of costs in US dollars, its penalty, and the range of each model's costs."""
    costs, mean = data.outcomes.cost_usd, data.means.cost_usd[0]
    maps = fit_ridge_maps(data.questions.vectors, costs, mean, penalties=COST_PENALTIES)
    known = np.isfinite(costs)
    bounds = np.stack(
        [np.where(known, costs, np.inf).min(axis=0), np.where(known, costs, -np.inf).max(axis=0)]
    )
    bounds = np.where(np.isfinite(bounds), bounds, np.nan)
    if data.validation is None or data.held_questions is None:
        return maps[0], COST_PENALTIES[0], bounds
    vectors, held = data.held_questions.vectors, data.validation.outcomes.cost_usd
    losses = [_squared_error(np.clip(each.apply(vectors), *bounds), held, mean) for each in maps]
    chosen = _best(range(len(maps)), losses, 0)
    return maps[chosen], COST_PENALTIES[chosen], bounds


def _squared_error(cost_usd: FloatArray, observed: FloatArray, scale: FloatArray) -> float:
    """Mean squared error of costs, each in units of the model's mean cost; NaN without any pair.

    In dollars a few dear models would settle the choice alone.
    """
    error = ((cost_usd - observed) / np.maximum(scale, 1e-12)) ** 2
    known = np.isfinite(error)
    return float(error[known].mean()) if known.any() else float("nan")


def _best(candidates: Sequence[T], losses: Sequence[float], default: T) -> T:
    """The candidate with the lowest loss, the earlier of equals.

    The default when no loss is known.
    """
    if not np.isfinite(losses).any():
        return default
    return candidates[int(np.argmin(np.nan_to_num(losses, nan=np.inf)))]
