"""CARROT: effect and cost each by what predicts it best, then the plug-in rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.carrot import CARROT_DEFAULT_K, CarrotKNN, CarrotLinear
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.config import EncoderConfig


class AngleEncoder:
    """A prompt is an angle in degrees; its vector points there."""

    id = "angle"
    revision = "1"
    dimension = 2
    config = EncoderConfig(name="hashing")

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> NDArray[np.float32]:
        angles = np.deg2rad([float(text) for text in texts])
        return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def circle(cost_of: NDArray[np.float64], *, validated: bool = True) -> LearningData:
    """360 queries; `a` solves every other 36 degrees and costs `cost_of`, `b` is a coin for a cent,
    `new` was never run."""
    angles = np.arange(360)
    ids = [f"q{x:03}" for x in angles]
    rows = [(ids[x], "a", float(x // 36 % 2), cost_of[x]) for x in angles] + [
        (ids[x], "b", 0.5, 0.01) for x in angles
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ids, "task": None, "prompt": [str(x) for x in angles]}),
        models=pd.DataFrame({"model": ["a", "b", "new"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )
    train, held = [ids[x] for x in angles if x % 3], [ids[x] for x in angles if x % 3 == 0]
    return LearningData.of(
        data, train, encoder=AngleEncoder(), validation_ids=held if validated else []
    )


NOISE = np.random.default_rng(0).lognormal(-4, 0.5, 360)


def test_effect_and_cost_each_have_their_own_number_of_neighbours() -> None:
    """Effects change every 36 degrees, costs are noise: few neighbours for one, as many as there
    are for the other."""
    router = CarrotKNN.learn(circle(NOISE))
    assert router.k <= 16
    assert router.cost_k >= 64
    predictions = router.predict(["50", "90"])
    for k, name in ((router.k, "effect"), (router.cost_k, "cost_usd")):
        plain = NearestNeighbours(
            router.pool,
            router.cost_scale,
            router.encoder,
            router.embeddings,
            router.outcomes,
            router.means,
            router.own,
            k=k,
        )
        np.testing.assert_array_equal(
            getattr(predictions, name), getattr(plain.predict(["50", "90"]), name)
        )
    assert predictions.effect[0, 0] > 0.8  # 36 to 71 degrees: solved
    assert predictions.effect[1, 0] < 0.2


def test_without_validation_rows_or_costs_the_defaults_stand() -> None:
    router = CarrotKNN.learn(circle(NOISE, validated=False))
    assert (router.k, router.cost_k) == (CARROT_DEFAULT_K, CARROT_DEFAULT_K)
    free = circle(np.full(360, np.nan))
    costless = LearningData(free.train, free.validation, free.encoder)
    costless.outcomes.cost_usd[:] = np.nan
    assert CarrotKNN.learn(costless).cost_k == CARROT_DEFAULT_K
    assert CarrotKNN.learn(circle(NOISE)).predict([]).effect.shape == (0, 3)


def test_costs_that_are_linear_in_the_vector_are_found() -> None:
    angles = np.deg2rad(np.arange(360))
    router = CarrotLinear.learn(circle(0.02 + 0.01 * np.cos(angles)))
    cost = router.predict(["0", "90", "180"]).cost_usd
    np.testing.assert_allclose(cost[:, 0], [0.03, 0.02, 0.01], atol=1e-3)
    np.testing.assert_allclose(cost[:, 1], 0.01)
    assert np.isnan(cost[:, 2]).all()


def test_costs_stay_within_what_was_observed() -> None:
    angles = np.deg2rad(np.arange(360))
    learning = circle(np.where(np.cos(angles) > 0, 0.03, 0.001))
    cost = CarrotLinear.learn(learning).predict([str(x) for x in range(360)]).cost_usd[:, 0]
    assert cost.min() == 0.001
    assert cost.max() == 0.03
    assert len(np.unique(cost)) > 50


@pytest.mark.parametrize("kind", [CarrotKNN, CarrotLinear])
def test_the_plug_in_rule_is_the_policy(
    kind: type[CarrotKNN] | type[CarrotLinear], specialists: LearningData, topic_prompts: list[str]
) -> None:
    """argmax (1 - mu) s - mu c over the predicted scores s and the scaled costs c."""
    router = kind.learn(specialists)
    predictions = router.predict(topic_prompts)
    for mu in (0.0, 0.3, 0.6, 0.99):
        value = (1 - mu) * predictions.effect - (
            mu * router.cost_scale.scale(predictions.cost_usd) if mu else 0
        )
        best = [router.models[i] for i in np.nanargmax(value, axis=1)]
        chosen = [
            decision.model
            for decision in router.route_batch(topic_prompts, policy=gr.Policy(cost_weight=mu))
        ]
        assert chosen == best
    assert [
        d.model for d in router.route_batch(topic_prompts, policy=gr.Policy(cost_weight=0))
    ] == ["adder", "poet"]
