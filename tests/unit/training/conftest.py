"""Prepared tables of a small simulated dataset, and a small trained router."""

from __future__ import annotations

import pytest

import graphrouter as gr
from graphrouter.encoders import create_encoder
from graphrouter.training.prepare import TrainingTables, prepare


@pytest.fixture(scope="session")
def config() -> gr.TrainConfig:
    return gr.load_config(
        overrides=[
            "encoder.name=hashing",
            "encoder.dimension=32",
            "training.max_epochs=2",
            "training.steps_per_epoch=3",
        ]
    )


@pytest.fixture(scope="session")
def tables(config: gr.TrainConfig) -> TrainingTables:
    data = gr.simulate(num_queries=150, num_models=6, seed=2).data
    return prepare(data, gr.split_dataset(data, config.split), create_encoder(config.encoder))


@pytest.fixture(scope="session")
def router() -> gr.GraphRouter:
    config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=3"])
    return gr.GraphRouter.fit(gr.simulate(num_queries=160, num_models=5, seed=3).data, config)
