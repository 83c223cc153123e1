"""A run in MLflow: what arrives there, and that nothing that MLflow does reaches the caller."""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from graphrouter.exceptions import ConfigError
from graphrouter.tracking import TrackedRun, Tracking, open_run
from graphrouter.tracking.mlflow_store import quiet_mlflow
from graphrouter.tracking.tuning_log import log_trial

Logged = Callable[[], list[Any]]
REFUSED = "MLflow failed, and the run is tracked no further: "


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_a_run_holds_params_metrics_tags_and_files(
    tracked: TrackedRun, logged: Logged, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    with tracked as run:
        run.log_params({"seed": 3, "encoder.path": None})
        run.log_metrics({"val/log_loss": 0.5, "val/reward": math.nan}, step=1)
        run.log_metrics({"val/log_loss": 0.4, "val/reward": math.inf}, step=2)
        run.set_tags({"router": "knn"})
        run.describe("*words*")
        run.log_files(tmp_path / "folder", folder="router")
        run.log_files(tmp_path / "b.txt")
    [found] = logged()
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "mine"
    assert found.data.params == {"seed": "3", "encoder.path": "null"}
    assert found.data.metrics == {"val/log_loss": 0.4}
    history = client.get_metric_history(found.info.run_id, "val/log_loss")
    assert [(each.step, each.value) for each in history] == [(1, 0.5), (2, 0.4)]
    assert {
        "router": "knn",
        "graphrouter.command": "train",
        "mlflow.note.content": "*words*",
    }.items() <= found.data.tags.items()
    assert [file.path for file in client.list_artifacts(found.info.run_id)] == ["b.txt", "router"]
    assert [file.path for file in client.list_artifacts(found.info.run_id, "router")] == [
        "router/a.txt"
    ]


def test_more_than_mlflow_takes_at_once(tracked: TrackedRun, logged: Logged) -> None:
    tracked.log_params({f"p{i}": i for i in range(230)})
    tracked.log_metrics({f"m{i}": i for i in range(1100)})
    tracked.log_params({"long": "x" * 9000})
    [found] = logged()
    assert len(found.data.params) == 231
    assert len(found.data.metrics) == 1100
    assert found.data.params["long"] == "x" * 6000
    assert tracked.is_on


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("gain@5 (%)", "gain_5 ___"),
        ("a//b", "a/b"),
        ("../a", "a"),
        ("/a/./b/", "a/b"),
        ("@", "_"),
        ("", "_"),
    ],
)
def test_names_that_mlflow_refuses_are_mended(
    tracked: TrackedRun, logged: Logged, name: str, written: str
) -> None:
    tracked.log_metrics({name: 1.0})
    assert tracked.is_on
    assert list(logged()[0].data.metrics) == [written]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("x"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_block_that_stops_ends_its_run(
    tracked: TrackedRun, logged: Logged, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), tracked:
        raise error
    assert logged()[0].info.status == status


def test_children_and_trials_lie_below_their_run(
    tracked: TrackedRun, logged: Logged, client: Any
) -> None:
    epochs = {1: {"val/log_loss": 0.6}, 2: {"val/log_loss": 0.5, "train/effect": math.nan}}
    with tracked, tracked.open_child("below", tags={"router": "knn"}):
        log_trial(
            tracked,
            number=7,
            params={"network.width": 8},
            values={"area": 0.5},
            state="COMPLETE",
            seconds=2.5,
            epochs=epochs,
        )
        log_trial(tracked, number=8, params={"network.width": 4}, values={}, state="PRUNED")
        log_trial(
            tracked,
            number=9,
            params={"network.width": 2},
            values={},
            state="failed",
            message="it diverged",
        )
    runs = {run.info.run_name: run for run in logged()}
    assert set(runs) == {"mine", "below", "trial 7", "trial 8", "trial 9"}
    assert {
        run.data.tags.get("mlflow.parentRunId") for name, run in runs.items() if name != "mine"
    } == {tracked.run_id}
    assert runs["trial 7"].data.metrics == {"area": 0.5, "seconds": 2.5, "val/log_loss": 0.5}
    history = client.get_metric_history(runs["trial 7"].info.run_id, "val/log_loss")
    assert [(each.step, each.value) for each in history] == [(1, 0.6), (2, 0.5)]
    assert runs["trial 7"].data.params == {"network.width": "8"}
    statuses = {name: run.info.status for name, run in runs.items() if "trial" in name}
    assert statuses == {"trial 7": "FINISHED", "trial 8": "KILLED", "trial 9": "FAILED"}
    assert runs["trial 9"].data.tags["mlflow.note.content"] == "it diverged"
    assert runs["trial 8"].data.tags["trial.state"] == "pruned"


def test_a_failure_is_said_once_and_ends_the_run(
    tracked: TrackedRun,
    logged: Logged,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with quiet_mlflow():
        from mlflow import MlflowClient
    calls = []

    def refuse(*args: object, **kwargs: object) -> None:
        calls.append(args)
        raise RuntimeError("no room\nat all")

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    with tracked as run:
        run.log_metrics({"a": 1.0})
        run.log_params({"a": 1})
        run.log_files(tmp_path)
        run.open_child("below").log_metrics({"a": 1.0})
        assert not run.is_on
    assert [record.getMessage() for record in caplog.records] == [f"{REFUSED}no room at all"]
    assert len(calls) == 1
    assert (
        logged()[0].info.status == "FINISHED"
    )  # the store still answers, so the run does not look alive for ever


def test_nobody_at_the_address(caplog: pytest.LogCaptureFixture) -> None:
    start = time.perf_counter()
    uri = f"http://ann:secret@127.0.0.1:{closed_port()}"
    with open_run(Tracking(uri), "mine") as run:
        run.log_metrics({"a": 1.0})
    assert not run.is_on
    assert time.perf_counter() - start < 10
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"{REFUSED}no answer from {uri.replace('secret', '***')}"


def test_a_server_that_never_answers_is_not_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    start = time.perf_counter()
    with silent_server() as uri, open_run(Tracking(uri), "mine") as run:
        run.log_metrics({"a": 1.0})
    assert not run.is_on
    assert time.perf_counter() - start < 10  # one retry, and the close of the run asks no more
    assert [record.getMessage() for record in caplog.records] == [f"{REFUSED}no answer from {uri}"]


def test_a_database_that_does_not_open_is_not_waited_for(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.db").write_text(
        "this is no database at all, but a text of some length\n" * 100
    )
    start = time.perf_counter()
    assert not open_run(Tracking("sqlite:///mlflow.db"), "mine").is_on
    assert time.perf_counter() - start < 10  # MLflow itself tries ten times
    assert len(caplog.records) == 1
    assert "not a database" in caplog.text


def test_without_mlflow_a_run_logs_nothing_and_says_how_to_get_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with open_run(Tracking("sqlite:///mlflow.db"), "mine") as run:
        run.log_metrics({"a": 1.0})
        log_trial(run, number=0, params={}, values={}, state="complete")
    assert not run.is_on
    [record] = caplog.records
    assert "pip install 'graphrouter[mlflow]'" in record.getMessage()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"The tracking URI is './mlruns', a folder; expected a server"
    ):
        open_run(Tracking("./mlruns"), "mine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///tmp/mlruns")
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI is 'file:///tmp/mlruns'"):
        open_run(Tracking(), "mine")


def test_artifacts_lie_beside_the_database(tracked: TrackedRun, client: Any, store: str) -> None:
    place = client.get_run(tracked.run_id).info.artifact_uri
    assert place.startswith(
        f"file://{Path(store.removeprefix('sqlite:///')).parent / 'mlartifacts'}/"
    )


def test_a_run_leaves_the_process_as_it_was(tracked: TrackedRun) -> None:
    before = dict(os.environ)
    levels = [logging.getLogger(name).level for name in ("mlflow", "alembic")]
    tracked.log_metrics({"a": 1.0})
    tracked.close()
    assert dict(os.environ) == before
    assert [logging.getLogger(name).level for name in ("mlflow", "alembic")] == levels


def test_a_run_can_be_sent_to_another_process(tracked: TrackedRun, logged: Logged) -> None:
    pickle.loads(pickle.dumps(tracked)).log_metrics({"a": 1.0})
    assert logged()[0].data.metrics == {"a": 1.0}


def test_location_names_the_run_and_hides_the_password(tracked: TrackedRun) -> None:
    assert tracked.run_id in tracked.location
    assert "mlflow ui --backend-store-uri sqlite:///" in tracked.location
    tracked._connection.uri = "https://ann:secret@host"
    assert (
        tracked.location
        == f"https://ann:***@host/#/experiments/{tracked.experiment_id}/runs/{tracked.run_id}"
    )
