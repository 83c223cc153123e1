"""What outcomes of some models on a query tell of the others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from graphrouter.router.outcome_covariance import Told, condition, estimate_covariance
from graphrouter.types import FloatArray, IntArray

NUM_MODELS = 4


def _draw(covariance: FloatArray, num: int = 6000) -> tuple[FloatArray, FloatArray]:
    """Marginal logits and outcomes of models whose logits vary together."""
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(num, len(covariance)))
    deviation = rng.multivariate_normal(np.zeros(len(covariance)), covariance, num)
    outcome = (rng.random(mean.shape) < expit(mean + deviation)).astype(float)
    return mean / np.sqrt(1 + np.pi / 8 * covariance.diagonal()), outcome


def _tell(logits: FloatArray, shared: FloatArray, column: IntArray, effect: FloatArray) -> Told:
    """Condition on exact grades."""
    return condition(logits, shared, column, effect, np.ones_like(effect), np.zeros_like(effect))


def test_what_models_share_is_found() -> None:
    truth = np.full((NUM_MODELS, NUM_MODELS), 1.0) + 0.5 * np.eye(NUM_MODELS)
    truth[:2, :2] += 1.0
    logits, outcome = _draw(truth)
    found = estimate_covariance(logits, outcome)
    assert 0.5 * truth[0, 1] < found[0, 1] < 1.1 * truth[0, 1]
    assert 0.7 * truth[2, 3] < found[2, 3] < 1.1 * truth[2, 3]
    assert found[0, 1] > 1.4 * found[0, 2]
    assert np.linalg.eigvalsh(found).min() > 0


def test_a_model_without_outcomes_shares_what_all_do() -> None:
    logits, outcome = _draw(np.full((NUM_MODELS, NUM_MODELS), 1.5))
    outcome[:, 3] = np.nan
    found = estimate_covariance(logits, outcome)
    assert found[3, :3] == pytest.approx(np.full(3, 1.5), rel=0.3)


@pytest.mark.parametrize("size", [1, 3])
def test_without_solved_queries_the_usual_is_shared(size: int) -> None:
    nothing = np.full((1, size), np.nan)
    found = estimate_covariance(np.zeros((1, size)), nothing)
    assert found == pytest.approx(np.full((size, size), 1 + np.pi / 8), abs=0.01)


def test_deviations_that_have_nothing_in_common_tell_nothing() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5000, 3))
    outcome = (rng.random(logits.shape) < expit(logits)).astype(float)
    shared = estimate_covariance(logits, outcome)
    told = _tell(logits[:5], shared, np.zeros((5, 1), int), np.zeros((5, 1)))
    assert expit(told.logit[:, 1:]) == pytest.approx(expit(logits[:5, 1:]), abs=0.03)


def test_one_answer_tells_what_integration_says() -> None:
    covariance = np.array([[2.0, 1.2], [1.2, 1.5]])
    logits = np.array([[0.3, -0.8]])
    rng = np.random.default_rng(1)
    mean = logits * np.sqrt(1 + np.pi / 8 * covariance.diagonal())
    chance = expit(mean + rng.multivariate_normal(np.zeros(2), covariance, 400_000))
    for grade in (1.0, 0.0):
        likely = chance[:, 0] if grade else 1 - chance[:, 0]
        expected = (likely * chance[:, 1]).sum() / likely.sum()
        told = _tell(logits, covariance, np.array([[0]]), np.array([[grade]]))
        assert expit(told.logit[0, 1]) == pytest.approx(expected, abs=0.02)
        assert told.cavity[0, 0] == pytest.approx(expit(0.3), abs=1e-6)
        assert (told.shrunk < 1).all()


def test_a_coin_moves_nothing() -> None:
    logits = np.array([[0.3, -2.0, 5.0]])
    half = np.array([[0.5]])
    told = condition(logits, np.full((3, 3), 2.0), np.array([[1]]), np.array([[1.0]]), half, half)
    assert told.logit == pytest.approx(logits, abs=1e-12)
    assert told.shrunk == pytest.approx(np.ones((1, 3)), abs=1e-12)


def test_queries_do_not_influence_one_another() -> None:
    shared = np.full((3, 3), 1.0) + np.eye(3)
    rng = np.random.default_rng(2)
    logits, column = rng.normal(size=(40, 3)) * 4, np.tile([[2, 0]], (40, 1))
    effect = rng.random((40, 2)).round()
    together = _tell(logits, shared, column, effect)
    for row in range(40):
        alone = _tell(*(logits[row : row + 1], shared, column[:1], effect[row : row + 1]))
        for one, all_rows in ((alone.logit, together.logit), (alone.cavity, together.cavity)):
            assert np.array_equal(one[0], all_rows[row])


@pytest.mark.parametrize("level", [-40.0, -8.0, 8.0, 40.0])
def test_surprises_are_finite_and_point_the_right_way(level: float) -> None:
    shared = np.full((3, 3), 9.0) + np.eye(3)
    logits = np.full((2, 3), level)
    effect = np.array([[0.0, 0.0], [1.0, 1.0]])
    told = _tell(logits, shared, np.array([[0, 1], [0, 1]]), effect)
    assert np.isfinite(told.logit).all()
    assert np.isfinite(told.cavity).all()
    assert told.logit[0, 2] <= told.logit[1, 2]
    assert float(logit(expit(told.logit[0, 2]))) < 30
