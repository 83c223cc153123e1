"""A router against its references on held-out queries, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.evaluation.bootstrap import UNDEFINED, Interval, Sampled, Statistic, bootstrap
from graphrouter.evaluation.families import FAMILIES, METRICS, Measures, MetricFamily, Unmeasured
from graphrouter.evaluation.results import Coverage, Evaluation, SettingName, SettingResult
from graphrouter.evaluation.trial import Trial
from graphrouter.exceptions import DataError
from graphrouter.policy import CostScale
from graphrouter.routers.base import Router
from graphrouter.types import Predictions

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset

BEST_SINGLE = "best_single"
ORACLE = "oracle"
_UNDEFINED_DRAWS = "the queries do not determine it"


def evaluate(
    router: Router,
    data: RoutingDataset,
    query_ids: Sequence[str],
    *,
    references: Mapping[str, Router],
    cost_scale: CostScale,
    task_known: bool = True,
    num_draws: int = 1000,
    seed: int = 0,
    name: str = "graphrouter",
) -> Evaluation:
    """All metrics of the router, the references and the oracle, and the paired differences.

    Args:
        router: The router to judge; its models that the dataset has are evaluated.
        data: Where the outcomes of the queries are.
        query_ids: Queries that no router was fitted on.
        references: Routers to compare with, by name. Frontier metrics need one that is called best_single.
        cost_scale: Scale of the rewards, fitted on training outcomes.
        task_known: False leaves out the setting in which the tasks are given.
        num_draws: Bootstrap draws.
        seed: Seed of the bootstrap.
        name: What to call the router.

    Raises:
        DataError: The router or a reference does not fit the dataset, or a name is used twice.
    """
    if name == ORACLE or ORACLE in references or name in references:
        raise DataError(f"The names {[name, *references]} clash; expected distinct names, and none of them {ORACLE!r}.")
    trial = Trial.of(data, query_ids, router=router, best_single=references.get(BEST_SINGLE), cost_scale=cost_scale)
    settings: dict[SettingName, SettingResult] = {}
    wanted: tuple[SettingName, ...] = ("task_known", "task_hidden") if task_known else ("task_hidden",)
    for setting in wanted:
        predictions = {
            label: trial.predict(each, task_known=setting == "task_known", owner=label)
            for label, each in {name: router, **references}.items()
        }
        settings[setting] = _evaluate_setting(trial, predictions, num_draws=num_draws, seed=seed)
    return Evaluation(
        router=name,
        dataset=data.name,
        num_queries=len(trial.prompts),
        num_models=len(trial.models),
        seeds=(seed,),
        coverage=_coverage(trial),
        settings=settings,
    )


class _Plan(NamedTuple):
    """The statistics of a setting, before they are resampled."""

    values: dict[tuple[str, str], Statistic | Unmeasured]
    """By (router, metric)."""
    pairs: dict[tuple[str, str], tuple[Statistic | Unmeasured, Statistic | Unmeasured]]
    """Evaluated router and other, by (other, metric), on the pairs that both predict."""


def _evaluate_setting(trial: Trial, predictions: dict[str, Predictions], *, num_draws: int, seed: int) -> SettingResult:
    """`predictions` of each router by name, the evaluated router first."""
    plan = _Plan({}, {})
    for family in FAMILIES:
        _plan_family(plan, family, trial, predictions)
    needed = {id(item): item for item in plan.values.values() if isinstance(item, Statistic)}
    needed |= {id(item): item for pair in plan.pairs.values() for item in pair if isinstance(item, Statistic)}
    samples = dict(zip(needed, bootstrap(list(needed.values()), num_draws=num_draws, seed=seed), strict=True))
    names = [*predictions, ORACLE]
    return SettingResult(
        routers={name: {metric: _value(plan.values[name, metric], samples) for metric in METRICS} for name in names},
        paired={name: {metric: _difference(plan.pairs[name, metric], samples) for metric in METRICS} for name in names[1:]},
        unmeasured={name: _reasons(plan, name, samples) for name in names},
    )


def _plan_family(plan: _Plan, family: MetricFamily, trial: Trial, predictions: dict[str, Predictions]) -> None:
    """Adds the statistics of one family to the plan."""
    measured: dict[str, Measures] = {name: _measure(family, trial, each) for name, each in predictions.items()}
    measured[ORACLE] = family.without("the oracle predicts what it is judged by")
    if family.quantity is None:
        measured[ORACLE] = _measure(family, trial, trial.observed)
    first, *others = measured
    for name, measures in measured.items():
        plan.values.update({(name, metric): item for metric, item in measures.items()})
    for other in others:
        mine, theirs = measured[first], measured[other]
        if family.quantity is not None and other != ORACLE:
            mine, theirs = _on_shared_pairs(family, trial, predictions[first], predictions[other], mine=mine, theirs=theirs)
        plan.pairs.update({(other, metric): (mine[metric], theirs[metric]) for metric in mine})


def _measure(family: MetricFamily, trial: Trial, predictions: Predictions) -> Measures:
    usable = family.usable(trial, predictions)
    if usable.any():
        return family.measure(trial, predictions, usable)
    observed = np.isfinite(getattr(trial.observed, str(family.quantity))).any()
    return family.without(f"no {family.quantity} was {'predicted' if observed else 'observed'}")


def _on_shared_pairs(
    family: MetricFamily, trial: Trial, first: Predictions, other: Predictions, *, mine: Measures, theirs: Measures
) -> tuple[Measures, Measures]:
    """The measures of two routers on the pairs that both predict; as they are when both predict the same pairs."""
    first_usable, other_usable = family.usable(trial, first), family.usable(trial, other)
    shared = first_usable & other_usable
    if not shared.any():
        nothing = family.without(f"no pair with {family.quantity} predicted by both")
        return nothing, nothing
    if not np.array_equal(shared, first_usable):
        mine = family.measure(trial, first, shared)
    if not np.array_equal(shared, other_usable):
        theirs = family.measure(trial, other, shared)
    return mine, theirs


def _value(item: Statistic | Unmeasured, samples: dict[int, Sampled]) -> Interval:
    return UNDEFINED if isinstance(item, Unmeasured) else samples[id(item)].interval()


def _difference(pair: tuple[Statistic | Unmeasured, Statistic | Unmeasured], samples: dict[int, Sampled]) -> Interval:
    mine, theirs = pair
    if isinstance(mine, Unmeasured) or isinstance(theirs, Unmeasured):
        return UNDEFINED
    return samples[id(mine)].minus(samples[id(theirs)])


def _reasons(plan: _Plan, name: str, samples: dict[int, Sampled]) -> dict[str, str]:
    """Why metrics of one router have no value."""
    reasons = {}
    for metric in METRICS:
        item = plan.values[name, metric]
        if isinstance(item, Unmeasured):
            reasons[metric] = item.reason
        elif not np.isfinite(samples[id(item)].value):
            reasons[metric] = "the best single's effect is never reached" if metric == "cost_save" else _UNDEFINED_DRAWS
    return reasons


def _coverage(trial: Trial) -> Coverage:
    effect = np.isfinite(trial.observed.effect)
    costed = effect & np.isfinite(trial.observed.cost_usd)
    return Coverage(int(effect.sum()), int(costed.any(axis=1).sum()), int(costed.sum()))
