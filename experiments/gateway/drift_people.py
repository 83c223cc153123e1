"""Alarms of drift where users have tastes: false ones, and how soon a real one is raised.

Usage:
    python -m experiments.gateway.drift_people [--seeds 3] [--out FILE]

Simulated worlds of `simulate_people` with 24 users and 4 newcomers in 4 teams, 8 models. 1,000
queries of the users are known to two routers without training, one that sees users and one that
does not; the others are watched, all models on each, and no router learns from them. Streams:
queries of the users as they were; the same, and from query 500 on those of the six who grade
lowest; the same, and then those of the newcomers; and a drop of .2 of one model from query 300 on,
each model in turn. `DriftDetector` watches each model; after an alarm it begins anew.
`check_drift` compares batches of 200 queries with a reference of 400.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.bench.simulate import Simulation, simulate_people
from graphrouter.data import Split
from graphrouter.monitoring import DriftDetector, check_drift
from graphrouter.types import FloatArray, IntArray, Queries

NUM_QUERIES, NUM_MODELS, NUM_KNOWN, NUM_TEAMS = 4_000, 8, 1_000, 4
NUM_USERS, NUM_NEWCOMERS, NUM_STRICT = 24, 4, 6
NUM_BEFORE, NUM_BEFORE_DROP, DROP = 500, 300, 0.2
NUM_REFERENCE, NUM_OF_BATCH = 400, 200
_BLIND = 'network.leave_out=["users"]'


class World(NamedTuple):
    """A world, and rows of its queries."""

    simulation: Simulation
    known: IntArray
    """What routers learn from."""
    streams: dict[str, IntArray]
    """Unchanged models, by what is asked."""


def make_world(seed: int) -> World:
    """A world, its known queries and its streams."""
    users = NUM_USERS + NUM_NEWCOMERS
    world = simulate_people(
        NUM_QUERIES, NUM_MODELS, num_users=users, num_teams=NUM_TEAMS, seed=seed
    )
    rows = np.random.default_rng([seed, 21]).permutation(NUM_QUERIES)
    user = world.data.queries["user"].to_numpy()[rows]
    is_new = np.isin(user, np.unique(user)[-NUM_NEWCOMERS:])
    deviation = world.truth.pairs.deviation[rows].mean(axis=1)  # type: ignore[attr-defined]
    mean = pd.Series(deviation).groupby(user).mean().drop(np.unique(user[is_new]))
    is_strict = np.isin(user, mean.sort_values().index[:NUM_STRICT])
    known, later = rows[~is_new][:NUM_KNOWN], rows[~is_new][NUM_KNOWN:]
    before, after = later[:NUM_BEFORE], np.isin(rows, later[NUM_BEFORE:])
    streams = {
        "users as before": later,
        "then the strictest alone": np.concatenate([before, rows[after & is_strict]]),
        "then newcomers of known teams": np.concatenate([before, rows[is_new]]),
    }
    return World(world, known, streams)


def fit(world: World) -> dict[str, gr.GraphRouter]:
    """A router that sees who asks, and one that does not."""
    data = world.simulation.data
    split = Split(tuple(data.queries["query_id"].to_numpy()[world.known]), (), ())
    data = data.select_queries(list(split.train))
    ways = {"sees users": gr.load_config(), "blind": gr.load_config(overrides=[_BLIND])}
    return {
        way: gr.GraphRouter.fit(data, config, split=split, instant=True)
        for way, config in ways.items()
    }


def watch(expected: FloatArray, effect: FloatArray, models: IntArray) -> list[tuple[int, int]]:
    """Model and row of every alarm of the models."""
    found = []
    for model in models.tolist():
        detector = DriftDetector()
        for row, pair in enumerate(zip(expected[:, model], effect[:, model], strict=True)):
            chance, got = map(float, pair)
            if detector.observe(row, expected=chance, effect=got) is not None:
                found.append((model, row))
                detector = DriftDetector()
    return found


def check(
    router: gr.GraphRouter, asked: pd.DataFrame, effect: FloatArray, drop: FloatArray
) -> dict[str, list[bool]]:
    """Whether batches name a model that has not changed, and the one that has.

    Args:
        router: What is expected.
        asked: Queries with their users, in the order in which they come.
        effect: (num_queries, num_models) grades.
        drop: The same where every model has dropped.
    """

    def tabulate(rows: slice, grades: FloatArray) -> pd.DataFrame:
        table = asked.iloc[rows][["prompt", "task", "user", "team"]]
        parts = [table.assign(model=m, effect=grades[rows, i]) for i, m in enumerate(router.models)]
        return pd.concat(parts, ignore_index=True)

    reference = tabulate(slice(NUM_REFERENCE), effect)
    found: dict[str, list[bool]] = {"named without a change": [], "dropped and named": []}
    starts = range(NUM_REFERENCE, len(asked) - NUM_OF_BATCH + 1, NUM_OF_BATCH)
    for number, start in enumerate(starts):
        rows, model = slice(start, start + NUM_OF_BATCH), number % NUM_MODELS
        report = check_drift(router, tabulate(rows, effect), reference=reference)
        found["named without a change"].append(bool(report.changed))
        changed = effect.copy()
        changed[:, model] = drop[:, model]
        report = check_drift(router, tabulate(rows, changed), reference=reference)
        found["dropped and named"].append(router.models[model] in report.changed)
    return found


def run(seed: int, found: dict[str, dict[str, list[object]]]) -> None:
    """One world: what is found goes to `found`, by way and by what was watched."""
    world = make_world(seed)
    data, truth = world.simulation.data, world.simulation.truth.effect
    draws = np.random.default_rng([seed, 22]).random(truth.shape)
    effect = (draws < truth).astype(np.float64)
    drop = (draws < truth - DROP).astype(np.float64)
    every = np.arange(NUM_MODELS)
    for way, router in fit(world).items():
        told = found[way]
        asked = Queries.of_frame(data.queries)
        expected = router.predict(asked).effect
        places = [data.models["model"].tolist().index(model) for model in router.models]
        graded, dropped = effect[:, places], drop[:, places]
        for name, rows in world.streams.items():
            alarms = watch(expected[rows], graded[rows], every)
            told[name].append((len(alarms), graded[rows].size))
        rows = world.streams["users as before"]
        for model in range(NUM_MODELS):
            changed = graded[rows]
            changed[NUM_BEFORE_DROP:, model] = dropped[rows[NUM_BEFORE_DROP:], model]
            at = [row for _, row in watch(expected[rows], changed, np.array([model]))]
            later = [row - NUM_BEFORE_DROP for row in at if row >= NUM_BEFORE_DROP]
            told["drop, found after"].append(later[0] if later else None)
        for name, rows in world.streams.items():
            table = data.queries.iloc[rows].reset_index(drop=True)
            for what, results in check(router, table, graded[rows], dropped[rows]).items():
                told[f"{name}: {what}"].extend(results)


def summarise(told: dict[str, list[object]]) -> dict[str, object]:
    """What was found in all worlds, in figures."""
    found: dict[str, object] = {}
    for name, values in told.items():
        if name == "drop, found after":
            delays = [np.inf if value is None else float(value) for value in values]  # type: ignore[arg-type]
            found[name] = {
                "drops": len(delays),
                "found": int(np.isfinite(delays).sum()),
                "median": float(np.median(delays)),
                "90 %": float(np.quantile(delays, 0.9, method="higher")),
            }
        elif isinstance(values[0], tuple):
            alarms, graded = np.array(values).sum(axis=0).tolist()
            found[name] = {"alarms": alarms, "grades": graded}
        else:
            found[name] = {"batches": len(values), "times": int(np.sum(values))}  # type: ignore[arg-type]
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("experiments/gateway/drift_people.json"))
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    found: dict[str, dict[str, list[object]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(options.seeds):
        run(seed, found)
        print(seed, json.dumps({way: summarise(told) for way, told in found.items()}, indent=1))
    text = json.dumps({way: summarise(told) for way, told in found.items()}, indent=1)
    options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
