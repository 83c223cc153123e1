"""Two-parameter and multidimensional item response models and identity vectors, by hand and on
constructed worlds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.identity_vectors import (
    IdentityVectors,
    fit_identity_vectors,
)
from graphrouter.bench.baselines.methods.item_response import (
    MultidimensionalIRT,
    TwoParameterIRT,
)
from graphrouter.types import Queries
from tests.unit.bench.baselines.worlds import learning, two_kinds

NAN = float("nan")


def specialists(num_queries: int = 120) -> LearningData:
    """`m0` solves sums, `m1` solves poems, `m2` solves nothing."""
    odd = np.arange(num_queries) % 2
    return learning(
        two_kinds(num_queries), np.column_stack([odd, 1 - odd, 0 * odd]).astype(float), num_held=20
    )


def test_two_parameter_model_by_hand() -> None:
    data = specialists()
    a, b = np.zeros(65), np.zeros(65)
    a[-1], b[-1] = np.log(np.exp(2.0) - 1), 0.5  # softplus gives 2
    ability = np.array([1.0, 0.0, -1.0])
    router = TwoParameterIRT(data.pool, data.cost_scale, data.encoder, data.amounts, a, b, ability)
    expected = 1 / (1 + np.exp(-(2 * ability - 0.5)))
    np.testing.assert_allclose(router.predict(["anything"]).effect[0], expected)


def test_two_parameter_model_finds_difficulty_and_ability_and_ranks_all_queries_alike() -> None:
    rng = np.random.default_rng(0)
    hard = np.arange(400) % 2
    chance = 1 / (1 + np.exp(-(np.array([1.5, 0.0, -1.5]) - 3.0 * (hard[:, None] - 0.5))))
    data = learning(
        two_kinds(400), (rng.uniform(size=chance.shape) < chance).astype(float), num_held=80
    )
    router = TwoParameterIRT.learn(data)
    assert np.all(np.diff(router.ability) < 0)
    effect = router.predict(["poem sonnet", "integral derivative"]).effect
    np.testing.assert_allclose(effect, chance[:2], atol=0.12)
    everything = router.predict([*two_kinds(50), ""]).effect
    assert (everything.argsort(axis=1) == everything[0].argsort()).all()


@pytest.mark.parametrize("kind", [MultidimensionalIRT, IdentityVectors])
def test_learns_who_solves_what(kind: type[TextBaseline]) -> None:
    effect = kind.learn(specialists()).predict(["integral derivative", "poem sonnet"]).effect
    assert effect.argmax(axis=1).tolist() == [0, 1]
    assert effect[:, :2].max(axis=1).min() > 0.7
    assert effect[:, 2].max() < 0.4


def test_one_ability_cannot_tell_specialists_apart() -> None:
    """What the multidimensional model adds: one number a model names the same best on both
    kinds."""
    effect = (
        TwoParameterIRT.learn(specialists()).predict(["integral derivative", "poem sonnet"]).effect
    )
    assert effect[0].argmax() == effect[1].argmax()


def test_multidimensional_model_by_hand() -> None:
    """Two skills; the first is asked for with weight log 2, the second with weight 1."""
    data = specialists()
    a, b = np.zeros((65, 2)), np.zeros(65)
    a[-1], b[-1] = [0.0, np.log(np.e - 1)], 0.25
    ability = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0]])
    known = data.questions.vectors
    router = MultidimensionalIRT(
        data.pool, data.cost_scale, data.encoder, data.amounts, a, b, ability, known, warm_share=0.0
    )
    logit = ability @ [np.log(2), 1.0] - 0.25
    np.testing.assert_allclose(router.predict(["anything"]).effect[0], 1 / (1 + np.exp(-logit)))


def test_warm_up_averages_with_the_five_nearest_training_queries() -> None:
    data = specialists()
    router = MultidimensionalIRT.learn(data)
    questions = Questions.of(Queries.of(["integral derivative of a poem"]), data.encoder)
    similarity = data.questions.vectors @ questions.vectors[0]
    near = data.questions.vectors[np.argsort(-np.round(similarity, 10), kind="stable")[:5]].mean(
        axis=0
    )
    warmed = Questions(0.7 * questions.vectors + 0.3 * near, questions.queries)
    cold, warm = replace(router, warm_share=0.0), replace(router, warm_share=0.3)
    np.testing.assert_allclose(
        warm.predict_effect(questions), cold.predict_effect(warmed), rtol=1e-10
    )
    assert not np.allclose(warm.predict_effect(questions), cold.predict_effect(questions))


def test_identity_is_what_the_quiz_shows() -> None:
    """m0 and m1 agree everywhere, so do their identities; m2 is their opposite; m3 has not been
    run."""
    odd = (np.arange(100) % 2).astype(float)
    data = learning(two_kinds(100), np.column_stack([odd, odd, 1 - odd, np.full(100, NAN)]))
    identity = fit_identity_vectors(data).vectors
    np.testing.assert_allclose(identity[0], identity[1], atol=1e-9)
    assert np.abs(identity[0] - identity[2]).max() > 1
    np.testing.assert_allclose(identity[3], 0, atol=1e-9)
    effect = IdentityVectors.learn(data).predict(["poem sonnet", ""]).effect
    np.testing.assert_allclose(effect[:, 0], effect[:, 1], atol=1e-9)


def test_identity_is_what_a_model_does_beyond_the_mean_of_the_prompts() -> None:
    identity = fit_identity_vectors(specialists()).vectors
    np.testing.assert_allclose(identity.mean(axis=0), 0.0, atol=1e-9)
    same = np.tile([[1.0], [0.0]], (40, 3))
    np.testing.assert_allclose(
        fit_identity_vectors(learning(two_kinds(80), same)).vectors, 0.0, atol=1e-9
    )  # nobody stands out
    twins = np.column_stack([np.arange(80) % 2] * 2 + [1 - np.arange(80) % 2]).astype(float)
    first, second, other = fit_identity_vectors(learning(two_kinds(80), twins)).vectors
    np.testing.assert_allclose(first, second)
    assert np.abs(first - other).max() > 1.0
