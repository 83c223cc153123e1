"""Variants of the settings compared over datasets and seeds; what is done is not run again.

Usage:
    python -m experiments.quality.run VARIANTS.yaml DATA [DATA ...] --seeds 3 --jobs 2 --out RUN
    [--development]

VARIANTS.yaml names variants with the settings that they change; see
`experiments/quality/README.md`. Prints Markdown and writes RUN/NAME.json for each dataset
(NAME-development.json with --development). The cells in RUN do not know of changes in the code:
take a new RUN after one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from experiments.quality.development import save_development
from experiments.quality.differences import dataset_tables, summary_table
from experiments.quality.variants import VariantCell, read_variants, run_variant
from graphrouter.bench.baselines.catalogue import find_baselines
from graphrouter.bench.evaluation.benchmark import (
    BenchmarkResult,
    CellResult,
    Plan,
    collect,
    find_missing,
)
from graphrouter.bench.evaluation.evaluate import score_runs
from graphrouter.bench.evaluation.grid import (
    CELLS,
    GridCell,
    keep_embeddings,
    open_cells,
    read_datasets,
    run_cells,
    set_seeds,
)
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.config import TrainConfig
from graphrouter.exceptions import GraphRouterError
from graphrouter.files import replace_file, write_json

DEVELOPMENT = "development"


def plan_variants(
    variants: Mapping[str, TrainConfig],
    places: Sequence[str],
    folder: Path,
    *,
    num_seeds: int,
    development: bool,
    baselines: Sequence[str] = (),
) -> dict[str, list[Plan]]:
    """What is to be run, by name of the dataset: one plan, or on development splits one a seed.

    Args:
        variants: Settings by name; `graphrouter` first.
        places: Folders of datasets, or `simulated`.
        folder: Where cells, embeddings and development splits are kept.
        num_seeds: Number of splits; their seeds are 0, 1, ...
        development: Whether test rows come from the benchmark's training and validation rows.
        baselines: Names of baselines to show beside the variants.
    """
    settings = {name: keep_embeddings(config, folder) for name, config in variants.items()}
    settings |= {kind.name: next(iter(settings.values())) for kind in find_baselines(baselines)}
    plans: dict[str, list[Plan]] = {}
    for place, data in read_datasets(places).items():
        seeds_of = {place: list(range(num_seeds))}
        if development:
            seeds_of = {
                save_development(data, seed, folder / DEVELOPMENT): [seed]
                for seed in range(num_seeds)
            }
        plans[data.name] = [
            _plan(where, seeds, settings, folder) for where, seeds in seeds_of.items()
        ]
    return plans


def _plan(
    place: str, seeds: Sequence[int], settings: Mapping[str, TrainConfig], folder: Path
) -> Plan:
    [(place, data)] = read_datasets([place]).items()
    cells = tuple(
        VariantCell(
            place, data.name, data.fingerprint, name, set_seeds(config, seed), folder / CELLS
        )
        for seed in seeds
        for name, config in settings.items()
    )
    return Plan(cells, {place: data.name}, folder)


def run_plans(
    plans: Sequence[Plan],
    *,
    jobs: int,
    work: Callable[[GridCell], CellResult] = run_variant,
) -> None:
    """Run the cells that have no result yet; what is done is told on standard error.

    Args:
        plans: Whose cells.
        jobs: Cells at once.
        work: Makes the result of a cell; a function at the top of a module.
    """
    cells: list[GridCell] = open_cells(cell for plan in plans for cell in plan.cells)
    for number, (cell, result) in enumerate(
        run_cells(cells, work, CellResult, num_processes=jobs), 1
    ):
        said = result.message or f"{result.fit_s:.0f} s"
        print(
            f"{number} of {len(cells)}: {cell.name} seed {cell.seed} {cell.router}: "
            f"{result.status}, {said}",
            file=sys.stderr,
        )


def score_plans(name: str, plans: Sequence[Plan]) -> Evaluation | None:
    """The figures over all splits of a dataset; None where `graphrouter` itself failed on one of
    them, which is told."""
    missing = [
        f"{split}: {reason}" for plan in plans for split, reason in find_missing(plan).items()
    ]
    if missing:
        print(f"No figures for {name}: {missing[0]}", file=sys.stderr)
        return None
    if len(plans) == 1:
        [found] = collect(plans[0])
        return replace(found.evaluation, dataset=name)
    # The runs alone are wanted: their figures are those of all splits together.
    return _judge_together(name, [found for plan in plans for found in collect(plan, num_draws=0)])


def _judge_together(name: str, results: Sequence[BenchmarkResult]) -> Evaluation:
    runs = [each for result in results for each in result.runs]
    failed = {
        router: reason for result in results for router, reason in result.evaluation.failed.items()
    }
    kept = [
        replace(
            each,
            outputs={
                setting: {
                    router: answer for router, answer in by_router.items() if router not in failed
                }
                for setting, by_router in each.outputs.items()
            },
        )
        for each in runs
    ]
    return score_runs(kept, dataset=name, failed=failed)


def report(evaluations: Sequence[Evaluation], seconds: Mapping[str, float]) -> Iterator[str]:
    """The lines of the tables."""
    yield (
        "Differences from graphrouter with 95 % paired bootstrap intervals; a star where the "
        "interval excludes zero.\n"
    )
    yield "## All datasets and settings\n"
    yield from summary_table(evaluations)
    for found in evaluations:
        yield from dataset_tables(found, heading="\n## {what}\n")
        for router, reason in found.failed.items():
            yield f"\nNot among them: {router} ({reason})"
    times = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    yield f"\nSeconds to fit, mean over datasets and seeds: {times}."


def mean_seconds(plans: Sequence[Plan]) -> dict[str, float]:
    """Mean seconds to fit, by name of the variant; those that were not fitted are left out."""
    found: dict[str, list[float]] = {}
    for cell in (cell for plan in plans for cell in plan.cells):
        result = CellResult.load(cell.file, with_outputs=False)
        if result is not None and np.isfinite(result.fit_s):
            found.setdefault(cell.router, []).append(result.fit_s)
    return {name: float(np.mean(values)) for name, values in found.items()}


def main(words: Sequence[str] | None = None) -> None:
    """Runs, scores and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", type=Path, help="YAML file")
    parser.add_argument("data", nargs="+", help="folders of datasets, or simulated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="cells at once")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="YAML settings that all variants start from")
    parser.add_argument(
        "--baselines", default="", help="names of baselines to show, separated by commas"
    )
    parser.add_argument(
        "--development", action="store_true", help="never look at test rows of the benchmark"
    )
    arguments = parser.parse_args(words)
    try:
        plans = plan_variants(
            read_variants(arguments.variants, config=arguments.config),
            arguments.data,
            arguments.out,
            num_seeds=arguments.seeds,
            development=arguments.development,
            baselines=[name for name in arguments.baselines.split(",") if name],
        )
    except GraphRouterError as error:
        sys.exit(f"Error: {error}")
    every = [plan for each in plans.values() for plan in each]
    run_plans(every, jobs=arguments.jobs)
    scored = [score_plans(name, each) for name, each in plans.items()]
    evaluations = [found for found in scored if found is not None]
    suffix = f"-{DEVELOPMENT}" if arguments.development else ""
    for found in evaluations:
        replace_file(
            arguments.out / f"{found.dataset}{suffix}.json", partial(write_json, found.to_json())
        )
    print("\n".join(report(evaluations, mean_seconds(every))))


if __name__ == "__main__":
    main()
