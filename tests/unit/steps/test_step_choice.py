"""Models for the steps of a plan: the worth, the best choice, its bound, and settled steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from graphrouter.batch_records import BatchLimits
from graphrouter.batch_routing import assign_batch
from graphrouter.exceptions import DataError, PolicyError, UnknownModelError
from graphrouter.grades import Grade
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.selection import PolicyContext
from graphrouter.steps import Step, StepPlan, StepRouting, assign_steps, step_search
from graphrouter.steps.step_worth import PlanWorth
from graphrouter.types import FloatArray, Predictions

NAMES = ("nano", "mid", "grand", "huge")
CONTEXT = PolicyContext(ModelPool.of(ModelCard(model=name) for name in NAMES), CostScale(0, 0.1))


def draw_plan(kind: str, seed: int, num_steps: int = 5) -> StepPlan:
    random = np.random.default_rng(seed)
    steps = []
    for i in range(num_steps):
        after: Sequence[int] = {"chain": [i - 1] * (i > 0), "free": []}.get(
            kind, [j for j in range(i) if random.random() < 0.4]
        )
        weight = float(random.random()) if kind == "weighted" else None
        steps.append(Step(None, "x", name=str(i), after=tuple(map(str, after)), weight=weight))
    return StepPlan.of(steps)


def draw_predictions(seed: int, num_steps: int = 5) -> Predictions:
    random = np.random.default_rng([seed, 1])
    effect = 0.05 + 0.9 * np.sort(random.random((num_steps, len(NAMES))), axis=1)
    cost = 0.001 + 0.1 * np.sort(random.random((num_steps, len(NAMES))) ** 2, axis=1)
    return Predictions.from_arrays(NAMES, effect, cost_usd=cost, latency_s=20 * cost)


def route(
    plan: StepPlan, expected: Predictions, tolerance: float = 0.0, **limits: Any
) -> StepRouting:
    return assign_steps(
        plan, expected, Policy(), CONTEXT, BatchLimits(**limits), tolerance=tolerance
    )


def draw_budget(expected: Predictions, seed: int) -> float:
    low, high = expected.cost_usd.min(axis=1).sum(), expected.cost_usd.max(axis=1).sum()
    return float(low + (high - low) * np.random.default_rng([seed, 2]).uniform(0.1, 0.7))


def find_best(worth: PlanWorth, effect: FloatArray, cost: FloatArray, budget: float) -> float:
    rows = range(len(effect))
    ways = itertools.product(range(effect.shape[1]), repeat=len(effect))
    return max(worth.total(effect[rows, way]) for way in ways if cost[rows, way].sum() <= budget)


class TestWorth:
    def test_a_shared_step_counts_once(self) -> None:
        plan = StepPlan.of(
            [Step(None, "x", name="a")]
            + [Step(None, "x", name=name, after=("a",)) for name in "bc"]
            + [Step(None, "x", name="d", after=("b", "c"))]
        )
        worth = PlanWorth(plan.before, plan.weight)
        assert worth.total(np.array([0.5, 0.6, 0.7, 0.8])) == pytest.approx(0.5 * 0.6 * 0.7 * 0.8)

    def test_it_is_the_chance_in_a_simulated_world(self) -> None:
        """Steps that succeed at random, and errors that are mended at random."""
        plan, tolerance = draw_plan("dag", seed=3), 0.3
        chance = np.random.default_rng(0).uniform(0.3, 0.9, len(plan))
        random = np.random.default_rng(1)
        succeeds = random.random((200_000, len(plan))) < chance
        usable = succeeds | (random.random(succeeds.shape) < tolerance)
        right = succeeds & ~(plan.before[None] & ~usable[:, None]).any(axis=2)
        found = PlanWorth(plan.before, plan.weight, tolerance).right(chance)
        assert found == pytest.approx(right.mean(axis=0), abs=0.005)

    def test_slopes_and_shares_are_derivatives(self) -> None:
        plan = draw_plan("weighted", seed=1)
        worth = PlanWorth(plan.before, plan.weight, 0.2)
        chance = np.random.default_rng(0).uniform(0.2, 0.9, len(plan))
        step = 1e-6 * np.eye(len(plan))
        slopes = [(worth.total(chance + d) - worth.total(chance - d)) / 2e-6 for d in step]
        assert worth.slopes(chance) == pytest.approx(np.array(slopes), rel=1e-6)
        plain = PlanWorth(plan.before, plan.weight)
        shares = plain.shares(chance)
        assert shares.own + shares.through == pytest.approx(
            plain.slopes(chance) * chance / plain.total(chance)
        )

    def test_what_is_surely_wrong_spoils_all_behind_it(self) -> None:
        plan = draw_plan("chain", seed=0, num_steps=3)
        chance = np.array([0.5, 0.0, 0.9])
        assert PlanWorth(plan.before, plan.weight).right(chance).tolist() == [0.5, 0.0, 0.0]
        assert PlanWorth(plan.before, plan.weight, 0.5).right(chance)[2] > 0


@pytest.mark.parametrize("kind", ["chain", "free", "dag", "weighted"])
@pytest.mark.parametrize("searched", [True, False])
def test_the_choice_is_the_best_there_is(
    kind: str, searched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the search of all choices: nearly always, and never above the bound."""
    if not searched:
        monkeypatch.setattr(step_search, "_MOST_WAYS", 0)
    lost = []
    for seed in range(8):
        plan, expected = draw_plan(kind, seed), draw_predictions(seed)
        tolerance, budget = (0.0, 0.3)[seed % 2], draw_budget(expected, seed)
        found = route(plan, expected, tolerance, budget_usd=budget)
        worth = PlanWorth(plan.before, plan.weight, tolerance)
        best = find_best(worth, expected.effect, expected.cost_usd, budget)
        assert found.total_cost_usd <= budget * (1 + 1e-9)
        assert found.bound is not None
        assert found.bound >= best * (1 - 1e-9)
        assert found.gap is not None
        assert found.gap >= 0
        lost.append(1 - found.total_effect / best)
        if searched:
            assert (found.gap, lost[-1]) == (0, pytest.approx(0, abs=1e-9))
    assert np.mean(lost) < 0.005
    assert max(lost) < 0.03


def test_steps_that_do_not_hang_together_are_a_batch() -> None:
    plan, expected = draw_plan("free", seed=0, num_steps=40), draw_predictions(0, num_steps=40)
    limits = BatchLimits(budget_usd=draw_budget(expected, 0))
    batch = assign_batch(Policy(), expected, CONTEXT, limits)
    found = assign_steps(plan, expected, Policy(), CONTEXT, limits)
    assert found.model == batch.model
    assert found.total_effect == pytest.approx(batch.total_effect / 40)
    assert found.shadow_price == pytest.approx(batch.shadow_price / 40, rel=1e-6)


def test_money_goes_to_the_step_that_all_others_hang_on() -> None:
    effect = np.tile([0.6, 0.9, 0.9, 0.9], (4, 1))
    expected = Predictions.from_arrays(NAMES, effect, cost_usd=np.tile([0.0, 1.0, 9, 9], (4, 1)))
    root = [Step(None, "x", name="root")]
    plan = StepPlan.of(root + [Step(None, "x", name=n, after=("root",)) for n in "abc"])
    found = route(plan, expected, budget_usd=1)
    assert found.model == ("mid", "nano", "nano", "nano")
    assert [step.share for step in found.steps] == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])
    alone = route(StepPlan.of([Step(None, "x")] * 4), expected, budget_usd=1)
    assert found.total_effect == pytest.approx(0.9 * 0.6)
    assert alone.total_effect == pytest.approx((0.9 + 3 * 0.6) / 4)


def test_several_limits_hold_at_once() -> None:
    plan, expected = draw_plan("dag", seed=2), draw_predictions(2)
    found = route(plan, expected, budget_usd=0.2, budget_s=3.0, max_calls={"mid": 1})
    assert found.total_cost_usd <= 0.2
    assert sum(step.latency_s or 0 for step in found.steps) <= 3.0
    assert found.model.count("mid") <= 1
    assert found.shadow_price_s is not None
    assert "mid" in found.shadow_price_calls


def test_more_money_is_never_worse() -> None:
    plan, expected = draw_plan("dag", seed=4), draw_predictions(4)
    budgets = np.linspace(0.05, 0.4, 8)
    worths = [route(plan, expected, budget_usd=float(each)).total_effect for each in budgets]
    assert worths == sorted(worths)


def test_without_limits_the_policy_decides_each_step() -> None:
    plan, expected = draw_plan("chain", seed=0), draw_predictions(0)
    found = assign_steps(
        plan, expected, Policy(max_cost_usd=0.03, fallback="nano"), CONTEXT, BatchLimits()
    )
    assert (found.bound, found.gap, found.shadow_price) == (None, None, None)
    for row, step in enumerate(found.steps):
        assert step.used_fallback or (step.cost_usd or 0) <= 0.03
        assert step.effect == expected.effect[row, NAMES.index(step.model)]


class TestSettledSteps:
    def test_a_grade_moves_what_comes_after_and_the_rest_has_what_is_left(self) -> None:
        plan, expected = draw_plan("chain", seed=1), draw_predictions(1)
        before = route(plan, expected, budget_usd=0.2)
        spent = plan.settle("0", "grand", 1.0, 0.15)
        after = route(spent, expected, budget_usd=0.2)
        assert after.steps[0].model == "grand"
        assert after.steps[0].effect == after.steps[0].chance_right == 1.0
        assert after.spent_usd == 0.15
        assert after.total_cost_usd <= 0.2
        assert [step.name for step in after.next_steps] == ["1"]
        assert after.steps[0].latency_s == 0
        assert [step.name for step in before.next_steps] == ["0"]
        wrong = route(plan.settle("0", "grand", 0.0, 0.15), expected, budget_usd=0.2)
        assert wrong.total_effect == 0
        tolerant = route(plan.settle("0", "grand", 0.0, 0.15), expected, 0.5, budget_usd=0.2)
        assert tolerant.total_effect > 0

    def test_a_judge_who_errs_is_believed_half(self) -> None:
        plan, expected = draw_plan("chain", seed=1), draw_predictions(1)
        told = Grade(0.0, hit_rate=0.8, false_alarm_rate=0.3)
        found = route(plan.settle("0", "mid", told), expected, budget_usd=0.3)
        assert found.steps[0].effect == pytest.approx(told.believe(float(expected.effect[0, 1])))

    def test_a_settled_step_may_be_of_a_model_that_the_policy_rules_out(self) -> None:
        plan, expected = draw_plan("chain", seed=1), draw_predictions(1)
        found = assign_steps(
            plan.settle("0", "huge", 1.0),
            expected,
            Policy(excluded=("huge",)),
            CONTEXT,
            BatchLimits(budget_usd=1),
        )
        assert found.model[0] == "huge"
        assert "huge" not in found.model[1:]

    def test_what_was_spent_beyond_the_budget_is_told(self) -> None:
        plan, expected = draw_plan("chain", seed=1), draw_predictions(1)
        with pytest.raises(PolicyError, match="too low.*for 5 steps take"):
            route(plan.settle("0", "huge", 1.0, 5.0), expected, budget_usd=1)

    def test_a_plan_with_nothing_left_is_told_whatever_it_has_cost(self) -> None:
        plan, expected = draw_plan("chain", seed=1), draw_predictions(1)
        for name in plan.names:
            plan = plan.settle(name, "mid", 1.0, 0.5)
        found = route(plan, expected, budget_usd=1)
        assert (found.spent_usd, found.total_effect, found.next_steps) == (2.5, 1.0, ())
        assert "shadow price" not in repr(found)

    def test_an_unknown_model_or_cost_is_refused(self) -> None:
        plan, expected = draw_plan("chain", seed=1), draw_predictions(1)
        with pytest.raises(UnknownModelError, match="'nobody'"):
            route(plan.settle("0", "nobody"), expected, budget_usd=1)
        cost = expected.cost_usd.copy()
        cost[0, 0] = np.nan
        unknown = Predictions.from_arrays(NAMES, expected.effect, cost_usd=cost)
        with pytest.raises(PolicyError, match="whose cost is unknown"):
            route(plan.settle("0", "nano"), unknown, budget_usd=1)
        assert route(plan.settle("0", "nano", None, 0.1), unknown, budget_usd=1).spent_usd == 0.1


@pytest.mark.parametrize("tolerance", [-0.1, 1.1, float("nan"), "half", True])
def test_a_tolerance_that_is_no_share_is_refused(tolerance: Any) -> None:
    with pytest.raises(DataError, match="tolerance is"):
        route(draw_plan("chain", 0), draw_predictions(0), tolerance, budget_usd=1)


def test_a_thousand_steps_are_planned() -> None:
    plan, expected = draw_plan("chain", 0, num_steps=1000), draw_predictions(0, num_steps=1000)
    found = route(plan, expected, budget_usd=draw_budget(expected, 0))
    assert len(found) == 1000
    assert found.gap == 0
