"""The few-shot setting of the GraphRouter paper: models join with few outcomes, or all is trained
again.

Usage:
    python experiments/newcomers/few_shot.py DATA/NAME --seeds 3 --out RUN

The splits, newcomers and outcomes are those of `graphrouter benchmark-newcomers` with the same
seeds; cells that it has left in RUN are taken from there. Beside graphrouter and its new training
stand the published network, which newcomers join as nodes and edges, and the same network trained
again with all that is known of them. Writes RUN/NAME-few-shot.json, in the form of the benchmark.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

import graphrouter as gr
from graphrouter.bench.baselines import find_router
from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.newcomers import (
    NewcomerPlan,
    NewcomerResult,
    open_cells,
    plan_newcomers,
    run_cells,
)
from graphrouter.bench.evaluation.newcomers.newcomer_cells import NewcomerCell, OutputKey
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation
from graphrouter.bench.evaluation.newcomers.newcomer_scores import NewcomerRun, score_newcomers
from graphrouter.bench.evaluation.newcomers.newcomer_split import NewcomerSplit, prepare_newcomers
from graphrouter.bench.evaluation.newcomers.shots import ALL, name_shot
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.files import replace_file, write_json

PAPER = ("graphrouter_paper", "graphrouter_paper_ties")
SHOTS = (0, 5, 20, 100, None)
Figure = TypeVar("Figure")


def name_retrained(name: str) -> str:
    """What a baseline is called that was trained again with everything."""
    return f"{name}_retrained"


def retrain(cell: NewcomerCell, prepared: NewcomerSplit) -> NewcomerResult:
    """The baseline of the cell, trained on all training outcomes, newcomers among them.

    It is kept in a cell of its own.
    """
    name = name_retrained(cell.router)
    file = replace(cell, router=name).file
    kept = NewcomerResult.load(file)
    if kept is not None:
        return kept
    start = time.perf_counter()
    router = find_router(cell.router).fit(prepared.whole, cell.config)
    fit_s = time.perf_counter() - start
    output = prepared.evaluation_set.collect_output(router, task_known=True, name=name)
    NewcomerResult("done", "", fit_s, {}, {(name, ALL): output}).save(file)
    return retrain(cell, prepared)  # as it is read: in single precision, like all others


class Said(NamedTuple):
    """What everybody said on one split."""

    run: NewcomerRun
    held_out: tuple[str, ...]
    seconds: dict[str, dict[str, float]]
    """By router and number of outcomes: of joining, or of the new training."""


def collect_runs(plan: NewcomerPlan) -> Iterator[Said]:
    """What everybody said, split by split."""
    for head in (cell for cell in plan.cells if cell.router == MAIN):
        prepared = prepare_newcomers(head)
        outputs: dict[OutputKey, RouterOutput] = {}
        seconds: dict[str, dict[str, float]] = {}
        for cell in (cell for cell in plan.cells if cell.seed == head.seed):
            for result, name in _results(cell, prepared):
                outputs |= result.outputs or {}
                if name.endswith("_retrained"):
                    seconds[name] = {ALL: result.fit_s}
                for key, value in result.join_s.items():
                    joined, _, shot = key.rpartition("@")
                    if not joined.endswith("_retrained"):
                        seconds.setdefault(joined, {})[shot] = value
        for name in map(name_retrained, PAPER):  # one training stands for every number of outcomes
            outputs |= {(name, name_shot(shot)): outputs[name, ALL] for shot in plan.shots}
        run = NewcomerRun(head.seed, prepared.evaluation_set, prepared.is_scored, True, outputs)
        yield Said(run, prepared.models, seconds)


def _results(cell: NewcomerCell, prepared: NewcomerSplit) -> Iterator[tuple[NewcomerResult, str]]:
    result = NewcomerResult.load(cell.file)
    if result is None or result.status != "done":
        raise SystemExit(
            f"{cell.router}, seed {cell.seed}: {result.message if result else 'no result'}"
        )
    yield result, cell.router
    if cell.router in PAPER:
        yield retrain(cell, prepared), name_retrained(cell.router)


def measure(plan: NewcomerPlan, *, num_draws: int = 1000) -> NewcomerEvaluation:
    """The figures of everybody."""
    found = list(collect_runs(plan))
    runs = [said.run for said in found]
    ids = [run.evaluation_set.query_ids for run in runs]
    figures, paired = score_newcomers(runs, ids, shots=plan.shots, num_draws=num_draws)
    times = [said.seconds for said in found]
    return NewcomerEvaluation(
        dataset=plan.dataset,
        seeds=tuple(run.seed for run in runs),
        hold_out=plan.hold_out,
        held_out={said.run.seed: said.held_out for said in found},
        num_queries=round(float(np.mean([len(each) for each in ids]))),
        num_models=len(runs[0].evaluation_set.models),
        shots=plan.shots,
        routers=_nest(figures),
        paired=_nest(paired),
        seconds={
            name: {shot: float(np.mean([each[name][shot] for each in times])) for shot in by_shot}
            for name, by_shot in times[0].items()
        },
        failed={},
    )


def _nest(figures: Mapping[OutputKey, Figure]) -> dict[str, dict[str, Figure]]:
    nested: dict[str, dict[str, Figure]] = {}
    for (name, shot), figure in figures.items():
        nested.setdefault(name, {})[shot] = figure
    return nested


def main(words: Sequence[str] | None = None) -> None:
    """Runs what is missing, and writes the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="folder of a dataset, or simulated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="settings of the training"
    )
    arguments = parser.parse_args(words)
    plan = plan_newcomers(
        arguments.data,
        arguments.out,
        routers=PAPER,
        num_seeds=arguments.seeds,
        config=gr.load_config(overrides=arguments.set),
        shots=SHOTS,
    )
    for cell, result in run_cells(open_cells(plan), num_processes=1):
        print(
            f"{cell.router} seed {cell.seed}: {result.status} in {result.fit_s:.0f} s", flush=True
        )
    evaluation = measure(plan)
    file = arguments.out / f"{evaluation.dataset}-few-shot.json"
    replace_file(file, partial(write_json, evaluation.to_json()))
    print(f"Wrote {file}")


if __name__ == "__main__":
    main()
