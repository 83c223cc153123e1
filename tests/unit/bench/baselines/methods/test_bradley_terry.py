"""Similarity-weighted Bradley-Terry against a second implementation and worlds built by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.bradley_terry import (
    QUERY_ROUNDS,
    RIDGE,
    START_ROUNDS,
    SimilarityWeighted,
    fit_bradley_terry,
    weigh_by_similarity,
)
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.types import Queries
from tests.unit.bench.baselines.worlds import learning

NAN = float("nan")


def logistic_strengths(effect: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same posterior by a logistic regression over single comparisons, a tie counting as half a
    win each."""
    features, labels, sample_weight = [], [], []
    for row, weight in zip(effect, weights, strict=True):
        for i, j in combinations(np.flatnonzero(np.isfinite(row)), 2):
            contrast = np.zeros(len(row))
            contrast[i], contrast[j] = 1, -1
            share = 0.5 + 0.5 * np.sign(row[i] - row[j])
            features += [contrast, contrast]
            labels += [1, 0]
            sample_weight += [weight * share, weight * (1 - share)]
    regression = LogisticRegression(C=1 / RIDGE, fit_intercept=False, tol=1e-10, max_iter=1000)
    return np.asarray(regression.fit(features, labels, sample_weight=sample_weight).coef_[0])


def test_a_query_has_the_strengths_of_the_weighted_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    effect = rng.choice([0.0, 0.5, 1.0, NAN], (40, 4), p=[0.3, 0.1, 0.4, 0.2])
    prompts = [f"topic{i % 4} word{i % 7} {i}" for i in range(40)]
    data = learning(prompts, effect)
    router = SimilarityWeighted.learn(data)
    questions = Questions.of(Queries.of(["topic1 word3", "topic2", ""]), data.encoder)
    weights = weigh_by_similarity(questions.vectors @ data.questions.vectors.T)
    expected = [logistic_strengths(effect, row) for row in weights]
    np.testing.assert_allclose(router.score(questions), expected, atol=1e-4)
    np.testing.assert_allclose(
        router.strength, expected[2], atol=1e-4
    )  # the empty prompt resembles nothing


def test_weights_span_a_factor_of_ten() -> None:
    weights = weigh_by_similarity(np.array([[0.5, 0.25, 0.0, -0.5]]))
    np.testing.assert_allclose(weights, [[1.0, 10**-0.5, 0.1, 0.01]])


def test_two_models_are_at_the_maximum_of_their_posterior() -> None:
    """7 wins to 3: with strengths s and -s, 7 - 10 sigmoid(2 s) = s."""
    wins = np.array([[[0.0, 7.0], [3.0, 0.0]]])
    strength = fit_bradley_terry(wins, np.zeros(2), rounds=START_ROUNDS)[0]
    assert strength[0] == pytest.approx(-strength[1])
    assert 7 - 10 / (1 + np.exp(-2 * strength[0])) == pytest.approx(strength[0], abs=1e-9)


@given(st.lists(st.integers(0, 30), min_size=12, max_size=12))
def test_strengths_sum_to_nothing_and_follow_the_residuals(counts: list[int]) -> None:
    wins = np.zeros((1, 4, 4))
    wins[0][~np.eye(4, dtype=bool)] = counts
    strength = fit_bradley_terry(wins, np.zeros(4), rounds=START_ROUNDS)[0]
    expected = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
    residual = (wins[0] - (wins[0] + wins[0].T) * expected).sum(axis=1)
    np.testing.assert_allclose(residual, RIDGE * strength, atol=1e-7)
    assert abs(strength.sum()) < 1e-9


def test_a_few_steps_from_the_common_strengths_are_enough() -> None:
    """Even when the local wins are the opposite of the common ones."""
    common, local = (
        np.array([[[0, 90], [10, 0]]], dtype=float),
        np.array([[[0, 5], [95, 0]]], dtype=float),
    )
    start = fit_bradley_terry(common, np.zeros(2), rounds=START_ROUNDS)[0]
    reached = fit_bradley_terry(local, start, rounds=QUERY_ROUNDS)
    np.testing.assert_allclose(reached, fit_bradley_terry(local, np.zeros(2), rounds=50), atol=1e-6)


def test_similar_queries_decide_between_equal_models() -> None:
    odd = (np.arange(80) % 2).astype(float)
    prompts = [f"integral derivative {i}" if i % 2 else f"poem sonnet {i}" for i in range(80)]
    data = learning(
        prompts, np.column_stack([odd, 1 - odd, 0 * odd, np.full(80, NAN)]), num_held=20
    )
    router = SimilarityWeighted.learn(data)
    assert router.strength[0] == pytest.approx(router.strength[1], abs=0.05)
    effect = router.predict(["integral derivative", "poem sonnet"]).effect
    assert effect.argmax(axis=1).tolist() == [0, 1]
    assert (effect.argmin(axis=1) == 2).all()
    np.testing.assert_allclose(
        router.score(Questions.of(Queries.of(["poem"]), data.encoder))[0, 3], 0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("effect", "num_held"),
    [
        ([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 0),
        ([[1.0, 1.0, 1.0]] * 4, 1),
        ([[1.0, NAN], [NAN, 0.0], [0.0, NAN], [NAN, 1.0]], 1),
        ([[1.0, 0.0]] * 30, 0),
        ([[NAN, NAN], [1.0, 0.0]], 1),
    ],
    ids=["three rows", "all equal", "no comparison", "one always wins", "no outcome in training"],
)
def test_odd_data(effect: list[list[float]], num_held: int) -> None:
    data = learning(["same words"] * len(effect), np.array(effect), num_held=num_held)
    predictions = SimilarityWeighted.learn(data).predict(["same words", "", "never seen"])
    assert ((predictions.effect > 0) & (predictions.effect < 1)).all()


def test_sparse_outcomes_without_batch_mates() -> None:
    data = gr.simulate(num_queries=90, num_models=5, missing=0.5).data
    ids, prompts = data.queries["query_id"].tolist(), data.queries["prompt"].tolist()[60:]
    router = SimilarityWeighted.learn(
        LearningData.of(data, ids[:70], encoder=HashingEncoder(64), validation_ids=ids[70:])
    )
    alone = np.vstack([router.predict([prompt]).effect for prompt in prompts])
    np.testing.assert_allclose(alone, router.predict(prompts).effect, rtol=0, atol=1e-9)
