"""The figures of one router that has met newcomers: what it knows, what routing brings."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Sampled, Statistic
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import (
    Measures,
    Unmeasured,
    average_pairs,
    divide_first_two,
    explain_no_costs,
)
from graphrouter.bench.evaluation.prediction_errors import brier_of_pairs
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.evaluation.routing_measures import (
    compute_preset_utility,
    measure_frontier,
    measure_rewards,
    select_weighed,
)
from graphrouter.policy import PRESETS, PresetName
from graphrouter.training.effect_scores import Cells, divide, group_queries, log_loss_of_pairs
from graphrouter.types import BoolArray, FloatArray

LOSSES = ("log_loss", "brier")
CHOICES = (*(f"reward_{preset}" for preset in PRESETS), "area_log")
"""What routing over old and new models together brings."""
TRAFFIC = ("newcomer_traffic", "oracle_newcomer_traffic")
MEASURED = (*LOSSES, *CHOICES, *TRAFFIC)
"""Metrics of one router in one run, in table order; others are made of them."""
COVERAGE = "coverage_80"
"""Share of the 80 % intervals of newcomers that hold. It has no bootstrap interval: its luck is
that of the models, and queries drawn again would add their noise to every observed mean a second
time."""
_PARTIAL = Unmeasured("it predicts the effect of some pairs only")


def measure_newcomers(
    evaluation_set: EvaluationSet,
    output: RouterOutput,
    is_scored: BoolArray,
    *,
    has_newcomers: bool,
) -> Measures:
    """Every metric of `MEASURED`.

    Args:
        evaluation_set: Test queries and all models.
        output: A router that knows all models of the evaluation set.
        is_scored: (num_models,) the models whose outcomes count for the losses.
        has_newcomers: False where no models were held out: traffic is then not measured.
    """
    area = measure_frontier(evaluation_set, output)["area_log"]
    measures = {
        **_losses(evaluation_set, output, is_scored),
        **measure_rewards(evaluation_set, output),
        "area_log": area,
    }
    nothing = Unmeasured("no models were held out")
    traffic = dict.fromkeys(TRAFFIC, nothing)
    return {
        **measures,
        **(_traffic(evaluation_set, output, is_scored) if has_newcomers else traffic),
    }


def measure_coverage(
    evaluation_set: EvaluationSet, output: RouterOutput, is_scored: BoolArray
) -> float:
    """The share of the intervals of expected effect that hold.

    Those of every scored model on all queries, and on those of each task.

    An interval holds when the mean observed effect lies between the means of its ends, sampling
    noise added; see `Cells`. Means over fewer than 15 outcomes do not count. NaN for a router that
    gives no intervals, and where nothing counts.

    Args:
        evaluation_set: Test queries and all models.
        output: A router that knows all models of the evaluation set.
        is_scored: (num_models,).
    """
    expected = output.predictions
    if expected.effect_low is None or expected.effect_high is None:
        return float("nan")
    theirs = np.flatnonzero(is_scored)
    cells = Cells.of(
        evaluation_set.observed.effect[:, theirs],
        expected.effect[:, theirs],
        group_queries(evaluation_set.queries.tasks),
    )
    held = cells.check_coverage(expected.effect_low[:, theirs], expected.effect_high[:, theirs])[
        cells.is_counted
    ]
    return float(held.mean()) if held.size else float("nan")


def measure_traffic_share(
    utility: FloatArray, allowed: BoolArray, is_newcomer: BoolArray
) -> Statistic:
    """The share of queries that go to newcomers; models of equal utility share a query evenly.

    Args:
        utility: (num_queries, num_models) what is maximised; a model of unknown utility (NaN) is
            taken only without another.
        allowed: (num_queries, num_models) whom to choose among; a query without anybody does not
            count.
        is_newcomer: (num_models,).

    Example:
        >>> utility = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.1]])
        >>> allowed, is_newcomer = np.ones((3, 2), dtype=bool), np.array([True, False])
        >>> share = measure_traffic_share(utility, allowed, is_newcomer)
        >>> round(float(share.finish(share.parts.sum(axis=0, keepdims=True))[0]), 3)
        0.833
    """
    known = np.where(allowed, np.nan_to_num(utility, nan=-np.finfo(np.float64).max), -np.inf)
    best = allowed & (known == known.max(axis=1, keepdims=True))
    share = (best & is_newcomer).sum(axis=1) / np.maximum(best.sum(axis=1), 1)
    return Statistic(
        np.column_stack([share, allowed.any(axis=1)]).astype(np.float64), divide_first_two
    )


def measure_learned_share(start: Sampled, reached: Sampled, retrained: Sampled) -> Sampled:
    """(L_start - L_reached) / (L_start - L_retrained), from 0 to 1.

    0 as far as the start, 1 as far as with everything in training.

    The losses are means over the runs, and so the share is a ratio of means: in a single run
    the retrained router may be hardly better than the start, and a mean of ratios would hang on
    that run. NaN where it is not better at all.

    Args:
        start: Log loss of Rasch without any outcome of the newcomers.
        reached: Log loss of the evaluated router.
        retrained: Log loss of the graph router that was trained with everything.
    """
    value = divide(
        np.array([start.value - reached.value]), np.array([start.value - retrained.value])
    )
    return Sampled(
        float(value[0]), divide(start.draws - reached.draws, start.draws - retrained.draws)
    )


def _losses(evaluation_set: EvaluationSet, output: RouterOutput, is_scored: BoolArray) -> Measures:
    observed = np.where(is_scored, evaluation_set.observed.effect, np.nan)
    expected = output.predictions.effect
    if not np.isfinite(observed).any():
        return dict.fromkeys(LOSSES, Unmeasured("no test outcome of a newcomer"))
    if not np.isfinite(
        expected[np.isfinite(observed)]
    ).all():  # figures on pairs that a router picks itself compare with nobody else's
        return dict.fromkeys(LOSSES, _PARTIAL)
    return {
        "log_loss": average_pairs(log_loss_of_pairs(expected, observed)),
        "brier": average_pairs(brier_of_pairs(expected, observed)),
    }


def _traffic(
    evaluation_set: EvaluationSet, output: RouterOutput, is_newcomer: BoolArray
) -> Measures:
    """Shares of traffic in the balanced preset, among the pairs that were observed.

    Where nothing has a cost, by effect alone.
    """
    preset: PresetName = (
        "balanced" if explain_no_costs(evaluation_set) is None else "performance_first"
    )
    allowed = np.asarray(np.isfinite(np.stack(select_weighed(evaluation_set, preset))).all(axis=0))
    return {
        name: measure_traffic_share(
            compute_preset_utility(evaluation_set, chooser, preset), allowed, is_newcomer
        )
        for name, chooser in zip(
            TRAFFIC, (output, RouterOutput(evaluation_set.observed.to_predictions())), strict=True
        )
    }
