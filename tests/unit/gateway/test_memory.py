"""Decisions, calls and grades of a gateway that remembers, with OpenAI's own client."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pandas as pd
import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.gateway import Memory, create_app
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.exploring import Exploration
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.client_keys import KeyTerms, add_key, revoke_key
from graphrouter.gateway.store.store_tables import METADATA, calls, decisions, outcomes
from graphrouter.gateway.store.stored_calls import WhatIsKept
from graphrouter.gateway.store.stored_outcomes import read_grades
from graphrouter.gateway.token_prices import TokenPrices, to_nanousd
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_gateway import ASKED, connect, post

PRICES = TokenPrices.of_usd(1.0, 4.0, 0.1)
Start = Callable[..., str]


@pytest.fixture
def start(router: gr.GraphRouter, deployments: Deployments, serve: Serve, place: str) -> Start:
    """Starts a gateway that remembers; gives its address."""

    def start(key: str | None = None, **kept: Any) -> str:
        prices = dict.fromkeys(router.models, PRICES)
        memory = Memory(Store.open(place), WhatIsKept(prices, "0f3c", **kept))
        return serve(create_app(router, deployments, memory=memory, key=key))

    return start


def get(address: str, path: str, key: str = "none") -> Any:
    request = urllib.request.Request(address + path, headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def ask(
    address: str, prompt: str = "Add 3 and 4.", model: str = "auto", key: str = "none", **more: Any
) -> Any:
    """The headers of an answer."""
    messages: Any = [{"role": "user", "content": prompt}]
    with connect(address, key) as client:
        raw = client.chat.completions.with_raw_response
        return raw.create(model=model, messages=messages, **more).headers


def rows(store: Store, table: sa.Table) -> list[Any]:
    with store.reader.connect() as connection:
        return list(connection.execute(sa.select(table)).all())


def wait_for(found: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_decision_is_explained(router: gr.GraphRouter, store: Store, start: Start) -> None:
    address = start()
    headers = ask(address, extra_body={"graphrouter": {"task": "translation"}})
    found = get(address, f"/decisions/{headers['x-graphrouter-decision']}")
    decision = router.route("Add 3 and 4.", task="translation")
    assert found["chosen"] == found["asked"] == headers["x-graphrouter-model"] == decision.model
    assert [each["model"] for each in found["candidates"]] == [
        each.model for each in decision.candidates
    ]
    first = found["candidates"][0]
    assert first["effect"] == pytest.approx(decision.effect)
    assert first["effect_low"] == pytest.approx(decision.effect_low)
    assert first["cost_usd"] == pytest.approx(decision.cost_usd, abs=1e-9)
    assert [each["propensity"] for each in found["candidates"]] == [1.0, 0.0, 0.0, 0.0]
    assert (found["task"], found["artifact"], found["prompt"]) == ("translation", "0f3c", None)
    assert found["call"]["cost_usd"] == pytest.approx((3 * 1 + 2 * 4) / 1e6)
    assert (found["call"]["status"], found["call"]["num_attempts"]) == (200, 1)
    assert (found["call"]["input_tokens"], found["call"]["output_tokens"]) == (3, 2)
    for unknown in ("nothing", "a%00", "%F0%9F%8F%94"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(address, f"/decisions/{unknown}")


def test_the_expected_cost_counts_all_that_is_sent(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    address = start()
    said: Any = [
        {"role": "system", "content": "Be brief. " * 400},
        {"role": "user", "content": "Add 3 and 4."},
    ]
    tool = {"name": "add", "description": "Adds. " * 100, "parameters": {"type": "object"}}
    with connect(address) as client:
        raw = client.chat.completions.with_raw_response
        whole = raw.create(
            model="auto", messages=said, tools=[{"type": "function", "function": tool}]
        ).headers
        named = raw.create(model=router.models[0], messages=said).headers
    short = ask(address)
    (of_whole, of_named, of_short) = rows(store, decisions)
    assert of_short.expected_nanousd == pytest.approx(
        1e9 * (router.route("Add 3 and 4.").cost_usd or 0.0), rel=1e-3
    )

    def count(nanousd: int, model: str) -> float:
        return nanousd / 1_000 / (router.pool[model].input_usd_per_mtok or 0.0)

    more = of_whole.expected_nanousd - of_short.expected_nanousd
    assert 1_150 < count(more, of_whole.asked) < 1_250  # 4,000 bytes, and some 800 of the tool
    told = float(whole["x-graphrouter-expected-cost-usd"])
    assert told == pytest.approx(of_whole.expected_nanousd / 1e9, rel=1e-4)
    assert count(of_named.expected_nanousd, router.models[0]) == pytest.approx(1_003, rel=0.01)
    assert "x-graphrouter-expected-cost-usd" not in named
    assert whole["x-graphrouter-model"] == short["x-graphrouter-model"]


def test_texts_that_no_database_keeps_stop_nobody(store: Store, start: Start) -> None:
    address = start(prompts="full")
    status, _ = post(address, "/route", {"prompt": "A zero \0.", "graphrouter": {"task": "\0"}})
    assert status == 200
    ask(address)
    assert [(row.prompt, row.task) for row in rows(store, decisions)] == [
        ("A zero ?.", "?"),
        ("Add 3 and 4.", None),
    ]


def test_prompts_are_kept_as_asked_for(store: Store, start: Start) -> None:
    for kind in ("off", "hashed", "full"):
        address = start(prompts=kind)
        ask(address, "The secret word is tarn.")
        ask(address, "The secret word is tarn.")
    found = rows(store, decisions)
    assert [row.prompt for row in found] == [None] * 4 + ["The secret word is tarn."] * 2
    assert [row.prompt_hash is None for row in found] == [True] * 2 + [False] * 4
    assert len({row.prompt_hash for row in found[2:]}) == 1


def test_what_is_named_observed_and_only_decided(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    chosen = router.route("Add 3 and 4.").model
    other = next(name for name in router.models if name != chosen)
    ask(start(), model=other)
    address = start(observes=True)
    assert ask(address, model=other)["x-graphrouter-model"] == other
    post(address, "/route", {"prompt": "Add 3 and 4."})
    named, observed, routed = rows(store, decisions)
    assert (named.chosen, named.asked, named.is_observed) == (None, other, False)
    assert (observed.chosen, observed.asked, observed.is_observed) == (chosen, other, True)
    assert (routed.chosen, routed.asked, routed.is_observed) == (chosen, None, False)
    chances = {each["model"]: each["propensity"] for each in json.loads(observed.candidates)}
    assert chances == {name: float(name == other) for name in router.models}
    assert len(rows(store, calls)) == 2


def test_explored_decisions_keep_their_propensities(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    address = start(exploration=Exploration(1.0, "uniform", seed=0))
    asked = [ask(address)["x-graphrouter-model"] for _ in range(12)]
    found = rows(store, decisions)
    assert [row.asked for row in sorted(found, key=lambda row: row.time)] == asked
    assert len(set(asked)) > 1
    assert {row.chosen for row in found} == {router.route("Add 3 and 4.").model}
    for row in found:
        assert [each["propensity"] for each in json.loads(row.candidates)] == [0.25] * 4


def test_a_budget_has_no_room_while_a_call_is_in_flight(
    router: gr.GraphRouter, provider: Provider, store: Store, start: Start
) -> None:
    decision = router.route("Add 3 and 4.")
    assert decision.cost_usd is not None
    key = add_key(store, "ada", KeyTerms(nanousd_per_day=to_nanousd(1.5 * decision.cost_usd)))
    address = start()
    provider.waits[f"at-{decision.model}"] = 1.0
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, address, key=key)
        wait_for(lambda: provider.asked)
        with pytest.raises(openai.RateLimitError, match="The budget of the key 'ada'") as told:
            ask(address, key=key)
        assert told.value.code == "budget_exceeded"
        assert first.result()["x-graphrouter-model"] == decision.model
    provider.waits.clear()
    ask(address, key=key)  # it has cost less than was expected
    assert [row.cost_nanousd for row in rows(store, calls)] == [11_000, 11_000]


def test_streams_are_billed_by_what_they_tell(
    router: gr.GraphRouter, provider: Provider, store: Store, start: Start
) -> None:
    address = start()
    for options in (openai.omit, {"include_usage": True}):
        with connect(address).chat.completions.create(
            model="auto", messages=ASKED, stream=True, stream_options=options
        ) as stream:
            chunks = list(stream)
        assert (chunks[-1].usage is None) == (options is openai.omit)
        told = [getattr(chunk, "graphrouter", None) for chunk in chunks]
        assert told[0] is not None
        last = -1 if options is openai.omit else -2
        assert [each for each in told if each] == [told[0], told[last]] == [told[0]] * 2
    with connect(address).chat.completions.create(
        model="auto", messages=ASKED, stream=True, user="long"
    ) as stream:
        next(iter(stream))
    wait_for(lambda: len(rows(store, calls)) == 3)
    assert told[0]["decision"] == rows(store, calls)[1].decision_id
    _, told, left = rows(store, calls)
    assert (told.status, told.cost_nanousd) == (200, 11_000)
    assert (left.status, left.cost_nanousd) == (499, None)


def test_a_grade_moves_the_next_decision_within_a_second(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    address, other = start(prompts="full"), start(prompts="full")
    prompt, best = "Which tarn is the deepest?", "auto:performance_first"
    first = ask(address, prompt, best)
    chosen = first["x-graphrouter-model"]
    grade = {"decision": first["x-graphrouter-decision"], "thumb": "down", "grader": "ada"}
    for number in range(3):
        status, told = post(address, "/outcomes", grade | {"id": f"grade{number}"})
        assert (status, told["is_new"], told["teaches"]) == (200, True, True)
        assert (told["model"], told["effect"]) == (chosen, 0.0)
    frame = pd.DataFrame({"prompt": [prompt] * 3, "model": [chosen] * 3, "effect": [0.0] * 3})
    policy = gr.Policy.preset("performance_first")
    expected, before = (
        next(c.effect for c in each.route(prompt, policy=policy).candidates if c.model == chosen)
        for each in (router.add_outcomes(frame), router)
    )
    assert expected < before - 0.01
    for each in (address, other):  # they look every half second; the test waits for slow machines
        wait_for(lambda each=each: effect_of(each, prompt, chosen) == pytest.approx(expected))
    (again,) = get(address, f"/decisions/{grade['decision']}")["outcomes"][:1]
    assert (again["grader"], again["effect"]) == ("ada", 0.0)
    assert effect_of(start(), prompt, chosen) == pytest.approx(expected)


def effect_of(address: str, prompt: str, model: str) -> float:
    own = {"policy": {"preset": "performance_first"}}
    _, decided = post(address, "/route", {"prompt": prompt, "graphrouter": own})
    return next(each["effect"] for each in decided["candidates"] if each["model"] == model)


def test_a_grade_of_a_model_that_is_not_there_is_refused(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    address, meant = start(), router.models[0]
    grade = {"prompt": "Add 3 and 4.", "effect": 1}
    status, told = post(address, "/outcomes", grade | {"model": meant[:-1]})
    assert (status, told["error"]["param"]) == (400, "model")
    assert f"Did you mean '{meant}'?" in told["error"]["message"]
    several = [grade | {"model": meant}, grade | {"model": "nobody"}]
    assert post(address, "/outcomes", {"outcomes": several})[0] == 400
    assert rows(store, outcomes) == []


def test_a_grade_counts_once_and_says_whether_it_teaches(store: Store, start: Start) -> None:
    address = start()
    headers = ask(address)
    grade = {"id": "g1", "decision": headers["x-graphrouter-decision"], "effect": 0.25}
    assert post(address, "/outcomes", grade)[1]["teaches"] is False  # nobody has given the text
    assert post(address, "/outcomes", grade) == (200, post(address, "/outcomes", grade)[1])
    assert post(address, "/outcomes", grade)[1]["is_new"] is False
    status, told = post(address, "/outcomes", grade | {"effect": 0.5})
    assert (status, told["error"]["param"]) == (409, "id")
    more = [
        {"id": "g2", "decision": grade["decision"], "effect": 1, "prompt": "Add 3 and 4."},
        {"id": "g3", "model": headers["x-graphrouter-model"], "prompt": "Hello.", "thumb": "up"},
    ]
    status, told = post(address, "/outcomes", {"outcomes": more})
    assert [each["teaches"] for each in told["outcomes"]] == [True, True]
    assert [row.id for row in rows(store, outcomes)] == ["g1", "g2", "g3"]
    status, told = post(address, "/outcomes", {"outcomes": [more[0] | {"id": "g4"}, {}]})
    assert status == 400
    status, _ = post(
        address,
        "/outcomes",
        {"outcomes": [more[0] | {"id": "g5"}, more[0] | {"id": "g6", "decision": "none"}]},
    )
    assert status == 404
    assert len(rows(store, outcomes)) == 3  # of several all are taken, or none


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"effect": 1.0}, "Expected decision, or model and prompt"),
        ({"decision": "a", "effect": 1.5}, "expected a number from 0 to 1"),
        ({"decision": "a", "effect": True}, "expected a number from 0 to 1"),
        ({"decision": "a", "thumb": "sideways"}, "expected up or down"),
        ({"decision": "a", "thumb": "up", "effect": 1}, "one of effect and thumb"),
        ({"decision": "a"}, "one of effect and thumb"),
        ({"decision": "a", "effort": 1}, "unknown member 'effort'. Did you mean 'effect'"),
        ({"decision": 3, "effect": 1}, "expected a text"),
        ({"decision": "a\0", "effect": 1}, "no valid Unicode"),
        ({"decision": "a", "effect": 1, "id": "x" * 201}, "has 201 characters"),
        ({"outcomes": 3}, "Expected a list"),
        ({"outcomes": [3]}, "expected an object"),
    ],
)
def test_grades_that_are_none(body: Any, told: str) -> None:
    with pytest.raises(ApiError, match=told):
        read_grades(body)


def test_keys_are_asked_for_and_hold_to_their_scopes(store: Store, start: Start) -> None:
    route, grade, admin = (
        add_key(store, name, KeyTerms(scopes=[name])) for name in ("route", "grade", "admin")
    )
    address = start(key="operator")
    with pytest.raises(openai.AuthenticationError):
        ask(address, key=route + "x")
    mine = ask(address, key=route)["x-graphrouter-decision"]
    ask(address, key="operator")
    with pytest.raises(openai.PermissionDeniedError, match="lacks the scope route"):
        ask(address, key=grade)
    others = ask(address, key=admin)["x-graphrouter-decision"]
    assert get(address, f"/decisions/{mine}", route)["id"] == mine
    assert get(address, f"/decisions/{mine}", admin)["id"] == mine
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(address, f"/decisions/{others}", route)
    revoke_key(store, "route")
    wait_for(lambda: is_refused(address, route))
    names = {row.key_id for row in rows(store, decisions)}
    assert "operator" in names
    assert len(names) == 3
    text = "".join(str(row) for table in store_tables() for row in rows(store, table))
    assert route not in text
    assert admin.rpartition("-")[2] not in text


def store_tables() -> list[sa.Table]:
    return list(METADATA.tables.values())


def is_refused(address: str, key: str) -> bool:
    try:
        ask(address, key=key)
    except openai.AuthenticationError:
        return True
    return False


@pytest.mark.parametrize("has_store", [True, False])
def test_a_process_that_does_nothing_else_looks_for_no_garbage_and_multiplies_in_one_thread(
    router: gr.GraphRouter,
    deployments: Deployments,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_store: bool,
) -> None:
    frozen, limited = threading.Event(), list[int]()
    monkeypatch.setattr("graphrouter.gateway.app.gc.freeze", frozen.set)
    monkeypatch.setattr("graphrouter.gateway.app.threadpool_limits", limited.append)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if has_store:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    for is_alone in (False, True):
        kept = WhatIsKept({}, "0f3c")
        memory = Memory(Store.open(tmp_path / f"{is_alone}.db"), kept) if has_store else None
        serve(create_app(router, deployments, memory=memory, is_alone=is_alone))
        assert frozen.wait(30 if is_alone else 0.3) == is_alone
    assert limited == ([] if has_store else [1]), "what the operator says counts"
