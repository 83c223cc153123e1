"""`graphrouter demo`, on a world small enough for a test."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.cli import demo as demo_module
from graphrouter.cli.demo import make_demo_config
from graphrouter.config import TrainConfig
from graphrouter.data import load_dataset
from graphrouter.policy import PRESETS
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, fast_config: TrainConfig) -> None:
    monkeypatch.setattr(demo_module, "NUM_QUERIES", 200)
    monkeypatch.setattr(demo_module, "NUM_MODELS", 4)
    monkeypatch.setattr(demo_module, "_NUM_DRAWS", 20)
    monkeypatch.setattr(
        demo_module, "make_demo_config", lambda seed: fast_config.model_copy(update={"seed": seed})
    )


@pytest.mark.usefixtures("small")
def test_goes_the_whole_way_and_its_next_commands_work(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, shown, errors = invoke("demo", "--seed", 3)
    assert (status, errors) == (0, "")
    for step in ("1 of 4", "2 of 4", "3 of 4", "4 of 4", "What to do next"):
        assert step in shown
    for preset in PRESETS:
        assert shown.count(preset) >= 4  # the truth's table, and three prompts
    assert "share of the gain" in shown
    commands = [
        shlex.split(line)
        for line in shown.replace("\\\n", "").splitlines()
        if line.startswith("  graphrouter ")
    ]
    assert [words[1] for words in commands] == ["route", "evaluate", "predict", "data", "train"]
    shown_next = shown.partition("What to do next")[2].splitlines()
    assert all(len(line) <= 80 for line in shown_next), "copied as they stand"
    for words in commands[:3]:
        status, _, errors = invoke(*words[1:])
        assert (status, errors) == (0, ""), words
    assert (tmp_path / "artifacts/demo/predictions.csv").is_file()
    router = GraphRouter.load("artifacts/demo/router")
    assert router.learned.config.seed == 3
    assert router.provenance.fingerprint == load_dataset("artifacts/demo/data").fingerprint


@pytest.mark.usefixtures("small")
def test_can_be_repeated_in_the_same_place(invoke: Invoke, tmp_path: Path) -> None:
    for _ in range(2):
        assert invoke("demo", "--out", tmp_path / "d")[0] == 0
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["data", "router"]


def test_refuses_a_place_with_other_files(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*args: object, **kwargs: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(GraphRouter, "fit", fit)
    (tmp_path / "router").mkdir()
    (tmp_path / "router" / "notes.txt").write_text("mine")
    status, shown, errors = invoke("demo", "--out", tmp_path)
    assert (status, shown) == (2, "")
    assert "holds other files" in errors


def test_the_seed_is_used() -> None:
    assert make_demo_config(4).seed == 4


@pytest.mark.slow
def test_the_real_demo_finds_most_of_the_gain(invoke: Invoke, tmp_path: Path) -> None:
    status, shown, _ = invoke("demo", "--out", tmp_path / "d")
    assert status == 0
    by_truth = shown[shown.index("share of the gain") :]
    share = next(line for line in by_truth.splitlines() if line.startswith("balanced")).split()[-1]
    assert int(share.rstrip("%")) >= 60
