"""MasRouter's last stage: its objective by hand, and roles that tell models apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.mas_router import MasRouter, measure_missed_effect
from graphrouter.encoders.hashing import HashingEncoder
from tests.unit.bench.baselines.worlds import learning, two_kinds

NAN = float("nan")


@pytest.mark.parametrize("num_held", [0, 40])
def test_learns_who_solves_what(num_held: int) -> None:
    effect = np.array([[i % 2, (i + 1) % 2, 0.0] for i in range(240)])
    router = MasRouter.learn(learning(two_kinds(240), effect, num_held=num_held))
    expected = router.predict(["integral derivative", "poem sonnet"]).effect
    assert expected.argmax(axis=1).tolist() == [0, 1]


def test_the_role_tells_models_apart_where_prompts_do_not() -> None:
    ids, tasks = [f"q{i}" for i in range(240)], ["check", "write"] * 120
    rows = [
        (q, model, float((task == "check") == (model == "critic")))
        for q, task in zip(ids, tasks, strict=True)
        for model in ("critic", "author")
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": ids, "task": tasks, "prompt": [f"Go on {q}" for q in ids]}
        ),
        models=pd.DataFrame({"model": ["critic", "author"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect"]),
    )
    router = MasRouter.learn(
        LearningData.of(data, ids[:200], encoder=HashingEncoder(64), validation_ids=ids[200:])
    )
    expected = router.predict(["Go on"] * 3, tasks=["check", "write", None]).effect
    assert expected.argmax(axis=1).tolist()[:2] == [0, 1]
    assert np.ptp(expected[2]) < np.ptp(expected[0])


def test_the_objective_by_hand() -> None:
    score = torch.log(torch.tensor([[1.0, 3.0, 9.0], [1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]))
    effect = torch.tensor([[1.0, 0.0, NAN], [0.0, 0.5, 1.0], [NAN, NAN, NAN]])
    drawn = (0.25 + (0.25 * 0.5 + 0.5)) / 2
    assert float(measure_missed_effect(score, effect)) == pytest.approx(1 - drawn)
    assert float(measure_missed_effect(score[2:], effect[2:])) == 0.0
