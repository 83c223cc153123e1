"""HybridLLM: a small and a large model, and the probability that the small one is good enough."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.perceptron import (
    Examples,
    Perceptron,
    fit_perceptron,
    take_log_odds,
)
from graphrouter.bench.baselines.tools.gradient import Descent
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.bench.baselines.tools.vectors import find_largest, measure_similarities
from graphrouter.policy import Policy
from graphrouter.router.shrunk_means import PRIOR_OUTCOMES
from graphrouter.types import FloatArray, IntArray

HIDDEN: tuple[tuple[int, ...], ...] = ((), (64,))
"""Logistic regression or one hidden layer, whichever has the lower validation loss; the first one
without validation rows."""
DESCENT = Descent(learning_rate=3e-3, patience=4)
NUM_RESPONSES = 10
"""Responses that stand behind a probabilistic label, as many as the original draws of each
model."""
TOLERANCES = np.linspace(0.0, 1.0, 21)[:-1]
"""Shortfalls in effect to choose the tolerance of the transformed labels from."""
EDGE = 0.1
"""Expected effects of the small model within this distance of 0 and 1 bend, so that they rise with
p all the way."""
_TRACE = 1e-6
"""Slope of a line that validation rows give none: equal expectations still rank as the
probabilities do."""


class Line(NamedTuple):
    """What the small model's effect exceeds the large one's by, `intercept + slope * p`.

    The slope is above 0.
    """

    slope: float
    intercept: float


@dataclass(frozen=True, eq=False)
class HybridLLM(TextBaseline):
    """A classifier tells the probability p that the small model does as well as the large one.

    The original is given its two models. Here the large one is the best single, the small one the
    cheaper model with the best balanced reward in training (`pick_small_and_large`); nobody else is
    chosen, and there is nothing to decide where no model is cheaper than the best. The original
    sends a query to the small model where p is above a threshold. Here the large model has its mean
    effect on every query, and the small one that mean plus a rising straight line in p, which is
    the expected gain or shortfall of the small model (least squares on validation rows; near 0 and
    1 it bends, see `bend`; where p says nothing about the gain, only a trace of a slope is left).
    So a `Policy` too prefers the small model above some p, the lower the more cost weighs. The
    classifier reads a fixed text embedding instead of being a fine-tuned DeBERTa.
    """

    source: ClassVar[str] = (
        "Hybrid LLM: Cost-Efficient and Quality-Aware Query Routing (arXiv 2404.14618)"
    )
    covers_pool: ClassVar[bool] = False

    small: int
    """Column of the small model."""
    large: int
    """Column of the large model."""
    large_effect: float
    """Mean effect of the large model."""
    classifier: Perceptron
    """From the embedding to the log odds that the small model is good enough."""
    gain: Line

    @classmethod
    @abstractmethod
    def labels(cls, shortfall: FloatArray, near: IntArray) -> tuple[FloatArray, float]:
        """The labels, (num_queries,) in [0, 1], and the shortfall that they tolerate.

        Args:
            shortfall: (num_queries,) effect of the large model minus effect of the small one.
            near: (num_queries, num_near) rows of the most similar queries, the query itself among
                them.
        """

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make."""
        small, large = pick_small_and_large(data)
        shortfall = data.outcomes.effect[:, large] - data.outcomes.effect[:, small]
        both = np.isfinite(shortfall)
        vectors = data.questions.vectors[both]
        labels, tolerance = cls.labels(shortfall[both], _find_near(vectors))
        classifier = _fit_classifier(
            Examples(vectors, labels[:, None]),
            _take_held(data, small, large, tolerance),
            seed=data.seed,
        )
        probability, observed = data.score_held_rows(
            lambda questions: sigmoid(classifier.apply(questions.vectors))
        )
        means = data.means.effect[0]
        gain = _fit_line(
            probability[:, 0],
            observed[:, small] - observed[:, large],
            prior=float(means[small] - means[large]),
        )
        common = (data.pool, data.cost_scale, data.encoder, data.amounts)
        return cls(*common, small, large, float(means[large]), classifier, gain)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1).

        NaN for all but the small and the large model.
        """
        probability = sigmoid(self.classifier.apply(questions.vectors))[:, 0]
        effect = np.full((len(questions), len(self.pool)), np.nan)
        effect[:, self.small] = bend(
            self.large_effect + self.gain.intercept + self.gain.slope * probability
        )
        effect[:, self.large] = self.large_effect
        return effect


class HybridLLMDeterministic(HybridLLM):
    """HybridLLM with labels of 0 and 1 from the one recorded answer of each model.

    Example:
        >>> shortfall = np.array([0.0, 1.0, -1.0])
        >>> HybridLLMDeterministic.labels(shortfall, np.array([[0, 1], [1, 0], [2, 1]]))[0].tolist()
        [1.0, 0.0, 1.0]
    """

    name: ClassVar[str] = "hybrid_llm_det"

    @classmethod
    def labels(cls, shortfall: FloatArray, near: IntArray) -> tuple[FloatArray, float]:
        """1 where the small model is no worse, 0 where it is (section 3.1)."""
        return (shortfall <= 0).astype(np.float64), 0.0


class HybridLLMProbabilistic(HybridLLM):
    """HybridLLM with the probability that the small model is no worse as its label.

    The original draws ten answers of each model to a query. Logs hold one; those to the most
    similar training queries stand in.

    Example:
        >>> shortfall = np.array([0.0, 1.0, -1.0])
        >>> HybridLLMProbabilistic.labels(shortfall, np.array([[0, 1], [1, 0], [2, 0]]))[0].tolist()
        [0.5, 0.5, 1.0]
    """

    name: ClassVar[str] = "hybrid_llm_prob"

    @classmethod
    def labels(cls, shortfall: FloatArray, near: IntArray) -> tuple[FloatArray, float]:
        """The share of the near queries on which the small model is no worse (section 3.2)."""
        return (shortfall <= 0)[near].mean(axis=1), 0.0


class HybridLLMTransformed(HybridLLM):
    """HybridLLM with labels that forgive the small model a shortfall.

    Otherwise it would almost never be good enough.

    The shortfall that is tolerated spreads the probabilistic labels most. Among effects of 0 and 1
    there is none between, and the labels are the probabilistic ones.

    Example:
        >>> shortfall = np.array([0.3, 0.3, 0.6, 0.6])
        >>> near = np.array([[0], [1], [2], [3]])
        >>> labels, tolerance = HybridLLMTransformed.labels(shortfall, near)
        >>> labels.tolist(), tolerance
        ([1.0, 1.0, 0.0, 0.0], 0.3)
    """

    name: ClassVar[str] = "hybrid_llm_trans"

    @classmethod
    def labels(cls, shortfall: FloatArray, near: IntArray) -> tuple[FloatArray, float]:
        """The share of the near queries on which the small model is at most t worse.

        T by equation 3 (section 3.3).
        """
        # Rounded: 1.0 - 0.7 must count as a shortfall of 0.3.
        candidates = [
            (np.round(shortfall, 9) <= np.round(t, 9))[near].mean(axis=1) for t in TOLERANCES
        ]
        best = int(np.argmax(np.round([average_difference(labels) for labels in candidates], 12)))
        return candidates[best], float(np.round(TOLERANCES[best], 9))


def bend(effect: FloatArray) -> FloatArray:
    """The effects, any shape.

    Below `EDGE` and above 1 - `EDGE` they go on as smooth curves towards 0 and 1.

    Example:
        >>> bend(np.array([-0.5, 0.1, 0.4, 1.0])).round(3).tolist()
        [0.0, 0.1, 0.4, 0.963]
    """
    low = EDGE * np.exp(np.minimum(effect - EDGE, 0.0) / EDGE)
    high = 1 - EDGE * np.exp(np.minimum(1 - EDGE - effect, 0.0) / EDGE)
    return np.where(effect < EDGE, low, np.where(effect > 1 - EDGE, high, effect))


def average_difference(values: FloatArray) -> float:
    """Mean absolute difference of all ordered pairs of (num_values,), 0 without any value.

    Example:
        >>> average_difference(np.array([0.0, 1.0]))
        0.5
    """
    if len(values) == 0:
        return 0.0
    rank = np.arange(len(values))
    return float(2 * np.sum((2 * rank - len(values) + 1) * np.sort(values)) / len(values) ** 2)


def pick_small_and_large(data: LearningData) -> tuple[int, int]:
    """Columns of a small and of the best model, among those with outcomes.

    The same column twice where nobody is smaller.

    The small one is the cheaper model with the best balanced reward by training means; where costs
    were recorded, only models with a cost come into question. Where none were recorded the small
    one has the lowest price, and where there are no prices the lowest mean effect.
    """
    seen = np.isfinite(data.outcomes.effect).any(axis=0)
    seen |= not seen.any()
    means = data.means
    cost = means.cost_usd[0]
    if (seen & np.isfinite(cost)).any():
        seen &= np.isfinite(cost)
    large = int(np.argmax(np.where(seen, means.effect[0], -np.inf)))
    if np.isfinite(cost[large]):
        cheaper = seen & (np.nan_to_num(cost, nan=np.inf) < cost[large])
        reward = Policy.preset("balanced").utility(means.effect[0], cost, data.cost_scale)
        return (
            int(np.argmax(np.where(cheaper, reward, -np.inf))) if cheaper.any() else large
        ), large
    for amount in (data.pool.prices.sum(axis=0), means.effect[0]):
        known = seen & np.isfinite(amount)
        if known.any():
            return int(np.argmin(np.where(known, amount, np.inf))), large
    return large, large


def _find_near(vectors: FloatArray) -> IntArray:
    """Rows of the most similar vectors to each of (num_queries, dimension) vectors.

    (num_queries, at most NUM_RESPONSES).
    """
    k = min(NUM_RESPONSES, len(vectors))
    rows = [
        find_largest(row, k)
        for similarity in measure_similarities(vectors, vectors)
        for row in similarity
    ]
    return np.stack(rows) if rows else np.empty((0, 1), dtype=np.int64)


def _take_held(data: LearningData, small: int, large: int, tolerance: float) -> Examples | None:
    """Validation rows that both models answered, labelled by their own outcomes.

    None without any.
    """
    if data.validation is None or data.held_questions is None:
        return None
    effect = data.validation.outcomes.effect
    shortfall = effect[:, large] - effect[:, small]
    both = np.isfinite(shortfall)
    if not both.any():
        return None
    labels = (np.round(shortfall[both], 9) <= tolerance).astype(np.float64)
    return Examples(data.held_questions.vectors[both], labels[:, None])


def _fit_classifier(examples: Examples, held: Examples | None, *, seed: int) -> Perceptron:
    """The classifier of the lowest validation loss.

    Without training rows, one that says one half.
    """
    rows = len(examples.targets)
    start = (
        take_log_odds((examples.targets.sum(axis=0) + 0.5) / (rows + 1.0)) if rows else np.zeros(1)
    )
    if rows == 0:
        return Perceptron((np.zeros((examples.inputs.shape[1], 1)),), (start[None, :],))
    sizes = HIDDEN if held is not None else HIDDEN[:1]
    fits = [
        fit_perceptron(examples, start, hidden=hidden, held=held, seed=seed, settings=DESCENT)
        for hidden in sizes
    ]
    return min(fits, key=lambda fit: fit[1])[0]


def _fit_line(probability: FloatArray, gain: FloatArray, *, prior: float) -> Line:
    """The line through (probability, gain) by least squares.

    Its mean is shrunk towards `prior`, its slope slightly towards 0.

    Args:
        probability: (num_queries,) that the small model is good enough.
        gain: (num_queries,) effect of the small model minus the large one's, NaN = not both
            observed.
        prior: Expected gain without any query.
    """
    known = np.isfinite(gain)
    p, g = probability[known], gain[known]
    centre = float(p.mean()) if p.size else 0.5
    level = (float(g.sum()) + PRIOR_OUTCOMES * prior) / (g.size + PRIOR_OUTCOMES)
    slope = float((p - centre) @ g) / (float((p - centre) @ (p - centre)) + 0.1)
    slope = max(slope, _TRACE)
    return Line(slope, level - slope * centre)
