"""Text encoders and mixtures of them compared without training, beside the time that each takes.

Usage:
    python -m experiments.encoders.run DATA [DATA ...] --seeds 5 --jobs 1 --out RUN
    [--trained] [--encoders hashing,static_hashing]

Nothing is trained unless `--trained` says so, on development splits: see
`experiments/quality/README.md`. Differences are from the default encoder. Prints Markdown and
writes RUN/NAME-development.json for each dataset. What is done is not run again; take a new RUN
after a change of the code.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from experiments.encoders.mixture import SHARES, make_encoders
from experiments.quality.differences import (
    SETTINGS,
    dataset_tables,
    difference,
    head,
    summarise,
    title_of,
)
from experiments.quality.run import DEVELOPMENT, plan_variants, run_plans, score_plans
from graphrouter.bench.evaluation.benchmark import MAIN, CellResult, fit_and_ask
from graphrouter.bench.evaluation.grid import GridCell, PreparedSplit, read_datasets
from graphrouter.bench.evaluation.results import Evaluation, SettingName
from graphrouter.config import TrainConfig
from graphrouter.encoders import TextEncoder
from graphrouter.files import replace_file, write_json
from graphrouter.nn.layers import cpu_threads
from graphrouter.router.graph_router import GraphRouter

SHOWN = (
    "log_loss",
    "area_log",
    "reward_performance_first",
    "reward_balanced",
    "reward_cost_first",
    "deviation_r2",
)
_TIMED = 200
"""Prompts of each dataset whose encoding is timed."""


def run_encoder(cell: GridCell) -> CellResult:
    """The result of a cell, whose router has the encoder that the cell is named after."""
    return fit_and_ask(cell, partial(_fit, cell))


def _fit(cell: GridCell, prepared: PreparedSplit) -> GraphRouter:
    encoders = make_encoders(cell.config.encoder.cache_dir)
    return GraphRouter.fit(prepared.view, cell.config, encoder=encoders[cell.router])


def time_encoders(names: Sequence[str], places: Sequence[str]) -> dict[str, list[float]]:
    """Median milliseconds to encode a prompt, by encoder, one a dataset.

    One prompt at a time on one thread, nothing cached.
    """
    found: dict[str, list[float]] = {name: [] for name in names}
    for data in read_datasets(places).values():
        prompts = data.queries["prompt"].sample(min(_TIMED, len(data.queries)), random_state=0)
        with cpu_threads(1):
            for name in names:
                found[name].append(_median_ms(make_encoders(None)[name], prompts.tolist()))
    return found


def _median_ms(encoder: TextEncoder, prompts: Sequence[str]) -> float:
    for prompt in prompts[:5]:
        encoder.encode([prompt])
    times = []
    for prompt in prompts:
        start = time.perf_counter()
        encoder.encode([prompt])
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def report(
    evaluations: Sequence[Evaluation], milliseconds: Mapping[str, Sequence[float]]
) -> Iterator[str]:
    """The lines of the tables: all datasets together, log loss by dataset, then everything.

    Args:
        evaluations: One a dataset.
        milliseconds: Of each encoder, one a dataset.
    """
    others = [name for name in milliseconds if name != MAIN]
    columns: list[tuple[str, str, Sequence[SettingName]]] = [
        (f"{title_of('log_loss')}, {title}", "log_loss", [setting])
        for setting, title in SETTINGS.items()
    ]
    columns += [(title_of(metric), metric, list(SETTINGS)) for metric in SHOWN[1:]]
    yield from head("encoder", "ms a prompt", *(title for title, _, _ in columns))
    for name, times in milliseconds.items():
        figures = (
            ["-"] * len(columns)
            if name == MAIN
            else [summarise(evaluations, name, metric, of) for _, metric, of in columns]
        )
        took = f"{np.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"
        yield f"| {name} | {took} | {' | '.join(figures)} |"
    for metric in ("log_loss", "deviation_r2"):
        yield f"\n{title_of(metric)}, task known / hidden:\n"
        yield from head("dataset", MAIN, *others)
        for found in evaluations:
            plain = " / ".join(
                f"{each.routers[MAIN][metric].value:.4f}" for each in found.settings.values()
            )
            cells = [_both(found, name, metric) for name in others]
            yield f"| {found.dataset} | {plain} | {' | '.join(cells)} |"
    for found in evaluations:
        yield from dataset_tables(found, heading="\n### {what}\n", metrics=SHOWN)


def _both(found: Evaluation, variant: str, metric: str) -> str:
    shown = []
    for setting in found.settings:
        each = difference(found, setting, variant, metric)
        shown.append(f"{each.value:+.4f}{'*' if each.excludes_zero else ''}")
    return " / ".join(shown)


def main(words: Sequence[str] | None = None) -> None:
    """Runs, scores, times and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="folders of datasets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trained", action="store_true", help="train; takes minutes a cell")
    parser.add_argument(
        "--encoders", default=",".join(SHARES), help="names beside the default, with commas between"
    )
    arguments = parser.parse_args(words)
    names = list(dict.fromkeys([MAIN, *arguments.encoders.split(",")]))
    if unknown := [name for name in names if name not in SHARES]:
        parser.error(f"unknown encoder {unknown[0]!r}; expected some of {', '.join(SHARES)}")
    settings = TrainConfig() if arguments.trained else TrainConfig().without_training()
    plans = plan_variants(
        dict.fromkeys(names, settings),
        arguments.data,
        arguments.out,
        num_seeds=arguments.seeds,
        development=True,
    )
    run_plans(
        [plan for each in plans.values() for plan in each], jobs=arguments.jobs, work=run_encoder
    )
    scored = [score_plans(name, each) for name, each in plans.items()]
    evaluations = [found for found in scored if found is not None]
    for found in evaluations:
        replace_file(
            arguments.out / f"{found.dataset}-{DEVELOPMENT}.json",
            partial(write_json, found.to_json()),
        )
    print("\n".join(report(evaluations, time_encoders(names, arguments.data))))


if __name__ == "__main__":
    main()
