"""Promises on real outcomes, and the study that measures how often they are broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import graphrouter as gr
from experiments.promises.run import main
from graphrouter.bench.evaluation.budget_curves import BudgetCurve, trace_budgets
from graphrouter.bench.evaluation.held_out import collect_held_out
from graphrouter.bench.evaluation.promise_trials import try_promises
from graphrouter.data import RoutingDataset
from graphrouter.exceptions import DataError


@pytest.fixture(scope="module")
def data(shared_data: Callable[[str], Path]) -> RoutingDataset:
    return gr.load_dataset(shared_data("routerbench_subset"))


@pytest.fixture(scope="module")
def router(data: RoutingDataset) -> gr.GraphRouter:
    return gr.GraphRouter.fit(data, instant=True)


def test_real_outcomes_support_a_promise_that_saves(
    data: RoutingDataset, router: gr.GraphRouter
) -> None:
    promise = router.calibrate_policy(data, keep=0.95)
    assert promise.reference == "gpt-4-1106-preview"
    assert promise.share_low is not None
    assert promise.share > promise.share_low >= 0.95
    assert promise.saving > 0.5
    prompts = data.queries.set_index("query_id")["prompt"].loc[list(router.provenance.split.test)]
    decisions = router.route_batch(prompts.tolist()[:20], policy=promise.policy)
    assert {decision.model for decision in decisions} <= set(router.models)


def test_a_promise_and_a_budget_on_real_test_queries(
    data: RoutingDataset, router: gr.GraphRouter
) -> None:
    run = collect_held_out(router, data, baselines=[]).run
    ids = run.evaluation_set.query_ids
    _, loose = try_promises(router, data, ids, num_draws=50, num_samples=5)
    assert loose.promise is not None  # two halves of 945 queries
    assert loose.promise.num_queries + loose.num_tested == len(ids)
    assert loose.is_held
    assert loose.saving.low > 0.3
    curve = trace_budgets(run, "task_known", num_draws=50)
    assert isinstance(curve, BudgetCurve)
    assert curve.num_queries == len(ids)
    for point in curve.points[1:-1]:
        assert point.spent_usd == pytest.approx(point.budget_usd, rel=0.1)
        assert point.over_best_single.low > 0
        assert point.effect < point.optimum


def test_real_outcomes_without_costs_are_refused(shared_data: Callable[[str], Path]) -> None:
    data = gr.load_dataset(shared_data("llmrouter_default"))
    some = data.select_queries(data.queries["query_id"].tolist()[:300])
    router = gr.GraphRouter.fit(some, instant=True)
    with pytest.raises(DataError, match="outcomes without costs"):
        router.calibrate_policy(some)


def test_the_study_prints_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gr.simulate(num_queries=300, num_models=3, missing=0).data.save(tmp_path / "world")
    main([str(tmp_path / "world"), "--splits", "5", "--queries", "100"])
    shown = capsys.readouterr().out
    assert shown.count("| world | 99% |") == shown.count("| world | 95% |") == 2
    assert "## Coverage over 5 splits of 100 queries" in shown
