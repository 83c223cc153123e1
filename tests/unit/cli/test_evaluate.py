"""`graphrouter evaluate`: on which queries, against which baselines, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.baselines.catalogue import CASCADES
from graphrouter.bench.baselines.methods import paper
from graphrouter.bench.simulate.simulation import Simulation
from graphrouter.cli.console import console
from graphrouter.data import RoutingDataset
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
DRAWS = ("--draws", 20)


def changed(
    data: RoutingDataset, *, queries: pd.DataFrame | None = None, models: pd.DataFrame | None = None
) -> RoutingDataset:
    """The data with other queries or models; outcomes that no longer fit are dropped."""
    queries = data.queries if queries is None else queries
    models = data.models if models is None else models
    fits = data.outcomes["query_id"].isin(queries["query_id"]) & data.outcomes["model"].isin(
        models["model"]
    )
    return RoutingDataset.from_frames(
        queries=queries,
        models=models,
        outcomes=data.outcomes[fits],
        tasks=data.tasks,
        name="changed",
    )


def test_both_settings_are_shown_with_a_verdict(
    invoke: Invoke, artifact: Path, world: Path
) -> None:
    status, shown, errors = invoke("evaluate", artifact, world, *DRAWS, "--all")
    assert (status, errors) == (0, "")
    for setting in ("task known", "task hidden"):
        assert f"world: 30 queries, 4 models, {setting}" in shown
    for text in (
        "log loss",
        "balanced reward",
        "calibration error",
        "deviation R2",
        "cost saved",
        "knn",
        "oracle",
        "observed pairs",
    ):
        assert shown.count(text) >= 2
    for line in shown.splitlines():
        assert len(line) <= 120
    assert shown.count("graphrouter") >= 4, "each setting ends in a verdict"


def test_the_verdict_comes_first_then_six_figures(
    invoke: Invoke, artifact: Path, world: Path
) -> None:
    status, shown, errors = invoke("evaluate", artifact, world, *DRAWS)
    assert (status, errors) == (0, "")
    first, _, rest = shown.partition("world: 30 queries")
    assert first.startswith(("Where you name the task", "With and without the task"))
    assert len(shown.splitlines()) < 60
    for text in ("log loss", "calibration error", "balanced reward", "area"):
        assert text in rest
    assert "cost saved" not in shown


def test_json_goes_to_a_file_or_is_all_there_is(
    invoke: Invoke, artifact: Path, world: Path, tmp_path: Path
) -> None:
    file = tmp_path / "new" / "figures.json"
    status, shown, _ = invoke("evaluate", artifact, world, *DRAWS, "--json", file)
    assert status == 0
    assert str(file) in shown
    status, shown, errors = invoke("evaluate", artifact, world, *DRAWS, "--json", "-")
    assert (status, errors) == (0, "")
    assert json.loads(shown) == json.loads(file.read_text())
    assert json.loads(shown)["num_queries"] == 30
    assert set(json.loads(shown)["settings"]) == {"task_known", "task_hidden"}
    assert "log_loss" in json.loads(shown)["settings"]["task_known"]["paired"]["knn"]


def test_baselines_can_be_named(invoke: Invoke, artifact: Path, world: Path) -> None:
    found = json.loads(
        invoke("evaluate", artifact, world, *DRAWS, "--baselines", "rasch", "--json", "-")[1]
    )
    assert list(found["settings"]["task_known"]["routers"]) == [
        "graphrouter",
        "best_single",
        "task_mean",
        "rasch",
        "oracle",
    ]
    status, _, errors = invoke("evaluate", artifact, world, "--baselines", "rash")
    assert status == 2
    assert "Unknown baseline 'rash'" in errors


def test_robustness_and_a_report_on_request(
    invoke: Invoke, artifact: Path, world: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    words = (
        "evaluate",
        artifact,
        world,
        *DRAWS,
        "--baselines",
        "knn",
        "--robustness",
        "--html",
        page,
    )
    status, shown, errors = invoke(*words)
    assert (status, errors) == (0, "")
    assert "flip" in shown
    assert "<html" in page.read_text()
    assert "log loss" in page.with_suffix(".md").read_text()
    found = json.loads(invoke(*words[:-2], "--json", "-")[1])
    assert set(found) == {
        "dataset",
        "num_queries",
        "num_models",
        "seeds",
        "coverage",
        "settings",
        "assignment",
        "robustness",
    }
    assert 0 <= found["robustness"]["score"]["value"] <= 1


def test_every_baseline_or_why_not(
    invoke: Invoke, artifact: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "NUM_STEPS", 5)
    found = json.loads(
        invoke("evaluate", artifact, world, *DRAWS, "--baselines", "all", "--json", "-")[1]
    )
    there = set(found["settings"]["task_hidden"]["routers"])
    assert there | set(found["failed"]) == {"graphrouter", "oracle", *BASELINES}
    assert set(found["failed"]) == {"smoothie"}
    assert "answer" in found["failed"]["smoothie"]


def test_many_routers_keep_their_names_in_a_narrow_terminal(
    invoke: Invoke, artifact: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(console, "_width", 60)
    names = "knn,linear,svm,rasch,composition_of_experts,carrot_linear"
    shown = invoke("evaluate", artifact, world, *DRAWS, "--baselines", names)[1]
    assert shown.count("composition_of_experts ") >= 4, (
        "the table is divided by metrics, and every part has the names"
    )
    assert max(map(len, shown.splitlines())) <= 60


def test_intervals_can_be_shown(invoke: Invoke, artifact: Path, world: Path) -> None:
    found = json.loads(invoke("evaluate", artifact, world, *DRAWS, "--json", "-")[1])
    interval = found["settings"]["task_known"]["paired"]["rasch"]["log_loss"]
    shown = invoke("evaluate", artifact, world, *DRAWS, "--intervals")[1]
    assert f"({interval['diff']:+.4f} [{interval['low']:+.4f}, {interval['high']:+.4f}]" in shown


def test_bad_data_and_bad_targets_are_one_line(
    invoke: Invoke, artifact: Path, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.json").mkdir()
    for words in (
        (artifact, tmp_path / "nowhere"),
        (tmp_path / "nowhere", world),
        (artifact, world, "--json", tmp_path / "folder.json"),
    ):
        status, shown, errors = invoke("evaluate", *words)
        assert (status, shown) == (2, "")
        assert errors.count("\n") == 1


def test_data_without_training_queries_and_tasks(
    invoke: Invoke, artifact: Path, router: GraphRouter, simulation: Simulation, tmp_path: Path
) -> None:
    data = simulation.data
    test_only = data.queries[data.queries["query_id"].isin(router.provenance.split.test)].assign(
        task=None
    )
    changed(data, queries=test_only).save(tmp_path / "later")
    status, shown, errors = invoke("evaluate", artifact, tmp_path / "later", *DRAWS)
    assert status == 0
    assert errors.startswith("Warning: 'later' is not the data that the artifact was trained on")
    assert "later: 30 queries, 4 models, task hidden" in shown
    assert "task known" not in shown


def test_a_column_of_outcomes_may_be_the_judge(
    invoke: Invoke, artifact: Path, simulation: Simulation, tmp_path: Path
) -> None:
    data = simulation.data
    outcomes = data.outcomes.assign(judge_score=0.2 + 0.6 * data.outcomes["effect"])
    frames = {name: getattr(data, name) for name in ("queries", "models", "tasks")}
    RoutingDataset.from_frames(**frames, outcomes=outcomes).save(tmp_path / "judged", format="csv")
    told = ("--judge", "column:judge_score", "--json", "-", *DRAWS)
    status, shown, errors = invoke("evaluate", artifact, tmp_path / "judged", *told)
    assert (status, errors) == (0, "")
    routers = json.loads(shown)["settings"]["task_known"]["routers"]
    reward = {name: each["reward_performance_first"]["value"] for name, each in routers.items()}
    assert reward["graphrouter_sequential"] > reward["graphrouter"]
    calls = json.loads(shown)["calls"]["task_known"]
    assert set(calls) == {"graphrouter", "graphrouter_sequential", *CASCADES}
    assert set(calls["graphrouter"]["num_calls"]) == {1.0}
    planned = calls["graphrouter_sequential"]
    assert planned["num_calls"][0] == pytest.approx(
        routers["graphrouter_sequential"]["mean_calls"]["value"]
    )
    assert planned["num_calls"][0] > 1
    assert len(planned["effect"]) == len(planned["cost_usd"]) == len(planned["num_calls"])
    status, shown, _ = invoke("evaluate", artifact, tmp_path / "judged", *told[:2], *DRAWS)
    assert status == 0
    assert "Calls of a query, task known" in shown
    assert "Calls of a query, task hidden" in shown
    assert "calls" in shown.split("Calls of a query")[0]  # the metric, in the table of figures
    plain = invoke("evaluate", artifact, tmp_path / "judged", *DRAWS)[1]
    assert "Calls of a query" not in plain
    for judge, said in (
        ("column:judge_scor", "Did you mean 'judge_score'?"),
        ("column:", "column:NAME, a column of the outcomes"),
    ):
        status, shown, errors = invoke("evaluate", artifact, tmp_path / "judged", "--judge", judge)
        assert (status, shown) == (2, "")
        assert said in errors
        assert errors.count("\n") == 1


def test_budgets_and_promises_on_request(
    invoke: Invoke, artifact: Path, world: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    words = ("evaluate", artifact, world, *DRAWS, "--budgets", "--promises")
    status, shown, errors = invoke(*words, "--html", page, "--json", tmp_path / "figures.json")
    assert (status, errors) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    for setting in ("task_known", "task_hidden"):
        points = figures["budgets"][setting]["points"]
        assert points[0]["budget_usd"] < points[-1]["budget_usd"]
        assert all(point["optimum"] >= point["effect"] for point in points)
    refused, unmeasured = figures["promises"].values()
    assert [trial["keep"] for trial in refused] == [0.99, 0.95]
    assert all("graded queries do not support" in trial["refusal"] for trial in refused)
    assert "at least 20 are wanted" in unmeasured["unmeasured"]
    assert shown.count("A budget over the batch, task") == 2
    assert shown.count("Promises, task") == 2
    assert "A budget over the batch" in page.read_text(encoding="utf-8")
    assert "--budgets --promises" in page.with_suffix(".md").read_text(encoding="utf-8")
    plain = json.loads(invoke("evaluate", artifact, world, *DRAWS, "--json", "-")[1])
    assert not {"budgets", "promises"} & set(plain)
    status, shown, errors = invoke(*words, "--split", "validation")
    assert (status, shown) == (2, "")
    assert "a promise needs queries that the artifact has not seen" in errors
