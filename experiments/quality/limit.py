"""How much of what routing lives on can be predicted at all.

An estimate from the outcomes of other models on the same query.

Usage:
    python -m experiments.quality.limit DATA [DATA ...] --seeds 3 --jobs 2 --out RUN [--config FILE]
    python experiments/take.py RUN/limit.json experiments/quality/results
    python -m experiments.quality.page > experiments/quality/README.md

Trains the graph router of each split where RUN has no result of it: the RUN of a benchmark or of
experiments.quality.run with the same settings serves as it is. Writes RUN/limit.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from experiments.quality.deviations import (
    MASSES,
    fit_scatter,
    given_others,
    share_given_others,
    shrunk,
    variance_shares,
)
from experiments.quality.run import run_plans
from experiments.quality.variants import VariantCell
from graphrouter.bench.baselines import LearningData
from graphrouter.bench.evaluation.benchmark import MAIN, CellResult, Plan
from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.deviations import Levels, share_predicted
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.grid import (
    CELLS,
    PreparedSplit,
    keep_embeddings,
    prepare_split,
    read_datasets,
    set_seeds,
)
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.evaluation.routing_measures import measure_frontier, measure_rewards
from graphrouter.config import TrainConfig, load_config
from graphrouter.data.splits import group_families
from graphrouter.files import replace_file, write_json
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions

NUM_DIVISIONS = 4
"""Random halves of the pool."""
MEASURES = ("reward_performance_first", "reward_balanced", "area_log")
CHOOSERS = ("best_single", MAIN, "given_others", "oracle")
Figures = dict[str, float]


@dataclass(frozen=True, eq=False)
class Companions:
    """What the outcomes of some models say of the others, fitted on training rows."""

    levels: Levels
    covariance: FloatArray
    """(num_models, num_models) of outcome minus level."""
    families: IntArray
    """(num_models,) number of each model's family."""

    @classmethod
    def fit(cls, prepared: PreparedSplit) -> Companions:
        """From the training rows of the split, shrunk as suits its validation rows best."""
        learning = prepared.view.derive(LearningData.of_view)
        train, held = learning.train, learning.validation
        levels = Levels.fit(train.outcomes.effect, train.tasks)
        rest = train.outcomes.effect - levels.of(train.tasks)
        names = group_families(prepared.data.models).to_numpy()
        families = np.unique(names, return_inverse=True)[1]
        scatter = fit_scatter(rest)
        candidates = [shrunk(scatter, len(rest), mass) for mass in MASSES]
        if held is None:
            return cls(levels, candidates[0], families)
        unseen = held.outcomes.effect - levels.of(held.tasks)
        return cls(
            levels,
            max(candidates, key=lambda each: share_given_others(unseen, each, families)),
            families,
        )


def measure_split(prepared: PreparedSplit, output: Mapping[str, RouterOutput]) -> Figures:
    """All figures of one split, by name.

    Args:
        prepared: The split.
        output: The graph router in each setting.
    """
    evaluation_set, companions = prepared.evaluation_set, Companions.fit(prepared)
    effect, level = (
        evaluation_set.observed.effect,
        companions.levels.of(evaluation_set.queries.tasks),
    )
    rest = effect - level
    found = dict(variance_shares(effect, level)._asdict())
    found |= {
        setting: share_predicted(rest, each.predictions.effect - level)
        for setting, each in output.items()
    }
    found["given_others"] = share_given_others(rest, companions.covariance, companions.families)
    router = output.get("task_known") or output["task_hidden"]
    return found | _mean_figures(
        [
            _choose(evaluation_set, half, companions, router)
            for half in _halves(companions.families, prepared)
        ]
    )


def _halves(families: IntArray, prepared: PreparedSplit) -> list[BoolArray]:
    """Both halves of a few random divisions of the pool, whole families together, (num_models,)
    each."""
    rng = np.random.default_rng(prepared.view.config.seed)
    halves = []
    for _ in range(NUM_DIVISIONS):
        chosen = np.zeros(len(families), dtype=bool)
        for family in rng.permutation(np.unique(families)):
            if chosen.sum() < len(families) // 2:
                chosen |= families == family
        halves += [chosen, ~chosen]
    return [half for half in halves if half.any()]


def _choose(
    evaluation_set: EvaluationSet, half: BoolArray, companions: Companions, router: RouterOutput
) -> Figures:
    """What choices among one half of the pool reach, when the outcomes of the other half are known
    or not."""
    columns = np.flatnonzero(half)
    level = companions.levels.of(evaluation_set.queries.tasks)
    expected = np.clip(
        level + given_others(evaluation_set.observed.effect - level, companions.covariance, half),
        0,
        1,
    )
    told = replace(
        router.predictions, effect=np.where(half, expected, 0.5), effect_low=None, effect_high=None
    )
    single = evaluation_set.best_single
    smaller = replace(
        evaluation_set,
        models=tuple(np.array(evaluation_set.models)[columns]),
        observed=evaluation_set.observed.take(columns=columns),
        best_single=None if single is None else single.take(columns=columns),
        level=level[:, columns],
    )
    choosers: dict[str, Predictions | None] = dict(
        zip(CHOOSERS, (single, router.predictions, told, evaluation_set.observed), strict=True)
    )
    figures: Figures = {}
    for name, predictions in choosers.items():
        if predictions is not None:
            run = RouterOutput(predictions.take(columns=columns))
            measures = {**measure_rewards(smaller, run), **measure_frontier(smaller, run)}
            figures |= {f"{name}.{measure}": _value(measures[measure]) for measure in MEASURES}
    return figures


def _value(measure: object) -> float:
    if not isinstance(measure, Statistic):
        return float("nan")
    return float(measure.finish(measure.parts.sum(axis=0, keepdims=True))[0])


def _mean_figures(figures: Sequence[Figures]) -> Figures:
    return {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}


def measure_dataset(
    place: str, folder: Path, config: TrainConfig, *, num_seeds: int, jobs: int
) -> Figures:
    """Figures of one dataset, mean over its splits; the router is trained where the folder has no
    result of it."""
    [(_, data)] = read_datasets([place]).items()
    settings = keep_embeddings(config, folder)
    cells = tuple(
        VariantCell(
            place, data.name, data.fingerprint, MAIN, set_seeds(settings, seed), folder / CELLS
        )
        for seed in range(num_seeds)
    )
    run_plans([Plan(cells, {place: data.name}, folder)], jobs=jobs)
    found = []
    for cell in cells:
        result = CellResult.load(cell.file)
        if result is None or result.outputs is None:
            raise SystemExit(
                f"No figures for {data.name}: {result.message if result else 'not run'}"
            )
        found.append(
            measure_split(
                prepare_split(cell), {str(name): each for name, each in result.outputs.items()}
            )
        )
    return _mean_figures(found)


def main(words: Sequence[str] | None = None) -> None:
    """Measures all datasets and writes the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="folders of datasets, or simulated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="YAML settings of the graph router")
    arguments = parser.parse_args(words)
    config = load_config(arguments.config)
    datasets = {}
    for place in arguments.data:
        figures = measure_dataset(
            place, arguments.out, config, num_seeds=arguments.seeds, jobs=arguments.jobs
        )
        datasets[Path(place).name] = {
            name: value if np.isfinite(value) else None for name, value in figures.items()
        }
    plain = {"seeds": arguments.seeds, "datasets": datasets}
    replace_file(arguments.out / "limit.json", partial(write_json, plain))


if __name__ == "__main__":
    main()
