"""HybridLLM: the pair, the three kinds of labels, and that a policy is a threshold on the
probability."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.hybrid_llm import (
    HybridLLM,
    HybridLLMDeterministic,
    HybridLLMProbabilistic,
    HybridLLMTransformed,
    average_difference,
    bend,
    pick_small_and_large,
)
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.types import Predictions

KINDS: list[type[HybridLLM]] = [
    HybridLLMDeterministic,
    HybridLLMProbabilistic,
    HybridLLMTransformed,
]
COSTS = {"small": 0.001, "middle": 0.01, "large": 0.1}


@pytest.fixture(scope="module")
def uneven(two_topics: Callable[..., LearningData]) -> LearningData:
    """The large model solves everything, the small one poems alone."""
    effects = {
        "small": {"sums": 0.0, "poems": 1.0},
        "middle": {"sums": 0.3, "poems": 0.3},
        "large": {"sums": 1.0, "poems": 1.0},
    }
    return two_topics(lambda topic, model: effects[model][topic], COSTS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_small_model_gets_what_it_can_do(
    kind: type[HybridLLM], uneven: LearningData, topic_prompts: list[str]
) -> None:
    router = kind.learn(uneven)
    assert (router.models[router.small], router.models[router.large]) == ("small", "large")
    effect = router.predict(topic_prompts).effect
    assert np.isnan(effect[:, 1]).all()
    np.testing.assert_allclose(effect[:, 2], uneven.means.effect[0, 2])
    assert effect[1, 0] - effect[0, 0] > 0.5
    chosen = [
        decision.model
        for decision in router.route_batch(topic_prompts, policy=gr.Policy(cost_weight=0.3))
    ]
    assert chosen == ["large", "small"]
    assert (
        router.route(topic_prompts[0], policy=gr.Policy.preset("performance_first")).model
        == "large"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_is_a_threshold_on_the_probability(
    kind: type[HybridLLM], uneven: LearningData
) -> None:
    """With the same two costs for every query, who goes to the small model is whoever has the
    larger probability."""
    router = kind.learn(uneven)
    probability = sigmoid(router.classifier.apply(uneven.questions.vectors))[:, 0]
    costs = np.tile([COSTS[name] for name in router.models], (len(probability), 1))
    predictions = Predictions.from_arrays(
        router.models, router.predict_effect(uneven.questions), cost_usd=costs
    )
    shares = []
    for weight in np.linspace(0.05, 0.95, 10):
        utility = gr.Policy(cost_weight=float(weight)).utility(
            predictions.effect, predictions.cost_usd, router.cost_scale
        )
        to_small = np.nanargmax(utility, axis=1) == router.small
        shares.append(to_small.mean())
        if to_small.any() and not to_small.all():
            assert probability[to_small].min() >= probability[~to_small].max()
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 1.0


def test_transformed_labels_forgive_a_shortfall(
    two_topics: Callable[..., LearningData], topic_prompts: list[str]
) -> None:
    """The small model is always worse, by 0.3 on poems and by 0.7 on sums: only forgiving labels
    tell them apart."""
    effects = {"small": {"sums": 0.2, "poems": 0.6}, "large": {"sums": 0.9, "poems": 0.9}}
    learning = two_topics(
        lambda topic, model: effects[model][topic], {"small": 0.001, "large": 0.1}
    )
    spread = {}
    for kind in KINDS:
        router = kind.learn(learning)
        on_sum, on_poem = sigmoid(
            router.classifier.apply(router.encoder.encode(topic_prompts).astype(float))
        )[:, 0]
        spread[kind.name] = on_poem - on_sum
    assert spread["hybrid_llm_trans"] > 0.5
    assert abs(spread["hybrid_llm_det"]) < 0.05
    assert abs(spread["hybrid_llm_prob"]) < 0.05


def test_labels_by_hand() -> None:
    shortfall = np.array([0.0, 0.5, -0.2, 0.1])
    near = np.array([[0, 1], [1, 3], [2, 0], [3, 2]])
    labels, tolerance = HybridLLMDeterministic.labels(shortfall, near)
    assert (labels.tolist(), tolerance) == ([1.0, 0.0, 1.0, 0.0], 0.0)
    labels, tolerance = HybridLLMProbabilistic.labels(shortfall, near)
    assert (labels.tolist(), tolerance) == ([0.5, 0.0, 1.0, 0.5], 0.0)
    labels, tolerance = HybridLLMTransformed.labels(shortfall, near)
    # At 0 the labels differ by 5/16 on average; at 0.1 they are 1/2, 1/2, 1, 1 and differ by 4/16;
    # above 0.5 not at all.
    assert (labels.tolist(), tolerance) == ([0.5, 0.0, 1.0, 0.5], 0.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_mean_difference_is_that_of_all_pairs(values: list[float]) -> None:
    array = np.array(values)
    assert average_difference(array) == pytest.approx(
        np.abs(array[:, None] - array[None, :]).mean(), abs=1e-12
    )


def test_bent_effects_rise_all_the_way_inside() -> None:
    effect = np.linspace(-0.6, 1.6, 221)
    bent = bend(effect)
    assert (np.diff(bent) > 0).all()
    assert (
        np.abs(np.diff(bent)) <= 0.01 + 1e-9
    ).all()  # nowhere steeper than the line, so without a jump
    assert ((bent > 0) & (bent < 1)).all()
    plain = (effect >= 0.1) & (effect <= 0.9)
    np.testing.assert_allclose(bent[plain], effect[plain])


def pool_of(*, costs: bool, prices: bool) -> LearningData:
    ids = ["q0", "q1"]
    models = pd.DataFrame({"model": ["a", "b", "c", "new"]})
    if prices:
        models = models.assign(
            input_usd_per_mtok=[3.0, 1.0, 2.0, 0.1], output_usd_per_mtok=[3.0, 1.0, 2.0, 0.1]
        )
    outcomes = pd.DataFrame(
        [
            (query, model, effect)
            for query in ids
            for model, effect in (("a", 0.3), ("b", 0.6), ("c", 0.9))
        ],
        columns=["query_id", "model", "effect"],
    )
    if costs:
        outcomes = outcomes.assign(cost_usd=[0.2, 0.3, 0.1] * 2)
    queries = pd.DataFrame({"query_id": ids, "task": None, "prompt": ["one", "two"]})
    data = gr.RoutingDataset.from_frames(queries=queries, models=models, outcomes=outcomes)
    return LearningData.of(data, ids, encoder=HashingEncoder(64))


def test_the_cheapest_by_cost_else_by_price_else_by_effect() -> None:
    assert pick_small_and_large(pool_of(costs=False, prices=False)) == (0, 2)
    assert pick_small_and_large(pool_of(costs=False, prices=True)) == (
        1,
        2,
    )  # `new` is cheaper, but was never run
    assert pick_small_and_large(pool_of(costs=True, prices=True)) == (2, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_decide_where_the_best_is_the_cheapest(kind: type[HybridLLM]) -> None:
    router = kind.learn(pool_of(costs=True, prices=False))
    effect = router.predict(["one", ""]).effect
    assert np.isfinite(effect).tolist() == [[False, False, True, False]] * 2
    assert router.route("one").model == "c"


@pytest.mark.parametrize("kind", KINDS)
def test_two_models_that_never_met_differ_by_their_means(kind: type[HybridLLM]) -> None:
    ids = [f"q{i}" for i in range(20)]
    rows = [
        (query, *(("small", 0.2, 0.01) if i % 2 else ("large", 0.8, 0.05)))
        for i, query in enumerate(ids)
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": ids, "task": None, "prompt": [f"prompt {i}" for i in range(20)]}
        ),
        models=pd.DataFrame({"model": ["small", "large"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )
    learning = LearningData.of(data, ids, encoder=HashingEncoder(64))
    effect = kind.learn(learning).predict(["prompt", ""]).effect
    np.testing.assert_allclose(effect, np.tile(learning.means.effect[0], (2, 1)), atol=1e-5)
