"""EllieSQL: how complex a query is, and the cheapest pipeline that copes with that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.categories import fit_logistic
from graphrouter.bench.baselines.methods.hybrid_llm import pick_small_and_large
from graphrouter.bench.baselines.tools.clusters import average_by_group
from graphrouter.bench.baselines.tools.vectors import measure_similarities
from graphrouter.policy import Policy
from graphrouter.types import FloatArray, IntArray

_MOST_TIERS = 3
SOLVED = 0.5
"""An effect of at least so much is a query solved."""


@dataclass(frozen=True, eq=False)
class EllieSQL(TextBaseline):
    """A classifier names the tier of a query: the cheapest of three pipelines that solves it.

    Training queries that none of the three solves belong to the last tier, as in the source. The
    original sends a query to the pipeline of its class. Here each tier has the effect that is to be
    expected of it, its mean over training queries of each class weighed by the classifier's
    probabilities, so that a policy can weigh it against cost; nobody else is chosen. Of a larger
    pool the tiers are the cheapest model, the best single one and, of those whose cost lies
    between, the one with the best balanced reward. The classifier is a multinomial logistic
    regression on the embedding in place of a fine-tuned language model.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=4).data
        >>> router = EllieSQL.fit(data, encoder=HashingEncoder(64))
        >>> int(np.isfinite(router.predict(["Add 2 and 2."]).effect).sum()) <= 3
        True
    """

    name: ClassVar[str] = "ellie_sql"
    source: ClassVar[str] = "EllieSQL (arXiv 2503.22402, COLM 2025)"
    covers_pool: ClassVar[bool] = False

    tiers: IntArray
    """(num_tiers,) columns of the pipelines, the cheapest first."""
    weights: FloatArray
    """(num_tiers, dimension) of the classifier."""
    intercepts: FloatArray
    """(num_tiers,) of the classifier; -infinity for a tier that no training query belongs to."""
    effect: FloatArray
    """(num_tiers, num_tiers) mean effect of each pipeline (column) on queries of each tier."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make."""
        tiers = pick_tiers(data)
        observed = data.outcomes.effect[:, tiers]
        label = label_tiers(observed)
        known = label >= 0
        weights, intercepts = _fit(data.questions.vectors[known], label[known], len(tiers))
        means = data.means.effect[0][tiers]
        table = average_by_group(observed[known], label[known], means, num_groups=len(tiers))
        common = (data.pool, data.cost_scale, data.encoder, data.amounts)
        return cls(*common, tiers, weights, intercepts, table)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1); NaN for all but the tiers."""
        effect = np.full((len(questions), len(self.pool)), np.nan)
        effect[:, self.tiers] = self.classify(questions) @ self.effect
        return effect

    def classify(self, questions: Questions) -> FloatArray:
        """Probability of each tier, (num_queries, num_tiers)."""
        if len(questions) == 0:
            return np.empty((0, len(self.tiers)))
        near = np.vstack(list(measure_similarities(questions.vectors, self.weights)))
        score = near + self.intercepts
        odds = np.exp(score - score.max(axis=1, keepdims=True))
        return np.asarray(np.round(odds / odds.sum(axis=1, keepdims=True), 9))


def pick_tiers(data: LearningData) -> IntArray:
    """Columns of at most three pipelines, (num_tiers,), the cheapest first."""
    small, large = pick_small_and_large(data)
    cost, effect = data.means.cost_usd[0], data.means.effect[0]
    seen = np.isfinite(data.outcomes.effect).any(axis=0) & np.isfinite(cost)
    if 1 < seen.sum() <= _MOST_TIERS:  # the dearest is the last resort, whatever it is worth
        order = np.argsort(np.where(seen, cost, np.inf), kind="stable")
        return np.asarray(order[: seen.sum()], dtype=np.int64)
    if (cost < cost[large]).any():
        small = int(np.nanargmin(cost))
    between = np.flatnonzero((cost > cost[small]) & (cost < cost[large]))
    if small == large or len(between) == 0:
        return np.array(list(dict.fromkeys((small, large))), dtype=np.int64)
    reward = Policy.preset("balanced").utility(effect, cost, data.cost_scale)
    middle = int(between[np.argmax(reward[between])])
    return np.array([small, middle, large], dtype=np.int64)


def label_tiers(effect: FloatArray) -> IntArray:
    """The cheapest tier that solves each query, (num_queries,); the last where none does.

    Args:
        effect: (num_queries, num_tiers) in [0, 1], the cheapest first, NaN = not observed.

    Returns:
        -1 where a tier was not observed: to keep those that a cheaper one solves all the same would
        make queries look easier than they are.

    Example:
        >>> label_tiers(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, np.nan]])).tolist()
        [0, 1, 1, -1]
    """
    solved = effect >= SOLVED
    first = np.where(solved.any(axis=1), np.argmax(solved, axis=1), effect.shape[1] - 1)
    return np.where(np.isnan(effect).any(axis=1), -1, first).astype(np.int64)


def _fit(vectors: FloatArray, label: IntArray, num_tiers: int) -> tuple[FloatArray, FloatArray]:
    """Weights and intercepts of the classifier, a row a tier."""
    there = np.unique(label)
    weights = np.zeros((num_tiers, vectors.shape[1]))
    intercepts = np.full(num_tiers, -np.inf if len(there) else 0.0)
    intercepts[there] = 0.0
    if len(there) > 1:
        weights[there], intercepts[there] = fit_logistic(vectors, label)
    return weights, intercepts
