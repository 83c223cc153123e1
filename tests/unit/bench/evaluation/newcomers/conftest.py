"""A small simulated world with families, and settings that train in a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.evaluation.grid import prepared_split as shared
from graphrouter.bench.evaluation.newcomers import newcomer_split
from graphrouter.config import TrainConfig


@pytest.fixture(scope="session")
def quick() -> TrainConfig:
    return gr.load_config(
        overrides=[
            "training.max_epochs=0",
            "training.steps_per_epoch=2",
            "training.batch_queries=32",
            "training.accelerator=cpu",
            "encoder.name=hashing",
            "encoder.dimension=64",
        ]
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 150 queries and 6 models, a fifth of the pairs missing."""
    folder = tmp_path_factory.mktemp("data") / "world"
    gr.simulate(num_queries=150, num_models=6, seed=7, missing=0.2).data.save(folder)
    return folder


@pytest.fixture(autouse=True)
def _fresh_benches() -> None:
    shared._load.cache_clear()
    shared._prepare.cache_clear()
    newcomer_split._prepare.cache_clear()
