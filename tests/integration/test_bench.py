"""The benchmark runs on a tiny world and tells a slower run from one that is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphrouter as gr
from experiments.bench import beside_llmrouter, plots, report, run

TINY = ["--queries=60", "--models=3", "--routes=3", "--changes=1", "--loads=1", "--streamed=50"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    assert run.main([*TINY, "--steps=1", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = report.read_result(folder / "bench.json")
    return found


def test_every_figure_is_a_multiple_of_a_yardstick(folder: Path, result: dict[str, Any]) -> None:
    assert list(result["measures"]) == [
        "load to first answer, s",
        "first route after loading, ms",
        "peak memory, MiB",
        "peak memory of 50 streamed prompts, MiB",
        "route, median, ms",
        "route, 99th percentile, ms",
        "predict 256 prompts, ms a prompt",
        "predict a prompt of a million characters, ms",
        "route by 8 threads, ms",
        "predict prompts of 80 characters by 2 processes, ms a prompt",
        "add_outcomes of one row, ms",
        "add_outcomes of 1,000 rows, ms",
        "add_outcomes of one row, unsettled, ms",
        "add_outcomes of 1,000 rows, unsettled, ms",
        "set_price, ms",
        "route with 2 x the queries, ms",
        "route with 4 x the queries, ms",
        "route with 2 x the models, ms",
        "route with 4 x the models, ms",
        "route with 0.25 x the outcomes, ms",
        "route with 0.5 x the outcomes, ms",
        "training step, ms",
    ]
    page = (folder / "bench.md").read_text(encoding="utf-8")
    for name, found in result["measures"].items():
        assert found["value"] > 0
        assert found["over"]
        assert all(ratio > 0 for ratio in found["over"].values())
        assert f"| {name} |" in page
    assert "(bench.svg)" in page
    growth = plots.read_growth(result)
    assert {what: [times for times, _ in curve] for what, curve in growth.items()} == {
        "queries": [1, 2, 4],
        "models": [1, 2, 4],
        "outcomes": [0.25, 0.5, 1],
    }
    assert (folder / "bench.svg").read_text(encoding="utf-8") == plots.draw(result)
    assert plots.draw(result, result).count("<circle") == 2 * plots.draw(result).count("<circle")
    assert result["settings"]["num_models"] == 3
    assert set(result["measures"]["route, median, ms"]["over"]) == {
        "encode + search",
        "encode + knn",
    }


@pytest.mark.slow
def test_a_dataset_and_an_artifact_are_measured_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    data.save(tmp_path / "world")
    gr.GraphRouter.fit(data, instant=True).save(tmp_path / "router")
    words = [str(tmp_path / "world"), "--artifact", str(tmp_path / "router"), *TINY, "--steps=0"]
    first, second = tmp_path / "first", tmp_path / "second"
    assert run.main([*words, "--out", str(first)]) == 0
    old = json.loads((first / "bench.json").read_text(encoding="utf-8"))
    assert "training step, ms" not in old["measures"]
    assert "route with 4 x the models, ms" not in old["measures"]
    memory = old["measures"]["peak memory, MiB"]["over"]
    memory["imports"] /= 1000  # as if an earlier release had needed a thousandth
    for found in old["measures"].values():
        if found["over"] is not memory:
            found["over"] = dict.fromkeys(found["over"], 1e9)
    (tmp_path / "old.json").write_text(json.dumps(old), encoding="utf-8")
    words += ["--out", str(second), "--against", str(tmp_path / "old.json")]
    assert run.main(words) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert [line.partition(",")[0] for line in said] == ["more than doubled: peak memory"]
    assert "| measure | yardstick | before | now | growth |" in (second / "bench.md").read_text()


def test_ratios_that_at_most_doubled_pass(result: dict[str, Any]) -> None:
    slower = json.loads(json.dumps(result))
    over = slower["measures"]["route, median, ms"]["over"]
    over["encode + search"] *= 2
    assert report.compare(slower, result)[1] == []
    over["encode + search"] *= 1.01
    lines, doubled = report.compare(slower, result)
    assert [line.partition(":")[0] for line in doubled] == ["route, median, ms / encode + search"]
    assert any(line.startswith("| route, median, ms | encode + search |") for line in lines)
    del slower["measures"]["training step, ms"]
    assert "In one of the two runs alone: training step" in report.compare(result, slower)[0][-1]


def test_runs_of_other_data_are_not_compared(result: dict[str, Any]) -> None:
    other = {**result, "settings": {**result["settings"], "num_models": 4}}
    with pytest.raises(report.BenchError, match="not of the same data"):
        report.compare(result, other)
    with pytest.raises(report.BenchError, match="no ratio in common"):
        report.compare(result, {**result, "measures": {}})


@pytest.mark.parametrize(
    "text",
    [
        None,
        "no JSON",
        "[]",
        '{"settings": {}}',
        '{"settings": {}, "measures": {"route": {"over": {"encode": 0}}}}',
        '{"settings": {}, "measures": {"route": {"over": {"encode": "fast"}}}}',
    ],
)
def test_what_is_no_result_is_refused_before_anything_is_measured(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.json"
    if text is not None:
        old.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        run.main([*TINY, "--against", str(old)])
    assert ended.value.code == 2
    assert "is no bench.json" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--routes=0"], ["--queries=many"], ["no_such_dataset"]])
def test_bad_input_ends_with_status_2(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main([*words, "--out", str(tmp_path)])
    assert ended.value.code == 2


ANSWERS = """
import json, sys
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps({"as_is": 3.0, "kept": 2.0}), flush=True)
"""


def test_a_route_is_held_against_routers_of_another_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    router = gr.GraphRouter.fit(data, instant=True)
    prompts = ["How many?", "Who was it?"]
    beside_llmrouter.export(router, prompts, tmp_path)
    lines = (tmp_path / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()
    rows = list(map(json.loads, lines))
    assert len(rows) == len(router.support.outcomes)
    texts = dict(zip(range(60), router.support.queries["prompt"], strict=False))
    assert all(row["query"] == texts[row["embedding_id"]] for row in rows)
    assert np.load(tmp_path / "prompts.npy").shape == (2, router.encoder.dimension)
    told = json.loads((tmp_path / "graph.yaml").read_text(encoding="utf-8"))
    assert list(told["llm_data"]) == list(router.models)

    (tmp_path / "answers.py").write_text(ANSWERS, encoding="utf-8")
    monkeypatch.setattr(beside_llmrouter, "ROUTES", tmp_path / "answers.py")
    ((name, found),) = beside_llmrouter.measure_beside(
        router, prompts, Path(sys.executable)
    ).items()
    assert name == "route of 500 characters, ms"
    assert (
        list(found["over"])
        == list(found["yardsticks_ms"])
        == [
            "LLMRouter 0.4 knn",
            "LLMRouter 0.4 knn, its model kept",
            "LLMRouter 0.4 graph",
            "LLMRouter 0.4 graph, its model kept",
        ]
    )
    assert found["yardsticks_ms"]["LLMRouter 0.4 graph"] == 3000.0
    assert found["over"]["LLMRouter 0.4 graph"] == pytest.approx(found["value"] / 3000)
    (line,) = report.render({"settings": {}, "made_with": {}, "measures": {name: found}})[4:]
    assert "x LLMRouter 0.4 graph (3,000.0 ms)" in line

    (tmp_path / "answers.py").write_text("import sys; sys.exit(3)", encoding="utf-8")
    with pytest.raises(report.BenchError, match="ended, with exit status 3"):
        beside_llmrouter.measure_beside(router, prompts, Path(sys.executable))


def test_an_environment_that_cannot_be_made_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        run.main([*TINY, "--llmrouter", str(tmp_path / "file"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "No environment for LLMRouter 0.4" in capsys.readouterr().err
