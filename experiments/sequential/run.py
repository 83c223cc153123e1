"""What plans of several calls bring beside one call and beside cascades, and what is told by known
outcomes.

Usage:
    python -m experiments.sequential.run DATA [DATA ...] [--splits 5] [--out experiments/sequential]

A graph router is fitted on each split (`instant=True`). Choices: `graphrouter_sequential` and the
cascades are replayed on the test queries with one and the same simulated judge, exact or of an AUC;
`graphrouter` makes one call. Known outcomes: log loss on the rest of the pool after 0, 1, 2, 3 and
half of the models' outcomes on a test query are told. Writes one JSON a set and README.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import graphrouter as gr
from experiments.quality.deviations import MASSES, fit_scatter, given_others, shrunk
from graphrouter.bench.evaluation.deviations import Levels, centred
from graphrouter.bench.evaluation.evaluate import SeedRun, score_runs
from graphrouter.bench.evaluation.held_out import collect_held_out
from graphrouter.bench.evaluation.results import SettingResult
from graphrouter.bench.observations import Observations
from graphrouter.data import RoutingDataset
from graphrouter.grades import Grade
from graphrouter.router.graph_router import GraphRouter
from graphrouter.types import BoolArray, FloatArray

JUDGES = ("exact", "auc:0.9", "auc:0.8", "auc:0.7", "auc:0.5")
METRICS = ("area_log", "reward_performance_first", "reward_balanced", "reward_cost_first")
SHOWN = (
    "graphrouter_sequential",
    "frugal_gpt",
    "auto_mix",
    "routerbench_cascade",
    "cascade_routing",
)
TOLD = (0, 1, 2, 3, "half")
NUM_DRAWS = 400
_NUM_HALVES = 4


def run(name: str, num_splits: int) -> dict[str, Any]:
    """All figures of a set."""
    data = gr.load_dataset(name)
    routers = [
        gr.GraphRouter.fit(data, gr.load_config(overrides=[f"split.seed={seed}"]), instant=True)
        for seed in range(num_splits)
    ]
    choices = {}
    for judge in JUDGES if np.isfinite(data.outcome_matrix("cost_usd")).any() else ():
        runs = [
            collect_held_out(router, data, judge=judge, baselines=[], seed=seed).run
            for seed, router in enumerate(routers)
        ]
        found = score_runs(
            [_put_first(each) for each in runs], dataset=data.name, num_draws=NUM_DRAWS, seed=0
        )
        choices[judge] = {
            setting: {
                router: {metric: figures[metric].value for metric in METRICS}
                for router, figures in result.routers.items()
            }
            | {"surely": _compare(result)}
            for setting, result in found.settings.items()
        }
        print(data.name, judge, flush=True)
    told = [_tell(data, router, seed) for seed, router in enumerate(routers)]
    return {"choices": choices, "told": told}


def _put_first(run: SeedRun) -> SeedRun:
    """The run with sequential routing as what is compared with the others."""
    outputs = {
        setting: dict(sorted(by_name.items(), key=lambda item: item[0] != SHOWN[0]))
        for setting, by_name in run.outputs.items()
    }
    return replace(run, outputs=outputs)


def _compare(result: SettingResult) -> dict[str, str]:
    """Area of sequential routing against each other, by paired intervals: +, - or =."""
    marks = {}
    for name in ("graphrouter", *SHOWN[1:]):
        difference = result.paired[name]["area_log"]
        sign = "+" if difference.value > 0 else "-"
        marks[name] = sign if difference.excludes_zero else "="
    return marks


def _tell(data: RoutingDataset, router: GraphRouter, seed: int) -> dict[str, dict[str, float]]:
    """Log loss of the rest before and after, and the share of deviations told half of the pool."""
    seen = Observations.of(data, list(router.provenance.split.test))
    columns = [seen.outcomes.models.index(model) for model in router.models]
    effect = seen.outcomes.effect[:, columns]
    rng, figures = np.random.default_rng(seed), {}
    base = router.predict(seen.queries).effect
    for count in TOLD:
        size = len(router.models) // 2 if count == "half" else int(count)
        known = _draw(np.isfinite(effect), size, rng)
        rest = np.isfinite(effect) & ~known
        told = router.predict(seen.queries.with_known(_grade(router, effect, known))).effect
        figures[str(count)] = {
            "before": _log_loss(base[rest], effect[rest]),
            "after": _log_loss(told[rest], effect[rest]),
        }
    figures["deviations"] = _explain(data, router, seen, effect, base, rng)
    return figures


def _explain(
    data: RoutingDataset,
    router: GraphRouter,
    seen: Observations,
    effect: FloatArray,
    base: FloatArray,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Share of the variance of deviations that is explained, told a random half of the pool.

    Beside it the linear-Gaussian rule of `experiments.quality`, with the mass that is best on the
    very test queries.
    """
    solved = Observations.of(data, list(router.provenance.split.train))
    columns = [solved.outcomes.models.index(model) for model in router.models]
    past = solved.outcomes.effect[:, columns]
    tasks, asked = ([str(task) for task in each.queries.tasks] for each in (solved, seen))
    levels = Levels.fit(past, tasks)
    level, scatter = levels.of(asked), fit_scatter(past - levels.of(tasks))
    rules = [shrunk(scatter, len(past), mass) for mass in MASSES]
    found = []
    for _ in range(_NUM_HALVES):
        half = rng.permutation(len(router.models)) < len(router.models) // 2
        known = np.isfinite(effect) & half
        told = router.predict(seen.queries.with_known(_grade(router, effect, known))).effect
        linear = [
            _share(
                level + given_others(np.where(half, effect - level, np.nan), rule, ~half),
                effect,
                level,
                ~half,
            )
            for rule in rules
        ]
        found.append(
            (_share(base, effect, level, ~half), _share(told, effect, level, ~half), max(linear))
        )
    return dict(zip(("before", "after", "linear"), np.mean(found, axis=0).tolist(), strict=True))


def _share(predicted: FloatArray, effect: FloatArray, level: FloatArray, which: BoolArray) -> float:
    """1 - squared error of deviations over that of the levels, on some models."""
    observed = effect[:, which]
    guessed = np.where(np.isfinite(observed), predicted[:, which], np.nan)
    missed = centred(observed) - centred(guessed)
    return float(1 - np.nansum(missed**2) / np.nansum(centred(observed - level[:, which]) ** 2))


def _draw(there: BoolArray, size: int, rng: np.random.Generator) -> BoolArray:
    """Some of the outcomes of each query, at most `size`."""
    order = np.where(there, rng.random(there.shape), np.inf)
    return (np.argsort(np.argsort(order, axis=1), axis=1) < size) & there


def _grade(router: GraphRouter, effect: FloatArray, known: BoolArray) -> list[Mapping[str, Grade]]:
    return [
        {router.models[i]: Grade(float(values[i])) for i in np.flatnonzero(which)}
        for values, which in zip(effect, known, strict=True)
    ]


def _log_loss(chance: FloatArray, effect: FloatArray) -> float:
    bounded = np.clip(chance, 1e-6, 1 - 1e-6)
    return float(-np.mean(effect * np.log(bounded) + (1 - effect) * np.log1p(-bounded)))


def report(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Tables in Markdown."""
    yield str(__doc__).split("Usage:")[0].strip().rstrip(".") + ", test queries."
    splits = ", ".join(f"{name} {len(each['told'])}" for name, each in found.items())
    yield "\nMade by `python -m experiments.sequential.run DATA/...`; instant routers."
    yield f"Splits: {splits}."
    for setting in ("task_known", "task_hidden"):
        yield f"\n## Area under the frontier, {setting.replace('_', ' ')}\n"
        yield "Behind a figure: `+` sequential routing is surely better, `-` it is surely worse."
        yield "Routed: cascade routing.\n"
        yield "| set | judge | one call | sequential | FrugalGPT | AutoMix | RouterBench | routed |"
        yield "|---|---|---|---|---|---|---|---|"
        for name, figures in found.items():
            for judge, settings in figures["choices"].items():
                if setting not in settings:
                    continue
                row, marks = settings[setting], settings[setting]["surely"]
                others = [
                    f"{row[other]['area_log']:.4f} {marks[other]}"
                    for other in ("graphrouter", *SHOWN[1:])
                ]
                own = f"**{row[SHOWN[0]]['area_log']:.4f}**"
                yield "| " + " | ".join([name, judge, others[0], own, *others[1:]]) + " |"
    yield "\n## Known outcomes: log loss on the rest of the pool\n"
    yield "| set | " + " | ".join(f"told {count}" for count in TOLD) + " | deviations |"
    yield "|---" * (len(TOLD) + 2) + "|"
    for name, figures in found.items():
        cells = [
            " to ".join(
                f"{np.mean([split[str(count)][when] for split in figures['told']]):.4f}"
                for when in (("before", "after") if count else ("after",))
            )
            for count in TOLD
        ]
        before, after, linear = (
            np.mean([split["deviations"][key] for split in figures["told"]])
            for key in ("before", "after", "linear")
        )
        cells.append(f"{before:.3f} to {after:.3f} ({linear:.3f})")
        yield "| " + " | ".join([name, *cells]) + " |"
    yield (
        "\nDeviations: share of their variance that is explained before and after half of the pool "
        "is told, and what a linear-Gaussian rule explains with the mass that is best on the same "
        "rows."
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("experiments/sequential"))
    asked = parser.parse_args()
    folder = asked.out / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for name in asked.data:
        found = run(name, asked.splits)
        (folder / f"{Path(name).name}.json").write_text(json.dumps(found, indent=1) + "\n")
    everything = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
    (asked.out / "README.md").write_text(
        "\n".join(["# Sequential routing\n", *report(everything), ""])
    )


if __name__ == "__main__":
    main()
