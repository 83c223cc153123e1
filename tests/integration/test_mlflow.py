"""Against real servers of MLflow, which the tests start and stop: tracking over HTTP, the registry,
and a served router."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.cli.app import run
from graphrouter.tracking import TrackedRun
from graphrouter.tracking.mlflow_store import quiet_mlflow

pytestmark = pytest.mark.slow  # each server takes about seven seconds to start

FAST = [
    word
    for setting in (
        "encoder.name=hashing",
        "training.max_epochs=2",
        "training.steps_per_epoch=2",
        "training.batch_queries=32",
        "training.accelerator=cpu",
    )
    for word in ("--set", setting)
]
PROMPTS = ["Add 17 and 25.", "Translate 'good morning' into French."]
Invoke = Callable[..., tuple[int, str, str]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def mlflow_process(
    *words: str, folder: Path, port: int, health: str, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """An MLflow server in a process group of its own, from when it answers until the block ends."""
    command = [
        sys.executable,
        "-m",
        "mlflow",
        *words,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    # It starts uvicorn by name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "OMP_NUM_THREADS": "1",
    }
    log = folder / f"{port}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path, **quiet, **env},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}{health}", process, log)
        yield process
    finally:
        stop(process)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {url}: {log.read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group: servers have workers."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait(timeout=5)


@contextmanager
def tracking_server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its URI, and its process."""
    port = free_port()
    words = (
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination",
        str(folder / "kept"),
    )
    with mlflow_process(
        "server", *words, folder=folder, port=port, health="/health", env={}
    ) as process:
        yield f"http://127.0.0.1:{port}", process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tracking_server(tmp_path_factory.mktemp("server")) as (uri, _):
        yield uri


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow") / "world"
    gr.simulate(num_queries=120, num_models=4, seed=1).data.save(folder)
    return folder


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Invoke:
    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run([str(word) for word in words])
        shown = capfd.readouterr()
        return status, shown.out, shown.err

    return call


def ask(server: str, method: str, *args: object, **kwargs: object) -> Any:
    """What MLflow's own client answers."""
    with quiet_mlflow():
        from mlflow import MlflowClient

        return getattr(MlflowClient(server), method)(*args, **kwargs)


def runs_of(server: str, experiment: str) -> list[Any]:
    """All runs, oldest first."""
    number = ask(server, "get_experiment_by_name", experiment).experiment_id
    return list(ask(server, "search_runs", [number], order_by=["start_time ASC"]))


def files_of(server: str, run_id: str, folder: str) -> set[str]:
    return {Path(file.path).name for file in ask(server, "list_artifacts", run_id, folder)}


def test_train_evaluate_and_benchmark_are_logged_over_http(
    invoke: Invoke, server: str, world: Path, tmp_path: Path
) -> None:
    where = ("--tracking-uri", server, "--experiment", "whole")
    status, shown, errors = invoke("train", world, "--out", "mine", "--json", *FAST, *where)
    report = json.loads(shown)
    assert status == 0
    [trained] = runs_of(server, "whole")
    number = trained.info.experiment_id
    assert (
        errors
        == f"MLflow run  train mine: {server}/#/experiments/{number}/runs/{trained.info.run_id}\n"
    )
    assert trained.info.status == "FINISHED"
    assert trained.data.params["training.max_epochs"] == "2"
    history = ask(server, "get_metric_history", trained.info.run_id, "val/log_loss")
    assert [each.step for each in history] == [1, 2]
    assert trained.data.metrics["final/log_loss"] == pytest.approx(report["metrics"]["log_loss"])
    assert files_of(server, trained.info.run_id, "artifact") == {
        path.name for path in (tmp_path / "mine").iterdir()
    }

    status, shown, errors = invoke(
        "evaluate", "mine", world, "--baselines", "knn", "--draws", 10, "--json", "-", *where
    )
    figures = json.loads(shown)
    assert (status, errors.count("\n")) == (0, 1)
    evaluated = runs_of(server, "whole")[1]
    value = figures["settings"]["task_known"]["routers"]["graphrouter"]["log_loss"]["value"]
    assert evaluated.data.metrics["task_known/log_loss"] == pytest.approx(value)
    assert files_of(server, evaluated.info.run_id, "report") == {
        "report.html",
        "report.md",
        "figures.json",
    }
    assert evaluated.data.tags["artifact.checksum"] == trained.data.tags["artifact.checksum"]

    words = (
        "benchmark",
        world,
        "--routers",
        "best_single",
        "--draws",
        10,
        "--jobs",
        1,
        "--out",
        "bench",
        "--json",
        "-",
    )
    status, shown, errors = invoke(*words, *FAST, *where)
    assert status == 0, errors
    assert json.loads(shown)["dataset"] == "world"
    assert errors.count("\n") == 1
    parent, *children = runs_of(server, "whole")[2:]
    assert {run.info.run_name for run in children} == {
        "graphrouter",
        "best_single",
        "task_mean",
        "oracle",
    }
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert "report.html" in files_of(server, parent.info.run_id, "report")
    assert (tmp_path / "mlflow.db").exists() is False


def test_a_registered_router_is_served_and_loaded(
    invoke: Invoke, server: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, shown, errors = invoke(
        "train",
        world,
        "--out",
        "mine",
        "--json",
        *FAST,
        "--tracking-uri",
        server,
        "--register",
        "served",
    )
    assert (status, errors.count("\n")) == (0, 1)
    uri = json.loads(shown)["registered"]
    assert uri == "models:/served/1"
    local = gr.load_router(tmp_path / "mine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    ask(server, "set_registered_model_alias", "served", "best", "1")
    for place in (uri, "models:/served@best"):
        np.testing.assert_array_equal(
            gr.load_router(place).predict(PROMPTS).effect, local.predict(PROMPTS).effect
        )
    assert invoke("route", uri, PROMPTS[0], "--json")[0] == 0

    port = free_port()
    words = ("models", "serve", "--model-uri", uri, "--env-manager", "local")
    env = {"MLFLOW_TRACKING_URI": server, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    with mlflow_process(*words, folder=tmp_path, port=port, health="/ping", env=env):
        rows = [{"prompt": PROMPTS[0]}, {"prompt": PROMPTS[1], "task": local.known_tasks[0]}]
        found = post(port, {"dataframe_records": rows, "params": {"cost_weight": 0.2}})[
            "predictions"
        ]
        expected = local.route_batch(
            PROMPTS, tasks=[None, local.known_tasks[0]], policy=gr.Policy(cost_weight=0.2)
        )
        assert [row["model"] for row in found] == [decision.model for decision in expected]
        assert [row["effect"] for row in found] == pytest.approx(
            [decision.effect for decision in expected], abs=1e-9
        )
        assert [row["cost_usd"] for row in found] == pytest.approx(
            [decision.cost_usd for decision in expected], abs=1e-12
        )
        for params, told in (
            ({"preset": "cheap"}, "unknown preset 'cheap'"),
            ({"routes": "routes.yaml"}, "takes no named routes"),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(port, {"dataframe_records": rows, "params": params})
            assert refused.value.code == 400
            assert told in refused.value.read().decode()


def post(port: int, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def test_a_server_that_goes_down_in_mid_run_costs_one_line(
    invoke: Invoke, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = TrackedRun.log_metrics
    with tracking_server(tmp_path) as (uri, process):

        def log_and_pull_the_plug(
            self: TrackedRun, metrics: Mapping[str, float], *, step: int = 0
        ) -> None:
            plain(self, metrics, step=step)
            if step == 1:
                stop(process)

        monkeypatch.setattr(TrackedRun, "log_metrics", log_and_pull_the_plug)
        start = time.monotonic()
        words = (
            "train",
            world,
            "--out",
            "mine",
            "--json",
            *FAST,
            "--tracking-uri",
            uri,
            "--register",
            "lost",
        )
        status, shown, errors = invoke(*words)
        seconds = time.monotonic() - start
    assert status == 0
    assert "registered" not in json.loads(shown)
    told = errors.splitlines()
    assert told[0].startswith("MLflow run  train mine: ")
    assert told[1:] == [
        f"Warning: MLflow failed, and the run is tracked no further: no answer from {uri}"
    ]
    assert seconds < 60
    assert len(gr.load_router("mine").models) == 4
