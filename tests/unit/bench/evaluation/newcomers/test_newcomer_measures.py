"""Figures on newcomers: hand-computed losses, traffic and learned shares."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from graphrouter.bench.evaluation.bootstrap import Sampled, Statistic
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import Measures, Unmeasured
from graphrouter.bench.evaluation.newcomers.newcomer_measures import (
    MEASURED,
    TRAFFIC,
    measure_coverage,
    measure_learned_share,
    measure_newcomers,
    measure_traffic_share,
)
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.policy import CostScale
from graphrouter.types import FloatArray, Predictions, Queries

MODELS = ("old", "new")
EFFECT = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, np.nan]])
COST = np.array([[0.1, 0.3], [0.1, 0.3], [0.1, np.nan]])
IS_NEW = np.array([False, True])


def evaluation_set(effect: FloatArray = EFFECT, cost_usd: FloatArray = COST) -> EvaluationSet:
    ids = tuple(f"q{i}" for i in range(len(effect)))
    best = Predictions.from_arrays(
        MODELS,
        np.tile([0.7, 0.5], (len(effect), 1)),
        cost_usd=np.tile([0.1, 0.3], (len(effect), 1)),
    )
    return EvaluationSet(
        models=MODELS,
        query_ids=ids,
        queries=Queries.of(ids),
        observed=ObservedOutcomes.from_arrays(MODELS, effect, cost_usd=cost_usd),
        cost_scale=CostScale.fit(cost_usd),
        best_single=best,
    )


def output(effect: list[list[float]], cost_usd: FloatArray | None = None) -> RouterOutput:
    return RouterOutput(Predictions.from_arrays(MODELS, np.array(effect), cost_usd=cost_usd))


def value(measures: Measures, name: str) -> float:
    item = measures[name]
    assert isinstance(item, Statistic)
    return float(item.finish(item.parts.sum(axis=0, keepdims=True))[0])


def test_losses_are_those_of_newcomers_alone() -> None:
    found = measure_newcomers(
        evaluation_set(), output([[0.5, 0.8], [0.5, 0.4], [0.5, 0.9]]), IS_NEW, has_newcomers=True
    )
    assert value(found, "log_loss") == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert value(found, "brier") == pytest.approx((0.2**2 + 0.4**2) / 2)
    assert set(found) == set(MEASURED)


def test_whoever_leaves_out_a_newcomer_has_no_loss() -> None:
    found = measure_newcomers(
        evaluation_set(),
        output([[0.5, np.nan], [0.5, 0.4], [0.5, 0.9]]),
        IS_NEW,
        has_newcomers=True,
    )
    assert isinstance(found["log_loss"], Unmeasured)
    seen = measure_newcomers(
        evaluation_set(),
        output([[np.nan, 0.8], [0.5, 0.4], [0.5, np.nan]]),
        IS_NEW,
        has_newcomers=True,
    )
    assert value(seen, "log_loss") == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)


def test_rewards_and_traffic_are_those_of_choices_among_old_and_new() -> None:
    outputs = output([[0.2, 0.9], [0.9, 0.2], [0.5, 0.9]], np.tile([0.1, 0.1], (3, 1)))
    found = measure_newcomers(evaluation_set(), outputs, IS_NEW, has_newcomers=True)
    assert value(found, "reward_performance_first") == pytest.approx((1 + 1 + 0) / 3)
    assert value(found, "newcomer_traffic") == pytest.approx(
        1 / 3
    )  # the third query was not run on the newcomer
    assert value(found, "oracle_newcomer_traffic") == 0  # the old model is as good and cheaper


def test_without_costs_traffic_follows_effect_and_ties_are_shared() -> None:
    unknown = np.full(EFFECT.shape, np.nan)
    found = measure_newcomers(
        evaluation_set(cost_usd=unknown),
        output([[0.2, 0.9], [0.9, 0.2], [0.5, 0.9]]),
        IS_NEW,
        has_newcomers=True,
    )
    assert value(found, "newcomer_traffic") == pytest.approx(1 / 3)
    assert value(found, "oracle_newcomer_traffic") == pytest.approx((0.5 + 0 + 0) / 3)
    assert isinstance(found["reward_balanced"], Unmeasured)
    assert isinstance(found["area_log"], Unmeasured)


def test_coverage_by_hand() -> None:
    # the newcomer solves 24 of 40 on task a and 4 of 20 on task b: 28 of 60 in all; the noise of 20
    # pairs at 0.5 is 0.11
    observed = np.column_stack(
        [np.ones(60), np.r_[np.ones(24), np.zeros(16), np.ones(4), np.zeros(16)]]
    )
    asked = evaluation_set(observed, np.ones((60, 2)))
    of_task = Queries.of(asked.queries.prompts, ("a",) * 40 + ("b",) * 20)
    asked = dataclasses.replace(asked, queries=of_task)
    expected = np.full((60, 2), 0.5)

    def shown(half: float) -> float:
        outputs = Predictions.from_arrays(
            MODELS, expected, effect_low=expected - half, effect_high=expected + half
        )
        return measure_coverage(asked, RouterOutput(outputs), IS_NEW)

    assert shown(0.0) == pytest.approx(
        2 / 3
    )  # 0.47 is within 1.28 x 0.065 of 0.5, 0.6 within 1.28 x 0.079; 0.2 is not
    assert shown(0.25) == pytest.approx(2 / 3)  # 0.25 and 0.14 together are 0.29
    assert shown(0.27) == 1.0
    assert np.isnan(
        measure_coverage(asked, RouterOutput(Predictions.from_arrays(MODELS, expected)), IS_NEW)
    )
    assert np.isnan(measure_coverage(evaluation_set(), output([[0.5, 0.5]] * 3), IS_NEW))


def test_a_few_outcomes_are_not_compared_with_intervals() -> None:
    observed = np.ones((14, 2))
    outputs = Predictions.from_arrays(
        MODELS, observed / 2, effect_low=observed / 4, effect_high=observed
    )
    assert np.isnan(
        measure_coverage(evaluation_set(observed, np.ones((14, 2))), RouterOutput(outputs), IS_NEW)
    )


def test_there_is_no_traffic_to_newcomers_where_a_task_is_held_out() -> None:
    found = measure_newcomers(
        evaluation_set(), output([[0.5, 0.8]] * 3), np.array([True, True]), has_newcomers=False
    )
    assert all(isinstance(found[name], Unmeasured) for name in TRAFFIC)


def test_unknown_utility_is_taken_only_without_another() -> None:
    utility = np.array([[np.nan, -5.0], [np.nan, 0.0], [0.3, 0.1]])
    allowed = np.array([[True, True], [True, False], [False, False]])
    share = measure_traffic_share(utility, allowed, IS_NEW)
    assert share.parts.tolist() == [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]


def test_learned_share_is_a_ratio_of_means() -> None:
    start, retrained = Sampled(0.6, np.array([0.6, 0.5])), Sampled(0.4, np.array([0.4, 0.5]))
    share = measure_learned_share(start, Sampled(0.5, np.array([0.45, 0.45])), retrained)
    assert share.value == pytest.approx(0.5)
    assert share.draws[0] == pytest.approx(0.75)
    assert np.isnan(share.draws[1])  # the retrained router is no better than the start
    assert measure_learned_share(start, start, retrained).value == 0
    assert measure_learned_share(start, retrained, retrained).value == 1
