"""Credit for steps by one grade at the end, where the truth is known: as good as grading each?

A router that knows a few graded prompts learns from runs of three steps that build upon each other,
taken by models at random, of which only the end is graded. It is compared with routers that learned
from the same runs with every step graded (the most there is to learn), with as many of them graded
as ends tell by their information, with the grade of the end given to every step, and with the
router before. On prompts of the same world that nobody has seen:
how far expected effects are from the true chances, the true effect of the model chosen, and the
true worth of plans of three steps within a budget.

    python -m experiments.steps.run --seeds 5 --out experiments/steps/result.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.bench.simulate import Simulation
from graphrouter.data import RoutingDataset
from graphrouter.steps import credit_steps
from graphrouter.types import FloatArray

NUM_MODELS, NUM_KNOWN, NUM_HELD, NUM_STEPS = 8, 80, 400, 3
SIZES = (100, 300)
"""Runs that are learned from."""
TOLERANCE = 0.0
PLAN_USD = 0.004
FIRST_SEED = 40
FIGURES = ["trajectory", "step", "information", "expected"]


def main() -> None:
    """Measure each seed, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    words = parser.parse_args()
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + words.seeds):
        rows += measure_world(seed)
        print(pd.DataFrame(rows).groupby(["runs", "learned_from"], sort=False).mean().round(4))
    result = summarise(pd.DataFrame(rows))
    text = json.dumps(result, indent=2)
    print(text)
    if words.out is not None:
        words.out.write_text(text + "\n", encoding="utf-8")


def measure_world(seed: int) -> list[dict[str, Any]]:
    """What each way to learn brings in one world, a row a way and number of runs."""
    most = max(SIZES) * NUM_STEPS
    world = gr.simulate(NUM_KNOWN + NUM_HELD + most, NUM_MODELS, seed=seed, missing=0.0)
    random = np.random.default_rng([seed, 9])
    order = random.permutation(len(world.data.queries))
    known, held, run = np.split(order, [NUM_KNOWN, NUM_KNOWN + NUM_HELD])
    base = fit_base(world, known, random)
    rows = []
    for size in SIZES:
        runs, graded = make_runs(world, run[: size * NUM_STEPS], random)
        routers = learn(base, runs, graded)
        for way, router in routers.items():
            figures = measure_router(router, world, held)
            rows.append({"seed": seed, "runs": size, "learned_from": way, **figures})
    return rows


def fit_base(
    world: Simulation, known: np.ndarray[Any, Any], random: np.random.Generator
) -> gr.GraphRouter:
    """The router that knows some graded prompts, of which each model has answered half."""
    data = world.data
    queries = data.queries.iloc[np.sort(known)]
    outcomes = data.outcomes[data.outcomes["query_id"].isin(queries["query_id"])]
    outcomes = outcomes[random.random(len(outcomes)) < 0.5]
    queries = queries[queries["query_id"].isin(outcomes["query_id"])]
    part = RoutingDataset.from_frames(
        queries=queries, models=data.models, outcomes=outcomes, tasks=data.tasks, name="known"
    )
    return gr.GraphRouter.fit(part, instant=True)


def make_runs(
    world: Simulation, rows: np.ndarray[Any, Any], random: np.random.Generator
) -> tuple[pd.DataFrame, FloatArray]:
    """Runs by models at random with the grade of their end, and what each step has done."""
    queries = world.data.queries.iloc[rows].reset_index(drop=True)
    models = np.array(world.truth.models)[random.integers(NUM_MODELS, size=len(rows))]
    outcomes = world.data.outcomes.set_index(["query_id", "model"])
    pairs = pd.MultiIndex.from_arrays([queries["query_id"], models])
    done = outcomes.loc[pairs]
    graded = done["effect"].to_numpy(dtype=np.float64)
    run = np.arange(len(rows)) // NUM_STEPS
    ends = pd.Series(graded).groupby(run).transform("min")  # the end is right if every step is
    table = pd.DataFrame(
        {
            "trajectory": run,
            "prompt": queries["prompt"],
            "role": queries["task"],
            "model": models,
            "end_effect": ends.to_numpy(),
            "cost_usd": done["cost_usd"].to_numpy(),
        }
    )
    return table, graded


def learn(
    base: gr.GraphRouter, runs: pd.DataFrame, graded: FloatArray
) -> Mapping[str, gr.GraphRouter]:
    """The router before, and what it becomes by each way to read the runs."""
    plain = runs.rename(columns={"role": "task"}).drop(columns=["trajectory", "end_effect"])
    still = credit_steps(runs, base.predict, tolerance=TOLERANCE, moves_expectation=False)
    whole = credit_steps(runs, base.predict, tolerance=TOLERANCE)
    drawn = np.random.default_rng(len(runs)).random(len(runs)) < whole["information"].to_numpy()
    some = plain.assign(effect=np.where(drawn, graded, np.nan))
    return {
        "nothing": base,
        "end grade for every step": base.add_outcomes(plain.assign(effect=runs["end_effect"])),
        "credit, expectation stays": base.add_outcomes(plain.assign(effect=still["effect"])),
        "credit, each step whole": base.add_outcomes(whole.drop(columns=FIGURES)),
        "credit": base.add_trajectories(runs, tolerance=TOLERANCE),
        "as many steps graded": base.add_outcomes(some),
        "every step graded": base.add_outcomes(plain.assign(effect=graded)),
    }


def measure_router(
    router: gr.GraphRouter, world: Simulation, held: np.ndarray[Any, Any]
) -> dict[str, float]:
    """How far it is from the truth, and what its choices are truly worth, on unseen prompts."""
    queries = world.data.queries.iloc[held]
    prompts, tasks = queries["prompt"].tolist(), queries["task"].tolist()
    expected = router.predict(prompts, tasks=tasks).effect
    true = world.truth.effect[held]
    safe = np.clip(expected, 1e-4, 1 - 1e-4)
    loss = -(true * np.log(safe) + (1 - true) * np.log1p(-safe))
    entropy = -(true * np.log(true) + (1 - true) * np.log1p(-true))
    chosen = true[np.arange(len(held)), expected.argmax(axis=1)]
    cost = world.truth.cost_usd[held]
    worth, spent, hoped = [], [], []
    for start in range(0, len(held) - NUM_STEPS + 1, NUM_STEPS):
        place = range(start, start + NUM_STEPS)
        steps = [
            {"role": tasks[i], "prompt": prompts[i], "name": str(i)}
            | ({"after": [str(i - 1)]} if i > start else {})
            for i in place
        ]
        routing = router.route_steps(steps, budget_usd=PLAN_USD)
        columns = [router.models.index(model) for model in routing.model]
        worth.append(float(np.prod(true[list(place), columns])))
        spent.append(float(cost[list(place), columns].sum()))
        hoped.append(routing.total_effect)
    return {
        "excess_loss": float((loss - entropy).mean()),
        "effect_chosen": float(chosen.mean()),
        "plan_worth": float(np.mean(worth)),
        "plan_expected": float(np.mean(hoped)),
        "plan_usd": float(np.mean(spent)),
    }


def summarise(rows: pd.DataFrame) -> dict[str, Any]:
    """Means over worlds, and differences from the grade of the end, paired by world."""
    from scipy.stats import t

    measures = ["excess_loss", "effect_chosen", "plan_worth"]
    beside = ["plan_expected", "plan_usd"]
    result: dict[str, Any] = {"num_worlds": int(rows["seed"].nunique()), "ways": []}
    for (runs, way), part in rows.groupby(["runs", "learned_from"], sort=False):
        told: dict[str, Any] = {"runs": int(runs), "learned_from": way}
        same = rows[rows["runs"] == runs].set_index("seed")
        for name in measures:
            mine = part.set_index("seed")[name]
            told[name] = round(float(mine.mean()), 4)
            before = same[same["learned_from"] == "nothing"][name]
            whole = same[same["learned_from"] == "every step graded"][name]
            naive = same[same["learned_from"] == "end grade for every step"][name]
            told[f"{name}_share"] = round(float((mine - before).sum() / (whole - before).sum()), 3)
            apart = mine - naive
            half = float(t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5)
            ends = (float(apart.mean()) - half, float(apart.mean()) + half)
            told[f"{name}_over_end_grade"] = [round(end, 4) for end in ends]
        told |= {name: round(float(part[name].mean()), 4) for name in beside}
        result["ways"].append(told)
    return result


if __name__ == "__main__":
    main()
