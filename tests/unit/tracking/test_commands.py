"""`--track` on the command line: what is logged, what is shown, and that nothing depends on
MLflow."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graphrouter as gr
from graphrouter.cli.options import read_tracking
from graphrouter.router.graph_router import GraphRouter
from graphrouter.tracking import Tracking

Invoke = Callable[..., tuple[int, str, str]]
Logged = Callable[[], list[Any]]


@pytest.fixture
def where(tracking: Tracking) -> list[str]:
    """The options that name the store and the experiment of this test."""
    return ["--tracking-uri", str(tracking.uri), "--experiment", tracking.experiment]


def test_training_is_logged_and_standard_output_stays_json(
    invoke: Invoke,
    where: list[str],
    logged: Logged,
    client: Any,
    world: Path,
    fast_options: list[str],
    tmp_path: Path,
) -> None:
    out = tmp_path / "mine"
    status, shown, errors = invoke(
        "train", world, "--out", out, "--json", *fast_options, *where, "--register", "trained"
    )
    report = json.loads(shown)
    assert status == 0
    assert report["registered"] == "models:/trained/1"
    [run] = logged()
    assert errors.startswith("MLflow run  train mine: ")
    assert run.info.run_id in errors
    assert errors.count("\n") == 1
    assert run.info.status == "FINISHED"
    assert run.data.params["training.max_epochs"] == "2"
    assert run.data.params["encoder.path"] == "null"
    assert run.data.params["dataset.num_train_queries"] == "84"
    assert run.data.tags["dataset.fingerprint"] == gr.load_dataset(world).fingerprint
    assert run.data.tags["dataset.name"] == "world"
    assert run.data.tags["graphrouter.command"] == "train"
    for name in ("train/effect", "val/log_loss", "val/reward", "val/objective"):
        assert [each.step for each in client.get_metric_history(run.info.run_id, name)] == [1, 2]
    assert run.data.metrics["final/log_loss"] == pytest.approx(report["metrics"]["log_loss"])
    assert run.data.metrics["seconds"] > 0
    names = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "artifact")}
    assert names == {path.name for path in out.iterdir()}


def test_tracking_changes_nothing_in_the_router(
    invoke: Invoke,
    where: list[str],
    world: Path,
    fast_options: list[str],
    tmp_path: Path,
    artifact: Path,
) -> None:
    assert invoke("train", world, "--out", tmp_path / "mine", *fast_options, *where)[0] == 0
    tracked, plain = GraphRouter.load(tmp_path / "mine"), GraphRouter.load(artifact)
    assert tracked.provenance.metrics == plain.provenance.metrics


def test_a_baseline_is_logged(
    invoke: Invoke,
    where: list[str],
    logged: Logged,
    client: Any,
    world: Path,
    fast_options: list[str],
    tmp_path: Path,
) -> None:
    status, shown, errors = invoke(
        "train", world, "--out", tmp_path / "a", "--router", "knn", *fast_options, *where
    )
    assert status == 0
    assert errors.count("\n") == 1
    assert "Fitted      knn" in shown
    [run] = logged()
    assert run.data.params["router"] == run.data.tags["router"] == "knn"
    assert set(run.data.metrics) == {"seconds"}
    assert client.list_artifacts(run.info.run_id, "artifact")


def test_evaluation_is_logged_with_its_report(
    invoke: Invoke, where: list[str], logged: Logged, client: Any, world: Path, artifact: Path
) -> None:
    words = ("evaluate", artifact, world, "--baselines", "knn", "--draws", 10)
    status, shown, errors = invoke(*words, "--json", "-", *where)
    figures = json.loads(shown)
    assert status == 0
    assert errors.startswith("MLflow run  evaluate artifact on world: ")
    assert errors.count("\n") == 1
    [run] = logged()
    for setting, found in figures["settings"].items():
        assert run.data.metrics[f"{setting}/log_loss"] == pytest.approx(
            found["routers"]["graphrouter"]["log_loss"]["value"]
        )
    assert run.data.params["baselines"] == "knn"
    assert (
        run.data.tags["artifact.checksum"]
        == json.loads((artifact / "manifest.json").read_text())["checksum"]
    )
    files = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "report")}
    assert files == {"report.html", "report.md", "figures.json"}


def test_by_default_runs_lie_in_the_working_folder(
    invoke: Invoke, world: Path, fast_options: list[str], tmp_path: Path
) -> None:
    status, _, errors = invoke(
        "train", world, "--out", "mine", "--track", "--router", "best_single", *fast_options
    )
    assert status == 0
    assert (
        "in sqlite:///mlflow.db (to see it: mlflow ui --backend-store-uri sqlite:///mlflow.db)"
        in errors
    )
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "mlflow.db", "mlartifacts"}


def test_the_variable_names_the_store(
    invoke: Invoke,
    tracking: Tracking,
    world: Path,
    fast_options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tracking.uri))
    words = ("train", world, "--router", "best_single", *fast_options)
    assert str(tracking.uri) in invoke(*words, "--out", "a", "--track")[2]
    assert invoke(*words, "--out", "b")[2] == ""  # the variable alone asks for nothing
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_without_mlflow_training_goes_on(
    invoke: Invoke,
    world: Path,
    fast_options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    words = ("train", world, "--json", *fast_options)
    assert invoke(*words, "--out", "a")[::2] == (0, "")
    status, shown, errors = invoke(*words, "--out", "b", "--track", "--register", "mine")
    assert status == 0
    assert "registered" not in json.loads(shown)
    assert errors.startswith("Warning: The run is not tracked: ")
    assert "pip install 'graphrouter[mlflow]'" in errors
    assert errors.count("\n") == 1
    assert len(GraphRouter.load(tmp_path / "b").models) == 4


def test_without_a_server_training_goes_on(
    invoke: Invoke, world: Path, fast_options: list[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
    status, shown, errors = invoke(
        "train", world, "--out", "a", "--json", *fast_options, "--tracking-uri", uri
    )
    assert status == 0
    assert json.loads(shown)["num_models"] == 4
    assert (
        errors
        == f"Warning: MLflow failed, and the run is tracked no further: no answer from {uri}\n"
    )
    assert len(GraphRouter.load(tmp_path / "a").models) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tracking-uri", "./mlruns"], "is './mlruns', a folder; expected a server"),
        (["--tracking-uri", ""], "--tracking-uri is empty"),
        (["--experiment", " "], "--experiment is empty"),
        (["--register", "a/b"], "expected a name without '/' and ':'"),
        (["--register", ".."], "expected a name"),
    ],
)
def test_bad_options_are_one_line_before_the_work(
    invoke: Invoke, world: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    status, shown, errors = invoke("train", world, "--out", "a", *words)
    assert (status, shown) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_any_of_the_options_asks_for_tracking() -> None:
    assert read_tracking(False, None, None) is None
    assert read_tracking(True, None, None) == Tracking(None, "graphrouter")
    assert read_tracking(False, "http://host", None) == Tracking("http://host", "graphrouter")
    assert read_tracking(False, None, "mine") == Tracking(None, "mine")
    assert read_tracking(False, None, None, "mine") == Tracking(None, "graphrouter")


def test_nothing_imports_mlflow_unasked() -> None:
    code = (
        "import sys, graphrouter.cli.app, graphrouter.tracking.training_log, "
        "graphrouter.tracking.evaluation_log\n"
    )
    code += (
        "import graphrouter.tracking.registered_model, graphrouter.tracking.tuning_log, "
        "graphrouter.router.loading\n"
    )
    code += "print([name for name in sys.modules if name.partition('.')[0] == 'mlflow'])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout == "[]\n"
