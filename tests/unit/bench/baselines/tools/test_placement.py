"""Where new models stand, against estimates computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.baselines.tools.placement import (
    apply_offset,
    fit_most_probable,
    fit_offsets,
    place_in_cells,
    shrink_to_pool,
    subtract_offset,
)
from graphrouter.bench.baselines.tools.rising_curve import sigmoid

NAN = float("nan")


def test_the_most_probable_parameters_balance_likelihood_and_prior() -> None:
    """At the maximum the gradient of the likelihood equals the pull of the prior."""
    rng = np.random.default_rng(0)
    features, start = rng.normal(size=(40, 3)), rng.normal(size=40)
    effect = np.column_stack([rng.random(40) < 0.7, np.full(40, NAN), rng.random(40)]).astype(float)
    effect[::3, 0] = NAN
    mean, precision = np.array([0.5, -1.0, 0.0]), np.diag([1.0, 4.0, 0.5])
    theta = fit_most_probable(features, start, effect, mean=mean, precision=precision)
    for model in (0, 2):
        known = np.isfinite(effect[:, model])
        residual = effect[known, model] - sigmoid(start[known] + features[known] @ theta[model])
        np.testing.assert_allclose(
            features[known].T @ residual, precision @ (theta[model] - mean), atol=1e-8
        )
    np.testing.assert_array_equal(theta[1], mean)  # nothing observed


def test_an_extreme_start_is_no_trap() -> None:
    theta = fit_most_probable(
        np.full((50, 1), 30.0),
        np.full(50, -40.0),
        np.ones((50, 1)),
        mean=np.zeros(1),
        precision=np.eye(1),
    )
    assert np.isfinite(theta).all()
    assert float(sigmoid(-40.0 + 30.0 * theta)[0, 0]) > 0.9


def test_an_offset_counts_relative_to_how_hard_the_queries_are() -> None:
    """Half of the queries solved is much where the pool solves few, little where it solves most,
    and one outcome says little."""
    half = np.array([[1.0], [0.0]] * 50)
    hard, even, easy = (float(fit_offsets(np.full(100, p), half)[0]) for p in (0.1, 0.5, 0.9))
    assert hard == pytest.approx(-easy, abs=1e-9)
    assert hard > 1.5
    assert even == pytest.approx(0.0, abs=1e-9)
    few, many = fit_offsets(np.full(3, 0.5), np.array([[1.0, 1.0], [NAN, 1.0], [NAN, 1.0]]))
    assert 0 < few < many
    assert fit_offsets(np.empty(0), np.empty((0, 2))).tolist() == [0.0, 0.0]


def test_the_pool_is_moved_in_logits() -> None:
    np.testing.assert_allclose(
        apply_offset(np.array([0.5, 0.2]), np.array([0.0, np.log(4.0)])), [[0.5, 0.8], [0.2, 0.5]]
    )


def test_nothing_of_the_level_is_left_beyond_the_offset() -> None:
    effect = np.array([[1.0, NAN], [1.0, 0.0], [0.0, NAN]])
    expected = np.array([0.3, 0.5, 0.7])
    left = subtract_offset(expected, fit_offsets(expected, effect), effect)
    np.testing.assert_allclose(np.nansum(left, axis=0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(np.isnan(left), np.isnan(effect))
    assert left[0, 0] > left[1, 0] > left[2, 0]  # solved though hard, solved, failed though easy


def test_cells_by_hand() -> None:
    """No overall offset: two successes in one cell, two failures in the other, five prior
    outcomes."""
    placed = place_in_cells(
        np.array([0.5, 0.5]), np.array([0, 0, 1, 1]), np.array([[1.0], [1.0], [0.0], [0.0]])
    )
    np.testing.assert_allclose(placed[:, 0], [0.5 + 1 / 7, 0.5 - 1 / 7])


def test_without_outcomes_a_cell_is_as_the_pool_is() -> None:
    np.testing.assert_allclose(
        place_in_cells(np.array([0.2, 0.9]), np.empty(0, dtype=int), np.empty((0, 1)))[:, 0],
        [0.2, 0.9],
    )


def test_with_many_outcomes_a_cell_is_the_models_own_mean() -> None:
    rng = np.random.default_rng(1)
    cell, truth = np.repeat([0, 1], 4000), np.array([0.9, 0.3])
    placed = place_in_cells(
        np.array([0.2, 0.8]), cell, (rng.random(8000) < truth[cell]).astype(float)[:, None]
    )
    np.testing.assert_allclose(placed[:, 0], truth, atol=0.02)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), max_size=20),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_placed_effects_stay_inside(rows: list[tuple[int, float]], profile: list[float]) -> None:
    cell, effect = (
        np.array([c for c, _ in rows], dtype=int),
        np.array([[y] for _, y in rows]).reshape(-1, 1),
    )
    placed = place_in_cells(np.array(profile), cell, effect)
    assert ((placed > 0) & (placed < 1)).all()


def test_means_are_shrunk_to_the_pools() -> None:
    np.testing.assert_allclose(
        shrink_to_pool(np.array([[1.0, NAN], [1.0, NAN]]), 0.4), [(2 + 5 * 0.4) / 7, 0.4]
    )
