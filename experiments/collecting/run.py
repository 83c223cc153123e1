"""Which graded answers to collect where not all can be paid: log loss by the number of calls.

Usage:
    python -m experiments.collecting.run DATA [DATA ...] [--seeds 4] [--development] [--out FILE]

Rules: all models on prompts drawn at random (`whole`), pairs drawn at random (`pairs`), and pairs
as `graphrouter collect` takes them (`spread`). Each number of calls is 0.6 of the next, and of each
rule the log loss on test queries is compared with that of `spread` at 0.6 of its calls: paired
bootstrap over test queries and seeds. The router is fitted without training. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import graphrouter as gr
from experiments.quality.development import development_split
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split, split_dataset, suggest_pairs
from graphrouter.encoders import TextEncoder, create_encoder
from graphrouter.files import write_json
from graphrouter.types import FloatArray, Queries

CALLS = (300, 500, 833, 1389, 2315)
MOST_QUERIES = 1000
DRAWS = 2000


class World(NamedTuple):
    """What may be collected, and what is asked afterwards."""

    data: RoutingDataset
    shown: RoutingDataset
    """Whose answers may be collected."""
    asked: pd.DataFrame
    """Test queries."""
    truth: FloatArray
    """(num_asked, num_models) effects, NaN where nobody knows."""


def make_world(data: RoutingDataset, seed: int, *, development: bool) -> World:
    split = (
        development_split(data, seed)
        if development
        else split_dataset(data, gr.load_config(overrides=[f"split.seed={seed}"]).split)
    )
    test = np.random.default_rng(seed).permutation(list(split.test))[:MOST_QUERIES]
    chosen = data.select_queries(test.tolist())
    shown = data.select_queries(sorted([*split.train, *split.validation]))
    return World(data, shown, chosen.queries, chosen.outcome_matrix("effect"))


def take_pairs(world: World, num: int, seed: int) -> pd.DataFrame:
    return world.shown.outcomes.sample(num, random_state=seed)


def take_whole(world: World, num: int, seed: int) -> pd.DataFrame:
    order = np.random.default_rng(seed).permutation(world.shown.queries["query_id"].to_numpy())
    place = {query: number for number, query in enumerate(order.tolist())}
    rows = world.shown.outcomes
    rows = rows.assign(place=rows["query_id"].map(place)).sort_values("place", kind="stable")
    return rows.head(num).drop(columns="place")


def take_spread(world: World, num: int, seed: int) -> pd.DataFrame:
    models = world.data.models["model"].tolist()
    pairs = suggest_pairs(world.shown.queries, models, num + num // 5, seed=seed)
    known = world.shown.outcomes
    return pairs[["query_id", "model"]].merge(known, on=["query_id", "model"]).head(num)


RULES: dict[str, Callable[[World, int, int], pd.DataFrame]] = {
    "whole": take_whole,
    "pairs": take_pairs,
    "spread": take_spread,
}


def measure(world: World, outcomes: pd.DataFrame, encoder: TextEncoder) -> FloatArray:
    """(num_asked,) log loss of each test query, mean over its models."""
    ids = tuple(sorted(outcomes["query_id"].unique()))
    queries = world.data.queries.drop(columns="split", errors="ignore")
    small = RoutingDataset.from_frames(
        queries=queries[queries["query_id"].isin(set(ids))].reset_index(drop=True),
        models=world.data.models,
        outcomes=outcomes.reset_index(drop=True),
        tasks=world.data.tasks,
    )
    split = Split(ids, (), ())
    router = gr.GraphRouter.fit(small, split=split, instant=True, encoder=encoder)
    chance = router.predict(Queries.of_frame(world.asked)).effect
    chance = np.clip(
        chance[:, [router.models.index(m) for m in world.data.models["model"]]], 1e-6, 1 - 1e-6
    )
    loss = -(world.truth * np.log(chance) + (1 - world.truth) * np.log(1 - chance))
    return np.nanmean(loss, axis=1)


def compare(ours: Sequence[FloatArray], theirs: Sequence[FloatArray]) -> tuple[float, float, float]:
    """Mean difference of the losses and its 95 % interval, over seeds and their queries."""
    rng = np.random.default_rng(0)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    means = []
    for _ in range(DRAWS):
        drawn = rng.integers(0, len(differences), len(differences))
        rows = (rng.choice(differences[seed], len(differences[seed])) for seed in drawn)
        means.append(np.mean([row.mean() for row in rows]))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.mean([each.mean() for each in differences])), float(low), float(high)


def count_needed(curve: Sequence[float], loss: float) -> float | None:
    """Calls at which a curve over `CALLS` comes down to a loss, between them in logarithms."""
    for i, (high, low) in enumerate(itertools.pairwise(curve)):
        if high >= loss >= low:
            share = (high - loss) / (high - low) if high > low else 0.0
            return float(CALLS[i] * (CALLS[i + 1] / CALLS[i]) ** share)
    return None


def report(name: str, losses: dict[str, list[list[FloatArray]]]) -> Iterator[str]:
    """Tables of one dataset; `losses` by rule, number of calls and seed."""
    curves = {
        rule: [float(np.mean([each.mean() for each in seeds])) for seeds in by_calls]
        for rule, by_calls in losses.items()
    }
    yield f"\n**{name}**\n"
    yield "| calls | " + " | ".join(f"{calls:,}" for calls in CALLS) + " |"
    yield "|---" * (1 + len(CALLS)) + "|"
    for rule, curve in curves.items():
        yield f"| {rule} | " + " | ".join(f"{loss:.4f}" for loss in curve) + " |"
    for rule in ("whole", "pairs"):
        cells = []
        for i in range(1, len(CALLS)):
            mean, low, high = compare(losses["spread"][i - 1], losses[rule][i])
            cells.append(f"{mean:+.4f} ({low:+.4f} to {high:+.4f})")
        yield f"| spread at 0.6 of the calls, minus {rule} | - | " + " | ".join(cells) + " |"
        needed = []
        for i, calls in enumerate(CALLS):
            found = count_needed(curves["spread"], curves[rule][i])
            below = curves["spread"][0] < curves[rule][i]
            needed.append(
                f"below {CALLS[0] / calls:.0%}"
                if below
                else "-"
                if found is None
                else f"{found / calls:.0%}"
            )
        yield f"| calls that spread needs for the loss of {rule} | " + " | ".join(needed) + " |"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path, help="folders of datasets")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--development", action="store_true", help="never look at test rows")
    parser.add_argument("--out", type=Path, help="write the mean losses as JSON")
    arguments = parser.parse_args(words)
    logging.getLogger("graphrouter").setLevel(logging.ERROR)  # tasks that nobody was asked of
    encoder, figures = create_encoder(TrainConfig().encoder), {}
    for place in arguments.data:
        data = gr.load_dataset(place)
        worlds = [
            make_world(data, seed, development=arguments.development)
            for seed in range(arguments.seeds)
        ]
        losses = {
            rule: [
                [
                    measure(world, take(world, calls, seed), encoder)
                    for seed, world in enumerate(worlds)
                ]
                for calls in CALLS
            ]
            for rule, take in RULES.items()
        }
        print("\n".join(report(data.name, losses)), flush=True)
        figures[data.name] = {
            rule: [[float(each.mean()) for each in seeds] for seeds in by_calls]
            for rule, by_calls in losses.items()
        }
    if arguments.out is not None:
        write_json({"calls": list(CALLS), "log_loss": figures}, arguments.out)


if __name__ == "__main__":
    main()
