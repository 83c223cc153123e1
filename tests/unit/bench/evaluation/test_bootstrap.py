"""The bootstrap against theory: standard errors, pairing, seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from graphrouter.bench.evaluation.bootstrap import Interval, Resampling, Sampled, Statistic, average
from graphrouter.bench.evaluation.bootstrap import bootstrap as bootstrap_over
from graphrouter.types import FloatArray


def bootstrap(
    statistics: Sequence[Statistic], *, num_draws: int = 1000, seed: int = 0
) -> list[Sampled]:
    """Over one evaluation set whose queries are called 0000, 0001, ..."""
    ids = tuple(f"{i:04}" for i in range(len(statistics[0].parts)))
    return bootstrap_over(statistics, Resampling((ids,), num_draws, seed).counts(0))


def mean_of(values: FloatArray) -> Statistic:
    return Statistic(
        np.column_stack([values, np.ones(len(values))]), lambda sums: sums[:, 0] / sums[:, 1]
    )


def test_interval_of_a_mean_is_two_standard_errors_wide() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 2000)
    interval = bootstrap([mean_of(values)], num_draws=2000)[0].interval()
    error = values.std() / math.sqrt(2000)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_pairing_removes_what_two_routers_share() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 10, 500)
    first, second = bootstrap([mean_of(shared + 0.1), mean_of(shared + rng.normal(0, 0.1, 500))])
    difference = first.minus(second)
    assert difference.excludes_zero
    assert difference.high - difference.low < 0.05
    assert first.interval().high - first.interval().low > 1


def test_the_same_seed_gives_the_same_draws_and_blocks_do_not_matter() -> None:
    statistic = mean_of(np.random.default_rng(2).random(50))
    first, again, other = (
        bootstrap([statistic], num_draws=250, seed=seed)[0].draws for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    # The last block is smaller, and a product of matrices may round by the number of its rows.
    np.testing.assert_allclose(
        bootstrap([statistic], num_draws=120, seed=0)[0].draws, first[:120], rtol=1e-12
    )


def test_every_draw_has_as_many_queries_as_there_are() -> None:
    ones = np.ones((30, 1))
    draws = bootstrap([Statistic(ones, lambda sums: sums[:, 0])], num_draws=101)[0].draws
    assert draws.shape == (101,)
    assert (draws == 30).all()


def test_statistics_may_share_their_parts() -> None:
    parts = np.random.default_rng(3).random((40, 2))
    total, ratio = bootstrap(
        [Statistic(parts, lambda s: s[:, 0]), Statistic(parts, lambda s: s[:, 0] / s[:, 1])],
        num_draws=5,
    )
    assert total.value == pytest.approx(parts[:, 0].sum())
    assert ratio.value == pytest.approx(parts[:, 0].sum() / parts[:, 1].sum())


def test_an_interval_with_many_undefined_draws_is_undefined() -> None:
    draws = np.linspace(0, 1, 1000)
    draws[:20] = np.nan
    assert math.isfinite(Sampled(0.5, draws).interval().low)
    draws[:30] = np.nan
    interval = Sampled(0.5, draws).interval()
    assert interval.value == 0.5
    assert math.isnan(interval.low)
    assert not interval.excludes_zero


def test_without_draws_there_is_no_interval() -> None:
    assert math.isnan(bootstrap([mean_of(np.ones(3))], num_draws=0)[0].interval().low)
    assert bootstrap_over([], []) == []


def test_excludes_zero() -> None:
    assert Interval(1, 0.5, 2).excludes_zero
    assert Interval(-1, -2, -0.5).excludes_zero
    assert not Interval(0.1, -0.1, 0.3).excludes_zero


def test_trials_draw_the_queries_that_they_share_together() -> None:
    resampling = Resampling((("a", "b", "c"), ("c", "d")), num_draws=250, seed=1)
    first, second = (
        np.vstack(list(resampling.counts(evaluation_set))) for evaluation_set in (0, 1)
    )
    assert first.shape == (250, 3)
    np.testing.assert_array_equal(first[:, 2], second[:, 0])
    assert (first.sum(axis=1) + second[:, 1] == 4).all()


def test_averaging_over_splits_of_the_same_queries_gains_nothing_by_repetition() -> None:
    """Five splits with the same test queries know no more than one; five with queries of their own
    know more."""
    rng = np.random.default_rng(4)
    values = [rng.normal(0, 1, 200) for _ in range(5)]
    ids = tuple(f"{i:04}" for i in range(200))
    same = Resampling((ids,) * 5, 400)
    apart = Resampling(tuple(tuple(f"{k}-{query}" for query in ids) for k in range(5)), 400)

    def width(samples: list[Sampled]) -> float:
        interval = average(samples).interval()
        return interval.high - interval.low

    repeated = width([bootstrap_over([mean_of(values[0])], same.counts(k))[0] for k in range(5)])
    alone = width(bootstrap([mean_of(values[0])], num_draws=400))
    fresh = width([bootstrap_over([mean_of(values[k])], apart.counts(k))[0] for k in range(5)])
    assert repeated == pytest.approx(alone, rel=0.15)
    assert fresh == pytest.approx(alone / math.sqrt(5), rel=0.25)


def test_the_average_of_something_undefined_is_undefined() -> None:
    known, unknown = Sampled(1.0, np.ones(3)), Sampled(float("nan"), np.full(3, np.nan))
    assert average([known, Sampled(3.0, np.full(3, 3.0))]).value == 2.0
    assert math.isnan(average([known, unknown]).value)
