"""Routers plan steps: roles are tasks, plans go on after a step, and results are plain."""

from __future__ import annotations

import json
import logging

import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.steps import StepPlan, StepRouting

FAST = gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=64"])
STEPS = [
    {"role": "extraction", "prompt": "Take the dates from the letter."},
    {"role": "facts", "prompt": "Which rules apply?"},
    {"role": "writing", "prompt": "Answer it.", "after": ["extraction", "facts"]},
]


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    data = gr.simulate(num_queries=200, num_models=5, seed=1).data
    return gr.GraphRouter.fit(data, FAST, instant=True)


@pytest.fixture(scope="module")
def routing(router: gr.GraphRouter) -> StepRouting:
    return router.route_steps(STEPS, budget_usd=0.003)


def test_predictions_are_those_of_the_router(router: gr.GraphRouter, routing: StepRouting) -> None:
    plan = StepPlan.of(STEPS)
    expected = router.predict([s.prompt for s in plan], tasks=[s.role for s in plan])
    for row, step in enumerate(routing.steps):
        column = router.models.index(step.model)
        assert step.effect == expected.effect[row, column]
        assert step.cost_usd == expected.cost_usd[row, column]
        assert step.role_known
    assert routing.total_effect == pytest.approx(expected_product(routing))
    assert routing["writing"].chance_right == routing.total_effect


def expected_product(routing: StepRouting) -> float:
    product = 1.0
    for step in routing.steps:
        product *= step.effect
    return product


def test_plans_on_after_each_step(routing: StepRouting) -> None:
    assert [step.name for step in routing.next_steps] == ["extraction", "facts"]
    later = routing.after("extraction", effect=1.0, cost_usd=0.0005)
    later = later.after("facts", gr.Grade(1.0, 0.9, 0.4), model="juniper-30b")
    assert [step.name for step in later.next_steps] == ["writing"]
    assert later.steps[1].model == "juniper-30b"
    assert later.total_cost_usd <= 0.003
    assert later.total_effect > routing.total_effect
    done = later.after("writing", effect=1.0)
    assert done.next_steps == ()
    with pytest.raises(DataError, match="No step is called 'letter'"):
        routing.after("letter")
    with pytest.raises(UnknownModelError):
        routing.after("facts", model="nobody")


def test_an_unknown_role_is_told_and_counts_as_no_task(
    router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = router.route_steps([{"role": "proofing", "prompt": "Mend it."}], budget_usd=1)
    assert "'proofing'" in caplog.text
    assert found.unknown_roles == ("proofing",)
    same = router.route_steps([{"role": None, "prompt": "Mend it."}], budget_usd=1)
    assert same.steps[0].effect == found.steps[0].effect
    assert (same.unknown_roles, same.steps[0].role_known) == ((), None)


def test_a_step_may_be_a_chat_and_a_baseline_may_plan() -> None:
    data = gr.simulate(num_queries=200, num_models=4, seed=1).data
    router = BASELINES["best_single"].fit(data, FAST)
    chat = [{"role": "user", "content": "Say hello."}]
    found = router.route_steps([{"role": "writing", "prompt": chat}], budget_usd=1)
    assert found.model == (router.models[int(router.predict(["x"]).effect[0].argmax())],)
    assert found.steps[0].role_known is None


def test_results_are_plain(routing: StepRouting) -> None:
    plain = json.loads(json.dumps(routing.to_dict()))
    assert [step["name"] for step in plain["steps"]] == ["extraction", "facts", "writing"]
    assert plain["next"] == ["extraction", "facts"]
    table = routing.to_frame()
    assert table["model"].tolist() == list(routing.model)
    assert repr(routing).startswith("StepRouting(3 steps: effect ")
    assert "<table" in routing._repr_html_()
    slowest = max(routing.steps[0].latency_s or 0, routing.steps[1].latency_s or 0)
    assert routing.critical_path_s == pytest.approx(slowest + (routing.steps[2].latency_s or 0))


def test_moments_and_limits_are_those_of_batches(router: gr.GraphRouter) -> None:
    out = router.route_steps(STEPS, budget_usd=1, max_calls={"tarn-grand": 1})
    assert out.model.count("tarn-grand") <= 1
    without = router.route_steps(STEPS, budget_usd=1, unavailable=["tarn-grand"])
    assert "tarn-grand" not in without.model
    free = router.route_steps(STEPS, policy=gr.Policy.preset("cost_first"))
    alone = [
        router.route(s["prompt"], task=s["role"], policy=gr.Policy.preset("cost_first")).model
        for s in STEPS
    ]
    assert list(free.model) == alone
