"""Runs studies of what each part of the router buys; what is done is not run again.

Usage:
    python -m experiments.ablations.run STUDY[,STUDY ...] DATA [DATA ...] --seeds 3 --jobs 2 --out
    RUN [--set key=value ...]

Studies: parts, data, encoder, support, curves. Writes RUN/STUDY-NAME.json for each dataset, and
RUN/curves-NAME-SIZE.json for each size of the learning curves. Test rows are those of `graphrouter
benchmark`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from experiments.ablations.cells import AblationCell, run_ablation
from experiments.ablations.studies import CURVES, SIZES, STUDIES, Variant, check_studies, routers_at
from experiments.quality.differences import SHOWN
from experiments.quality.variants import override_words
from graphrouter.bench.evaluation.benchmark import MAIN, CellResult, Plan, collect, find_missing
from graphrouter.bench.evaluation.grid import (
    CELLS,
    keep_embeddings,
    open_cells,
    read_datasets,
    run_cells,
    set_seeds,
)
from graphrouter.bench.evaluation.newcomers.shots import name_shot
from graphrouter.bench.evaluation.results import Evaluation, Figures, SettingResult
from graphrouter.config import TrainConfig, load_config
from graphrouter.data import RoutingDataset, split_dataset
from graphrouter.exceptions import GraphRouterError
from graphrouter.files import replace_file, write_json

KEPT = (*SHOWN, "ece")
"""Metrics that are kept: the files stay small enough to be committed."""


def plan_study(
    study: str, places: Sequence[str], folder: Path, *, num_seeds: int, words: Sequence[str] = ()
) -> dict[str, Plan]:
    """What is to be run, by name of the file that it ends in.

    Args:
        study: One of the studies.
        places: Folders of datasets, or `simulated`.
        folder: Where cells and embeddings are kept.
        num_seeds: Number of splits; their seeds are 0, 1, ...
        words: Settings that everyone starts from, as `--set` takes them.
    """
    plans: dict[str, Plan] = {}
    for place, data in read_datasets(places).items():
        if study != CURVES:
            variants = {MAIN: Variant(), **STUDIES[study]}
            plans[f"{study}-{data.name}"] = _plan(
                place, data, variants, folder, size=None, num_seeds=num_seeds, words=words
            )
            continue
        for size in _sizes(data, load_config(overrides=words)):
            everyone = dict.fromkeys(routers_at(size), Variant())
            name = f"{CURVES}-{data.name}-{name_shot(size)}"
            plans[name] = _plan(
                place, data, everyone, folder, size=size, num_seeds=num_seeds, words=words
            )
    return plans


def _plan(
    place: str,
    data: RoutingDataset,
    variants: Mapping[str, Variant],
    folder: Path,
    *,
    size: int | None,
    num_seeds: int,
    words: Sequence[str],
) -> Plan:
    def config(variant: Variant, seed: int) -> TrainConfig:
        settings = load_config(overrides=[*words, *override_words(variant.settings)])
        return set_seeds(keep_embeddings(settings, folder), seed)

    cells = tuple(
        AblationCell(
            place,
            data.name,
            data.fingerprint,
            name,
            config(variant, seed),
            folder / CELLS,
            change=variant.change,
            num_queries=size,
        )
        for seed in range(num_seeds)
        for name, variant in variants.items()
    )
    return Plan(cells, {place: data.name}, folder)


def _sizes(data: RoutingDataset, config: TrainConfig) -> list[int | None]:
    """The sizes that are fewer than all queries of the training side, and all."""
    split = split_dataset(data, config.split)
    num_all = len(split.train) + len(split.validation)
    return [size for size in SIZES if size is None or size < num_all]


def run_plans(plans: Mapping[str, Plan], *, jobs: int) -> None:
    """Run the cells that have no result yet; what is done is told on standard error."""
    wanted = {
        cell.file: cell
        for plan in plans.values()
        for cell in plan.cells
        if isinstance(cell, AblationCell)
    }
    cells = open_cells(wanted.values())
    for number, (cell, result) in enumerate(
        run_cells(cells, run_ablation, CellResult, num_processes=jobs), 1
    ):
        said = result.message or f"{result.fit_s:.0f} s"
        size = name_shot(cell.num_queries)
        print(
            f"{number} of {len(cells)}: {cell.name} seed {cell.seed} {cell.router} ({size}): "
            f"{result.status}, {said}",
            file=sys.stderr,
        )


def write_plans(plans: Mapping[str, Plan], folder: Path, *, num_draws: int = 1000) -> list[Path]:
    """The files written: the kept figures of each plan in which `graphrouter` itself has a result
    everywhere."""
    files = []
    for name, plan in plans.items():
        for reason in find_missing(plan).values():
            print(f"No figures for {name}: {reason}", file=sys.stderr)
        for found in collect(plan, num_draws=num_draws):
            files.append(folder / f"{name}.json")
            replace_file(files[-1], partial(write_json, keep(found.evaluation).to_json()))
    return files


def keep(found: Evaluation, metrics: Sequence[str] = KEPT) -> Evaluation:
    """The evaluation with these metrics alone."""

    def fewer(figures: Figures) -> Figures:
        return {
            name: {metric: by_metric[metric] for metric in metrics}
            for name, by_metric in figures.items()
        }

    settings = {
        name: SettingResult(fewer(result.routers), fewer(result.paired), result.unmeasured)
        for name, result in found.settings.items()
    }
    return replace(found, settings=settings)


def main(words: Sequence[str] | None = None) -> None:
    """Runs the studies, one after the other, and writes their figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "studies", help=f"one or more of {', '.join((*STUDIES, CURVES))}, separated by commas"
    )
    parser.add_argument("data", nargs="+", help="folders of datasets, or simulated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="cells at once")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting that everyone starts from",
    )
    arguments = parser.parse_args(words)
    try:
        plans = {
            study: plan_study(
                study, arguments.data, arguments.out, num_seeds=arguments.seeds, words=arguments.set
            )
            for study in check_studies(arguments.studies.split(","))
        }
    except GraphRouterError as error:
        sys.exit(f"Error: {error}")
    for each in plans.values():
        run_plans(each, jobs=arguments.jobs)
        for file in write_plans(each, arguments.out):
            print(file)


if __name__ == "__main__":
    main()
