"""Tryage: losses by a network, constraints by the policy."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.tryage import Tryage
from graphrouter.bench.baselines.tools.rising_curve import sigmoid


def test_predicts_the_loss_of_each_model(
    specialists: LearningData, topic_prompts: list[str]
) -> None:
    router = Tryage.learn(specialists)
    loss = sigmoid(router.losses.apply(router.encoder.encode(topic_prompts).astype(float)))
    np.testing.assert_allclose(loss[:, :3], [[0, 1, 0.5], [1, 0, 0.5]], atol=0.2)
    np.testing.assert_allclose(
        loss[:, 3], 1 - specialists.means.effect[0, 3], atol=1e-3
    )  # never run: the pool's mean


def test_effect_is_one_minus_loss(specialists: LearningData) -> None:
    router = Tryage.learn(specialists)
    loss = sigmoid(router.losses.apply(specialists.questions.vectors))
    np.testing.assert_allclose(router.predict_effect(specialists.questions), 1 - loss)


def test_overfits(specialists: LearningData) -> None:
    router = Tryage.learn(specialists)
    error = np.abs(router.predict_effect(specialists.questions) - specialists.outcomes.effect)
    assert np.nanmean(error) < 0.1


def test_a_penalty_turns_the_choice(specialists: LearningData, topic_prompts: list[str]) -> None:
    """A constraint on cost sends the poem, too, to the cheaper model once it weighs enough."""
    router = Tryage.learn(specialists)
    chosen = [
        router.route(topic_prompts[1], policy=gr.Policy(cost_weight=weight)).model
        for weight in (0.0, 0.95)
    ]
    assert chosen == ["poet", "adder"]


def test_the_seed_decides(specialists: LearningData) -> None:
    again, other = (
        LearningData(specialists.train, specialists.validation, specialists.encoder, seed)
        for seed in (0, 1)
    )
    effect = Tryage.learn(specialists).predict_effect(specialists.questions)
    np.testing.assert_array_equal(Tryage.learn(again).predict_effect(specialists.questions), effect)
    assert not np.array_equal(Tryage.learn(other).predict_effect(specialists.questions), effect)
    assert effect == pytest.approx(
        Tryage.learn(other).predict_effect(specialists.questions), abs=0.3
    )
