"""Budgets over a batch: worked by hand on two models, then held against the truth of real runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from graphrouter.bench.evaluation.budget_curves import BUDGET_SHARES, find_budget, trace_budgets
from graphrouter.bench.evaluation.evaluate import SeedRun
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.policy import CostScale
from tests.unit.bench.evaluation.report.conftest import (
    Scored,
    predictions,
    scored,
    tiny_run,
    without_costs,
)

__all__ = ["scored", "without_costs"]  # fixtures

# Model a costs 1 and solves the first two of four queries; b costs 3 and solves the last three.
OBSERVED = predictions([[1, 0], [1, 1], [0, 1], [0, 1]], [[1, 3]] * 4)
BEST_SINGLE = predictions([[0.5, 0.75]] * 4, [[1, 3]] * 4)
# Knows that the last one needs b most, then the third; is wrong about the first.
EXPECTED = predictions([[0.5, 0.6], [0.9, 0.8], [0.4, 0.7], [0.3, 0.9]], [[1, 3]] * 4)
SCALE = CostScale(1.0, 3.0)


def run_of(expected: object = EXPECTED, observed: object = OBSERVED) -> SeedRun:
    outputs = {"graphrouter": expected, "best_single": BEST_SINGLE}
    return tiny_run(observed, outputs, cost_scale=SCALE)  # type: ignore[arg-type]


def test_a_budget_buys_where_most_is_expected() -> None:
    # Cheapest: 4 dollars, best: 10 (b but for the second query), so a third is 6: b for one query.
    curve = trace_budgets(run_of(), "task_hidden", shares=(0.0, 1 / 3, 1.0))
    assert not isinstance(curve, Unmeasured)
    none, one, all_ = curve.points
    assert curve.num_queries == 4
    assert [point.budget_usd for point in curve.points] == pytest.approx([1.0, 1.5, 2.5])
    assert [point.spent_usd for point in curve.points] == pytest.approx([1.0, 1.5, 2.5])
    assert (none.effect, one.effect, all_.effect) == (0.5, 0.75, 0.75)
    # With a dollar and a half a query the optimum solves three, with two and a half all four.
    assert (none.optimum, one.optimum, all_.optimum) == (0.5, 0.75, 1.0)
    # The best single model for 0.5 of 2 dollars: a quarter of the way from .5 to .75.
    assert [point.best_single for point in curve.points] == pytest.approx([0.5, 0.5625, 0.6875])
    assert one.shadow_price > all_.shadow_price == 0.0
    assert one.over_best_single.value == pytest.approx(0.1875)
    assert np.isnan(one.over_best_single.low)  # four queries are too few for an interval


def test_single_calls_spend_what_the_batch_spends() -> None:
    curve = trace_budgets(run_of(), "task_hidden", shares=(1 / 6, 1.0))
    assert not isinstance(curve, Unmeasured)
    part, whole = curve.points
    # One more dollar than the cheapest buys nothing whole, so the batch spends 4 of 5 dollars.
    assert (part.budget_usd, part.spent_usd) == pytest.approx((1.25, 1.0))
    assert part.single_call == part.effect == 0.5
    assert whole.single_call == whole.effect
    assert whole.over_single_call.value == 0.0


def test_pairs_that_were_not_observed_are_no_choice() -> None:
    hidden = predictions(
        [[1, np.nan], [1, 1], [np.nan, np.nan], [0, 1]], [[1, np.nan], [1, 3], [1, 3], [1, 3]]
    )
    curve = trace_budgets(run_of(observed=hidden), "task_hidden", shares=(0.0, 1.0))
    assert not isinstance(curve, Unmeasured)
    assert curve.num_queries == 3
    assert curve.points[-1].budget_usd == pytest.approx(5 / 3)  # a, a and b
    assert curve.points[-1].effect == 1.0


def test_one_budget_where_the_best_are_the_cheapest() -> None:
    certain = predictions([[0.9, 0.1]] * 4, [[1, 3]] * 4)
    curve = trace_budgets(run_of(certain), "task_hidden")
    assert not isinstance(curve, Unmeasured)
    assert [point.share for point in curve.points] == [BUDGET_SHARES[0]]


def test_why_nothing_is_measured(without_costs: Scored) -> None:
    assert trace_budgets(without_costs.runs[0], "task_known") == Unmeasured(
        "no training outcome has a cost"
    )
    free = predictions(EXPECTED.effect.tolist())
    assert trace_budgets(run_of(free), "task_hidden") == Unmeasured(
        "the cost of no observed outcome is predicted"
    )
    run = run_of()
    alone = replace(run, evaluation_set=replace(run.evaluation_set, best_single=None))
    assert trace_budgets(alone, "task_hidden") == Unmeasured("needs the baseline best_single")


def test_budgets_run_from_the_cheapest_to_the_best_choices() -> None:
    assert find_budget(EXPECTED, 0.0) == 4.0
    assert find_budget(EXPECTED, 1.0) == 10.0
    unknown = predictions([[0.5, np.nan], [0.9, 0.8]], [[1, 3], [np.nan, 3]])
    assert find_budget(unknown, 0.0) == find_budget(unknown, 1.0) == 4.0


@pytest.mark.parametrize("setting", ["task_known", "task_hidden"])
def test_nobody_beats_the_optimum(scored: Scored, setting: str) -> None:
    curve = trace_budgets(scored.runs[0], setting, num_draws=50)  # type: ignore[arg-type]
    assert not isinstance(curve, Unmeasured)
    assert len(curve.points) > 5
    spent = [point.spent_usd for point in curve.points]
    assert spent == sorted(spent)
    for point in curve.points:
        beside = (point.effect, point.single_call, point.best_single)
        assert point.optimum >= max(each for each in beside if np.isfinite(each)) - 1e-12
        for name in ("single_call", "best_single"):
            found = getattr(point, f"over_{name}")
            if np.isfinite(getattr(point, name)):
                assert found.value == pytest.approx(point.effect - getattr(point, name))
                assert found.low <= found.value <= found.high
    plain = json.loads(json.dumps(curve.to_json(), allow_nan=False))
    assert plain["num_queries"] == curve.num_queries
    assert set(plain["points"][0]["over_single_call"]) == {"value", "low", "high"}
