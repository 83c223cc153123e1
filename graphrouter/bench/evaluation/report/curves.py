"""What the plots show: frontiers, single models and reliability. Several runs are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphrouter.bench.evaluation.evaluate import SeedRun
from graphrouter.bench.evaluation.frontier import Sweep, sweep_output, sweep_predictions
from graphrouter.bench.evaluation.hulls import Hull, effect_at, upper_hull
from graphrouter.bench.evaluation.measures import explain_no_costs
from graphrouter.bench.evaluation.prediction_errors import reliability_bins
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.router_output import ORACLE, RouterOutput
from graphrouter.bench.evaluation.routing_measures import NEEDS_BEST_SINGLE
from graphrouter.types import FloatArray

NUM_RELIABILITY_BINS = 10


@dataclass(frozen=True, slots=True)
class FrontierCurve:
    """The hull of what a router reaches over all trade-offs, the cheapest model included.

    Both values rise.
    """

    router: str
    cost_usd: tuple[float, ...]
    """Mean US dollars a query at each corner."""
    effect: tuple[float, ...]
    """Mean effect at each corner."""

    def at(self, cost_usd: Sequence[float]) -> tuple[float, ...]:
        """Mean effect reached at each cost; NaN below the cheapest corner."""
        costs = np.asarray(cost_usd, dtype=np.float64)
        reached = effect_at(Hull(np.array(self.cost_usd), np.array(self.effect)), costs)
        return tuple(np.where(costs < self.cost_usd[0] * (1 - 1e-9), np.nan, reached).tolist())


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """What one model brings on the queries that it was run on, costs recorded."""

    model: str
    cost_usd: float
    effect: float
    share_run: float
    """Share of the queries on which the model was run, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Frontiers:
    """All frontiers of one setting."""

    curves: tuple[FrontierCurve, ...]
    """The evaluated router first, the oracle last."""
    models: tuple[ModelPoint, ...]
    """In the order of the dataset."""
    low_usd: float
    """Mean cost of the cheapest model, by training means."""
    high_usd: float
    """1.5 times the mean cost of the best single model: with `low_usd` the range of `area_log`."""


@dataclass(frozen=True, slots=True)
class ReliabilityCurve:
    """Expected against observed effect of one router, a bin of the expected effect each.

    Empty bins are left out.
    """

    router: str
    expected: tuple[float, ...]
    observed: tuple[float, ...]
    count: tuple[int, ...]
    """Pairs in each bin; over several runs, of all of them together."""


def explain_no_frontier(runs: Sequence[SeedRun]) -> str | None:
    """Why there is no frontier to show; None when there is one."""
    trials = [each.evaluation_set for each in runs]
    if any(evaluation_set.best_single is None for evaluation_set in trials):
        return NEEDS_BEST_SINGLE
    return next(
        (
            reason
            for evaluation_set in trials
            if (reason := explain_no_costs(evaluation_set)) is not None
        ),
        None,
    )


def trace_frontiers(runs: Sequence[SeedRun], setting: SettingName) -> Frontiers | None:
    """The frontiers of everybody in one setting, averaged point by point over the runs.

    None where nothing has a cost.
    """
    if explain_no_frontier(runs) is not None:
        return None
    ends = np.mean([_best_and_cheapest(each) for each in runs], axis=0)
    curves = []
    for name in [*runs[0].outputs[setting], ORACLE]:
        points = np.mean([_points(each, setting, name) for each in runs], axis=0)
        # Every router may send everything to the cheapest model, as in `area_log`.
        hull = upper_hull(*np.column_stack([points, ends[:, 1]]))
        curves.append(
            FrontierCurve(name, tuple(hull.cost_usd.tolist()), tuple(hull.effect.tolist()))
        )
    return Frontiers(
        tuple(curves),
        _model_points(runs),
        low_usd=float(ends[0, 1]),
        high_usd=1.5 * float(ends[0, 0]),
    )


def trace_reliability(
    runs: Sequence[SeedRun], setting: SettingName
) -> tuple[ReliabilityCurve, ...]:
    """Expected against observed effect of everybody who predicts any observed pair.

    Cascades and the oracle do not.
    """
    curves = []
    for name, output in runs[0].outputs[setting].items():
        if output.replayed is not None:
            continue
        expected = np.concatenate(
            [each.outputs[setting][name].predictions.effect.ravel() for each in runs]
        )
        observed = np.concatenate([each.evaluation_set.observed.effect.ravel() for each in runs])
        bins = reliability_bins(expected, observed, num_bins=NUM_RELIABILITY_BINS)
        full = bins.num_pairs > 0
        if not full.any():
            continue
        counts = tuple(int(count) for count in bins.num_pairs[full])
        curves.append(
            ReliabilityCurve(
                name,
                tuple(bins.expected[full].tolist()),
                tuple(bins.observed[full].tolist()),
                counts,
            )
        )
    return tuple(curves)


def _points(run: SeedRun, setting: SettingName, name: str) -> FloatArray:
    """Mean cost and mean effect at each trade-off, (2, num_trade_offs)."""
    evaluation_set = run.evaluation_set
    output = (
        RouterOutput(evaluation_set.observed.to_predictions())
        if name == ORACLE
        else run.outputs[setting][name]
    )
    return _means(
        sweep_output(output, evaluation_set.observed, cost_scale=evaluation_set.cost_scale)
    )


def _best_and_cheapest(run: SeedRun) -> FloatArray:
    """Mean cost and effect, (2, 2), of the best single and the cheapest model by training means."""
    evaluation_set = run.evaluation_set
    if evaluation_set.best_single is None:  # `trace_frontiers` has asked `explain_no_frontier`
        return np.full((2, 2), np.nan)
    return _means(
        sweep_predictions(
            evaluation_set.best_single, evaluation_set.observed, np.array([0.0, np.inf])
        )
    )


def _means(sweep: Sweep) -> FloatArray:
    """Mean cost and mean effect a query, (2, num_trade_offs)."""
    return np.asarray(
        np.stack([sweep.cost_usd.sum(axis=0), sweep.effect.sum(axis=0)]) / sweep.counts.sum()
    )


def _model_points(runs: Sequence[SeedRun]) -> tuple[ModelPoint, ...]:
    """Models without any recorded cost are left out.

    Over several runs, all outcomes count together.
    """
    observed = [each.evaluation_set.observed for each in runs]
    effect, cost = (
        np.concatenate([getattr(each, name) for each in observed])
        for name in ("effect", "cost_usd")
    )
    run = np.isfinite(effect) & np.isfinite(cost)
    return tuple(
        ModelPoint(
            model,
            float(cost[rows, i].mean()),
            float(effect[rows, i].mean()),
            float(rows.sum() / run.any(axis=1).sum()),
        )
        for i, (model, rows) in enumerate(zip(runs[0].evaluation_set.models, run.T, strict=True))
        if rows.any()
    )
