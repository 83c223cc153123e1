from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from graphrouter.bench.simulate import simulate
from graphrouter.cli.data import app
from graphrouter.data import load_dataset
from graphrouter.exceptions import DataError

runner = CliRunner()


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_simulate_writes_the_tables_and_the_truth(tmp_path: Path, format: str) -> None:
    out = tmp_path / "world"
    arguments = [
        "simulate",
        "--out",
        str(out),
        "--queries",
        "40",
        "--models",
        "5",
        "--seed",
        "7",
        "--missing",
        "0.5",
    ]
    result = runner.invoke(app, [*arguments, "--format", format])
    assert result.exit_code == 0, result.output
    assert "40 queries, 5 models and 100 outcomes" in result.output
    assert sorted(path.stem for path in out.iterdir()) == [
        "models",
        "outcomes",
        "queries",
        "tasks",
        "truth",
    ]
    assert {path.suffix for path in out.iterdir()} == {f".{format}"}
    assert load_dataset(out).fingerprint == simulate(40, 5, seed=7, missing=0.5).data.fingerprint


def test_a_sparse_world_comes_with_the_truth_of_its_pairs(tmp_path: Path) -> None:
    arguments = ["simulate", "--out", str(tmp_path), "--queries", "50", "--models", "100"]
    result = runner.invoke(app, [*arguments, "--density", "0.02"])
    assert result.exit_code == 0, result.output
    assert "50 queries, 100 models and 100 outcomes" in result.output
    assert len(pd.read_parquet(tmp_path / "truth.parquet")) == 100
    assert load_dataset(tmp_path).fingerprint == simulate(50, 100, density=0.02).data.fingerprint


def test_simulate_refuses_numbers_out_of_range(tmp_path: Path) -> None:
    result = runner.invoke(app, ["simulate", "--out", str(tmp_path), "--models", "1"])
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_validate_says_what_is_valid(tmp_path: Path) -> None:
    simulate(40).data.save(tmp_path)
    result = runner.invoke(app, ["validate", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "is valid: 40 queries, 12 models, 408 outcomes, 10 tasks." in result.output


def test_validate_lets_the_mistake_through_to_the_root_command(tmp_path: Path) -> None:
    simulate(40).data.save(tmp_path, format="csv")
    outcomes = tmp_path / "outcomes.csv"
    lines = outcomes.read_text().splitlines()
    outcomes.write_text("\n".join([*lines, "nowhere" + lines[1]]) + "\n")
    result = runner.invoke(app, ["validate", str(tmp_path)])
    assert isinstance(result.exception, DataError)
    assert "outcomes.csv, row 409" in str(result.exception)


def test_describe_shows_tables(tmp_path: Path) -> None:
    simulate(40).data.save(tmp_path)
    result = runner.invoke(app, ["describe", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for text in ("Tasks", "Models", "code_writing", "tarn-grand", "85%"):
        assert text in result.output


def test_describe_writes_only_json(tmp_path: Path) -> None:
    simulate(40).data.save(tmp_path)
    result = runner.invoke(app, ["describe", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["num_queries"], summary["num_models"], summary["num_outcomes"]) == (40, 12, 408)
    assert len(summary["models"]) == 12
    assert summary["split"] is None


def test_describe_says_how_many_graded_answers_are_missing(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "prompt": [f"Question {i}?" for i in range(25)] + [f"Question {i}?" for i in range(6)],
            "model": ["nano"] * 25 + ["grand"] * 6,
            "effect": [1.0] * 31,
        }
    )
    table.to_csv(tmp_path / "answers.csv", index=False)
    file = str(tmp_path / "answers.csv")
    result = runner.invoke(app, ["describe", file], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "Effects can hardly be learned of grand: 2 graded answers are missing until" in shown
    assert "Choices can be compared on 6 queries" in shown
    assert "Latency cannot be learned: no call says it." in shown
    result = runner.invoke(app, ["describe", file, "--json"])
    assert json.loads(result.stdout)["num_missing_outcomes"] == 2
    assert result.stderr == ""


def test_describe_writes_which_pairs_to_grade_next(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "prompt": ["a", "a", "b", "b", "c"],
            "model": ["nano", "grand", "nano", "grand", "nano"],
            "effect": [1.0, 0.0, 1.0, None, None],
            "cost": [0.1] * 5,
        }
    )
    table.to_csv(tmp_path / "answers.csv", index=False)
    file, next_file = str(tmp_path / "answers.csv"), tmp_path / "next.csv"
    result = runner.invoke(app, ["describe", file, "--json", "--grades", str(next_file)])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["num_missing_outcomes"] == 6 + 7
    assert told["learnable"]["num_compared"] == 1
    pairs = pd.read_csv(next_file)
    assert set(zip(pairs["prompt"], pairs["model"], pairs["is_answered"], strict=True)) == {
        ("b", "grand", True),
        ("c", "nano", True),
        ("c", "grand", False),
    }
    assert "3 pairs to grade" in result.stderr
    assert "2 the answer was logged, the other 1 have to be asked for" in result.stderr
    result = runner.invoke(app, ["describe", file, "--logged", "--grades", str(next_file)])
    assert result.exit_code == 0, result.output
    assert set(pd.read_csv(next_file)["prompt"]) == {"b", "c"}
    assert "2 pairs to grade" in result.stderr
    assert "asked for" not in result.stderr
    for lonely in (("--num", "3"), ("--logged",)):
        assert runner.invoke(app, ["describe", file, *lonely]).exit_code != 0


def test_describe_says_that_no_cost_is_known(shared_data: Callable[[str], Path]) -> None:
    result = runner.invoke(app, ["describe", str(shared_data("llmrouter_default"))])
    assert result.exit_code == 0, result.output
    assert "policies can weigh effect only" in result.stderr
    assert "policies can weigh effect only" not in result.stdout


def test_simulate_does_not_overwrite_data_of_others(
    invoke: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "queries.parquet").write_bytes(b"mine")
    status, _, errors = invoke("data", "simulate", "--out", tmp_path, "--queries", 20)
    assert status == 2
    assert "was not simulated" in errors
    assert (tmp_path / "queries.parquet").read_bytes() == b"mine"
    for queries in (20, 30):  # what was simulated may be simulated again
        assert invoke("data", "simulate", "--out", tmp_path / "new", "--queries", queries)[0] == 0
