"""A small trained graph router."""

from __future__ import annotations

import pytest

import graphrouter as gr


@pytest.fixture(scope="session")
def quick_config() -> gr.TrainConfig:
    return gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=3"])


@pytest.fixture(scope="session")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=160, num_models=5, seed=3).data


@pytest.fixture(scope="session")
def router(data: gr.RoutingDataset, quick_config: gr.TrainConfig) -> gr.GraphRouter:
    return gr.GraphRouter.fit(data, quick_config)
