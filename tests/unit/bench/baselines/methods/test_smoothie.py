"""Smoothie on worlds where every answer is the truth plus noise of known variance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.smoothie import (
    NUM_NEIGHBOURS,
    Smoothie,
    estimate_answer_errors,
)
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import NotApplicableError
from graphrouter.types import FloatArray

SPREADS = np.array([0.1, 0.2, 0.4, 0.8])


def learn(
    answers: FloatArray | None, prompts: list[str], num_models: int, *, effect: float = 1.0
) -> LearningData:
    """Training rows with the given embeddings in place of encoded answer texts."""
    ids = [f"q{i}" for i in range(len(prompts))]
    names = [f"m{i}" for i in range(num_models)]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ids, "task": None, "prompt": prompts}),
        models=pd.DataFrame({"model": names}),
        outcomes=pd.DataFrame(
            [(i, m, effect) for i in ids for m in names], columns=["query_id", "model", "effect"]
        ),
    )
    learning = LearningData.of(data, ids, encoder=HashingEncoder(64), seed=0)
    if answers is not None:
        vars(learning)["answers"] = answers  # where the cached property keeps its value
    return learning


def world(
    rng: np.random.Generator, spreads: FloatArray, num_queries: int, dimension: int = 8
) -> FloatArray:
    truth = rng.normal(0, 3, (num_queries, 1, dimension))
    return truth + rng.normal(0, 1, (num_queries, spreads.size, dimension)) * spreads.reshape(
        1, -1, 1
    )


def by_triples(answers: FloatArray) -> FloatArray:
    """The published formula, pair by pair."""
    errors = np.full(answers.shape[:2], np.nan)
    for q, row in enumerate(answers):
        there = [i for i in range(len(row)) if np.isfinite(row[i]).all()]
        for i in there:
            terms = [
                (
                    np.sum((row[i] - row[j]) ** 2)
                    + np.sum((row[i] - row[k]) ** 2)
                    - np.sum((row[j] - row[k]) ** 2)
                )
                / 2
                for j, k in combinations([m for m in there if m != i], 2)
            ]
            errors[q, i] = np.mean(terms) if terms else np.nan
    return errors


@given(st.integers(0, 2**32), st.integers(1, 7), st.floats(0, 0.7))
def test_errors_are_means_over_all_triples(seed: int, num_models: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    answers = rng.normal(size=(3, num_models, 2))
    answers[rng.random((3, num_models)) < missing] = np.nan
    np.testing.assert_allclose(estimate_answer_errors(answers), by_triples(answers), atol=1e-9)


def test_theta_is_recovered() -> None:
    """Noise of variance s squared a dimension: the error is dimension * s squared, theta is 1 / (2
    s squared)."""
    prompts = [f"prompt {i}" for i in range(400)]
    answers = world(np.random.default_rng(0), SPREADS, 400)
    np.testing.assert_allclose(
        estimate_answer_errors(answers).mean(axis=0), 8 * SPREADS**2, rtol=0.25, atol=0.05
    )
    router = Smoothie.learn(learn(answers, prompts, 4))
    pooled = Smoothie(
        **{
            **vars(router),
            "errors": np.repeat(router.errors.mean(axis=0, keepdims=True), 400, axis=0),
        }
    )
    theta = pooled.theta(learn(None, prompts[:2], 4).questions)
    np.testing.assert_allclose(theta[0, 2:], 1 / (2 * SPREADS[2:] ** 2), rtol=0.2)
    assert (np.diff(theta[0]) < 0).all()


def test_the_local_estimate_follows_the_kind_of_prompt() -> None:
    """m0 is exact on sums and poor on words, m1 the other way round."""
    rng = np.random.default_rng(1)
    sums, words = (
        [f"add the numbers {i} and {i + 1}" for i in range(60)],
        [f"translate word w{i} please" for i in range(60)],
    )
    answers = np.concatenate(
        [
            world(rng, np.array([0.1, 1.0, 0.5, 0.5]), 60),
            world(rng, np.array([1.0, 0.1, 0.5, 0.5]), 60),
        ]
    )
    router = Smoothie.learn(learn(answers, sums + words, 4))
    effect = router.predict(["add the numbers 7 and 9", "translate word w99 please"]).effect
    assert effect[0].argmax() == 0
    assert effect[1].argmax() == 1
    assert effect[0].argmin() == 1
    assert effect[1].argmin() == 0


def test_effects_rank_as_theta_with_one_half_in_the_middle() -> None:
    prompts = [f"prompt {i}" for i in range(50)]
    learning = learn(world(np.random.default_rng(0), np.array([0.2, 0.5, 0.9]), 50), prompts, 3)
    router = Smoothie.learn(learning)
    effect, theta = router.predict_effect(learning.questions), router.theta(learning.questions)
    np.testing.assert_array_equal(np.argsort(effect, axis=1), np.argsort(theta, axis=1))
    np.testing.assert_allclose(np.median(effect, axis=1), 0.5)


def test_labels_are_never_used() -> None:
    prompts = [f"prompt {i}" for i in range(30)]
    answers = world(np.random.default_rng(0), SPREADS, 30)
    right, wrong = (
        Smoothie.learn(learn(answers, prompts, 4, effect=effect)) for effect in (1.0, 0.0)
    )
    np.testing.assert_array_equal(right.predict(prompts).effect, wrong.predict(prompts).effect)


def test_gaps_and_small_data() -> None:
    answers = world(np.random.default_rng(0), np.array([0.1, 0.5, 0.9, 0.5]), 30)
    answers[:, 3] = np.nan  # never recorded
    answers[::2, 1] = np.nan
    prompts = [f"prompt {i}" for i in range(30)]
    effect = Smoothie.learn(learn(answers, prompts, 4)).predict(["x", ""]).effect
    np.testing.assert_array_equal(effect[:, 3], 0.5)
    assert (effect[:, 0] > effect[:, 2]).all()
    tiny = Smoothie.learn(learn(answers[1:4], prompts[:3], 4))
    assert len(tiny.vectors) < NUM_NEIGHBOURS
    assert np.isfinite(tiny.predict(["x"]).effect).all()
    same = Smoothie.learn(learn(np.ones((5, 4, 2)), prompts[:5], 4)).predict(["x"]).effect
    np.testing.assert_allclose(same, 0.5)


def test_alone_and_in_a_batch() -> None:
    prompts = [f"prompt {i} about {i % 7}" for i in range(80)]
    router = Smoothie.learn(learn(world(np.random.default_rng(0), SPREADS, 80), prompts, 4))
    batch = router.predict(["about 3", "", "prompt"]).effect
    for i, prompt in enumerate(["about 3", "", "prompt"]):
        np.testing.assert_allclose(router.predict([prompt]).effect[0], batch[i], rtol=0, atol=1e-12)


def test_without_enough_answers_it_does_not_apply() -> None:
    with pytest.raises(NotApplicableError, match="smoothie needs the texts of answers"):
        Smoothie.learn(learn(None, ["a", "b"], 3))
    with pytest.raises(NotApplicableError, match="at least three models"):
        Smoothie.learn(learn(np.ones((2, 2, 4)), ["a", "b"], 2))
