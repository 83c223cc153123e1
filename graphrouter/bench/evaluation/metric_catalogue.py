"""The metrics of an evaluation.

A new one is a pure function of arrays, a measure that feeds it, and a line in `FAMILIES`.

A family measures metrics that share their work. Predictor families measure one predicted quantity
on the pairs where it was both observed and predicted; choice families measure what the predictions
would have chosen (see `choices`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import Measures, Unmeasured
from graphrouter.bench.evaluation.predictor_measures import (
    CASCADE_PREDICTS_NOTHING,
    NO_DEVIATION,
    measure_additions,
    measure_deviation,
    measure_effect,
    measure_log_rmse,
)
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.evaluation.routing_measures import (
    measure_arena,
    measure_calls,
    measure_frontier,
    measure_gains,
    measure_joint_frontier,
    measure_rewards,
    measure_spread,
    measure_two_models,
)
from graphrouter.bench.evaluation.token_measures import measure_elasticity
from graphrouter.policy import PRESETS
from graphrouter.types import BoolArray, FloatArray, Predictions, Quantity

__all__ = [
    "FAMILIES",
    "JOINT_FAMILIES",
    "JOINT_METRICS",
    "METRICS",
    "NO_CHOICE",
    "ORACLE_PREDICTS_NOTHING",
    "JointFamily",
    "Measures",
    "Metric",
    "MetricFamily",
    "Unmeasured",
    "measure_joint",
]

ORACLE_PREDICTS_NOTHING = "the oracle predicts what it is judged by"
NO_CHOICE = "no query has outcomes of two models, so every choice earns the same"


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a router on some queries."""

    name: str
    title: str
    """What a table calls it."""
    group: Literal["predictor", "routing"] = "routing"
    """Whether it measures predictions or choices."""
    lower_is_better: bool = False
    is_share: bool = False
    """Shown in per cent."""
    is_headline: bool = False
    """Shown in a table that has no room for all."""
    when_undefined: str = ""
    """Why it may have no value although everything it needs was observed."""


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """Metrics that are measured together."""

    metrics: tuple[Metric, ...]
    collect: Callable[[EvaluationSet, RouterOutput, BoolArray], Measures]
    """From evaluation set, router output and the pairs to use, (num_queries, num_models)."""
    quantity: Quantity | None = None
    """The predicted quantity that a predictor family measures; None for a choice family."""

    def usable(self, evaluation_set: EvaluationSet, output: RouterOutput) -> BoolArray:
        """Pairs that the family may use, (num_queries, num_models)."""
        if (
            self.quantity is None or output.replayed is not None
        ):  # a cascade is not scored by pairs: `measure` says so
            return np.ones(evaluation_set.observed.effect.shape, dtype=bool)
        observed: FloatArray = getattr(evaluation_set.observed, self.quantity)
        predicted: FloatArray = getattr(output.predictions, self.quantity)
        return np.isfinite(observed) & np.isfinite(predicted)

    def measure(
        self, evaluation_set: EvaluationSet, output: RouterOutput, usable: BoolArray
    ) -> Measures:
        """Every metric of the family, by name.

        Args:
            evaluation_set: The queries and what was observed of them.
            output: Who is measured.
            usable: (num_queries, num_models) the pairs that a predictor family looks at.
        """
        if self.quantity is not None and output.replayed is not None:
            return self.without(CASCADE_PREDICTS_NOTHING)
        return self.collect(evaluation_set, output, usable)

    def without(self, reason: str) -> Measures:
        """No values, for this reason."""
        return {metric.name: Unmeasured(reason) for metric in self.metrics}


@dataclass(frozen=True, slots=True)
class JointFamily:
    """Metrics that need everybody who is compared, measured together."""

    metrics: tuple[Metric, ...]
    collect: Callable[[EvaluationSet, Mapping[str, RouterOutput]], dict[str, Measures]]
    """From evaluation set and router outputs, the evaluated one first, to the measures of each."""
    why_no_oracle: str
    """Why the oracle, which is not among the outputs, has none of these metrics."""
    quantity: Quantity | None = None
    """The predicted quantity that the family measures; None for a family of choices."""

    def measure(
        self, evaluation_set: EvaluationSet, outputs: Mapping[str, RouterOutput]
    ) -> dict[str, Measures]:
        """Every metric of the family, by router; the arguments are those of `measure_joint`."""
        if self.quantity is None and not evaluation_set.can_compare_choices:
            return {name: self.without(NO_CHOICE) for name in outputs}
        return self.collect(evaluation_set, outputs)

    def without(self, reason: str) -> Measures:
        """No values, for this reason."""
        return {metric.name: Unmeasured(reason) for metric in self.metrics}


def _predictor_family(
    quantity: Quantity,
    collect: Callable[[EvaluationSet, Predictions, BoolArray], Measures],
    *metrics: Metric,
) -> MetricFamily:
    return MetricFamily(
        metrics,
        lambda evaluation_set, output, usable: collect(evaluation_set, output.predictions, usable),
        quantity,
    )


def _choice_family(
    collect: Callable[[EvaluationSet, RouterOutput], Measures], *metrics: Metric
) -> MetricFamily:
    return MetricFamily(
        metrics, lambda evaluation_set, output, usable: collect(evaluation_set, output)
    )


def _log_rmse_family(name: str, title: str, quantity: Quantity, *, floor: float) -> MetricFamily:
    metric = Metric(name, title, "predictor", lower_is_better=True)
    return _predictor_family(
        quantity, partial(measure_log_rmse, quantity=quantity, name=name, floor=floor), metric
    )


_NEVER_REACHED = "the best single's effect is never reached"
_NOT_BETTER = "the strong model is not better than the weak one here"

FAMILIES: tuple[MetricFamily, ...] = (
    _predictor_family(
        "effect",
        measure_effect,
        Metric("log_loss", "log loss", "predictor", lower_is_better=True, is_headline=True),
        Metric("brier", "Brier", "predictor", lower_is_better=True, is_headline=True),
        Metric("ece", "calibration error", "predictor", lower_is_better=True, is_headline=True),
        Metric(
            "kendall_tau",
            "Kendall's tau",
            "predictor",
            when_undefined="no query has both better and worse models",
        ),
    ),
    _predictor_family(
        "effect",
        measure_deviation,
        Metric(
            "deviation_r2",
            "deviation R2",
            "predictor",
            is_headline=True,
            when_undefined=NO_DEVIATION,
        ),
    ),
    _choice_family(
        measure_rewards,
        *(
            Metric(f"reward_{preset}", f"{preset.split('_')[0]} reward", is_headline=True)
            for preset in PRESETS
        ),
    ),
    _choice_family(
        measure_frontier,
        Metric("area_log", "area", is_headline=True),
        Metric("aiq", "AIQ"),
        Metric("deferral_area_50", "deferral area to 50 %"),
        Metric("deferral_area_100", "deferral area"),
        Metric("peak_effect", "peak effect"),
        Metric("perf_gain", "gain at best", is_share=True, is_headline=True),
        Metric(
            "cost_save",
            "cost saved",
            is_share=True,
            is_headline=True,
            when_undefined=_NEVER_REACHED,
        ),
        Metric(
            "qnc",
            "quality-neutral cost",
            lower_is_better=True,
            is_share=True,
            is_headline=True,
            when_undefined=_NEVER_REACHED,
        ),
    ),
    _choice_family(
        measure_gains,
        Metric("gain_at_random", "gain over random", is_share=True),
        Metric("gain_at_best", "gain over best single", is_share=True),
        Metric("gap_at_oracle", "gap to the oracle", lower_is_better=True, is_share=True),
    ),
    _choice_family(measure_spread, Metric("choice_entropy", "entropy of choices")),
    _choice_family(measure_calls, Metric("mean_calls", "calls a query", lower_is_better=True)),
    _choice_family(
        measure_elasticity,
        Metric(
            "token_elasticity",
            "token elasticity",
            when_undefined="as many tokens are spent as by the base, or that solves nothing",
        ),
    ),
    _choice_family(
        measure_two_models,
        Metric("pgr", "PGR at half the calls", is_share=True, when_undefined=_NOT_BETTER),
        Metric("apgr", "APGR", is_share=True, when_undefined=_NOT_BETTER),
        Metric(
            "cpt_50", "CPT(50 %)", lower_is_better=True, is_share=True, when_undefined=_NOT_BETTER
        ),
        Metric(
            "cpt_80", "CPT(80 %)", lower_is_better=True, is_share=True, when_undefined=_NOT_BETTER
        ),
    ),
    _choice_family(
        measure_arena,
        Metric("arena_score", "arena score"),
        Metric(
            "arena_opt_selection",
            "optimal selection",
            is_share=True,
            when_undefined="no model solves any query",
        ),
        Metric(
            "arena_opt_accuracy",
            "optimal accuracy",
            is_share=True,
            when_undefined="no model solves any query",
        ),
        Metric(
            "arena_opt_cost",
            "optimal cost",
            is_share=True,
            when_undefined="no query is solved at a cost",
        ),
    ),
    # Amounts below the floors (a nano-dollar, a token, a millisecond) are as good as nothing.
    _log_rmse_family("log_rmse_cost", "log-RMSE cost", "cost_usd", floor=1e-9),
    _log_rmse_family("log_rmse_tokens", "log-RMSE tokens", "output_tokens", floor=1.0),
    _log_rmse_family("log_rmse_latency", "log-RMSE latency", "latency_s", floor=1e-3),
)
JOINT_FAMILIES: tuple[JointFamily, ...] = (
    JointFamily(
        (Metric("pareto_dist", "distance to the frontier of all", lower_is_better=True),),
        measure_joint_frontier,
        "the oracle is no part of the joint frontier",
    ),
    JointFamily(
        (
            Metric(
                "added_deviation_r2",
                "deviation R2 it adds",
                "predictor",
                when_undefined=NO_DEVIATION,
            ),
            Metric("added_log_loss", "log loss it saves", "predictor"),
        ),
        measure_additions,
        ORACLE_PREDICTS_NOTHING,
        "effect",
    ),
)
JOINT_METRICS: tuple[Metric, ...] = tuple(
    metric for family in JOINT_FAMILIES for metric in family.metrics
)
"""Metrics that need everybody who is compared: see `measure_joint`."""
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metrics in (*(family.metrics for family in FAMILIES), JOINT_METRICS)
    for metric in metrics
}
"""Every metric by name, in table order."""


def measure_joint(
    evaluation_set: EvaluationSet, outputs: Mapping[str, RouterOutput]
) -> dict[str, Measures]:
    """Every joint metric, by router.

    Args:
        evaluation_set: The queries and what was observed of them.
        outputs: Those compared, by name, the evaluated one first; the oracle, which nobody reaches,
            is not one of them.
    """
    found = [family.measure(evaluation_set, outputs) for family in JOINT_FAMILIES]
    return {
        name: {metric: item for each in found for metric, item in each[name].items()}
        for name in outputs
    }
