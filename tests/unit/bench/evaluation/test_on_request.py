"""Budgets and promises in JSON, in the report and in the terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import plotly.graph_objects as go
import pytest

import graphrouter as gr
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.budget_curves import BudgetCurve, trace_budgets
from graphrouter.bench.evaluation.held_out import HeldOutRun, collect_held_out
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.bench.evaluation.on_request import OnRequest, measure_on_request
from graphrouter.bench.evaluation.promise_trials import PromiseTrial, try_promises
from graphrouter.bench.evaluation.report import build_report, render_html, render_markdown
from graphrouter.bench.evaluation.report.on_request_grids import say_trial
from graphrouter.bench.evaluation.report.report_figures import draw_budgets
from graphrouter.cli.evaluation_tables import show_budgets, show_promises
from graphrouter.data import RoutingDataset
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.policy_calibration import find_promise
from graphrouter.router.promise import Wish
from tests.unit.router.test_policy_calibration import make_graded

HOSTILE = "<script>alert(1)</script>"
FAST = ("encoder.name=hashing", "encoder.dimension=64", "split.test=0.5")
REASON = Unmeasured("nothing has a cost")


@pytest.fixture(scope="module")
def data() -> RoutingDataset:
    return gr.simulate(num_queries=400, num_models=4, seed=1, missing=0).data


@pytest.fixture(scope="module")
def router(data: RoutingDataset) -> GraphRouter:
    return GraphRouter.fit(data, gr.load_config(overrides=FAST), instant=True)


@pytest.fixture(scope="module")
def collected(data: RoutingDataset, router: GraphRouter) -> HeldOutRun:
    return collect_held_out(router, data, baselines=[])


@pytest.fixture(scope="module")
def curve(collected: HeldOutRun) -> BudgetCurve:
    found = trace_budgets(collected.run, "task_known", num_draws=30)
    assert isinstance(found, BudgetCurve)
    return found


@pytest.fixture(scope="module")
def trials(
    data: RoutingDataset, router: GraphRouter, collected: HeldOutRun
) -> tuple[PromiseTrial, ...]:
    ids = collected.run.evaluation_set.query_ids
    found = try_promises(router, data, ids, num_draws=30, num_samples=3)
    assert not isinstance(found, Unmeasured)
    return found


def test_only_what_is_asked_for_is_measured(
    data: RoutingDataset, router: GraphRouter, collected: HeldOutRun
) -> None:
    nothing = measure_on_request(router, data, collected.run, budgets=False, promises=False)
    assert nothing.to_json() == {}
    asked = measure_on_request(
        router, data, collected.run, budgets=True, promises=False, num_draws=10
    )
    plain = json.loads(json.dumps(asked.to_json(), allow_nan=False))
    assert set(plain) == {"budgets"}
    assert set(plain["budgets"]) == {"task_known", "task_hidden"}
    neither = OnRequest(budgets={"task_hidden": REASON}, promises={"task_hidden": REASON})
    told = {"task_hidden": {"unmeasured": REASON.reason}}
    assert neither.to_json() == {"budgets": told, "promises": told}


def test_the_report_shows_what_was_asked_for(
    collected: HeldOutRun, curve: BudgetCurve, trials: tuple[PromiseTrial, ...]
) -> None:
    runs, evaluation = [collected.run], collected.score(num_draws=10)
    plain = build_report(runs, evaluation)
    assert "What a budget buys" not in render_markdown([plain])
    asked = OnRequest(
        budgets={"task_known": curve, "task_hidden": REASON},
        promises={"task_known": trials, "task_hidden": REASON},
    )
    report = build_report(runs, evaluation, on_request=asked)
    known, hidden = render_markdown([report]).split("### simulated, task hidden")
    assert "#### A budget over the batch" in known
    assert f"{curve.points[0].effect:.3f}" in known.split("What a budget buys")[1]
    table = known.split("Promises put to the test")[1]
    for trial in trials:
        assert f"| {trial.keep:.0%} of {trial.reference} | {say_trial(trial)} |" in table
    assert hidden.count("Not measured: nothing has a cost.") == 2
    page = render_html([report])
    assert page.count('id="d0-task_known-budgets"') == 1
    assert "d0-task_hidden-budgets" not in page


def test_plotly_accepts_the_curve_and_names_are_text(curve: BudgetCurve) -> None:
    poor = replace(curve.points[0], best_single=float("nan"))
    figure = draw_budgets(replace(curve, points=(poor, *curve.points[1:])), router=HOSTILE)
    go.Figure(figure)
    assert "<script" not in json.dumps(figure, allow_nan=False)
    *_, batch = figure["data"]
    assert batch["x"] == [point.spent_usd for point in curve.points]
    assert batch["y"] == [point.effect for point in curve.points]
    single = next(line for line in figure["data"] if line["name"].startswith("best single"))
    assert single["y"][0] is None


def test_words_for_what_came_of_a_promise(trials: tuple[PromiseTrial, ...]) -> None:
    promise = find_promise(make_graded(1000), Wish.read(0.9, None, 0.95))
    made = replace(trials[1], promise=promise, refusal=None)
    for share, said in (
        (Interval(made.keep + 0.01, 0.5, 1.0), "held"),
        (Interval(made.keep - 0.01, 0.5, 1.0), "missed, perhaps by chance"),
        (Interval(made.keep - 0.1, 0.5, made.keep - 0.01), "broken"),
    ):
        assert say_trial(replace(made, share=share)) == said
    assert say_trial(replace(made, promise=None, refusal="too few")) == "refused"


def test_terminal_tables(
    curve: BudgetCurve, trials: tuple[PromiseTrial, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    show_budgets(curve, "task_known")
    show_promises((replace(trials[0], excluded=("nano",)), *trials[1:]), "task_known")
    show_budgets(REASON, "task_hidden")
    show_promises(REASON, "task_hidden")
    shown = capsys.readouterr().out
    assert "A budget over the batch, task known" in shown
    assert shown.count("$") >= 2 * len(curve.points)
    assert "Ruled out, with few outcomes: nano." in shown
    assert "A budget over the batch, task hidden: not measured (nothing has a cost)." in shown
    assert "Promises, task hidden: not measured (nothing has a cost)." in shown
