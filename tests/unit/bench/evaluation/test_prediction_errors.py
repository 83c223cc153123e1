"""Predictor metrics against values computed by hand and against second implementations, then
properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau
from sklearn.metrics import brier_score_loss, root_mean_squared_error
from sklearn.metrics import log_loss as sklearn_log_loss

from graphrouter.bench.evaluation import prediction_errors
from graphrouter.training import effect_scores
from graphrouter.types import FloatArray

NAN = float("nan")
probabilities = arrays(np.float64, (4, 3), elements=st.floats(0, 1))
effects = arrays(np.float64, (4, 3), elements=st.one_of(st.floats(0, 1), st.just(NAN)))


def test_log_loss_by_hand() -> None:
    probability, effect = np.array([[0.8, 0.3], [0.5, 0.9]]), np.array([[1.0, 0.0], [NAN, 0.25]])
    expected = -(math.log(0.8) + math.log(0.7) + 0.25 * math.log(0.9) + 0.75 * math.log(0.1)) / 3
    assert effect_scores.log_loss(probability, effect) == pytest.approx(expected)


def test_certain_mistakes_cost_a_finite_log_loss() -> None:
    assert effect_scores.log_loss(np.array([0.0]), np.array([1.0])) == pytest.approx(
        -math.log(1e-6)
    )
    assert effect_scores.log_loss(np.array([1.0]), np.array([1.0])) == pytest.approx(1e-6, rel=1e-3)


def test_brier_by_hand() -> None:
    assert prediction_errors.brier(
        np.array([0.8, 0.3, 0.5]), np.array([1.0, 0.5, NAN])
    ) == pytest.approx((0.04 + 0.04) / 2)


def test_log_rmse_by_hand() -> None:
    predicted, observed = np.array([2.0, 1.0, 5.0]), np.array([1.0, 4.0, NAN])
    assert prediction_errors.log_rmse(predicted, observed) == pytest.approx(
        math.sqrt((math.log(2) ** 2 + math.log(4) ** 2) / 2)
    )


def test_log_rmse_counts_nothing_as_the_floor() -> None:
    assert prediction_errors.log_rmse(
        np.array([1e-3]), np.array([0.0]), floor=1e-6
    ) == pytest.approx(math.log(1000))


def test_calibration_error_by_hand() -> None:
    # Two bins: (0.1, 0.3) with effects (0, 1), and (0.9, 1.0) with effects (1, 1).
    probability, effect = np.array([0.1, 0.3, 0.9, 1.0, 0.7]), np.array([0.0, 1.0, 1.0, 1.0, NAN])
    expected = 2 / 4 * abs(0.2 - 0.5) + 2 / 4 * abs(0.95 - 1.0)
    assert effect_scores.expected_calibration_error(
        probability, effect, num_bins=2
    ) == pytest.approx(expected)


def test_a_bin_edge_belongs_to_the_upper_bin() -> None:
    sums = effect_scores.calibration_sums(
        np.array([[0.5, 0.0, 1.0]]), np.array([[1.0, 1.0, 1.0]]), num_bins=2
    )
    np.testing.assert_array_equal(sums, [[0.0, 1.5, 1.0, 2.0, 1.0, 2.0]])


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probability, effect = rng.random((50, 6)), rng.integers(0, 2, (50, 6)).astype(float)
    effect[rng.random(effect.shape) < 0.3] = NAN
    known = np.isfinite(effect)
    assert effect_scores.log_loss(probability, effect) == pytest.approx(
        sklearn_log_loss(effect[known], probability[known])
    )
    assert prediction_errors.brier(probability, effect) == pytest.approx(
        brier_score_loss(effect[known], probability[known])
    )
    amounts = rng.lognormal(size=(2, 50, 6))
    expected = root_mean_squared_error(np.log(amounts[1]).ravel(), np.log(amounts[0]).ravel())
    assert prediction_errors.log_rmse(amounts[0], amounts[1]) == pytest.approx(expected)


def test_reliability_bins_by_hand() -> None:
    probability, effect = (
        np.array([[0.1, 0.3], [0.9, 1.0], [0.7, 0.5]]),
        np.array([[0.0, 1.0], [1.0, 1.0], [NAN, 0.25]]),
    )
    bins = prediction_errors.reliability_bins(probability, effect, num_bins=3)
    np.testing.assert_allclose(bins.expected, [0.2, 0.5, 0.95])
    np.testing.assert_allclose(bins.observed, [0.5, 0.25, 1.0])
    assert bins.num_pairs.tolist() == [2, 1, 2]
    empty = prediction_errors.reliability_bins(np.array([0.1]), np.array([1.0]), num_bins=2)
    np.testing.assert_array_equal(empty.observed, [1.0, NAN])


def test_calibration_error_is_the_mean_gap_of_the_reliability_bins() -> None:
    rng = np.random.default_rng(0)
    probability, effect = rng.random((80, 5)), rng.random((80, 5))
    cell = np.minimum(np.floor(probability * 15), 14)
    gaps = [abs((probability - effect)[cell == c].sum()) for c in range(15)]
    assert effect_scores.expected_calibration_error(probability, effect) == pytest.approx(
        sum(gaps) / 400
    )
    bins = prediction_errors.reliability_bins(probability, effect)
    gap = np.average(np.abs(bins.expected - bins.observed), weights=bins.num_pairs)
    assert effect_scores.expected_calibration_error(probability, effect) == pytest.approx(gap)


@pytest.mark.parametrize("seed", range(3))
def test_kendall_tau_against_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, observed = rng.random((60, 7)).round(1), rng.integers(0, 3, (60, 7)) / 2
    predicted[rng.random(predicted.shape) < 0.1] = NAN
    observed[rng.random(observed.shape) < 0.2] = NAN
    observed[0], observed[1] = NAN, 1.0
    found = prediction_errors.kendall_tau_of_queries(predicted, observed)
    for tau, first, second in zip(found, predicted, observed, strict=True):
        known = np.isfinite(first) & np.isfinite(second)
        defined = len(set(first[known])) > 1 and len(set(second[known])) > 1
        expected = kendalltau(first[known], second[known]).statistic if defined else NAN
        assert tau == pytest.approx(expected, nan_ok=True)
    assert prediction_errors.kendall_tau(predicted, observed) == pytest.approx(np.nanmean(found))


def test_kendall_tau_by_hand() -> None:
    # One query ranked right, one ranked wrong, one with a tie on one side: 2 agreeing pairs over
    # sqrt(3 * 2).
    predicted = np.array([[0.1, 0.2, 0.3]] * 3)
    observed = np.array([[0.0, 0.5, 1.0], [1.0, 0.5, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(
        prediction_errors.kendall_tau_of_queries(predicted, observed), [1, -1, 2 / math.sqrt(6)]
    )


def test_nothing_observed_is_nan() -> None:
    probability, effect = np.full((2, 2), 0.5), np.full((2, 2), NAN)
    for metric in (
        effect_scores.log_loss,
        prediction_errors.brier,
        effect_scores.expected_calibration_error,
        prediction_errors.log_rmse,
        prediction_errors.kendall_tau,
    ):
        assert math.isnan(metric(probability, effect))


@given(probabilities, effects)
def test_order_changes_nothing(probability: FloatArray, effect: FloatArray) -> None:
    for metric in (
        effect_scores.log_loss,
        prediction_errors.brier,
        effect_scores.expected_calibration_error,
        prediction_errors.kendall_tau,
    ):
        forwards, backwards = (
            metric(probability, effect),
            metric(probability[::-1, ::-1], effect[::-1, ::-1]),
        )
        assert forwards == pytest.approx(backwards, nan_ok=True)


@given(probabilities, effects)
def test_ranges(probability: FloatArray, effect: FloatArray) -> None:
    if np.isnan(effect).all():
        return
    assert 0 <= prediction_errors.brier(probability, effect) <= 1
    assert -1e-12 <= effect_scores.expected_calibration_error(probability, effect) <= 1 + 1e-12
    assert effect_scores.log_loss(probability, effect) >= 0


@given(effects, st.floats(0, 1))
def test_the_mean_is_the_best_constant(effect: FloatArray, constant: float) -> None:
    known = effect[np.isfinite(effect)]
    if known.size == 0:
        return
    mean = np.full(effect.shape, known.mean())
    other = np.full(effect.shape, constant)
    assert prediction_errors.brier(mean, effect) <= prediction_errors.brier(other, effect) + 1e-12
    assert effect_scores.log_loss(mean, effect) <= effect_scores.log_loss(other, effect) + 1e-5
    assert effect_scores.expected_calibration_error(mean, effect) == pytest.approx(0, abs=1e-9)
