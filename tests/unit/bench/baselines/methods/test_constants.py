"""Random, cheapest and largest price: their favourite is taken at every trade-off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.constants import (
    Cheapest,
    IndifferentRouter,
    LargestPrice,
    RandomRouter,
    average_pool,
)
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import NotApplicableError
from graphrouter.policy import Policy

ROUTERS = (RandomRouter, Cheapest, LargestPrice)
NAN = float("nan")


def learn(
    rows: Sequence[tuple[str, str, float, float]],
    models: dict[str, tuple[float | None, float | None]],
    *,
    seed: int = 0,
) -> LearningData:
    """Outcomes (query, model, effect, cost) and list prices (input, output)."""
    ids = sorted({row[0] for row in rows})
    frame = pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"])
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": ids, "task": None, "prompt": [f"prompt {i}" for i in ids]}
        ),
        models=pd.DataFrame(
            [(name, *price) for name, price in models.items()],
            columns=["model", "input_usd_per_mtok", "output_usd_per_mtok"],
        ),
        outcomes=frame if frame["cost_usd"].notna().any() else frame.drop(columns="cost_usd"),
    )
    return LearningData.of(data, ids, encoder=HashingEncoder(64), seed=seed)


@pytest.fixture
def costed() -> LearningData:
    """`mid` has the best effect, `dear` the dearest list price but no recorded cost, `new` no
    outcome."""
    rows = [
        ("q1", "mid", 1.0, 0.02),
        ("q2", "mid", 1.0, 0.04),
        ("q1", "low", 0.0, 0.01),
        ("q1", "high", 0.0, 0.08),
        ("q2", "dear", 1.0, NAN),
    ]
    return learn(
        rows, {"mid": (1, 1), "low": (5, 5), "high": (2, 2), "dear": (9, 9), "new": (None, None)}
    )


POLICIES = [
    Policy.preset("performance_first"),
    Policy.preset("balanced"),
    Policy.preset("cost_first"),
    Policy(effect_weight=0, cost_weight=1),
    Policy(usd_per_effect=1e-4),
    Policy(usd_per_effect=1e4),
]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_every_policy_takes_the_favourite(costed: LearningData, policy: Policy) -> None:
    assert Cheapest.learn(costed).route("x", policy=policy).model == "low"
    assert LargestPrice.learn(costed).route("x", policy=policy).model == "high"
    random = RandomRouter.learn(costed)
    for prompt in ("x", "y", ""):
        assert (
            random.route(prompt, policy=policy).model
            == random.models[int(np.argmax(random.rank([prompt])[0]))]
        )


def test_ranking_by_mean_cost_with_unknown_costs_last(costed: LearningData) -> None:
    assert Cheapest.learn(costed).order.tolist() == [3, 4, 2, 1, 0]
    assert LargestPrice.learn(costed).order.tolist() == [3, 2, 4, 1, 0]


def test_expected_costs_are_the_pool_mean_for_all(costed: LearningData) -> None:
    predictions = Cheapest.learn(costed).predict(["a", "b"])
    np.testing.assert_allclose(predictions.cost_usd, np.full((2, 5), (0.03 + 0.01 + 0.08) / 3))
    np.testing.assert_allclose(
        predictions.effect, np.full((2, 5), costed.means.effect.mean()), atol=1e-5
    )
    assert np.isnan(predictions.latency_s).all()


def test_list_prices_where_nothing_has_a_cost() -> None:
    data = learn(
        [("q1", "a", 1.0, NAN), ("q1", "b", 0.0, NAN)], {"a": (1, 4), "b": (2, 2), "c": (None, 9)}
    )
    assert Cheapest.learn(data).route("x").model == "b"
    assert LargestPrice.learn(data).route("x").model == "a"
    assert np.isnan(Cheapest.learn(data).predict(["x"]).cost_usd).all()


@pytest.mark.parametrize("router_class", [Cheapest, LargestPrice])
def test_without_costs_and_prices_it_does_not_apply(router_class: type[IndifferentRouter]) -> None:
    data = learn([("q1", "a", 1.0, NAN)], {"a": (None, None), "b": (None, None)})
    with pytest.raises(NotApplicableError, match=f"{router_class.name} needs costs or prices"):
        router_class.learn(data)


def test_random_choices_are_even_and_their_own() -> None:
    learning = learn([("q1", "a", 1.0, 0.1)], dict.fromkeys("abcd", (None, None)))
    router = RandomRouter.learn(learning)
    prompts = [f"p{i}" for i in range(4000)]
    ranks = router.rank(prompts)
    np.testing.assert_array_equal(np.sort(ranks, axis=1), np.tile(np.arange(4), (4000, 1)))
    shares = np.bincount(ranks.argmax(axis=1), minlength=4) / 4000
    np.testing.assert_allclose(shares, 0.25, atol=0.035)
    np.testing.assert_array_equal(router.rank([prompts[9]])[0], ranks[9])
    other = RandomRouter.learn(
        learn([("q1", "a", 1.0, 0.1)], dict.fromkeys("abcd", (None, None)), seed=1)
    )
    assert (other.rank(prompts) != ranks).any()


@pytest.mark.parametrize("router_class", ROUTERS)
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_traces_fit_in_when_all_outcomes_agree(
    router_class: type[IndifferentRouter], effect: float
) -> None:
    rows = [(f"q{i}", "a", effect, 0.01) for i in range(3000)]
    router = router_class.learn(learn(rows, {"a": (None, None), "b": (None, None)}))
    predicted = router.predict(["x", ""]).effect
    assert ((predicted > 0) & (predicted < 1)).all()
    assert (predicted[:, 0] != predicted[:, 1]).all()
    assert router.predict([]).effect.shape == (0, 2)


def test_pool_mean_skips_what_is_unknown(costed: LearningData) -> None:
    mean = average_pool(costed.means)
    assert mean.models == costed.pool.names
    assert len(np.unique(mean.cost_usd)) == 1
