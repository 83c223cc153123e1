"""Ridge by hand, and every regressor where two models are specialists."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.regressors import (
    MLP,
    PENALTIES,
    Linear,
    LinearSVM,
    fit_best_effect_map,
    fit_ridge_maps,
    keep_inside,
)

REGRESSORS: list[type[TextBaseline]] = [Linear, LinearSVM, MLP]


def test_ridge_by_hand() -> None:
    """Gram matrix diag(2, 2); residuals +1/2 and -1/2 give moments 0 and 1; the prior mean counts
    as 5 outcomes."""
    targets = np.array([[1.0, 0.8, np.nan], [0.0, 0.8, np.nan]])
    [fit] = fit_ridge_maps(
        np.array([[1.0], [-1.0]]), targets, np.array([0.5, 0.1, 0.3]), penalties=[2.0]
    )
    np.testing.assert_allclose(fit.weights, [[1 / (2 + 2), 0, 0]])
    np.testing.assert_allclose(fit.intercept, [0.5, 0.1 + 2 * 0.7 / (2 + 5), 0.3])
    np.testing.assert_allclose(fit.apply(np.array([[2.0]]))[0, 0], 0.5 + 2 / 4)


def test_models_with_gaps_are_fitted_as_if_alone() -> None:
    rng = np.random.default_rng(0)
    vectors, targets = rng.normal(size=(40, 3)), rng.random((40, 5))
    targets[:10, 1] = targets[:10, 3] = targets[20:, 2] = np.nan
    prior = rng.random(5)
    together = fit_ridge_maps(vectors, targets, prior)
    for model in range(5):
        alone = fit_ridge_maps(vectors, targets[:, [model]], prior[[model]])
        for one, all_models in zip(alone, together, strict=True):
            np.testing.assert_allclose(one.weights[:, 0], all_models.weights[:, model])
            np.testing.assert_allclose(one.intercept[0], all_models.intercept[model])


def test_a_cost_that_nobody_observed_stays_unknown() -> None:
    fits = fit_ridge_maps(np.eye(3), np.full((3, 1), np.nan), np.array([np.nan]))
    assert np.isnan(fits[0].apply(np.eye(3))).all()


def test_a_larger_penalty_flattens() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(30, 4))
    fits = fit_ridge_maps(
        vectors, vectors @ rng.normal(size=(4, 1)), np.zeros(1), penalties=[0.1, 10.0, 1e6]
    )
    norms = [float(np.linalg.norm(fit.weights)) for fit in fits]
    assert norms[0] > norms[1] > norms[2]
    assert norms[2] < 1e-3


def test_validation_rows_choose_the_penalty(specialists: LearningData) -> None:
    """The topics tell everything, so that the smallest penalty wins; without validation rows the
    first one stands."""
    maps = fit_ridge_maps(
        specialists.questions.vectors, specialists.outcomes.effect, specialists.means.effect[0]
    )
    chosen, penalty = fit_best_effect_map(specialists)
    assert penalty == min(PENALTIES)
    np.testing.assert_array_equal(chosen.weights, maps[int(np.argmin(PENALTIES))].weights)
    unchecked = LearningData(specialists.train, None, specialists.encoder)
    np.testing.assert_array_equal(fit_best_effect_map(unchecked)[0].weights, maps[0].weights)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_specialists_are_told_by_the_text(
    kind: type[TextBaseline], specialists: LearningData, topic_prompts: list[str]
) -> None:
    router = kind.learn(specialists)
    on_sum, on_poem = router.predict(topic_prompts).effect
    assert router.models[int(np.argmax(on_sum))] == "adder"
    assert router.models[int(np.argmax(on_poem))] == "poet"
    assert on_sum[2] == pytest.approx(on_poem[2], abs=0.2)  # `fair` does not care
    pool_mean = specialists.means.effect[0, 3]
    np.testing.assert_allclose([on_sum[3], on_poem[3]], pool_mean, atol=0.1)  # `new` was never run


@pytest.mark.parametrize("kind", REGRESSORS)
def test_overfits(kind: type[TextBaseline], specialists: LearningData) -> None:
    router = kind.learn(specialists)
    error = np.abs(router.predict_effect(specialists.questions) - specialists.outcomes.effect)[
        :, :3
    ]
    assert np.nanmean(error) < 0.2


def test_support_vectors_rank_without_validation_rows(
    specialists: LearningData, topic_prompts: list[str]
) -> None:
    router = LinearSVM.learn(LearningData(specialists.train, None, specialists.encoder))
    assert router.curve.slope > 0
    assert router.predict(topic_prompts).effect.argmax(axis=1).tolist() == [0, 1]


def test_inside_keeps_off_the_ends() -> None:
    np.testing.assert_allclose(keep_inside(np.array([-1.0, 0.5, 2.0])), [1e-4, 0.5, 1 - 1e-4])
