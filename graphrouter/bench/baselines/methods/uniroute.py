"""UniRoute: a model is the vector of its errors, one a cluster of prompts.

A prompt is its place among the clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import EFFECT_MARGIN, TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.tools.clusters import (
    average_by_group,
    find_nearest_centre,
    measure_closeness,
)
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import place_in_cells
from graphrouter.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

NUM_CLUSTERS = (32, 8, 16, 64, 128)
"""Numbers of clusters to choose from; never more than there are training queries."""
NUM_CLUSTERS_MAP = (32, 16, 64)
"""The same for the learned map, which descends once for each."""
START_SHARPNESS = 20.0
"""The learned map starts from k-means made soft: softmax(START_SHARPNESS * closeness)."""
LEARNING_RATE = 1e-2
MAX_EPOCHS = 20


@dataclass(frozen=True, eq=False)
class UniRouteKMeans(TextBaseline):
    """Expected error of a model = its error in the cluster that the prompt falls into.

    The clusters come from k-means on the training prompts. The source measures the errors on a
    small validation sample, since its new models have no other outcomes; here all training outcomes
    are used and the means are shrunk to the model's own, so that a model with outcomes in few
    clusters keeps a sensible vector. The number of clusters is chosen on the validation rows. The
    cost term lambda * c(model) belongs to the policy.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = UniRouteKMeans.fit(data, encoder=HashingEncoder(64))
        >>> router.errors.shape
        (42, 3)
    """

    name: ClassVar[str] = "uniroute_kmeans"
    source: ClassVar[str] = "UniRoute, cluster-based routing (arXiv 2502.08773, ICLR 2026)"
    can_extend: ClassVar[bool] = True

    centres: FloatArray
    """(num_clusters, dimension) centres of the training prompts."""
    errors: FloatArray
    """(num_clusters, num_models) mean of 1 - effect in each cluster, inside (0, 1)."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its number of clusters is that of the lowest validation log loss.
        """
        return cls._of(
            data,
            data.choose(
                NUM_CLUSTERS, lambda num_clusters: cls._of(data, num_clusters).predict_effect
            ),
        )

    @classmethod
    def _of(cls, data: LearningData, num_clusters: int) -> Self:
        centres = data.find_centres(num_clusters)
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            centres,
            measure_cluster_errors(data, centres),
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """One minus the error in the nearest cluster, (num_queries, num_models)."""
        return 1.0 - self.errors[find_nearest_centre(questions.vectors, self.centres)]

    def _extend(self, new: NewModels) -> Self:
        """The newcomer's errors a cluster; see `place_errors`."""
        questions = Questions.of(new.queries, self.encoder)
        errors = place_errors(self.errors, self.centres, questions, new)
        return replace(self._join_pool(new, questions), errors=np.hstack([self.errors, errors]))


@dataclass(frozen=True, eq=False)
class UniRouteLearnedMap(TextBaseline):
    """Expected effect = softmax(theta phi(x)) . (1 - errors): a soft cluster map, learned.

    The error vectors are those of k-means clusters and stay fixed; theta is what gradient descent
    on the log loss over all observed pairs moves, from k-means made soft. Because models enter
    through their vectors alone, a model that comes later needs errors and no training. Left out:
    the source's separate validation sample for the vectors (see `UniRouteKMeans`).
    """

    name: ClassVar[str] = "uniroute_map"
    source: ClassVar[str] = "UniRoute, learned cluster map (arXiv 2502.08773, ICLR 2026)"
    can_extend: ClassVar[bool] = True

    weights: FloatArray
    """(dimension, num_clusters) theta."""
    intercepts: FloatArray
    """(num_clusters,)."""
    errors: FloatArray
    """(num_clusters, num_models) mean of 1 - effect in each k-means cluster, inside (0, 1)."""
    centres: FloatArray
    """(num_clusters, dimension) centres of those clusters: where the errors of a new model are
    counted."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        The number of clusters and the epoch by validation log loss.

        Raises:
            TrainingError: The loss is no longer finite.
        """
        learned: dict[int, Self] = {}

        def effect_of(num_clusters: int) -> Callable[[Questions], FloatArray]:
            learned[num_clusters] = cls._of(data, num_clusters)
            return learned[num_clusters].predict_effect

        chosen = data.choose(NUM_CLUSTERS_MAP, effect_of)
        return learned.get(chosen) or cls._of(
            data, chosen
        )  # nothing is learned yet where there is nothing to choose on

    @classmethod
    def _of(cls, data: LearningData, num_clusters: int) -> Self:
        centres = data.find_centres(num_clusters)
        errors = measure_cluster_errors(data, centres)
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            *_learn_map(data, centres, errors),
            errors,
            centres,
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect: clusters' effects, weighted by the map, (num_queries, num_models)."""
        logits = questions.vectors @ self.weights + self.intercepts
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(share / share.sum(axis=1, keepdims=True) @ (1.0 - self.errors))

    def _extend(self, new: NewModels) -> Self:
        """The newcomer's errors a k-means cluster, see `place_errors`.

        The map stays as it was learned.
        """
        questions = Questions.of(new.queries, self.encoder)
        errors = place_errors(self.errors, self.centres, questions, new)
        return replace(self._join_pool(new, questions), errors=np.hstack([self.errors, errors]))


def measure_cluster_errors(data: LearningData, centres: FloatArray) -> FloatArray:
    """Mean of 1 - effect of each (cluster, model) in training, (num_clusters, num_models).

    Shrunk to the model's mean.
    """
    cluster = find_nearest_centre(data.questions.vectors, centres)
    means = average_by_group(
        data.outcomes.effect, cluster, data.means.effect[0], num_groups=len(centres)
    )
    return np.asarray(1.0 - np.clip(means, EFFECT_MARGIN, 1 - EFFECT_MARGIN))


def place_errors(
    errors: FloatArray, centres: FloatArray, questions: Questions, new: NewModels
) -> FloatArray:
    """Mean of 1 - effect of each new model in each cluster.

    It is shrunk to the pool's mean there, moved by the model's offset.

    Args:
        errors: (num_clusters, num_models) of the pool.
        centres: (num_clusters, dimension).
        questions: What the new models were asked.
        new: The new models.

    Returns:
        (num_clusters, num_new), inside (0, 1).
    """
    profile = 1.0 - errors.mean(axis=1)
    return 1.0 - place_in_cells(
        profile, find_nearest_centre(questions.vectors, centres), new.effect
    )


def _learn_map(
    data: LearningData, centres: FloatArray, errors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights (dimension, num_clusters) and intercepts (num_clusters,) of the lowest log loss."""
    import torch  # slow to import

    from graphrouter.bench.baselines.tools.gradient import Descent, minimise

    weights = torch.tensor(START_SHARPNESS * centres.T, dtype=torch.float32, requires_grad=True)
    # The closeness of the zero vector to each centre: what does not depend on the prompt.
    start = START_SHARPNESS * measure_closeness(np.zeros((1, centres.shape[1])), centres)[0]
    intercepts = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    solved = torch.tensor(1.0 - errors, dtype=torch.float32)

    def log_loss(vectors: Tensor, effect: Tensor) -> Tensor:
        expected = torch.softmax(vectors @ weights + intercepts, dim=1) @ solved
        known = torch.isfinite(effect)
        if not bool(known.any()):
            return expected.sum() * 0.0
        return torch.nn.functional.binary_cross_entropy(
            expected[known].clamp(1e-6, 1 - 1e-6), effect[known]
        )

    x, y = _tensors(data.questions.vectors, data.outcomes.effect)
    held = None
    if data.validation is not None and data.held_questions is not None:
        held = _tensors(data.held_questions.vectors, data.validation.outcomes.effect)
    minimise(
        [weights, intercepts],
        lambda rows: log_loss(x[rows], y[rows]),
        num_rows=len(x),
        seed=data.seed,
        held_loss=None if held is None else lambda: log_loss(*held),
        settings=Descent(learning_rate=LEARNING_RATE, max_epochs=MAX_EPOCHS),
    )
    # Row by row in memory, as an artifact gives it back: products of another order round otherwise.
    theta = weights.detach().double().contiguous()
    return theta.numpy(), intercepts.detach().double().numpy()


def _tensors(vectors: FloatArray, effect: FloatArray) -> tuple[Tensor, Tensor]:
    import torch

    return torch.tensor(vectors, dtype=torch.float32), torch.tensor(effect, dtype=torch.float32)
