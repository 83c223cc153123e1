"""`graphrouter graph inspect`: tables for people, JSON for machines, GraphML for other tools."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest
from typer.testing import CliRunner

from graphrouter.bench.simulate import simulate
from graphrouter.cli.app import run
from graphrouter.cli.graph import app

runner = CliRunner(env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world")
    simulate(80, 5, seed=4).data.save(path)
    return path


@pytest.fixture(scope="module")
def num_outcomes(folder: Path) -> int:
    return len(pd.read_parquet(folder / "outcomes.parquet"))


def test_inspect_shows_counts_coverage_projections_and_the_leakage_check(
    folder: Path, num_outcomes: int
) -> None:
    result = runner.invoke(app, ["inspect", str(folder)])
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    for text in (
        f"query answered_by model {num_outcomes}",
        "code_writing",
        "Isolated nodes: no tasks; no queries; no models.",
    ):
        assert text in words
    assert "Projection on tasks: 10 x 5 nodes, 50 edges." in words
    assert "Leakage: none." in words
    assert "of 56 support queries" in words
    assert "among them are 0 of the" in words
    assert "supervised pairs of 8 target queries" in words


def test_inspect_writes_only_json(folder: Path, num_outcomes: int, tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["inspect", str(folder), "--json", "--graphml", str(tmp_path / "graph.graphml")]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["graph"]["nodes"] == {"task": 10, "query": 80, "model": 5}
    assert report["graph"]["edges"]["answered_by"] == num_outcomes
    assert len(report["projections"]["tasks"]) == 50
    assert set(report["projections"]["families"][0]) == {
        "family",
        "model",
        "num_outcomes",
        "mean_effect",
    }
    leakage = report["leakage"]
    assert (leakage["num_supervised_messages"], leakage["num_hidden_messages"]) == (0, 0)
    counted = (
        leakage["num_message_outcomes"]
        + leakage["num_supervised_pairs"]
        + leakage["num_hidden_outcomes"]
    )
    assert counted == num_outcomes
    assert report["leakage_not_checked"] is None
    assert (tmp_path / "graph.graphml").is_file()


@pytest.mark.parametrize(
    ("projection", "kinds"),
    [
        ("none", {"task", "query", "model"}),
        ("tasks", {"task", "model"}),
        ("families", {"family", "model"}),
    ],
)
def test_graphml_holds_the_chosen_view(
    folder: Path, tmp_path: Path, projection: str, kinds: set[str]
) -> None:
    file = tmp_path / "graph.graphml"
    result = runner.invoke(
        app, ["inspect", str(folder), "--projection", projection, "--graphml", str(file)]
    )
    assert result.exit_code == 0, result.output
    graph = nx.read_graphml(file)
    assert {kind for _, kind in graph.nodes(data="kind")} == kinds
    assert (
        f"{graph.number_of_nodes():,} nodes and {graph.number_of_edges():,} edges to {file}"
        in result.stderr
    )
    assert ("Models by" in result.stdout) == (projection != "none")


def test_a_projection_lists_the_best_model_of_each_task_first(folder: Path) -> None:
    result = runner.invoke(app, ["inspect", str(folder), "--json", "--projection", "tasks"])
    rows = [
        row for row in json.loads(result.stdout)["projections"]["tasks"] if row["task"] == "facts"
    ]
    effects = [row["mean_effect"] for row in rows]
    assert effects == sorted(effects, reverse=True)
    assert len({row["model"] for row in rows}) == 5


def test_settings_decide_the_split_and_the_neighbours(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("split: {test: 0.5}\n", encoding="utf-8")
    arguments = [
        "inspect",
        str(folder),
        "--json",
        "--config",
        str(config),
        "--set",
        "graph.num_neighbours=3",
    ]
    report = json.loads(runner.invoke(app, arguments).stdout)
    assert report["leakage"]["num_support_queries"] == 32
    assert report["leakage"]["edges"]["similar_to"] == 3 * report["leakage"]["num_target_queries"]
    assert report["graph"]["edges"]["similar_to"] == 240


def test_data_too_small_to_divide_is_shown_without_the_check(tmp_path: Path) -> None:
    pd.DataFrame({"query_id": ["a", "b"], "task": ["t", None], "prompt": ["1?", "2?"]}).to_csv(
        tmp_path / "queries.csv"
    )
    pd.DataFrame({"model": ["x", "y"]}).to_csv(tmp_path / "models.csv")
    pd.DataFrame({"query_id": ["a"], "model": ["x"], "effect": [1.0]}).to_csv(
        tmp_path / "outcomes.csv"
    )
    result = runner.invoke(app, ["inspect", str(tmp_path)])
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "Leakage: not checked. Too few queries to divide: 2" in words
    assert "no tasks; no queries; 1 model (y)" not in words
    assert "1 model (y)" in words
    assert "(no model states its family)" in words
    shown = json.loads(runner.invoke(app, ["inspect", str(tmp_path), "--json"]).stdout)
    assert shown["leakage"] is None
    assert shown["leakage_not_checked"].startswith("Too few queries")


def test_outcomes_in_parts_are_pointed_out(tmp_path: Path) -> None:
    pd.DataFrame({"query_id": ["a", "b"], "task": [None, None], "prompt": ["1?", "2?"]}).to_csv(
        tmp_path / "queries.csv"
    )
    pd.DataFrame({"model": ["x", "y"]}).to_csv(tmp_path / "models.csv")
    pd.DataFrame({"query_id": ["a", "b"], "model": ["x", "y"], "effect": [1.0, 0.0]}).to_csv(
        tmp_path / "outcomes.csv"
    )
    result = runner.invoke(app, ["inspect", str(tmp_path)])
    assert "Outcomes fall into 2 unconnected parts" in result.stdout


def test_mistakes_end_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["graph", "inspect", str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err.startswith("Error: There is no folder")
    assert run(["graph", "inspect", str(folder), "--set", "graph.neighbours=3"]) == 2
    assert "Did you mean 'graph.num_neighbours'?" in capsys.readouterr().err
    assert run(["graph", "inspect", str(folder), "--projection", "models"]) == 2
    assert "--projection" in capsys.readouterr().err
    assert (
        run(
            [
                "graph",
                "inspect",
                str(folder),
                "--json",
                "--graphml",
                str(tmp_path / "absent" / "g.graphml"),
            ]
        )
        == 2
    )
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert "Cannot write" in shown.err
