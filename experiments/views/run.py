"""How much of what contexts and embeddings allow is found, and what they cost where they are noise.

Usage:
    python -m experiments.views.run [--seeds 3] [--queries 1600] [--models 8]

Four simulated worlds whose truth is known: contexts, contexts of noise, embeddings, embeddings of
noise. In each the graph router learns with the columns and without them, from start values alone,
and RAGRouter with the contexts. Prints Markdown: mean true effect of the models chosen and log loss
on test queries, the gain over the router that does not see, with a 95 % interval over test queries
of all seeds, and its share of what the truth allows.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.simulate.simulated_views import ViewKind, simulate_views
from graphrouter.data import RoutingDataset
from graphrouter.data.columns import VIEWS
from graphrouter.types import FloatArray, Queries

WORLDS: tuple[tuple[ViewKind, bool], ...] = (
    ("context", False), ("context", True), ("embedding", False), ("embedding", True)
)  # fmt: skip
NUM_DRAWS = 2000


class Losses(NamedTuple):
    """Of each test query."""

    effect: FloatArray
    """(B,) true effect of the model with the highest prediction."""
    log_loss: FloatArray
    """(B,) expected log loss a pair, nats."""


def score(predicted: FloatArray, truth: FloatArray) -> Losses:
    """What predictions (B, M) are worth by the truth."""
    chosen = truth[np.arange(len(truth)), predicted.argmax(axis=1)]
    clipped = predicted.clip(1e-4, 1 - 1e-4)
    losses = -(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped))
    return Losses(chosen, losses.mean(axis=1))


def hide_views(data: RoutingDataset) -> RoutingDataset:
    """The same without contexts and embeddings."""
    queries = data.queries.drop(columns=[name for name in VIEWS if name in data.queries])
    return RoutingDataset.from_frames(
        queries=queries, models=data.models, outcomes=data.outcomes, tasks=data.tasks
    )


def run_world(
    kind: ViewKind, *, is_noise: bool, seed: int, num_queries: int, num_models: int
) -> dict[str, Losses]:
    """Scores of each router, and of the truth that sees and that does not."""
    world = simulate_views(kind, num_queries, num_models, seed=seed, is_noise=is_noise)
    split = gr.split_dataset(world.data, gr.TrainConfig(seed=seed).split)
    rows = world.data.queries["query_id"].isin(split.test).to_numpy()
    ids = world.data.queries["query_id"][rows]
    asked = Queries.of_frame(world.data.queries[rows])
    truth = world.effect[rows]
    found = {
        "truth": score(truth, truth),
        "truth that does not see": score(world.blind[rows], truth),
    }
    for name, data in (("with views", world.data), ("without", hide_views(world.data))):
        router = gr.GraphRouter.fit(data, split=split, instant=True)
        queries = asked if name == "with views" else Queries.of(asked.prompts, asked.tasks)
        found[name] = score(router.predict(queries).effect, truth)
    names = [n for n in ["rag_router"] if n in BASELINES and kind == "context"]
    for name in (*names, "linear"):
        baseline = BASELINES[name].fit(world.data, split=split)
        found[name] = score(baseline.predict(asked).effect, truth)
    assert len(ids) == len(truth)
    return found


def tell_interval(gain: FloatArray, rng: np.random.Generator) -> str:
    """A mean with a bootstrap interval."""
    means = gain[rng.integers(len(gain), size=(NUM_DRAWS, len(gain)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{gain.mean():+.4f} ({low:+.4f} to {high:+.4f})"


def main() -> None:
    """Run all worlds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=1600)
    parser.add_argument("--models", type=int, default=8)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    for kind, is_noise in WORLDS:
        runs = [
            run_world(
                kind,
                is_noise=is_noise,
                seed=seed,
                num_queries=asked.queries,
                num_models=asked.models,
            )
            for seed in range(asked.seeds)
        ]
        found = {
            name: Losses(
                *(
                    np.concatenate([getattr(run[name], field) for run in runs])
                    for field in Losses._fields
                )
            )
            for name in runs[0]
        }
        base, truth, blind = (found[n] for n in ("without", "truth", "truth that does not see"))
        print(f"\n### {kind}{', noise' if is_noise else ''}\n")
        measures = "gain | share | share of views"
        print(f"| router | true effect | {measures} | log loss | {measures} |")
        print("|---|---|---|---|---|---|---|---|---|")
        for name, scores in found.items():
            cells = [name]
            for field, sign in (("effect", 1), ("log_loss", -1)):
                mine, theirs, best, unseen = (
                    sign * getattr(part, field) for part in (scores, base, truth, blind)
                )
                gain = mine - theirs
                allowed, by_views = (best - theirs).mean(), (best - unseen).mean()
                cells += [
                    f"{sign * mine.mean():.4f}",
                    tell_interval(gain, rng),
                    f"{gain.mean() / allowed:.0%}",
                    "-" if abs(by_views) < 1e-9 else f"{gain.mean() / by_views:.0%}",
                ]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
