"""The shared predictor of cost, tokens and latency."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.levels import AMOUNTS
from graphrouter.bench.baselines.tools.vectors import scale_to_unit
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.types import FloatArray, Predictions


def world(num_queries: int, *, seed: int = 0) -> tuple[FloatArray, list[str], Predictions]:
    """Input tokens follow the prompt's length, cost and output tokens its direction; the second
    model costs ten times as much."""
    rng = np.random.default_rng(seed)
    vectors = scale_to_unit(rng.normal(size=(num_queries, 12)))
    prompts = ["x" * int(n) for n in rng.integers(10, 2000, size=num_queries)]
    length = np.array([len(prompt) for prompt in prompts], dtype=float)
    kind = np.exp(2 * vectors[:, 0])
    cost = (
        0.01
        * kind[:, None]
        * np.array([1.0, 10.0])
        * np.exp(rng.normal(0, 0.1, size=(num_queries, 2)))
    )
    outcomes = Predictions(
        ("cheap", "dear"),
        np.full((num_queries, 2), 0.5),
        cost,
        np.repeat(length[:, None] / 4, 2, axis=1),
        1000 * cost,
        np.full((num_queries, 2), np.nan),
    )
    return vectors, prompts, outcomes


def test_finds_what_drives_the_amounts() -> None:
    amounts = Amounts.fit(*world(400), held=world(100, seed=1))
    vectors, prompts, observed = world(200, seed=2)
    cost, tokens, _, latency = amounts.predict(vectors, prompts)
    error = np.sqrt(np.mean((np.log(cost) - np.log(observed.cost_usd)) ** 2))
    spread = np.log(observed.cost_usd).std(axis=0).mean()
    assert error < 0.5 * spread
    assert np.sqrt(np.mean((np.log(tokens) - np.log(observed.input_tokens)) ** 2)) < 0.2
    assert np.isnan(latency).all()  # never observed
    assert cost[:, 1].mean() == pytest.approx(observed.cost_usd[:, 1].mean(), rel=0.1)


def test_the_training_mean_comes_out() -> None:
    vectors, prompts, outcomes = world(300)
    predicted = Amounts.fit(vectors, prompts, outcomes).predict(vectors, prompts)
    for name, values in zip(AMOUNTS[:3], predicted, strict=False):
        np.testing.assert_allclose(
            values.mean(axis=0), getattr(outcomes, name).mean(axis=0), rtol=0.02
        )


def test_stays_within_what_was_observed() -> None:
    vectors, prompts, outcomes = world(60)
    amounts = Amounts.fit(vectors, prompts, outcomes)
    cost, *_ = amounts.predict(
        np.vstack([100 * vectors[:1], -100 * vectors[:1], 0 * vectors[:1]]), ["", "x" * 10**6, "y"]
    )
    assert (cost >= outcomes.cost_usd.min(axis=0) - 1e-12).all()
    assert (cost <= outcomes.cost_usd.max(axis=0) + 1e-12).all()


def test_a_model_without_costs_has_none_and_disturbs_nobody() -> None:
    vectors, prompts, outcomes = world(80)
    cost = outcomes.cost_usd.copy()
    cost[:, 1] = np.nan
    gaps = Predictions(
        outcomes.models,
        outcomes.effect,
        cost,
        outcomes.input_tokens,
        outcomes.output_tokens,
        outcomes.latency_s,
    )
    with_gap, whole = (
        Amounts.fit(vectors, prompts, each).predict(vectors, prompts)[0]
        for each in (gaps, outcomes)
    )
    assert np.isnan(with_gap[:, 1]).all()
    np.testing.assert_allclose(with_gap[:, 0], whole[:, 0])


@pytest.mark.parametrize("num_queries", [1, 2, 5])
def test_few_rows_give_finite_amounts(num_queries: int) -> None:
    vectors, prompts, outcomes = world(num_queries)
    cost, *_ = Amounts.fit(vectors, prompts, outcomes).predict(*world(9, seed=4)[:2])
    assert (cost > 0).all()


def test_free_calls_have_a_floor() -> None:
    vectors, prompts, outcomes = world(30)
    free = Predictions(
        outcomes.models,
        outcomes.effect,
        np.zeros_like(outcomes.effect),
        outcomes.input_tokens,
        outcomes.output_tokens,
        outcomes.latency_s,
    )
    np.testing.assert_allclose(
        Amounts.fit(vectors, prompts, free).predict(vectors, prompts)[0], 1e-9
    )


def test_prompts_far_longer_than_those_seen_are_counted_and_charged_by_the_token() -> None:
    prompts = ["word " * n for n in range(1, 101)]
    vectors = np.tile(np.eye(4)[0], (100, 1))
    tokens = np.array([[n + 5.0, 2.0 * n] for n in range(1, 101)])
    prices = np.array([[10.0, 1.0], [0.0, 0.0]])
    outcomes = ObservedOutcomes.from_arrays(
        ("a", "b"), np.ones((100, 2)), input_tokens=tokens, cost_usd=tokens * prices[0] / 1e6
    )
    amounts = Amounts.fit(vectors, prompts, outcomes)
    for times in (10, 100):
        cost, counted, *_ = amounts.predict(vectors[:1], ["word " * 100 * times], prices=prices)
        true = np.array([100 * times + 5, 200 * times])
        np.testing.assert_allclose(counted[0], true, rtol=0.1)
        np.testing.assert_allclose(cost[0], true * prices[0] / 1e6, rtol=0.1)
