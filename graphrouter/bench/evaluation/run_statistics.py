"""What one run is measured by, before anything is resampled: a statistic for every figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.metric_catalogue import (
    FAMILIES,
    JOINT_FAMILIES,
    NO_CHOICE,
    ORACLE_PREDICTS_NOTHING,
    Measures,
    MetricFamily,
    Unmeasured,
    measure_joint,
)
from graphrouter.bench.evaluation.router_output import ORACLE, RouterOutput

_PARTIAL = "it predicts the effect of some models only"


class RunStatistics(NamedTuple):
    """The statistics of one run in one setting, before they are resampled."""

    values: dict[tuple[str, str], Statistic | Unmeasured]
    """By (router, metric)."""
    pairs: dict[tuple[str, str], tuple[Statistic | Unmeasured, Statistic | Unmeasured]]
    """Evaluated router and other, by (other, metric), on the pairs that both predict."""


def collect_statistics(
    evaluation_set: EvaluationSet, outputs: Mapping[str, RouterOutput]
) -> RunStatistics:
    """Every metric of everybody and of the oracle, and what differences are taken of.

    Args:
        evaluation_set: The queries and what was observed of them.
        outputs: Those compared, by name; the evaluated one first.
    """
    collected = RunStatistics({}, {})
    for family in FAMILIES:
        _add_family(collected, family, evaluation_set, outputs)
    _add_joint(collected, evaluation_set, outputs)
    return collected


def _add_family(
    collected: RunStatistics,
    family: MetricFamily,
    evaluation_set: EvaluationSet,
    outputs: Mapping[str, RouterOutput],
) -> None:
    """Adds the statistics of one family."""
    measured: dict[str, Measures] = {
        name: _measure(family, evaluation_set, each) for name, each in outputs.items()
    }
    measured[ORACLE] = family.without(ORACLE_PREDICTS_NOTHING)
    if family.quantity is None and not evaluation_set.can_compare_choices:
        measured = {name: family.without(NO_CHOICE) for name in measured}
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
        collected.values.update({(name, metric): item for metric, item in shown.items()})
    for other in others:
        mine, theirs = measured[first], measured[other]
        if family.quantity is not None and other != ORACLE:
            mine, theirs = _on_shared_pairs(
                family, evaluation_set, outputs[first], outputs[other], mine=mine, theirs=theirs
            )
        collected.pairs.update({(other, metric): (mine[metric], theirs[metric]) for metric in mine})


def _add_joint(
    collected: RunStatistics, evaluation_set: EvaluationSet, outputs: Mapping[str, RouterOutput]
) -> None:
    """Adds the statistics of the metrics that need everybody."""
    joint = measure_joint(evaluation_set, outputs)
    joint[ORACLE] = {
        metric.name: Unmeasured(family.why_no_oracle)
        for family in JOINT_FAMILIES
        for metric in family.metrics
    }
    first, *others = joint
    for name, measures in joint.items():
        collected.values.update({(name, metric): item for metric, item in measures.items()})
    for other in others:
        collected.pairs.update(
            {
                (other, metric): (joint[first][metric], joint[other][metric])
                for metric in joint[first]
            }
        )


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
