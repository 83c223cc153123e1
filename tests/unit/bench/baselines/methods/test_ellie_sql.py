"""Tiers by hand, classes that prompts tell, and pools of fewer and of more than three."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.ellie_sql import EllieSQL, label_tiers, pick_tiers
from graphrouter.encoders.hashing import HashingEncoder

NAN = float("nan")
KINDS = ("list all rows", "join tables", "nested average share")
COST = {"basic": 0.001, "middle": 0.04, "advanced": 0.1}


def world(costs: dict[str, float], num_queries: int = 180) -> LearningData:
    """A pipeline solves its own kind of question and all simpler ones; `odd` ones solve nothing."""
    kinds = [i % 3 for i in range(num_queries)]
    order = {name: list(COST).index(name) for name in costs if name in COST}
    rows = [
        (f"q{i}", name, float(order.get(name, -1) >= kind), cost)
        for i, kind in enumerate(kinds)
        for name, cost in costs.items()
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": [f"q{i}" for i in range(num_queries)],
                "task": None,
                "prompt": [f"{KINDS[kind]} {i}" for i, kind in enumerate(kinds)],
            }
        ),
        models=pd.DataFrame({"model": list(costs)}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )
    ids = data.queries["query_id"].tolist()
    return LearningData.of(data, ids, encoder=HashingEncoder(64))


def test_sends_each_kind_to_the_cheapest_that_solves_it() -> None:
    router = EllieSQL.learn(world(COST))
    prompts = [f"{kind} 999" for kind in KINDS]
    effect = router.predict(prompts).effect
    assert np.argmax(effect > 0.5, axis=1).tolist() == [0, 1, 2]
    policy = gr.Policy(usd_per_effect=0.15)
    assert [router.route(prompt, policy=policy).model for prompt in prompts] == list(COST)


def test_of_a_larger_pool_three_are_tiers() -> None:
    learning = world({**COST, "odd_cheap": 0.05, "odd_dear": 0.5})
    assert pick_tiers(learning).tolist() == [0, 1, 2]
    found = EllieSQL.learn(learning).predict(["list 1"]).effect[0]
    assert np.isfinite(found).tolist() == [True, True, True, False, False]


def test_of_two_both_are_tiers() -> None:
    learning = world({"basic": 0.001, "advanced": 0.1})
    assert pick_tiers(learning).tolist() == [0, 1]
    assert np.isfinite(EllieSQL.learn(learning).predict(["list 1"]).effect).all()


def test_labels_by_hand() -> None:
    effect = np.array([[0.5, 0.0, 1.0], [0.4, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, NAN, 1.0]])
    assert label_tiers(effect).tolist() == [0, 2, 2, -1]
    assert label_tiers(np.array([[1.0, NAN, NAN]])).tolist() == [-1]


@pytest.mark.parametrize("name", ["basic", "advanced"])
def test_where_one_class_is_all_there_is(name: str) -> None:
    """One tier solves every question, so no classifier is needed."""
    learning = world({name: COST[name], "odd_cheap": 0.0005}, num_queries=30)
    found = EllieSQL.learn(learning).predict(["list 1", ""]).effect
    assert np.isfinite(found).any(axis=1).all()


def test_of_three_all_are_tiers_though_the_dearest_is_not_the_best() -> None:
    """The last tier is the last resort: it solves what no other does, and less in all."""
    learning = world({"middle": 0.04, "odd_cheap": 0.001, "odd_dear": 0.5})
    assert pick_tiers(learning).tolist() == [1, 0, 2]
