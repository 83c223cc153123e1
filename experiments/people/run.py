"""What knowing who asks is worth, in simulated worlds with tastes and without.

A world is graded by people with tastes, which are known. Three routers are compared on the test
queries, by the true chance that the person who asked grades an answer as good: one that sees users,
one that does not, and one that knows the true tastes: the router of the same world without people,
whose logits get the true deviations of the person, by the factor that fits test rows best. So its
gain over the blind router is what the truth allows.

Usage:
    python -m experiments.people.run [--seeds 3] [--out experiments/people/results]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import graphrouter as gr
from graphrouter.bench.simulate import Simulation, simulate_people
from graphrouter.data import Split
from graphrouter.types import Queries

FloatArray = NDArray[np.float64]
NUM_QUERIES, NUM_MODELS, DENSITY = 4800, 8, 0.4
WORLDS = {"tastes": (1.0, 24, 4), "no teams": (1.0, 24, 0), "noise": (0.0, 24, 4)}
"""Strength of tastes, users, teams."""
SHOTS = (0, 5, 20)
NUM_NEWCOMERS = 8
NUM_DRAWS = 2000
_BLIND = 'network.leave_out=["users"]'


class Scores(NamedTuple):
    """Of each test query, by the truth."""

    log_loss: FloatArray
    """(n,) expected, mean over models."""
    reward: FloatArray
    """(n,) chance that the model with the highest expected effect pleases."""


def score(expected: FloatArray, truth: FloatArray) -> Scores:
    """How good expectations are. Both (n, num_models)."""
    chance = np.clip(expected, 1e-6, 1 - 1e-6)
    loss = -(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).mean(axis=1)
    chosen = expected.argmax(axis=1)[:, None]
    return Scores(loss, np.take_along_axis(truth, chosen, axis=1)[:, 0])


def add_tastes(expected: FloatArray, deviation: FloatArray, truth: FloatArray) -> FloatArray:
    """Expectations of a world without people, with the true tastes."""
    chance = np.clip(expected, 1e-3, 1 - 1e-3)
    logit = np.log(chance / (1 - chance))
    factors = np.linspace(0, 1.2, 25)
    told = [1 / (1 + np.exp(-(logit + factor * deviation))) for factor in factors]
    return told[int(np.argmin([score(each, truth).log_loss.mean() for each in told]))]


def compare(world: Simulation, plain: Simulation, seed: int) -> dict[str, Scores]:
    """The three routers on a third of the queries."""
    ids = np.array(world.data.queries["query_id"])
    drawn = np.random.default_rng([seed, 11]).permutation(len(ids))
    test, train = np.sort(drawn[: len(ids) // 3]), np.sort(drawn[len(ids) // 3 :])
    split = Split(tuple(ids[train]), (), tuple(ids[test]))
    blind = gr.load_config(overrides=[_BLIND])
    asked = Queries.of_frame(world.data.queries.iloc[test])
    fits = {
        "sees users": (world, None),
        "blind": (world, blind),
        "knows tastes": (plain, blind),
    }
    effects = {
        name: gr.GraphRouter.fit(of.data, config, split=split, instant=True).predict(asked).effect
        for name, (of, config) in fits.items()
    }
    truth, pairs = world.truth.effect[test], world.truth.pairs
    deviation = pairs.deviation[test]  # type: ignore[attr-defined]
    effects["knows tastes"] = add_tastes(effects["knows tastes"], deviation, truth)
    return {name: score(effect, truth) for name, effect in effects.items()}


def compare_shots(world: Simulation, seed: int) -> dict[str, Scores]:
    """Newcomers after a few grades, seen and not, on their other queries."""
    queries = world.data.queries
    users = sorted(queries["user"].unique())[:NUM_NEWCOMERS]
    rng = np.random.default_rng([seed, 12])
    old = tuple(queries["query_id"][~queries["user"].isin(users)])
    others = tuple(queries["query_id"][queries["user"].isin(users)])
    split = Split(old, (), others)
    blind = gr.GraphRouter.fit(
        world.data, gr.load_config(overrides=[_BLIND]), split=split, instant=True
    )
    sees = gr.GraphRouter.fit(world.data, split=split, instant=True)
    outcomes = world.data.outcomes.merge(queries, on="query_id")
    shown, kept = [], []
    for user in users:
        theirs = queries["query_id"][queries["user"] == user].to_numpy()
        first = rng.permutation(theirs)
        shown.append(first[: max(SHOTS)])  # one grade on each of these queries
        kept.append(first[max(SHOTS) :])
    test = queries["query_id"].isin(set(np.concatenate(kept))).to_numpy()
    asked, truth = Queries.of_frame(queries[test]), world.truth.effect[test]
    found = {}
    for num in SHOTS:
        wanted = set(np.concatenate([each[:num] for each in shown])) if num else set()
        grades = outcomes[outcomes["query_id"].isin(wanted)]
        grades = grades.groupby("query_id").sample(1, random_state=seed)
        columns = ["query_id", "prompt", "task", "user", "team", "model", "effect"]
        grades = grades[[name for name in columns if name in grades]]
        for name, router in (("blind", blind), ("sees users", sees)):
            taught = router.add_outcomes(grades) if num else router
            found[f"{name}, {num} grades"] = score(taught.predict(asked).effect, truth)
    return found


def difference(better: Sequence[FloatArray], than: Sequence[FloatArray]) -> list[float]:
    """Mean of paired differences over all seeds, and the ends of a 95 % bootstrap interval."""
    off = np.concatenate(better) - np.concatenate(than)
    rng = np.random.default_rng(0)
    means = [off[rng.integers(len(off), size=len(off))].mean() for _ in range(NUM_DRAWS)]
    return [float(off.mean()), *map(float, np.quantile(means, (0.025, 0.975)))]


def summarise(
    runs: Sequence[dict[str, Scores]], pairs: Sequence[tuple[str, str]]
) -> dict[str, object]:
    """Means of each router, differences of pairs, and the share of the possible gain."""
    found: dict[str, object] = {
        name: {
            measure: float(np.mean(np.concatenate([getattr(run[name], measure) for run in runs])))
            for measure in Scores._fields
        }
        for name in runs[0]
    }
    for left, right in pairs:
        found[f"{left} - {right}"] = {
            measure: difference(
                *([getattr(run[n], measure) for run in runs] for n in (left, right))
            )
            for measure in Scores._fields
        }
    return found


def share_of_gain(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """How much of the gain of the true tastes over the blind router is found."""
    ends = found["sees users"], found["blind"], found["knows tastes"]
    return {
        measure: (ends[0][measure] - ends[1][measure]) / (ends[2][measure] - ends[1][measure])
        for measure in Scores._fields
    }


def main() -> None:
    """Run all worlds, and write what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("experiments/people/results"))
    options = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    for name, (strength, num_users, num_teams) in WORLDS.items():
        runs, shots = [], []
        for seed in range(options.seeds):
            world, plain = (
                simulate_people(
                    NUM_QUERIES,
                    NUM_MODELS,
                    num_users=num_users,
                    num_teams=num_teams,
                    strength=each,
                    seed=seed,
                    density=DENSITY,
                )
                for each in (strength, 0.0)
            )
            runs.append(compare(world, plain, seed))
            shots.append(compare_shots(world, seed))
        known = summarise(runs, [("sees users", "blind")])
        if strength > 0:
            known["share of the possible gain"] = share_of_gain(known)  # type: ignore[arg-type]
        few = summarise(
            shots, [(f"sees users, {num} grades", f"blind, {num} grades") for num in SHOTS]
        )
        found[name] = {"known users": known, "newcomers": few}
        print(name, json.dumps(found[name], indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    plain_text = json.dumps(found, indent=1, default=float)
    (options.out / "people.json").write_text(plain_text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
