"""`graphrouter train`: what it writes, what it refuses before it works, and how it goes on after a
kill."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.simulate.simulation import Simulation
from graphrouter.cli.train import _describe_calibration
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.loading import load_router
from graphrouter.training import checkpoints as checkpoints_module

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is an error of its own."""

    def fit(*args: object, **kwargs: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(GraphRouter, "fit", fit)


def test_writes_an_artifact_and_says_what_to_do_next(
    invoke: Invoke, world: Path, fast_options: list[str], tmp_path: Path, simulation: Simulation
) -> None:
    out = tmp_path / "deep" / "mine"
    status, shown, errors = invoke("train", world, "--out", out, "--seed", 5, *fast_options)
    assert (status, errors) == (0, "")
    router = GraphRouter.load(out)
    assert router.learned.config.seed == 5
    assert router.models == simulation.data.pool.names
    assert "150 queries of 10 tasks, 4 models" in shown
    assert "105 train, 15 validation, 30 test queries" in shown
    assert f"{router.provenance.metrics['log_loss']:.4f}" in shown
    assert (
        f"Calibration expected calibration error {router.provenance.metrics['ece_before']:.4f}; "
        "effects stay as they are" in shown
    )
    assert f"  graphrouter evaluate {out} {world}\n" in shown
    assert [path.name for path in out.parent.iterdir()] == ["mine"]  # no checkpoints are left


def test_instant_trains_nothing_and_says_so(
    invoke: Invoke, world: Path, fast_options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "instant"
    status, shown, errors = invoke("train", world, "--out", out, "--instant", *fast_options)
    assert (status, errors) == (0, "")
    assert "nothing trained, intervals not calibrated" in shown
    assert "Trained" not in shown
    router = GraphRouter.load(out)
    assert router.learned.config.training.max_epochs == 0
    assert router.provenance.metrics["best_epoch"] == 0
    status, shown, errors = invoke("route", out, "Translate into French: good morning.")
    assert (status, errors) == (0, "")


def test_a_baseline_is_not_instant(invoke: Invoke, world: Path, tmp_path: Path) -> None:
    status, _, errors = invoke(
        "train", world, "--out", tmp_path / "a", "--instant", "--router", "knn"
    )
    assert status == 2
    assert "--instant and --router knn do not go together" in errors


def test_json_is_all_that_standard_output_gets(
    invoke: Invoke, world: Path, fast_options: list[str], tmp_path: Path
) -> None:
    status, shown, errors = invoke("train", world, "--out", tmp_path / "a", "--json", *fast_options)
    assert (status, errors) == (0, "")
    report = json.loads(shown)
    assert report["num_queries"] == {"train": 105, "validation": 15, "test": 30}
    assert report["artifact"] == str(tmp_path / "a")
    assert report["metrics"] == GraphRouter.load(tmp_path / "a").provenance.metrics
    assert {"ece_before", "ece_after", "log_loss_calibrated"} < set(report["metrics"])
    assert report["bills"] == {}


def test_zeros_and_bills_beside_the_list_price_are_said_by_train_and_pool_show(
    invoke: Invoke, simulation: Simulation, fast_options: list[str], tmp_path: Path
) -> None:
    data, outcomes = simulation.data, simulation.data.outcomes.copy()
    odd = data.pool.names[0]
    rows = outcomes.index[outcomes["model"] == odd]
    outcomes.loc[rows, "cost_usd"] *= 7.7
    outcomes.loc[rows[::3], "cost_usd"] = 0.0
    gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    ).save(tmp_path / "data")
    out = tmp_path / "a"
    words = ("train", tmp_path / "data", "--out", out, *fast_options, "--json")
    status, shown, _ = invoke(*words)
    assert status == 0
    notes = json.loads(shown)["bills"]
    assert list(notes) == [odd]
    assert notes[odd][0].startswith("billed 7.7 x list price")
    assert notes[odd][1].startswith("cost_usd of 0 is left out")
    status, shown, _ = invoke("pool", "show", out, odd)
    assert status == 0
    for note in notes[odd]:
        assert note in shown


def test_few_graded_answers_are_told(
    invoke: Invoke, simulation: Simulation, tmp_path: Path
) -> None:
    data = simulation.data
    few = data.select_queries(data.queries["query_id"].tolist()[:10])
    few.save(tmp_path / "data")
    status, shown, _ = invoke("train", tmp_path / "data", "--out", tmp_path / "a", "--instant")
    assert status == 0
    [line] = [line for line in shown.splitlines() if "graded answers are missing" in line]
    split = load_router(tmp_path / "a").provenance.split
    shown_queries = {*split.train, *split.validation}
    counts = few.outcomes.loc[few.outcomes["query_id"].isin(shown_queries), "model"].value_counts()
    missing = (8 - counts).clip(lower=0).sum()
    assert missing > 0
    assert line.startswith(f"Note        {missing} graded answers are missing")


def test_a_correction_is_told_with_what_it_is_worth() -> None:
    metrics = {"ece_before": 0.0312, "ece_after": 0.0177, "log_loss_calibrated": 0.4821}
    told = _describe_calibration(metrics, is_identity=False)
    assert told == "expected calibration error 0.0312, corrected 0.0177; log loss corrected 0.4821"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "training.learning_rat=1"], "Did you mean 'training.learning_rate'?"),
        (["--config", "nowhere.yaml"], "No configuration file at nowhere.yaml"),
        (["--set", "split.test=0.7", "--set", "split.validation=0.4"], "at most 0.9"),
    ],
)
def test_bad_settings_are_one_line(
    invoke: Invoke, world: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    status, shown, errors = invoke("train", world, "--out", tmp_path / "a", *words)
    assert (status, shown) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1


@pytest.mark.usefixtures("no_training")
def test_bad_data_fails_before_training(
    invoke: Invoke, simulation: Simulation, tmp_path: Path
) -> None:
    simulation.data.save(tmp_path / "bad", format="csv")
    outcomes = tmp_path / "bad" / "outcomes.csv"
    outcomes.write_text(outcomes.read_text().replace(",1.0,", ",1.3,", 1))
    status, shown, errors = invoke("train", tmp_path / "bad", "--out", tmp_path / "a")
    assert (status, shown) == (2, "")
    assert "outcomes.csv, row" in errors
    assert "1.3" in errors
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("no_training")
def test_a_place_that_cannot_hold_the_artifact_is_refused_before_training(
    invoke: Invoke, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for out, message in (
        ("notes", "holds other files"),
        ("file", "is a file"),
        ("file/below", "is no folder"),
    ):
        status, shown, errors = invoke("train", world, "--out", tmp_path / out)
        assert (status, shown) == (2, "")
        assert message in errors
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "mine"


@pytest.mark.usefixtures("no_training")
def test_a_foreign_folder_in_the_place_of_the_checkpoints_is_kept(
    invoke: Invoke, world: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a.training"
    folder.mkdir()
    (folder / "slides.odp").write_text("mine")
    for flag in ("--resume", "--fresh"):
        status, _, errors = invoke("train", world, "--out", tmp_path / "a", flag)
        assert status == 2
        assert "holds something else" in errors
    assert (folder / "slides.odp").read_text() == "mine"


def test_an_interrupted_run_goes_on_unless_fresh(
    invoke: Invoke,
    world: Path,
    fast_options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("train", world, "--out", tmp_path / "a", *fast_options)
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoints_module, "discard_run", lambda folder: None
        )  # as if killed just before the end
        assert invoke(*words)[0] == 0
        first = GraphRouter.load(tmp_path / "a").provenance.metrics
        status, _, errors = invoke(*words)
    assert status == 0
    assert errors.startswith("Going on with the interrupted run in ")
    assert errors.count("\n") == 1
    assert GraphRouter.load(tmp_path / "a").provenance.metrics == first
    assert invoke(*words, "--fresh")[2] == ""


def test_ctrl_c_is_130_and_says_how_to_go_on(
    invoke: Invoke, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*args: object, **kwargs: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)  # as Lightning does

    monkeypatch.setattr(GraphRouter, "fit", fit)
    status, _, errors = invoke("train", world, "--out", tmp_path / "a")
    assert status == 130
    assert "the same command goes on from there" in errors
    assert errors.endswith("Error: interrupted.\n")


def test_what_libraries_print_does_not_reach_standard_output(
    invoke: Invoke,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    router: GraphRouter,
) -> None:
    def fit(*args: object, **kwargs: object) -> GraphRouter:
        sys.stdout.write("GPU available: False\n")
        return router

    monkeypatch.setattr(GraphRouter, "fit", fit)
    status, shown, errors = invoke("train", world, "--out", tmp_path / "a", "--json")
    assert (status, errors) == (0, "GPU available: False\n")
    json.loads(shown)


def test_a_baseline_becomes_an_artifact_that_routes(
    invoke: Invoke, world: Path, fast_options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "knn"
    status, shown, errors = invoke("train", world, "--router", "knn", "--out", out, *fast_options)
    assert (status, errors) == (0, "")
    assert f"graphrouter route {out}" in shown
    status, shown, _ = invoke("route", out, "Add 3 and 4.", "--task", "nonsense", "--json")
    assert status == 0
    assert json.loads(shown)["model"] in load_router(out).models
    told = json.loads(
        invoke(
            "train",
            world,
            "--router",
            "task_mean",
            "--out",
            tmp_path / "b",
            "--json",
            *fast_options,
        )[1]
    )
    assert (told["router"], told["num_models"]) == ("task_mean", 4)
    status, shown, errors = invoke("route", tmp_path / "b", "Add 3 and 4.", "--task", "nonsense")
    assert status == 0
    assert "never seen the task 'nonsense'" in errors


def test_unknown_and_unsuited_baselines_are_one_line(
    invoke: Invoke, world: Path, fast_options: list[str], tmp_path: Path
) -> None:
    for name, said in (("knx", "Unknown baseline 'knx'"), ("smoothie", "answer")):
        status, _, errors = invoke(
            "train", world, "--router", name, "--out", tmp_path / "a", *fast_options
        )
        assert status == 2
        assert said in errors
        assert errors.count("\n") == 1
        assert not (tmp_path / "a").exists()
    assert invoke("train", world, "--router", "knn", "--out", tmp_path / "a", *fast_options)[0] == 0
    status, _, errors = invoke("evaluate", tmp_path / "a", world)
    assert status == 2
    assert "'knn'; expected 'graphrouter'" in errors
