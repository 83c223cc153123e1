"""Flips of routers whose choices can be worked out by hand, then of fitted ones, then
invariances."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.means import BestSingle, TaskMean
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.bench.evaluation.perturbations import PERTURBATIONS, Perturbation
from graphrouter.bench.evaluation.robustness import (
    ChoiceShift,
    RobustnessReport,
    find_easy_queries,
    measure_robustness,
)
from graphrouter.bench.simulate.simulation import simulate
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.protocol import Router
from graphrouter.types import FloatArray, Predictions, Queries

NAN = float("nan")
POOL = ModelPool((ModelCard(model="cheap"), ModelCard(model="dear")))
SCALE = CostScale(0.0, 3.0)
FIGURES = (
    "flip_share",
    "dearer_share",
    "effect_change",
    "cost_ratio",
    "mean_cost_usd_before",
    "mean_cost_usd_after",
)
LONGER = Perturbation(
    "longer", "ten characters more", "neutral", lambda prompt, rng: prompt + "x" * 10
)
SHORTER = Perturbation(
    "shorter", "one half", "neutral", lambda prompt, rng: prompt[: len(prompt) // 2]
)
SHOUT = Perturbation(
    "shout", "twenty characters more", "adversarial", lambda prompt, rng: prompt + "!" * 20
)
NOTHING = Perturbation("nothing", "as it is", "neutral", lambda prompt, rng: prompt)


@dataclass(frozen=True, eq=False)
class LengthRouter(Router):
    """Expects `cheap` to fail from 20 characters on; the models cost 1 and 3 cents a character."""

    pool: ModelPool = POOL
    cost_scale: CostScale = SCALE
    has_costs: bool = True
    calls: list[int] = field(default_factory=list)

    def _predict(self, queries: Queries) -> Predictions:
        self.calls.append(len(queries))
        length = np.array([float(len(prompt)) for prompt in queries.prompts])
        cheap = np.where(length < 20, 0.95, 0.0) + length / 10_000
        effect = np.column_stack([cheap, np.full(len(queries), 0.9)])
        if not self.has_costs:
            return Predictions.from_arrays(self.models, effect)
        return Predictions.from_arrays(self.models, effect, cost_usd=np.outer(length, [0.01, 0.03]))


@pytest.fixture(scope="module")
def learning() -> LearningData:
    data = simulate(num_queries=150, num_models=4, seed=1).data
    ids = data.queries["query_id"].tolist()
    return LearningData.of(data, ids[:100], encoder=HashingEncoder(64), validation_ids=ids[100:])


@pytest.fixture(scope="module")
def prompts(learning: LearningData) -> list[str]:
    assert learning.validation is not None
    return list(learning.validation.prompts)


def of_length(*lengths: int) -> list[str]:
    return ["a" * length for length in lengths]


def values(shift: ChoiceShift | None) -> list[float]:
    assert shift is not None
    return [shift.num_changed, *(getattr(shift, name).value for name in FIGURES)]


EFFECT_ALONE = Policy.preset("performance_first")


def test_every_figure_by_hand() -> None:
    report = measure_robustness(
        LengthRouter(),
        of_length(0, 5, 15, 25),
        policy=EFFECT_ALONE,
        perturbations=[LONGER],
        num_draws=50,
    )
    # The blank prompt stays. 5 -> 15 stays cheap, 15 -> 25 goes to dear, 25 -> 35 was dear before.
    shift = report.results["longer"].all
    assert shift.num_changed == 3
    assert shift.flip_share.value == pytest.approx(1 / 3)
    assert shift.dearer_share.value == pytest.approx(1 / 3)
    # Expected effect of the first choice: 5 -> 15: +0.001, 15 -> 25: 0.9515 -> 0.0025, dear: no
    # change.
    assert shift.effect_change.value == pytest.approx((0.001 + 0.949) / 3)
    before, after = 0.05 + 0.15 + 0.75, 0.15 + 0.75 + 1.05
    assert shift.mean_cost_usd_before.value == pytest.approx(before / 3)
    assert shift.mean_cost_usd_after.value == pytest.approx(after / 3)
    assert shift.cost_ratio.value == pytest.approx(after / before)
    assert report.score.value == pytest.approx(2 / 3)
    assert shift.flip_share.low < shift.flip_share.value < shift.flip_share.high


def test_flip_to_a_cheaper_model_is_not_dearer() -> None:
    report = measure_robustness(
        LengthRouter(), of_length(30, 50), policy=EFFECT_ALONE, perturbations=[SHORTER]
    )
    shift = report.results["shorter"].all
    assert (shift.flip_share.value, shift.dearer_share.value) == (0.5, 0.0)
    assert shift.cost_ratio.value == pytest.approx((0.15 + 0.75) / (0.9 + 1.5))


def test_score_pools_the_neutral_ones_and_leaves_out_the_additions() -> None:
    lengths = of_length(12, 30, 4)
    report = measure_robustness(
        LengthRouter(),
        lengths,
        policy=EFFECT_ALONE,
        perturbations=[LONGER, SHOUT, SHORTER, NOTHING],
        num_draws=30,
    )
    flips = {name: result.all.flip_share.value for name, result in report.results.items()}
    assert flips["longer"] == flips["shorter"] == pytest.approx(1 / 3)
    assert flips["shout"] == pytest.approx(2 / 3)
    assert report.score.value == pytest.approx(1 - 2 / 6)


def test_perturbation_that_changes_nothing_has_no_figures() -> None:
    report = measure_robustness(
        LengthRouter(), of_length(5, 30), policy=EFFECT_ALONE, perturbations=[NOTHING], num_draws=30
    )
    assert values(report.results["nothing"].all)[0] == 0
    assert np.isnan(values(report.results["nothing"].all)[1:]).all()
    assert math.isnan(report.score.value)


def test_easy_prompts_alone_count_for_additions() -> None:
    lengths, easy = of_length(3, 30, 7, 1), np.array([True, True, False, False])
    router = LengthRouter()
    report = measure_robustness(
        router, lengths, policy=EFFECT_ALONE, is_easy=easy, perturbations=[LONGER, SHOUT]
    )
    assert report.num_easy == 2
    assert report.results["longer"].easy is None
    alone = (
        measure_robustness(router, lengths[:2], policy=EFFECT_ALONE, perturbations=[SHOUT])
        .results["shout"]
        .all
    )
    np.testing.assert_allclose(values(report.results["shout"].easy), values(alone))
    assert alone.dearer_share.value == 0.5
    assert report.results["shout"].all.dearer_share.value == 0.75


def test_no_easy_prompt_gives_undefined_figures() -> None:
    report = measure_robustness(
        LengthRouter(), of_length(3), is_easy=np.array([False]), perturbations=[SHOUT], num_draws=5
    )
    assert report.num_easy == 0
    assert np.isnan(values(report.results["shout"].easy)[1:]).all()


def test_without_costs_the_choice_goes_by_effect_alone() -> None:
    router = LengthRouter(cost_scale=CostScale(NAN, NAN), has_costs=False)
    shift = (
        measure_robustness(router, of_length(5, 15, 25), perturbations=[LONGER])
        .results["longer"]
        .all
    )
    assert shift.flip_share.value == pytest.approx(1 / 3)
    assert np.isnan(
        [
            getattr(shift, name).value
            for name in FIGURES
            if name not in ("flip_share", "effect_change")
        ]
    ).all()


def test_router_is_asked_once_for_each_perturbation() -> None:
    router = LengthRouter()
    measure_robustness(router, of_length(5, 15, 25), num_draws=5)
    assert router.calls == [3] * (1 + len(PERTURBATIONS))


@pytest.mark.parametrize("baseline", [BestSingle, TaskMean])
def test_router_that_does_not_read_the_prompt_never_flips(
    baseline: type[BestSingle] | type[TaskMean], learning: LearningData, prompts: list[str]
) -> None:
    assert learning.validation is not None
    report = measure_robustness(
        baseline.learn(learning), prompts, tasks=learning.validation.tasks, num_draws=20
    )
    assert report.score == (1.0, 1.0, 1.0)
    for result in report.results.values():
        shift = result.all
        assert shift.flip_share == shift.dearer_share == shift.effect_change == (0.0, 0.0, 0.0)
        # Two columns of one product of matrices, which may round each its own way.
        assert shift.cost_ratio == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)


def test_tasks_reach_the_router(learning: LearningData, prompts: list[str]) -> None:
    assert learning.validation is not None
    router = TaskMean.learn(learning)
    costs = [
        measure_robustness(router, prompts, tasks=tasks, num_draws=0)
        .results["tabs"]
        .all.mean_cost_usd_before.value
        for tasks in (learning.validation.tasks, None)
    ]
    assert costs[0] != costs[1]


def test_choices_are_those_of_route_batch(learning: LearningData, prompts: list[str]) -> None:
    router, policy = NearestNeighbours.learn(learning), Policy(cost_weight=0.2)
    report = measure_robustness(router, prompts, policy=policy, num_draws=0, seed=3)
    first = [decision.model for decision in router.route_batch(prompts, policy=policy)]
    flips = 0
    for name, result in report.results.items():
        texts = [PERTURBATIONS[name].apply(prompt, seed=3) for prompt in prompts]
        changed = [new != old for new, old in zip(texts, prompts, strict=True)]
        after = [decision.model for decision in router.route_batch(texts, policy=policy)]
        flipped = [
            old != new for old, new, counts in zip(first, after, changed, strict=True) if counts
        ]
        flips += sum(flipped)
        assert result.all.num_changed == sum(changed)
        if flipped:
            assert result.all.flip_share.value == pytest.approx(np.mean(flipped))
    assert flips > 0


def test_same_seed_same_report_other_seed_another(
    learning: LearningData, prompts: list[str]
) -> None:
    router = NearestNeighbours.learn(learning)
    one, same, other = (
        measure_robustness(router, prompts, num_draws=20, seed=seed).to_json() for seed in (0, 0, 1)
    )
    assert json.dumps(one) == json.dumps(same)
    assert (
        one["perturbations"]["typos"]["all"]["effect_change"]
        != other["perturbations"]["typos"]["all"]["effect_change"]
    )


@settings(max_examples=25)
@given(st.lists(st.tuples(st.text(max_size=40), st.booleans()), min_size=1, max_size=8), st.data())
def test_order_of_the_prompts_does_not_matter(
    rows: list[tuple[str, bool]], data: st.DataObject
) -> None:
    mixed = data.draw(st.permutations(rows))
    reports = [
        measure_robustness(
            LengthRouter(),
            [p for p, _ in case],
            is_easy=np.array([e for _, e in case]),
            num_draws=10,
        )
        for case in (rows, mixed)
    ]
    for name, result in reports[0].results.items():
        other = reports[1].results[name]
        np.testing.assert_allclose(values(result.all), values(other.all))
        np.testing.assert_allclose(result.all.flip_share, other.all.flip_share)
        if result.kind == "adversarial":
            np.testing.assert_allclose(values(result.easy), values(other.easy))
    np.testing.assert_allclose(reports[0].score, reports[1].score)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_shares_are_shares(lengths: list[int]) -> None:
    report = measure_robustness(LengthRouter(), of_length(*lengths), num_draws=10)
    for result in report.results.values():
        shift = result.all
        assert shift.num_changed <= len(lengths)
        if shift.num_changed:
            assert 0 <= shift.dearer_share.value <= shift.flip_share.value <= 1
            assert shift.cost_ratio.value > 0


def test_json_has_one_shape_and_no_nan() -> None:
    router = LengthRouter(cost_scale=CostScale(NAN, NAN), has_costs=False)
    report = measure_robustness(
        router, of_length(5, 15), is_easy=np.array([True, False]), num_draws=10, seed=4
    )
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (found["num_queries"], found["num_easy"], found["seed"], found["num_draws"]) == (
        2,
        1,
        4,
        10,
    )
    assert found["policy"]["cost_weight"] == 0
    assert set(found["score"]) == {"value", "low", "high"}
    assert list(found["perturbations"]) == list(PERTURBATIONS)
    for name, item in found["perturbations"].items():
        assert (item["title"], item["kind"]) == (
            PERTURBATIONS[name].title,
            PERTURBATIONS[name].kind,
        )
        assert set(item["all"]) == {"num_changed", *FIGURES}
        assert (item["easy"] is None) == (item["kind"] == "neutral")
        assert item["all"]["cost_ratio"] == {"value": None, "low": None, "high": None}


def test_report_is_frozen() -> None:
    report = measure_robustness(LengthRouter(), of_length(5), num_draws=0)
    assert isinstance(report, RobustnessReport)
    with pytest.raises(AttributeError):
        report.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("policy", "setting"),
    [
        (Policy(min_effect=0.5), "min_effect"),
        (Policy(max_cost_usd=1.0), "max_cost_usd"),
        (Policy(allowed=("cheap",)), "allowed"),
        (Policy(fallback="cheap"), "fallback"),
    ],
)
def test_limits_are_refused(policy: Policy, setting: str) -> None:
    with pytest.raises(PolicyError, match=f"sets {setting}; .* all models in the running"):
        measure_robustness(LengthRouter(), of_length(5), policy=policy)


def test_value_of_an_effect_is_a_policy_too() -> None:
    generous, mean = (
        measure_robustness(
            LengthRouter(), of_length(15), policy=Policy(usd_per_effect=usd), perturbations=[LONGER]
        )
        for usd in (100.0, 0.01)
    )
    assert generous.results["longer"].all.flip_share.value == 1.0
    assert mean.results["longer"].all.flip_share.value == 0.0
    assert mean.policy["usd_per_effect"] == 0.01


def test_weight_on_costs_that_nobody_predicts_is_refused() -> None:
    router = LengthRouter(has_costs=False)
    with pytest.raises(
        PolicyError, match=r"for no model, first of prompts\[0\].*performance_first"
    ):
        measure_robustness(router, of_length(5), policy=Policy(cost_weight=0.5))


def test_bad_input_is_refused() -> None:
    router = LengthRouter()
    with pytest.raises(DataError, match="no prompt"):
        measure_robustness(router, [])
    with pytest.raises(DataError, match="single string"):
        measure_robustness(router, "prompt")
    with pytest.raises(DataError, match="2 entries for 1 prompt"):
        measure_robustness(router, ["a"], tasks=["t", "t"])
    with pytest.raises(DataError, match=r"is_easy has shape \(2,\) and type bool; expected \(1,\)"):
        measure_robustness(router, ["a"], is_easy=np.array([True, False]))
    with pytest.raises(DataError, match="type float64"):
        measure_robustness(router, ["a"], is_easy=np.array([1.0]))


def test_easy_is_what_the_cheapest_model_solved() -> None:
    effect = np.array([[1.0, 0.4, NAN], [1.0, 0.5, 0.0], [0.0, NAN, 1.0], [NAN, 1.0, 1.0]])
    cost = np.array([[0.3, 0.2, NAN], [0.1, 0.1, NAN], [0.5, NAN, NAN], [NAN, 0.1, NAN]])
    # Mean costs: 0.3, 0.133, unknown: the second model. It solved queries 1 and 3 and was not run
    # on 2.
    assert find_easy_queries(effect, cost).tolist() == [False, True, False, True]


def test_nothing_is_known_to_be_easy_without_costs() -> None:
    assert find_easy_queries(np.ones((3, 2)), np.full((3, 2), NAN)).tolist() == [False] * 3


@pytest.mark.parametrize("cost", [np.ones((2, 2)), np.ones(3)])
def test_easy_refuses_other_shapes(cost: FloatArray) -> None:
    with pytest.raises(DataError, match="for both"):
        find_easy_queries(np.ones((3, 2)), cost)


def test_interval_is_that_of_a_share_of_independent_queries() -> None:
    prompts = [f"{i:05}" for i in range(150)] + [f"{i:015}" for i in range(50)]  # a quarter flips
    share = (
        measure_robustness(LengthRouter(), prompts, policy=EFFECT_ALONE, perturbations=[LONGER])
        .results["longer"]
        .all.flip_share
    )
    deviation = math.sqrt(0.25 * 0.75 / 200)
    assert share.value == 0.25
    assert share.low == pytest.approx(0.25 - 1.96 * deviation, abs=0.01)
    assert share.high == pytest.approx(0.25 + 1.96 * deviation, abs=0.01)


def test_undefined_costs_of_one_model_leave_the_others_compared() -> None:
    @dataclass(frozen=True, eq=False)
    class HalfPriced(LengthRouter):
        def _predict(self, queries: Queries) -> Predictions:
            found = super()._predict(queries)
            return replace(found, cost_usd=found.cost_usd * [1.0, NAN])

    shift = (
        measure_robustness(
            HalfPriced(), of_length(5, 15), policy=EFFECT_ALONE, perturbations=[LONGER]
        )
        .results["longer"]
        .all
    )
    assert shift.flip_share.value == 0.5
    assert shift.dearer_share.value == 0.0  # 15 went to a model of unknown cost: it is left out
    assert shift.cost_ratio.value == pytest.approx(3.0)
