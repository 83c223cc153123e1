"""Deviation R2 and what a baseline adds: by hand, then with intervals in a whole evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import fit_baselines
from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.evaluate import SeedRun, collect_outputs, score_runs
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.predictor_measures import (
    CASCADE_PREDICTS_NOTHING,
    IS_EVALUATED,
    NO_DEVIATION,
    NO_LEVELS,
    measure_additions,
    measure_deviation,
)
from graphrouter.bench.evaluation.results import Evaluation, SettingResult
from graphrouter.bench.evaluation.router_output import ORACLE, Replayed, RouterOutput
from graphrouter.bench.evaluation.table import build_table
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.config import EncoderConfig, SplitConfig
from graphrouter.data import RoutingDataset, split_dataset
from graphrouter.encoders import create_encoder
from graphrouter.policy import CostScale
from graphrouter.training.effect_scores import log_loss
from graphrouter.types import FloatArray, Predictions, Queries

NAN = float("nan")
HALF = np.full((2, 2), 0.5)
OUTCOMES = np.array([[1.0, 0.0], [0.0, 1.0]])
FIRST = np.array([[0.7, 0.3], [0.5, 0.5]])
"""Knows which model the first query is for."""
SECOND = np.array([[0.5, 0.5], [0.3, 0.7]])
"""Knows which model the second query is for."""


def evaluation_set_of(effect: FloatArray, level: FloatArray | None) -> EvaluationSet:
    ids = tuple(f"q{i:03}" for i in range(len(effect)))
    models = tuple(f"m{j}" for j in range(effect.shape[1]))
    return EvaluationSet(
        models,
        ids,
        Queries.of(ids),
        ObservedOutcomes.from_arrays(models, effect),
        CostScale(NAN, NAN),
        None,
        level,
    )


def output_of(effect: FloatArray) -> RouterOutput:
    models = tuple(f"m{j}" for j in range(effect.shape[1]))
    return RouterOutput(Predictions.from_arrays(models, effect))


def cascade_of(num_queries: int) -> RouterOutput:
    replayed = Replayed(*np.zeros((3, num_queries, 1)), np.ones(num_queries, dtype=bool))
    return RouterOutput(output_of(np.full((num_queries, 2), NAN)).predictions, replayed)


def value_of(item: Statistic | Unmeasured) -> float:
    assert isinstance(item, Statistic), item
    assert np.isfinite(item.parts).all()
    return float(item.finish(item.parts.sum(axis=0, keepdims=True))[0])


def r2_of(evaluation_set: EvaluationSet, effect: FloatArray) -> float:
    usable = np.isfinite(evaluation_set.observed.effect) & np.isfinite(effect)
    found = measure_deviation(evaluation_set, output_of(effect).predictions, usable)
    return value_of(found["deviation_r2"])


def added(evaluation_set: EvaluationSet, own: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Added deviation R2, and added log loss."""
    outputs = {"it": output_of(own), "other": output_of(other)}
    found = measure_additions(evaluation_set, outputs)["other"]
    return value_of(found["added_deviation_r2"]), value_of(found["added_log_loss"])


# --- deviation R2


def test_levels_alone_have_zero_the_outcomes_one_and_the_wrong_way_round_less() -> None:
    evaluation_set = evaluation_set_of(OUTCOMES, HALF)
    assert r2_of(evaluation_set, HALF) == 0.0
    assert r2_of(evaluation_set, OUTCOMES) == 1.0
    assert r2_of(evaluation_set, FIRST) == pytest.approx(0.32)
    assert r2_of(evaluation_set, 1 - OUTCOMES) == pytest.approx(-3)


def test_a_router_that_has_to_guess_levels_has_less_than_zero() -> None:
    level = np.array([[0.8, 0.2], [0.8, 0.2]])
    effect = np.array([[1.0, 0.0], [0.9, 0.2]])
    evaluation_set = evaluation_set_of(effect, level)
    assert r2_of(evaluation_set, level) == 0.0
    assert r2_of(evaluation_set, HALF) < 0


def test_pairs_that_are_not_observed_or_not_predicted_do_not_count() -> None:
    effect = np.array([[1.0, 0.0, NAN], [0.0, 1.0, 1.0], [1.0, NAN, NAN]])
    told = np.array([[0.7, 0.3, 0.9], [0.5, 0.5, NAN], [0.2, 0.3, 0.4]])
    level = np.full((3, 3), 0.5)
    assert r2_of(evaluation_set_of(effect, level), told) == pytest.approx(0.32)


def test_without_levels_there_is_a_reason_and_without_two_models_no_value() -> None:
    usable = np.full((2, 2), True)
    found = measure_deviation(
        evaluation_set_of(OUTCOMES, None), output_of(HALF).predictions, usable
    )
    assert found == {"deviation_r2": Unmeasured(NO_LEVELS)}
    lonely = np.array([[1.0, NAN], [NAN, 0.0]])
    assert np.isnan(r2_of(evaluation_set_of(lonely, HALF), FIRST))


# --- what a baseline adds


def test_a_baseline_that_knows_the_other_half_adds_it() -> None:
    evaluation_set = evaluation_set_of(OUTCOMES, HALF)
    r2, saved = added(evaluation_set, FIRST, SECOND)
    together = np.array([[0.6, 0.4], [0.4, 0.6]])
    assert r2 == pytest.approx(0.36 - 0.32)
    assert saved == pytest.approx(log_loss(FIRST, OUTCOMES) - log_loss(together, OUTCOMES))
    assert saved > 0
    blind_r2, blind_saved = added(evaluation_set, FIRST, HALF)
    assert blind_r2 < 0
    assert blind_saved < 0


def test_an_equal_router_adds_exactly_nothing_in_every_draw() -> None:
    rng = np.random.default_rng(0)
    effect = np.where(rng.random((40, 3)) < 0.3, NAN, rng.integers(0, 2, (40, 3)).astype(float))
    own = rng.random((40, 3))
    own[rng.random((40, 3)) < 0.1] = NAN
    evaluation_set = evaluation_set_of(effect, rng.random((40, 3)))
    outputs = {"it": output_of(own), "equal": output_of(own)}
    counts = rng.multinomial(40, np.full(40, 1 / 40), size=30).astype(float)
    for item in measure_additions(evaluation_set, outputs)["equal"].values():
        assert isinstance(item, Statistic)
        np.testing.assert_array_equal(item.finish(counts @ item.parts), 0.0)


def test_only_what_tells_models_apart_is_averaged() -> None:
    """A baseline that expects more of every model, or knows how easy a query is, adds nothing."""
    evaluation_set = evaluation_set_of(OUTCOMES, HALF)
    r2, saved = added(evaluation_set, FIRST, FIRST + np.array([[0.2], [-0.1]]))
    assert (r2, saved) == pytest.approx((0, 0), abs=1e-12)


def test_what_is_added_is_measured_on_the_pairs_that_both_predict() -> None:
    effect = np.vstack([OUTCOMES, [[1.0, 0.0], [0.0, 1.0]]])
    level = np.full((4, 2), 0.5)
    own = np.vstack([FIRST, [[0.9, 0.1], [NAN, 0.9]]])
    other = np.vstack([SECOND, [[0.9, NAN], [0.4, 0.6]]])
    r2, saved = added(evaluation_set_of(effect, level), own, other)
    assert r2 == pytest.approx(0.04)
    # Two pairs more are shared, each the only one of its query: they count, and change nothing.
    alone = added(evaluation_set_of(OUTCOMES, HALF), FIRST, SECOND)[1]
    assert saved == pytest.approx(alone * 4 / 6)


def test_what_is_added_is_the_difference_of_two_figures() -> None:
    rng = np.random.default_rng(1)
    effect, own, other, level = rng.random((4, 30, 3))
    evaluation_set = evaluation_set_of(effect, level)
    mean = own + ((other - other.mean(1, keepdims=True)) - (own - own.mean(1, keepdims=True))) / 2
    mean = mean.clip(0, 1)
    r2, saved = added(evaluation_set, own, other)
    assert r2 == pytest.approx(r2_of(evaluation_set, mean) - r2_of(evaluation_set, own))
    assert saved == pytest.approx(log_loss(own, effect) - log_loss(mean, effect))


def test_who_has_no_addition_and_why() -> None:
    outputs = {"it": output_of(FIRST), "cascade": cascade_of(2), "other": output_of(SECOND)}
    found = measure_additions(evaluation_set_of(OUTCOMES, HALF), outputs)
    for metric in ("added_deviation_r2", "added_log_loss"):
        assert found["it"][metric] == Unmeasured(IS_EVALUATED)
        assert found["cascade"][metric] == Unmeasured(CASCADE_PREDICTS_NOTHING)
    first = {"cascade": cascade_of(2), "other": output_of(SECOND)}
    for measures in measure_additions(evaluation_set_of(OUTCOMES, HALF), first).values():
        assert set(measures.values()) == {Unmeasured(CASCADE_PREDICTS_NOTHING)}
    without_levels = measure_additions(evaluation_set_of(OUTCOMES, None), outputs)
    assert without_levels["it"]["added_deviation_r2"] == Unmeasured(NO_LEVELS)
    assert without_levels["other"]["added_deviation_r2"] == Unmeasured(NO_LEVELS)
    assert value_of(without_levels["other"]["added_log_loss"]) > 0
    lonely = evaluation_set_of(np.array([[1.0, NAN], [NAN, 0.0]]), HALF)
    assert set(measure_additions(lonely, outputs)["other"].values()) == {Unmeasured(NO_DEVIATION)}


# --- in a whole evaluation


def split_world(seed: int = 0) -> tuple[SeedRun, RoutingDataset]:
    """Task means beside others on simulated data."""
    data = gr.simulate(num_queries=240, num_models=4, seed=1).data
    split = split_dataset(data, SplitConfig(seed=seed))
    encoder = create_encoder(EncoderConfig(name="hashing", dimension=64))
    names = ["knn", "rasch", "frugal_gpt"]
    baselines = dict(fit_baselines(data, names, split=split, encoder=encoder))
    router = baselines.pop("task_mean")
    scale = CostScale.fit(data.outcome_matrix("cost_usd", split.train))
    run = collect_outputs(
        router, data, split.test, baselines=baselines, cost_scale=scale, seed=seed
    )
    return run, data


@pytest.fixture(scope="module")
def runs() -> list[SeedRun]:
    return [split_world(seed)[0] for seed in (0, 1)]


def test_everybody_has_a_figure_with_an_interval_over_several_splits(runs: list[SeedRun]) -> None:
    found = score_runs(runs, dataset="world", num_draws=60)
    apart = [score_runs([each], dataset="world", num_draws=60) for each in runs]
    for setting, result in found.settings.items():
        for name in ("graphrouter", "best_single", "rasch", "knn"):
            figure = result.routers[name]["deviation_r2"]
            assert figure.low < figure.value < figure.high
            split_values = [
                each.settings[setting].routers[name]["deviation_r2"].value for each in apart
            ]
            assert figure.value == pytest.approx(np.mean(split_values))
        for metric in ("added_deviation_r2", "added_log_loss"):
            figure = result.routers["knn"][metric]
            assert figure.low < figure.value < figure.high
            assert np.isnan(result.routers["graphrouter"][metric].value)
            assert np.isnan(result.routers["frugal_gpt"][metric].value)
            assert np.isnan([each[metric].value for each in result.paired.values()]).all()
            assert result.unmeasured[ORACLE][metric] == result.unmeasured[ORACLE]["log_loss"]
        assert np.isnan(result.routers[ORACLE]["deviation_r2"].value)
        assert np.isfinite(result.paired["knn"]["deviation_r2"]).all()


def test_levels_are_fitted_on_the_queries_that_are_not_evaluated() -> None:
    run, data = split_world()
    split = split_dataset(data, SplitConfig(seed=0))
    outputs = run.evaluation_set
    assert outputs.level is not None

    def level_of(changed: RoutingDataset, ids: tuple[str, ...] | None = None) -> FloatArray | None:
        return EvaluationSet.of(
            changed,
            split.test,
            models=data.pool.names,
            best_single=None,
            cost_scale=outputs.cost_scale,
            level_ids=ids,
        ).level

    def with_effect(queries: tuple[str, ...]) -> RoutingDataset:
        """The data in which every model fails on the given queries."""
        effect = data.outcomes["effect"].where(~data.outcomes["query_id"].isin(queries), 0.0)
        return replace(data, outcomes=data.outcomes.assign(effect=effect))

    np.testing.assert_array_equal(level_of(with_effect(split.test)), outputs.level)
    assert (level_of(with_effect(split.train)) != outputs.level).any()  # type: ignore[operator]
    trained = level_of(data, split.train)
    np.testing.assert_array_equal(level_of(with_effect(split.validation), split.train), trained)
    assert level_of(data, ()) is None
    assert level_of(data, split.test) is None


def test_where_every_query_is_evaluated_the_reason_is_said() -> None:
    _, data = split_world()
    ids = tuple(data.queries["query_id"])
    encoder = create_encoder(EncoderConfig(name="hashing", dimension=64))
    baselines = fit_baselines(data, split=split_dataset(data, SplitConfig()), encoder=encoder)
    run = collect_outputs(
        baselines["knn"],
        data,
        ids,
        baselines={"rasch": baselines["rasch"]},
        cost_scale=CostScale(NAN, NAN),
    )
    result = score_runs([run], dataset="world", num_draws=20).settings["task_known"]
    assert result.unmeasured["graphrouter"]["deviation_r2"] == NO_LEVELS
    assert result.unmeasured["rasch"]["added_deviation_r2"] == NO_LEVELS
    assert np.isfinite(result.routers["rasch"]["added_log_loss"]).all()


@pytest.mark.parametrize("name", ["reasoning_gym", "helm_mmlu"])
def test_real_data(shared_data: Callable[[str], Path], name: str) -> None:
    data = gr.load_dataset(shared_data(name))
    split = split_dataset(data, SplitConfig())
    encoder = create_encoder(EncoderConfig(name="hashing", dimension=64))
    baselines = fit_baselines(data, split=split, encoder=encoder)
    run = collect_outputs(
        baselines["task_mean"],
        data,
        split.test,
        baselines=baselines,
        cost_scale=CostScale.fit(data.outcome_matrix("cost_usd", split.train)),
    )
    result = score_runs([run], dataset=name, num_draws=50).settings["task_known"]
    figures = result.routers
    assert -0.1 < figures["graphrouter"]["deviation_r2"].value < 0.01  # levels, and nothing else
    assert figures["best_single"]["deviation_r2"].value < figures["task_mean"]["deviation_r2"].value
    assert figures["task_mean"]["added_deviation_r2"] == (0, 0, 0)
    assert figures["task_mean"]["added_log_loss"] == (0, 0, 0)
    assert np.isfinite(figures["knn"]["added_deviation_r2"]).all()


def test_results_that_are_older_than_a_metric_are_read_without_it(runs: list[SeedRun]) -> None:
    found = score_runs(runs, dataset="world", num_draws=20)
    plain = json.loads(json.dumps(found.to_json()))
    new = ("deviation_r2", "added_deviation_r2", "added_log_loss")
    for result in plain["settings"].values():
        for figures in (*result["routers"].values(), *result["paired"].values()):
            for metric in new:
                del figures[metric]
    old = Evaluation.from_json(plain)
    for setting, result in found.settings.items():
        read: SettingResult = old.settings[setting]
        for name, figures in result.routers.items():
            assert list(read.routers[name]) == list(figures)
            assert read.routers[name]["log_loss"] == pytest.approx(figures["log_loss"], nan_ok=True)
            assert all(np.isnan(read.routers[name][metric].value) for metric in new)
        assert set(read.unmeasured["knn"]) == set(new)
    table = build_table(old)
    assert not set(table.columns) & {METRICS[metric].title for metric in new}
    assert any("deviation R2" in note and "before it was measured" in note for note in table.notes)
    assert "Something is left" not in table.verdict
