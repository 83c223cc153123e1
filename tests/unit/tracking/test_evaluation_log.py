"""What evaluations and benchmarks leave in MLflow, from an evaluation made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrouter.bench.evaluation import METRICS, Evaluation
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.results import Coverage, SettingResult
from graphrouter.tracking import TrackedRun
from graphrouter.tracking.evaluation_log import collect_metrics, log_benchmark, log_evaluation

Logged = Callable[[], list[Any]]


def figures(log_loss: float) -> dict[str, Interval]:
    undefined = {name: Interval(math.nan, math.nan, math.nan) for name in METRICS}
    return {**undefined, "log_loss": Interval(log_loss, log_loss - 0.05, log_loss + 0.05)}


def evaluation(dataset: str = "world") -> Evaluation:
    routers = {"graphrouter": figures(0.4), "knn": figures(0.5)}
    setting = SettingResult(routers, {"knn": figures(-0.1)}, {})
    return Evaluation(
        "graphrouter", dataset, 30, 4, (0, 1), Coverage(120, 30, 120, 30), {"task_known": setting}
    )


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "report.html").write_text("<p>")
    return tmp_path / "report.html"


def test_metrics_are_named_by_setting() -> None:
    known = {
        name: value
        for name, value in collect_metrics(evaluation(), "knn").items()
        if not math.isnan(value)
    }
    assert known == {"task_known/log_loss": 0.5}


def test_an_evaluation_leaves_figures_words_and_files(
    tracked: TrackedRun, logged: Logged, report: Path, client: Any
) -> None:
    log_evaluation(
        tracked,
        evaluation(),
        params={"draws": 10, "artifact": Path("artifacts/mine")},
        files=[report],
    )
    [run] = logged()
    assert run.data.metrics == {"task_known/log_loss": 0.4}
    assert run.data.params == {
        "draws": "10",
        "artifact": "artifacts/mine",
        "dataset.name": "world",
        "num_queries": "30",
        "num_models": "4",
        "split_seeds": "0, 1",
    }
    assert run.data.tags["mlflow.note.content"].startswith(
        "- world, task known: Use graphrouter here"
    )
    assert [file.path for file in client.list_artifacts(run.info.run_id, "report")] == [
        "report/report.html"
    ]


@pytest.mark.parametrize(
    ("datasets", "names"),
    [
        (["world"], {"graphrouter", "knn"}),
        (
            ["world", "moon"],
            {"graphrouter on world", "knn on world", "graphrouter on moon", "knn on moon"},
        ),
    ],
)
def test_a_benchmark_has_a_run_for_each_router(
    tracked: TrackedRun, logged: Logged, report: Path, datasets: list[str], names: set[str]
) -> None:
    log_benchmark(
        tracked, [evaluation(name) for name in datasets], params={"seeds": 2}, files=[report]
    )
    runs = {run.info.run_name: run for run in logged()}
    parent = runs.pop("mine")
    assert set(runs) == names
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for run in runs.values():
        router = run.data.tags["router"]
        assert run.data.metrics == {"task_known/log_loss": 0.4 if router == "graphrouter" else 0.5}
        assert run.data.params["dataset.name"] in datasets
    assert parent.data.params == {"seeds": "2"}
