"""The comparison on newcomers: routers x seeds (x tasks), resumable, kept in one folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphrouter.bench.baselines.catalogue import find_baselines
from graphrouter.bench.evaluation import grid
from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.newcomers.newcomer_cells import (
    REFERENCE,
    RETRAINED,
    HoldOut,
    NewcomerCell,
    NewcomerResult,
    OutputKey,
)
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation
from graphrouter.bench.evaluation.newcomers.newcomer_scores import NewcomerRun, score_newcomers
from graphrouter.bench.evaluation.newcomers.newcomer_split import (
    NewcomerSplit,
    pick_tasks,
    prepare_newcomers,
)
from graphrouter.bench.evaluation.newcomers.newcomer_worker import run_cell
from graphrouter.bench.evaluation.newcomers.shots import ALL, DEFAULT_SHOTS, Shots
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.config import TrainConfig
from graphrouter.data import load_dataset, split_dataset
from graphrouter.exceptions import ConfigError
from graphrouter.processes import Spread, spread
from graphrouter.types import IntArray

DEFAULT_ROUTERS = (
    "task_mean",
    "rasch",
    "knn",
    "uniroute_kmeans",
    "uniroute_map",
    "mirt",
    "model_sat",
    "graphrouter_paper",
)
"""Routers that are compared unless others are named."""


@dataclass(frozen=True)
class NewcomerPlan:
    """What is compared."""

    cells: tuple[NewcomerCell, ...]
    """Sorted by seed and task, so that a process prepares each split once."""
    dataset: str
    """Name of the dataset."""
    hold_out: HoldOut
    shots: Shots


def plan_newcomers(
    data: str,
    folder: Path,
    *,
    routers: Sequence[str] = DEFAULT_ROUTERS,
    num_seeds: int = 1,
    config: TrainConfig,
    shots: Shots = DEFAULT_SHOTS,
    hold_out: HoldOut = "models",
    share: float = 0.3,
    max_tasks: int = 5,
) -> NewcomerPlan:
    """The cells of a comparison; the graph router, retrained or not, and rasch are always in it.

    Args:
        data: A folder, or `simulated`.
        folder: Where cells, embeddings and results are kept.
        routers: Names of baselines.
        num_seeds: Number of splits; their seeds are 0, 1, ...
        config: Settings of the graph router, of the text encoder that all routers share, and of the
            split.
        shots: Numbers of outcomes that newcomers are shown with; 0 among them.
        hold_out: Models, in whole families, or one task after the other.
        share: Share of the models to hold out.
        max_tasks: Most tasks to hold out for each seed.

    Raises:
        ConfigError: A name is not among the baselines, or a setting is out of range.
        DataError: The dataset cannot be read, or has too few models or tasks; or the folder holds
            something else.
    """
    _check_settings(config, num_seeds=num_seeds, shots=shots, share=share, max_tasks=max_tasks)
    grid.check_folder(folder)
    baselines = [
        kind.name
        for kind in find_baselines([REFERENCE, *(name for name in routers if name != MAIN)])
    ]
    settings = grid.keep_embeddings(config, folder)
    dataset = load_dataset(data)
    cells = []
    for seed in range(num_seeds):
        split = split_dataset(dataset, grid.set_seeds(settings, seed).split)
        tasks: list[str | None] = (
            [None]
            if hold_out == "models"
            else [*pick_tasks(dataset, split, seed=seed, most=max_tasks)]
        )
        # The retrained router knows of no one who is held out: one for all tasks.
        wanted = [
            (None, RETRAINED),
            *((task, name) for task in tasks for name in (MAIN, *baselines)),
        ]
        cells += [
            NewcomerCell.of(
                data,
                name=dataset.name,
                fingerprint=dataset.fingerprint,
                router=router,
                seed=seed,
                config=settings,
                hold_out=hold_out,
                share=share,
                task=task,
                shots=shots,
                folder=folder / grid.CELLS,
            )
            for task, router in wanted
        ]
    return NewcomerPlan(tuple(cells), dataset.name, hold_out, shots)


def _check_settings(
    config: TrainConfig, *, num_seeds: int, shots: Shots, share: float, max_tasks: int
) -> None:
    if config.split.by != "query":
        raise ConfigError(
            f"The comparison received split.by = {config.split.by}; expected query. It holds out "
            "models or tasks itself."
        )
    if num_seeds < 1 or max_tasks < 1:
        raise ConfigError(
            f"The comparison received {num_seeds} seeds and {max_tasks} tasks; expected at least "
            "1 of each."
        )
    if not 0 < share < 1:
        raise ConfigError(
            f"The comparison received {share:g} as the share of models to hold out; expected one "
            "between 0 and 1."
        )
    if 0 not in shots:
        raise ConfigError(
            f"The comparison received the shots {list(shots)}; expected 0 among them, where "
            "learned shares start."
        )
    counts = [shot for shot in shots if shot is not None]
    if counts != sorted(set(counts)) or counts[0] < 0 or None in shots[:-1]:
        raise ConfigError(
            f"The comparison received the shots {list(shots)}; expected them ascending from 0, "
            "None (all) last."
        )


def open_cells(plan: NewcomerPlan) -> list[NewcomerCell]:
    """The cells that are still to be run: those without a result, and those that failed."""
    return grid.open_cells(plan.cells)


def run_cells(
    cells: Sequence[NewcomerCell], *, num_processes: int | None = None, spread: Spread = spread
) -> Iterator[tuple[NewcomerCell, NewcomerResult]]:
    """Each cell with its result as it is done; results are kept in the files of the cells.

    Args:
        cells: What to run.
        num_processes: Cells at once; one a core without it.
        spread: Over what they are spread: processes of this machine by default.
    """
    return grid.run_cells(
        cells, run_cell, NewcomerResult, num_processes=num_processes, spread=spread
    )


def find_failures(plan: NewcomerPlan) -> dict[str, str]:
    """Why a router has no figures, by name; it is left out when it lacks any of its cells."""
    return grid.find_failures(plan.cells)


def collect(plan: NewcomerPlan, *, num_draws: int = 1000) -> NewcomerEvaluation:
    """The figures of everybody who has a result for every seed and task.

    The graph router must have them: see `find_failures`.
    """
    failed = find_failures(plan)
    heads = [cell for cell in plan.cells if cell.router == MAIN]  # one a run
    prepared_splits = [prepare_newcomers(cell) for cell in heads]
    held_out: dict[int, tuple[str, ...]] = {}
    for cell, prepared in zip(heads, prepared_splits, strict=True):
        held_out[cell.seed] = (
            *held_out.get(cell.seed, ()),
            *(prepared.models if cell.task is None else (cell.task,)),
        )
    ids = [prepared.evaluation_set.query_ids for prepared in prepared_splits]
    runs = (
        _build_run(plan, cell, prepared, failed)
        for cell, prepared in zip(heads, prepared_splits, strict=True)
    )
    figures, paired = score_newcomers(runs, ids, shots=plan.shots, num_draws=num_draws)
    return NewcomerEvaluation(
        dataset=plan.dataset,
        seeds=tuple(held_out),
        hold_out=plan.hold_out,
        held_out=held_out,
        num_queries=round(sum(map(len, ids)) / len(ids)),
        num_models=len(prepared_splits[0].evaluation_set.models),
        shots=plan.shots,
        routers=_by_router(figures),
        paired=_by_router(paired),
        seconds=_seconds(plan, failed),
        failed=failed,
    )


def _build_run(
    plan: NewcomerPlan, head: NewcomerCell, prepared: NewcomerSplit, failed: Mapping[str, str]
) -> NewcomerRun:
    outputs: dict[OutputKey, RouterOutput] = {}
    for cell in plan.cells:
        is_mine = cell.seed == head.seed and (cell.task == head.task or cell.router == RETRAINED)
        if not is_mine or cell.router in failed:
            continue
        result = NewcomerResult.load(cell.file)
        rows = (
            _rows(sorted(prepared.whole.split.test), prepared.evaluation_set.query_ids)
            if cell.router == RETRAINED
            else None
        )
        for key, output in ((result and result.outputs) or {}).items():
            outputs[key] = output if rows is None else _take(output, rows)
    return NewcomerRun(
        head.seed, prepared.evaluation_set, prepared.is_scored, bool(prepared.models), outputs
    )


def _rows(everyone: Sequence[str], wanted: Sequence[str]) -> IntArray:
    position = {query: row for row, query in enumerate(everyone)}
    return np.array([position[query] for query in wanted], dtype=np.int64)


def _take(output: RouterOutput, rows: IntArray) -> RouterOutput:
    """The answers of the retrained graph router for some of the queries."""
    return RouterOutput(output.predictions.take(rows=rows))


def _by_router(
    figures: Mapping[OutputKey, dict[str, Interval]],
) -> dict[str, dict[str, dict[str, Interval]]]:
    nested: dict[str, dict[str, dict[str, Interval]]] = {}
    for (name, shot), by_metric in figures.items():
        nested.setdefault(name, {})[shot] = by_metric
    return nested


def _seconds(plan: NewcomerPlan, failed: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Mean seconds of joining over the runs, by router and shot.

    Of the training for the retrained router.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for cell in plan.cells:
        result = NewcomerResult.load(cell.file, with_outputs=False)
        if result is None or cell.router in failed:
            continue
        joined = {f"{RETRAINED}@{ALL}": result.fit_s} if cell.router == RETRAINED else result.join_s
        for key, value in joined.items():
            name, _, shot = key.rpartition("@")
            found.setdefault(name, {}).setdefault(shot, []).append(value)
    return {
        name: {shot: float(np.mean(values)) for shot, values in by.items()}
        for name, by in found.items()
    }
