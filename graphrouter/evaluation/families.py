"""The metrics of an evaluation. A new one is a function from a trial to statistics, and a line in `FAMILIES`.

A family measures metrics that share their work. Predictor families judge one predicted quantity on the pairs where
it was both observed and predicted; choice families judge what the predictions would have chosen (see `choices`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from graphrouter.evaluation.bootstrap import Statistic
from graphrouter.evaluation.choices import Chooser
from graphrouter.evaluation.frontier import Hull, area_log, cost_save, frontier_sums, perf_gain, trade_off_grid, upper_hull
from graphrouter.evaluation.metrics import (
    brier_of_pairs,
    calibration_error_of_sums,
    calibration_sums,
    divide,
    log_error_of_pairs,
    log_loss_of_pairs,
)
from graphrouter.evaluation.trial import Trial
from graphrouter.policy import PRESETS, Policy
from graphrouter.routers.observations import Quantity
from graphrouter.types import BoolArray, FloatArray, Predictions


class Unmeasured(NamedTuple):
    """Why a metric has no value."""

    reason: str


Measures = Mapping[str, Statistic | Unmeasured]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a router on some queries."""

    name: str
    title: str
    """What a table calls it."""
    lower_is_better: bool = False
    is_share: bool = False
    """Shown in per cent."""


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """Metrics that are measured together."""

    metrics: tuple[Metric, ...]
    measure: Callable[[Trial, Predictions, BoolArray], Measures]
    """From trial, predictions and the pairs to use, (num_queries, num_models)."""
    quantity: Quantity | None = None
    """The predicted quantity that a predictor family judges; None for a choice family."""

    def usable(self, trial: Trial, predictions: Predictions) -> BoolArray:
        """Pairs that the family may use, (num_queries, num_models)."""
        if self.quantity is None:
            return np.ones(trial.observed.effect.shape, dtype=bool)
        observed: FloatArray = getattr(trial.observed, self.quantity)
        predicted: FloatArray = getattr(predictions, self.quantity)
        return np.isfinite(observed) & np.isfinite(predicted)

    def without(self, reason: str) -> Measures:
        """No values, for this reason."""
        return {metric.name: Unmeasured(reason) for metric in self.metrics}


def measure_effect(trial: Trial, predictions: Predictions, usable: BoolArray) -> Measures:
    """Log loss, Brier score and calibration error of the expected effect."""
    expected, observed = np.where(usable, predictions.effect, np.nan), trial.observed.effect
    return {
        "log_loss": _mean_of_pairs(log_loss_of_pairs(expected, observed)),
        "brier": _mean_of_pairs(brier_of_pairs(expected, observed)),
        "ece": Statistic(calibration_sums(expected, observed), calibration_error_of_sums),
    }


def measure_log_rmse(
    trial: Trial, predictions: Predictions, usable: BoolArray, *, quantity: Quantity, name: str, floor: float
) -> Measures:
    """Root mean square error of the log of a predicted amount."""
    expected = np.where(usable, getattr(predictions, quantity), np.nan)
    squares = _mean_of_pairs(log_error_of_pairs(expected, getattr(trial.observed, quantity), floor=floor) ** 2)
    return {name: Statistic(squares.parts, lambda sums: np.sqrt(squares.finish(sums)))}


def measure_rewards(trial: Trial, predictions: Predictions, usable: BoolArray) -> Measures:
    """Mean observed utility of the choices in each preset; pairs count when what the preset weighs was observed."""
    observed = trial.observed
    measures: dict[str, Statistic | Unmeasured] = {}
    for preset in PRESETS:
        policy = Policy.preset(preset)
        reason = _no_costs(trial) if policy.needs_cost else None
        if reason is not None:
            measures[f"reward_{preset}"] = Unmeasured(reason)
            continue
        reward = policy.utility(observed.effect, observed.cost_usd, trial.cost_scale)
        chooser = Chooser.among_observed(predictions, np.where(usable, reward, np.nan))
        (gained,) = chooser.collect(policy.utility(predictions.effect, predictions.cost_usd, trial.cost_scale), reward)
        measures[f"reward_{preset}"] = Statistic(np.column_stack([gained, chooser.has_choice]), _ratio_of_two)
    return measures


def measure_frontier(trial: Trial, predictions: Predictions, usable: BoolArray) -> Measures:
    """Area under the frontier, gain at best and cost saved, each relative to the best single reference."""
    reason = _no_costs(trial)
    if trial.best_single is None:
        reason = "needs the reference best_single"
    if reason is not None or trial.best_single is None:
        return {name: Unmeasured(reason or "") for name in _OF_HULL}
    grid = trade_off_grid(trial.cost_scale)
    cost, effect, count = frontier_sums(predictions, trial.observed, grid)
    single_cost, single_effect, _ = frontier_sums(trial.best_single, trial.observed, grid[[0, -1]])
    parts = np.column_stack([count, single_cost, single_effect, cost, effect])
    return {name: Statistic(parts, partial(_finish_frontier, of_hull=of_hull)) for name, of_hull in _OF_HULL.items()}


class SinglePoints(NamedTuple):
    """Where the best single reference stands on the queries of a draw: means a query."""

    best_usd: float
    cheapest_usd: float
    best_effect: float
    cheapest_effect: float


_OF_HULL: dict[str, Callable[[Hull, SinglePoints], float]] = {
    "area_log": lambda hull, single: area_log(hull, cheapest_usd=single.cheapest_usd, best_single_usd=single.best_usd),
    "perf_gain": lambda hull, single: perf_gain(hull, best_single_effect=single.best_effect),
    "cost_save": lambda hull, single: cost_save(hull, best_single_effect=single.best_effect, best_single_usd=single.best_usd),
}


def _finish_frontier(sums: FloatArray, of_hull: Callable[[Hull, SinglePoints], float]) -> FloatArray:
    """The figure of each draw, (num_draws,), from sums in the column order of `measure_frontier`."""
    means = divide(sums[:, 1:], np.broadcast_to(sums[:, :1], sums[:, 1:].shape))
    num_points = (means.shape[1] - 4) // 2
    figures = np.empty(len(means))
    for i, row in enumerate(means):
        single = SinglePoints(*row[:4].tolist())
        cost = np.append(row[4 : 4 + num_points], single.cheapest_usd)
        effect = np.append(row[4 + num_points :], single.cheapest_effect)
        figures[i] = of_hull(upper_hull(cost, effect), single)
    return figures


def _no_costs(trial: Trial) -> str | None:
    """Why nothing that weighs cost can be measured; None when it can."""
    if not trial.cost_scale.is_known:
        return "no training outcome has a cost"
    if not (np.isfinite(trial.observed.cost_usd) & np.isfinite(trial.observed.effect)).any():
        return "no evaluated outcome has a cost"
    return None


def _mean_of_pairs(values: FloatArray) -> Statistic:
    """The mean over all pairs that are not NaN."""
    return Statistic(np.column_stack([np.nansum(values, axis=1), np.isfinite(values).sum(axis=1)]), _ratio_of_two)


def _ratio_of_two(sums: FloatArray) -> FloatArray:
    return divide(sums[:, 0], sums[:, 1])


def _log_rmse_family(name: str, title: str, quantity: Quantity, *, floor: float) -> MetricFamily:
    measure = partial(measure_log_rmse, quantity=quantity, name=name, floor=floor)
    return MetricFamily((Metric(name, title, lower_is_better=True),), measure, quantity)


FAMILIES: tuple[MetricFamily, ...] = (
    MetricFamily(
        (
            Metric("log_loss", "log loss", lower_is_better=True),
            Metric("brier", "Brier", lower_is_better=True),
            Metric("ece", "calibration error", lower_is_better=True),
        ),
        measure_effect,
        "effect",
    ),
    MetricFamily(tuple(Metric(f"reward_{preset}", f"{preset.split('_')[0]} reward") for preset in PRESETS), measure_rewards),
    MetricFamily(
        (
            Metric("area_log", "area"),
            Metric("perf_gain", "gain at best", is_share=True),
            Metric("cost_save", "cost saved", is_share=True),
        ),
        measure_frontier,
    ),
    # Amounts below the floors (a nano-dollar, a token, a millisecond) are as good as nothing.
    _log_rmse_family("log_rmse_cost", "log-RMSE cost", "cost_usd", floor=1e-9),
    _log_rmse_family("log_rmse_tokens", "log-RMSE tokens", "output_tokens", floor=1.0),
    _log_rmse_family("log_rmse_latency", "log-RMSE latency", "latency_s", floor=1e-3),
)
METRICS: dict[str, Metric] = {metric.name: metric for family in FAMILIES for metric in family.metrics}
"""Every metric by name, in table order."""
