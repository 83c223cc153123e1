"""The benchmark: routers x datasets x seeds, in parallel, resumable, with everything kept in one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from graphrouter.config import TrainConfig
from graphrouter.data import load_dataset
from graphrouter.evaluation.benchmark.cells import MAIN, Cell, CellResult
from graphrouter.evaluation.benchmark.processes import spread
from graphrouter.evaluation.benchmark.worker import run_cell, set_up
from graphrouter.evaluation.evaluate import Round, judge
from graphrouter.evaluation.results import Evaluation
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.files import replace_file, write_json
from graphrouter.routers.baselines import BASELINES
from graphrouter.routers.baselines.catalogue import ALWAYS, find_baselines

CELLS = "cells"
EMBEDDINGS = "embeddings"


@dataclass(frozen=True)
class Plan:
    """What a benchmark compares, and where it keeps what it has."""

    cells: tuple[Cell, ...]
    """Sorted by dataset and seed, so that a process prepares each split once."""
    names: Mapping[str, str]
    """Name of each dataset, by its place."""
    folder: Path


def plan_benchmark(
    datasets: Sequence[str], folder: Path, *, routers: Sequence[str] | None = None, num_seeds: int = 1, config: TrainConfig
) -> Plan:
    """The cells of a benchmark.

    Args:
        datasets: Folders, or `simulated`.
        folder: Where cells, embeddings and results are kept.
        routers: Names of baselines to compare with; all of them without it. graphrouter, best_single and task_mean always run.
        num_seeds: Number of splits of each dataset; their seeds are 0, 1, ...
        config: Settings of the graph router, of the text encoder that all routers share, and of the split.

    Raises:
        ConfigError: A name is not among the baselines, there are fewer than one seed, or whole models would be held out.
        DataError: A dataset cannot be read, two of them have the same name, or the folder holds something else.
    """
    if num_seeds < 1:
        raise ConfigError(f"The benchmark received {num_seeds} seeds; expected at least 1.")
    if config.split.by == "model":
        raise ConfigError(
            "The benchmark received split.by = model; expected query or task. Nobody has learned anything of held-out models, so "
            "there would be nothing to compare."
        )
    check_folder(folder)
    wanted = [name for name in (BASELINES if routers is None else routers) if name != MAIN]
    everybody = [MAIN, *(kind.name for kind in find_baselines([*ALWAYS, *wanted]))]
    settings = keep_embeddings(config, folder)
    loaded = {place: load_dataset(place) for place in dict.fromkeys(datasets)}
    names = {place: data.name for place, data in loaded.items()}
    if len(set(names.values())) < len(names):
        raise DataError(f"Two datasets are called the same: {', '.join(names.values())}. Rename one of the folders.")
    cells = tuple(
        Cell.of(
            place, name=data.name, fingerprint=data.fingerprint, router=router, seed=seed, config=settings, folder=folder / CELLS
        )
        for place, data in loaded.items()
        for seed in range(num_seeds)
        for router in everybody
    )
    return Plan(cells, names, folder)


def keep_embeddings(config: TrainConfig, folder: Path) -> TrainConfig:
    """The settings with embeddings cached in the folder of the benchmark, unless they say where: each text is encoded once."""
    if config.encoder.cache_dir is not None:
        return config
    encoder = config.encoder.model_copy(update={"cache_dir": str(folder / EMBEDDINGS)})
    return config.model_copy(update={"encoder": encoder})


def check_folder(folder: Path) -> None:
    """Nothing; `folder` is that of a benchmark, empty or new.

    Raises:
        DataError: It holds something else.
    """
    if folder.is_dir() and not (folder / CELLS).is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} holds other files than those of a benchmark. Name a new folder, or an earlier benchmark.")


def open_cells(plan: Plan) -> list[Cell]:
    """The cells that are still to be run: those without a result, and those that failed."""
    results = ((cell, CellResult.load(cell.file, with_contenders=False)) for cell in plan.cells)
    return [cell for cell, result in results if result is None or result.status == "failed"]


def run_cells(cells: Sequence[Cell], *, num_processes: int | None = None) -> Iterator[tuple[Cell, CellResult]]:
    """Each cell with its result as it is done; results are kept in the files of the cells.

    Args:
        cells: What to run.
        num_processes: Cells at once; one a core without it.
    """
    for cell, result in spread(cells, run_cell, num_processes=num_processes or os.cpu_count() or 1):
        if isinstance(result, BrokenProcessPool):
            kept = CellResult("failed", "its process died, perhaps for want of memory")
            kept.save(cell.file)
            yield cell, kept
        else:
            yield cell, result


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """What a benchmark found on one dataset."""

    evaluation: Evaluation
    rounds: tuple[Round, ...]
    """Everybody's predictions in every split, for reports."""


def lacking(plan: Plan) -> dict[str, str]:
    """Datasets, by name, on which the graph router itself has no result, and why."""
    reasons = {name: _failures(_results(plan, place, with_contenders=False)).get(MAIN) for place, name in plan.names.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def collect(plan: Plan, *, num_draws: int = 1000) -> Iterator[BenchmarkResult]:
    """The figures of each dataset, but for those that are `lacking`. A router that failed in any split is left out and named."""
    skipped = lacking(plan)
    for place, name in plan.names.items():
        if name in skipped:
            continue
        results = _results(plan, place)
        failed = _failures(results)
        rounds = tuple(
            _round(cell, {router: result for (seed, router), result in results.items() if seed == cell.seed}, failed)
            for cell in plan.cells
            if cell.data == place and cell.router == MAIN
        )
        yield BenchmarkResult(judge(rounds, dataset=name, num_draws=num_draws, failed=failed), rounds)


def _results(plan: Plan, place: str, *, with_contenders: bool = True) -> dict[tuple[int, str], CellResult | None]:
    """The result of each cell of a dataset, by seed and router; None where it was not run."""
    cells = [cell for cell in plan.cells if cell.data == place]
    return {(cell.seed, cell.router): CellResult.load(cell.file, with_contenders=with_contenders) for cell in cells}


def _failures(results: Mapping[tuple[int, str], CellResult | None]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for (seed, router), result in results.items():
        if result is None:
            reasons.setdefault(router, f"seed {seed} was not run")
        elif result.status != "done":
            what = "not applicable" if result.status == "not_applicable" else f"failed on seed {seed}"
            reasons.setdefault(router, f"{what}: {result.message}")
    return reasons


def _round(cell: Cell, results: Mapping[str, CellResult | None], failed: Mapping[str, str]) -> Round:
    bench = set_up(cell)
    present = {name: result for name, result in results.items() if result is not None and name not in failed}
    contenders = {
        setting: {name: result.contenders[setting] for name, result in present.items() if result.contenders is not None}
        for setting in bench.settings
    }
    return Round(cell.seed, bench.trial, contenders)


def write_results(results: Sequence[BenchmarkResult], plan: Plan) -> list[Path]:
    """The files written: one JSON a dataset, all figures as one Parquet table, and how long each cell took as another."""
    files = []
    for result in results:
        file = plan.folder / f"{result.evaluation.dataset}.json"
        replace_file(file, partial(write_json, result.evaluation.to_json()))
        files.append(file)
    tables = {"results": results_table([result.evaluation for result in results]), "cells": cells_table(plan)}
    for name, table in tables.items():
        file = plan.folder / f"{name}.parquet"
        replace_file(file, partial(table.to_parquet, index=False))
        files.append(file)
    return files


def results_table(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """One row a (dataset, setting, router, metric): value and interval, and the paired difference where there is one."""
    rows = []
    for found in evaluations:
        for setting, result in found.settings.items():
            for router, by_metric in result.routers.items():
                for metric, interval in by_metric.items():
                    paired = result.paired.get(router, {}).get(metric)
                    difference = (None, None, None) if paired is None else paired
                    rows.append((found.dataset, setting, router, metric, *interval, *difference))
    names = ["dataset", "setting", "router", "metric", "value", "low", "high", "diff", "diff_low", "diff_high"]
    return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[4:], "float64"))


def cells_table(plan: Plan) -> pd.DataFrame:
    """One row a cell that was run: dataset, seed, router, status, message, fit_s, predict_s."""
    rows = []
    for cell in plan.cells:
        result = CellResult.load(cell.file, with_contenders=False)
        if result is not None:
            row = (plan.names[cell.data], cell.seed, cell.router, result.status, result.message, result.fit_s, result.predict_s)
            rows.append(row)
    return pd.DataFrame(rows, columns=["dataset", "seed", "router", "status", "message", "fit_s", "predict_s"])
