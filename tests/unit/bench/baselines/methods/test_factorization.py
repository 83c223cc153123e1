"""EmbedLLM and RouteLLM's matrix factorisation by hand and on specialists; odd data for all routers
that share their descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.factorization import (
    EmbedLLM,
    MatrixFactorization,
    add_noise,
    draw_pairs,
    fill_unseen,
    find_seen_models,
    subtract_query_mean,
)
from graphrouter.bench.baselines.methods.identity_vectors import IdentityVectors
from graphrouter.bench.baselines.methods.item_response import (
    MultidimensionalIRT,
    TwoParameterIRT,
)
from graphrouter.bench.baselines.methods.router_dc import RouterDC
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.types import Queries

FACTORS = (EmbedLLM, MatrixFactorization)
TRAINED = (*FACTORS, TwoParameterIRT, MultidimensionalIRT, IdentityVectors, RouterDC)
NAN = float("nan")


def learning(
    prompts: Sequence[str], effect: Sequence[Sequence[float]], *, num_held: int = 0
) -> LearningData:
    """Rows of `effect` belong to the prompts, NaN = no outcome; the last `num_held` are for
    validation; no task, no cost."""
    ids = [f"q{i}" for i in range(len(prompts))]
    models = [f"m{i}" for i in range(len(effect[0]))]
    pairs = [
        (q, m, value)
        for q, row in zip(ids, effect, strict=True)
        for m, value in zip(models, row, strict=True)
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ids, "task": None, "prompt": prompts}),
        models=pd.DataFrame({"model": models}),
        outcomes=pd.DataFrame(
            [pair for pair in pairs if pair[2] == pair[2]], columns=["query_id", "model", "effect"]
        ),
    )
    cut = len(ids) - num_held
    return LearningData.of(data, ids[:cut], encoder=HashingEncoder(64), validation_ids=ids[cut:])


def specialists(num_queries: int = 120, num_held: int = 20) -> LearningData:
    """`m0` solves sums, `m1` solves poems, `m2` solves nothing, `m3` was never run."""
    prompts = [
        f"integral derivative {i}" if i % 2 else f"poem sonnet {i}" for i in range(num_queries)
    ]
    effect = [[i % 2, (i + 1) % 2, 0.0, NAN] for i in range(num_queries)]
    return learning(prompts, effect, num_held=num_held)


@pytest.mark.parametrize("kind", FACTORS)
@pytest.mark.parametrize("num_held", [0, 20])
def test_learns_who_solves_what(kind: type[TextBaseline], num_held: int) -> None:
    router = kind.learn(specialists(num_held=num_held))
    effect = router.predict(["integral derivative", "poem sonnet"]).effect
    assert effect.argmax(axis=1).tolist() == [0, 1]
    assert effect[0, 0] > 0.8
    assert effect[:, 2].max() < 0.3


def test_embed_llm_is_a_product_of_the_model_and_the_projected_query() -> None:
    data = specialists()
    rng = np.random.default_rng(0)
    projection, vectors = rng.normal(size=(65, 3)), rng.normal(size=(4, 3))
    router = EmbedLLM(
        data.pool, data.cost_scale, data.encoder, data.amounts, projection, vectors, bias=0.5
    )
    questions = Questions.of(Queries.of(["poem"]), data.encoder)
    q = questions.vectors[0] @ projection[:64] + projection[64]
    logit = (vectors * q).sum(axis=1) + 0.5
    np.testing.assert_allclose(
        router.predict_effect(questions)[0], 1 / (1 + np.exp(-logit)), rtol=1e-12
    )


def test_noise_spares_the_constant_and_none_changes_nothing() -> None:
    vectors = torch.ones(50, 5)
    assert torch.equal(add_noise(vectors, 0.0), vectors)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = add_noise(vectors, 0.05)
    assert torch.equal(moved[:, -1], vectors[:, -1])
    assert float((moved - vectors)[:, :-1].std()) == pytest.approx(0.05, rel=0.2)


def test_matrix_factorisation_scores_are_log_odds_between_models() -> None:
    """One coordinate: the score of a model is its vector times the constant of the projection, off
    the mean."""
    data = specialists()
    projection = np.zeros((65, 1))
    projection[-1] = 2.0
    vectors = np.array([[1.0], [0.0], [-1.0], [0.4]])
    curve = EffectCurve(1.0, 0.0)
    router = MatrixFactorization(
        data.pool, data.cost_scale, data.encoder, data.amounts, projection, vectors, curve
    )
    questions = Questions.of(Queries.of(["poem"]), data.encoder)
    np.testing.assert_allclose(router.score(questions), [[1.8, -0.2, -2.2, 0.6]])
    np.testing.assert_allclose(
        router.predict_effect(questions), 1 / (1 + np.exp([[-1.8, 0.2, 2.2, -0.6]]))
    )


def test_matrix_factorisation_learns_from_comparisons_alone() -> None:
    """Raising all effects of a query changes no comparison, so it changes no score."""
    rng = np.random.default_rng(0)
    effect = rng.uniform(0.0, 0.4, (60, 3))
    shift = rng.uniform(0.0, 0.5, (60, 1))
    prompts = [f"prompt {i} {i % 3}" for i in range(60)]
    low, high = (
        MatrixFactorization.learn(learning(prompts, values.tolist()))
        for values in (effect, effect + shift)
    )
    questions = Questions.of(Queries.of(["prompt 1", ""]), low.encoder)
    np.testing.assert_allclose(low.score(questions), high.score(questions))


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0, NAN]), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_drawn_pairs_are_wins(rows: list[list[float]]) -> None:
    effect = torch.tensor(rows)
    pairs = draw_pairs(effect, 4, torch.Generator().manual_seed(0))
    row, winner, loser = pairs.unbind(1)
    assert bool((effect[row, winner] > effect[row, loser]).all())
    differing = [i for i, values in enumerate(rows) if len({v for v in values if v == v}) > 1]
    assert row.tolist() == [i for i in differing for _ in range(4)]


def test_unseen_rows_get_the_mean() -> None:
    values = np.array([[1.0, 2.0], [9.0, 9.0], [3.0, 4.0]])
    filled = fill_unseen(values, np.array([True, False, True]))
    np.testing.assert_array_equal(filled, [[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]])
    np.testing.assert_array_equal(fill_unseen(values, np.zeros(3, dtype=bool)), np.zeros((3, 2)))
    np.testing.assert_array_equal(
        subtract_query_mean(np.array([[1.0, 3.0], [5.0, 5.0]])), [[-1.0, 1.0], [0.0, 0.0]]
    )
    assert find_seen_models(specialists()).tolist() == [True, True, True, False]


@pytest.mark.parametrize("kind", TRAINED)
def test_a_model_without_outcomes_is_average(kind: type[TextBaseline]) -> None:
    effect = kind.learn(specialists()).predict(["integral derivative 7", "poem sonnet 4"]).effect
    assert (effect[:, 3] >= effect[:, 2]).all()
    assert (effect[:, 3] < effect[:, :2].max(axis=1)).all()


ODD: dict[str, tuple[list[str], list[list[float]], int]] = {
    "three rows, two models": (["a", "b", "c"], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 0),
    "one row": (["a"], [[1.0, 0.0]], 0),
    "all equal": (["a b", "b c", "c d", "d e"], [[1.0, 1.0, 1.0]] * 4, 1),
    "nobody solves anything": (["a b", "b c", "c d", "d e"], [[0.0, 0.0]] * 4, 0),
    "soft": (
        ["a b", "b c", "c d", "d e"],
        [[0.3, 0.4, 0.35], [0.2, NAN, 0.9], [0.5, 0.5, 0.1], [0.7, 0.1, 0.2]],
        1,
    ),
    "one outcome a query": (
        ["a b", "b c", "c d", "d e"],
        [[1.0, NAN], [NAN, 0.0], [0.0, NAN], [NAN, 1.0]],
        1,
    ),
    "duplicates": (["same words"] * 6, [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]] * 2, 0),
    "validation without outcomes": (["a b", "b c", "c d"], [[1.0, 0.0], [0.0, 1.0], [NAN, NAN]], 1),
    "no outcome in training": (["a b", "b c"], [[NAN, NAN], [1.0, 0.0]], 1),
    "only words that nobody knows": (["!", "?", "..."], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 0),
}


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("case", ODD)
def test_odd_data(kind: type[TextBaseline], case: str) -> None:
    prompts, effect, num_held = ODD[case]
    router = kind.learn(learning(prompts, effect, num_held=num_held))
    predictions = router.predict(["a b", "", "never seen"], tasks=[None, "unknown task", None])
    assert predictions.effect.shape == (3, len(effect[0]))
    assert ((predictions.effect > 0) & (predictions.effect < 1)).all()
    assert np.isnan(predictions.cost_usd).all()


@pytest.mark.parametrize("kind", TRAINED)
def test_sparse_outcomes_same_seed_and_no_batch_mates(kind: type[TextBaseline]) -> None:
    data = gr.simulate(num_queries=90, num_models=5, missing=0.5).data
    ids = data.queries["query_id"].tolist()
    rows = LearningData.of(data, ids[:70], encoder=HashingEncoder(64), validation_ids=ids[70:])
    router = kind.learn(rows)
    prompts = data.queries["prompt"].tolist()[60:]
    together = router.predict(prompts).effect
    np.testing.assert_array_equal(kind.learn(rows).predict(prompts).effect, together)
    alone = np.vstack([router.predict([prompt]).effect for prompt in prompts])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-9)
    other_seed = kind.learn(replace(rows, seed=1)).predict(prompts).effect
    assert not np.array_equal(other_seed, together)
