"""Amounts of a policy: by hand, by logs whose truth is known, and predictions kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.bench.savings.logged_period import Period
from graphrouter.bench.savings.policy_amounts import (
    compare,
    lay_rows,
    measure_amount,
    measure_cost_error,
)
from graphrouter.types import Predictions

NAN = float("nan")


def make_period(
    effect: np.ndarray, chance: np.ndarray, expected: np.ndarray, cost: np.ndarray | None = None
) -> Period:
    n, m = expected.shape
    predictions = Predictions.from_arrays(
        tuple(f"m{i}" for i in range(m)),
        expected,
        cost_usd=np.ones((n, m)),
        effect_low=np.clip(expected - 0.1, 0, 1),
        effect_high=np.clip(expected + 0.2, 0, 1),
    )
    costs = np.full((n, m), NAN) if cost is None else cost
    return Period(
        "log",
        n,
        predictions,
        {"effect": effect, "cost_usd": costs},
        {"effect": chance, "cost_usd": np.isfinite(costs).astype(float)},
        lambda _: ["m0"] * n,
    )


def test_where_all_is_in_the_log_it_is_the_plain_mean() -> None:
    effect = np.random.default_rng(0).random((50, 2))
    period = make_period(effect, np.ones((50, 2)), np.full((50, 2), 0.9))
    rows = lay_rows(period, "effect", np.zeros(50, dtype=np.int64))
    amount = measure_amount(rows)
    assert amount.value == pytest.approx(effect[:, 0].mean())
    assert amount.share_from_log == 1.0
    assert amount.value_from_log == pytest.approx(amount.value)
    half = 1.96 * effect[:, 0].std() / np.sqrt(50)
    assert amount.high - amount.low == pytest.approx(2 * half, rel=0.25)


def test_where_nobody_had_a_chance_it_is_predicted_and_says_so() -> None:
    period = make_period(np.full((40, 2), NAN), np.zeros((40, 2)), np.full((40, 2), 0.5))
    rows = lay_rows(period, "effect", np.ones(40, dtype=np.int64))
    amount = measure_amount(rows)
    assert (amount.value, amount.share_from_log, amount.value_from_log) == (0.5, 0.0, 0.0)
    assert (amount.low, amount.high) == pytest.approx((0.4, 0.7))  # the ends of the predictions


@pytest.mark.parametrize("unknown", [NAN, 0.0, 0.001])
def test_parts_that_the_log_tells_and_parts_that_it_does_not_add_up(unknown: float) -> None:
    effect = np.full((100, 1), NAN)
    effect[:60] = 1.0
    chance = np.array([1.0] * 60 + [unknown] * 40)[:, None]
    period = make_period(effect, chance, np.full((100, 1), 0.5))
    amount = measure_amount(lay_rows(period, "effect", np.zeros(100, dtype=np.int64)))
    assert amount.share_from_log == pytest.approx(0.6)
    assert amount.value_from_log == pytest.approx(0.6)
    assert amount.value == pytest.approx(0.6 + 0.4 * 0.5)


def test_a_handful_of_calls_is_no_evidence() -> None:
    effect = np.full((100, 1), NAN)
    effect[:29] = 1.0
    chance = np.array([1.0] * 29 + [0.0] * 71)[:, None]
    period = make_period(effect, chance, np.full((100, 1), 0.5))
    rows = lay_rows(period, "effect", np.zeros(100, dtype=np.int64))
    assert not rows.is_logged.any()
    assert np.all(rows.value == 0.5)


def test_intervals_hold_the_truth_however_wrong_the_predictions() -> None:
    rng = np.random.default_rng(7)
    n, logs, worlds = 400, 100, 3
    rows = np.arange(n)
    held = {"value": 0, "change": 0}
    for _ in range(worlds):
        truth = rng.random((n, 3))
        expected = np.clip(truth + 0.15, 0, 1)  # flattering
        chance = rng.dirichlet([2, 2, 2], size=n).clip(0.03, None)
        chance /= chance.sum(axis=1, keepdims=True)
        target = expected.argmax(axis=1)
        mean = truth[rows, target].mean()
        for _ in range(logs):
            asked = (chance.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
            effect = np.full((n, 3), NAN)
            effect[rows, asked] = rng.random(n) < truth[rows, asked]
            period = make_period(effect, chance, expected)
            ours = lay_rows(period, "effect", target)
            base = lay_rows(period, "effect", np.zeros(n, dtype=np.int64))
            amount = measure_amount(ours)
            assert amount.share_from_log == 1.0
            held["value"] += amount.low <= mean <= amount.high
            change = compare(ours, base)
            held["change"] += change.low <= mean - truth[:, 0].mean() <= change.high
    # Of 300 intervals of 95 % fewer than 274 hold once in 400 times.
    assert min(held.values()) >= 274


def test_the_same_choice_differs_by_nothing_even_where_it_is_predicted() -> None:
    period = make_period(np.full((40, 2), NAN), np.zeros((40, 2)), np.full((40, 2), 0.5))
    base = lay_rows(period, "effect", np.zeros(40, dtype=np.int64))
    same = compare(base, base)
    assert (same.value, same.low, same.high, same.share_from_log) == (0.0, 0.0, 0.0, 1.0)
    half = np.array([0] * 20 + [1] * 20, dtype=np.int64)
    other = compare(lay_rows(period, "effect", half), base)
    assert other.share_from_log == 0.5
    assert (other.low, other.high) == pytest.approx((-0.15, 0.15))  # half of .1 + .2


def test_predicted_costs_are_as_wrong_as_those_in_the_log() -> None:
    cost = np.full((60, 3), NAN)
    cost[:20, 0], cost[20:40, 1], cost[40:45, 2] = 2.0, 0.5, 9.0  # predicted: 1
    period = make_period(np.full((60, 3), NAN), np.zeros((60, 3)), np.full((60, 3), 0.5), cost)
    assert measure_cost_error(period) == pytest.approx((0.5, 2.0))  # five calls say too little
    rows = lay_rows(period, "cost_usd", np.full(60, 2, dtype=np.int64))
    amount = measure_amount(rows)
    assert (amount.value, amount.low, amount.high) == pytest.approx((1.0, 0.5, 2.0))


def test_without_costs_in_the_log_the_range_is_not_known() -> None:
    period = make_period(np.full((40, 1), NAN), np.zeros((40, 1)), np.full((40, 1), 0.5))
    rows = lay_rows(period, "cost_usd", np.zeros(40, dtype=np.int64))
    amount = measure_amount(rows)
    assert amount.value == 1.0
    assert np.isnan([amount.low, amount.high]).all()
    assert not amount.excludes_zero
