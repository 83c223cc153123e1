"""Measures of whole families on small evaluation sets: hand-computed cases, cascades, second
implementations, then properties."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.frontier import (
    list_replay_trade_offs,
    sweep_frontier,
    sweep_output,
)
from graphrouter.bench.evaluation.hulls import effect_at, upper_hull
from graphrouter.bench.evaluation.measures import FromSums
from graphrouter.bench.evaluation.metric_catalogue import (
    FAMILIES,
    JOINT_METRICS,
    METRICS,
    Measures,
    Unmeasured,
    measure_joint,
)
from graphrouter.bench.evaluation.prediction_errors import kendall_tau, log_rmse
from graphrouter.bench.evaluation.router_output import Replayed, RouterOutput
from graphrouter.bench.evaluation.routing_measures import JOINT_POINTS
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.policy import PRESETS, CostScale, Policy
from graphrouter.router.trade_offs import NUM_SWEPT
from graphrouter.training.effect_scores import expected_calibration_error
from graphrouter.types import FloatArray, Predictions, Queries

NAN = float("nan")
SCALE = CostScale(0.01, 1.0)
ROOT = Path(__file__).resolve().parents[4]


def predictions(effect: FloatArray, cost: FloatArray | None = None) -> Predictions:
    return Predictions.from_arrays(
        tuple(f"m{i}" for i in range(effect.shape[1])), effect, cost_usd=cost
    )


def evaluation_set_of(
    effect: FloatArray,
    cost: FloatArray | None = None,
    *,
    training: Predictions | None = None,
    scale: CostScale = SCALE,
    level: FloatArray | None = None,
) -> EvaluationSet:
    """An evaluation set on these outcomes; `training` holds the training means in one row."""
    names = tuple(f"q{i:03}" for i in range(len(effect)))
    single = None
    if training is not None:
        single = predictions(
            np.tile(training.effect, (len(effect), 1)), np.tile(training.cost_usd, (len(effect), 1))
        )
    models = tuple(f"m{i}" for i in range(effect.shape[1]))
    return EvaluationSet(
        models=models,
        query_ids=names,
        queries=Queries.of(names),
        observed=ObservedOutcomes.from_arrays(models, effect, cost_usd=cost),
        cost_scale=scale,
        best_single=single,
        level=level,
    )


def random_case(
    seed: int, *, queries: int = 25, models: int = 4
) -> tuple[EvaluationSet, RouterOutput]:
    rng = np.random.default_rng(seed)
    effect = np.where(rng.random((queries, models)) < 0.2, NAN, rng.random((queries, models)))
    effect[:, :2] = rng.integers(0, 2, (queries, 2))
    cost = rng.uniform(0.01, 1, (queries, models)) * np.arange(1, models + 1)
    training = predictions(rng.random((1, models)), rng.uniform(0.01, 1, (1, models)))
    router = predictions(
        rng.uniform(0.05, 0.95, (queries, models)), rng.uniform(0.01, 1, (queries, models))
    )
    level = rng.uniform(0.2, 0.8, (queries, models))
    return evaluation_set_of(effect, cost, training=training, level=level), RouterOutput(router)


def values_of(measures: Measures) -> dict[str, float]:
    return {name: value_of(item) for name, item in measures.items()}


def value_of(item: Statistic | Unmeasured) -> float:
    if isinstance(item, Unmeasured):
        return NAN
    assert np.isfinite(item.parts).all()
    return float(item.finish(item.parts.sum(axis=0, keepdims=True))[0])


def measure_all(evaluation_set: EvaluationSet, output: RouterOutput) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in FAMILIES:
        found |= values_of(
            family.measure(evaluation_set, output, family.usable(evaluation_set, output))
        )
    return found | values_of(measure_joint(evaluation_set, {"it": output})["it"])


def reasons_of(evaluation_set: EvaluationSet, output: RouterOutput) -> dict[str, str]:
    measures: dict[str, Statistic | Unmeasured] = {}
    for family in FAMILIES:
        measures |= family.measure(evaluation_set, output, family.usable(evaluation_set, output))
    measures |= measure_joint(evaluation_set, {"it": output})["it"]
    return {name: item.reason for name, item in measures.items() if isinstance(item, Unmeasured)}


def oracle_of(evaluation_set: EvaluationSet) -> RouterOutput:
    return RouterOutput(evaluation_set.observed)


# --- the registry


def test_every_metric_is_measured_once_and_described() -> None:
    evaluation_set, output = random_case(0)
    assert set(measure_all(evaluation_set, output)) == set(METRICS)
    assert len(METRICS) == sum(len(family.metrics) for family in FAMILIES) + len(JOINT_METRICS)
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`{name}`" not in page] == []
    assert {metric.name for metric in METRICS.values() if metric.group == "predictor"} == {
        *("log_loss", "brier", "ece", "kendall_tau"),
        *("deviation_r2", "added_deviation_r2", "added_log_loss"),
        *("log_rmse_cost", "log_rmse_tokens", "log_rmse_latency"),
    }


def test_titles_differ() -> None:
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


# --- by hand


def test_figures_by_hand() -> None:
    """Cheap m0 solves half of the queries, dear m1 all but one; the router knows which query needs
    which."""
    effect = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    cost = np.tile([0.1, 0.5], (4, 1))
    training = predictions(np.array([[0.5, 0.75]]), np.array([[0.1, 0.5]]))
    evaluation_set = evaluation_set_of(effect, cost, training=training, scale=CostScale(0.1, 0.5))
    found = measure_all(evaluation_set, RouterOutput(predictions(np.clip(effect, 0.1, 0.9), cost)))
    # Hull: (0.1, 0.5) and (0.3, 1.0); the most accurate single model is m1: (0.5, 0.75).
    assert found["peak_effect"] == 1.0
    assert found["perf_gain"] == pytest.approx(1 / 3)
    assert found["qnc"] == pytest.approx(0.2 / 0.5)
    assert found["cost_save"] == pytest.approx(0.6)
    assert found["aiq"] == pytest.approx((0.75 * 0.2 + 1.0 * 0.45) / 0.65)  # from 0.1 to 1.5 * 0.5
    assert found["deferral_area_50"] == pytest.approx((0.5 + 0.875) / 2)  # from 0.1 to 0.25
    assert found["deferral_area_100"] == pytest.approx((0.75 * 0.2 + 1.0 * 0.2) / 0.4)
    assert found["gain_at_random"] == pytest.approx(1.0 / 0.625 - 1)
    assert found["gain_at_best"] == pytest.approx(1 / 3)
    assert found["gap_at_oracle"] == 0.0
    # Strong m1, weak m0; in order of the difference: two queries gain 1, one neither, one loses 1.
    assert found["pgr"] == pytest.approx((1.0 - 0.5) / 0.25)
    assert found["cpt_50"] == pytest.approx(0.125 / 0.5 * 0.5)
    # Balanced: 0.5 * effect - 0.5 * scaled cost takes m1 only where 0.8 outweighs 1: never. So
    # effect 0.5 at 100 USD.
    cheap = math.log2(200 / 100) / math.log2(200 / 0.0044)
    assert found["arena_score"] == pytest.approx(1.1 * 0.5 * cheap / (0.05 + cheap))
    assert found["arena_opt_selection"] == pytest.approx(2 / 4)
    assert found["arena_opt_accuracy"] == pytest.approx(2 / 4)
    assert found["arena_opt_cost"] == pytest.approx(1.0)
    assert found["pareto_dist"] == pytest.approx(0, abs=1e-12)


def test_the_reference_of_qnc_is_the_model_that_training_picked() -> None:
    """On these queries m0 costs USD 0.2 and solves half, m1 costs USD 0.4 and solves all."""
    effect, cost = np.array([[1.0, 1.0], [0.0, 1.0]]), np.tile([0.2, 0.4], (2, 1))
    cheap = evaluation_set_of(
        effect, cost, training=predictions(np.array([[0.9, 0.5]]), np.array([[0.2, 0.4]]))
    )
    dear = evaluation_set_of(
        effect, cost, training=predictions(np.array([[0.5, 0.9]]), np.array([[0.2, 0.4]]))
    )
    assert measure_all(cheap, oracle_of(cheap))["qnc"] == pytest.approx(1.0)
    assert measure_all(dear, oracle_of(dear))["qnc"] == pytest.approx(0.3 / 0.4)
    assert measure_all(dear, oracle_of(dear))["cost_save"] == pytest.approx(1 - 0.3 / 0.4)
    stubborn = measure_all(dear, RouterOutput(predictions(np.tile([0.9, 0.1], (2, 1)), cost)))
    assert math.isnan(stubborn["qnc"])
    assert METRICS["qnc"].when_undefined


def test_token_elasticity_by_hand() -> None:
    """m0 spends 100 tokens a query and solves two of four, m1 300 and solves three. The router
    sends two to m1: 4 solved for 800 tokens, against 2 for 400."""
    effect = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    shape = effect.shape
    tokens = {
        "input_tokens": np.tile([40.0, 100.0], (4, 1)),
        "output_tokens": np.tile([60.0, 200.0], (4, 1)),
    }
    models = ("m0", "m1")
    training = Predictions.from_arrays(models, np.full(shape, 0.5), **tokens)
    evaluation_set = replace(
        evaluation_set_of(effect),
        observed=ObservedOutcomes.from_arrays(models, effect, **tokens),
        best_single=training,
    )
    router = np.array([[0.9, 0.8], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    found = measure_all(evaluation_set, RouterOutput(predictions(router)))
    assert found["token_elasticity"] == pytest.approx((4 / 2 - 1) / (800 / 400 - 1))
    always_m1 = measure_all(evaluation_set, RouterOutput(predictions(np.tile([0.1, 0.9], (4, 1)))))
    assert always_m1["token_elasticity"] == pytest.approx((3 / 2 - 1) / (3 - 1))
    always_m0 = measure_all(evaluation_set, RouterOutput(predictions(np.tile([0.9, 0.1], (4, 1)))))
    assert math.isnan(always_m0["token_elasticity"])  # as many tokens as the base
    unseen = replace(evaluation_set, observed=ObservedOutcomes.from_arrays(models, effect))
    assert (
        "token counts" in reasons_of(unseen, RouterOutput(predictions(router)))["token_elasticity"]
    )


def test_entropy_of_choices_by_hand() -> None:
    """Three queries go to m0 and one to m1; a constant router spreads nothing."""
    effect, cost = np.ones((4, 2)), np.full((4, 2), 0.1)
    evaluation_set = evaluation_set_of(
        effect, cost, training=predictions(np.array([[0.9, 0.5]]), np.array([[0.1, 0.1]]))
    )
    spread = RouterOutput(predictions(np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]]), cost))
    assert measure_all(evaluation_set, spread)["choice_entropy"] == pytest.approx(
        -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    )
    assert (
        measure_all(evaluation_set, RouterOutput(predictions(np.tile([0.9, 0.1], (4, 1)), cost)))[
            "choice_entropy"
        ]
        == 0.0
    )


def test_predictor_metrics_are_those_of_the_pure_functions() -> None:
    evaluation_set, output = random_case(3)
    found = measure_all(evaluation_set, output)
    expected, observed = output.predictions, evaluation_set.observed
    assert found["ece"] == pytest.approx(
        expected_calibration_error(expected.effect, observed.effect)
    )
    assert found["kendall_tau"] == pytest.approx(kendall_tau(expected.effect, observed.effect))
    assert found["log_rmse_cost"] == pytest.approx(log_rmse(expected.cost_usd, observed.cost_usd))


def test_the_joint_frontier_against_scipy() -> None:
    evaluation_set, first = random_case(5)
    second = random_case(6)[1]
    outputs = {"first": first, "second": second}
    found = {
        name: values_of(measures)["pareto_dist"]
        for name, measures in measure_joint(evaluation_set, outputs).items()
    }
    sweeps = {
        name: sweep_frontier(each, evaluation_set.observed, cost_scale=SCALE)
        for name, each in outputs.items()
    }
    own = {
        name: np.column_stack([sweep.cost_usd, sweep.effect])[JOINT_POINTS]
        for name, sweep in sweeps.items()
    }
    singles = []
    for model in range(4):
        liking = predictions(
            evaluation_set.best_single.effect + 2.0 * (np.arange(4) == model),
            evaluation_set.best_single.cost_usd,
        )  # type: ignore[union-attr]
        sweep = sweep_frontier(RouterOutput(liking), evaluation_set.observed, cost_scale=SCALE)
        singles.append([sweep.cost_usd[0], sweep.effect[0]])
    everything = np.vstack([*own.values(), singles])
    floor = [
        everything[:, 0].max() + 1,
        everything[:, 1].max(),
    ]  # the hull stays flat beyond its best point
    outline = np.vstack([everything, floor])
    corners = outline[ConvexHull(outline).vertices]
    upper = corners[np.argsort(corners[:, 0])]
    for name, points in own.items():
        shortfalls = []
        for cost, effect in points:
            pairs = [(a, b) for a in upper for b in upper if a[0] <= cost <= b[0] and a[0] < b[0]]
            shortfalls.append(
                max(a[1] + (cost - a[0]) / (b[0] - a[0]) * (b[1] - a[1]) for a, b in pairs) - effect
            )
        assert found[name] == pytest.approx(np.mean(shortfalls))


# --- what cannot be measured


def test_reasons() -> None:
    evaluation_set, output = random_case(0)
    without_single = reasons_of(replace(evaluation_set, best_single=None), output)
    assert {
        without_single[name] for name in ("area_log", "qnc", "gain_at_best", "pgr", "pareto_dist")
    } == {"needs the baseline best_single"}
    assert not {"gain_at_random", "gap_at_oracle", "reward_balanced", "arena_score"} & set(
        without_single
    )
    free = evaluation_set_of(
        evaluation_set.observed.effect,
        training=predictions(np.array([[0.1, 0.2, 0.3, 0.4]])),
        scale=CostScale(NAN, NAN),
    )
    without_costs = reasons_of(free, RouterOutput(predictions(output.predictions.effect)))
    for name in ("reward_balanced", "area_log", "arena_score", "pareto_dist"):
        assert without_costs[name] == "no training outcome has a cost"
    assert without_costs["pgr"] == "needs two models, the weak one with a training cost"
    assert not {"reward_performance_first", "gain_at_best", "kendall_tau"} & set(without_costs)


# --- cascades


NOT_OF_CASCADES = {"token_elasticity", "pgr", "apgr", "cpt_50", "cpt_80", "choice_entropy"}


def replay(evaluation_set: EvaluationSet, output: RouterOutput) -> RouterOutput:
    """A cascade that always keeps the first answer: what choosing by the predictions brings,
    replayed."""
    observed = evaluation_set.observed
    sweep = sweep_output(output, observed, cost_scale=evaluation_set.cost_scale)
    extra = []
    for preset in PRESETS:
        policy = Policy.preset(preset)
        utility = policy.utility(
            output.predictions.effect, output.predictions.cost_usd, evaluation_set.cost_scale
        )
        known = np.isfinite(observed.effect) & np.isfinite(observed.cost_usd)
        best, rows = np.where(known, utility, -np.inf).argmax(axis=1), np.arange(len(utility))
        extra.append(
            [
                np.where(sweep.counts, values[rows, best], 0)
                for values in (observed.cost_usd, observed.effect)
            ]
        )
    cost = np.column_stack([sweep.cost_usd, *(pair[0] for pair in extra)])
    effect = np.column_stack([sweep.effect, *(pair[1] for pair in extra)])
    assert cost.shape[1] == len(list_replay_trade_offs(evaluation_set.cost_scale))
    return RouterOutput(
        predictions(np.full(observed.effect.shape, NAN)),
        Replayed(
            cost, effect, np.repeat(sweep.counts[:, None], cost.shape[1], 1) * 1.0, sweep.counts
        ),
    )


def test_a_replay_of_a_router_is_measured_like_the_router() -> None:
    evaluation_set, output = random_case(1)
    first, second = (
        measure_all(evaluation_set, output),
        measure_all(evaluation_set, replay(evaluation_set, output)),
    )
    for name in METRICS:
        if METRICS[name].group == "routing" and name not in NOT_OF_CASCADES:
            assert second[name] == pytest.approx(first[name], abs=1e-12, nan_ok=True), name


def test_calls_are_those_of_performance_first() -> None:
    evaluation_set, output = random_case(1)
    assert measure_all(evaluation_set, output)["mean_calls"] == 1.0
    cascade = replay(evaluation_set, output)
    assert cascade.replayed is not None
    calls = np.tile(np.arange(cascade.replayed.effect.shape[1]), (25, 1)) * 1.0
    counted = cascade.replayed._replace(num_calls=calls + np.arange(25)[:, None])
    found = measure_all(evaluation_set, RouterOutput(cascade.predictions, counted))
    assert found["mean_calls"] == pytest.approx(NUM_SWEPT + 12)
    unknown = RouterOutput(cascade.predictions, counted._replace(num_calls=calls * NAN))
    assert reasons_of(evaluation_set, unknown)["mean_calls"] == (
        "calls were not counted when it was replayed"
    )


def test_a_cascade_predicts_nothing() -> None:
    evaluation_set, output = random_case(1)
    why = reasons_of(evaluation_set, replay(evaluation_set, output))
    predictor = {name for name, metric in METRICS.items() if metric.group == "predictor"}
    assert set(why) == predictor | NOT_OF_CASCADES
    assert {why[name] for name in predictor} == {
        "a cascade looks at answers; it predicts nothing beforehand"
    }


def test_queries_that_a_cascade_could_not_answer_do_not_count() -> None:
    evaluation_set, output = random_case(1)
    cascade = replay(evaluation_set, output).replayed
    assert cascade is not None
    answered = cascade.answered & (np.arange(25) < 15)
    part = Replayed(*(each * answered[:, None] for each in cascade[:3]), answered)
    left = measure_all(evaluation_set, RouterOutput(output.predictions, part))
    observed = evaluation_set.observed
    fewer = evaluation_set_of(
        observed.effect[:15],
        observed.cost_usd[:15],
        training=predictions(
            evaluation_set.best_single.effect[:1], evaluation_set.best_single.cost_usd[:1]
        ),  # type: ignore[union-attr]
    )
    right = measure_all(
        fewer,
        RouterOutput(
            output.predictions,
            Replayed(*(each[:15] for each in part)),
        ),
    )
    joint = {"pareto_dist"}  # its single models stand on all queries
    for name in set(METRICS) - joint:
        assert left[name] == pytest.approx(right[name], abs=1e-12, nan_ok=True), name


# --- properties


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_the_oracle_is_never_beaten(seed: int) -> None:
    evaluation_set, output = random_case(
        seed, queries=18
    )  # fewer than the steps of a call curve: it is exact
    oracle, router = (
        measure_all(evaluation_set, oracle_of(evaluation_set)),
        measure_all(evaluation_set, output),
    )
    for name in (
        "peak_effect",
        "perf_gain",
        "gain_at_random",
        "gain_at_best",
        "apgr",
        *(f"reward_{preset}" for preset in PRESETS),
    ):
        if not math.isnan(oracle[name]):
            assert oracle[name] >= router[name] - 1e-9, name
    assert oracle["gap_at_oracle"] == pytest.approx(0, abs=1e-12)
    assert router["gap_at_oracle"] >= -1e-12
    for name in ("arena_opt_selection", "arena_opt_accuracy", "arena_opt_cost"):
        assert math.isnan(router[name]) or router[name] <= 1 + 1e-9


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_permuting_models_or_queries_changes_nothing(seed: int) -> None:
    evaluation_set, output = random_case(seed)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(25), rng.permutation(4)

    def shuffled(values: Predictions) -> Predictions:
        return predictions(values.effect[rows][:, columns], values.cost_usd[rows][:, columns])

    assert evaluation_set.best_single is not None
    assert evaluation_set.level is not None
    other = replace(
        evaluation_set,
        observed=shuffled(evaluation_set.observed),
        best_single=shuffled(evaluation_set.best_single),
        level=evaluation_set.level[rows][:, columns],
    )
    first, second = (
        measure_all(evaluation_set, output),
        measure_all(other, RouterOutput(shuffled(output.predictions))),
    )
    for name in METRICS:
        assert second[name] == pytest.approx(first[name], abs=1e-9, nan_ok=True), name


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_one_more_contender_never_brings_another_nearer_to_the_joint_frontier(seed: int) -> None:
    evaluation_set, output = random_case(seed)
    others = {str(i): random_case(seed + i)[1] for i in range(1, 4)}
    distances = [
        values_of(measure_joint(evaluation_set, {"it": output, **some})["it"])["pareto_dist"]
        for some in ({}, {"1": others["1"]}, others)
    ]
    assert distances == sorted(distances)
    assert distances[0] >= 0


def test_a_constant_router_stands_still() -> None:
    evaluation_set, _ = random_case(0)
    constant = RouterOutput(predictions(np.full((25, 4), 0.5), np.full((25, 4), 0.1)))
    found = measure_all(evaluation_set, constant)
    frontier = sweep_frontier(constant, evaluation_set.observed, cost_scale=SCALE)
    assert np.ptp(frontier.cost_usd) == np.ptp(frontier.effect) == 0
    assert math.isnan(found["kendall_tau"])
    assert found["gain_at_best"] == pytest.approx(
        frontier.effect[0] / _best_effect(evaluation_set) - 1
    )
    if not math.isnan(found["apgr"]):
        assert [found["apgr"], found["cpt_80"]] == pytest.approx([0.5, 0.8])


def _best_effect(evaluation_set: EvaluationSet) -> float:
    assert evaluation_set.best_single is not None
    return float(
        sweep_frontier(
            RouterOutput(evaluation_set.best_single), evaluation_set.observed, cost_scale=SCALE
        ).effect[0]
    )


# --- draws


def test_all_draws_at_once_are_each_the_single_one() -> None:
    evaluation_set, output = random_case(2, queries=40)
    counts = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), size=25).astype(float)
    joint: Mapping[str, Statistic | Unmeasured] = measure_joint(evaluation_set, {"it": output})[
        "it"
    ]
    everything = [
        joint,
        *(
            family.measure(evaluation_set, output, family.usable(evaluation_set, output))
            for family in FAMILIES
        ),
    ]
    for name, item in ((name, item) for measures in everything for name, item in measures.items()):
        if isinstance(item, Unmeasured):
            continue
        sums = counts @ item.parts
        apart = [item.finish(row[None])[0] for row in sums]
        np.testing.assert_allclose(item.finish(sums), apart, rtol=1e-9, err_msg=name)


def test_the_joint_hull_of_draws_is_above_every_point_of_the_draw() -> None:
    rng = np.random.default_rng(0)
    cost, effect = rng.random((2, 20, 60))
    assert (effect_at(upper_hull(cost, effect), cost) >= effect - 1e-9).all()


def test_work_on_the_same_sums_is_done_once() -> None:
    calls = []

    def add_up(sums: FloatArray) -> FloatArray:
        calls.append(sums)
        return np.asarray(sums.sum(axis=1))

    total = FromSums(add_up)
    one, two = np.ones((2, 3)), np.zeros((2, 3))
    first = total.figure(lambda made: made + 1)
    assert first(one).tolist() == [4, 4]
    assert total.figure(lambda made: made * 2)(one.copy()).tolist() == [6, 6]
    assert len(calls) == 1
    assert first(two).tolist() == [1, 1]
    assert first(one).tolist() == [4, 4]
    assert len(calls) == 3
