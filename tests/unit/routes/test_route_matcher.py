"""Matching: what decides, how surely, and that nothing depends on batch mates."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import find_router
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import ConfigError, NotApplicableError, PolicyError, UnknownModelError
from graphrouter.routes import check_routes
from graphrouter.routes.route_calibration import USUAL, Evidence, find_probabilities, fit_line
from graphrouter.routes.route_matcher import _score

PROMPTS = ["Translate into Italian: See you soon.", "Prove that 9 is odd.", "Hi!", ""]


def test_the_route_decides_and_says_how_surely(router: gr.GraphRouter, routes: gr.Routes) -> None:
    decisions = router.route_batch(PROMPTS, routes=routes)
    assert [each.route for each in decisions[:2]] == ["translation", "proofs"]
    assert decisions[0].model in router.models[:2]
    assert decisions[1].model == router.models[1]
    for decision in decisions:
        assert decision.route_confidence is not None
        assert 0 <= decision.route_confidence <= 1
        assert decision.to_dict()["route"] == decision.route
    match = router.match_routes(PROMPTS[:1], routes)[0]
    assert sum(match.probabilities.values()) + match.none == pytest.approx(1)
    assert (match.route, match.confidence) == ("translation", decisions[0].route_confidence)


def test_a_prompt_of_none_is_routed_by_the_policy_of_the_caller(router: gr.GraphRouter) -> None:
    rare = gr.Routes(
        [{"name": "law", "description": "Contracts.", "model": router.models[0]}], none_share=0.999
    )
    policy = gr.Policy(cost_weight=0)
    decision = router.route("Add 3 and 4.", policy=policy, routes=rare)
    plain = router.route("Add 3 and 4.", policy=policy)
    assert decision.route is None
    assert decision.route_confidence is not None
    assert decision.route_confidence > 0.5
    assert dataclasses.replace(decision, route_confidence=None) == plain


def test_alone_as_in_a_batch_and_again(router: gr.GraphRouter, routes: gr.Routes) -> None:
    together = router.match_routes(PROMPTS, routes)
    assert [router.match_routes([prompt], routes)[0] for prompt in PROMPTS] == together
    assert router.match_routes(PROMPTS[::-1], routes) == together[::-1]
    decided = router.route_batch(PROMPTS, routes=routes)
    for prompt, decision in zip(PROMPTS, decided, strict=True):
        alone = router.route(prompt, routes=routes)
        for name in ("model", "route", "route_confidence", "policy"):
            assert getattr(alone, name) == getattr(decision, name)
    assert router.route_matcher(routes) is router.route_matcher(routes)


def test_routes_that_are_gone_leave_nothing_behind(router: gr.GraphRouter) -> None:
    words = {"name": "law", "description": "Contracts.", "model": router.models[0]}
    made = [weakref.ref(router.route_matcher(gr.Routes([words]))) for _ in range(12)]
    gc.collect()
    assert sum(each() is not None for each in made) == 8


def test_a_prompt_is_read_once_for_route_and_prediction(
    router: gr.GraphRouter, routes: gr.Routes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = router.route_batch(PROMPTS, routes=routes)
    read: list[str] = []
    encode = type(router.encoder).encode

    def encode_and_count(self: TextEncoder, texts: Sequence[str]) -> np.ndarray:
        read.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(type(router.encoder), "encode", encode_and_count)
    assert router.route_batch(PROMPTS, routes=routes) == expected
    assert read == PROMPTS


def test_a_task_is_a_route(router: gr.GraphRouter) -> None:
    task = router.known_tasks[0]
    routes = gr.Routes(
        [
            {"name": "known", "task": task, "model": router.models[0]},
            {"name": "law", "description": "Contracts.", "model": router.models[1]},
        ]
    )
    queries = router.support.queries
    prompts = queries["prompt"][queries["task"] == task].tolist()
    matches = router.match_routes(prompts, routes)
    assert np.mean([match.route == "known" for match in matches]) > 0.9
    named = router.route("Hello", task=task, routes=routes)
    assert (named.route, named.route_confidence) == ("known", 1.0)


def test_examples_are_checked_left_out(router: gr.GraphRouter, routes: gr.Routes) -> None:
    matcher = router.route_matcher(routes)
    found = check_routes(matcher)
    assert found.num_examples == 6
    assert found.num_examples == sum(row.get(n, 0) for n, row in found.confusion.items()) + len(
        found.missed
    )
    assert found.without_examples == ("talk",)
    assert found.few_examples == ("translation", "proofs")
    assert "Fewer than 5 examples: talk, translation and" in found.describe() or (
        "Fewer than 5 examples: talk, translation, proofs" in found.describe()
    )
    # Left out is what a file without the example says of it, but for the calibration.
    first = next(iter(routes))
    less = gr.Routes(
        [first.model_copy(update={"examples": first.examples[1:]}), *routes.routes[1:]]
    )
    other = router.route_matcher(less)
    place = other.space.place(first.examples[:1])
    expected = other._scale.apply(_score(place, other._means.measure(place)))[0, 0]
    assert matcher._left_out.standard[0] == pytest.approx(expected, abs=1e-6)


def test_limits_that_leave_no_model_for_examples_are_found(router: gr.GraphRouter) -> None:
    free = make_routes(policy={"max_cost_usd": 0})
    found = check_routes(router.route_matcher(free), router=router)
    [unserved] = found.unserved
    assert (unserved.route, unserved.num_examples) == ("hello", len(GREETINGS))
    assert unserved.reason.startswith("No model satisfies the policy (")
    assert "The route 'hello' leaves no model for 3 of its examples: No model" in found.describe()
    assert found.to_dict()["unserved"][0]["num_examples"] == 3
    assert not check_routes(router.route_matcher(free)).unserved
    kept = make_routes(policy={"max_cost_usd": 0, "fallback": router.models[0]})
    assert not check_routes(router.route_matcher(kept), router=router).unserved


def test_descriptions_alone_are_less_sure(router: gr.GraphRouter) -> None:
    words = [
        {"name": "translation", "description": "Translate a sentence.", "policy": "balanced"},
        {"name": "proofs", "description": "Prove a mathematical statement.", "policy": "balanced"},
    ]  # fmt: skip
    matches = router.match_routes(PROMPTS, gr.Routes(words))
    assert all(match.confidence < 1 - 1e-3 for match in matches)
    matcher = router.route_matcher(gr.Routes(words))
    assert (matcher.slope, matcher.offset) == tuple(USUAL)  # nothing says better
    assert matches[0].probabilities["translation"] > matches[0].probabilities["proofs"]
    assert not check_routes(router.route_matcher(gr.Routes(words))).num_examples


def test_one_route_alone(router: gr.GraphRouter, routes: gr.Routes) -> None:
    alone = gr.Routes([routes["proofs"]])
    found = router.match_routes(["Prove that 3 is prime.", "Dear Ms Ray, where is it?"], alone)
    assert found[0].probabilities["proofs"] > found[1].probabilities["proofs"]


def test_a_higher_share_of_none_asks_for_more(router: gr.GraphRouter, routes: gr.Routes) -> None:
    strict = gr.Routes(routes.routes, none_share=0.99)
    for loose, firm in zip(
        router.match_routes(PROMPTS, routes), router.match_routes(PROMPTS, strict), strict=True
    ):
        assert firm.none > loose.none


def test_the_fit_finds_the_minimum() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    standard = rng.normal(size=(200, 2)) + 3 * (truth[:, None] == np.arange(2))
    evidence = Evidence(standard, np.full((200, 2), 0.8), truth, np.ones(200))

    def loss(parameters: np.ndarray) -> float:
        p = find_probabilities(standard, evidence.weight, parameters, 0.5)
        prior = np.square((parameters - [1.85, -3.5]) / [0.9, 1.5]).sum() / 2
        return float(-np.log(p[np.arange(200), truth]).sum() + prior)

    best = fit_line(evidence)
    for step in ([0.01, 0], [-0.01, 0], [0, 0.01], [0, -0.01]):
        assert loss(best) <= loss(best + step)


def test_what_is_refused(router: gr.GraphRouter, routes: gr.Routes) -> None:
    with pytest.raises(ConfigError, match="routes is a list; expected Routes"):
        router.route("Hi", routes=[{"name": "x"}])  # type: ignore[arg-type]
    strange = gr.Routes([{"name": "x", "description": "y", "model": "nobody"}])
    with pytest.raises(UnknownModelError, match="'x' names 'nobody'"):
        router.route("Hi", routes=strange)
    with pytest.raises(UnknownModelError, match="'x' names 'nobody'"):
        router.route_batch(["Hi"], routes=strange, budget_usd=1.0)
    with pytest.raises(UnknownModelError, match="'x' names 'nobody'"):
        router.plan("Hi", routes=strange)
    data = gr.simulate(num_queries=60, num_models=3, seed=0).data
    with pytest.raises(NotApplicableError, match="cannot match routes"):
        find_router("best_single").fit(data).route("Hi", routes=routes)


PROOFS = ("Prove that 17 is prime.", "Prove that 2n is even.", "Show that 1 + 1 = 2.")
GREETINGS = ("Hello there", "Hello you", "Hi there")


def make_routes(**action: Any) -> gr.Routes:
    """Two routes of a file, the second of them for greetings."""
    proofs = {"name": "proofs", "examples": list(PROOFS), "policy": "cost_first"}
    hello = {"name": "hello", "examples": list(GREETINGS), **action}
    return gr.Routes([proofs, hello], none_share=0.01, source="mine.yaml")


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        ({"fallback": "nobody"}, UnknownModelError, "names 'nobody', which is not in the pool."),
        ({"allowed": ["nobody"]}, UnknownModelError, "names 'nobody', which is not in the pool."),
        ({"requires": {"region": "eu"}}, PolicyError, "names the field 'region', which no card"),
        ({"penalties": {"watts": 1}}, PolicyError, "names the field 'watts', which no card of"),
        ({"penalties": {"family": 1}}, PolicyError, "states the text"),
        ({"cost_weight": 0, "max_ttft_s": 1}, PolicyError, "limits the time to the first token"),
        ({"allowed": []}, None, ""),
        ({"requires": {"family": "none such"}}, PolicyError, "No model satisfies the policy ("),
        ({"requires": {"family": "none such"}, "fallback": "MODEL"}, None, ""),
        ({"max_cost_usd": 0}, None, ""),  # it is the prompt that has a cost
    ],
)
def test_a_policy_that_can_decide_no_prompt_is_refused_with_its_route_and_file(
    router: gr.GraphRouter, policy: dict[str, Any], error: type[Exception] | None, message: str
) -> None:
    if policy.get("fallback") == "MODEL":
        policy = {**policy, "fallback": router.models[0]}
    routes = make_routes(policy=policy)
    calls = (
        lambda: router.route("Prove that 19 is prime.", routes=routes),  # of another route
        lambda: router.match_routes(["Hello there"], routes),
        lambda: check_routes(router.route_matcher(routes)),
    )
    for call in calls:
        if error is None:
            call()
            continue
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith("mine.yaml: the route 'hello'")
        assert message in str(caught.value)


def test_costs_and_seconds_that_were_never_logged_are_refused_with_route_and_file() -> None:
    answers = {"prompt": ["1 + 1?", "1 + 1?", "Hi.", "Hi."], "model": ["a", "b"] * 2}
    bare = gr.GraphRouter.fit({**answers, "effect": [0, 1, 1, 1]}, instant=True)
    for policy, told in (
        ({"usd_per_effect": 0.1}, "The policy weighs cost, but this router cannot predict any"),
        ({"cost_weight": 0, "max_latency_s": 1}, "Latency is limited or counted, but this router"),
        ({"usd_per_second": 1}, "usd_per_second counts seconds as dollars, and weights count"),
    ):
        routes = gr.Routes([{"name": "hello", "description": "Hi.", "policy": policy}])
        with pytest.raises(PolicyError) as caught:
            bare.route("1 + 1?", routes=routes)
        assert str(caught.value).startswith(f"routes: the route 'hello': {told}")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"unavailable": {"MODEL"}}, "No model satisfies the policy (MODEL: unavailable now; "),
        ({"policy": gr.Policy(max_cost_usd=0)}, "No model satisfies the policy (MODEL: cost 0.0"),
        ({"policy": gr.Policy(requires=["tools"])}, "(MODEL: tools is false, not true; "),
    ],
)
def test_a_route_that_leads_nowhere_is_named(
    router: gr.GraphRouter, settings: dict[str, Any], reason: str
) -> None:
    model = next(card.model for card in router.pool if card.tools is False)
    if "unavailable" in settings:
        settings = {"unavailable": {model}}
    with pytest.raises(PolicyError) as caught:
        router.route("Hello there", routes=make_routes(model=model), **settings)
    told = reason.replace("MODEL", model)
    assert str(caught.value).startswith("mine.yaml: the route 'hello': ")
    assert told in str(caught.value)
    excluded = gr.Policy(excluded=(model,))
    with pytest.raises(PolicyError, match="^mine.yaml: The route 'hello' has .* allows none of th"):
        router.route("Hello there", routes=make_routes(model=model), policy=excluded)
    # Prompts of other routes are not concerned.
    assert router.route("Prove that 19 is prime.", routes=make_routes(model=model), **settings)


def test_an_added_model_can_be_named(router: gr.GraphRouter) -> None:
    wider = router.add_model(gr.ModelCard(model="fresh"))
    routes = gr.Routes([{"name": "x", "examples": ["Say hello."], "model": "fresh"}])
    policy = gr.Policy(cost_weight=0)
    assert wider.route("Say hello.", policy=policy, routes=routes).model == "fresh"
