"""Benchmarks on a small simulated world: every router on every split, resumed, and robust to
routers that fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES, LearningData
from graphrouter.bench.baselines.methods import paper
from graphrouter.bench.baselines.methods.means import BestSingle
from graphrouter.bench.evaluation import METRICS
from graphrouter.bench.evaluation.benchmark import (
    MAIN,
    CellResult,
    Plan,
    build_results_table,
    collect,
    find_missing,
    open_cells,
    plan_benchmark,
    run_cells,
    write_results,
)
from graphrouter.bench.evaluation.grid import prepared_split, read_cell, write_cell
from graphrouter.bench.evaluation.router_output import Replayed, RouterOutput
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.types import Predictions

QUICK = gr.load_config(
    overrides=[
        "training.max_epochs=0",
        "training.steps_per_epoch=2",
        "encoder.name=hashing",
        "encoder.dimension=64",
    ]
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "world"
    gr.simulate(num_queries=150, num_models=4, seed=7, missing=0.2).data.save(folder)
    return folder


@pytest.fixture(autouse=True)
def _fresh_worker() -> Iterator[None]:
    prepared_split._load.cache_clear()
    prepared_split._prepare.cache_clear()
    yield
    prepared_split._load.cache_clear()
    prepared_split._prepare.cache_clear()


def plan(
    world: Path, out: Path, routers: list[str], *, seeds: int = 2, config: gr.TrainConfig = QUICK
) -> Plan:
    return plan_benchmark([str(world)], out, routers=routers, num_seeds=seeds, config=config)


def finish(prepared: Plan) -> dict[tuple[int, str], str]:
    return {
        (cell.seed, cell.router): result.status
        for cell, result in run_cells(open_cells(prepared), num_processes=1)
    }


def test_every_router_on_every_split_and_nothing_twice(world: Path, tmp_path: Path) -> None:
    prepared = plan(world, tmp_path, ["knn", "routerbench_cascade"])
    assert finish(prepared) == {
        (seed, router): "done"
        for seed in (0, 1)
        for router in (MAIN, "best_single", "task_mean", "knn", "routerbench_cascade")
    }
    assert open_cells(prepared) == []
    [result] = collect(prepared, num_draws=50)
    found = result.evaluation
    assert (found.router, found.seeds, found.num_models, found.failed) == (MAIN, (0, 1), 4, {})
    for setting in ("task_known", "task_hidden"):
        figures = found.settings[setting]
        assert list(figures.routers) == [
            MAIN,
            "best_single",
            "task_mean",
            "knn",
            "routerbench_cascade",
            "oracle",
        ]
        assert set(figures.paired) == set(figures.routers) - {MAIN}
        for metric in METRICS:
            values = [figures.routers[name][metric].value for name in (MAIN, "knn")]
            difference = figures.paired["knn"][metric].value
            if np.isfinite([*values, difference]).all():
                assert difference == pytest.approx(values[0] - values[1], abs=1e-9), metric
        assert np.isnan(figures.routers["routerbench_cascade"]["log_loss"].value)
        assert np.isfinite(figures.routers["routerbench_cascade"]["area_log"].value)


def test_figures_are_the_means_over_the_splits(world: Path, tmp_path: Path) -> None:
    both = plan(world, tmp_path, ["knn"])
    finish(both)
    [together] = collect(both, num_draws=20)
    alone = [
        next(
            iter(
                collect(
                    Plan(tuple(c for c in both.cells if c.seed == seed), both.names, tmp_path),
                    num_draws=20,
                )
            )
        )
        for seed in (0, 1)
    ]
    for metric in ("log_loss", "reward_balanced", "area_log", "ece"):
        parts = [
            each.evaluation.settings["task_hidden"].routers["knn"][metric].value for each in alone
        ]
        assert together.evaluation.settings["task_hidden"].routers["knn"][
            metric
        ].value == pytest.approx(np.mean(parts))


def test_an_interrupted_benchmark_goes_on_and_damaged_cells_are_run_again(
    world: Path, tmp_path: Path
) -> None:
    prepared = plan(world, tmp_path, ["knn"], seeds=1)
    some = run_cells(prepared.cells, num_processes=1)
    next(some)
    next(some)
    some.close()  # type: ignore[attr-defined]
    assert [cell.router for cell in open_cells(prepared)] == ["task_mean", "knn"]
    finish(prepared)
    prepared.cells[0].file.write_bytes(b"half a file")
    assert [cell.router for cell in open_cells(prepared)] == [MAIN]
    wider = plan(world, tmp_path, ["knn", "linear"], seeds=1)
    assert {cell.router for cell in open_cells(wider)} == {MAIN, "linear"}
    other = gr.load_config(
        overrides=["training.max_epochs=2", "encoder.name=hashing", "encoder.dimension=64"]
    )
    changed = plan(world, tmp_path, ["knn"], seeds=1, config=other)
    assert [cell.router for cell in open_cells(changed)] == [MAIN], (
        "the settings of the network are nothing to a baseline"
    )


class Failing(BestSingle):
    """A baseline that breaks while it is fitted."""

    name = "failing"

    @classmethod
    def learn(cls, data: LearningData) -> Failing:
        raise ZeroDivisionError("it broke\non two lines")


def test_a_router_that_fails_is_reported_and_the_others_go_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BASELINES, "failing", Failing)
    prepared = plan(world, tmp_path, ["failing", "smoothie", "knn"], seeds=1)
    statuses = finish(prepared)
    assert statuses[0, "failing"] == "failed"
    assert statuses[0, "smoothie"] == "not_applicable"
    assert statuses[0, "knn"] == "done"
    [result] = collect(prepared, num_draws=20)
    assert (
        result.evaluation.failed["failing"]
        == "failed on seed 0: ZeroDivisionError: it broke on two lines"
    )
    assert "answer" in result.evaluation.failed["smoothie"]
    assert set(result.evaluation.to_json()["failed"]) == {"failing", "smoothie"}
    assert "failing" not in result.evaluation.settings["task_known"].routers
    assert [cell.router for cell in open_cells(prepared)] == ["failing"], (
        "what failed is tried again, what cannot apply is not"
    )
    table = pd.read_parquet(write_results([result], prepared)[-1])
    assert table.set_index("router").loc["failing", "status"] == "failed"


def test_without_the_graph_router_a_dataset_is_lacking(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gr.GraphRouter, "fit", classmethod(lambda cls, *args, **kwargs: 1 / 0))
    prepared = plan(world, tmp_path, ["knn"], seeds=1)
    assert finish(prepared)[0, MAIN] == "failed"
    assert list(collect(prepared)) == []
    assert find_missing(prepared) == {
        "world": "failed on seed 0: ZeroDivisionError: division by zero"
    }


def test_written_results_hold_every_figure(world: Path, tmp_path: Path) -> None:
    prepared = plan(world, tmp_path, ["knn"], seeds=1)
    finish(prepared)
    results = list(collect(prepared, num_draws=20))
    files = write_results(results, prepared)
    assert [file.name for file in files] == ["world.json", "results.parquet", "cells.parquet"]
    plain = json.loads(files[0].read_text())
    assert plain == results[0].evaluation.to_json()
    table = pd.read_parquet(files[1])
    assert len(table) == len(build_results_table([results[0].evaluation])) == 2 * 5 * len(METRICS)
    row = table[
        (table.setting == "task_known") & (table.router == "knn") & (table.metric == "log_loss")
    ].iloc[0]
    assert row["value"] == plain["settings"]["task_known"]["routers"]["knn"]["log_loss"]["value"]
    assert row["diff"] == plain["settings"]["task_known"]["paired"]["knn"]["log_loss"]["diff"]
    assert pd.read_parquet(files[2])["status"].eq("done").all()


def test_a_cell_comes_back_as_it_was_kept(world: Path, tmp_path: Path) -> None:
    prepared = plan(world, tmp_path, ["routerbench_cascade"], seeds=1)
    kept = {cell.router: result for cell, result in run_cells(prepared.cells, num_processes=1)}
    for cell in prepared.cells:
        loaded = CellResult.load(cell.file)
        assert loaded is not None
        assert loaded.outputs is not None
        for setting, output in (kept[cell.router].outputs or {}).items():
            np.testing.assert_array_equal(
                loaded.outputs[setting].predictions.effect, output.predictions.effect
            )
            replayed = loaded.outputs[setting].replayed
            assert (replayed is None) == (cell.router != "routerbench_cascade")
            if replayed is not None:
                for part, again in zip(output.replayed or (), replayed, strict=True):
                    np.testing.assert_array_equal(again, part)
    assert not [
        path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pickle", ".partial")
    ]


def test_a_replay_of_a_release_that_counted_no_calls_is_read_without_them(tmp_path: Path) -> None:
    calls = Replayed(*np.ones((3, 2, 4)), np.ones(2, dtype=bool))
    models = Predictions.from_arrays(("a", "b"), np.ones((2, 2)))
    kept = CellResult("done", "", outputs={"task_hidden": RouterOutput(models, calls)})
    kept.save(tmp_path / "cell")
    stored = read_cell(tmp_path / "cell")
    assert stored is not None
    older = {name: each for name, each in stored.arrays.items() if "num_calls" not in name}
    assert len(older) == len(stored.arrays) - 1
    write_cell(tmp_path / "older", stored.told, models=stored.models, arrays=older)
    loaded = CellResult.load(tmp_path / "older")
    assert loaded is not None
    assert loaded.outputs is not None
    replayed = loaded.outputs["task_hidden"].replayed
    assert replayed is not None
    assert np.isnan(replayed.num_calls).all()
    assert np.array_equal(replayed.effect, calls.effect)


def test_data_without_tasks_has_one_setting(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    bare = gr.RoutingDataset.from_frames(
        queries=data.queries.assign(task=None), models=data.models, outcomes=data.outcomes
    )
    bare.save(tmp_path / "bare")
    prepared = plan(tmp_path / "bare", tmp_path / "out", ["knn"], seeds=1)
    finish(prepared)
    [result] = collect(prepared, num_draws=20)
    assert list(result.evaluation.settings) == ["task_hidden"]


def test_refuses_unknown_routers_no_seeds_and_namesakes(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Unknown baseline 'nobody'"):
        plan(world, tmp_path, ["nobody"])
    with pytest.raises(ConfigError, match="0 seeds"):
        plan(world, tmp_path, ["knn"], seeds=0)
    with pytest.raises(ConfigError, match="split.by = model"):
        plan(world, tmp_path, ["knn"], config=gr.load_config(overrides=["split.by=model"]))
    gr.simulate(num_queries=60, num_models=3).data.save(tmp_path / "elsewhere" / "world")
    with pytest.raises(DataError, match="Two datasets are called the same"):
        plan_benchmark(
            [str(world), str(tmp_path / "elsewhere" / "world")],
            tmp_path / "out",
            routers=[],
            config=QUICK,
        )


def test_a_router_trained_for_presets_is_judged_by_what_it_maximises_in_each(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "NUM_STEPS", 5)
    prepared = plan(world, tmp_path, ["graphrouter_paper"], seeds=1)
    finish(prepared)
    [result] = collect(prepared, num_draws=20)
    [run] = result.runs
    output = run.outputs["task_known"]["graphrouter_paper"]
    assert output.preset_utilities is not None
    evaluation_set = run.evaluation_set
    seen = np.isfinite(evaluation_set.observed.effect) & np.isfinite(
        evaluation_set.observed.cost_usd
    )
    utility = np.where(seen, output.preset_utilities["cost_first"], -np.inf)
    rows = np.flatnonzero(seen.any(axis=1))
    chosen = utility.argmax(axis=1)[rows]
    scaled = evaluation_set.cost_scale.scale(evaluation_set.observed.cost_usd[rows, chosen])
    expected = np.mean(0.2 * evaluation_set.observed.effect[rows, chosen] - 0.8 * scaled)
    reward = (
        result.evaluation.settings["task_known"]
        .routers["graphrouter_paper"]["reward_cost_first"]
        .value
    )
    assert reward == pytest.approx(expected)
