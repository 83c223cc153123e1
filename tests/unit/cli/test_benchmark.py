"""`graphrouter benchmark`: what is shown and written, resumed after an interruption, and bad
input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation.grid import prepared_split
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.training_view import TrainingView

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def few(fast_options: list[str]) -> list[object]:
    return ["--routers", "knn", "--draws", 20, "--jobs", 1, *fast_options]


def test_figures_table_report_and_nothing_twice(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status, shown, errors = invoke(
        "benchmark", world, *few, "--seeds", 2, "--out", out, "--json", tmp_path / "all.json"
    )
    assert (status, errors) == (0, "")
    for text in (
        "world: 30 queries, 4 models, task known",
        "task hidden",
        "knn",
        "oracle",
        "log loss",
    ):
        assert text in shown
    assert {path.name for path in out.iterdir()} == {
        "cells",
        "embeddings",
        "world.json",
        "results.parquet",
        "cells.parquet",
        "report.html",
        "report.md",
    }
    plain = json.loads((tmp_path / "all.json").read_text())
    assert plain == json.loads((out / "world.json").read_text())
    assert plain["seeds"] == [0, 1]
    assert list(plain["settings"]["task_known"]["routers"]) == [
        "graphrouter",
        "best_single",
        "task_mean",
        "knn",
        "oracle",
    ]
    assert len(pd.read_parquet(out / "cells.parquet")) == 8
    cells = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.safetensors")}
    status, again, errors = invoke(
        "benchmark", world, *few, "--seeds", 2, "--out", out, "--json", "-"
    )
    assert (status, errors) == (0, "8 of 8 cells done already.\n")
    assert json.loads(again) == plain
    assert {
        path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*.safetensors")
    } == cells


def test_several_datasets_in_one_report(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path / "other")
    page = tmp_path / "page.html"
    status, shown, _ = invoke(
        "benchmark",
        world,
        tmp_path / "other",
        *few,
        "--out",
        tmp_path / "out",
        "--html",
        page,
        "--json",
        "-",
    )
    assert status == 0
    assert [each["dataset"] for each in json.loads(shown)] == ["world", "other"]
    assert "other" in page.read_text()
    assert page.with_suffix(".md").is_file()


def test_an_interrupted_run_says_how_to_go_on(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(BASELINES["knn"]):  # type: ignore[name-defined,misc]
        @classmethod
        def learn(cls, data: object) -> object:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(BASELINES, "knn", Interrupted)
        status, _, errors = invoke("benchmark", world, *few, "--out", tmp_path / "out")
    assert status == 130
    assert "the same command goes on" in errors
    prepared_split._prepare.cache_clear()
    status, _, errors = invoke("benchmark", world, *few, "--out", tmp_path / "out", "--json", "-")
    assert status == 0
    assert errors == "3 of 4 cells done already.\n"


def test_a_failing_router_is_named_and_the_rest_is_shown(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(BASELINES["knn"]):  # type: ignore[name-defined,misc]
        @classmethod
        def learn(cls, data: object) -> object:
            raise ZeroDivisionError("broken on purpose")

    monkeypatch.setitem(BASELINES, "knn", Broken)
    status, shown, errors = invoke("benchmark", world, *few, "--out", tmp_path / "out")
    assert status == 0
    assert "knn failed on world, seed 0: ZeroDivisionError: broken on purpose" in errors
    assert "Not among them: knn" in shown
    assert "broken on purpose" in (tmp_path / "out" / "report.md").read_text()


def test_a_dataset_without_the_graph_router_costs_the_others_nothing(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(world, tmp_path / "other")
    fit = GraphRouter.fit.__func__  # type: ignore[attr-defined]

    def fails_on_other(
        cls: type, view: TrainingView, *args: object, **kwargs: object
    ) -> GraphRouter:
        if view.data.name == "other":
            raise ZeroDivisionError("no luck")
        return fit(cls, view, *args, **kwargs)

    monkeypatch.setattr(GraphRouter, "fit", classmethod(fails_on_other))
    words = (*few, "--out", tmp_path / "out")
    status, _, errors = invoke("benchmark", world, tmp_path / "other", *words, "--json", "-")
    assert status == 1
    assert (
        "graphrouter has no result on 'other': failed on seed 0: ZeroDivisionError: no luck. Mend "
        "that" in errors
    )
    assert (tmp_path / "out" / "world.json").is_file()
    assert not (tmp_path / "out" / "other.json").exists()
    assert invoke("benchmark", tmp_path / "other", *words, "--json", "-")[:2] == (1, "")


def test_all_baselines_can_be_listed(invoke: Invoke) -> None:
    status, shown, _ = invoke("benchmark", "--list")
    assert status == 0
    for name in BASELINES:
        assert name in shown


def test_bad_input_is_one_line_and_leaves_nothing(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("taken")
    for words, said in (
        ([tmp_path / "nowhere", *few, "--out", tmp_path / "out"], "There is no folder"),
        ([world, *few, "--routers", "knx", "--out", tmp_path / "out"], "Unknown baseline 'knx'"),
        ([world, *few, "--seeds", 0, "--out", tmp_path / "out"], "--seeds"),
        ([world, *few, "--out", tmp_path / "file"], "file"),
        ([world, *few, "--out", tmp_path / "out", "--set", "training.epochs=3"], "max_epochs"),
        ([world, *few, "--out", tmp_path / "out", "--json", tmp_path], "it is a folder"),
        ([world, *few, "--out", tmp_path / "out", "--html", tmp_path / "r.md"], "names no format"),
        (
            [
                world,
                *few,
                "--out",
                tmp_path / "out",
                "--html",
                tmp_path / "r.html",
                "--json",
                tmp_path / "r.md",
            ],
            "same name",
        ),
        ([world, *few, "--routers", "knn,,gbt", "--out", tmp_path / "out"], "empty name"),
        ([world, *few, "--routers", "quick,gbd", "--out", tmp_path / "out"], "Did you mean 'gbt'?"),
        ([world, *few, "--out", world], "holds other files than those of a benchmark"),
        ([world, *few, "--out", tmp_path / "file", "--html", tmp_path / "page.html"], "no folder"),
    ):
        status, shown, errors = invoke("benchmark", *words)
        assert (status, shown) == (2, ""), words
        assert said in errors
        assert errors.count("\n") == 1
        assert not (tmp_path / "out").exists()
