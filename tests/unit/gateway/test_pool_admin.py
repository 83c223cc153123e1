"""A pool that changes while it serves: what each change does, who may, and that nobody notices."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import httpx2
import pytest

import graphrouter as gr
from graphrouter.gateway import Deployment, create_app
from graphrouter.gateway.serving_state import ReadArtifact
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_gateway import ASKED

CARD = {"model": "fresh", "input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4, "tools": True}


@pytest.fixture
def small(router: gr.GraphRouter, provider: Provider, serve: Serve) -> Deployment:
    """An upstream of a model that is no candidate."""
    address = serve(provider.make_app())
    return Deployment("small", address, {"authorization": "x"}, {"model": "s"}, 5, 0)


@pytest.fixture
def admin(
    router: gr.GraphRouter, deployments: Deployments, small: Deployment, serve: Serve
) -> Iterator[httpx2.Client]:
    """A client with the key for admins."""
    served = deployments | {"small": (small,)}
    address = serve(
        create_app(router, served, key="secret", load=lambda: ReadArtifact("0f3c", router))
    )
    headers = {"authorization": "Bearer secret"}
    with httpx2.Client(base_url=address.removesuffix("/v1"), headers=headers, timeout=30) as client:
        yield client


def ask(client: httpx2.Client, model: str = "auto") -> httpx2.Response:
    return client.post("/v1/chat/completions", json={"model": model, "messages": ASKED})


def test_models_come_change_and_go(
    router: gr.GraphRouter, provider: Provider, admin: httpx2.Client, caplog: Any
) -> None:
    with caplog.at_level(logging.WARNING, logger="graphrouter.gateway.change_log"):
        listed = admin.get("/admin/models")
        assert [each["card"]["model"] for each in listed.json()["models"]] == list(router.models)
        assert "authorization" not in listed.text
        added = admin.post("/admin/models", json={"card": CARD, "like": router.models[0]})
        assert (added.status_code, added.headers["etag"]) == (201, '"2"')
        assert ask(admin, "fresh").status_code == 200
        assert provider.asked[-1]["model"] == "fresh"
        policy = {"policy": {"allowed": ["fresh"]}}
        body = {"model": "auto", "messages": ASKED, "graphrouter": policy}
        found = admin.post("/v1/chat/completions", json=body)
        assert found.headers["x-graphrouter-model"] == "fresh"
        before = float(found.headers["x-graphrouter-expected-cost-usd"])
        dearer = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 4.0}
        told = admin.patch("/admin/models/fresh", json=dearer | {"cached_input_usd_per_mtok": 0.5})
        assert told.json()["card"] == CARD | dearer
        found = admin.post("/v1/chat/completions", json=body)
        after = float(found.headers["x-graphrouter-expected-cost-usd"])
        assert after == pytest.approx(10 * before, rel=0.05)  # tokens are foretold by prices too
        assert admin.delete("/admin/models/fresh").json()["models"] == list(router.models)
        assert ask(admin, "fresh").status_code == 404
    assert [str(record.args[2]) for record in caplog.records] == [
        "model added: fresh",
        "model changed: fresh: input_usd_per_mtok, output_usd_per_mtok, cached_input_usd_per_mtok",
        "model removed: fresh",
    ]
    assert {record.args[1] for record in caplog.records} == {"operator"}


def test_a_served_model_becomes_a_candidate_with_its_outcomes(
    router: gr.GraphRouter, provider: Provider, admin: httpx2.Client
) -> None:
    prompts = router.support.queries["prompt"].tolist()[:20]
    outcomes = [{"prompt": each, "model": "small", "effect": 1.0} for each in prompts]
    body = {"card": {"model": "small"}, "outcomes": outcomes, "parameters": {"seed": 7}}
    assert admin.post("/admin/models", json=body).status_code == 201
    ask(admin, "small")
    assert provider.asked[-1] == {"model": "s", "messages": ASKED, "seed": 7}
    own = {"policy": {"preset": "performance_first", "allowed": ["small"]}}
    decided = admin.post("/v1/route", json={"prompt": prompts[0], "graphrouter": own}).json()
    assert decided["effect"] > 0.7


def test_changes_of_others_are_not_overwritten(admin: httpx2.Client) -> None:
    tag = admin.get("/admin/models").headers["etag"]
    name = admin.get("/admin/models").json()["models"][0]["card"]["model"]
    path, match = f"/admin/models/{name}", {"if-match": tag}
    assert admin.patch(path, json={"description": "A."}, headers=match).status_code == 200
    late = admin.patch(path, json={"description": "B."}, headers=match)
    assert late.status_code == 412
    assert 'it is at "2", and If-Match says "1"' in late.json()["error"]["message"]
    assert admin.get(path).json()["card"]["description"] == "A."
    assert admin.patch(path, json={"description": "B."}, headers={"if-match": "*"}).is_success


def test_the_policy_and_the_artifact(router: gr.GraphRouter, admin: httpx2.Client) -> None:
    assert admin.get("/admin/policy").json()["policy"] is None
    assert admin.put("/admin/policy", json={"policy": "cost_first"}).status_code == 200
    assert admin.get("/admin/policy").json()["policy"]["cost_weight"] == 0.8
    cheap = gr.Policy.preset("cost_first")
    found = ask(admin).headers["x-graphrouter-model"]
    assert found == router.route("Add 3 and 4.", policy=cheap).model
    admin.post("/admin/models", json={"card": CARD, "like": router.models[0]})
    admin.delete(f"/admin/models/{router.models[1]}")
    told = admin.post("/admin/reload")
    assert told.json()["models"] == list(router.models)
    assert ask(admin, router.models[1]).status_code == 200
    assert ask(admin, "fresh").status_code == 404
    assert ask(admin, "small").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "models", {"card": {}}, 400, "card: the field 'model' is missing"),
        ("POST", "models", {"card": 5}, 400, "card is 5; expected an object"),
        ("POST", "models", {"cards": 5}, 400, "Unknown member 'cards'. Did you mean 'card'"),
        ("POST", "models", {"card": CARD}, 400, "like is 'fresh'; expected a name in the file"),
        ("POST", "models", {"card": CARD, "like": 5}, 400, "like is 5; expected"),
        ("POST", "models", {"card": CARD, "like": "small", "model": 5}, 400, "Expected text as"),
        ("POST", "models", {"card": CARD, "like": "small", "outcomes": [5]}, 400, "outcomes is"),
        ("POST", "models", {"card": CARD, "outcomes": [{"effect": 2}]}, 400, "outcomes, row 1"),
        ("POST", "models", {"card": {"model": "tarn-grand"}}, 400, "tarn-grand"),
        ("PATCH", "models/none", {}, 404, "There is no model 'none'"),
        ("PATCH", "models/tarn-grand", {"price": -1}, 400, "unknown field 'price'"),
        ("PATCH", "models/tarn-grand", {"model": "x"}, 400, "A model keeps its name"),
        ("PATCH", "models/tarn-grand", {"input_usd_per_mtok": -1}, 400, "input_usd_per_mtok"),
        ("PATCH", "models/tarn-grand", {"cached_input_usd_per_mtok": "x"}, 400, "expected dollars"),
        ("DELETE", "models/none", None, 404, "There is no model 'none'"),
        ("PUT", "policy", {"policy": "dear"}, 400, "dear"),
        ("PUT", "policy", {"policy": {"max_cost_usd": 1e-12}}, 400, "No model satisfies"),
        ("PUT", "policy", {}, 400, "policy"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    admin: httpx2.Client, method: str, path: str, body: object, status: int, told: str
) -> None:
    found = admin.request(method, f"/admin/{path}", json=body)
    assert found.status_code == status, found.text
    assert told in found.json()["error"]["message"]
    assert admin.get("/admin/models").headers["etag"] == '"1"'


def test_without_a_key_for_admins_nobody_may(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve, admin: httpx2.Client
) -> None:
    open_one = serve(create_app(router, deployments)).removesuffix("/v1")
    found = httpx2.get(f"{open_one}/admin/models", timeout=30)
    assert (found.status_code, "no key for admins" in found.text) == (403, True)
    assert admin.get("/admin/models", headers={"authorization": "Bearer no"}).status_code == 401


def test_requests_in_flight_finish_on_what_they_began_with(
    router: gr.GraphRouter, provider: Provider, admin: httpx2.Client
) -> None:
    dearer, gone = router.models[:2]
    provider.waits = {f"at-{name}": 1.0 for name in (dearer, gone)}
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask, admin, name) for name in (dearer, gone)]
        while len(provider.asked) < 2:
            time.sleep(0.01)
        assert admin.patch(f"/admin/models/{dearer}", json={"tools": False}).is_success
        assert admin.delete(f"/admin/models/{gone}").is_success
        assert not any(each.done() for each in asked)
        answers = [each.result() for each in asked]
    assert [each.status_code for each in answers] == [200, 200]
    assert [each.headers["x-graphrouter-model"] for each in answers] == [dearer, gone]
    body = {"model": gone, "messages": ASKED, "stream": True, "user": "long"}
    assert admin.post("/v1/chat/completions", json=body).status_code == 404
    body |= {"model": dearer}
    provider.waits = {}
    with admin.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert admin.delete(f"/admin/models/{dearer}").is_success
        assert sum(line.startswith("data:") for line in islice(lines, 100)) > 40


def change_under_traffic(
    router: gr.GraphRouter, admin: httpx2.Client, num_changes: int
) -> tuple[int, list[str]]:
    """How many requests were answered, and what went wrong."""
    wrong, count, stop = list[str](), [0], threading.Event()
    gone = set[str]()

    def use() -> None:
        with httpx2.Client(base_url=admin.base_url, headers=admin.headers, timeout=30) as client:
            while not stop.is_set():
                before = set(gone)
                found = ask(client)
                count[0] += 1
                if found.status_code != 200:
                    wrong.append(found.text)
                elif found.headers["x-graphrouter-model"] in before:
                    wrong.append(f"{found.headers['x-graphrouter-model']} was gone")

    users = [threading.Thread(target=use) for _ in range(3)]
    for each in users:
        each.start()
    for i in range(num_changes // 2):
        name = f"fresh-{i}"
        card = CARD | {"model": name}
        assert admin.post("/admin/models", json={"card": card, "like": "small"}).is_success
        assert admin.delete(f"/admin/models/{name}").is_success
        gone.add(name)
    stop.set()
    for each in users:
        each.join()
    return count[0], wrong


def test_changes_under_traffic_fail_no_request(
    router: gr.GraphRouter, admin: httpx2.Client
) -> None:
    assert admin.put("/admin/policy", json={"policy": "cost_first"}).is_success
    count, wrong = change_under_traffic(router, admin, 20)
    assert count > 0
    assert wrong == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_changes_under_traffic_fail_no_request(
    router: gr.GraphRouter, admin: httpx2.Client
) -> None:
    count, wrong = change_under_traffic(router, admin, 500)
    assert count > 100
    assert wrong == []
    assert admin.get("/admin/models").headers["etag"] == '"501"'
