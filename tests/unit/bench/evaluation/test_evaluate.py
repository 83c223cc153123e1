"""A whole evaluation on small data whose figures can be computed by hand, then its invariances."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.bench.baselines import LearningData, fit_baselines
from graphrouter.bench.baselines.methods.means import BestSingle, TaskMean
from graphrouter.bench.evaluation import METRICS, Evaluation, conclude, evaluate
from graphrouter.config import EncoderConfig, SplitConfig
from graphrouter.data import RoutingDataset, load_dataset, split_dataset
from graphrouter.encoders import create_encoder
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.router.protocol import Router
from graphrouter.types import FloatArray, Predictions, Queries

NAN = float("nan")
ENCODER = create_encoder(EncoderConfig(name="hashing", dimension=16))
AGREED = {
    "log_loss",
    "brier",
    "ece",
    "kendall_tau",
    "reward_performance_first",
    "reward_balanced",
    "reward_cost_first",
}
AGREED |= {
    "area_log",
    "aiq",
    "qnc",
    "perf_gain",
    "cost_save",
    "pareto_dist",
    "pgr",
    "apgr",
    "log_rmse_cost",
}
AGREED |= {"gain_at_random", "gain_at_best", "gap_at_oracle", "arena_score"}


@dataclass(frozen=True, eq=False)
class FixedRouter(Router):
    """Predicts what it was given, by prompt."""

    pool: ModelPool
    cost_scale: CostScale
    effect: dict[str, FloatArray]
    cost_usd: dict[str, FloatArray] = field(default_factory=dict)

    def _predict(self, queries: Queries) -> Predictions:
        effect = np.stack([self.effect[prompt] for prompt in queries.prompts])
        unknown = np.full(len(self.pool), NAN)
        return Predictions.from_arrays(
            self.pool.names,
            effect,
            cost_usd=np.stack([self.cost_usd.get(p, unknown) for p in queries.prompts]),
        )


def dataset(
    effect: FloatArray, cost: FloatArray | None = None, *, models: Sequence[str] = ("a", "b")
) -> RoutingDataset:
    """Queries q000, q001, ...; NaN effect = no outcome."""
    rows = [
        (f"q{i:03}", model, effect[i, j], NAN if cost is None else cost[i, j])
        for i in range(len(effect))
        for j, model in enumerate(models)
        if np.isfinite(effect[i, j])
    ]
    return RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": [f"q{i:03}" for i in range(len(effect))],
                "task": "t",
                "prompt": [f"p{i}" for i in range(len(effect))],
            }
        ),
        models=pd.DataFrame({"model": list(models)}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
        name="tiny",
    )


def fixed(data: RoutingDataset, effect: FloatArray, cost: FloatArray | None = None) -> FixedRouter:
    prompts = list(data.queries["prompt"])
    costs = {} if cost is None else dict(zip(prompts, cost, strict=True))
    return FixedRouter(
        data.pool, CostScale(NAN, NAN), dict(zip(prompts, effect, strict=True)), costs
    )


def ids(data: RoutingDataset) -> tuple[str, ...]:
    return tuple(data.queries["query_id"])


def random_case(
    seed: int, *, models: int = 4, queries: int = 30
) -> tuple[RoutingDataset, FixedRouter]:
    rng = np.random.default_rng(seed)
    effect = np.where(
        rng.random((queries, models)) < 0.25,
        NAN,
        rng.integers(0, 2, (queries, models)).astype(float),
    )
    effect[:, 0] = rng.integers(0, 2, queries)
    data = dataset(
        effect, rng.uniform(0.01, 1, (queries, models)), models=[f"m{j}" for j in range(models)]
    )
    return data, fixed(
        data, rng.uniform(0.05, 0.95, (queries, models)), rng.uniform(0.01, 1, (queries, models))
    )


def run(
    data: RoutingDataset,
    router: Router,
    *,
    num_draws: int = 20,
    query_ids: Sequence[str] | None = None,
    **others: Router,
) -> Evaluation:
    scale = CostScale.fit(data.outcome_matrix("cost_usd"))
    return evaluate(
        router,
        data,
        query_ids or ids(data),
        baselines=others,
        cost_scale=scale,
        num_draws=num_draws,
    )


def test_figures_by_hand() -> None:
    effect = np.array([[1.0, 1.0], [0.0, 1.0], [NAN, 0.0]])
    data = dataset(effect, np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]))
    router = fixed(
        data,
        np.array([[0.9, 0.8], [0.4, 0.6], [0.9, 0.2]]),
        np.array([[0.1, 1.0], [0.1, 1.0], [0.1, 1.0]]),
    )
    found = evaluate(
        router, data, ids(data), baselines={}, cost_scale=CostScale(0.0, 1.0), num_draws=10
    )
    figures = found.settings["task_known"].routers["graphrouter"]
    losses = [-math.log(0.9), -math.log(0.8), -math.log(0.6), -math.log(0.6), -math.log(0.8)]
    assert figures["log_loss"].value == pytest.approx(np.mean(losses))
    assert figures["brier"].value == pytest.approx((0.01 + 0.04 + 0.16 + 0.16 + 0.04) / 5)
    # Choices by effect: a, b, and b because a was not observed on the third: effects 1, 1, 0.
    assert figures["reward_performance_first"].value == pytest.approx(2 / 3)
    # Balanced: 0.45 - 0.05 > 0.4 - 0.5 takes a twice, then b: (0.5 + 0 - 0.5) / 3.
    assert figures["reward_balanced"].value == pytest.approx(0.0)
    assert figures["reward_cost_first"].value == pytest.approx((0.2 + 0.0 - 0.8) / 3)
    assert math.isnan(figures["area_log"].value)
    assert (
        found.settings["task_known"].unmeasured["graphrouter"]["area_log"]
        == "needs the baseline best_single"
    )
    assert (
        found.coverage.num_pairs,
        found.coverage.num_costed_pairs,
        found.coverage.num_costed_queries,
    ) == (5, 5, 3)
    oracle = found.settings["task_known"].routers["oracle"]
    assert math.isnan(oracle["log_loss"].value)
    assert oracle["reward_performance_first"].value == pytest.approx(2 / 3)


def test_frontier_by_hand() -> None:
    """Cheap `a` solves half of the queries, dear `b` all; a router that knows which needs 0.505 USD
    for everything."""
    effect = np.array([[1.0, 1.0], [0.0, 1.0]] * 10)
    cost = np.tile([0.01, 1.0], (20, 1))
    data = dataset(effect, cost)
    knowing = fixed(data, np.clip(effect, 0.1, 0.9), cost)
    found = run(
        data,
        knowing,
        best_single=BestSingle.learn(LearningData.of(data, ids(data), encoder=ENCODER)),
        num_draws=200,
    )
    figures = found.settings["task_known"].routers
    assert figures["graphrouter"]["cost_save"].value == pytest.approx(1 - 0.505)
    assert figures["graphrouter"]["perf_gain"].value == pytest.approx(0.0)
    assert figures["best_single"]["cost_save"].value == pytest.approx(0.0)
    low, knee, high = 0.01, 0.505, 1.5
    slope = 0.5 / (knee - low)
    area = (0.5 - slope * low) * math.log(knee / low) + slope * (knee - low) + math.log(high / knee)
    assert figures["graphrouter"]["area_log"].value == pytest.approx(area / math.log(high / low))
    difference = found.settings["task_known"].paired["best_single"]["area_log"]
    assert difference.value == pytest.approx(
        figures["graphrouter"]["area_log"].value - figures["best_single"]["area_log"].value
    )
    assert difference.low > 0


def test_json_has_exactly_the_agreed_form() -> None:
    data, router = random_case(0)
    found = run(
        data,
        router,
        best_single=BestSingle.learn(LearningData.of(data, ids(data), encoder=ENCODER)),
    )
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(plain) == {
        "dataset",
        "num_queries",
        "num_models",
        "seeds",
        "coverage",
        "settings",
    }
    assert (plain["dataset"], plain["num_queries"], plain["num_models"], plain["seeds"]) == (
        "tiny",
        30,
        4,
        [0],
    )
    assert set(plain["settings"]) == {"task_known", "task_hidden"}
    for result in plain["settings"].values():
        assert set(result) == {"routers", "paired"}
        assert set(result["routers"]) == {"graphrouter", "best_single", "oracle"}
        assert set(result["paired"]) == {"best_single", "oracle"}
        for figures in result["routers"].values():
            assert tuple(figures) == tuple(METRICS)
            assert all(set(figure) == {"value", "low", "high"} for figure in figures.values())
        for figures in result["paired"].values():
            assert tuple(figures) == tuple(METRICS)
            assert all(set(figure) == {"diff", "low", "high"} for figure in figures.values())
    assert plain["settings"]["task_known"]["routers"]["graphrouter"]["log_rmse_latency"] == {
        "value": None,
        "low": None,
        "high": None,
    }
    assert plain["coverage"]["num_comparable_queries"] > 0
    assert Evaluation.from_json(plain).coverage == found.coverage
    assert set(METRICS) >= AGREED
    again = Evaluation.from_json(plain)
    assert again.to_json() == plain
    assert again.router == "graphrouter"


def test_without_costs_only_performance_is_rewarded() -> None:
    rng = np.random.default_rng(0)
    data = dataset(rng.integers(0, 2, (20, 2)).astype(float))
    found = run(
        data,
        fixed(data, rng.random((20, 2))),
        best_single=BestSingle.learn(LearningData.of(data, ids(data), encoder=ENCODER)),
    )
    result = found.settings["task_hidden"]
    figures = result.routers["graphrouter"]
    assert math.isfinite(figures["reward_performance_first"].value)
    for metric in ("reward_balanced", "reward_cost_first", "area_log", "perf_gain", "cost_save"):
        assert math.isnan(figures[metric].value)
        assert result.unmeasured["graphrouter"][metric] == "no training outcome has a cost"
    assert result.unmeasured["graphrouter"]["log_rmse_cost"] == "no cost_usd was observed"


def test_a_paired_difference_uses_the_pairs_that_both_predict() -> None:
    effect = np.array([[1.0, 1.0], [0.0, 0.0]])
    data = dataset(effect, np.array([[1.0, 1.0], [1.0, 1.0]]))
    full = fixed(data, np.full((2, 2), 0.5), np.array([[2.0, 8.0], [2.0, 8.0]]))
    half = fixed(data, np.full((2, 2), 0.5), np.array([[4.0, NAN], [4.0, NAN]]))
    result = run(data, full, half=half).settings["task_known"]
    assert result.routers["graphrouter"]["log_rmse_cost"].value == pytest.approx(
        math.sqrt((math.log(2) ** 2 + math.log(8) ** 2) / 2)
    )
    assert result.paired["half"]["log_rmse_cost"].value == pytest.approx(math.log(2) - math.log(4))


def test_the_task_is_hidden_from_all_in_one_setting() -> None:
    effect = np.array([[1.0, 0.0]] * 10 + [[0.0, 1.0]] * 10)
    data = dataset(effect)
    queries = data.queries.assign(task=["left"] * 10 + ["right"] * 10)
    data = RoutingDataset.from_frames(queries=queries, models=data.models, outcomes=data.outcomes)
    router = TaskMean.learn(LearningData.of(data, ids(data), encoder=ENCODER))
    found = evaluate(
        router, data, ids(data), baselines={}, cost_scale=router.cost_scale, num_draws=5
    )
    known, hidden = (
        found.settings[s].routers["graphrouter"]["reward_performance_first"].value
        for s in ("task_known", "task_hidden")
    )
    assert (known, hidden) == (1.0, 0.5)
    only = evaluate(
        router,
        data,
        ids(data),
        baselines={},
        cost_scale=router.cost_scale,
        num_draws=5,
        task_known=False,
    )
    assert list(only.settings) == ["task_hidden"]


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_the_oracle_is_never_beaten_in_reward(seed: int) -> None:
    data, router = random_case(seed)
    single = BestSingle.learn(LearningData.of(data, ids(data), encoder=ENCODER))
    result = run(data, router, best_single=single, num_draws=0).settings["task_known"]
    for metric in ("reward_performance_first", "reward_balanced", "reward_cost_first"):
        for other in ("graphrouter", "best_single"):
            assert (
                result.routers["oracle"][metric].value
                >= result.routers[other][metric].value - 1e-12
            )


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_permuting_models_or_queries_changes_nothing(seed: int) -> None:
    data, router = random_case(seed)
    rng = np.random.default_rng(seed)
    models, order = (
        list(rng.permutation(list(data.pool.names))),
        list(rng.permutation(list(ids(data)))),
    )
    shuffled = data.select_models([str(m) for m in models]).select_queries([str(q) for q in order])
    columns = [data.pool.index[str(model)] for model in models]
    same = FixedRouter(
        shuffled.pool,
        router.cost_scale,
        {p: e[columns] for p, e in router.effect.items()},
        {p: c[columns] for p, c in router.cost_usd.items()},
    )
    first = run(
        data,
        router,
        best_single=BestSingle.learn(LearningData.of(data, ids(data), encoder=ENCODER)),
        query_ids=ids(data),
    )
    for other_data, other_router in ((shuffled, same), (shuffled, router), (data, same)):
        second = run(
            other_data,
            other_router,
            best_single=BestSingle.learn(LearningData.of(other_data, order, encoder=ENCODER)),
            query_ids=order,
        )
        _assert_same_figures(first, second)


def _assert_same_figures(first: Evaluation, second: Evaluation) -> None:
    for setting, result in first.settings.items():
        for router, figures in result.routers.items():
            for metric, interval in figures.items():
                other = second.settings[setting].routers[router][metric]
                np.testing.assert_allclose(
                    other, interval, atol=1e-9, err_msg=f"{setting} {router} {metric}"
                )


def test_a_router_that_predicts_some_models_only_is_compared_on_those_but_has_no_figure() -> None:
    data, router = random_case(0)
    narrow = fixed(
        data, np.stack(list(router.effect.values())), np.stack(list(router.cost_usd.values()))
    )
    for effect in narrow.effect.values():
        effect[2:] = NAN
    result = run(data, router, narrow=narrow).settings["task_known"]
    assert math.isnan(result.routers["narrow"]["log_loss"].value)
    assert "some models only" in result.unmeasured["narrow"]["log_loss"]
    assert result.paired["narrow"]["log_loss"].value == pytest.approx(
        0.0, abs=1e-9
    )  # where both predict, both say the same
    assert math.isfinite(result.routers["narrow"]["reward_balanced"].value)


def test_a_handful_of_queries_gives_no_interval() -> None:
    for queries, is_enough in ((9, False), (10, True)):
        data, router = random_case(0, queries=queries)
        result = run(
            data,
            router,
            best_single=BestSingle.learn(LearningData.of(data, ids(data), encoder=ENCODER)),
        )
        difference = result.settings["task_known"].paired["best_single"]["log_loss"]
        assert math.isfinite(difference.value)
        assert math.isfinite(difference.low) == is_enough


def test_only_shared_models_are_evaluated() -> None:
    data, router = random_case(0)
    narrow = data.select_models(["m0", "m2"])
    found = run(narrow, router)
    assert found.num_models == 2
    other = dataset(np.ones((2, 2)), models=["x", "y"])
    with pytest.raises(DataError, match="Expected shared models"):
        run(other, router)


def test_bad_input() -> None:
    data, router = random_case(0)
    with pytest.raises(DataError, match="distinct names"):
        run(data, router, oracle=router)
    with pytest.raises(DataError, match="distinct names"):
        run(data, router, graphrouter=router)
    narrow = BestSingle.learn(
        LearningData.of(data.select_models(["m0", "m1"]), ids(data), encoder=ENCODER)
    )
    with pytest.raises(DataError, match="best_single does not predict 'm2'"):
        run(data, router, best_single=narrow)
    empty = dataset(np.array([[1.0, 1.0], [NAN, NAN]]))
    with pytest.raises(DataError, match="has an outcome"):
        run(empty, fixed(empty, np.full((2, 2), 0.5)), query_ids=["q001"])


def test_references_by_name() -> None:
    rng = np.random.default_rng(0)
    data = dataset(rng.integers(0, 2, (60, 2)).astype(float), rng.random((60, 2)))
    split, encoder = (
        split_dataset(data, SplitConfig()),
        create_encoder(EncoderConfig(name="hashing", dimension=16)),
    )
    assert list(fit_baselines(data, split=split, encoder=encoder)) == [
        "best_single",
        "task_mean",
        "rasch",
        "knn",
    ]
    assert list(fit_baselines(data, ["knn"], split=split, encoder=encoder)) == [
        "best_single",
        "task_mean",
        "knn",
    ]
    with pytest.raises(ConfigError, match="Unknown baseline 'oracle'"):
        fit_baselines(data, ["oracle"], split=split, encoder=encoder)


@pytest.mark.parametrize("name", ["bfcl_v1", "llmrouter_default"])
def test_real_data(shared_data: Callable[[str], Path], name: str) -> None:
    data = load_dataset(shared_data(name))
    split, encoder = (
        split_dataset(data, SplitConfig()),
        create_encoder(EncoderConfig(name="hashing", dimension=64)),
    )
    baselines = fit_baselines(data, split=split, encoder=encoder)
    scale = CostScale.fit(data.outcome_matrix("cost_usd", split.train))
    found = evaluate(
        baselines["task_mean"],
        data,
        split.test,
        baselines=baselines,
        cost_scale=scale,
        num_draws=100,
        name="again",
    )
    result = found.settings["task_known"]
    assert (
        result.routers["task_mean"]["log_loss"].value
        < result.routers["best_single"]["log_loss"].value
    )
    assert result.paired["best_single"]["log_loss"].high < 0
    assert result.paired["task_mean"]["log_loss"].value == 0
    assert math.isfinite(result.routers["again"]["area_log"].value) == scale.is_known
    assert (
        result.routers["oracle"]["reward_performance_first"].value
        > result.routers["knn"]["reward_performance_first"].value
    )


def one_answer_a_query(data: RoutingDataset) -> RoutingDataset:
    """The data with the first outcome of each query alone."""
    return RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models,
        outcomes=data.outcomes.drop_duplicates("query_id"),
        tasks=data.tasks,
        name=data.name,
    )


def test_where_every_query_has_one_answer_choices_are_not_measured() -> None:
    data, router = random_case(0)
    data = one_answer_a_query(data)
    learned = LearningData.of(data, ids(data), encoder=ENCODER)
    found = run(data, router, best_single=BestSingle.learn(learned))
    assert found.coverage.num_comparable_queries == 0
    for result in found.settings.values():
        for name, figures in result.routers.items():
            for metric, figure in figures.items():
                if METRICS[metric].group == "routing":
                    assert math.isnan(figure.value), (name, metric)
        assert "every choice earns the same" in result.unmeasured["graphrouter"]["gap_at_oracle"]
        assert math.isfinite(result.paired["best_single"]["log_loss"].value)
    verdict = conclude(found)
    assert (verdict.kind, verdict.recommended) == ("open", None)
    assert verdict.sentence.startswith("Choices cannot be compared: 0 of ")
    assert "predicts" in verdict.details[0]


def test_routers_that_say_the_same_are_found() -> None:
    data, router = random_case(0)
    learned = LearningData.of(data, ids(data), encoder=ENCODER)
    single, mean = BestSingle.learn(learned), TaskMean.learn(learned)
    found = run(data, router, best_single=single, task_mean=mean, twin=mean, other=single)
    assert found.settings["task_known"].same_as == {"twin": "task_mean", "other": "best_single"}
