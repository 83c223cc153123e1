"""The Avengers: what each model achieved in the clusters of prompts nearest to the query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.tools.clusters import (
    average_by_group,
    find_nearest_centre,
    measure_closeness,
)
from graphrouter.bench.baselines.tools.levels import place_amounts_in_cells
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import place_in_cells
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.types import QUANTITIES, FloatArray

SHARPNESS = 9.0
"""Weight of a near cluster: exp(SHARPNESS * closeness), the default of the authors' code."""
SETTINGS = ((64, 1), (32, 1), (16, 1), (64, 4), (32, 4))
"""(number of clusters, number of near clusters that count) to choose from."""
SETTINGS_PRO = ((64, 4), (32, 4), (16, 4), (64, 1), (32, 1))


@dataclass(frozen=True, eq=False)
class Avengers(TextBaseline):
    """Ranks the models in each cluster by accuracy.

    A prompt takes the best-ranked model of its cluster.

    With several near clusters the reciprocal ranks are averaged, weighted by a softmax of the
    closeness, as in the authors' code. Only a ranking comes out, so expected effects go through one
    rising curve. Left out: repeated sampling and voting over the answers of the best models, since
    one recorded answer a model is all that there is. Accuracies are shrunk to the model's mean,
    where the original counts a model without outcomes in a cluster as always wrong.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = Avengers.fit(data, encoder=HashingEncoder(64))
        >>> sorted(router.scores[0].round(2).tolist())
        [0.33, 0.5, 1.0]
    """

    name: ClassVar[str] = "avengers"
    source: ClassVar[str] = "The Avengers (arXiv 2505.19797, AAAI 2026)"

    centres: FloatArray
    """(num_clusters, dimension) centres of the training prompts."""
    scores: FloatArray
    """(num_clusters, num_models) 1 for the best model of the cluster, 1/2 for the second, and so
    on."""
    num_near: int
    """How many near clusters count."""
    curve: EffectCurve
    """From the logarithm of the score to expected effect: reciprocal ranks crowd together at the
    lower places."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its setting is that of the lowest validation log loss.
        """
        return cls._of(
            data, data.choose(SETTINGS, lambda setting: cls._of(data, setting).predict_effect)
        )

    @classmethod
    def _of(cls, data: LearningData, setting: tuple[int, int]) -> Self:
        centres = data.find_centres(setting[0])
        cluster = find_nearest_centre(data.questions.vectors, centres)
        accuracy = average_by_group(
            data.outcomes.effect, cluster, data.means.effect[0], num_groups=len(centres)
        )
        scores, near = rank_reciprocally(accuracy), min(setting[1], len(centres))
        curve = EffectCurve.fit(
            *data.score_held_rows(
                lambda q: np.log(share_among_near(q.vectors, centres, near) @ scores)
            )
        )
        return cls(
            data.pool, data.cost_scale, data.encoder, data.amounts, centres, scores, near, curve
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Mean reciprocal rank in the near clusters, as an effect: (num_queries, num_models)."""
        return self.curve.apply(
            np.log(share_among_near(questions.vectors, self.centres, self.num_near) @ self.scores)
        )


@dataclass(frozen=True, eq=False)
class AvengersPro(TextBaseline):
    """Mean accuracy and cost of each model over the near clusters, weighted by closeness.

    The weights are a softmax.

    The original adds the two within a cluster: alpha * minmax(accuracy) + (1 - alpha) * (1 - cost /
    largest cost). Policies weigh effect against cost outside of the predictor here, and scale cost
    themselves. So accuracy stands as the expected effect and cluster cost as the expected cost, and
    both normalisations, which serve that sum alone, are left out. Tokens and latency are treated
    like cost. All means are shrunk to the model's.
    """

    name: ClassVar[str] = "avengers_pro"
    source: ClassVar[str] = "Avengers-Pro (arXiv 2508.12631)"
    can_extend: ClassVar[bool] = True

    centres: FloatArray
    """(num_clusters, dimension) centres of the training prompts."""
    means: FloatArray
    """(5, num_clusters, num_models) cluster means in the order of `QUANTITIES`; NaN = never
    observed of the model."""
    num_near: int
    """How many near clusters count."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its setting is that of the lowest validation log loss.
        """
        return cls._of(
            data, data.choose(SETTINGS_PRO, lambda setting: cls._of(data, setting).predict_effect)
        )

    @classmethod
    def _of(cls, data: LearningData, setting: tuple[int, int]) -> Self:
        centres = data.find_centres(setting[0])
        means = np.stack(list(_cluster_means(data, centres)))
        near = min(setting[1], len(centres))
        return cls(data.pool, data.cost_scale, data.encoder, data.amounts, centres, means, near)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect: mean accuracy in the near clusters, (num_queries, num_models)."""
        return self._average(questions, 0)

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost, input tokens, output tokens and latency: means in the near clusters."""
        return [self._average(questions, i) for i in range(1, len(QUANTITIES))]

    def _extend(self, new: NewModels) -> Self:
        """The newcomer's means a cluster, shrunk to the pool's there at the model's own level."""
        questions = Questions.of(new.queries, self.encoder)
        cluster = find_nearest_centre(questions.vectors, self.centres)
        effect = place_in_cells(self.means[0].mean(axis=1), cluster, new.effect)
        amounts = place_amounts_in_cells(MeanTable(self.models, *self.means), cluster, new)
        means = np.concatenate([self.means, np.concatenate([effect[None], amounts])], axis=2)
        return replace(self._join_pool(new, questions), means=means)

    def _average(self, questions: Questions, quantity: int) -> FloatArray:
        return np.asarray(
            share_among_near(questions.vectors, self.centres, self.num_near) @ self.means[quantity]
        )


def share_among_near(vectors: FloatArray, centres: FloatArray, num_near: int) -> FloatArray:
    """Weight of each cluster for each query, (num_queries, num_clusters).

    A softmax over the nearest, 0 for the others.
    """
    close = measure_closeness(vectors, centres)
    near = np.argsort(-close, axis=1, kind="stable")[:, :num_near]  # the earlier of equals
    weight = np.exp(
        SHARPNESS * (np.take_along_axis(close, near, axis=1) - close.max(axis=1, keepdims=True))
    )
    shares = np.zeros_like(close)
    np.put_along_axis(shares, near, weight / weight.sum(axis=1, keepdims=True), axis=1)
    return shares


def rank_reciprocally(accuracy: FloatArray) -> FloatArray:
    """1 / rank of each model in each row of (num_clusters, num_models), the best one first.

    Equals in pool order.

    Example:
        >>> rank_reciprocally(np.array([[0.2, 0.9, 0.9]])).round(2).tolist()
        [[0.33, 1.0, 0.5]]
    """
    # Rounded: equal accuracies differ in the last digit when they were summed in another order.
    order = np.argsort(-np.round(accuracy, 12), axis=1, kind="stable")
    return np.asarray(1.0 / (np.argsort(order, axis=1) + 1.0))


def _cluster_means(data: LearningData, centres: FloatArray) -> Iterator[FloatArray]:
    """Mean of each quantity in each cluster, (num_clusters, num_models) each."""
    cluster = find_nearest_centre(data.questions.vectors, centres)
    for name in QUANTITIES:
        values, prior = getattr(data.outcomes, name), getattr(data.means, name)[0]
        yield average_by_group(values, cluster, prior, num_groups=len(centres))
