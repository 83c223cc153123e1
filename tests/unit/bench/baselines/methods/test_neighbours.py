"""Nearest neighbours on vectors that are set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.config import EncoderConfig
from graphrouter.data import RoutingDataset
from graphrouter.encoders import create_encoder


class AngleEncoder:
    """A prompt is an angle in degrees; its vector points there."""

    id = "angle"
    revision = "1"
    dimension = 2

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> NDArray[np.float32]:
        angles = np.deg2rad([float(text) for text in texts])
        return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def dataset(angles: Sequence[int], outcomes: Sequence[tuple[int, str, float]]) -> RoutingDataset:
    return RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": [f"q{a}" for a in angles], "task": "t", "prompt": [str(a) for a in angles]}
        ),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame(
            [(f"q{angle}", model, effect, 0.01 * (angle + 1)) for angle, model, effect in outcomes],
            columns=["query_id", "model", "effect", "cost_usd"],
        ),
    )


@pytest.fixture
def arc() -> RoutingDataset:
    """Ten queries from 0 to 90 degrees; `a` solves those below 50; `b` was run on two of them."""
    angles = range(0, 100, 10)
    return dataset(
        list(angles), [(x, "a", float(x < 50)) for x in angles] + [(0, "b", 1.0), (90, "b", 0.0)]
    )


def test_means_over_the_nearest_that_the_model_answered(arc: RoutingDataset) -> None:
    router = NearestNeighbours.learn(
        LearningData.of(arc, tuple(arc.queries["query_id"]), encoder=AngleEncoder())
    )
    assert router.k == 10  # no validation: the default, but not more than there are queries
    near = replace(router, k=3)
    predictions = near.predict(["2"])  # neighbours: 0, 10, 20
    mean_a, mean_b = router.means.effect[0]
    np.testing.assert_allclose(predictions.effect, [[(3 + mean_a) / 4, (1 + mean_b) / 2]])
    cost_a, cost_b = router.means.cost_usd[0]
    np.testing.assert_allclose(
        predictions.cost_usd, [[(0.01 + 0.11 + 0.21 + cost_a) / 4, (0.01 + cost_b) / 2]]
    )


def test_without_answered_neighbours_the_models_mean_stands(arc: RoutingDataset) -> None:
    router = NearestNeighbours.learn(
        LearningData.of(arc, tuple(arc.queries["query_id"]), encoder=AngleEncoder())
    )
    near = replace(router, k=3)
    assert near.predict(["45"]).effect[0, 1] == pytest.approx(router.means.effect[0, 1])


def test_equals_go_to_the_earlier_query() -> None:
    data = dataset([30, 10, 350], [(30, "a", 0.0), (10, "a", 1.0), (350, "a", 0.0)])
    router = NearestNeighbours.learn(
        LearningData.of(data, ("q30", "q10", "q350"), encoder=AngleEncoder())
    )
    one = replace(router, k=1)
    mean = router.means.effect[0, 0]
    assert one.predict(["0"]).effect[0, 0] == pytest.approx(
        (1 + mean) / 2
    )  # 10 and 350 are equally far; 10 comes first


def test_k_is_the_one_with_the_lowest_validation_loss() -> None:
    """Outcomes change every 36 degrees: a few neighbours tell the truth, forty and more wash it
    out."""
    angles = list(range(360))
    data = dataset(
        angles, [(x, "a", float(x // 36 % 2)) for x in angles] + [(x, "b", 0.5) for x in angles]
    )
    train, held = [f"q{x}" for x in angles if x % 3], [f"q{x}" for x in angles if x % 3 == 0]
    assert NearestNeighbours.learn(
        LearningData.of(data, train, encoder=AngleEncoder(), validation_ids=held)
    ).k in (5, 10)
    noisy = dataset(
        angles,
        [(x, "a", float(np.random.default_rng(x).random() < 0.5)) for x in angles]
        + [(x, "b", 0.5) for x in angles],
    )
    assert (
        NearestNeighbours.learn(
            LearningData.of(noisy, train, encoder=AngleEncoder(), validation_ids=held)
        ).k
        >= 40
    )


def test_alone_and_in_a_batch_are_identical() -> None:
    rng = np.random.default_rng(0)
    words = np.array(["sum", "word", "proof", "code", "rhyme", "city", "river", "graph"])
    prompts = [" ".join(rng.choice(words, size=6)) for _ in range(300)]
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": [f"q{i:03}" for i in range(300)],
                "task": None,
                "prompt": [f"{p} {i}" for i, p in enumerate(prompts)],
            }
        ),
        models=pd.DataFrame({"model": ["a", "b", "c"]}),
        outcomes=pd.DataFrame(
            [
                (f"q{i:03}", m, float(rng.random() < 0.5), rng.random())
                for i in range(300)
                for m in "abc"
            ],
            columns=["query_id", "model", "effect", "cost_usd"],
        ),
    )
    encoder = create_encoder(EncoderConfig(name="hashing", dimension=64))
    router = NearestNeighbours.learn(
        LearningData.of(data, tuple(data.queries["query_id"]), encoder=encoder)
    )
    batch = router.predict(["", *prompts, ""])
    for i in (0, 1, 17, 300, 301):
        alone = router.predict([["", *prompts, ""][i]])
        np.testing.assert_array_equal(alone.effect[0], batch.effect[i])
        np.testing.assert_array_equal(alone.cost_usd[0], batch.cost_usd[i])
    backwards = router.predict(prompts[::-1])
    np.testing.assert_array_equal(backwards.effect[::-1], batch.effect[1:-1])
    assert router.predict([]).effect.shape == (0, 3)
