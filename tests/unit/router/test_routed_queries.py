"""Named routes where a batch shares a budget, and where a prompt is asked more than once."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.exceptions import ConfigError, NotApplicableError, PolicyError
from graphrouter.router.budget_stream import BudgetStream
from graphrouter.router.graph_router import GraphRouter

FRENCH = "Translate into French: Good night."
PROOF = "Prove that 19 is prime."
PROMPTS = [
    *(
        f"Translate into {x}: {y}"
        for x in ("French", "Spanish")
        for y in ("Good night.", "I am late.")
    ),
    *(f"Prove that {n} is prime." for n in (11, 13, 17, 19, 23)),
    *(f"Write a Python function that adds {n} to a list." for n in range(6)),
]


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    return gr.GraphRouter.fit(gr.simulate(num_queries=300, num_models=5, seed=0).data, instant=True)


def make_routes(*actions: dict[str, Any], none_share: float = 0.3) -> gr.Routes:
    """Translations and proofs, each with what is to be done with it."""
    kinds = (
        {
            "name": "translation",
            "description": "Translate a sentence into another language.",
            "examples": ["Translate into French: Hello.", "Translate into German: I am tired."],
        },
        {
            "name": "proofs",
            "description": "Prove a statement.",
            "examples": ["Prove that 7 is prime.", "Prove that 2n is even."],
        },
    )
    made = [{**kind, **action} for kind, action in zip(kinds, actions, strict=True)]
    return gr.Routes(made, none_share=none_share, source="mine.yaml")


def test_a_budget_chooses_among_the_models_of_each_route(router: gr.GraphRouter) -> None:
    first, second = router.models[:2]
    routes = make_routes({"models": [first, second]}, {"model": second})
    matches = router.match_routes(PROMPTS, routes)
    assert {match.route for match in matches} == {"translation", "proofs", None}
    chosen = router.route_batch(PROMPTS, budget_usd=1.0, routes=routes)
    assert chosen.route == tuple(match.route for match in matches)
    assert chosen.route_confidence is not None
    assert chosen.route_confidence.tolist() == [match.confidence for match in matches]
    for model, route in zip(chosen.model, chosen.route, strict=True):
        assert route != "proofs" or model == second
        assert route != "translation" or model in (first, second)
    table = chosen.to_frame()
    assert [*table.columns[-2:]] == ["route", "route_confidence"]
    assert table["route"].isna().tolist() == [route is None for route in chosen.route]
    free = router.route_batch(PROMPTS, budget_usd=1.0)
    assert (free.route, free.route_confidence) == (None, None)
    assert "route" not in free.to_frame()
    both = zip(chosen.model, free.model, chosen.route, strict=True)
    assert all(one == other for one, other, route in both if route is None)


def test_limits_of_a_route_hold_and_the_budget_too(router: gr.GraphRouter) -> None:
    cost = router.predict(PROMPTS).cost_usd
    most = float(np.median(cost[4:9]))
    routes = make_routes({"policy": {"cost_weight": 0, "excluded": [router.models[0]]}}, {
        "policy": {"cost_weight": 0, "max_cost_usd": most}
    })  # fmt: skip
    budget = float(cost.min(axis=1).sum() * 1.5)
    chosen = router.route_batch(PROMPTS, budget_usd=budget, routes=routes)
    assert chosen.total_cost_usd <= budget * (1 + 1e-9)
    assert chosen.total_effect <= chosen.bound + 1e-9
    for model, usd, route in zip(chosen.model, chosen.cost_usd, chosen.route or (), strict=True):
        assert route != "translation" or model != router.models[0]
        assert route != "proofs" or usd <= most


@pytest.mark.parametrize(
    "policy",
    [
        {"preset": "cost_first"},
        {"preset": "performance_first"},
        {"usd_per_effect": 0.002},
        {"usd_per_effect": 0.01, "usd_per_second": 1e-5},
        {"min_effect": 0.4},
        {"cost_weight": 1, "effect_weight": 0},
        {"cost_weight": 0.1, "risk": "lower"},
        {},
    ],
    ids=str,
)
def test_with_money_enough_a_route_keeps_what_its_policy_weighs(
    router: gr.GraphRouter, policy: dict[str, Any]
) -> None:
    made = {"policy": policy} if policy else {"policy": gr.Policy()}
    routes = make_routes(made, {"policy": "cost_first"})
    alone = router.route_batch(PROMPTS, policy=gr.Policy(cost_weight=0), routes=routes)
    chosen = router.route_batch(PROMPTS, budget_usd=1000.0, routes=routes)
    assert list(chosen.model) == [decision.model for decision in alone]
    assert chosen.shadow_price == 0.0
    assert chosen.gap == 0.0


def test_the_price_of_a_budget_comes_on_top(router: gr.GraphRouter) -> None:
    routes = make_routes({"policy": {"usd_per_effect": 0.01}}, {"policy": "performance_first"})
    ample = router.route_batch(PROMPTS, budget_usd=1000.0, routes=routes)
    cheapest = float(router.predict(PROMPTS).cost_usd.min(axis=1).sum())
    budget = cheapest + (ample.total_cost_usd - cheapest) / 3
    tight = router.route_batch(PROMPTS, budget_usd=budget, routes=routes)
    assert tight.total_cost_usd <= budget * (1 + 1e-9)
    assert tight.shadow_price is not None
    assert tight.shadow_price > 0
    assert tight.total_effect < ample.total_effect
    spent = [
        sum(
            usd for usd, route in zip(each.cost_usd, each.route or (), strict=True) if route == name
        )
        for name in ("translation", "proofs")
        for each in (ample, tight)
    ]
    assert spent[1] <= spent[0] + 1e-12
    assert spent[3] <= spent[2] + 1e-12


def test_caps_are_shared_by_all_routes(router: gr.GraphRouter) -> None:
    first, second = router.models[:2]
    routes = make_routes({"models": [first, second]}, {"models": [first, second]})
    chosen = router.route_batch(PROMPTS, max_calls={first: 2}, routes=routes)
    assert chosen.num_calls.get(first, 0) <= 2
    only = make_routes({"model": first}, {"model": first})
    with pytest.raises(
        PolicyError, match=r"max_calls allows 2 calls of .* leaves nothing else for"
    ):
        router.route_batch(PROMPTS, max_calls={first: 2}, routes=only)


def test_a_route_that_leads_nowhere_is_named_with_the_query(router: gr.GraphRouter) -> None:
    routes = make_routes({"policy": "balanced"}, {"policy": {"max_cost_usd": 1e-12}})
    matches = router.match_routes(PROMPTS, routes)
    row = [match.route for match in matches].index("proofs") + 1
    told = rf"mine\.yaml: the route 'proofs': Query {row} of {len(PROMPTS)}: No model satisfies"
    with pytest.raises(PolicyError, match=told):
        router.route_batch(PROMPTS, budget_usd=1.0, routes=routes)
    routes = make_routes(
        {"policy": "balanced"}, {"policy": {"max_cost_usd": 1e-12, "fallback": router.models[0]}}
    )
    chosen = router.route_batch(PROMPTS, budget_usd=1.0, routes=routes)
    fell = [route == "proofs" for route in chosen.route or ()]
    assert chosen.used_fallback.tolist() == fell
    with pytest.raises(PolicyError, match="budget_usd = 1e-09 is too low"):
        router.route_batch(PROMPTS, budget_usd=1e-9, routes=routes)


def test_no_prompts_and_no_routes(router: gr.GraphRouter) -> None:
    routes = make_routes({"policy": "balanced"}, {"policy": "balanced"})
    chosen = router.route_batch([], budget_usd=1.0, routes=routes)
    assert (len(chosen), chosen.route) == (0, ())
    with pytest.raises(ConfigError, match="routes is a list; expected Routes"):
        router.route_batch(PROMPTS, budget_usd=1.0, routes=[{"name": "x"}])  # type: ignore[call-overload]


def test_weights_of_the_caller_that_do_not_count_are_told(
    router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    routes = make_routes({"policy": "cost_first"}, {"model": router.models[0]})
    router.route_batch(PROMPTS, budget_usd=1.0, policy=gr.Policy(cost_weight=0.2), routes=routes)
    assert caplog.text.count("of the policy do not count: a budget") == 1


def test_a_stream_says_that_it_takes_no_routes(router: gr.GraphRouter) -> None:
    routes = make_routes({"policy": "balanced"}, {"policy": "balanced"})
    stream = BudgetStream(budget_usd=1.0, num_prompts=2)
    with pytest.raises(NotApplicableError, match="takes no named routes.*match_routes"):
        stream.route(router, PROOF, routes=routes)
    assert stream.num_routed == 0


def test_a_plan_is_made_by_the_policy_of_the_route(router: gr.GraphRouter) -> None:
    second = router.models[1]
    routes = make_routes({"policy": "cost_first"}, {"models": [second, router.models[2]]})
    judge, best = gr.Judge.parse("auc:0.8"), gr.Policy.preset("performance_first")
    for prompt, route, by in (
        (FRENCH, "translation", gr.Policy.preset("cost_first")),
        (PROOF, "proofs", routes["proofs"].apply(best)),
        ("Sort these numbers in Python.", None, best),
    ):
        plan = router.plan(prompt, judge=judge, policy=best, routes=routes)
        told = router.plan(prompt, judge=judge, policy=by)
        assert plan.route == route
        assert plan.route_confidence == router.match_routes([prompt], routes)[0].confidence
        assert plan.options == told.options
        assert (plan.to_dict()["route"], told.to_dict()["route"]) == (route, None)
        assert told.route_confidence is None
        assert plan.after(str(plan.first), 0.0).route == route
    assert {option.model for option in router.plan(PROOF, policy=best, routes=routes).options} <= {
        *router.models[1:3]
    }


def test_a_run_follows_the_route(router: gr.GraphRouter) -> None:
    routes = make_routes({"policy": "cost_first"}, {"model": router.models[1]})
    run = router.run(PROOF, ask=lambda model, prompt: model, routes=routes)
    assert (run.answer, run.route) == (router.models[1], "proofs")
    assert run.route_confidence is not None
    assert run.route_confidence > 0.5

    async def ask(model: str, prompt: str) -> str:
        return model

    later = asyncio.run(router.arun(PROOF, ask=ask, routes=routes))
    assert (later.answer, later.route) == (run.answer, run.route)
    assert router.run(PROOF, ask=lambda model, prompt: model).route_confidence is None


def test_a_prompt_is_read_once_for_its_route_and_its_plan(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = make_routes({"policy": "cost_first"}, {"model": router.models[1]})
    router.match_routes([PROOF], routes)
    read: list[str] = []
    encode = type(router.encoder).encode
    monkeypatch.setattr(
        type(router.encoder),
        "encode",
        lambda self, texts: (read.extend(texts), encode(self, texts))[1],
    )
    router.plan(PROOF, routes=routes)
    assert len(read) == 1
    router.route_batch([PROOF, FRENCH], budget_usd=1.0, routes=routes)
    assert len(read) == 3


def test_policies_of_routes_that_cannot_be_planned_are_named(router: gr.GraphRouter) -> None:
    routes = make_routes({"policy": {"min_effect": 0.5}}, {"policy": "balanced"})
    with pytest.raises(PolicyError, match=r"mine\.yaml: the route 'translation': .* min_effect"):
        router.plan(PROOF, routes=routes)  # of the other route: it does not depend on the prompt
    routes = make_routes({"policy": "balanced"}, {"policy": {"max_cost_usd": 1e-12}})
    with pytest.raises(PolicyError, match=r"mine\.yaml: the route 'proofs': "):
        router.plan(PROOF, routes=routes)
    routes = make_routes({"policy": "balanced"}, {"model": router.models[0]})
    with pytest.raises(PolicyError, match=r"mine\.yaml: .*allows none of them"):
        router.plan(PROOF, policy=gr.Policy(excluded=(router.models[0],)), routes=routes)
    assert isinstance(router, GraphRouter)
