"""LTRR: candidates ranked for each query by boosted trees that learned from pairs of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.trees import (
    DEFAULT_ROUNDS,
    MAX_ROUNDS,
    MIN_OUTCOMES,
    PATIENCE,
    SETTINGS,
    load_lightgbm,
    make_features,
)
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve, sigmoid
from graphrouter.types import FloatArray, IntArray

if TYPE_CHECKING:
    from lightgbm import Booster

MOST_PAIRS = 10_000_000
"""Ordered pairs of candidates, over all queries, that a tree is grown on; of more queries some are
drawn."""
_CHUNK_PAIRS = 1_000_000
_LEAST_CURVATURE = 1e-6
_RANKING: dict[str, Any] = SETTINGS | {"metric": "None", "feature_pre_filter": False}
"""Without the filter: where few rows are, LightGBM drops every feature by it, and then fails."""


@dataclass(frozen=True, eq=False)
class LearningToRank(TextBaseline):
    """Boosted trees a candidate, grown together so that of two candidates the better comes first.

    They read prompt length and principal directions of the embedding. The loss is the logistic one
    of every pair of candidates of a query that differ in effect (RankNet; XGBoost's
    `rank:pairwise`, which the source found to be best), and trees grow until that of the validation
    rows no longer falls. Only a ranking comes out, so expected effects go through one rising curve.
    The source has one ensemble that reads which retriever a row is of; whom a tree has to tell
    apart first and then by the query is what greedy splits miss, so here each candidate has trees
    of its own. Left out: features of what a retriever has found, since a router chooses before
    anybody is called, and the option to retrieve nothing, which is a candidate like any other here.
    A candidate without outcomes has the mean score of the others.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = LearningToRank.fit(data, encoder=HashingEncoder(64))
        >>> router.predict(["Add 2 and 2."]).effect.shape
        (1, 3)
    """

    name: ClassVar[str] = "ltrr"
    source: ClassVar[str] = "LTRR: Learning To Rank Retrievers for LLMs (arXiv 2506.13743)"

    trees: str
    """In LightGBM's own text form; empty where too few queries tell two candidates apart."""
    is_ranked: FloatArray
    """(num_models,) 1 for a candidate with outcomes, else 0."""
    curve: EffectCurve
    """From score to expected effect."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make."""
        effect = data.outcomes.effect
        ranked = np.asarray(np.isfinite(effect).any(axis=0), dtype=np.float64)
        rows = _draw_rows(effect, data.seed)
        features = make_features(data.questions, data.amounts)[rows]
        held = None
        if data.validation is not None and data.held_questions is not None:
            held = (
                make_features(data.held_questions, data.amounts),
                data.validation.outcomes.effect,
            )
        trees = _grow(features, effect[rows], held, seed=data.seed)
        common = (data.pool, data.cost_scale, data.encoder, data.amounts, trees, ranked)
        blank = cls(*common, EffectCurve(0.0, 0.0))
        return cls(*common, EffectCurve.fit(*data.score_held_rows(blank.score)))

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return self.curve.apply(self.score(questions))

    def score(self, questions: Questions) -> FloatArray:
        """How high each candidate ranks, (num_queries, num_models), in logits of a pair."""
        num_models = len(self.pool)
        if self._booster is None or len(questions) == 0:
            return np.zeros((len(questions), num_models))
        features = make_features(questions, self.amounts)
        score = np.asarray(self._booster.predict(features, raw_score=True, num_threads=1))
        known = self.is_ranked > 0
        return np.where(known, score, score[:, known].mean(axis=1, keepdims=True))

    @cached_property
    def _booster(self) -> Booster | None:
        return load_lightgbm().Booster(model_str=self.trees) if self.trees else None


def measure_pair_loss(
    score: FloatArray, effect: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Mean logistic loss of the pairs of a query that differ in effect, and its derivatives.

    With s_i the score of the better and s_j of the worse, it is log(1 + exp(s_j - s_i)) (Burges et
    al., Learning to rank using gradient descent, 2005, equation 3).

    Args:
        score: (num_queries, num_models).
        effect: (num_queries, num_models), NaN = not observed: in no pair.

    Returns:
        The mean over pairs, NaN without any, then first and second derivatives of their sum by each
        score, (num_queries, num_models) each.

    Example:
        >>> loss, slope, _ = measure_pair_loss(np.zeros((1, 2)), np.array([[1.0, 0.0]]))
        >>> round(loss, 3), slope.tolist()
        (0.693, [[-0.5, 0.5]])
    """
    slope, bend = np.zeros(score.shape), np.zeros(score.shape)
    total, count = 0.0, 0
    step = max(1, _CHUNK_PAIRS // max(1, score.shape[1] ** 2))
    for start in range(0, len(score), step):
        rows = slice(start, start + step)
        known, s = effect[rows], score[rows]
        better = known[:, :, None] > known[:, None, :]  # never where one is NaN
        gap = s[:, None, :] - s[:, :, None]
        wrong = np.where(better, sigmoid(gap), 0.0)
        curved = wrong * np.where(better, 1.0 - wrong, 0.0)
        slope[rows] = wrong.sum(axis=1) - wrong.sum(axis=2)
        bend[rows] = curved.sum(axis=1) + curved.sum(axis=2)
        total += float(np.where(better, np.logaddexp(0.0, gap), 0.0).sum())
        count += int(better.sum())
    return (total / count if count else float("nan")), slope, bend


def _draw_rows(effect: FloatArray, seed: int) -> IntArray:
    """Rows of the queries to learn from, ascending: those with a pair, at most `MOST_PAIRS`."""
    known = np.where(np.isfinite(effect), effect, np.nan)
    high = np.where(np.isfinite(known), known, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(np.isfinite(known), known, np.inf).min(axis=1, initial=np.inf)
    rows = np.flatnonzero(high > low)
    most = max(1, MOST_PAIRS // max(1, effect.shape[1] ** 2))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return rows


def _grow(
    features: FloatArray,
    effect: FloatArray,
    held: tuple[FloatArray, FloatArray] | None,
    *,
    seed: int,
) -> str:
    """The trees as text, "" where too few queries tell candidates apart, or all look alike."""
    if len(features) < MIN_OUTCOMES or (features == features[0]).all():
        return ""
    lightgbm = load_lightgbm()
    train = lightgbm.Dataset(features, np.zeros(len(features)))
    settings = _RANKING | {
        "seed": seed, "num_class": effect.shape[1], "objective": _make_objective(effect)
    }  # fmt: skip
    if held is None or not np.isfinite(measure_pair_loss(np.zeros(held[1].shape), held[1])[0]):
        booster = lightgbm.train(settings, train, num_boost_round=DEFAULT_ROUNDS)
        return str(booster.model_to_string())
    held_features, held_effect = held
    valid = train.create_valid(held_features, np.zeros(len(held_effect)))

    def measure(score: FloatArray, _: object) -> tuple[str, float, bool]:
        return "pairs", measure_pair_loss(score, held_effect)[0], False

    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    booster = lightgbm.train(
        settings,
        train,
        num_boost_round=MAX_ROUNDS,
        valid_sets=[valid],
        feval=measure,
        callbacks=[stop],
    )
    return str(booster.model_to_string(num_iteration=booster.best_iteration))


def _make_objective(
    effect: FloatArray,
) -> Callable[[FloatArray, object], tuple[FloatArray, FloatArray]]:
    """Derivatives of the loss of the pairs, as LightGBM asks for them."""

    def differentiate(score: FloatArray, _: object) -> tuple[FloatArray, FloatArray]:
        _, slope, bend = measure_pair_loss(score, effect)
        return slope, np.maximum(bend, _LEAST_CURVATURE)

    return differentiate
