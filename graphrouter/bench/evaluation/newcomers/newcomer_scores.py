"""From what routers predicted to figures with paired intervals, averaged over the runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.bootstrap import (
    Interval,
    Resampling,
    Sampled,
    Statistic,
    average,
    bootstrap,
)
from graphrouter.bench.evaluation.evaluate import FEWEST_QUERIES
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.newcomers.newcomer_cells import (
    REFERENCE,
    RETRAINED,
    SUGGESTED,
    OutputKey,
)
from graphrouter.bench.evaluation.newcomers.newcomer_measures import (
    CHOICES,
    COVERAGE,
    LOSSES,
    MEASURED,
    measure_coverage,
    measure_learned_share,
    measure_newcomers,
)
from graphrouter.bench.evaluation.newcomers.shots import ALL, Shots, name_shot
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.types import BoolArray

Found = dict[OutputKey, dict[str, Sampled]]
"""Figures by who was asked after how many outcomes, then by metric."""
TWICE = "log_loss_vs_twice_random"
"""Log loss after k suggested probes minus that after 2 k random ones."""


@dataclass(frozen=True, eq=False)
class NewcomerRun:
    """One split with some models, or one task, held out."""

    seed: int
    evaluation_set: EvaluationSet
    is_scored: BoolArray
    """(num_models,) the models whose outcomes count for the losses."""
    has_newcomers: bool
    """False where a task is held out."""
    outputs: Mapping[OutputKey, RouterOutput]


def score_newcomers(
    runs: Iterable[NewcomerRun],
    query_ids: Sequence[tuple[str, ...]],
    *,
    shots: Shots,
    num_draws: int = 1000,
    seed: int = 0,
) -> tuple[dict[OutputKey, dict[str, Interval]], dict[OutputKey, dict[str, Interval]]]:
    """All figures of everybody after each shot, and graphrouter minus everybody else.

    Args:
        runs: Taken one by one, since their answers are large; all with the same routers.
        query_ids: The scored queries of each run, in the order of its rows.
        shots: Numbers of outcomes to report.
        num_draws: Bootstrap draws; none are made of fewer than 10 distinct queries.
        seed: Seed of the bootstrap.
    """
    is_enough = len({query for ids in query_ids for query in ids}) >= FEWEST_QUERIES
    resampling = Resampling(tuple(query_ids), num_draws if is_enough else 0, seed)
    found = [_measure_run(each, resampling, number) for number, each in enumerate(runs)]
    means = {
        key: {metric: average([each[key][metric] for each in found]) for metric in figures}
        for key, figures in found[0].items()
    }
    labels = [name_shot(shot) for shot in shots]
    everyone = _at_every_shot(means, labels)
    figures = {key: _figures(everyone, key) for key in everyone}
    return figures, {key: _differences(everyone, key) for key in everyone if key[0] != MAIN}


def _measure_run(run: NewcomerRun, resampling: Resampling, number: int) -> Found:
    blocks = list(resampling.counts(number))  # the same draws for everybody
    found: Found = {}
    for key, output in run.outputs.items():
        measures = measure_newcomers(
            run.evaluation_set, output, run.is_scored, has_newcomers=run.has_newcomers
        )
        statistics = {
            name: item for name in MEASURED if isinstance(item := measures[name], Statistic)
        }
        samples = dict(zip(statistics, bootstrap(list(statistics.values()), blocks), strict=True))
        undefined = Sampled(float("nan"), np.full(resampling.num_draws, np.nan))
        found[key] = {name: samples.get(name, undefined) for name in MEASURED}
        if run.has_newcomers:
            found[key][COVERAGE] = undefined._replace(
                value=measure_coverage(run.evaluation_set, output, run.is_scored)
            )
    return found


def _at_every_shot(means: Found, labels: Sequence[str]) -> Found:
    """Everybody after every shot, MAIN first.

    Who is retrained stands everywhere, and suggested probes only differ in between.
    """
    stand_in = {**{(RETRAINED, label): (RETRAINED, ALL) for label in labels}}
    stand_in |= {(SUGGESTED, label): (MAIN, label) for label in ("0", ALL)}
    names = list(dict.fromkeys([MAIN, SUGGESTED, RETRAINED, *(name for name, _ in means)]))
    wanted = [(name, label) for name in names for label in labels]
    sources = {key: stand_in.get(key, key) for key in wanted}
    has_suggested = any(name == SUGGESTED for name, _ in means)
    return {
        key: means[source]
        for key, source in sources.items()
        if source in means and (has_suggested or key[0] != SUGGESTED)
    }


def _figures(everyone: Found, key: OutputKey) -> dict[str, Interval]:
    name, label = key
    mine, retrained = everyone[key], everyone.get((RETRAINED, label))
    start = everyone.get((REFERENCE, "0"))
    figures = {metric: sampled.interval() for metric, sampled in mine.items()}
    if start is not None and retrained is not None:
        figures["learned_share"] = measure_learned_share(
            start["log_loss"], mine["log_loss"], retrained["log_loss"]
        ).interval()
    if retrained is not None:
        figures |= {
            f"{metric}_vs_retrained": mine[metric].minus(retrained[metric]) for metric in CHOICES
        }
    twice = (
        everyone.get((MAIN, str(2 * int(label))))
        if name == SUGGESTED and label not in ("0", ALL)
        else None
    )
    if twice is not None:
        figures[TWICE] = mine["log_loss"].minus(twice["log_loss"])
    return figures


def _differences(everyone: Found, key: OutputKey) -> dict[str, Interval]:
    main = everyone[MAIN, key[1]]
    return {metric: main[metric].minus(everyone[key][metric]) for metric in (*LOSSES, *CHOICES)}
