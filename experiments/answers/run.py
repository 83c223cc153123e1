"""What answers tell where nobody grades them: Smoothie on real answers, and agreement as a judge.

Usage:
    python -m experiments.answers.run [--seeds 6] [--out experiments/answers]

The answers are the SQL of three pipelines and the passages of three retrievers, in the worlds of
`examples/pipelines`: none of the shared sets has texts of answers. Smoothie sees no grade, whom it
chooses is graded on test questions. Plans of several calls have no judge but the agreement of the
answers called so far, believed as far as training answers show it to be right; they stand beside
one call of the same router. Writes results.json and README.md.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import graphrouter as gr
from experiments.paired import draw_difference, show_difference
from graphrouter.bench.baselines import find_router
from graphrouter.bench.evaluation.evaluate import score_runs
from graphrouter.bench.evaluation.held_out import collect_held_out
from graphrouter.data import RoutingDataset, split_dataset
from graphrouter.router import TrainingView
from graphrouter.types import FloatArray

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "pipelines"
ROUTERS = ("smoothie", "random", "best_single", "knn", "graphrouter")
METRICS = ("area_log", "reward_performance_first", "reward_balanced", "mean_calls")
PLANS = "graphrouter_sequential"


def make_world(kind: str, seed: int) -> RoutingDataset:
    """A dataset with answers."""
    if kind == "text_to_sql":
        world = runpy.run_path(str(EXAMPLES / "route_text_to_sql.py"))
        data, _ = world["make_dataset"](seed, 1200)
        return data
    world = runpy.run_path(str(EXAMPLES / "route_retrievers.py"))
    corpus = world["make_corpus"](seed, 900)
    data, _ = world["make_dataset"](corpus, world["make_retrievers"](corpus.passages))
    return data


def choose_without_grades(data: RoutingDataset, seed: int) -> dict[str, list[float]]:
    """Observed effect of whom each router chooses, on test questions."""
    config = gr.load_config(overrides=[f"split.seed={seed}", f"seed={seed}"])
    split = split_dataset(data, config.split)
    view = TrainingView.of(data, config, split=split)
    ids = list(split.test)
    prompts = data.queries.set_index("query_id").loc[ids, "prompt"].tolist()
    effect, rows, found = data.outcome_matrix("effect", ids), np.arange(len(ids)), {}
    for name in ROUTERS:
        more = {"instant": True} if name == "graphrouter" else {}
        router = find_router(name).fit(view, **more)
        expected = np.nan_to_num(router.predict(prompts).effect, nan=-1.0)
        found[name] = np.round(effect[rows, expected.argmax(axis=1)], 6).tolist()
    return found


def plan_by_agreement(num_seeds: int) -> dict[str, Any]:
    """Plans judged by agreement, and by nobody, over all worlds of text to SQL."""
    runs = []
    for seed in range(num_seeds):
        data = make_world("text_to_sql", seed)
        config = gr.load_config(overrides=[f"split.seed={seed}"])
        router = gr.GraphRouter.fit(data, config, instant=True)
        run = collect_held_out(router, data, judge="agreement", baselines=[], seed=seed).run
        outputs = {
            setting: dict(sorted(by_name.items(), key=lambda item: item[0] != PLANS))
            for setting, by_name in run.outputs.items()
        }
        runs.append(replace(run, outputs=outputs))
        print(f"agreement {seed} done", flush=True)
    found = score_runs(runs, dataset="text_to_sql", num_draws=400, seed=0).settings["task_hidden"]
    paired = found.paired["graphrouter"]
    return {
        "figures": {
            name: {metric: found.routers[name][metric].value for metric in METRICS}
            for name in (PLANS, "graphrouter", "best_single")
        },
        "gain": {
            metric: [paired[metric].value, paired[metric].low, paired[metric].high]
            for metric in METRICS[:-1]
        },
    }


def report(found: dict[str, Any]) -> Iterator[str]:
    """Tables in Markdown."""
    yield "# Answers\n"
    yield str(__doc__).split("Usage:")[0].strip() + "\n"
    yield str(__doc__).split("answers]\n")[1].strip() + "\n"
    yield "Made by `python -m experiments.answers.run`.\n"
    yield "## Smoothie on real answers\n"
    yield "Effect of whom each chooses: share of right SQL, reciprocal rank of the passage.\n"
    yield "| world | who | effect | less best single's | less random's |"
    yield "|---|---|---|---|---|"
    for kind, worlds in found["chosen"].items():
        for name in ROUTERS:
            ours = [np.array(each[name]) for each in worlds]
            gaps = [
                "" if other == name else show_difference(draw_difference(ours, _of(worlds, other)))
                for other in ("best_single", "random")
            ]
            mean = float(np.mean([values.mean() for values in ours]))
            yield f"| {kind} | {name} | {mean:.3f} | {gaps[0]} | {gaps[1]} |"
    yield "\nBold: the 95 % interval of the difference, paired by question, does not hold 0.\n"
    yield "## Agreement as the judge of plans, text to SQL\n"
    yield "| who | area | performance | balanced | calls a question |"
    yield "|---|---|---|---|---|"
    words = {PLANS: "plans, judged by agreement", "graphrouter": "one call, no judge"}
    for name, figures in found["agreement"]["figures"].items():
        cells = [f"{figures[metric]:.4f}" for metric in METRICS[:-1]]
        yield f"| {words.get(name, name)} | {' | '.join(cells)} | {figures['mean_calls']:.2f} |"
    gains = [show_difference(found["agreement"]["gain"][metric]) for metric in METRICS[:-1]]
    yield f"| plans less one call | {' | '.join(gains)} | |"


def _of(worlds: list[dict[str, list[float]]], name: str) -> list[FloatArray]:
    return [np.array(each[name]) for each in worlds]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("experiments/answers"))
    asked = parser.parse_args()
    found: dict[str, Any] = {"agreement": plan_by_agreement(asked.seeds), "chosen": {}}
    for kind in ("text_to_sql", "retrievers"):
        found["chosen"][kind] = []
        for seed in range(asked.seeds):
            found["chosen"][kind].append(choose_without_grades(make_world(kind, seed), seed))
            print(f"{kind} {seed} done", flush=True)
    (asked.out / "results.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
    (asked.out / "README.md").write_text("\n".join(report(found)) + "\n")


if __name__ == "__main__":
    main()
