"""Measures budgets over a batch and over a stream, after prediction.

Usage:
    python experiments/budgets/run.py [DATA] [--queries 20000] [--models 57] [--json FILE]

Without DATA predictions are drawn from an item-response model with log-normal costs. With DATA a
router is fitted without training (`instant`), and predictions of its prompts are drawn with
replacement, costs within a hundredth, so that no two are the same.

Prints three things: the batch (seconds, distance from the bound, beside the linear relaxation and
the integer programme of HiGHS on a part of the same batch, in the same run), several limits at
once, and the stream (share of the budget spent and of the effect with hindsight).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack

import graphrouter as gr
from graphrouter.batch_records import BatchLimits, BatchRouting
from graphrouter.batch_routing import assign_batch
from graphrouter.bench.evaluation.budget_curves import find_budget
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.router import BudgetStream
from graphrouter.selection import PolicyContext
from graphrouter.types import FloatArray, IntArray, Predictions

RELAXED_QUERIES, INTEGER_QUERIES, STREAM_QUERIES = 1000, 200, 1000
CAPPED_QUERIES = 5000
BUDGET_SHARES = (0.02, 0.2, 0.6)
"""How far each budget lies on the way from the cheapest choices to the best ones."""


class World(NamedTuple):
    """Predictions of a batch, and the pool that they are of."""

    predictions: Predictions
    context: PolicyContext

    def take(self, rows: IntArray) -> World:
        """The same pool on some of the queries."""
        return World(self.predictions.take(rows=rows), self.context)

    def budget(self, share: float) -> float:
        """Dollars at a share of the way from the cheapest choices to the best ones."""
        return find_budget(self.predictions, share)

    def assign(self, **limits: Any) -> BatchRouting:
        """The choices within the limits."""
        return assign_batch(gr.Policy(), self.predictions, self.context, BatchLimits(**limits))


def draw_world(num_queries: int, num_models: int) -> World:
    """An item-response model: skilled models cost more, with exceptions; prompts vary in both."""
    random = np.random.default_rng(0)
    skill, difficulty = random.normal(size=num_models), random.normal(size=(num_queries, 1)) * 1.5
    shape = (num_queries, num_models)
    effect = 1 / (1 + np.exp(difficulty - skill - 0.7 * random.normal(size=shape)))
    price = np.exp(1.2 * skill + 0.7 * random.normal(size=num_models))
    length = np.exp(0.7 * random.normal(size=(num_queries, 1)) + 0.2 * random.normal(size=shape))
    speed = np.exp(random.normal(size=num_models))
    pool = ModelPool.of(gr.ModelCard(model=f"model-{i}") for i in range(num_models))
    predictions = Predictions.from_arrays(
        pool.names, effect, cost_usd=1e-4 * price * length, latency_s=speed * length
    )
    return World(predictions, PolicyContext(pool, CostScale(0.0, 1.0)))


def read_world(data: str, num_queries: int) -> World:
    """Predictions of a dataset's prompts by a router that was not trained."""
    dataset = gr.load_dataset(data)
    router = gr.GraphRouter.fit(dataset, instant=True)
    found = router.predict(dataset.queries["prompt"].tolist())
    random = np.random.default_rng(0)
    drawn = found.take(rows=random.integers(0, len(found), num_queries))
    noise = np.exp(0.01 * random.normal(size=drawn.effect.shape))
    predictions = Predictions.from_arrays(
        drawn.models, drawn.effect, cost_usd=drawn.cost_usd * noise, latency_s=drawn.latency_s
    )
    return World(predictions, router.policy_context)


def time_call(action: Callable[[], Any]) -> tuple[Any, float]:
    """What the call gives back, and its seconds."""
    start = time.perf_counter()
    value = action()
    return value, time.perf_counter() - start


def solve_with_highs(world: World, budget_usd: float, *, whole: bool) -> float:
    """The optimum of the relaxation, or of the integer programme, as HiGHS finds it."""
    effect, cost = world.predictions.effect, world.predictions.cost_usd / budget_usd
    effect, cost = np.where(np.isnan(cost), 0.0, effect), np.nan_to_num(cost, nan=2.0)
    num_queries, num_models = effect.shape
    query = np.repeat(np.arange(num_queries), num_models)
    one_each = csr_array((np.ones(effect.size), (query, np.arange(effect.size))))
    spent = csr_array(cost.reshape(1, -1))
    if whole:
        solved = milp(
            -effect.ravel(),
            integrality=np.ones(effect.size),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(vstack([one_each, spent]), [1] * num_queries + [0], 1)],
            options={"mip_rel_gap": 0.0, "time_limit": 120},
        )
    else:
        solved = linprog(
            -effect.ravel(), A_ub=spent, b_ub=[1], A_eq=one_each, b_eq=np.ones(num_queries)
        )
    return -float(solved.fun)


def measure_batch(world: World, share: float) -> dict[str, float]:
    """The whole batch under one budget, and parts of it beside HiGHS."""
    budget = world.budget(share)
    chosen, seconds = time_call(lambda: world.assign(budget_usd=budget))
    relaxed = world.take(np.arange(RELAXED_QUERIES))
    part_budget = relaxed.budget(share)
    ours, our_seconds = time_call(lambda: relaxed.assign(budget_usd=part_budget))
    theirs, their_seconds = time_call(lambda: solve_with_highs(relaxed, part_budget, whole=False))
    small = world.take(np.arange(INTEGER_QUERIES))
    small_budget = small.budget(share)
    exact = solve_with_highs(small, small_budget, whole=True)
    return {
        "budget_share": share,
        "seconds": seconds,
        "gap_share": chosen.gap / chosen.bound,
        "spent_share": chosen.total_cost_usd / budget,
        "bound_to_relaxation": ours.bound / theirs,
        "times_faster_than_highs_relaxation": their_seconds / our_seconds,
        "total_to_integer_optimum": small.assign(budget_usd=small_budget).total_effect / exact,
    }


def measure_limits(world: World) -> dict[str, float]:
    """Dollars, seconds and three caps at once."""
    freely = world.assign(budget_usd=world.budget(0.2))
    caps = {model: calls // 2 for model, calls in list(freely.num_calls.items())[:3]}
    limits: dict[str, Any] = {"budget_usd": world.budget(0.2), "max_calls": caps}
    if np.isfinite(freely.total_latency_s):
        limits["budget_s"] = 0.8 * freely.total_latency_s
    chosen, seconds = time_call(lambda: world.assign(**limits))
    return {
        "limits": len(caps) + len(limits) - 1,
        "seconds": seconds,
        "gap_share": chosen.gap / chosen.bound,
    }


def measure_caps(world: World) -> dict[str, float]:
    """A cap on every model, which together leave an eighth more calls than there are prompts."""
    part = world.take(np.arange(min(CAPPED_QUERIES, len(world.predictions))))
    models = part.predictions.models
    most = round(1.125 * len(part.predictions) / len(models))
    caps = dict.fromkeys(models, most)
    chosen, seconds = time_call(lambda: part.assign(budget_usd=part.budget(0.2), max_calls=caps))
    return {
        "limits": len(caps) + 1,
        "seconds": seconds,
        "gap_share": chosen.gap / chosen.bound,
    }


def run_stream(world: World, bill_ratio: FloatArray, share: float = 0.2) -> dict[str, float]:
    """A stream of the world's queries in their order, each bill the cost times its ratio."""
    expected = world.predictions
    billed = expected.cost_usd * bill_ratio[:, None]
    known = Predictions.from_arrays(expected.models, expected.effect, cost_usd=billed)
    hindsight = World(known, world.context)
    budget, num_queries = hindsight.budget(share), len(expected)
    controller = BudgetStream(budget_usd=budget, num_prompts=num_queries)
    effect, start = 0.0, time.perf_counter()
    for i in range(num_queries):
        decision = controller.choose(expected.take(rows=np.array([i])), world.context)
        controller.record(float(decision.cost_usd or 0) * float(bill_ratio[i]))
        effect += decision.effect
    return {
        "spent_share": controller.spent_usd / budget,
        "effect_share": effect / hindsight.assign(budget_usd=budget).total_effect,
        "ms_a_prompt": (time.perf_counter() - start) / num_queries * 1e3,
    }


def measure_streams(world: World) -> dict[str, dict[str, list[float]]]:
    """Lowest and highest of each figure over 20 shuffles, and over five streams of each drift."""
    random = np.random.default_rng(1)
    noise = np.exp(0.3 * random.normal(size=STREAM_QUERIES))
    rising = noise * np.linspace(0.7, 2.0, STREAM_QUERIES)
    kinds: dict[str, list[dict[str, float]]] = {"shuffled": [], "cost": [], "difficulty": []}
    part = world.take(random.permutation(len(world.predictions))[:STREAM_QUERIES])
    for _ in range(20):
        shuffled = part.take(random.permutation(STREAM_QUERIES))
        kinds["shuffled"].append(run_stream(shuffled, noise))
    for _ in range(5):
        part = world.take(random.permutation(len(world.predictions))[:STREAM_QUERIES])
        kinds["cost"].append(run_stream(part, rising))
        ease = part.predictions.effect.mean(axis=1) + 0.1 * random.normal(size=STREAM_QUERIES)
        kinds["difficulty"].append(run_stream(part.take(np.argsort(-ease)), noise))
    return {
        kind: {name: [min(r[name] for r in runs), max(r[name] for r in runs)] for name in runs[0]}
        for kind, runs in kinds.items()
    }


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="?", help="dataset whose prompts are predicted")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--models", type=int, default=57, help="of a drawn pool")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    world = (
        draw_world(arguments.queries, arguments.models)
        if arguments.data is None
        else read_world(arguments.data, arguments.queries)
    )
    figures = {
        "queries": len(world.predictions),
        "models": len(world.predictions.models),
        "batch": [measure_batch(world, share) for share in BUDGET_SHARES],
        "several_limits": measure_limits(world),
        "caps_on_all": measure_caps(world),
        "streams": measure_streams(world),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
