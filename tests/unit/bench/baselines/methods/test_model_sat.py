"""Model-SAT: capabilities by hand, and newcomers that are known by nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.model_sat import ModelSAT, run_pairs
from graphrouter.bench.baselines.methods.perceptron import Perceptron
from graphrouter.types import Queries

ADDERS, POETS = ("adder1", "adder2", "adder3"), ("poet1", "poet2", "poet3")


def effect_of(topic: str, model: str) -> float | None:
    if model == "new":
        return None
    return 0.9 if (topic == "sums") == model.startswith("adder") else 0.1


@pytest.fixture(scope="module")
def schools(two_topics: Callable[..., LearningData]) -> LearningData:
    """Three models of either kind, tasks known, and one that was never run."""
    return two_topics(effect_of, dict.fromkeys((*ADDERS, *POETS, "new"), 0.01), tasks=True)


def questions(router: ModelSAT, prompts: list[str]) -> Questions:
    return Questions.of(Queries.of(prompts), router.encoder)


def test_capability_is_the_shrunk_mean_on_each_task(schools: LearningData) -> None:
    router = ModelSAT.learn(schools)
    means = schools.means.effect[0]
    poems, sums = (
        (40 * 0.1 + 5 * means[0]) / 45,
        (40 * 0.9 + 5 * means[0]) / 45,
    )  # tasks are sorted by name
    np.testing.assert_allclose(router.capability[0], [poems, sums])
    np.testing.assert_allclose(router.capability[-1], means[-1])
    np.testing.assert_allclose(router.share, [0.5, 0.5])


def test_clusters_are_probes_where_there_are_no_tasks(specialists: LearningData) -> None:
    router = ModelSAT.learn(specialists)
    assert router.capability.shape == (4, 20)
    assert router.share.sum() == pytest.approx(1.0)


def test_a_newcomer_needs_only_its_accuracies(
    schools: LearningData, topic_prompts: list[str]
) -> None:
    router = ModelSAT.learn(schools)
    newcomers = np.array([[0.15, 0.85], [0.85, 0.15]])  # (poems, sums)
    on_sum, on_poem = router.success(questions(router, topic_prompts), newcomers)
    assert on_sum[0] > 0.7 > 0.3 > on_sum[1]
    assert on_poem[1] > 0.7 > 0.3 > on_poem[0]


def test_overfits(schools: LearningData, topic_prompts: list[str]) -> None:
    router = ModelSAT.learn(schools)
    error = np.abs(router.predict_effect(schools.questions) - schools.outcomes.effect)[:, :6]
    assert error.mean() < 0.1
    best_at_sum, best_at_poem = router.predict(topic_prompts).effect.argmax(axis=1)
    assert router.models[best_at_sum] in ADDERS
    assert router.models[best_at_poem] in POETS


def test_layers_on_both_halves_are_the_layers_on_the_whole() -> None:
    rng = np.random.default_rng(0)
    net = Perceptron(
        (rng.normal(size=(5, 4)), rng.normal(size=(4, 1))),
        (rng.normal(size=(1, 4)), rng.normal(size=(1, 1))),
    )
    vectors, capability = rng.normal(size=(6, 3)), rng.normal(size=(2, 2))
    pairs = run_pairs(net.weights, net.biases, vectors, capability)
    assert pairs.shape == (6, 2)
    for model in range(2):
        whole = np.column_stack([vectors, np.tile(capability[model], (6, 1))])
        np.testing.assert_allclose(pairs[:, [model]], net.apply(whole))
