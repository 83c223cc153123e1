"""`POST /v1/route` with steps: a model for each, among those that are served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

import graphrouter as gr
from graphrouter.gateway import create_app
from tests.unit.gateway.conftest import Deployments, Serve

STEPS = [
    {"role": "extraction", "prompt": "Take the dates."},
    {"role": "writing", "prompt": "Answer it.", "after": ["extraction"]},
]


@pytest.fixture
def client(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> Iterator[httpx2.Client]:
    served = {name: each for name, each in deployments.items() if name != router.models[0]}
    with httpx2.Client(base_url=serve(create_app(router, served)), timeout=30) as found:
        yield found


def test_steps_are_routed_within_a_budget(router: gr.GraphRouter, client: httpx2.Client) -> None:
    answer = client.post("/route", json={"steps": STEPS, "budget_usd": 0.05, "tolerance": 0.1})
    assert answer.status_code == 200, answer.text
    plain = answer.json()
    same = router.route_steps(STEPS, budget_usd=0.05, tolerance=0.1, unavailable=[router.models[0]])
    assert [step["model"] for step in plain["steps"]] == list(same.model)
    assert plain["total_effect"] == pytest.approx(same.total_effect)
    assert router.models[0] not in same.model, "nobody serves it"
    policy = {"policy": {"allowed": [router.models[1]]}}
    only = client.post("/route", json={"steps": STEPS, "graphrouter": policy}).json()
    assert {step["model"] for step in only["steps"]} == {router.models[1]}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"steps": []}, "The plan has 0 steps"),
        ({"steps": None}, "steps is a NoneType"),
        ({"steps": [{"role": "a", "prompt": "x", "after": ["a"]}]}, "in a ring"),
        ({"steps": STEPS, "budget_usd": 1e-9}, "for 2 steps take"),
        ({"steps": STEPS, "budget_usd": "all"}, "budget_usd is 'all'"),
        ({"steps": STEPS, "tolerance": 3}, "tolerance is 3"),
        ({"steps": STEPS, "prompt": "x"}, "prompt does not go with steps"),
    ],
)
def test_what_is_no_plan_is_refused(client: httpx2.Client, body: Any, told: str) -> None:
    answer = client.post("/route", json=body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
