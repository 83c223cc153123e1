"""Routers that have seen 8, 20 or 50 outcomes of each model, of the whole pool.

Usage:
    python -m experiments.few_outcomes.run DATA [DATA ...] --seeds 3 [--development]
        [--out RESULTS.json]

The outcomes are on the same queries for all models, or on queries of each model's own. Everybody
is given the same rows: seven of eight queries to fit, the rest to choose settings. graphrouter
trains nothing (`instant=True`). Prints Markdown: means over the datasets, and the datasets on which
graphrouter is surely better or worse than each baseline (95 % paired bootstrap).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import graphrouter as gr
from experiments.quality.development import development_split
from graphrouter.bench.baselines import fit_baselines
from graphrouter.bench.evaluation.evaluate import SeedRun, collect_outputs, score_runs
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.files import write_json
from graphrouter.router.training_view import TrainingView

SHOTS = (8, 20, 50)
KINDS = ("same", "own")
METRICS = {"log_loss": "log loss", "area_log": "area", "reward_performance_first": "performance"}
BASELINES = (
    "best_single", "task_mean", "rasch", "knn", "linear", "uniroute_map", "avengers_pro",
    "embed_llm", "tryage", "gbt",
)  # fmt: skip
_VALIDATION = 8


class FewOutcomes(NamedTuple):
    """A dataset whose training rows hold few outcomes."""

    data: RoutingDataset
    split: Split


def keep_few(
    data: RoutingDataset, split: Split, num_shots: int, *, kind: str, seed: int
) -> FewOutcomes:
    """The dataset with so many outcomes of each model outside the test queries.

    Args:
        data: Whole.
        split: Its division; training and validation queries are drawn from.
        num_shots: Outcomes of a model, or all that it has.
        kind: `same` queries for all models, or of each its `own`.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    shown = rng.permutation(sorted([*split.train, *split.validation]))
    place = {query: number for number, query in enumerate(shown.tolist())}
    rows = data.outcomes[data.outcomes["query_id"].isin(place)]
    order = rows["query_id"].map(place).to_numpy()
    if kind == "own":
        order = rng.permutation(len(rows))
    rank = rows.assign(order=order).groupby("model")["order"].rank(method="first")
    kept = rows[rank <= num_shots]
    queries = sorted(kept["query_id"].unique(), key=place.__getitem__)
    held = queries[::_VALIDATION]
    few = Split(tuple(sorted(set(queries) - set(held))), tuple(sorted(held)), split.test)
    test = data.outcomes[data.outcomes["query_id"].isin(set(split.test))]
    outcomes = data.outcomes.loc[sorted([*kept.index, *test.index])]
    smaller = data.select_queries([*queries, *split.test])
    return FewOutcomes(
        RoutingDataset.from_frames(
            queries=smaller.queries.drop(columns="split", errors="ignore"),
            models=data.models,
            outcomes=outcomes,
            tasks=data.tasks,
            name=data.name,
        ),
        few,
    )


def run_once(few: FewOutcomes, seed: int) -> SeedRun:
    """What everybody says of the test queries."""
    config = gr.load_config(overrides=[f"seed={seed}"])
    view = TrainingView.of(few.data, config, split=few.split)
    router = gr.GraphRouter.fit(view, instant=True)
    baselines = fit_baselines(view, BASELINES)
    return collect_outputs(
        router,
        few.data,
        few.split.test,
        baselines=baselines,
        cost_scale=router.cost_scale,
        seed=seed,
        level_ids=few.split.train,
    )


def measure(
    data: RoutingDataset, num_shots: int, kind: str, *, num_seeds: int, development: bool
) -> Evaluation:
    """The figures over the splits of a dataset."""
    runs = []
    for seed in range(num_seeds):
        split = (
            development_split(data, seed)
            if development
            else split_dataset(data, gr.load_config(overrides=[f"split.seed={seed}"]).split)
        )
        runs.append(run_once(keep_few(data, split, num_shots, kind=kind, seed=seed), seed))
    return score_runs(runs, dataset=data.name, num_draws=500)


def report(found: Mapping[tuple[str, int], Sequence[Evaluation]]) -> Iterator[str]:
    """One table a kind and number of outcomes."""
    for (kind, num_shots), evaluations in found.items():
        yield f"\n## {num_shots} outcomes a model, {_describe(kind)}\n"
        for setting, said in (("task_known", "task known"), ("task_hidden", "task hidden")):
            yield f"\n| {said} | " + " | ".join(METRICS.values()) + " |"
            yield "|---" * (1 + len(METRICS)) + "|"
            for name in ("graphrouter", *BASELINES):
                cells = [_cell(evaluations, setting, name, metric) for metric in METRICS]
                yield f"| {name} | " + " | ".join(cells) + " |"


def _describe(kind: str) -> str:
    return "on the same queries" if kind == "same" else "each on queries of its own"


def _cell(evaluations: Sequence[Evaluation], setting: str, name: str, metric: str) -> str:
    values, better, worse = [], 0, 0
    for each in evaluations:
        result = each.settings[setting]  # type: ignore[index]
        value = result.routers[name][metric].value
        if value is None or not np.isfinite(value):
            continue
        values.append(value)
        if name == "graphrouter":
            continue
        difference = result.paired[name][metric]
        sign = -1 if metric == "log_loss" else 1
        better += min(sign * difference.low, sign * difference.high) > 0
        worse += max(sign * difference.low, sign * difference.high) < 0
    signs = "" if name == "graphrouter" else f" ({better} / {worse})"
    return f"{np.mean(values):.4f}{signs}" if values else "-"


def main(words: Sequence[str] | None = None) -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="folders of datasets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shots", type=int, nargs="+", default=list(SHOTS))
    parser.add_argument("--development", action="store_true", help="never look at test rows")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args(words)
    datasets = [gr.load_dataset(Path(place)) for place in arguments.data]
    found = {
        (kind, num_shots): [
            measure(
                data,
                num_shots,
                kind,
                num_seeds=arguments.seeds,
                development=arguments.development,
            )
            for data in datasets
        ]
        for kind in KINDS
        for num_shots in arguments.shots
    }
    print("\n".join(report(found)))
    if arguments.out is not None:
        figures = {
            f"{kind}-{num_shots}": {
                each.dataset: json.loads(json.dumps(each.to_json())) for each in evaluations
            }
            for (kind, num_shots), evaluations in found.items()
        }
        write_json(figures, arguments.out)


if __name__ == "__main__":
    main()
