"""A benchmark run: routers x datasets x seeds, in parallel, resumable, kept in one folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from graphrouter.bench.baselines import BASELINES, find_router
from graphrouter.bench.baselines.catalogue import ALWAYS, find_baselines
from graphrouter.bench.evaluation import grid
from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN, Cell, CellResult
from graphrouter.bench.evaluation.evaluate import SeedRun, score_runs
from graphrouter.bench.evaluation.grid import GridCell, PreparedSplit, finish, prepare_split
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.config import TrainConfig
from graphrouter.exceptions import ConfigError
from graphrouter.files import replace_file, write_json
from graphrouter.processes import Spread, spread
from graphrouter.router.protocol import Router


@dataclass(frozen=True)
class Plan:
    """What a benchmark compares, and where it keeps what it has."""

    cells: tuple[GridCell, ...]
    """Sorted by dataset and seed, so that a process prepares each split once."""
    names: Mapping[str, str]
    """Name of each dataset, by its place."""
    folder: Path


def plan_benchmark(
    datasets: Sequence[str],
    folder: Path,
    *,
    routers: Sequence[str] | None = None,
    num_seeds: int = 1,
    config: TrainConfig,
) -> Plan:
    """The cells of a benchmark.

    Args:
        datasets: Folders, or `simulated`.
        folder: Where cells, embeddings and results are kept.
        routers: Names of baselines to compare with; all of them without it. graphrouter,
            best_single and task_mean always run.
        num_seeds: Number of splits of each dataset; their seeds are 0, 1, ...
        config: Settings of the graph router, of the text encoder that all routers share, and of the
            split.

    Raises:
        ConfigError: A name is not among the baselines, there are fewer than one seed, or whole
            models would be held out.
        DataError: A dataset cannot be read, two of them have the same name, or the folder holds
            something else.
    """
    if num_seeds < 1:
        raise ConfigError(f"The benchmark received {num_seeds} seeds; expected at least 1.")
    if config.split.by == "model":
        raise ConfigError(
            "The benchmark received split.by = model; expected query or task. Nobody has learned "
            "anything of held-out models, so "
            "there would be nothing to compare."
        )
    grid.check_folder(folder)
    wanted = [name for name in (BASELINES if routers is None else routers) if name != MAIN]
    everybody = [MAIN, *(kind.name for kind in find_baselines(wanted, beside=ALWAYS))]
    settings = grid.keep_embeddings(config, folder)
    datasets_by_place = grid.read_datasets(datasets)
    cells = tuple(
        Cell(
            place,
            data.name,
            data.fingerprint,
            router,
            grid.set_seeds(settings, seed),
            folder / grid.CELLS,
        )
        for place, data in datasets_by_place.items()
        for seed in range(num_seeds)
        for router in everybody
    )
    names = {place: data.name for place, data in datasets_by_place.items()}
    return Plan(cells, names, folder)


def open_cells(plan: Plan) -> list[GridCell]:
    """The cells that are still to be run: those without a result, and those that failed."""
    return grid.open_cells(plan.cells)


def run_cells(
    cells: Sequence[GridCell], *, num_processes: int | None = None, spread: Spread = spread
) -> Iterator[tuple[GridCell, CellResult]]:
    """Each cell with its result as it is done; results are kept in the files of the cells.

    Args:
        cells: What to run.
        num_processes: Cells at once; one a core without it.
        spread: Over what they are spread: processes of this machine by default.
    """
    return grid.run_cells(cells, run_cell, CellResult, num_processes=num_processes, spread=spread)


def run_cell(cell: GridCell) -> CellResult:
    """The result of a cell, which is also kept in its file.

    A router that fails gives a result that says why.
    """
    return fit_and_ask(cell, partial(_fit, cell))


def fit_and_ask(cell: GridCell, fit: Callable[[PreparedSplit], Router]) -> CellResult:
    """The result of a cell whose router `fit` makes, which is also kept in its file.

    Where it fails, one that says why.
    """
    # Errors outside the router are not the router's: they end the benchmark.
    prepared = prepare_split(cell)
    return finish(cell, partial(_fit_and_ask, cell, prepared, fit), CellResult)


def _fit_and_ask(
    cell: GridCell, prepared: PreparedSplit, fit: Callable[[PreparedSplit], Router]
) -> CellResult:
    start = time.perf_counter()
    router = fit(prepared)
    fitted = time.perf_counter()
    outputs = {
        setting: prepared.evaluation_set.collect_output(
            router, task_known=setting == "task_known", name=cell.router
        )
        for setting in prepared.settings
    }
    if any(
        each.replayed is None and not np.isfinite(each.predictions.effect).any()
        for each in outputs.values()
    ):
        return CellResult("failed", "it predicts no effect of any model on any query")
    return CellResult("done", "", fitted - start, time.perf_counter() - fitted, outputs)


def _fit(cell: GridCell, prepared: PreparedSplit) -> Router:
    return find_router(cell.router).fit(prepared.view, cell.config)


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """What a benchmark found on one dataset."""

    evaluation: Evaluation
    runs: tuple[SeedRun, ...]
    """Everybody's predictions in every split, for reports."""


def find_missing(plan: Plan) -> dict[str, str]:
    """Datasets, by name, on which the graph router itself has no result, and why."""
    reasons = {name: _find_failures(plan, place).get(MAIN) for place, name in plan.names.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def collect(plan: Plan, *, num_draws: int = 1000) -> Iterator[BenchmarkResult]:
    """The figures of each dataset, but for those that are `find_missing`.

    A router that failed in any split is left out and named.
    """
    skipped = find_missing(plan)
    for place, name in plan.names.items():
        if name in skipped:
            continue
        failed = _find_failures(plan, place)
        runs = tuple(
            _build_seed_run(
                cell,
                [each for each in plan.cells if each.data == place and each.seed == cell.seed],
                failed,
            )
            for cell in plan.cells
            if cell.data == place and cell.router == MAIN
        )
        yield BenchmarkResult(
            score_runs(runs, dataset=name, num_draws=num_draws, failed=failed), runs
        )


def _find_failures(plan: Plan, place: str) -> dict[str, str]:
    return grid.find_failures(cell for cell in plan.cells if cell.data == place)


def _build_seed_run(
    head: GridCell, cells: Sequence[GridCell], failed: Mapping[str, str]
) -> SeedRun:
    """Those of the cells whose router failed nowhere, on the split of the first."""
    prepared = grid.prepare_split(head)
    found = {cell.router: CellResult.load(cell.file) for cell in cells if cell.router not in failed}
    answers = {
        name: result.outputs
        for name, result in found.items()
        if result is not None and result.outputs is not None
    }
    outputs = {
        setting: {name: by_setting[setting] for name, by_setting in answers.items()}
        for setting in prepared.settings
    }
    return SeedRun(head.seed, prepared.evaluation_set, outputs)


def write_results(results: Sequence[BenchmarkResult], plan: Plan) -> list[Path]:
    """Write the figures and return the files.

    One JSON a dataset, all figures as one Parquet table, and how long each cell took as another.
    """
    files = []
    for result in results:
        file = plan.folder / f"{result.evaluation.dataset}.json"
        replace_file(file, partial(write_json, result.evaluation.to_json()))
        files.append(file)
    tables = {
        "results": build_results_table([result.evaluation for result in results]),
        "cells": build_cells_table(plan),
    }
    for name, table in tables.items():
        file = plan.folder / f"{name}.parquet"
        replace_file(file, partial(table.to_parquet, index=False))
        files.append(file)
    return files


def build_results_table(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """One row a (dataset, setting, router, metric): value, interval and paired difference."""
    rows = []
    for found in evaluations:
        for setting, result in found.settings.items():
            for router, by_metric in result.routers.items():
                for metric, interval in by_metric.items():
                    paired = result.paired.get(router, {}).get(metric)
                    difference = (None, None, None) if paired is None else paired
                    rows.append((found.dataset, setting, router, metric, *interval, *difference))
    names = [
        "dataset",
        "setting",
        "router",
        "metric",
        "value",
        "low",
        "high",
        "diff",
        "diff_low",
        "diff_high",
    ]
    return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[4:], "float64"))


def build_cells_table(plan: Plan) -> pd.DataFrame:
    """One row a cell that was run: dataset, seed, router, status, message, fit_s, predict_s."""
    rows = []
    for cell in plan.cells:
        result = CellResult.load(cell.file, with_outputs=False)
        if result is not None:
            row = (
                plan.names[cell.data],
                cell.seed,
                cell.router,
                result.status,
                result.message,
                result.fit_s,
                result.predict_s,
            )
            rows.append(row)
    return pd.DataFrame(
        rows, columns=["dataset", "seed", "router", "status", "message", "fit_s", "predict_s"]
    )
