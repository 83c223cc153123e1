"""What calls that nobody graded teach: costs and latencies as well as graded ones, effects nothing.

Usage:
    python -m experiments.ungraded.run DATA [DATA ...] [--share 0.35] [--seeds 2] [--epochs 0]

Three routers learn from the same calls: all of them graded, a share of them graded, and the graded
ones alone. Prints Markdown: the error of the logarithm of cost, of output tokens and of latency,
and the log loss of the effect, on test queries.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import graphrouter as gr
from graphrouter.bench.evaluation.prediction_errors import log_rmse
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.training.effect_scores import log_loss
from graphrouter.types import Predictions, Queries

KINDS = ("calls", "queries")
AMOUNTS = ("cost_usd", "output_tokens", "latency_s")


def hide_grades(
    data: RoutingDataset, split: Split, share: float, *, kind: str, seed: int, drop: bool
) -> RoutingDataset:
    """The dataset in which a share of the outcomes of training and validation is graded.

    Args:
        data: All graded.
        split: Grades of its test queries stay.
        share: Of the calls, or of the queries.
        kind: Whether single `calls` are graded, or all calls of some `queries`.
        seed: Of the draw.
        drop: Leave the others out, in place of their grades alone.
    """
    rng = np.random.default_rng(seed)
    outcomes = data.outcomes
    if kind == "calls":
        is_graded = rng.random(len(outcomes)) < share
    else:
        ids = data.queries["query_id"]
        chosen = set(ids[rng.random(len(ids)) < share])
        is_graded = outcomes["query_id"].isin(chosen).to_numpy(dtype=bool)
    is_graded = is_graded | outcomes["query_id"].isin(set(split.test)).to_numpy(dtype=bool)
    has_amount = outcomes[list(AMOUNTS)].notna().any(axis=1).to_numpy(dtype=bool)
    hidden = outcomes.assign(effect=outcomes["effect"].where(is_graded))
    hidden = hidden[is_graded | (has_amount & (not drop))]
    return RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=hidden, tasks=data.tasks, name=data.name
    )


def measure(data: RoutingDataset, predictions: Predictions, split: Split) -> dict[str, float]:
    """Errors on the test queries."""
    found = {
        name: log_rmse(
            getattr(predictions, name), data.outcome_matrix(name, query_ids=list(split.test))
        )
        for name in AMOUNTS
    }
    observed = data.outcome_matrix("effect", query_ids=list(split.test))
    return {**found, "effect": log_loss(predictions.effect, observed)}


def compare(
    folder: Path, *, share: float, num_seeds: int, num_epochs: int
) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Kind of grading, which calls were learned from, and the mean errors over the seeds."""
    data = gr.load_dataset(folder)
    for kind in KINDS:
        sums: dict[str, list[dict[str, float]]] = {}
        for seed in range(num_seeds):
            settings = [f"seed={seed}", f"split.seed={seed}"]
            if num_epochs:
                settings.append(f"training.max_epochs={num_epochs}")
            config = gr.load_config(overrides=settings)
            split = split_dataset(data, config.split)
            asked = Queries.of_frame(data.queries.set_index("query_id").loc[list(split.test)])
            some, alone = (
                hide_grades(data, split, share, kind=kind, seed=seed, drop=drop)
                for drop in (False, True)
            )
            shown = {"all graded": data, f"{share:.0%} graded": some, "the graded alone": alone}
            for name, learned in shown.items():
                router = gr.GraphRouter.fit(learned, config, split=split, instant=not num_epochs)
                found = measure(data, router.predict(asked.prompts, tasks=asked.tasks), split)
                sums.setdefault(name, []).append(found)
        for name, runs in sums.items():
            yield kind, name, {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--share", type=float, default=0.35)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=0)
    wanted = parser.parse_args()
    print("| set | graded at random | learned from | cost | output tokens | latency | log loss |")
    print("|---|---|---|---|---|---|---|")
    for folder in wanted.data:
        rows = compare(folder, share=wanted.share, num_seeds=wanted.seeds, num_epochs=wanted.epochs)
        for kind, name, found in rows:
            cells = (f"{found[key]:.4f}" for key in (*AMOUNTS, "effect"))
            print(f"| {folder.name} | {kind} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
