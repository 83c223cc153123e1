"""RouterDC's two losses by hand, and what they teach."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.router_dc import (
    NUM_OTHERS,
    Contrasts,
    RouterDC,
    draw_contrasts,
    sample_llm_loss,
    sample_sample_loss,
)
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.types import Queries

NAN = float("nan")


def specialists(num_queries: int = 120, num_held: int = 20) -> LearningData:
    """`m0` solves sums, `m1` solves poems, `m2` solves nothing."""
    ids = [f"q{i}" for i in range(num_queries)]
    prompts = [
        f"integral derivative {i}" if i % 2 else f"poem sonnet {i}" for i in range(num_queries)
    ]
    rows = [
        (q, f"m{m}", value)
        for i, q in enumerate(ids)
        for m, value in enumerate([i % 2, (i + 1) % 2, 0])
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ids, "task": None, "prompt": prompts}),
        models=pd.DataFrame({"model": ["m0", "m1", "m2"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect"]),
    )
    cut = num_queries - num_held
    return LearningData.of(data, ids[:cut], encoder=HashingEncoder(64), validation_ids=ids[cut:])


@pytest.mark.parametrize("num_held", [0, 20])
def test_learns_who_solves_what(num_held: int) -> None:
    effect = (
        RouterDC.learn(specialists(num_held=num_held))
        .predict(["integral derivative", "poem sonnet"])
        .effect
    )
    assert effect.argmax(axis=1).tolist() == [0, 1]
    assert effect[:, :2].max(axis=1).min() > 0.8
    assert effect[:, 2].max() < 0.3


def test_score_is_a_cosine_beyond_the_query_mean() -> None:
    data = specialists()
    projection = np.zeros((65, 2))
    projection[-1] = [3.0, 4.0]
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    router = RouterDC(
        data.pool,
        data.cost_scale,
        data.encoder,
        data.amounts,
        projection,
        vectors,
        EffectCurve(2.0, 0.0),
    )
    questions = Questions.of(Queries.of([""]), data.encoder)
    cosine = np.array([0.6, 0.8, -0.6])
    np.testing.assert_allclose(router.score(questions)[0], cosine - cosine.mean())
    np.testing.assert_allclose(
        router.predict_effect(questions)[0], 1 / (1 + np.exp(-2 * (cosine - cosine.mean())))
    )


def test_contrasts_are_the_three_best_against_the_three_worst() -> None:
    chosen = draw_contrasts(torch.tensor([[0.1, 0.9, 0.5, 0.8, 0.0, 0.7, 0.2]]))
    assert chosen.positive.tolist() == [[1, 3, 5]]
    assert chosen.negative.tolist() == [[4, 0, 6]]
    assert bool(chosen.against.all())


def test_only_observed_models_that_did_worse_count() -> None:
    """Of three models one failed, one solved it, one is unknown; then all solved it; then nothing
    is known."""
    chosen = draw_contrasts(torch.tensor([[0.0, 1.0, NAN], [1.0, 1.0, 1.0], [NAN, NAN, NAN]]))
    pairs = [
        (row, int(chosen.positive[row, i]), int(chosen.negative[row, j]))
        for row, i, j in torch.nonzero(chosen.against).tolist()
    ]
    assert pairs == [(0, 1, 0)]


def test_equal_models_take_turns() -> None:
    effect = torch.ones(200, 5)
    effect[:, 4] = 0
    chosen = draw_contrasts(effect, torch.Generator().manual_seed(0))
    share = torch.bincount(chosen.positive.flatten(), minlength=5) / 200
    np.testing.assert_allclose(share, [0.75, 0.75, 0.75, 0.75, 0.0], atol=0.12)


def test_sample_llm_loss_by_hand() -> None:
    """One positive against two negatives, another against one of them; the second query has nothing
    to compare."""
    similarity = torch.tensor([[0.5, -0.2, 0.1, 0.3], [0.1, 0.2, 0.3, 0.4]])
    chosen = Contrasts(
        positive=torch.tensor([[0, 3], [0, 1]]),
        negative=torch.tensor([[1, 2], [2, 3]]),
        against=torch.tensor([[[True, True], [True, False]], [[False, False], [False, False]]]),
    )
    first = -np.log(np.exp(0.5) / (np.exp(0.5) + np.exp(-0.2) + np.exp(0.1)))
    second = -np.log(np.exp(0.3) / (np.exp(0.3) + np.exp(-0.2)))
    assert float(sample_llm_loss(similarity, chosen)) == pytest.approx(
        (first + second) / 2, rel=1e-6
    )


def test_sample_sample_loss_by_hand() -> None:
    """Two clusters, each of equal vectors, at right angles: one friend at cosine 1, three others at
    0."""
    query = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    expected = -np.log(np.e / (np.e + NUM_OTHERS))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert float(sample_sample_loss(query, torch.tensor([0, 0, 1, 1]))) == pytest.approx(
            expected, rel=1e-6
        )
    assert float(sample_sample_loss(query, torch.tensor([2, 2, 2, 2]))) == 0.0
