"""`graphrouter tune`: files, resumption, interruption, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.bench.tuning import trial_worker
from graphrouter.bench.tuning.search_space import build_default_space, parse_space
from graphrouter.config import load_config
from graphrouter.exceptions import TrainingError
from graphrouter.training.trainer import fit_network

Invoke = Callable[..., tuple[int, str, str]]
SPACE = "network.dropout: {low: 0.0, high: 0.5}\nnetwork.width: {low: 16, high: 32, step: 16}\n"


@pytest.fixture
def few(fast_options: list[str], tmp_path: Path) -> list[object]:
    (tmp_path / "space.yaml").write_text(SPACE)
    return ["--space", tmp_path / "space.yaml", *fast_options]


def test_files_verdict_and_going_on(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    status, shown, errors = invoke("tune", world, "--trials", 2, "--out", out, *few)
    assert (status, errors) == (0, "")
    assert {path.name for path in out.iterdir()} == {
        "best.yaml",
        "trials.json",
        "report.html",
        "study.sqlite3",
    }
    plain = json.loads((out / "trials.json").read_text())
    assert plain["verdict"] in shown
    assert plain["verdict"] in (out / "report.html").read_text()
    assert "0 (the given settings)" in shown
    assert f"--config {out / 'best.yaml'}" in shown
    status, shown, errors = invoke("tune", world, "--trials", 3, "--out", out, *few, "--json")
    assert (status, errors) == (0, "2 of 3 trials done already.\n")
    more = json.loads(shown)
    assert more == json.loads((out / "trials.json").read_text())
    assert more["trials"][:2] == plain["trials"]
    assert len(more["trials"]) == 3


def test_best_settings_are_what_train_takes(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status, shown, _ = invoke(
        "tune", world, "--trials", 3, "--objective", "log_loss,area", "--out", out, *few, "--json"
    )
    assert status == 0
    found = json.loads(shown)
    chosen = found["trials"][found["chosen"]]
    text = (out / "best.yaml").read_text()
    config = load_config(out / "best.yaml")
    assert config.model_dump(mode="json") == found["config"]
    assert (config.network.dropout, config.network.width) == tuple(chosen["params"].values())
    assert text.startswith(
        f"# Settings chosen by: graphrouter tune {world} --trials 3 --objective log_loss,area"
    )
    assert found["verdict"] in text
    assert "Pareto front" in (out / "report.html").read_text()
    status, shown, _ = invoke(
        "train", world, "--out", tmp_path / "mine", "--config", out / "best.yaml", "--json"
    )
    assert status == 0
    assert json.loads(shown)["metrics"]["log_loss"] == chosen["values"]["log_loss"]


def test_an_interrupted_study_says_how_to_go_on(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def interrupted(*args: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_network(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(trial_worker, "fit_network", interrupted)
    words = ("tune", world, "--trials", 3, "--out", tmp_path / "out", *few)
    status, _, errors = invoke(*words)
    assert status == 130
    assert (
        f"What is finished is kept in sqlite:///{tmp_path}/out/study.sqlite3; the same command "
        "goes on from there." in errors
    )
    status, shown, errors = invoke(*words, "--json")
    assert (status, errors) == (0, "1 of 3 trials done already.\n")
    assert len(json.loads(shown)["trials"]) == 3
    assert len(calls) == 4


def test_failed_trials_are_told_and_all_of_them_are_a_failure(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*args: object, **options: object) -> None:
        raise TrainingError("Training diverged: on purpose.")

    monkeypatch.setattr(trial_worker, "fit_network", diverge)
    status, shown, errors = invoke("tune", world, "--trials", 2, "--out", tmp_path / "out", *few)
    assert status == 1
    assert errors.splitlines() == [
        "Trial 0 failed: Training diverged: on purpose.",
        "Trial 1 failed: Training diverged: on purpose.",
        "Error: None of the 2 trials has a result; the last one: Training diverged: on purpose.",
    ]
    assert "Next:" not in shown
    assert not (tmp_path / "out" / "best.yaml").exists()
    assert "Training diverged: on purpose." in (tmp_path / "out" / "report.html").read_text()


def test_the_default_space_can_be_listed(invoke: Invoke) -> None:
    import yaml

    status, shown, _ = invoke("tune", "--list-space")
    assert status == 0
    assert parse_space(yaml.safe_load(shown)) == build_default_space()


def test_another_place_for_study_and_report(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    journal, page = tmp_path / "study.log", tmp_path / "page.html"
    words = (
        "tune",
        world,
        "--trials",
        1,
        "--storage",
        f"journal:{journal}",
        "--study",
        "mine",
        "--html",
        page,
        *few,
    )
    status, shown, _ = invoke(*words, "--out", tmp_path / "one", "--json")
    assert status == 0
    assert journal.is_file()
    assert page.is_file()
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"best.yaml", "trials.json"}
    status, again, errors = invoke(
        *words, "--out", tmp_path / "two", "--json"
    )  # another worker, another folder
    assert (status, errors) == (0, "1 of 1 trial done already.\n")
    assert json.loads(again) == json.loads(shown)


def test_bad_input_is_one_line_and_leaves_nothing(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (tmp_path / "bad.yaml").write_text("network.dropot: {low: 0, high: 1}\n")
    (tmp_path / "ends.yaml").write_text("network.dropout: {low: 0.5, high: 0.1}\n")
    for words, said in (
        ([world, *few, "--trials", 0], "--trials"),
        ([world, *few, "--objective", "loss"], "Unknown objective 'loss'"),
        ([world, *few, "--objective", "log_loss,"], "Unknown objective ''"),
        ([world, *few, "--space", tmp_path / "bad.yaml"], "Did you mean 'network.dropout'?"),
        ([world, *few, "--space", tmp_path / "ends.yaml"], "expected low below high"),
        ([world, *few, "--space", tmp_path / "none.yaml"], "No search space at"),
        (
            [world, *few, "--set", "network.width=17"],
            "network.width = 17 lies outside of the search space",
        ),
        ([world, *few, "--storage", "sqlite:////nowhere/at/all.db"], "cannot be opened"),
        ([world, *few, "--storage", "study.db"], "is no address"),
        ([world, *few, "--html", tmp_path / "page.md"], "names no format"),
        ([tmp_path / "nowhere", *few], "There is no folder"),
    ):
        status, _, errors = invoke("tune", *words, "--out", out)
        assert status == 2, words
        assert said in errors
        assert errors.count("\n") == 1
        assert not out.exists()
    status, _, errors = invoke("tune", world, *few, "--out", world)
    assert status == 2
    assert "holds other files than those of a study" in errors


def test_a_folder_of_another_study_is_refused_and_kept(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert invoke("tune", world, "--trials", 1, "--out", out, *few)[0] == 0
    before = {
        path.name: path.read_bytes() for path in out.iterdir() if path.name != "study.sqlite3"
    }
    status, _, errors = invoke(
        "tune", world, "--trials", 1, "--out", out, *few, "--set", "training.patience=2"
    )
    assert status == 2
    assert "config.training.patience is 5 there and 2 here" in errors
    assert {
        path.name: path.read_bytes() for path in out.iterdir() if path.name != "study.sqlite3"
    } == before


def test_each_dataset_has_a_folder_of_its_own(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("tune", world, "--trials", 1, *few)[0] == 0
    assert (tmp_path / "tuning" / world.name / "best.yaml").is_file()


@pytest.mark.slow
def test_trials_are_runs_below_that_of_the_search(
    invoke: Invoke, world: Path, few: list[object], tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    words = (
        "tune",
        world,
        "--trials",
        2,
        "--out",
        tmp_path / "out",
        "--tracking-uri",
        uri,
        "--experiment",
        "mine",
        "--json",
        *few,
    )
    status, shown, _ = invoke(*words)
    assert status == 0
    found = json.loads(shown)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [
        run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    logged = {int(run.data.tags["trial.number"]): run.data.metrics["log_loss"] for run in children}
    assert logged == {trial["number"]: trial["values"]["log_loss"] for trial in found["trials"]}
    assert parent.data.metrics["best/log_loss"] == min(logged.values())
    first = client.get_metric_history(children[0].info.run_id, "val/log_loss")
    assert [figure.step for figure in first] == [1]
