"""Comparisons on newcomers from plan to figures, resumed, and robust to routers that fail."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.baselines.methods import paper
from graphrouter.bench.baselines.methods.means import RaschRouter, TaskMean
from graphrouter.bench.baselines.methods.paper import PaperGraphRouter
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.evaluation.newcomers import (
    RETRAINED,
    SUGGESTED,
    NewcomerPlan,
    NewcomerResult,
    collect,
    find_failures,
    give_verdict,
    open_cells,
    plan_newcomers,
    run_cells,
)
from graphrouter.bench.evaluation.newcomers.newcomer_split import prepare_newcomers
from graphrouter.bench.evaluation.newcomers.newcomer_worker import collect_suggested
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset
from graphrouter.exceptions import ConfigError, DataError, GraphRouterError, NotApplicableError
from graphrouter.router.graph_router import GraphRouter
from graphrouter.training.effect_scores import log_loss
from graphrouter.types import Predictions

SHOTS = (0, 5, 10, None)


def plan_of(world: Path, folder: Path, config: TrainConfig, *, num_seeds: int = 1) -> NewcomerPlan:
    return plan_newcomers(
        str(world), folder, routers=["task_mean"], num_seeds=num_seeds, config=config, shots=SHOTS
    )


@pytest.fixture(scope="module")
def done(world: Path, quick: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> NewcomerPlan:
    """Two seeds, all cells run."""
    plan = plan_of(world, tmp_path_factory.mktemp("newcomers"), quick, num_seeds=2)
    for _ in run_cells(open_cells(plan), num_processes=1):
        pass
    return plan


def test_everybody_has_every_figure(done: NewcomerPlan) -> None:
    found = collect(done, num_draws=30)
    assert not found.failed
    assert list(found.routers) == ["graphrouter", SUGGESTED, RETRAINED, "task_mean", "rasch"]
    for name, by_shot in found.routers.items():
        assert list(by_shot) == ["0", "5", "10", "all"]
        for shot, figures in by_shot.items():
            known = (
                "log_loss",
                "brier",
                "reward_balanced",
                "area_log",
                "newcomer_traffic",
                "oracle_newcomer_traffic",
            )
            assert all(np.isfinite(figures[metric].value) for metric in known), (name, shot)
            held = figures["coverage_80"]
            assert np.isfinite(held.value) == (name not in ("task_mean", "rasch")), (
                "baselines give no intervals"
            )
            assert np.isnan(held.low)
    assert set(found.paired) == set(found.routers) - {"graphrouter"}
    assert found.seconds[RETRAINED]["all"] > 0
    assert set(found.seconds["graphrouter"]) == {"0", "5", "10", "all"}
    assert set(found.held_out) == {0, 1}


def test_the_json_is_plain_and_says_what_was_held_out(done: NewcomerPlan) -> None:
    found = collect(done, num_draws=30)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["shots"] == ["0", "5", "10", "all"]
    assert plain["held_out"] == {str(seed): list(models) for seed, models in found.held_out.items()}
    assert set(plain["routers"]["rasch"]["5"]["log_loss"]) == {"value", "low", "high"}
    assert "graphrouter" in give_verdict(found)


def test_nothing_is_run_twice_and_more_seeds_add_cells(
    done: NewcomerPlan, world: Path, quick: TrainConfig
) -> None:
    folder = done.cells[0].file.parents[3]
    assert open_cells(done) == []
    assert open_cells(plan_of(world, folder, quick)) == []
    more = open_cells(plan_of(world, folder, quick, num_seeds=3))
    assert {cell.seed for cell in more} == {2}


def test_the_retrained_router_is_shared_by_all_ways_to_hold_out(
    done: NewcomerPlan, world: Path, quick: TrainConfig
) -> None:
    folder = done.cells[0].file.parents[3]
    tasks = plan_newcomers(
        str(world), folder, routers=[], config=quick, shots=(0, 7), hold_out="tasks", max_tasks=1
    )
    other = plan_newcomers(str(world), folder, routers=[], config=quick, shots=(0, 7), share=0.5)
    for plan in (tasks, other):
        assert RETRAINED not in {cell.router for cell in open_cells(plan)}
        assert "graphrouter" in {cell.router for cell in open_cells(plan)}


@pytest.mark.parametrize("order", ["C", "F"])
def test_results_come_back_in_single_precision_however_they_lie_in_memory(
    order: Literal["C", "F"], tmp_path: Path
) -> None:
    effect = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], order=order)
    answer = RouterOutput(
        Predictions.from_arrays(
            ("a", "b", "c"), effect, cost_usd=np.where(effect > 0.5, np.nan, effect)
        ),
        preset_utilities={"balanced": 2 * effect},
    )
    result = NewcomerResult("done", "", 1.5, {"knn@5": 0.25}, {("knn", "5"): answer})
    result.save(tmp_path / "cell.safetensors")
    again = NewcomerResult.load(tmp_path / "cell.safetensors")
    assert again is not None
    assert again.outputs is not None
    assert (again.status, again.fit_s, again.join_s) == ("done", 1.5, {"knn@5": 0.25})
    found = again.outputs["knn", "5"].predictions
    assert found.effect.tolist() == effect.astype(np.float32).tolist()
    utilities = again.outputs["knn", "5"].preset_utilities
    assert utilities is not None
    assert {preset: each.tolist() for preset, each in utilities.items()} == {
        "balanced": (2 * effect).astype(np.float32).tolist()
    }
    assert np.isnan(found.cost_usd).tolist() == [[False] * 3, [False, False, True]]


def test_the_published_router_takes_part_and_is_rewarded_for_its_own_choices(
    world: Path, quick: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It chooses by a net for each preset, newcomers among the others."""
    monkeypatch.setattr(paper, "NUM_STEPS", 20)
    plan = plan_newcomers(
        str(world), tmp_path, routers=["graphrouter_paper"], config=quick, shots=(0, 5, None)
    )
    for _ in run_cells(open_cells(plan), num_processes=1):
        pass
    found = collect(plan, num_draws=10)
    assert not found.failed
    cell = next(cell for cell in plan.cells if cell.router == "graphrouter_paper")
    prepared = prepare_newcomers(cell)
    router = PaperGraphRouter.fit(prepared.view).add_models(
        prepared.cards, outcomes=prepared.shown(5)
    )
    utilities = router.preset_utilities(prepared.evaluation_set.queries)
    assert utilities is not None
    columns = [router.models.index(model) for model in prepared.evaluation_set.models]
    observed = prepared.evaluation_set.observed
    seen = np.isfinite(observed.effect)
    best = np.where(seen, utilities["performance_first"][:, columns], -np.inf).argmax(axis=1)
    reached = observed.effect[np.arange(len(best)), best][seen.any(axis=1)]
    figure = found.figure("graphrouter_paper", "5", "reward_performance_first")
    assert figure.value == pytest.approx(reached.mean(), abs=1e-6)


def test_a_damaged_or_absent_result_counts_as_not_there(done: NewcomerPlan, tmp_path: Path) -> None:
    assert NewcomerResult.load(tmp_path / "none.safetensors") is None
    (tmp_path / "cut.safetensors").write_bytes(done.cells[0].file.read_bytes()[:50])
    assert NewcomerResult.load(tmp_path / "cut.safetensors") is None


def test_what_is_judged_is_what_the_router_said(done: NewcomerPlan) -> None:
    """The whole way, from a router of one's own to the figure."""
    cell = next(cell for cell in done.cells if cell.router == "rasch" and cell.seed == 0)
    prepared = prepare_newcomers(cell)
    router = RaschRouter.fit(prepared.view).add_models(prepared.cards, outcomes=prepared.shown(5))
    columns = [router.models.index(model) for model in prepared.models]
    expected = router.predict(prepared.evaluation_set.queries).effect[:, columns]
    alone = dataclasses.replace(done, cells=tuple(cell for cell in done.cells if cell.seed == 0))
    observed = prepared.evaluation_set.observed.effect[:, prepared.is_scored]
    assert collect(alone, num_draws=10).figure("rasch", "5", "log_loss").value == pytest.approx(
        log_loss(expected, observed)
    )


def test_answers_after_all_outcomes_do_not_depend_on_the_way(done: NewcomerPlan) -> None:
    """No outcome changes nothing for the others, and 5 outcomes change something for the
    newcomers."""
    cell = next(cell for cell in done.cells if cell.router == "graphrouter")
    prepared, found = prepare_newcomers(cell), NewcomerResult.load(cell.file)
    assert found is not None
    assert found.outputs is not None
    blind, shown = (found.outputs["graphrouter", shot].predictions.effect for shot in ("0", "5"))
    assert np.abs(blind - shown)[:, prepared.is_scored].max() > 1e-4


def test_suggested_outcomes_are_enough_recorded_and_begin_alike(
    done: NewcomerPlan, quick: TrainConfig
) -> None:
    cell = next(cell for cell in done.cells if cell.router == "graphrouter")
    prepared = prepare_newcomers(cell)
    router = GraphRouter.fit(prepared.view, quick)
    most = prepared.newcomers["model"].value_counts()
    shown = collect_suggested(router, prepared, [2, 4, 1000])
    for count, frame in shown.items():
        assert frame is not None
        assert not frame.duplicated(["query_id", "model"]).any()
        assert frame["model"].value_counts().to_dict() == most.clip(upper=count).to_dict()
    few, many = shown[2], shown[1000]
    assert few is not None
    assert many is not None
    for model in prepared.models:
        short, long = (
            frame.loc[frame["model"] == model, "query_id"].tolist() for frame in (few, many)
        )
        assert set(short) <= set(long)
    assert collect_suggested(router, prepared, []) == {}


def test_a_task_is_held_out_and_joins(world: Path, quick: TrainConfig, tmp_path: Path) -> None:
    plan = plan_newcomers(
        str(world),
        tmp_path,
        routers=["task_mean"],
        config=quick,
        shots=(0, 5, None),
        hold_out="tasks",
        max_tasks=2,
    )
    for _ in run_cells(open_cells(plan), num_processes=1):
        pass
    found = collect(plan, num_draws=30)
    assert not found.failed
    assert len(found.held_out[0]) == 2
    assert list(found.routers) == ["graphrouter", RETRAINED, "task_mean", "rasch"]
    assert np.isfinite(found.figure("task_mean", "5", "log_loss").value)
    assert not np.isfinite(found.figure("task_mean", "5", "newcomer_traffic").value)
    # With all queries of the task, a baseline is fitted on everything but the validation queries of
    # the task.
    assert found.figure("task_mean", "0", "log_loss") != found.figure(
        "task_mean", "all", "log_loss"
    )


def test_a_router_that_fails_or_cannot_is_named_and_the_rest_stands(
    world: Path, quick: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(TaskMean):
        def _extend(self, new: NewModels) -> Self:
            raise ZeroDivisionError("broken on\npurpose")

    class Closed(RaschRouter):
        def _extend(self, new: NewModels) -> Self:
            raise NotApplicableError("rasch is closed")

    monkeypatch.setitem(BASELINES, "task_mean", Broken)
    monkeypatch.setitem(BASELINES, "rasch", Closed)
    plan = plan_of(world, tmp_path, quick)
    for _ in run_cells(open_cells(plan), num_processes=1):
        pass
    assert find_failures(plan) == {
        "task_mean": "failed on seed 0: ZeroDivisionError: broken on purpose",
        "rasch": "not applicable: rasch is closed",
    }
    found = collect(plan, num_draws=30)
    assert list(found.routers) == ["graphrouter", SUGGESTED, RETRAINED]
    assert give_verdict(found) == "There is no baseline to compare with."
    assert [cell.router for cell in open_cells(plan)] == [
        "task_mean"
    ]  # what does not apply will not apply the next time


def test_a_newcomer_without_training_outcomes_takes_part(
    quick: TrainConfig, tmp_path: Path
) -> None:
    data = gr.simulate(num_queries=120, num_models=5, seed=3).data
    plan = plan_newcomers(
        _saved(data, tmp_path), tmp_path / "a", routers=[], config=quick, shots=SHOTS
    )
    prepared = prepare_newcomers(plan.cells[1])
    silent = data.outcomes["model"].isin(prepared.models) & data.outcomes["query_id"].isin(
        prepared.whole.split.train
    )
    thinner = RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models,
        outcomes=data.outcomes[~silent],
        tasks=data.tasks,
        name="silent",
    )
    plan = plan_newcomers(
        _saved(thinner, tmp_path), tmp_path / "b", routers=[], config=quick, shots=SHOTS
    )
    for _, result in run_cells(open_cells(plan), num_processes=1):
        assert result.status == "done", result.message
    found = collect(plan, num_draws=30)
    assert found.figure("graphrouter", "0", "log_loss") == found.figure(
        "graphrouter", "all", "log_loss"
    )


def _saved(data: RoutingDataset, folder: Path) -> str:
    data.save(folder / data.name)
    return str(folder / data.name)


def test_bad_settings_are_one_line(world: Path, quick: TrainConfig, tmp_path: Path) -> None:
    by_task = quick.model_copy(update={"split": quick.split.model_copy(update={"by": "task"})})
    cases: list[tuple[dict[str, object], str]] = [
        ({"config": by_task}, "expected query"),
        ({"num_seeds": 0}, "0 seeds"),
        ({"max_tasks": 0}, "0 tasks"),
        ({"share": 1.0}, "between 0 and 1"),
        ({"shots": (5, None)}, "expected 0 among them"),
        ({"shots": (0, 20, 5)}, "expected them ascending"),
        ({"shots": (0, 5, 5)}, "expected them ascending"),
        ({"shots": (-3, 0)}, "expected them ascending"),
        ({"shots": (0, None, 5)}, "expected them ascending"),
        ({"routers": ["knx"]}, "Unknown baseline 'knx'"),
    ]
    for changed, said in cases:
        with pytest.raises(ConfigError, match=said):
            plan_newcomers(str(world), tmp_path / "out", **{"config": quick, **changed})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="holds other files"):
        plan_newcomers(str(world), world, config=quick)
    assert not (tmp_path / "out").exists()


def test_two_models_leave_nobody_to_hold_out(quick: TrainConfig, tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=3, seed=3).data
    pair = data.select_models(data.pool.names[:2])
    plan = plan_newcomers(_saved(pair, tmp_path), tmp_path / "out", routers=[], config=quick)
    with pytest.raises(GraphRouterError, match="Too few models to hold a family out"):
        next(iter(run_cells(open_cells(plan), num_processes=1)))


def test_seconds_are_means_over_rounds(done: NewcomerPlan) -> None:
    found = collect(done, num_draws=10)
    files = [cell.file for cell in done.cells if cell.router == "rasch"]
    each = [NewcomerResult.load(file, with_outputs=False) for file in files]
    joined = pd.DataFrame([result.join_s for result in each if result is not None])
    assert found.seconds["rasch"]["5"] == pytest.approx(joined["rasch@5"].mean())
