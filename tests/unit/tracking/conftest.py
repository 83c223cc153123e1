"""One MLflow store for all tests of this folder, an experiment for each, and no trace of the user's
own store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrouter.bench.simulate.simulation import simulate
from graphrouter.cli.app import run as run_command
from graphrouter.cli.console import console
from graphrouter.config import load_config
from graphrouter.router.graph_router import GraphRouter
from graphrouter.tracking.mlflow_store import quiet_mlflow
from graphrouter.tracking.tracked_run import TrackedRun, Tracking, open_run

FAST = (
    "encoder.name=hashing",
    "encoder.dimension=64",
    "training.max_epochs=2",
    "training.steps_per_epoch=2",
    "training.batch_queries=32",
    "training.accelerator=cpu",
)
Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of a database; making one takes MLflow two seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tracking(store: str, request: pytest.FixtureRequest) -> Tracking:
    return Tracking(store, request.node.name)


class QuietClient:
    """MLflow's client, whose libraries warn of each other's deprecations."""

    def __init__(self, store: str) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> Any:
            with quiet_mlflow():
                from mlflow import MlflowClient

                return getattr(MlflowClient(self._store), name)(*args, **kwargs)

        return call


@pytest.fixture
def client(store: str) -> QuietClient:
    return QuietClient(store)


@pytest.fixture
def tracked(tracking: Tracking, client: QuietClient) -> TrackedRun:
    """An open run."""
    return open_run(tracking, "mine", command="train")


@pytest.fixture
def logged(client: QuietClient, tracking: Tracking) -> Callable[[], list[Any]]:
    """All runs of the experiment of this test, oldest first."""

    def runs() -> list[Any]:
        experiment = client.get_experiment_by_name(tracking.experiment)
        found = (
            []
            if experiment is None
            else client.search_runs([experiment.experiment_id], order_by=["start_time ASC"])
        )
        return list(found)

    return runs


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracking") / "world"
    simulate(num_queries=120, num_models=4, seed=1).data.save(folder)
    return folder


@pytest.fixture(scope="session")
def router() -> GraphRouter:
    return GraphRouter.fit(
        simulate(num_queries=120, num_models=4, seed=1).data, load_config(overrides=FAST)
    )


@pytest.fixture(scope="session")
def artifact(router: GraphRouter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracking") / "artifact"
    router.save(folder)
    return folder


@pytest.fixture(scope="session")
def fast_options() -> list[str]:
    return [word for setting in FAST for word in ("--set", setting)]


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs a command line: its status, standard output and standard error, also what libraries
    write past Python."""
    monkeypatch.setattr(console, "_width", 120)

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run_command([str(word) for word in words])
        shown = capfd.readouterr()
        return status, shown.out, shown.err

    return call
