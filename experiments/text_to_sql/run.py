"""Which text-to-SQL pipeline to run: routers beside each of three pipelines.

Usage:
    python -m experiments.text_to_sql.run [--seeds 6] [--out experiments/text_to_sql]

The worlds are those of `examples/pipelines/route_text_to_sql.py`: a database and some 900 different
questions a seed, answered by three pipelines whose SQL is run. Each router is fitted on training
questions. Beside a pipeline stands what a router reaches for no more money: the price of effect is
the one with which validation questions are answered best for at most what the pipeline costs there;
the figures are those of test questions. Writes results.json and README.md.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import graphrouter as gr
from experiments.paired import draw_difference, show_difference
from graphrouter.bench.baselines import find_router
from graphrouter.bench.evaluation.relative import token_elasticity
from graphrouter.data import split_dataset
from graphrouter.router import TrainingView
from graphrouter.types import FloatArray, IntArray

ROOT = Path(__file__).resolve().parents[2]
ROUTERS = ("graphrouter", "ellie_sql", "ltrr", "knn", "gbt")
PIPELINES = ("basic", "joined", "stepwise")
NUM_QUESTIONS = 1200
PRICES = np.geomspace(1e-5, 10, 121)
"""US dollars that a right answer is worth."""


def try_seed(seed: int) -> dict[str, Any]:
    """Outcomes of every way on the test questions of one world."""
    world = runpy.run_path(str(ROOT / "examples" / "pipelines" / "route_text_to_sql.py"))
    data, kinds = world["make_dataset"](seed, NUM_QUESTIONS)
    config = gr.load_config(overrides=[f"split.seed={seed}"])
    split = split_dataset(data, config.split)
    view = TrainingView.of(data, config, split=split)
    sides = {"held": list(split.validation), "test": list(split.test)}
    seen = {
        side: {name: data.outcome_matrix(name, ids) for name in ("effect", "cost_usd")}
        | {"tokens": sum(data.outcome_matrix(f"{way}_tokens", ids) for way in ("input", "output"))}
        for side, ids in sides.items()
    }
    kind_of = dict(zip(data.queries["query_id"], kinds, strict=True))
    found: dict[str, Any] = {"kind": [kind_of[each] for each in sides["test"]], "ways": {}}
    for column, name in enumerate(data.pool.names):
        found["ways"][name] = _take(seen["test"], np.full(len(sides["test"]), column))
    everything = {}
    for name in ROUTERS:
        more = {"instant": True} if name == "graphrouter" else {}
        router = find_router(name).fit(view, **more)
        expected = {}
        for side, ids in sides.items():
            prompts = data.select_queries(ids).queries
            order = prompts.set_index("query_id").loc[ids, "prompt"].tolist()
            expected[side] = router.predict(order)
        found["ways"][name] = _take(seen["test"], _choose(expected["test"], np.inf))
        for column, pipeline in enumerate(data.pool.names):
            price = _pick_price(expected["held"], seen["held"], column)
            beside = _take(seen["test"], _choose(expected["test"], price))
            everything[f"{name} for the cost of {pipeline}"] = beside
    found["ways"] |= everything
    return found


def _choose(expected: gr.Predictions, usd_per_effect: float) -> IntArray:
    cost = np.nan_to_num(expected.cost_usd, nan=0.0)
    return np.argmax(np.nan_to_num(expected.effect, nan=-9.0) - cost / usd_per_effect, axis=1)


def _pick_price(expected: gr.Predictions, seen: dict[str, FloatArray], pipeline: int) -> float:
    rows, allowed = np.arange(len(expected.effect)), seen["cost_usd"][:, pipeline].mean()
    best = (-1.0, PRICES[0])
    for price in PRICES:
        columns = _choose(expected, price)
        if seen["cost_usd"][rows, columns].mean() <= allowed * (1 + 1e-9):
            best = max(best, (float(seen["effect"][rows, columns].mean()), price))
    return float(best[1])


def _take(seen: dict[str, FloatArray], columns: IntArray) -> dict[str, list[float]]:
    rows = np.arange(len(columns))
    return {name: np.round(values[rows, columns], 7).tolist() for name, values in seen.items()}


def report(worlds: list[dict[str, Any]]) -> Iterator[str]:
    """Tables in Markdown."""

    def of(way: str, name: str) -> list[FloatArray]:
        return [np.array(each["ways"][way][name]) for each in worlds]

    def mean(way: str, name: str) -> float:
        return float(np.mean([values.mean() for values in of(way, name)]))

    yield "# Text to SQL\n"
    yield str(__doc__).split("Usage:")[0].strip() + "\n"
    counts = ", ".join(str(len(each["kind"])) for each in worlds)
    yield "Made by `python -m experiments.text_to_sql.run`;"
    yield f"{len(worlds)} worlds with {counts} test questions.\n"
    yield "## Each pipeline, and what routers reach for no more money\n"
    yield "| pipeline | its right answers | its USD for 1,000 | router | right | USD for 1,000 | more right answers |"  # noqa: E501
    yield "|---|---|---|---|---|---|---|"
    for pipeline in PIPELINES:
        for name in ROUTERS:
            way = f"{name} for the cost of {pipeline}"
            gap = show_difference(draw_difference(of(way, "effect"), of(pipeline, "effect")))
            cells = [f"{mean(pipeline, 'effect'):.3f}", f"{1000 * mean(pipeline, 'cost_usd'):.3f}"]
            cells += [name, f"{mean(way, 'effect'):.3f}", f"{1000 * mean(way, 'cost_usd'):.3f}"]
            yield "| " + " | ".join([pipeline, *cells, gap]) + " |"
    yield "\nBold: the 95 % interval of the difference, paired by question, does not hold 0.\n"
    yield "## Right answers alone, whatever they cost\n"
    yield "The elasticity is EllieSQL's, against `basic`: the share by which more is right over"
    yield "the share by which more tokens are spent.\n"
    yield "| who | right | tokens a question | USD for 1,000 | token elasticity | right less graphrouter's |"  # noqa: E501
    yield "|---|---|---|---|---|---|"
    base = {name: np.array([mean("basic", name)]) for name in ("effect", "tokens")}
    for way in (*ROUTERS, *PIPELINES):
        elasticity = token_elasticity(
            np.array([mean(way, "effect")]),
            np.array([mean(way, "tokens")]),
            base_effect=base["effect"],
            base_tokens=base["tokens"],
        )[0]
        gap = show_difference(draw_difference(of(way, "effect"), of("graphrouter", "effect")))
        cells = [f"{mean(way, 'effect'):.3f}", f"{mean(way, 'tokens'):.0f}"]
        cells += [f"{1000 * mean(way, 'cost_usd'):.3f}"]
        cells += ["-" if np.isnan(elasticity) else f"{elasticity:.3f}"]
        yield "| " + " | ".join([way, *cells, "" if way == "graphrouter" else gap]) + " |"
    yield "\nRight answers by kind, which no router is told:\n"
    shown = ("graphrouter", "ellie_sql", *PIPELINES)
    yield "| question | " + " | ".join(shown) + " |"
    yield "|---" * (len(shown) + 1) + "|"
    for kind in ("simple", "limited", "joined", "nested"):
        inside = [np.array(each["kind"]) == kind for each in worlds]
        cells = [
            f"{np.concatenate([v[i] for v, i in zip(of(way, 'effect'), inside, strict=True)]).mean():.3f}"  # noqa: E501
            for way in shown
        ]
        yield f"| {kind} | " + " | ".join(cells) + " |"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("experiments/text_to_sql"))
    asked = parser.parse_args()
    worlds = []
    for seed in range(asked.seeds):
        worlds.append(try_seed(seed))
        print(f"seed {seed} done", flush=True)
    plain = json.dumps(worlds, separators=(",", ":"))
    (asked.out / "results.json").write_text(plain + "\n")
    (asked.out / "README.md").write_text("\n".join(report(worlds)) + "\n")


if __name__ == "__main__":
    main()
