"""Regressors, trees, CARROT, HybridLLM, Tryage and Model-SAT on data with gaps, and on hardly any
data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.baseline import Baseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.carrot import CarrotKNN, CarrotLinear
from graphrouter.bench.baselines.methods.hybrid_llm import (
    HybridLLM,
    HybridLLMDeterministic,
    HybridLLMProbabilistic,
    HybridLLMTransformed,
)
from graphrouter.bench.baselines.methods.model_sat import ModelSAT
from graphrouter.bench.baselines.methods.regressors import MLP, Linear, LinearSVM
from graphrouter.bench.baselines.methods.trees import BoostedTrees
from graphrouter.bench.baselines.methods.tryage import Tryage
from graphrouter.encoders.hashing import HashingEncoder

KINDS: list[type[Baseline]] = [
    Linear,
    LinearSVM,
    MLP,
    BoostedTrees,
    CarrotKNN,
    CarrotLinear,
    HybridLLMDeterministic,
    HybridLLMProbabilistic,
    HybridLLMTransformed,
    Tryage,
    ModelSAT,
]
QUERIES = ["Translate 'tree' into German.", "", "Add 3 and 4.", "Add 3 and 4."]
ENCODER = HashingEncoder(32)


def learn(
    data: gr.RoutingDataset,
    num_train: int,
    *,
    validated: bool = True,
    held_out: tuple[str, ...] = (),
) -> LearningData:
    ids = data.queries["query_id"].tolist()
    held = ids[num_train:] if validated else []
    return LearningData.of(
        data, ids[:num_train], encoder=ENCODER, validation_ids=held, held_out_models=held_out
    )


def rebuilt(data: gr.RoutingDataset, **columns: object) -> gr.RoutingDataset:
    """The same data with other effects, costs, tasks or prompts."""
    queries = data.queries.assign(
        **{name: values for name, values in columns.items() if name in ("task", "prompt")}
    )
    outcomes = data.outcomes.assign(
        **{name: values for name, values in columns.items() if name not in ("task", "prompt")}
    )
    return gr.RoutingDataset.from_frames(queries=queries, models=data.models, outcomes=outcomes)


def sparse() -> gr.RoutingDataset:
    return gr.simulate(num_queries=90, num_models=4, missing=0.5).data


def costless() -> gr.RoutingDataset:
    data = sparse()
    outcomes = data.outcomes[["query_id", "model", "effect"]]
    return gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models[["model"]], outcomes=outcomes
    )


def tiny() -> gr.RoutingDataset:
    """Two models, three queries, one outcome of the second model."""
    rows = [
        ("q0", "a", 1.0, 0.02),
        ("q1", "a", 0.0, 0.01),
        ("q2", "a", 1.0, 0.03),
        ("q2", "b", 1.0, 0.001),
    ]
    return gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": ["q0", "q1", "q2"], "task": None, "prompt": ["Add 1.", "Add 2.", "Sing."]}
        ),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )


def some_tasks() -> gr.RoutingDataset:
    data = sparse()
    return rebuilt(
        data, task=[task if i % 2 else None for i, task in enumerate(data.queries["task"])]
    )


def soft() -> gr.RoutingDataset:
    data = sparse()
    return rebuilt(data, effect=np.random.default_rng(0).random(len(data.outcomes)))


CASES: dict[str, Callable[[], LearningData]] = {
    "sparse": lambda: learn(sparse(), 70),
    "no validation": lambda: learn(sparse(), 90, validated=False),
    "a model without outcomes": lambda: learn(sparse(), 70, held_out=(sparse().pool.names[1],)),
    "no costs, no prices": lambda: learn(costless(), 70),
    "no tasks": lambda: learn(rebuilt(sparse(), task=None), 70),
    "some tasks": lambda: learn(some_tasks(), 70),
    "one task": lambda: learn(rebuilt(sparse(), task="all"), 70),
    "three rows": lambda: learn(tiny(), 3),
    "two rows and one": lambda: learn(tiny(), 2),
    "one prompt": lambda: learn(rebuilt(sparse(), prompt="Again."), 90, validated=False),
    "soft effects": lambda: learn(soft(), 70),
    "nobody succeeds": lambda: learn(rebuilt(sparse(), effect=0.0), 70),
    "everybody succeeds": lambda: learn(rebuilt(sparse(), effect=1.0), 70),
}


@pytest.fixture(scope="module", params=CASES)
def learning(request: pytest.FixtureRequest) -> LearningData:
    return CASES[request.param]()


@pytest.mark.parametrize("kind", KINDS)
def test_expects_something_plausible_of_every_model(
    kind: type[Baseline], learning: LearningData
) -> None:
    router = kind.learn(learning)
    predictions = router.predict(QUERIES, tasks=["all", None, "never seen", None])
    chosen = ~np.isnan(predictions.effect)
    if issubclass(kind, HybridLLM):
        assert (chosen.sum(axis=1) <= 2).all()
        assert chosen.any(axis=1).all()
    else:
        assert chosen.all()
        unseen = ~np.isfinite(learning.outcomes.effect).any(axis=0)
        np.testing.assert_allclose(
            predictions.effect[:, unseen],
            learning.means.effect[0][unseen][None, :].repeat(4, 0),
            atol=0.2,
        )
    assert ((predictions.effect > 0) & (predictions.effect < 1))[chosen].all()
    costs = predictions.cost_usd[:, np.isfinite(learning.outcomes.cost_usd).any(axis=0)]
    assert (np.isfinite(costs) & (costs >= 0)).all()
    np.testing.assert_allclose(predictions.effect[2], predictions.effect[3], rtol=0, atol=1e-9)
    for i, task in enumerate(["all", None, "never seen", None]):
        alone = router.predict([QUERIES[i]], tasks=[task])
        np.testing.assert_allclose(alone.effect[0], predictions.effect[i], rtol=0, atol=1e-9)
    assert router.route("", policy=gr.Policy.preset("performance_first")).model in router.models


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_equal_effects_are_expected_again(kind: type[Baseline], effect: float) -> None:
    expected = kind.learn(learn(rebuilt(sparse(), effect=effect), 70)).predict(QUERIES).effect
    assert np.nanmax(np.abs(expected - effect)) < 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_says_the_same(kind: type[Baseline], tmp_path: Path) -> None:
    router = kind.learn(learn(sparse(), 70))
    router.save(tmp_path / "router")
    loaded = kind.load(tmp_path / "router", encoder=ENCODER)
    for name in ("effect", "cost_usd"):
        expected = getattr(router.predict(QUERIES), name)
        np.testing.assert_array_equal(getattr(loaded.predict(QUERIES), name), expected)
