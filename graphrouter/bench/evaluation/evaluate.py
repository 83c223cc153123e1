"""A router against its baselines on held-out queries, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.bench.evaluation.bootstrap import (
    UNDEFINED,
    Interval,
    Resampling,
    Sampled,
    Statistic,
    average,
    bootstrap,
)
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.metric_catalogue import METRICS, Unmeasured
from graphrouter.bench.evaluation.results import Coverage, Evaluation, SettingName, SettingResult
from graphrouter.bench.evaluation.router_output import ORACLE, RouterOutput, find_same_outputs
from graphrouter.bench.evaluation.run_statistics import RunStatistics, collect_statistics
from graphrouter.exceptions import DataError
from graphrouter.policy import CostScale
from graphrouter.router.protocol import Router
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset

BEST_SINGLE = "best_single"
FEWEST_QUERIES = 10
"""With fewer distinct queries no interval is given."""
_UNDEFINED_DRAWS = "the queries do not determine it"


@dataclass(frozen=True, eq=False)
class SeedRun:
    """Everybody on one evaluation set: what is compared on the test queries of one split."""

    seed: int
    """Seed of the split."""
    evaluation_set: EvaluationSet
    outputs: Mapping[SettingName, Mapping[str, RouterOutput]]
    """By setting, then by name; the evaluated router first, the same names in every setting."""


def evaluate(
    router: Router,
    data: RoutingDataset,
    query_ids: Sequence[str],
    *,
    baselines: Mapping[str, Router],
    cost_scale: CostScale,
    task_known: bool = True,
    num_draws: int = 1000,
    seed: int = 0,
    name: str = "graphrouter",
) -> Evaluation:
    """All metrics of the router, the baselines and the oracle, and the paired differences.

    Args:
        router: The router to evaluate; its models that the dataset has are evaluated.
        data: Where the outcomes of the queries are, and of others, which tell the levels of models.
        query_ids: Queries that no router was fitted on.
        baselines: Routers to compare with, by name. Frontier metrics need one that is called
            best_single.
        cost_scale: Scale of the rewards, fitted on training outcomes.
        task_known: False leaves out the setting in which the tasks are given.
        num_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
        name: What to call the router.

    Raises:
        DataError: The router or a baseline does not fit the dataset, or a name is used twice.
    """
    found = collect_outputs(
        router,
        data,
        query_ids,
        baselines=baselines,
        cost_scale=cost_scale,
        task_known=task_known,
        seed=seed,
        name=name,
    )
    return score_runs([found], dataset=data.name, num_draws=num_draws, seed=seed)


def collect_outputs(
    router: Router,
    data: RoutingDataset,
    query_ids: Sequence[str],
    *,
    baselines: Mapping[str, Router],
    cost_scale: CostScale,
    task_known: bool = True,
    seed: int = 0,
    name: str = "graphrouter",
    level_ids: Sequence[str] | None = None,
) -> SeedRun:
    """The router and its baselines on the given queries, ready to be scored.

    `level_ids` are the queries to fit the levels of the models on, all that are not evaluated by
    default; the other arguments and errors are those of `evaluate`.
    """
    if name == ORACLE or ORACLE in baselines or name in baselines:
        raise DataError(
            f"The names {[name, *baselines]} clash; expected distinct names, and none of them "
            f"{ORACLE!r}."
        )
    best_single = baselines.get(BEST_SINGLE)
    evaluation_set = EvaluationSet.of(
        data,
        query_ids,
        models=router.models,
        best_single=best_single,
        cost_scale=cost_scale,
        level_ids=level_ids,
    )
    settings: tuple[SettingName, ...] = (
        ("task_known", "task_hidden") if task_known else ("task_hidden",)
    )
    everyone = {name: router, **baselines}
    outputs = {
        setting: {
            label: evaluation_set.collect_output(
                each, task_known=setting == "task_known", name=label
            )
            for label, each in everyone.items()
        }
        for setting in settings
    }
    return SeedRun(seed, evaluation_set, outputs)


def score_runs(
    runs: Sequence[SeedRun],
    *,
    dataset: str,
    num_draws: int = 1000,
    seed: int = 0,
    failed: Mapping[str, str] | None = None,
) -> Evaluation:
    """All metrics of everybody, averaged over the runs, and the paired differences.

    A difference is the first router minus one of the others.

    Args:
        runs: At least one; all with the same names in the same order. Settings that are not in
            all of them are left out.
        dataset: Name of the dataset.
        num_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
        failed: Who is not among the routers, and why.
    """
    first = runs[0]
    ids = tuple(each.evaluation_set.query_ids for each in runs)
    # A handful of queries drawn again and again looks far more certain than it is.
    is_enough = len({query for each in ids for query in each}) >= FEWEST_QUERIES
    resampling = Resampling(ids, num_draws if is_enough else 0, seed)
    shared = [setting for setting in first.outputs if all(setting in each.outputs for each in runs)]
    coverages = [_coverage(each.evaluation_set) for each in runs]
    return Evaluation(
        router=next(iter(next(iter(first.outputs.values())))),
        dataset=dataset,
        num_queries=_mean([len(each.evaluation_set.query_ids) for each in runs]),
        num_models=len(first.evaluation_set.models),
        seeds=tuple(each.seed for each in runs),
        coverage=Coverage(
            *(
                _mean([getattr(c, part) for c in coverages])
                for part in (each.name for each in fields(Coverage))
            )
        ),
        settings={setting: _score_setting(runs, setting, resampling) for setting in shared},
        failed=dict(failed or {}),
    )


class _Found(NamedTuple):
    """Figures of one run, or why there is none."""

    values: dict[tuple[str, str], Sampled | Unmeasured]
    pairs: dict[tuple[str, str], tuple[Sampled | Unmeasured, Sampled | Unmeasured]]


def _score_setting(
    runs: Sequence[SeedRun], setting: SettingName, resampling: Resampling
) -> SettingResult:
    names = [*runs[0].outputs[setting], ORACLE]
    found = [
        _resample(collect_statistics(each.evaluation_set, each.outputs[setting]), resampling, i)
        for i, each in enumerate(runs)
    ]
    values = {key: _over_runs([each.values[key] for each in found]) for key in found[0].values}
    return SettingResult(
        routers={
            name: {metric: _interval(values[name, metric]) for metric in METRICS} for name in names
        },
        paired={
            name: {
                metric: _difference([each.pairs[name, metric] for each in found])
                for metric in METRICS
            }
            for name in names[1:]
        },
        unmeasured={
            name: _reasons(
                {metric: [each.values[name, metric] for each in found] for metric in METRICS}
            )
            for name in names
        },
        same_as=find_same_outputs([each.outputs[setting] for each in runs]),
    )


def _resample(collected: RunStatistics, resampling: Resampling, evaluation_set: int) -> _Found:
    needed = {id(item): item for item in collected.values.values() if isinstance(item, Statistic)}
    needed |= {
        id(item): item
        for pair in collected.pairs.values()
        for item in pair
        if isinstance(item, Statistic)
    }
    samples = dict(
        zip(
            needed, bootstrap(list(needed.values()), resampling.counts(evaluation_set)), strict=True
        )
    )

    def sampled(item: Statistic | Unmeasured) -> Sampled | Unmeasured:
        return item if isinstance(item, Unmeasured) else samples[id(item)]

    return _Found(
        {key: sampled(item) for key, item in collected.values.items()},
        {key: (sampled(mine), sampled(theirs)) for key, (mine, theirs) in collected.pairs.items()},
    )


def _over_runs(items: Sequence[Sampled | Unmeasured]) -> Sampled | Unmeasured:
    """The average over the runs; unmeasured when one of them is."""
    known = [item for item in items if not isinstance(item, Unmeasured)]
    return (
        average(known)
        if len(known) == len(items)
        else next(item for item in items if isinstance(item, Unmeasured))
    )


def _interval(item: Sampled | Unmeasured) -> Interval:
    return UNDEFINED if isinstance(item, Unmeasured) else item.interval()


def _difference(pairs: Sequence[tuple[Sampled | Unmeasured, Sampled | Unmeasured]]) -> Interval:
    mine, theirs = (_over_runs([pair[side] for pair in pairs]) for side in (0, 1))
    if isinstance(mine, Unmeasured) or isinstance(theirs, Unmeasured):
        return UNDEFINED
    return mine.minus(theirs)


def _reasons(values: Mapping[str, Sequence[Sampled | Unmeasured]]) -> dict[str, str]:
    """Why metrics of one router have no value; `values` has those of each run."""
    reasons = {}
    for metric, items in values.items():
        item = next((item for item in items if isinstance(item, Unmeasured)), None)
        num_undefined = sum(
            not np.isfinite(item.value) for item in items if isinstance(item, Sampled)
        )
        if item is not None:
            reasons[metric] = item.reason
        elif num_undefined:
            where = (
                f" in {num_undefined} of {count_of(len(items), 'split')}" if len(items) > 1 else ""
            )
            reasons[metric] = f"{METRICS[metric].when_undefined or _UNDEFINED_DRAWS}{where}"
    return reasons


def _coverage(evaluation_set: EvaluationSet) -> Coverage:
    effect = np.isfinite(evaluation_set.observed.effect)
    costed = effect & np.isfinite(evaluation_set.observed.cost_usd)
    return Coverage(
        num_pairs=int(effect.sum()),
        num_costed_queries=int(costed.any(axis=1).sum()),
        num_costed_pairs=int(costed.sum()),
        num_comparable_queries=int((effect.sum(axis=1) >= 2).sum()),
    )


def _mean(counts: Sequence[int]) -> int:
    return round(sum(counts) / len(counts))
