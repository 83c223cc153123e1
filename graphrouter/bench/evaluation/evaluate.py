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
from graphrouter.bench.evaluation.metric_catalogue import (
    FAMILIES,
    METRICS,
    Measures,
    MetricFamily,
    Unmeasured,
    measure_joint,
)
from graphrouter.bench.evaluation.results import Coverage, Evaluation, SettingName, SettingResult
from graphrouter.bench.evaluation.router_output import RouterOutput, find_same_outputs
from graphrouter.exceptions import DataError
from graphrouter.policy import CostScale
from graphrouter.router.protocol import Router

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset

BEST_SINGLE = "best_single"
ORACLE = "oracle"
FEWEST_QUERIES = 10
"""With fewer distinct queries no interval is given."""
_PARTIAL = "it predicts the effect of some models only"
_NO_CHOICE = "no query has outcomes of two models, so every choice earns the same"
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
        data: Where the outcomes of the queries are.
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
) -> SeedRun:
    """The router and its baselines on the given queries, ready to be scored.

    Arguments and errors are those of `evaluate`.
    """
    if name == ORACLE or ORACLE in baselines or name in baselines:
        raise DataError(
            f"The names {[name, *baselines]} clash; expected distinct names, and none of them "
            f"{ORACLE!r}."
        )
    best_single = baselines.get(BEST_SINGLE)
    evaluation_set = EvaluationSet.of(
        data, query_ids, models=router.models, best_single=best_single, cost_scale=cost_scale
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


class _Plan(NamedTuple):
    """The statistics of one run in one setting, before they are resampled."""

    values: dict[tuple[str, str], Statistic | Unmeasured]
    """By (router, metric)."""
    pairs: dict[tuple[str, str], tuple[Statistic | Unmeasured, Statistic | Unmeasured]]
    """Evaluated router and other, by (other, metric), on the pairs that both predict."""


class _Found(NamedTuple):
    """Figures of one run, or why there is none."""

    values: dict[tuple[str, str], Sampled | Unmeasured]
    pairs: dict[tuple[str, str], tuple[Sampled | Unmeasured, Sampled | Unmeasured]]


def _score_setting(
    runs: Sequence[SeedRun], setting: SettingName, resampling: Resampling
) -> SettingResult:
    names = [*runs[0].outputs[setting], ORACLE]
    found = [
        _resample(_plan(each.evaluation_set, each.outputs[setting]), resampling, i)
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


def _plan(evaluation_set: EvaluationSet, outputs: Mapping[str, RouterOutput]) -> _Plan:
    plan = _Plan({}, {})
    for family in FAMILIES:
        _plan_family(plan, family, evaluation_set, outputs)
    joint = measure_joint(evaluation_set, outputs)
    if not evaluation_set.can_compare_choices:
        joint = {name: {m: Unmeasured(_NO_CHOICE) for m in by} for name, by in joint.items()}
    first = next(iter(outputs))
    for name, measures in joint.items():
        plan.values.update({(name, metric): item for metric, item in measures.items()})
        if name != first:
            plan.pairs.update(
                {(name, metric): (joint[first][metric], item) for metric, item in measures.items()}
            )
    nothing = {
        metric: Unmeasured("the oracle is no part of the joint frontier") for metric in joint[first]
    }
    plan.values.update({(ORACLE, metric): item for metric, item in nothing.items()})
    plan.pairs.update({(ORACLE, metric): (item, item) for metric, item in nothing.items()})
    return plan


def _plan_family(
    plan: _Plan,
    family: MetricFamily,
    evaluation_set: EvaluationSet,
    outputs: Mapping[str, RouterOutput],
) -> None:
    """Adds the statistics of one family to the plan."""
    measured: dict[str, Measures] = {
        name: _measure(family, evaluation_set, each) for name, each in outputs.items()
    }
    measured[ORACLE] = family.without("the oracle predicts what it is judged by")
    if family.quantity is None and not evaluation_set.can_compare_choices:
        measured = {name: family.without(_NO_CHOICE) for name in measured}
    elif family.quantity is None:
        measured[ORACLE] = _measure(
            family, evaluation_set, RouterOutput(evaluation_set.observed.to_predictions())
        )
    first, *others = measured
    for name, measures in measured.items():
        # Pairs that a router picks for itself are not the pairs of all others; it is compared on
        # them, but has no figure.
        is_partial = (
            family.quantity == "effect"
            and name != ORACLE
            and not evaluation_set.is_covered_by(outputs[name])
        )
        shown = family.without(_PARTIAL) if is_partial else measures
        plan.values.update({(name, metric): item for metric, item in shown.items()})
    for other in others:
        mine, theirs = measured[first], measured[other]
        if family.quantity is not None and other != ORACLE:
            mine, theirs = _on_shared_pairs(
                family, evaluation_set, outputs[first], outputs[other], mine=mine, theirs=theirs
            )
        plan.pairs.update({(other, metric): (mine[metric], theirs[metric]) for metric in mine})


def _measure(family: MetricFamily, evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    usable = family.usable(evaluation_set, output)
    if usable.any():
        return family.measure(evaluation_set, output, usable)
    observed = np.isfinite(getattr(evaluation_set.observed, str(family.quantity))).any()
    return family.without(f"no {family.quantity} was {'predicted' if observed else 'observed'}")


def _on_shared_pairs(
    family: MetricFamily,
    evaluation_set: EvaluationSet,
    first: RouterOutput,
    other: RouterOutput,
    *,
    mine: Measures,
    theirs: Measures,
) -> tuple[Measures, Measures]:
    """The measures of two routers on the pairs that both predict.

    As they are when both predict the same pairs.
    """
    first_usable, other_usable = (
        family.usable(evaluation_set, first),
        family.usable(evaluation_set, other),
    )
    shared = first_usable & other_usable
    if not shared.any():
        nothing = family.without(f"no pair with {family.quantity} predicted by both")
        return nothing, nothing
    if not np.array_equal(shared, first_usable):
        mine = family.measure(evaluation_set, first, shared)
    if not np.array_equal(shared, other_usable):
        theirs = family.measure(evaluation_set, other, shared)
    return mine, theirs


def _resample(plan: _Plan, resampling: Resampling, evaluation_set: int) -> _Found:
    needed = {id(item): item for item in plan.values.values() if isinstance(item, Statistic)}
    needed |= {
        id(item): item
        for pair in plan.pairs.values()
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
        {key: sampled(item) for key, item in plan.values.items()},
        {key: (sampled(mine), sampled(theirs)) for key, (mine, theirs) in plan.pairs.items()},
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
            where = f" in {num_undefined} of {len(items)} splits" if len(items) > 1 else ""
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
