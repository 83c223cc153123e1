"""Predictions on a Ray cluster of two workers on this machine."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import graphrouter as gr
from graphrouter.cli.app import app
from graphrouter.engines import deploy_route
from graphrouter.types import Queries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of Ray are not ours to mend
]


def run(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.output


def test_scores_are_those_of_one_process_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=200, num_models=4).data
    router = gr.GraphRouter.fit(data, instant=True)
    router.save(tmp_path / "router")
    prompts, out = tmp_path / "prompts", tmp_path / "scores"
    prompts.mkdir()
    table = data.queries[["query_id", "task", "prompt"]].iloc[:100]
    for number in range(2):
        part = pa.Table.from_pandas(table.iloc[number * 50 : number * 50 + 50])
        pq.write_table(part, prompts / f"{number}.parquet", row_group_size=20)

    words = ["predict", tmp_path / "router", prompts, "--engine", "ray", "--out", out]
    assert "Wrote 400 rows" in run(*words, "--workers", 2)
    files = sorted(out.glob("part-*.parquet"))
    assert len(files) == 6

    # As after a kill: a part is missing, and a draft of another attempt lies about.
    kept = {file: file.stat().st_mtime_ns for file in files[1:]}
    files[0].rename(out / f".{files[0].name}.draft")
    assert "Wrote 80 rows" in run(*words, "--workers", 2)
    assert {file: file.stat().st_mtime_ns for file in files[1:]} == kept
    assert "Wrote 0 rows" in run(*words)

    found = pd.concat(map(pd.read_parquet, sorted(out.glob("part-*.parquet"))), ignore_index=True)
    tasks = table["task"].tolist()
    expected = router.predict(table["prompt"].tolist(), tasks=tasks)
    expected = expected.to_frame(table["query_id"].tolist())
    assert found["query_id"].tolist() == expected["query_id"].tolist()
    assert found["model"].tolist() == expected["model"].tolist()
    for name in expected.columns[2:]:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[gr.GraphRouter, Path, Path]:
    """A router, its artifact, and a folder of 60 prompts in six row groups."""
    folder = tmp_path_factory.mktemp("ray")
    data = gr.simulate(num_queries=200, num_models=4).data
    router = gr.GraphRouter.fit(data, instant=True)
    router.save(folder / "router")
    prompts = folder / "prompts"
    prompts.mkdir()
    table = data.queries[["query_id", "task", "prompt"]].iloc[:60]
    pq.write_table(pa.Table.from_pandas(table), prompts / "all.parquet", row_group_size=10)
    return router, folder / "router", prompts


def test_a_budget_buys_what_it_buys_on_one_machine(
    served: tuple[gr.GraphRouter, Path, Path], tmp_path: Path
) -> None:
    router, artifact, prompts = served
    table = pd.read_parquet(prompts)
    free = router.route_batch(Queries.of_frame(table), policy=gr.Policy.preset("performance_first"))
    budget = sum(each.cost_usd for each in free) / 3
    file = tmp_path / "prompts.parquet"
    table.to_parquet(file)
    limits = ["--budget-usd", budget, "--exclude", router.models[0]]
    told = run("assign", artifact, file, *limits, "--out", tmp_path / "here.parquet")
    words = ["assign", artifact, prompts, *limits, "--engine", "ray", "--out", tmp_path / "ray"]
    there = run(*words)
    assert told.partition("Effect")[2] == there.partition("Effect")[2] != ""
    here = pd.read_parquet(tmp_path / "here.parquet")
    files = sorted((tmp_path / "ray" / "choices").glob("part-*.parquet"))
    assert len(files) == 6
    found = pd.concat(map(pd.read_parquet, files), ignore_index=True)
    pd.testing.assert_frame_equal(found, here, check_dtype=False)
    assert found["cost_usd"].sum() <= budget
    assert router.models[0] not in set(found["model"])
    # Another budget is another work, whose choices must not be mixed with these.
    words[words.index(budget)] = budget / 2
    result = CliRunner().invoke(app, list(map(str, words)))
    assert "another work" in str(result.exception)


def test_cells_of_a_benchmark_are_those_of_one_machine(tmp_path: Path) -> None:
    words = [
        "benchmark",
        "simulated",
        "--routers",
        "knn,task_mean",
        "--set",
        "training.max_epochs=0",
    ]
    run(*words, "--jobs", 1, "--out", tmp_path / "here")
    run(*words, "--jobs", 2, "--engine", "ray", "--out", tmp_path / "there")
    here, there = (
        json.loads((tmp_path / name / "simulated.json").read_text()) for name in ("here", "there")
    )
    assert here["settings"] == there["settings"]


def test_a_deployment_routes_by_handle_and_over_http(
    served: tuple[gr.GraphRouter, Path, Path],
) -> None:
    import ray
    from ray import serve

    router, artifact, _ = served
    policy = gr.Policy.preset("performance_first")
    expected = router.route("Add 3 and 4.", policy=policy)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        handle = serve.run(deploy_route(str(artifact), policy=policy), route_prefix="/route")
        found = handle.route.remote("Add 3 and 4.").result(timeout_s=60)
        assert found["model"] == expected.model
        assert found["effect"] == pytest.approx(expected.effect, rel=1e-9)

        def post(body: object) -> tuple[int, dict[str, Any]]:
            asked = urllib.request.Request(
                f"http://127.0.0.1:{port}/route", data=json.dumps(body).encode()
            )
            try:
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)

        assert post({"prompt": "Add 3 and 4."}) == (200, found)
        cheap = {"prompt": "Add 3 and 4.", "policy": {"cost_weight": 1, "effect_weight": 0}}
        assert (
            post(cheap)[1]["model"]
            == router.route("Add 3 and 4.", policy=gr.Policy(cost_weight=1, effect_weight=0)).model
        )
        for wrong in ([], {"promt": "x"}, {"prompt": 3}, {"prompt": "x", "policy": {"cost": 1}}):
            status, told = post(wrong)
            assert status == 400
            assert told["error"]["message"]
    finally:
        serve.shutdown()
        ray.shutdown()
