"""Users in a trained router and in one without training, on the worlds of `experiments.people.run`.

Both routers learn from the same queries, of which a tenth validates; with and without users.

Usage:
    python -m experiments.people.training [--seeds 3] [--worlds "no teams"] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import graphrouter as gr
from experiments.people.run import (
    _BLIND,
    DENSITY,
    NUM_MODELS,
    NUM_QUERIES,
    WORLDS,
    Scores,
    score,
    summarise,
)
from graphrouter.bench.simulate import Simulation, simulate_people
from graphrouter.data import Split
from graphrouter.types import Queries


def compare_training(world: Simulation, seed: int) -> dict[str, Scores]:
    """Scores on the test queries of `experiments.people.run`, trained or not, with users or not."""
    ids = np.array(world.data.queries["query_id"])
    drawn = np.random.default_rng([seed, 11]).permutation(len(ids))
    test, rest = np.sort(drawn[: len(ids) // 3]), drawn[len(ids) // 3 :]
    validation, train = np.sort(rest[: len(rest) // 10]), np.sort(rest[len(rest) // 10 :])
    split = Split(tuple(ids[train]), tuple(ids[validation]), tuple(ids[test]))
    asked = Queries.of_frame(world.data.queries.iloc[test])
    found = {}
    for way, instant in (("instant", True), ("trained", False)):
        for sight, settings in (("sees users", []), ("blind", [_BLIND])):
            start = time.process_time()
            router = gr.GraphRouter.fit(
                world.data, gr.load_config(overrides=settings), split=split, instant=instant
            )
            found[f"{sight}, {way}"] = score(router.predict(asked).effect, world.truth.effect[test])
            print(
                seed, way, sight, f"{time.process_time() - start:.0f} s of a processor", flush=True
            )
    return found


def main() -> None:
    """Run the worlds, and write what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=["no teams", "noise"])
    parser.add_argument(
        "--out", type=Path, default=Path("experiments/people/results/training.json")
    )
    options = parser.parse_args()
    pairs = [(f"sees users, {way}", f"blind, {way}") for way in ("instant", "trained")]
    pairs += [(f"{sight}, trained", f"{sight}, instant") for sight in ("sees users", "blind")]
    found = {}
    for name in options.worlds:
        strength, num_users, num_teams = WORLDS[name]
        runs = []
        for seed in range(options.seeds):
            world = simulate_people(
                NUM_QUERIES,
                NUM_MODELS,
                num_users=num_users,
                num_teams=num_teams,
                strength=strength,
                seed=seed,
                density=DENSITY,
            )
            runs.append(compare_training(world, seed))
            found[name] = summarise(runs, pairs) | {"seeds": seed + 1}
            text = json.dumps(found, indent=1, default=float)
            options.out.write_text(text + "\n", encoding="utf-8")
            print(name, text, flush=True)


if __name__ == "__main__":
    main()
