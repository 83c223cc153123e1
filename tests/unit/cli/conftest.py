"""A small simulated world, trained once for all commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.bench.simulate.simulation import Simulation, simulate
from graphrouter.cli.app import run
from graphrouter.cli.console import console
from graphrouter.config import TrainConfig, load_config
from graphrouter.router.graph_router import GraphRouter

FAST = (
    "encoder.name=hashing",
    "encoder.dimension=64",
    "training.max_epochs=1",
    "training.steps_per_epoch=2",
    "training.batch_queries=32",
    "training.accelerator=cpu",
)
Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def fast_config() -> TrainConfig:
    return load_config(overrides=FAST)


@pytest.fixture(scope="session")
def fast_options() -> list[str]:
    """The same settings as words of a command line."""
    return [word for setting in FAST for word in ("--set", setting)]


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return simulate(num_queries=150, num_models=4, seed=1)


@pytest.fixture(scope="session")
def world(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the world's tables."""
    folder = tmp_path_factory.mktemp("cli") / "world"
    simulation.data.save(folder)
    return folder


@pytest.fixture(scope="session")
def artifact(
    simulation: Simulation, fast_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of a router trained on the world."""
    folder = tmp_path_factory.mktemp("cli") / "artifact"
    GraphRouter.fit(simulation.data, fast_config).save(folder)
    return folder


@pytest.fixture(scope="session")
def router(artifact: Path) -> GraphRouter:
    return GraphRouter.load(artifact)


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs a command line: its status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(
        console, "_width", 120
    )  # a console that was made under another width keeps that one
    monkeypatch.delenv("GRAPHROUTER_DEBUG", raising=False)

    def call(*words: object) -> tuple[int, str, str]:
        status = run([str(word) for word in words])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call
