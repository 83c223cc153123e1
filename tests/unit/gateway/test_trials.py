"""An artifact on trial, its end by rule or by an admin, and changes in several gateways."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import pytest

import graphrouter as gr
from graphrouter.gateway import Memory, create_app
from graphrouter.gateway.serving_state import ReadArtifact, ServingState, Trial
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.stored_calls import WhatIsKept
from graphrouter.gateway.store.stored_changes import forget_changes, read_changes
from graphrouter.gateway.store.trial_rule import FEWEST, Arm, Measure, tell_worse
from graphrouter.gateway.token_prices import TokenPrices
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_memory import wait_for

SECRET = {"authorization": "Bearer secret"}
CARD = {"model": "fresh", "input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4}
Open = Callable[[], httpx2.Client]


@pytest.fixture
def other(router: gr.GraphRouter) -> gr.GraphRouter:
    """An artifact that lacks the model which the other one chooses."""
    return router.remove_model(router.route("Add 3 and 4.").model)


@pytest.fixture
def open_gateway(
    router: gr.GraphRouter,
    other: gr.GraphRouter,
    deployments: Deployments,
    serve: Serve,
    place: str,
) -> Iterator[Open]:
    """Opens one more gateway on the same store."""
    clients: list[httpx2.Client] = []

    def start() -> httpx2.Client:
        kept = WhatIsKept(dict.fromkeys(router.models, TokenPrices.of_usd(1.0, 4.0)), "old")
        memory = Memory(Store.open(place), kept)
        app = create_app(
            router,
            deployments,
            key="secret",
            memory=memory,
            load=lambda: ReadArtifact("new", other),
        )
        address = serve(app).removesuffix("/v1")
        clients.append(httpx2.Client(base_url=address, headers=SECRET, timeout=30))
        return clients[-1]

    yield start
    for each in clients:
        each.close()


def ask(client: httpx2.Client, session: object) -> httpx2.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Add 3 and 4."}]}
    headers = {"x-session-id": str(session), "x-graphrouter-session": "off"}
    return client.post("/v1/chat/completions", json=body, headers=headers)


def read_model(client: httpx2.Client, session: object) -> str:
    return ask(client, session).headers["x-graphrouter-model"]


def wait_for_revision(client: httpx2.Client, revision: int, seconds: float = 20.0) -> None:
    wait_for(lambda: client.get("/admin/models").json()["revision"] >= revision, seconds)


def test_a_share_of_the_sessions_is_taken_and_stays(router: gr.GraphRouter) -> None:
    state = ServingState(router, {})
    on_trial = replace(state, artifact="new")
    serving = replace(state, trial=Trial(7, 0.2, 0.0, on_trial))
    names = [str(number) for number in range(2_000)]
    taken = [serving.choose_arm(name) is on_trial for name in names]
    assert 0.17 < sum(taken) / len(taken) < 0.23
    assert taken == [serving.choose_arm(name) is on_trial for name in names]
    other_trial = replace(state, trial=Trial(8, 0.2, 0.0, on_trial))
    assert taken != [other_trial.choose_arm(name) is on_trial for name in names]


def test_an_artifact_is_tried_and_promoted_in_all_gateways(
    router: gr.GraphRouter, other: gr.GraphRouter, open_gateway: Open
) -> None:
    here, there = open_gateway(), open_gateway()
    before, last = (each.route("Add 3 and 4.").model for each in (router, other))
    told = here.post("/admin/reload", json={"share": 0.5}).json()
    assert (told["artifact"], told["trial"]["artifact"], told["revision"]) == ("old", "new", 2)
    wait_for_revision(there, 2)
    found = [[read_model(each, n) for n in range(20)] for each in (here, there)]
    assert found[0] == found[1]  # a session is on one artifact, whoever answers it
    assert set(found[0]) == {before, last}
    answer = ask(here, found[0].index(last))
    decision = answer.headers["x-graphrouter-decision"]
    assert here.get(f"/v1/decisions/{decision}").json()["artifact"] == "new"
    again = here.post("/admin/reload", json={"share": 0.5})
    assert (again.status_code, "is on trial" in again.text) == (409, True)
    shown = there.get("/admin/reload").json()["trial"]
    assert shown["on_trial"]["failed"]["num"] + shown["serving"]["failed"]["num"] >= 40
    assert there.post("/admin/reload/promote").json()["models"] == list(other.models)
    wait_for_revision(here, 3)
    assert here.get("/admin/reload").json()["artifact"] == "new"
    assert {read_model(here, n) for n in range(10)} == {last}
    assert here.post("/admin/reload/promote").status_code == 409


def test_an_artifact_whose_calls_fail_goes_by_itself(
    other: gr.GraphRouter, provider: Provider, open_gateway: Open, place: str
) -> None:
    client = open_gateway()
    last = other.route("Add 3 and 4.").model
    provider.statuses[f"at-{last}"] = [400] * 1_000
    client.post("/admin/reload", json={"share": 0.5}).raise_for_status()
    for number in range(4 * FEWEST):
        ask(client, number)
    wait_for(lambda: "trial" not in client.get("/admin/reload").json())
    assert {ask(client, number).status_code for number in range(10)} == {200}
    store = Store.open(place)
    with store.reader.connect() as connection:
        *_, made = read_changes(connection)
    store.close()
    assert (made.kind, made.key_id, made.name) == ("abort", "rule", "new")
    assert "calls that failed: 1.000 on trial, 0.000 before" in made.body["why"]


def test_changes_are_made_by_all_gateways_within_a_second_and_by_those_that_start(
    router: gr.GraphRouter, open_gateway: Open
) -> None:
    here, there = open_gateway(), open_gateway()
    body = {"card": CARD, "like": router.models[0]}
    assert here.post("/admin/models", json=body).headers["etag"] == '"2"'
    wait_for_revision(there, 2)
    assert there.get("/admin/models/fresh").status_code == 200
    late = there.delete("/admin/models/fresh", headers={"if-match": '"1"'})
    assert late.status_code == 412
    assert there.patch("/admin/models/fresh", json={"output_usd_per_mtok": 4.0}).is_success
    route = {"name": "sums", "description": "Sums.", "model": "fresh"}
    assert there.put("/admin/routes", json={"routes": [route]}).headers["etag"] == '"4"'
    assert there.put("/admin/policy", json={"policy": "cost_first"}).is_success
    third = open_gateway()
    for each in (here, third):
        wait_for_revision(each, 5)
        card = each.get("/admin/models/fresh").json()["card"]
        assert card == CARD | {"output_usd_per_mtok": 4.0}
        assert each.get("/admin/policy").json()["policy"]["cost_weight"] == 0.8
        assert each.get("/admin/routes").json()["routes"] == [route]
        body = {"model": "auto:sums", "messages": [{"role": "user", "content": "Hm."}]}
        found = each.post("/v1/chat/completions", json=body)
        assert found.headers["x-graphrouter-model"] == "fresh"
    assert here.put("/admin/routes", json={"routes": None}).is_success
    assert here.delete("/admin/models/fresh").is_success


def test_changes_of_several_at_once_have_one_order(
    router: gr.GraphRouter, open_gateway: Open
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    gateways = [open_gateway(), open_gateway()]

    def describe(number: int) -> int:
        body = {"description": f"Told {number} times."}
        path = f"/admin/models/{router.models[0]}"
        return int(gateways[number % 2].patch(path, json=body).json()["revision"])

    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(describe, range(12)))
    assert sorted(revisions) == list(range(2, 14))
    for each in gateways:
        wait_for_revision(each, 13)
    cards = [each.get(f"/admin/models/{router.models[0]}").json()["card"] for each in gateways]
    assert cards[0] == cards[1]


def test_a_change_of_what_is_on_trial_too(
    router: gr.GraphRouter, other: gr.GraphRouter, open_gateway: Open
) -> None:
    client = open_gateway()
    client.post("/admin/reload", json={"share": 0.5})
    both = other.models[0]
    assert client.patch(f"/admin/models/{both}", json={"description": "Told."}).is_success
    (gone,) = set(router.models) - set(other.models)
    refused = client.delete(f"/admin/models/{gone}")  # the artifact on trial does not have it
    assert (refused.status_code, client.get("/admin/models").headers["etag"]) == (404, '"3"')
    assert client.post("/admin/reload/abort").is_success
    assert client.get(f"/admin/models/{both}").json()["card"]["description"] == "Told."
    assert client.delete(f"/admin/models/{gone}").is_success


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("reload", {"share": 0}, "share is 0; expected a number between 0 and 1"),
        ("reload", {"share": True}, "share is True"),
        ("reload", {"shares": 0.1}, "Unknown member 'shares'. Did you mean 'share'"),
        ("reload", {"share": 0.1, "by_reward": 1}, "by_reward is 1; expected true or false"),
        ("routes", {}, "routes is missing"),
        ("routes", {"routes": "x"}, "expected a list of routes"),
        ("routes", {"routes": [{"name": "a", "examples": ["b"], "model": "no"}]}, "'no'"),
        ("routes", {"route": []}, "Unknown member 'route'"),
    ],
)
def test_what_cannot_be_is_refused(open_gateway: Open, path: str, body: Any, told: str) -> None:
    client = open_gateway()
    method = "POST" if path == "reload" else "PUT"
    found = client.request(method, f"/admin/{path}", json=body)
    assert (found.status_code, told in found.text) == (400, True), found.text
    assert client.get("/admin/models").headers["etag"] == '"1"'


def test_a_trial_needs_a_store_and_another_artifact(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    app = create_app(router, deployments, key="secret", load=lambda: ReadArtifact("", router))
    address = serve(app).removesuffix("/v1")
    found = httpx2.post(f"{address}/admin/reload", json={"share": 0.1}, headers=SECRET, timeout=30)
    assert (found.status_code, "A trial needs a store" in found.text) == (400, True)


def test_changes_are_shown_and_forgotten(
    router: gr.GraphRouter, open_gateway: Open, place: str
) -> None:
    first, path = open_gateway(), f"/admin/models/{router.models[0]}"
    first.put("/admin/policy", json={"policy": "cost_first"})
    first.delete(path)
    second = open_gateway()
    assert second.get("/admin/policy").json()["policy"] is not None
    assert second.get(path).status_code == 404
    store = Store.open(place)
    assert [forget_changes(store, time.time()), forget_changes(store, time.time())] == [2, 0]
    store.close()
    third = open_gateway()
    assert third.get("/admin/policy").json()["policy"] is None
    assert third.get(path).status_code == 200
    wait_for_revision(first, 4)
    assert first.get(path).status_code == 404  # it was not started again
    assert third.put("/admin/policy", json={"policy": "balanced"}).headers["etag"] == '"5"'
    wait_for_revision(first, 5)


def measure(values: np.ndarray) -> Measure:
    return Measure(len(values), float(values.sum()), float((values**2).sum()))


@pytest.mark.parametrize(("share", "mean"), [(0.1, 0.02), (0.5, 0.3)])
def test_alike_artifacts_are_seldom_told_apart_however_often_one_looks(
    share: float, mean: float
) -> None:
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(100):
        is_new, failed = rng.random(3_000) < share, (rng.random(3_000) < mean).astype(float)
        looks = range(50, 3_001, 50)
        wrong += any(
            tell_worse(Arm(measure(failed[:n][~is_new[:n]])), Arm(measure(failed[:n][is_new[:n]])))
            for n in looks
        )
    assert wrong <= 3  # of 100, where 1 is what the rule allows


def test_worse_ones_are_told_by_failures_grades_and_where_asked_for_rewards() -> None:
    some = Measure(500, 250.0, 200.0)
    lower = Measure(500, 150.0, 110.0)
    assert tell_worse(Arm(grade=some), Arm(grade=lower)) == "grades: 0.300 on trial, 0.500 before"
    assert tell_worse(Arm(grade=lower), Arm(grade=some)) is None
    assert tell_worse(Arm(reward=some), Arm(reward=lower)) is None
    assert tell_worse(Arm(reward=some), Arm(reward=lower), by_reward=True) is not None
    few = Measure(FEWEST - 1, 0.0, 0.0)
    assert tell_worse(Arm(grade=some), Arm(grade=few)) is None
    all_fail = Measure(FEWEST, float(FEWEST), float(FEWEST))
    assert tell_worse(Arm(Measure(200, 2, 2)), Arm(all_fail)) is not None
