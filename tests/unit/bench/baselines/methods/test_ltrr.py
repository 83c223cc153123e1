"""Pairs by hand, a second implementation of their loss, and candidates that are worth different
things on different prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.baselines.methods import ltrr
from graphrouter.bench.baselines.methods.ltrr import LearningToRank, measure_pair_loss
from tests.unit.bench.baselines.worlds import learning, two_kinds

NAN = float("nan")


def world(num_queries: int) -> tuple[list[str], np.ndarray]:
    """`m0` is the better one on sums, `m1` on poems, `m2` is always between, `m3` never asked."""
    prompts = two_kinds(num_queries)
    sums = np.arange(num_queries) % 2 == 1
    return prompts, np.column_stack(
        [sums * 0.8, ~sums * 0.8, np.full(num_queries, 0.5), np.full(num_queries, NAN)]
    )


@pytest.mark.parametrize("num_held", [0, 80])
def test_ranks_by_what_the_prompt_is_about(num_held: int) -> None:
    prompts, effect = world(400)
    router = LearningToRank.learn(learning(prompts, effect, num_held=num_held))
    found = router.predict(["integral derivative 7", "poem sonnet 8"]).effect
    assert np.argsort(-found[0, :3]).tolist() == [0, 2, 1]
    assert np.argsort(-found[1, :3]).tolist() == [1, 2, 0]
    assert (found[:, 3] > found[:, :3].min(axis=1)).all()
    assert (found[:, 3] < found[:, :3].max(axis=1)).all()


def test_where_nobody_is_better_all_are_alike() -> None:
    router = LearningToRank.learn(learning(two_kinds(60), np.full((60, 3), 0.5), num_held=10))
    assert router.trees == ""
    found = router.predict(["integral", ""]).effect
    np.testing.assert_allclose(found, np.full((2, 3), found[0, 0]))


def test_more_pairs_than_a_tree_may_be_grown_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ltrr, "MOST_PAIRS", 16 * 200)
    prompts, effect = world(600)
    router = LearningToRank.learn(learning(prompts, effect))
    found = router.predict(["integral derivative 7", "poem sonnet 8"]).effect
    assert np.argmax(found[:, :2], axis=1).tolist() == [0, 1]


def test_loss_of_pairs_by_hand() -> None:
    """Two pairs: the better one leads by 1 in the first, trails by 2 in the second."""
    score = np.array([[1.0, 0.0, 5.0], [0.0, 2.0, 0.0]])
    effect = np.array([[1.0, 0.0, NAN], [0.7, 0.2, NAN]])
    loss, slope, bend = measure_pair_loss(score, effect)
    assert loss == pytest.approx((np.log1p(np.exp(-1)) + np.log1p(np.exp(2))) / 2)
    wrong = np.array([1 / (1 + np.e), 1 / (1 + np.exp(-2))])
    np.testing.assert_allclose(slope, [[-wrong[0], wrong[0], 0], [-wrong[1], wrong[1], 0]])
    curved = wrong * (1 - wrong)
    np.testing.assert_allclose(bend, [[curved[0], curved[0], 0], [curved[1], curved[1], 0]])
    assert np.isnan(measure_pair_loss(np.zeros((2, 2)), np.ones((2, 2)))[0])


@given(st.integers(0, 1000))
def test_the_slope_is_that_of_the_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(3, 4))
    effect = np.where(rng.random((3, 4)) < 0.2, NAN, rng.integers(0, 3, (3, 4)) / 2)
    loss, slope, _ = measure_pair_loss(score, effect)
    count = sum(
        a > b for row in effect for a in row for b in row if np.isfinite(a) and np.isfinite(b)
    )
    if not count:
        assert np.isnan(loss)
        return
    moved, step = score.copy(), 1e-6
    moved[1, 2] += step
    numeric = (measure_pair_loss(moved, effect)[0] - loss) * count / step
    assert numeric == pytest.approx(slope[1, 2], abs=1e-4)
