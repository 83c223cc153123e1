"""Pictures of a router on queries that it has not learned from: frontier and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.bench.evaluation.bootstrap import (
    Interval,
    Resampling,
    Statistic,
    bootstrap,
)
from graphrouter.bench.evaluation.evaluate import BEST_SINGLE, SeedRun
from graphrouter.bench.evaluation.held_out import collect_held_out
from graphrouter.bench.evaluation.hulls import Hull, cost_to_reach
from graphrouter.bench.evaluation.report.curves import (
    NUM_RELIABILITY_BINS,
    FrontierCurve,
    Frontiers,
    ModelPoint,
    explain_no_frontier,
    trace_frontiers,
)
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.router_output import ORACLE
from graphrouter.bench.pictures.picture import Heights, Picture
from graphrouter.bench.pictures.picture_style import (
    AREA,
    BASELINE,
    ORACLE_LINE,
    ROUTER,
    SOFT,
    Size,
    label_points,
    show_dollars,
)
from graphrouter.exceptions import NotApplicableError
from graphrouter.training.effect_scores import calibration_sums, divide
from graphrouter.types import FloatArray
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

_LINES = {"task_mean": ("by task alone", BASELINE), ORACLE: ("perfect foresight", ORACLE_LINE)}
_WHOLE = 0.8
"""Share of the queries from which a model counts as run on all of them: those that are left out may
be the hard ones."""
_MOST_NAMES = 12
_LARGEST_RATIO = 1e4
"""A model that is free, or nearly, stands at the left edge."""


def draw_frontier(router: GraphRouter, data: RoutingDataset, *, task_known: bool = True) -> Picture:
    """Effect against cost: what the router reaches at each price, beside every single model.

    On queries of `data` that the router has not learned from. A point is a model that gets all
    queries; the line of the router is the hull of its trade-offs, as in `area_log`.

    Args:
        router: Whose frontier.
        data: Outcomes with costs.
        task_known: Whether the router is told the tasks.

    Raises:
        DataError: No query is left, or the router knows none of the models.
        NotApplicableError: The outcomes have no costs.
    """
    run = collect_held_out(router, data, baselines=()).run
    reason = explain_no_frontier([run])
    setting = _choose_setting(run, task_known)
    found = trace_frontiers([run], setting)
    if found is None:
        raise NotApplicableError(f"There is no frontier to draw: {reason}.")
    rows = [
        *((curve.router, "line", cost, effect) for curve in found.curves
          for cost, effect in zip(curve.cost_usd, curve.effect, strict=True)),
        *((point.model, "model", point.cost_usd, point.effect) for point in found.models),
    ]  # fmt: skip
    return Picture(
        title=f"Quality against cost on {data.name}",
        says=_say_frontier(found, run, setting),
        draw=lambda figure, size: _draw_frontier(figure, size, found),
        columns=("who", "kind", "US dollars a query", "mean effect"),
        rows=rows,
        heights=Heights(5.0, 4.8),
    )


def _choose_setting(run: SeedRun, task_known: bool) -> SettingName:
    return "task_known" if task_known and "task_known" in run.outputs else "task_hidden"


def _say_frontier(found: Frontiers, run: SeedRun, setting: SettingName) -> str:
    ours = found.curves[0]
    # Of the points those may seem best that were run on easy queries alone; this is on all of them.
    best = next(curve for curve in found.curves if curve.router == BEST_SINGLE)
    means = run.outputs[setting][BEST_SINGLE].predictions
    name = means.models[int(np.nanargmax(means.effect[0]))]
    effect, paid = best.effect[-1], best.cost_usd[-1]
    hull = Hull(np.array(ours.cost_usd), np.array(ours.effect))
    cost = float(cost_to_reach(hull, effect))
    says = (
        f"On {count_of(len(run.evaluation_set.query_ids), 'query')} that the router has not "
        f"learned from, the model that was best in training, {name}, has a mean effect of "
        f"{effect:.3f} at {show_dollars(paid)} a query."
    )
    most = f"the most that it reaches is {max(ours.effect):.3f}"
    if np.isnan(cost):
        return f"{says} The router does not reach as much: {most}."
    share = f"{cost / paid:.0%} of that" if cost < paid else "no less"
    return f"{says} The router reaches as much for {share}; {most}."


def _draw_frontier(figure: Figure, size: Size, found: Frontiers) -> None:
    axes = figure.subplots()
    ours, *others = found.curves
    paid = [cost for curve in found.curves for cost in curve.cost_usd if cost > 0]
    paid += [point.cost_usd for point in found.models if point.cost_usd > 0]
    low, high = max(min(paid), max(paid) / _LARGEST_RATIO), max(paid)
    end = high * 1.6
    for curve in others:
        if curve.router in _LINES:
            name, style = _LINES[curve.router]
            _trace(axes, curve, low, end, label=name, **style)
    points = sorted(found.models, key=lambda point: -point.effect)
    for is_partial, marker, label in (
        (False, "o", "one model for all"),
        (True, "x", "one model, run on a part"),
    ):
        places = [
            (max(point.cost_usd, low), point.effect)
            for point in points
            if (point.share_run < _WHOLE) == is_partial
        ]
        if places:
            axes.plot(
                *zip(*places, strict=True),
                marker,
                markersize=5,
                markerfacecolor="white",
                color=SOFT,
                label=label,
            )
    _trace(axes, ours, low, end, label="this router", zorder=4, **ROUTER)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.6, end)
    axes.set_xlabel("mean cost of a query (each step to the right is ten times dearer)")
    axes.set_ylabel("mean effect (1 = always right)")
    axes.xaxis.set_major_formatter(lambda value, _: show_dollars(value))
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    if size.is_narrow:
        axes.set_xlabel("mean cost of a query (log scale)")
    _, top = axes.get_ylim()
    axes.set_ylim(None, min(top, 1.02))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower center", ncols=2 if size.is_narrow else 3
    )
    everybody = [(max(point.cost_usd, low), point.effect) for point in points]
    named = _name_first(points)[: _MOST_NAMES // 3 if size.is_narrow else _MOST_NAMES]
    label_points(
        axes,
        [(max(point.cost_usd, low), point.effect) for point in named],
        [point.model for point in named],
        avoid=[*everybody, *_densify(ours, low, end)],
    )


def _name_first(points: Sequence[ModelPoint]) -> list[ModelPoint]:
    """Points in the order in which their names get room: those first that nobody beats in both."""
    ahead, cheapest = [], np.inf
    for point in points:  # best first
        if point.cost_usd < cheapest and point.share_run >= _WHOLE:
            ahead.append(point)
            cheapest = point.cost_usd
    return [*ahead, *(point for point in points if point not in ahead)]


def _trace(axes: Axes, curve: FrontierCurve, low: float, end: float, **style: object) -> None:
    cost = np.maximum([*curve.cost_usd, end], low)
    axes.plot(cost, [*curve.effect, curve.effect[-1]], **style)  # type: ignore[arg-type]


def _densify(curve: FrontierCurve, low: float, end: float) -> list[tuple[float, float]]:
    """Points along the line as it is drawn, so that names keep off it."""
    cost = np.log(np.maximum([*curve.cost_usd, end], low))
    effect = np.array([*curve.effect, curve.effect[-1]])
    where = np.linspace(cost[0], cost[-1], 80)
    return list(zip(np.exp(where).tolist(), np.interp(where, cost, effect).tolist(), strict=True))


class _Bin(NamedTuple):
    """Pairs with an expected effect within a tenth."""

    expected: float
    observed: Interval
    num_pairs: int


def draw_calibration(
    router: GraphRouter, data: RoutingDataset, *, task_known: bool = True, num_draws: int = 500
) -> Picture:
    """Expected against observed effect, and how many pairs each expectation rests on.

    On queries of `data` that the router has not learned from. Intervals of 95 % by a bootstrap over
    queries, since the models of a query have its difficulty in common.

    Args:
        router: Whose expectations.
        data: Outcomes to hold them against.
        task_known: Whether the router is told the tasks.
        num_draws: Bootstrap draws.

    Raises:
        DataError: No query is left, or the router knows none of the models.
    """
    run = collect_held_out(router, data, baselines=()).run
    output = next(iter(run.outputs[_choose_setting(run, task_known)].values()))
    trial = run.evaluation_set
    sums = calibration_sums(
        output.predictions.effect, trial.observed.effect, num_bins=NUM_RELIABILITY_BINS
    )
    found = _measure_bins(sums, trial.query_ids, num_draws)
    off = [each for each in found if not each.observed.low <= each.expected <= each.observed.high]
    pairs = sum(each.num_pairs for each in found)
    apart = sum(abs(each.expected - each.observed.value) * each.num_pairs for each in found)
    says = (
        f"Where the router expects an effect, this is what came of it, on {pairs:,} answers to "
        f"{count_of(len(trial.query_ids), 'query')} that it has not learned from. On average it is "
        f"off by {apart / pairs:.3f}; in {len(off)} of {len(found)} groups by more than chance."
    )
    return Picture(
        title=f"Does what is expected come true? {data.name}",
        says=says,
        draw=lambda figure, size: _draw_calibration(figure, size, found),
        columns=("expected effect", "observed effect", "95 % from", "to", "answers"),
        rows=[(each.expected, *each.observed, each.num_pairs) for each in found],
        heights=Heights(5.2, 5.0),
    )


def _measure_bins(sums: FloatArray, query_ids: Sequence[str], num_draws: int) -> list[_Bin]:
    num_bins = NUM_RELIABILITY_BINS
    expected, _, count = np.split(sums.sum(axis=0), 3)

    def observe(number: int) -> Statistic:
        return Statistic(
            sums, lambda s: divide(s[:, num_bins + number], s[:, 2 * num_bins + number])
        )

    full = np.flatnonzero(count > 0).tolist()
    draws = Resampling((tuple(query_ids),), num_draws=num_draws).counts(0)
    sampled = bootstrap([observe(number) for number in full], draws)
    return [
        _Bin(float(expected[number] / count[number]), each.interval(), int(count[number]))
        for number, each in zip(full, sampled, strict=True)
    ]


def _draw_calibration(figure: Figure, size: Size, found: Sequence[_Bin]) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    above.plot([0, 1], [0, 1], label="as expected", **ORACLE_LINE)
    expected = np.array([each.expected for each in found])
    observed = np.array([each.observed.value for each in found])
    low = np.array([each.observed.low for each in found])
    high = np.array([each.observed.high for each in found])
    reach = np.nan_to_num(np.clip(np.stack([observed - low, high - observed]), 0, None))
    above.errorbar(
        expected,
        observed,
        yerr=reach,
        fmt="o-",
        markersize=5.5,
        capsize=3,
        label="what came of it, with 95 % interval",
        color=ROUTER["color"],
        linewidth=1.6,
    )
    above.set_ylabel("observed mean effect")
    above.set_xlim(0, 1)
    above.set_ylim(-0.02, 1.02)
    figure.legend(loc="outside lower center", ncols=1 if size.is_narrow else 2)
    below.bar(
        expected,
        [each.num_pairs for each in found],
        width=0.04,
        color=AREA,
        edgecolor=ROUTER["color"],
    )
    below.set_ylabel("answers")
    below.set_xlabel("expected effect")
    below.yaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
    )
