"""Whom to ask first and whom after a look at the answer."""

from __future__ import annotations

import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError, PolicyError, UnknownModelError

PROMPT = "Add 3 and 4."
BEST = gr.Policy.preset("performance_first")


def test_without_a_judge_who_tells_anything_the_plan_is_the_route(router: gr.GraphRouter) -> None:
    for policy in (None, BEST, gr.Policy.preset("cost_first"), gr.Policy(usd_per_effect=0.01)):
        plan = router.plan(PROMPT, policy=policy, judge=gr.Judge(0.5, 0.5))
        assert plan.first == router.route(PROMPT, policy=policy).model
        assert not plan.is_graded
        last = plan.after(plan.first)
        assert last.first is None
        assert last.answer == plan.first


def test_a_pass_ends_it_and_a_failure_asks_another(router: gr.GraphRouter) -> None:
    plan = router.plan(PROMPT, policy=BEST)
    assert plan.first is not None
    assert plan.is_graded
    passed, failed = plan.after(plan.first, 1.0), plan.after(plan.first, 0.0)
    assert passed.first is None
    assert passed.answer == plan.first
    assert passed.in_hand == {plan.first: 1.0}
    assert failed.first not in (None, plan.first)
    assert failed.num_calls == 1
    assert failed.spent_usd == pytest.approx(plan.expect_cost(plan.first))


def test_a_plan_is_worth_more_than_one_call_and_less_with_a_worse_judge(
    router: gr.GraphRouter,
) -> None:
    single = router.route(PROMPT, policy=BEST).effect
    exact, good, none = (
        router.plan(PROMPT, policy=BEST, judge=judge).value
        for judge in (gr.Judge(), gr.Judge.of_auc(0.8), gr.Judge(0.5, 0.5))
    )
    assert exact > good > none
    assert none == pytest.approx(single)


def test_limits_are_kept(router: gr.GraphRouter) -> None:
    plan = router.plan(PROMPT, policy=BEST, max_calls=1)
    assert plan.first is not None
    assert plan.after(plan.first, 0.0).first is None
    dear = router.plan(PROMPT, policy=BEST, max_total_cost_usd=1.0)
    price = {model: dear.expect_cost(model) for model in router.models}
    cheap = sorted(price.values())[1] * 1.01
    capped = router.plan(PROMPT, policy=BEST, max_total_cost_usd=cheap)
    while capped.first is not None:
        assert capped.spent_usd + price[capped.first] <= cheap
        capped = capped.after(capped.first, 0.0)
    only = router.plan(PROMPT, policy=BEST.model_copy(update={"allowed": router.models[:2]}))
    asked = set()
    while only.first is not None:
        asked.add(only.first)
        only = only.after(only.first, 0.0)
    assert asked <= set(router.models[:2])


def test_what_is_enough_by_the_message_is_enough(router: gr.GraphRouter) -> None:
    with pytest.raises(PolicyError) as caught:
        router.plan(PROMPT, policy=BEST, max_total_cost_usd=1e-12)
    least = float(
        str(caught.value).split("the least call takes ")[1].split(".  ")[0].split(". ")[0]
    )
    assert router.plan(PROMPT, policy=BEST, max_total_cost_usd=least).first is not None


def test_a_grade_that_the_limit_does_not_pay_is_not_asked_for(router: gr.GraphRouter) -> None:
    plan = router.plan(PROMPT, policy=BEST)
    assert plan.is_graded
    most = max(plan.expect_cost(model) for model in router.models) * 1.5
    poor = router.plan(PROMPT, policy=BEST, max_total_cost_usd=most, judge_cost_usd=most)
    assert not poor.is_graded


def test_a_second_call_beyond_the_limit_is_not_counted_on(router: gr.GraphRouter) -> None:
    price = sorted(router.plan(PROMPT, policy=BEST).expect_cost(model) for model in router.models)
    plan = router.plan(PROMPT, policy=BEST, max_total_cost_usd=price[-1] * 1.0001)
    best = router.route(PROMPT, policy=BEST)
    assert plan.value >= best.effect - 1e-9  # asking the best at once is never given up for less


def test_a_fallback_of_unknown_cost_is_planned() -> None:
    answers = {
        "prompt": [f"Question {i // 2}" for i in range(80)],
        "model": ["paid", "unpaid"] * 40,
        "effect": [1, 0, 1, 1] * 20,
        "cost": [0.01, None] * 40,
    }
    router = gr.GraphRouter.fit(answers, instant=True)
    policy = gr.Policy(max_cost_usd=1e-6, fallback="unpaid")
    assert router.route("Question?", policy=policy).model == "unpaid"
    assert router.plan("Question?", policy=policy).first == "unpaid"


def test_plans_are_compared_by_identity(router: gr.GraphRouter) -> None:
    one, other = (router.plan(PROMPT, policy=BEST) for _ in range(2))
    assert one != other
    assert len({one, other, one}) == 2


def test_a_call_that_failed_is_not_repeated_and_is_paid(router: gr.GraphRouter) -> None:
    plan = router.plan(PROMPT, policy=BEST)
    assert plan.first is not None
    after = plan.failed(plan.first, cost_usd=0.5, latency_s=2.0)
    assert after.first not in (None, plan.first)
    assert (after.spent_usd, after.spent_s, after.answer) == (0.5, 2.0, None)


def test_a_tree_shows_passes_and_failures(router: gr.GraphRouter) -> None:
    plan = router.plan(PROMPT, policy=BEST)
    drawn = plan.tree(2)
    assert drawn.splitlines()[0].startswith(f"ask {plan.first} (")
    assert "├─ pass (" in drawn
    assert "└─ fail (" in drawn
    assert repr(plan).startswith("Plan(ask ")
    assert plan.first is not None
    assert repr(plan.after(plan.first, 1.0)).startswith("Plan(stop: keep ")


def test_seconds_of_the_moment_that_change_no_plan_are_told(
    router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    busy = {router.models[0]: 100.0}
    router.plan("Add 3 and 4.", deadline_s=1000, extra_latency_s=busy)
    assert not caplog.messages
    router.plan("Add 3 and 4.", extra_latency_s=busy)
    assert "extra_latency_s changes no choice" in caplog.text


def test_what_makes_no_plan_is_refused(router: gr.GraphRouter) -> None:
    for policy, told in (
        (gr.Policy(min_effect=0.5), "asks for min_effect"),
        (gr.Policy(risk="lower"), "asks for risk = lower"),
        ("balanced", "policy is a str"),
    ):
        with pytest.raises(PolicyError, match=told):
            router.plan(PROMPT, policy=policy)  # type: ignore[arg-type]
    for setting, value, told in (
        ("max_calls", 0, "max_calls is 0"),
        ("max_calls", 1.5, "max_calls is 1.5"),
        ("max_total_cost_usd", -1.0, "max_total_cost_usd is -1.0"),
        ("max_total_cost_usd", "1", "max_total_cost_usd is '1'"),
        ("deadline_s", float("nan"), "deadline_s is nan"),
        ("judge_cost_usd", -0.1, "judge_cost_usd is -0.1"),
        ("judge_cost_usd", "free", "judge_cost_usd is 'free'"),
        ("max_total_cost_usd", 1e-12, "max_total_cost_usd is 1e-12, and the least call takes"),
        ("deadline_s", 0.0, "deadline_s is 0, and the least call takes"),
    ):
        with pytest.raises(PolicyError, match=told):
            router.plan(PROMPT, **{setting: value})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="right is a str; expected a graphrouter.Judge"):
        router.plan(PROMPT, judge="exact")  # type: ignore[arg-type]
    plan = router.plan(PROMPT)
    assert plan.first is not None
    for depth in (0, "deep"):
        with pytest.raises(DataError, match="expected a whole number from 1"):
            plan.tree(depth)  # type: ignore[arg-type]
    with pytest.raises(UnknownModelError, match="'nobody', which is not in the pool. The pool: "):
        plan.after("nobody", 1.0)
    with pytest.raises(DataError, match="the score is 7"):
        plan.after(plan.first, 7)
    with pytest.raises(DataError, match="was asked already"):
        plan.after(plan.first, 0.0).after(plan.first, 0.0)
    with pytest.raises(DataError, match="latency_s is 'long'; expected a finite number"):
        plan.after(plan.first, 1.0, latency_s="long")  # type: ignore[arg-type]
    with pytest.raises(UnknownModelError, match="The call names 'nobody'"):
        plan.expect_cost("nobody")
    with pytest.raises(DataError, match="cost_usd is -1"):
        plan.after(plan.first, 1.0, cost_usd=-1)
