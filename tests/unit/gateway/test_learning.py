"""A gateway that learns: newcomers that earn traffic, what it tells of that, what it may cost."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.gateway import Deployment, Memory, create_app
from graphrouter.gateway.exploring import Exploration
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.drift_watch import DriftSettings
from graphrouter.gateway.store.spending import name_day, read_spent
from graphrouter.gateway.store.store_tables import decisions
from graphrouter.gateway.store.stored_calls import EXPLORATION, WhatIsKept
from tests.unit.gateway.conftest import Deployments, Serve
from tests.unit.gateway.test_gateway import post
from tests.unit.gateway.test_memory import PRICES, ask, rows, wait_for

Start = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a new store is to be; `store` holds the tests of PostgreSQL."""
    return str(tmp_path / "gateway.db")


@pytest.fixture(scope="module")
def wider(router: gr.GraphRouter) -> gr.GraphRouter:
    """The router with a newcomer that resembles its best model."""
    best = router.count_outcomes().sort_values("mean_effect")["model"].iloc[-1]
    card = router.pool[best].model_dump(by_alias=True, exclude_none=True)
    return router.add_model(gr.ModelCard(**{**card, "model": "fresh"}))


@pytest.fixture
def start(wider: gr.GraphRouter, deployments: Deployments, serve: Serve, place: str) -> Start:
    """Starts a gateway with the newcomer; gives its address."""

    def start(key: str | None = None, **kept: Any) -> str:
        served = next(iter(deployments.values()))[0]
        fresh: Deployment = served._replace(candidate="fresh", body={"model": "at-fresh"})
        what = WhatIsKept(dict.fromkeys(wider.models, PRICES), "0f3c", **kept)
        memory = Memory(Store.open(place), what)
        policy = gr.Policy.preset("performance_first")
        served_all = {**deployments, "fresh": (fresh,)}
        return serve(
            create_app(wider, served_all, policy=policy, memory=memory, key=key, sessions=False)
        )

    return start


def read(
    address: str, path: str, key: str = "", *, method: str | None = None, body: object = None
) -> str:
    content = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    place = address.removesuffix("/v1") + path
    request = urllib.request.Request(place, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.read().decode())


def test_a_newcomer_is_tried_and_its_chance_written_down(store: Store, start: Start) -> None:
    exploration = Exploration(newcomers=0.5, seed=0)
    address = start(exploration=exploration, prompts="full")
    for number in range(24):
        ask(address, f"Which tarn is the {number}th deepest?")
    found = rows(store, decisions)
    chances = []
    for row in found:
        candidates = {each["model"]: each["propensity"] for each in json.loads(row.candidates)}
        assert sum(candidates.values()) == pytest.approx(1.0)
        assert candidates[row.asked] > 0
        if row.chosen != "fresh":
            chances.append(candidates["fresh"])
    assert max(chances) == pytest.approx(0.1)  # a fifth of one half
    tried = [row for row in found if row.asked == "fresh" != row.chosen]
    assert 0 < len(tried) < 12
    metrics = read(address, "/metrics")
    assert f'graphrouter_tried_total{{model="fresh"}} {len(tried)}.0' in metrics
    assert "graphrouter_exploration_decisions_total 24.0" in metrics
    assert 'graphrouter_newcomer_share{model="fresh"} 0.' in metrics
    page = read(address, "/")
    assert "fresh: 0 outcomes so far" in page
    assert "% of the last decisions of this process" in page


def test_grades_raise_a_newcomers_share_or_take_it(
    wider: gr.GraphRouter, store: Store, start: Start
) -> None:
    """Forty grades later: all of its share where they are good, nothing where they are bad."""
    prompts = [f"Which tarn is the {number}th deepest?" for number in range(60)]
    for effect, least, most in ((1.0, 0.3, 1.0), (0.0, 0.0, 0.01)):
        lessons = [{"prompt": each, "model": "fresh", "effect": effect} for each in prompts[:39]]
        taught = wider.add_outcomes(pd.DataFrame(lessons))
        exploration = Exploration(newcomers=0.5, seed=0)
        shares = []
        for prompt in prompts[40:]:
            decision = taught.route(prompt, policy=gr.Policy.preset("performance_first"))
            tried = exploration.try_one(decision, newcomers={"fresh": 39})
            shares.append(tried.propensities.get("fresh", 0.0))
        assert least <= sum(shares) / len(shares) <= most


def test_what_exploration_costs_is_kept_for_all_gateways(store: Store, start: Start) -> None:
    exploration = Exploration(1.0, "uniform", usd_per_day=1.0, seed=0)
    address = start(exploration=exploration)
    for number in range(12):
        ask(address, f"Which tarn is the {number}th deepest?")
    spent = exploration.figures.extra_nanousd
    assert spent > 0
    day = name_day(rows(store, decisions)[0].time)
    status, _ = post(address, "/route", {"prompt": "One more."})  # written behind the others
    assert status == 200
    with store.reader.connect() as connection:
        assert read_spent(connection, EXPLORATION, day) == spent
    other = Exploration(1.0, "uniform", usd_per_day=spent / 1e9, seed=0)
    address = start(exploration=other)
    for number in range(8):
        ask(address, f"How deep is tarn {number}?")
    for row in rows(store, decisions)[13:]:  # who costs no more may be tried all the same
        costs = {each["model"]: each["cost_nanousd"] for each in json.loads(row.candidates)}
        assert costs[row.asked] <= costs[row.chosen]
    assert other.figures.extra_nanousd == 0


def test_a_model_that_drops_is_found_told_and_left(start: Start) -> None:
    """Its answers are graded 0 from now on: an alarm, and it is not the first choice any more."""
    address = start(key="secret", drift=DriftSettings(1_000), prompts="full")
    prompts = [f"Which tarn is the {number}th deepest?" for number in range(18)]
    first = ask(address, prompts[0], key="secret")["x-graphrouter-model"]
    for prompt in prompts:
        headers = ask(address, prompt, key="secret")
        model, decision = (headers[f"x-graphrouter-{each}"] for each in ("model", "decision"))
        grade = {"decision": decision, "effect": 0.0 if model == first else 1.0}
        read(address, "/v1/outcomes", "secret", body=grade)

    def list_alarms() -> Any:
        return json.loads(read(address, "/admin/alarms", "secret"))["alarms"]

    wait_for(lambda: list_alarms() != [])
    (alarm,) = list_alarms()
    assert (alarm["model"], alarm["direction"], alarm["closed"]) == (first, "worse", None)
    assert alarm["message"].startswith(f"{first} answers worse than expected")
    metrics = read(address, "/metrics", "secret")
    assert f'drift_alarms{{direction="worse",model="{first}"}} 1.0' in metrics
    assert f"{first} answers worse than expected" in read(address, "/", "secret")
    wait_for(lambda: ask(address, prompts[7], key="secret")["x-graphrouter-model"] != first)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        read(address, "/admin/alarms")
    closed = read(address, f"/admin/alarms/{alarm['id']}", "secret", method="DELETE")
    assert json.loads(closed) == {"closed": alarm["id"]}
    for unknown in (alarm["id"], "0", "-1", "x", "9" * 40, "%C2%B2"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(address, f"/admin/alarms/{unknown}", "secret", method="DELETE")
    assert "answers worse than expected" not in read(address, "/", "secret")


def test_alarms_are_for_admins_with_a_key(start: Start) -> None:
    address = start(drift=DriftSettings())
    for method, path in (("GET", "/admin/alarms"), ("DELETE", "/admin/alarms/1")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            read(address, path, method=method)
