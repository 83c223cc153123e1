"""Measures of choices: what predictions would have chosen, or what a cascade reached.

Each measure collects what every query adds and leaves the formula to a pure function of `hulls`,
`relative`, `two_models` or `arena`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from graphrouter.bench.evaluation import arena, hulls, two_models
from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.choices import Chooser
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.frontier import (
    sweep_output,
    sweep_predictions,
    sweep_singles,
)
from graphrouter.bench.evaluation.hulls import Hull, upper_hull
from graphrouter.bench.evaluation.measures import (
    FromSums,
    Measures,
    Unmeasured,
    divide_by_count,
    divide_first_two,
    explain_no_costs,
)
from graphrouter.bench.evaluation.relative import (
    entropy_of_counts,
    find_references,
    relative_gain,
    relative_gap,
)
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.policy import PRESETS, Policy, PresetName
from graphrouter.router.trade_offs import NUM_SWEPT
from graphrouter.training.effect_scores import divide
from graphrouter.types import BoolArray, FloatArray

NEEDS_BEST_SINGLE = "needs the baseline best_single"
CASCADE_RANKS_NOTHING = "a cascade looks at answers; it ranks no queries beforehand"
JOINT_POINTS = np.linspace(0, NUM_SWEPT - 1, 12).round().astype(np.int64)
"""Which trade-offs of the grid stand for a router on the joint frontier: a thinned sweep, both ends
included."""


class Chosen(NamedTuple):
    """What the choices of one policy bring."""

    effect: FloatArray
    """(num_queries,) observed effect."""
    cost_usd: FloatArray
    """(num_queries,) observed US dollars; NaN where the policy does not weigh cost and none was
    observed."""
    answered: BoolArray
    """(num_queries,) False where there was nothing to choose from; the other entries are then 0."""


def _column_of_preset(preset: PresetName) -> int:
    """The column of a replay that holds a preset: see `list_replay_trade_offs`."""
    return NUM_SWEPT + list(PRESETS).index(preset)


def choose_by_preset(
    evaluation_set: EvaluationSet, output: RouterOutput, preset: PresetName
) -> Chosen:
    """What the router's choices bring in a preset.

    Pairs count when what the preset weighs was observed.
    """
    if output.replayed is not None:
        column = _column_of_preset(preset)
        return Chosen(
            output.replayed.effect[:, column],
            output.replayed.cost_usd[:, column],
            output.replayed.answered,
        )
    chooser = Chooser.among_observed(output.predictions, *select_weighed(evaluation_set, preset))
    utility = compute_preset_utility(evaluation_set, output, preset)
    effect, cost = chooser.collect(
        utility, evaluation_set.observed.effect, evaluation_set.observed.cost_usd
    )
    return Chosen(effect, cost, chooser.has_choice)


def compute_preset_utility(
    evaluation_set: EvaluationSet, output: RouterOutput, preset: PresetName
) -> FloatArray:
    """What the router maximises in a preset, (num_queries, num_models); NaN = unknown."""
    if output.preset_utilities is not None:
        return output.preset_utilities[preset]
    expected = output.predictions
    return Policy.preset(preset).utility(
        expected.effect, expected.cost_usd, evaluation_set.cost_scale
    )


def select_weighed(evaluation_set: EvaluationSet, preset: PresetName) -> tuple[FloatArray, ...]:
    """What must have been observed of a pair that the preset may choose.

    (num_queries, num_models) each.
    """
    observed = evaluation_set.observed
    return (
        (observed.effect, observed.cost_usd)
        if Policy.preset(preset).needs_cost
        else (observed.effect,)
    )


def measure_rewards(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """Mean observed utility of the choices in each preset."""
    measures: dict[str, Statistic | Unmeasured] = {}
    for preset in PRESETS:
        policy = Policy.preset(preset)
        reason = explain_no_costs(evaluation_set) if policy.needs_cost else None
        if reason is not None:
            measures[f"reward_{preset}"] = Unmeasured(reason)
            continue
        chosen = choose_by_preset(evaluation_set, output, preset)
        reward = np.where(
            chosen.answered,
            policy.utility(chosen.effect, chosen.cost_usd, evaluation_set.cost_scale),
            0.0,
        )
        measures[f"reward_{preset}"] = Statistic(
            np.column_stack([reward, chosen.answered]), divide_first_two
        )
    return measures


class FrontierDraws(NamedTuple):
    """The hull of each draw and the single models it is compared with, means a query each.

    All means are (num_draws,).
    """

    hull: Hull
    cheapest_usd: FloatArray
    best_usd: FloatArray
    best_effect: FloatArray
    dearest_usd: FloatArray


OF_FRONTIER: dict[str, Callable[[FrontierDraws], FloatArray]] = {
    "area_log": lambda f: hulls.area_log(
        f.hull, cheapest_usd=f.cheapest_usd, best_single_usd=f.best_usd
    ),
    "aiq": lambda f: hulls.aiq(f.hull, cheapest_usd=f.cheapest_usd, best_single_usd=f.best_usd),
    "deferral_area_50": lambda f: hulls.deferral_area(
        f.hull, cheapest_usd=f.cheapest_usd, dearest_usd=f.dearest_usd, share=0.5
    ),
    "deferral_area_100": lambda f: hulls.deferral_area(
        f.hull, cheapest_usd=f.cheapest_usd, dearest_usd=f.dearest_usd
    ),
    "qnc": lambda f: hulls.qnc(
        f.hull, best_single_effect=f.best_effect, best_single_usd=f.best_usd
    ),
    "peak_effect": lambda f: hulls.peak_effect(f.hull),
    "perf_gain": lambda f: hulls.perf_gain(f.hull, best_single_effect=f.best_effect),
    "cost_save": lambda f: hulls.cost_save(
        f.hull, best_single_effect=f.best_effect, best_single_usd=f.best_usd
    ),
}
"""The figures that are read off the frontier, by metric."""


def measure_frontier(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """All figures of the frontier."""
    reason = explain_no_costs(evaluation_set)
    if reason is not None or evaluation_set.best_single is None:
        return {name: Unmeasured(reason or NEEDS_BEST_SINGLE) for name in OF_FRONTIER}
    sweep = sweep_output(output, evaluation_set.observed, cost_scale=evaluation_set.cost_scale)
    ends = sweep_predictions(
        evaluation_set.best_single, evaluation_set.observed, np.array([0.0, np.inf])
    )
    singles = sweep_singles(evaluation_set.best_single, evaluation_set.observed)
    # The dearest model, which ends a range of costs, is picked on all evaluated queries, once: in
    # every draw anew, the maximum over models would add the luck of the draw to every one of them.
    counts = sweep.counts.astype(np.float64)
    dearest = np.argmax(counts @ singles.cost_usd)
    compared = np.column_stack([ends.cost_usd, ends.effect, singles.cost_usd[:, dearest]])
    parts = np.column_stack([counts, compared * counts[:, None], sweep.cost_usd, sweep.effect])
    draws = FromSums(_frontier_draws)
    return {name: Statistic(parts, draws.figure(read)) for name, read in OF_FRONTIER.items()}


def _frontier_draws(sums: FloatArray) -> FrontierDraws:
    """From sums in the column order of `measure_frontier`."""
    means = divide_by_count(sums)
    best_usd, cheapest_usd, best_effect, cheapest_effect, dearest_usd = means[:, :5].T
    cost, effect = np.split(means[:, 5:], 2, axis=1)
    hull = upper_hull(
        np.column_stack([cost, cheapest_usd]), np.column_stack([effect, cheapest_effect])
    )
    return FrontierDraws(hull, cheapest_usd, best_usd, best_effect, dearest_usd)


def measure_gains(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """Effect of performance_first relative to random choice, best single and oracle."""
    chosen = choose_by_preset(evaluation_set, output, "performance_first")
    random, oracle = (
        np.where(chosen.answered, values, 0)
        for values in find_references(evaluation_set.observed.effect)
    )
    parts = np.column_stack([chosen.effect, random, oracle])
    measures: dict[str, Statistic | Unmeasured] = {
        "gain_at_random": Statistic(parts, lambda sums: relative_gain(sums[:, 0], sums[:, 1])),
        "gain_at_best": Unmeasured(NEEDS_BEST_SINGLE),
        "gap_at_oracle": Statistic(parts, lambda sums: relative_gap(sums[:, 0], sums[:, 2])),
    }
    if evaluation_set.best_single is not None:
        best = np.where(
            chosen.answered,
            choose_by_preset(
                evaluation_set, RouterOutput(evaluation_set.best_single), "performance_first"
            ).effect,
            0,
        )
        both = np.column_stack([chosen.effect, best])
        measures["gain_at_best"] = Statistic(
            both, lambda sums: relative_gain(sums[:, 0], sums[:, 1])
        )
    return measures


def measure_calls(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """Mean calls a query in performance_first: 1 for who calls a single model."""
    answered = choose_by_preset(evaluation_set, output, "performance_first").answered
    calls = count_calls(output, "performance_first", answered)
    if not np.isfinite(calls).all():
        return {"mean_calls": Unmeasured("calls were not counted when it was replayed")}
    return {"mean_calls": Statistic(np.column_stack([calls, answered]), divide_first_two)}


def count_calls(output: RouterOutput, preset: PresetName, answered: BoolArray) -> FloatArray:
    """Calls of each query in a preset, (num_queries,); NaN = nobody counted them.

    Args:
        output: Who called.
        preset: In which preset.
        answered: (num_queries,) where there is an answer: of who calls one model, one call.
    """
    if output.replayed is None:
        return answered.astype(np.float64)
    return output.replayed.num_calls[:, _column_of_preset(preset)]


def measure_spread(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """Entropy in nats of the shares of traffic that the models get in performance_first.

    RouterEval (arXiv:2503.10657) calls it E_p.
    """
    if output.replayed is not None:
        return {"choice_entropy": Unmeasured("a cascade calls several models for a query")}
    chooser = Chooser.among_observed(output.predictions, evaluation_set.observed.effect)
    columns = chooser.choose(compute_preset_utility(evaluation_set, output, "performance_first"))
    return {
        "choice_entropy": Statistic(
            np.eye(len(evaluation_set.models))[columns] * chooser.has_choice[:, None],
            entropy_of_counts,
        )
    }


OF_CALL_CURVE: dict[str, Callable[[two_models.CallCurve], FloatArray]] = {
    "pgr": two_models.pgr,
    "apgr": two_models.apgr,
    "cpt_50": lambda curve: two_models.cpt(curve, 0.5),
    "cpt_80": lambda curve: two_models.cpt(curve, 0.8),
}
"""The figures of routing between a strong and a weak model, by metric."""


def measure_two_models(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """How well the expected effects tell which queries need the strong model."""
    reason, pair = NEEDS_BEST_SINGLE, None
    if evaluation_set.best_single is not None:
        reason, pair = (
            "needs two models, the weak one with a training cost",
            two_models.pick_pair(evaluation_set.best_single),
        )
    if output.replayed is not None:
        reason, pair = CASCADE_RANKS_NOTHING, None
    if pair is None:
        return {name: Unmeasured(reason) for name in OF_CALL_CURVE}
    expected, observed = output.predictions.effect, evaluation_set.observed.effect
    margin = expected[:, pair.strong] - expected[:, pair.weak]
    parts = two_models.collect_curve_parts(
        margin, weak=observed[:, pair.weak], strong=observed[:, pair.strong]
    )
    curve = FromSums(two_models.build_curve)
    return {name: Statistic(parts, curve.figure(read)) for name, read in OF_CALL_CURVE.items()}


OF_ARENA: dict[str, Callable[[FloatArray], FloatArray]] = {
    "arena_score": lambda sums: arena.arena_score(
        divide(sums[:, 1], sums[:, 0]), divide(sums[:, 2], sums[:, 0])
    ),
    "arena_opt_selection": lambda sums: arena.opt_selection(sums[:, 3:]),
    "arena_opt_accuracy": lambda sums: arena.opt_accuracy(sums[:, 3:]),
    "arena_opt_cost": lambda sums: arena.opt_cost(sums[:, 3:]),
}
"""RouterArena's figures, by metric, from sums in the column order of `measure_arena`."""


def measure_arena(evaluation_set: EvaluationSet, output: RouterOutput) -> Measures:
    """RouterArena's score and its optimality parts at the choices of the balanced preset."""
    reason = explain_no_costs(evaluation_set)
    if reason is not None:
        return {name: Unmeasured(reason) for name in OF_ARENA}
    chosen, observed = choose_by_preset(evaluation_set, output, "balanced"), evaluation_set.observed
    optimality = arena.collect_optimality_parts(
        chosen.effect,
        chosen.cost_usd,
        chosen.answered,
        observed_effect=observed.effect,
        observed_usd=observed.cost_usd,
    )
    parts = np.column_stack([chosen.answered, chosen.effect, chosen.cost_usd, optimality])
    return {name: Statistic(parts, finish) for name, finish in OF_ARENA.items()}


def measure_joint_frontier(
    evaluation_set: EvaluationSet, outputs: Mapping[str, RouterOutput]
) -> dict[str, Measures]:
    """The distance to the joint frontier, that of all routers and single models, by router.

    Args:
        evaluation_set: The queries and what was observed of them.
        outputs: Those compared, by name; the oracle, which nobody reaches, is not one of them.
    """
    reason = explain_no_costs(evaluation_set)
    if reason is not None or evaluation_set.best_single is None:
        return {name: {"pareto_dist": Unmeasured(reason or NEEDS_BEST_SINGLE)} for name in outputs}
    blocks = []
    for output in outputs.values():
        sweep = sweep_output(
            output,
            evaluation_set.observed,
            cost_scale=evaluation_set.cost_scale,
            points=JOINT_POINTS,
        )
        blocks.append(np.column_stack([sweep.counts, sweep.cost_usd, sweep.effect]))
    singles = sweep_singles(evaluation_set.best_single, evaluation_set.observed)
    parts = np.column_stack([*blocks, singles.counts, singles.cost_usd, singles.effect])
    distances = FromSums(partial(_joint_distances, num_outputs=len(outputs)))
    return {
        name: {"pareto_dist": Statistic(parts, distances.figure(itemgetter((slice(None), i))))}
        for i, name in enumerate(outputs)
    }


def _joint_distances(sums: FloatArray, num_outputs: int) -> FloatArray:
    """Distance of each router to the joint frontier, (num_draws, num_outputs).

    From sums of `measure_joint_frontier`.
    """
    width = 1 + 2 * len(JOINT_POINTS)
    blocks = [divide_by_count(sums[:, i * width : (i + 1) * width]) for i in range(num_outputs)]
    singles = divide_by_count(sums[:, num_outputs * width :])
    points = [np.split(block, 2, axis=1) for block in [*blocks, singles]]
    hull = upper_hull(*(np.hstack([point[axis] for point in points]) for axis in (0, 1)))
    distances = [
        hulls.pareto_dist(hull, cost_usd=cost, effect=effect) for cost, effect in points[:-1]
    ]
    return np.column_stack(distances)
