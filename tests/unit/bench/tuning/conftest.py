"""A small world and a small search space."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import graphrouter as gr
from graphrouter.bench.tuning import trial_worker
from graphrouter.bench.tuning.plan import TuningPlan, plan_tuning
from graphrouter.bench.tuning.search_space import FloatRange, IntRange, SearchSpace
from graphrouter.training.trainer import FittedNetwork

FAST = (
    "encoder.name=hashing",
    "encoder.dimension=32",
    "training.max_epochs=1",
    "training.steps_per_epoch=1",
    "network.width=8",
)


@pytest.fixture(scope="session")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=120, num_models=4, seed=3).data


@pytest.fixture(scope="session")
def config() -> gr.TrainConfig:
    return gr.load_config(overrides=FAST)


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SearchSpace.of(
        {
            "network.width": IntRange(low=4, high=16, step=4),
            "network.dropout": FloatRange(low=0.0, high=0.5),
            "training.learning_rate": FloatRange(low=1e-4, high=1e-2, log=True),
        }
    )


@pytest.fixture(scope="session")
def plan(data: gr.RoutingDataset, config: gr.TrainConfig, space: SearchSpace) -> TuningPlan:
    return plan_tuning(data, config, space=space)


Behaviour = Callable[[gr.TrainConfig], dict[str, float]]


@pytest.fixture
def train_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Behaviour], list[gr.TrainConfig]]:
    """Puts a function from settings to validation figures in the place of training; returns the
    settings of each call."""

    def put(behaviour: Behaviour) -> list[gr.TrainConfig]:
        calls: list[gr.TrainConfig] = []

        def fit(tables: object, config: gr.TrainConfig, **kwargs: object) -> FittedNetwork:
            calls.append(config)
            return FittedNetwork(net=None, metrics=behaviour(config))  # type: ignore[arg-type]

        monkeypatch.setattr(trial_worker, "fit_network", fit)
        return calls

    return put
