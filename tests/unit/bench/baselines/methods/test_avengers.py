"""The Avengers on clusters whose ranks, means and weights are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import graphrouter as gr
from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.avengers import (
    SHARPNESS,
    Avengers,
    AvengersPro,
    rank_reciprocally,
    share_among_near,
)
from graphrouter.encoders.hashing import HashingEncoder

ROUTERS: tuple[type[TextBaseline], ...] = (Avengers, AvengersPro)
CENTRES = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])


class AngleEncoder:
    """A prompt is an angle in degrees; its vector points there."""

    id = "angle"
    revision = "1"
    dimension = 2

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> NDArray[np.float32]:
        angles = np.deg2rad([float(text) for text in texts])
        return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


@pytest.fixture
def specialists() -> LearningData:
    """Twenty prompts near 0 degrees, which `a` solves for 1 cent, twenty near 90, which `b` solves
    for 5; `c` fails at 2 cents.

    `a` costs 3 cents where it fails. The centres are given, so that cluster 0 holds the first
    twenty and cluster 1 the others.
    """
    angles = [f"{x / 4:g}" for x in range(20)] + [f"{90 - x / 4:g}" for x in range(20)]
    rows = []
    for angle in angles:
        low = float(angle) < 45
        rows += [
            (angle, "a", float(low), 0.01 if low else 0.03),
            (angle, "b", float(not low), 0.05),
            (angle, "c", 0.0, 0.02),
        ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": angles, "task": None, "prompt": angles}),
        models=pd.DataFrame({"model": ["a", "b", "c", "new"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )
    learning = LearningData.of(data, angles, encoder=AngleEncoder())
    learning._centres[len(angles)] = CENTRES[:2]
    return learning


def test_weights_of_the_near_clusters() -> None:
    query = np.array([[0.8, 0.6]])
    np.testing.assert_array_equal(share_among_near(query, CENTRES, 1), [[1.0, 0.0, 0.0]])
    closeness = np.array([0.8 - 0.5, 0.6 - 0.5])
    weight = np.exp(SHARPNESS * closeness)
    np.testing.assert_allclose(
        share_among_near(query, CENTRES, 2), [[*(weight / weight.sum()), 0.0]]
    )


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_weights_sum_to_one_over_the_nearest(num_near: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, centres = rng.normal(size=(6, 3)), rng.normal(size=(5, 3))
    shares = share_among_near(vectors, centres, num_near)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert ((shares > 0).sum(axis=1) <= num_near).all()
    nearest = np.argmin(((vectors[:, None] - centres) ** 2).sum(axis=2), axis=1)
    np.testing.assert_array_equal(np.argmax(shares, axis=1), nearest)


def test_ranks_of_equals_follow_the_pool() -> None:
    np.testing.assert_allclose(
        rank_reciprocally(np.array([[0.5, 0.9, 0.5, 0.1]])), [[1 / 2, 1, 1 / 3, 1 / 4]]
    )


def test_the_best_ranked_model_of_the_cluster_is_chosen(specialists: LearningData) -> None:
    router = Avengers.learn(specialists)
    # `new` has the pool's mean, which is between the specialists and those who fail; `c` fails more
    # often than they do.
    np.testing.assert_allclose(router.scores, [[1, 1 / 3, 1 / 4, 1 / 2], [1 / 3, 1, 1 / 4, 1 / 2]])
    effect = router.predict(["1", "89"]).effect
    assert effect.argmax(axis=1).tolist() == [0, 1]
    assert effect[0, 0] == pytest.approx(effect[1, 1])  # a first rank is worth the same everywhere
    assert router.route("88", policy=gr.Policy.preset("performance_first")).model == "b"


def test_pro_predicts_cluster_means_of_effect_and_cost(specialists: LearningData) -> None:
    router = AvengersPro.learn(specialists)
    predictions = router.predict(["0"])
    share = share_among_near(np.array([[1.0, 0.0]]), CENTRES[:2], 2)[0]
    prior = specialists.means.effect[0, 0]
    expected = share @ [(20 + 5 * prior) / 25, 5 * prior / 25]
    assert predictions.effect[0, 0] == pytest.approx(expected)
    cost = share @ [(20 * 0.01 + 5 * 0.02) / 25, (20 * 0.03 + 5 * 0.02) / 25]
    np.testing.assert_allclose(predictions.cost_usd[0], [cost, 0.05, 0.02, np.nan])
    assert predictions.effect[0, 3] == pytest.approx(specialists.means.effect[0, 3])  # never run


def test_pro_trades_effect_for_cost_through_the_policy(specialists: LearningData) -> None:
    router = AvengersPro.learn(specialists)
    assert router.route("90", policy=gr.Policy.preset("performance_first")).model == "b"
    assert router.route("90", policy=gr.Policy(usd_per_effect=0.001)).model == "c"


@pytest.mark.parametrize("kind", ROUTERS)
def test_equal_effects_give_equal_expectations(kind: type[TextBaseline]) -> None:
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": list("123"), "task": None, "prompt": ["10", "10", "80"]}),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame(
            [(q, m, 0.5) for q in "123" for m in "ab"], columns=["query_id", "model", "effect"]
        ),
    )
    predictions = kind.learn(LearningData.of(data, list("123"), encoder=AngleEncoder())).predict(
        ["10", "200"]
    )
    np.testing.assert_allclose(predictions.effect, 0.5, atol=1e-5)
    assert np.isnan(predictions.cost_usd).all()


@pytest.mark.parametrize("kind", ROUTERS)
def test_sparse_outcomes_and_batch_mates(kind: type[TextBaseline]) -> None:
    data = gr.simulate(num_queries=120, num_models=4, missing=0.5, seed=1).data
    ids = data.queries["query_id"].tolist()
    learning = LearningData.of(
        data,
        ids[:90],
        encoder=HashingEncoder(64),
        validation_ids=ids[90:],
        held_out_models=[data.pool.names[2]],
    )
    router = kind.learn(learning)
    prompts = ["", *data.queries["prompt"].tolist()[:40], ""]
    batch = router.predict(prompts)
    assert ((batch.effect > 0) & (batch.effect < 1)).all()
    for i in (0, 1, 17, 41):
        alone = router.predict([prompts[i]])
        np.testing.assert_allclose(alone.effect[0], batch.effect[i], atol=1e-9)
        np.testing.assert_allclose(alone.cost_usd[0], batch.cost_usd[i], rtol=1e-9)
    assert np.isnan(batch.cost_usd[:, 2]).all()
    assert router.predict([]).effect.shape == (0, 4)
