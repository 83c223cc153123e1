"""Frontiers, single models and reliability of tiny runs, computed by hand."""

from __future__ import annotations

import math

import pytest

from graphrouter.bench.evaluation.report.curves import (
    FrontierCurve,
    explain_no_frontier,
    trace_frontiers,
    trace_reliability,
)
from graphrouter.policy import CostScale
from tests.unit.bench.evaluation.report.conftest import Scored, predictions, tiny_run

# Model a is cheap and solves the first query, model b is dear and solves both.
OBSERVED = predictions([[1, 1], [0, 1]], [[0.1, 0.5], [0.1, 0.5]])
BEST_SINGLE = predictions([[0.5, 1.0]] * 2, [[0.1, 0.5]] * 2)


def test_frontiers_of_two_models() -> None:
    knows_all = predictions([[1.0, 0.9], [0.0, 1.0]], [[0.1, 0.5]] * 2)
    found = trace_frontiers(
        [tiny_run(OBSERVED, {"graphrouter": knows_all, "best_single": BEST_SINGLE})],
        "task_hidden",
    )
    assert found is not None
    scored, single, oracle = found.curves
    assert [curve.router for curve in found.curves] == ["graphrouter", "best_single", "oracle"]
    # a for the first query and b for the second: everything is solved for 0.3 dollars a query.
    assert scored.cost_usd == oracle.cost_usd == pytest.approx((0.1, 0.3))
    assert scored.effect == oracle.effect == pytest.approx((0.5, 1.0))
    assert single.cost_usd == pytest.approx((0.1, 0.5))
    assert single.effect == pytest.approx((0.5, 1.0))
    assert (found.low_usd, found.high_usd) == pytest.approx((0.1, 0.75))
    assert [(p.model, p.cost_usd, p.effect, p.share_run) for p in found.models] == [
        ("a", pytest.approx(0.1), 0.5, 1.0),
        ("b", pytest.approx(0.5), 1.0, 1.0),
    ]


def test_a_curve_is_read_between_its_corners_and_unknown_below_them() -> None:
    curve = FrontierCurve("r", (0.1, 0.5), (0.5, 1.0))
    below, corner, between, above = curve.at([0.05, 0.1, 0.3, 9.0])
    assert math.isnan(below)
    assert (corner, between, above) == pytest.approx((0.5, 0.75, 1.0))


def test_single_models_count_where_they_were_run() -> None:
    nan = float("nan")
    observed = predictions([[1, 1], [nan, 0]], [[0.1, 0.5], [nan, 0.7]])
    found = trace_frontiers(
        [tiny_run(observed, {"graphrouter": BEST_SINGLE, "best_single": BEST_SINGLE})],
        "task_hidden",
    )
    assert found is not None
    assert [(p.model, p.effect, p.share_run) for p in found.models] == [
        ("a", 1.0, 0.5),
        ("b", 0.5, 1.0),
    ]
    assert found.models[1].cost_usd == pytest.approx(0.6)


def test_runs_are_averaged_point_by_point() -> None:
    runs = [
        tiny_run(OBSERVED, {"graphrouter": BEST_SINGLE, "best_single": BEST_SINGLE}, seed=seed)
        for seed in (0, 1)
    ]
    once, twice = trace_frontiers(runs[:1], "task_hidden"), trace_frontiers(runs, "task_hidden")
    assert once == twice
    nothing_solved = predictions([[0, 0], [0, 0]], [[0.1, 0.5], [0.1, 0.5]])
    other = tiny_run(
        nothing_solved, {"graphrouter": BEST_SINGLE, "best_single": BEST_SINGLE}, seed=1
    )
    half = trace_frontiers([runs[0], other], "task_hidden")
    assert half is not None
    assert half.curves[0].effect == pytest.approx((0.25, 0.5))


def test_why_there_is_no_frontier() -> None:
    with_single = {"graphrouter": BEST_SINGLE, "best_single": BEST_SINGLE}
    assert explain_no_frontier([tiny_run(OBSERVED, with_single)]) is None
    assert (
        explain_no_frontier([tiny_run(OBSERVED, {"graphrouter": BEST_SINGLE})])
        == "needs the baseline best_single"
    )
    free = tiny_run(
        predictions([[1, 0]]), with_single, cost_scale=CostScale(float("nan"), float("nan"))
    )
    assert explain_no_frontier([free]) == "no training outcome has a cost"
    assert trace_frontiers([free], "task_hidden") is None


def test_reliability_of_all_runs_together() -> None:
    runs = [
        tiny_run(OBSERVED, {"graphrouter": predictions([[0.32, 0.91], [0.38, 0.93]])}, seed=seed)
        for seed in (0, 1)
    ]
    (curve,) = trace_reliability(runs, "task_hidden")
    assert curve.expected == pytest.approx((0.35, 0.92))
    assert curve.observed == pytest.approx((0.5, 1.0))
    assert curve.count == (4, 4)


def test_who_predicts_nothing_has_no_reliability(scored: Scored) -> None:
    nothing = predictions([[float("nan")] * 2] * 2)
    assert trace_reliability([tiny_run(OBSERVED, {"graphrouter": nothing})], "task_hidden") == ()
    assert "frugal_gpt" not in {
        curve.router for curve in trace_reliability(scored.runs, "task_known")
    }
