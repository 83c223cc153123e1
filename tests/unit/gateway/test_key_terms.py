"""What a key brings with it: a policy, a route, models that it may ask, and a team's budget."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.chats.usage import Usage
from graphrouter.gateway import Memory, create_app
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.store import GroupCommit, Store
from graphrouter.gateway.store.client_keys import KeyTerms, add_key, change_key, read_keys
from graphrouter.gateway.store.client_teams import put_team
from graphrouter.gateway.store.spending_report import read_spending
from graphrouter.gateway.store.store_tables import budgets
from graphrouter.gateway.store.stored_calls import WhatIsKept
from graphrouter.gateway.token_prices import TokenPrices, to_nanousd
from graphrouter.routes import Route, Routes
from tests.unit.gateway.conftest import Deployments, Serve
from tests.unit.gateway.store.test_spending import make_log, make_start
from tests.unit.gateway.test_gateway import ASKED

Ask = Callable[..., httpx2.Response]


@pytest.fixture
def ask(router: gr.GraphRouter, deployments: Deployments, serve: Serve, tmp_path: Path) -> Ask:
    """Asks a gateway with a new key of the terms that are given."""
    place = tmp_path / "gateway.db"
    last = router.models[-1]
    routes = Routes([Route(name="sums", description="Sums.", model=last)])
    store = Store.open(place)
    add_key(store, "first")
    memory = Memory(Store.open(place), WhatIsKept(dict.fromkeys(router.models, TokenPrices())))
    address = serve(create_app(router, deployments, routes=routes, memory=memory))

    def ask(terms: KeyTerms, path: str = "/chat/completions", **more: Any) -> httpx2.Response:
        key = add_key(store, str(time.time()), terms)
        with store.reader.connect() as connection:
            memory.keys = {each.id: each for each in read_keys(connection)}
        headers = {"authorization": f"Bearer {key}"} | more.pop("headers", {})
        if path == "/models":
            return httpx2.get(f"{address}{path}", headers=headers, timeout=30)
        body = {"model": "auto", "messages": ASKED} | more
        return httpx2.post(f"{address}{path}", json=body, headers=headers, timeout=30)

    return ask


def test_the_policy_of_a_key_decides_unless_the_request_states_one(
    router: gr.GraphRouter, ask: Ask
) -> None:
    cheap = router.route("Add 3 and 4.", policy=gr.Policy.preset("cost_first")).model
    best = router.route("Add 3 and 4.", policy=gr.Policy.preset("performance_first")).model
    assert cheap != best
    by_key = KeyTerms(policy="cost_first")
    assert ask(by_key).headers["x-graphrouter-model"] == cheap
    stated = {"x-graphrouter-policy": "performance_first"}
    assert ask(by_key, headers=stated).headers["x-graphrouter-model"] == best
    own = {"policy": "performance_first"}
    assert ask(by_key, graphrouter=own).headers["x-graphrouter-model"] == best
    settings = KeyTerms(policy=json.dumps({"allowed": [router.models[1]]}))
    assert ask(settings).headers["x-graphrouter-model"] == router.models[1]
    decided = ask(settings, "/route", prompt="Add 3 and 4.").json()
    assert decided["model"] == router.models[1]


def test_the_route_of_a_key_decides_unless_the_request_says_otherwise(
    router: gr.GraphRouter, ask: Ask
) -> None:
    by_key = KeyTerms(route="sums")
    found = ask(by_key)
    assert found.headers["x-graphrouter-model"] == router.models[-1]
    assert found.headers["x-graphrouter-route"] == "sums"
    assert "x-graphrouter-route" not in ask(by_key, model="auto:cost_first").headers
    assert "x-graphrouter-route" not in ask(by_key, graphrouter={"policy": "balanced"}).headers
    unknown = ask(KeyTerms(route="songs"))
    assert (unknown.status_code, "The route 'songs' of the key" in unknown.text) == (400, True)


def test_a_key_asks_the_models_that_it_may_and_no_other(router: gr.GraphRouter, ask: Ask) -> None:
    only = KeyTerms(models=[router.models[2]])
    assert ask(only).headers["x-graphrouter-model"] == router.models[2]
    assert ask(only, model=router.models[2]).status_code == 200
    named = ask(only, model=router.models[0])
    assert (named.status_code, named.json()["error"]["code"]) == (403, "model_not_allowed")
    listed = {each["id"] for each in ask(only, "/models").json()["data"]}
    assert listed & set(router.models) == {router.models[2]}
    contradicting = ask(only, graphrouter={"policy": {"excluded": [router.models[2]]}})
    assert contradicting.status_code == 400
    rejected = ask(only, "/route", prompt="Add 3 and 4.").json()["candidates"][-1]["rejected"]
    assert rejected is not None


@pytest.mark.parametrize("over_budget", ["refuse", "cheapest"])
def test_a_team_and_its_keys_are_held_to_both_budgets(store: Store, over_budget: Any) -> None:
    put_team(store, "search", nanousd_per_day=to_nanousd(0.025), over_budget=over_budget)
    for name in ("ada", "bob"):
        add_key(store, name, KeyTerms(team="search", nanousd_per_day=to_nanousd(0.02)))
    with store.reader.connect() as connection:
        ada, bob = read_keys(connection)
    writer = GroupCommit(store)
    log = make_log(store, writer)

    async def call() -> list[object]:
        found: list[object] = []
        for key in (ada, ada, bob, ada):  # each is expected to cost a cent
            try:
                opened = await log.begin(make_start(key.id))
            except ApiError as error:
                found.append(str(error))
                continue
            found.append(opened.order[0])
            opened.mark_first_byte()
            await opened.end(200, opened.order[0], usage=Usage(1_000, None, 0))
        return found

    told = asyncio.run(call())
    writer.close()
    with store.reader.connect() as connection:
        rows = connection.execute(sa.select(budgets)).all()
        spent = {row.owner_id: row.spent_nanousd for row in rows}
        by_team = read_spending(connection, by="team")
    assert {row.reserved_nanousd for row in rows} == {0}
    assert told[:2] == ["grand", "grand"]
    if over_budget == "refuse":
        assert "The budget of the team 'search'" in str(told[2])
        assert spent[ada.id] == spent[ada.team.id] == to_nanousd(0.02)  # type: ignore[union-attr]
        assert spent[bob.id] == 0
    else:
        assert told[2] == "nano"
        assert spent[bob.id] == to_nanousd(0.0001)
    assert "The budget of the key 'ada'" in str(told[3])  # which says to refuse
    assert [(row.name, row.num_calls) for row in by_team] == [("search", 2 + (told[2] == "nano"))]


def test_a_team_under_100_calls_at_once_is_overspent_by_none_that_was_foretold(
    store: Store,
) -> None:
    """Of two gateways that share a store, and keys that come in any order."""
    limit = to_nanousd(0.3)
    put_team(store, "search", nanousd_per_day=limit)
    for i in range(5):
        add_key(store, str(i), KeyTerms(team="search", nanousd_per_day=to_nanousd(0.1)))
    with store.reader.connect() as connection:
        keys = read_keys(connection)
    writers, refused = [GroupCommit(store), GroupCommit(store)], set()
    logs = [make_log(store, each) for each in writers]

    async def call(number: int) -> int:
        try:
            opened = await logs[number % 2].begin(make_start(keys[number * 7 % 5].id))
        except ApiError as error:
            refused.add(error.code)
            return 0
        opened.mark_first_byte()
        await opened.end(200, "grand", usage=Usage(1_000, None, 0))
        return 1

    async def call_all() -> list[int]:
        return await asyncio.gather(*map(call, range(100)))

    answered = sum(asyncio.run(call_all()))
    for each in writers:
        each.close()
    with store.reader.connect() as connection:
        rows = {row.owner_id: row for row in connection.execute(sa.select(budgets))}
    team = keys[0].team
    assert team is not None
    assert (answered, refused) == (30, {"budget_exceeded"})
    assert rows[team.id].spent_nanousd == limit
    assert sum(rows[key.id].spent_nanousd for key in keys) == limit
    assert {row.reserved_nanousd for row in rows.values()} == {0}


def test_what_is_not_stated_of_a_key_stays(store: Store) -> None:
    add_key(store, "ada", KeyTerms(scopes=["grade"], policy="balanced"))
    change_key(store, "ada", KeyTerms(models=["tarn-nano"]))
    change_key(store, "ada", KeyTerms())
    with store.reader.connect() as connection:
        (key,) = read_keys(connection)
    assert (key.scopes, key.policy, key.models) == (("grade",), "balanced", {"tarn-nano"})
