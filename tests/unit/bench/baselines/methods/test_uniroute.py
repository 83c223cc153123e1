"""UniRoute on two clusters with a specialist each, and on odd data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import graphrouter as gr
from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.uniroute import UniRouteKMeans, UniRouteLearnedMap
from graphrouter.bench.baselines.tools.clusters import find_nearest_centre
from graphrouter.training.effect_scores import log_loss

ROUTERS: tuple[type[TextBaseline], ...] = (UniRouteKMeans, UniRouteLearnedMap)
Row = tuple[str, str, float]


class AngleEncoder:
    """A prompt is an angle in degrees; its vector points there. The empty prompt has the zero
    vector."""

    id = "angle"
    revision = "1"
    dimension = 2

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> NDArray[np.float32]:
        angles = np.deg2rad([float(text or 0) for text in texts])
        vectors = np.column_stack([np.cos(angles), np.sin(angles)])
        return np.where([[text != ""] for text in texts], vectors, 0.0).astype(np.float32)


def learning(
    prompts: Sequence[str],
    outcomes: Sequence[Row],
    *,
    encoder: object = None,
    held: Sequence[str] = (),
) -> LearningData:
    """Training on all prompts but the held ones; prompts are their ids; three models, of which
    `new` was never run."""
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": list(prompts), "task": None, "prompt": list(prompts)}),
        models=pd.DataFrame({"model": ["a", "b", "new"]}),
        outcomes=pd.DataFrame(outcomes, columns=["query_id", "model", "effect"]),
    )
    train = [prompt for prompt in prompts if prompt not in held]
    return LearningData.of(data, train, encoder=encoder or AngleEncoder(), validation_ids=held)  # type: ignore[arg-type]


@pytest.fixture
def specialists() -> LearningData:
    """Two hundred prompts near 0 degrees, which `a` solves, and as many near 90, which `b`
    solves."""
    angles = [f"{x / 20:g}" for x in range(200)] + [f"{90 - x / 20:g}" for x in range(200)]
    rows: list[Row] = []
    for angle in angles:
        near_zero = float(angle) < 45
        rows += [(angle, "a", float(near_zero)), (angle, "b", float(not near_zero))]
    return learning(angles, rows, held=angles[::5])


def test_errors_of_a_cluster_are_shrunk_means(specialists: LearningData) -> None:
    router = UniRouteKMeans.learn(specialists)
    cluster = find_nearest_centre(specialists.questions.vectors, router.centres)
    mean_a = specialists.means.effect[0, 0]
    inside = cluster == find_nearest_centre(specialists.questions.vectors[:1], router.centres)[0]
    assert specialists.train.outcomes.effect[inside, 0].all()  # the clusters are pure
    expected = (inside.sum() + 5 * mean_a) / (inside.sum() + 5)
    assert router.predict(["1"]).effect[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("kind", ROUTERS)
def test_each_cluster_gets_its_specialist(
    kind: type[TextBaseline], specialists: LearningData
) -> None:
    router = kind.learn(specialists)
    effect = router.predict(["2", "88"]).effect
    assert effect[0, 0] > 0.8 > 0.2 > effect[0, 1]
    assert effect[1, 1] > 0.8 > 0.2 > effect[1, 0]
    pool_mean = specialists.means.effect[0, 2]
    np.testing.assert_allclose(
        effect[:, 2], pool_mean, atol=1e-6
    )  # never run: the pool's mean in every cluster


def test_few_clusters_are_chosen_where_more_only_add_noise() -> None:
    """Two places, coins of the same kind all over each: eight clusters tell all there is, 128 hold
    two outcomes each."""
    rng = np.random.default_rng(0)
    angles = [f"{x / 20:g}" for x in range(200)] + [f"{90 - x / 20:g}" for x in range(200)]
    rows = [
        (angle, "a", float(rng.random() < (0.8 if float(angle) < 45 else 0.2))) for angle in angles
    ]
    router = UniRouteKMeans.learn(learning(angles, rows, held=angles[::3]))
    assert len(router.centres) == 8


def test_the_learned_map_moves_a_border_that_k_means_draws_wrongly() -> None:
    """Abilities change at 30 degrees, in the middle of a cluster of 32 degrees; descent finds the
    border, k-means cannot."""
    angles = [f"{x / 4:g}" for x in range(0, 360)]
    rows = [
        (angle, model, float((float(angle) < 30) == (model == "a")))
        for angle in angles
        for model in "ab"
    ]
    data = learning(angles, rows, held=angles[::4])
    assert data.validation is not None
    data._centres[32] = data._centres[16] = data._centres[64] = np.array(
        [[1.0, 0.0], [np.cos(0.8), np.sin(0.8)], [0.0, 1.0]]
    )
    learned = UniRouteLearnedMap.learn(data)
    hard = UniRouteKMeans(
        data.pool,
        data.cost_scale,
        data.encoder,
        data.amounts,
        data.find_centres(32),
        learned.errors,
    )
    assert data.held_questions is not None
    effects = [router.predict_effect(data.held_questions) for router in (learned, hard)]
    ours, theirs = (log_loss(effect, data.validation.outcomes.effect) for effect in effects)
    assert ours < theirs - 0.02


def test_the_learned_map_fits_what_it_is_trained_on(specialists: LearningData) -> None:
    alone = LearningData(specialists.train, None, specialists.encoder)
    router = UniRouteLearnedMap.learn(alone)
    assert log_loss(router.predict_effect(alone.questions), alone.outcomes.effect) < 0.25


@pytest.mark.parametrize("kind", ROUTERS)
def test_fitting_twice_gives_the_same(kind: type[TextBaseline], specialists: LearningData) -> None:
    again = LearningData(specialists.train, specialists.validation, specialists.encoder)
    first, second = (kind.learn(data).predict(["3", "50"]) for data in (specialists, again))
    np.testing.assert_array_equal(first.effect, second.effect)


@pytest.mark.parametrize("kind", ROUTERS)
@pytest.mark.parametrize("effects", [(1.0, 1.0, 1.0), (0.0, 0.5, 0.25), (0.0, 0.0, 0.0)])
def test_three_rows_without_validation(
    kind: type[TextBaseline], effects: tuple[float, float, float]
) -> None:
    data = learning(
        ["1", "2", "70"],
        [(angle, "a", e) for angle, e in zip(["1", "2", "70"], effects, strict=True)],
    )
    predictions = kind.learn(data).predict(["", "1", "1", "300"])
    assert predictions.effect.shape == (4, 3)
    assert ((predictions.effect > 0) & (predictions.effect < 1)).all()
    assert np.isnan(predictions.cost_usd).all()
    # Equal rows of one product of matrices: where a row stands may change how it is rounded.
    np.testing.assert_allclose(predictions.effect[1], predictions.effect[2], rtol=0, atol=1e-9)
