"""The curve from scores to effects, against scikit-learn's logistic regression and against
constructed cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from graphrouter.bench.baselines.tools.rising_curve import EffectCurve, sigmoid


def test_agrees_with_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(3.0, 5.0, size=(200, 3))
    effect = (rng.random(score.shape) < sigmoid(0.4 * score - 1.0)).astype(float)
    curve = EffectCurve.fit(score, effect)
    other = LogisticRegression(C=1e6, tol=1e-8).fit(score.reshape(-1, 1), effect.ravel())
    assert curve.slope == pytest.approx(float(other.coef_[0, 0]), rel=1e-2)
    assert curve.intercept == pytest.approx(float(other.intercept_[0]), rel=2e-2)


def test_a_score_that_misleads_gives_the_mean_and_keeps_its_order() -> None:
    score = np.array([[1.0, 2.0, 3.0, 4.0]])
    curve = EffectCurve.fit(score, np.array([[1.0, 1.0, 0.0, 0.0]]))
    effect = curve.apply(score)
    assert curve.slope == 0
    np.testing.assert_allclose(effect, 0.5, atol=1e-5)
    assert (np.diff(effect[0]) > 0).all()


def test_separable_equal_and_missing_scores_stay_inside() -> None:
    separable = EffectCurve.fit(np.arange(10.0), (np.arange(10) > 4).astype(float))
    assert 0 <= separable.apply(np.array([-1e3]))[0] <= separable.apply(np.array([1e3]))[0] <= 1
    equal = EffectCurve.fit(np.ones(4), np.array([1.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(equal.apply(np.ones(2)), 0.25, atol=1e-5)
    nothing = EffectCurve.fit(np.array([np.nan]), np.array([1.0]))
    assert nothing == EffectCurve(0.0, 0.0)
    always = EffectCurve.fit(np.arange(5.0), np.ones(5))
    assert (always.apply(np.arange(5.0)) > 0.8).all()
    assert np.isnan(separable.apply(np.array([np.nan])))[0]


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 1)), min_size=1, max_size=30))
def test_never_falls(pairs: list[tuple[float, float]]) -> None:
    score, effect = (np.array(values) for values in zip(*pairs, strict=True))
    applied = EffectCurve.fit(score, effect).apply(np.sort(score))
    assert np.isfinite(applied).all()
    assert (np.diff(applied) >= 0).all()
