"""Texts that are kept: as the operator's function leaves them, and no longer than they may be."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.exceptions import ConfigError
from graphrouter.gateway import Memory, create_app, memory
from graphrouter.gateway.redaction import Redaction, load_redaction
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.feedback_dataset import read_feedback
from graphrouter.gateway.store.feedback_learner import teach
from graphrouter.gateway.store.replaying import read_log
from graphrouter.gateway.store.retention import DAY_S, delete_prompts, forget_user
from graphrouter.gateway.store.store_tables import calls, changes, decisions, outcomes
from graphrouter.gateway.store.stored_calls import WhatIsKept
from graphrouter.gateway.store.stored_changes import StoredChange, append_change
from graphrouter.gateway.store.stored_outcomes import read_lessons
from graphrouter.gateway.token_prices import TokenPrices
from tests.unit.gateway.conftest import Deployments, Serve
from tests.unit.gateway.test_memory import rows, wait_for

Start = Callable[..., httpx2.Client]


@pytest.fixture
def start(router: gr.GraphRouter, deployments: Deployments, serve: Serve, place: str) -> Start:
    def start(**kept: Any) -> httpx2.Client:
        prices = dict.fromkeys(router.models, TokenPrices())
        found = Memory(Store.open(place), WhatIsKept(prices, **kept))
        return httpx2.Client(
            base_url=serve(create_app(router, deployments, memory=found)), timeout=30
        )

    return start


def hide(text: str) -> str:
    if "explode" in text:
        raise ValueError(f"cannot hide {text}")
    return text.replace("Ada", "[name]")


def route(client: httpx2.Client, prompt: str) -> str:
    told = client.post("/route", json={"prompt": prompt})
    return str(told.headers["x-graphrouter-decision"])


def test_only_the_redacted_text_is_kept_of_decisions_and_grades(
    router: gr.GraphRouter, store: Store, start: Start, caplog: Any
) -> None:
    with start(prompts="full", redact=Redaction(hide)) as client:
        decision = route(client, "What did Ada sum?")
        with caplog.at_level(logging.WARNING):
            route(client, "Ada will explode.")
        of_answer = {"decision": decision, "model": router.models[0], "thumb": "up"}
        by_prompt = {"model": router.models[0], "prompt": "Ada asks.", "effect": 0.5}
        for grade in (of_answer, by_prompt):
            assert client.post("/outcomes", json=grade).json()["teaches"]
        figures = httpx2.get(str(client.base_url).replace("v1/", "metrics"), timeout=30).text
    assert [row.prompt for row in rows(store, decisions)] == ["What did [name] sum?", None]
    assert [row.prompt for row in rows(store, outcomes)] == ["What did [name] sum?", "[name] asks."]
    assert "could not be redacted (ValueError)" in caplog.text
    assert "Ada" not in caplog.text
    assert "graphrouter_redaction_failures_total 1.0" in figures


PROMPT = "Which tarn is the deepest?"
LAKES = {"context": ["Ada's lakes.", "More."], "embedding": {"vector": [0.5, 0.1], "encoder": "c"}}


def route_with(client: httpx2.Client, prompt: str, views: dict[str, Any]) -> str:
    told = client.post("/route", json={"prompt": prompt, "graphrouter": views})
    return str(told.headers["x-graphrouter-decision"])


def test_what_goes_with_a_prompt_is_kept_graded_exported_and_deleted(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    with start(prompts="full", redact=Redaction(hide)) as client:
        asked = [route_with(client, PROMPT, views) for views in (LAKES, {"context": "Other."}, {})]
        spoiled = route_with(client, PROMPT, {"context": ["Fine.", "This will explode."]})
        for number, decision in enumerate(asked):
            grade = {"decision": decision, "model": router.models[0], "effect": number / 2}
            assert client.post("/outcomes", json=grade).json()["teaches"]
        own = {"decision": spoiled, "model": router.models[0], "prompt": PROMPT, "effect": 1}
        client.post("/outcomes", json=own).raise_for_status()
        told = client.get(f"/decisions/{asked[0]}").json()
    assert told["context"] == ["[name]'s lakes.", "More."]
    assert told["embedding"] == pytest.approx([0.5, 0.1])
    with store.reader.connect() as connection:
        lessons = read_lessons(connection)
        log = [json.loads(row.context) for row in rows(store, decisions) if row.context]
        exported = read_feedback(connection).dataset
    assert log == [["[name]'s lakes.", "More."], ["Other."]]
    assert lessons["context"].notna().tolist() == [True, True, False, False]
    assert exported.queries["context"].tolist() == [["[name]'s lakes.", "More."], ["Other."], None]
    assert exported.queries["embedding_encoder"].notna().tolist() == [True, False, False]
    assert exported.outcomes["effect"].tolist() == [0.0, 0.5, 1.0]
    taught = teach(router, lessons)
    assert isinstance(taught, gr.GraphRouter)
    assert (taught.support.queries["prompt"] == PROMPT).sum() == 3
    assert delete_prompts(store, time.time() + 1) == 7
    for table in (decisions, outcomes):
        for row in rows(store, table):
            assert row.prompt is row.context is row.embedding is row.embedding_encoder is None


def blank(text: str) -> str:
    return "" if "secret" in text else text


def test_what_redaction_leaves_nothing_of_is_not_kept(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    with start(prompts="full", redact=Redaction(blank)) as client:
        asked = [
            route_with(client, PROMPT, {"context": ["Lakes.", "All secret."]}),
            route_with(client, PROMPT, {"context": ["All secret."]}),
            route_with(client, "A secret?", {"context": ["Lakes."]}),
            route_with(client, "", {"context": ["Lakes."]}),
            route(client, ""),
        ]
        grades: list[dict[str, Any]] = [{"decision": each} for each in asked]
        teaches = [
            client.post("/outcomes", json={**each, "model": router.models[0], "effect": 1}).json()
            for each in (*grades, {"prompt": "A secret."})
        ]
    assert [each["teaches"] for each in teaches] == [True, False, False, True, False, False]
    with store.reader.connect() as connection:
        lessons = read_lessons(connection)
        found = read_feedback(connection)
    assert lessons["context"].tolist() == ['["Lakes."]'] * 2
    assert (len(found.dataset.outcomes), found.num_unknown, found.unreadable) == (2, 4, ())


def test_a_grade_that_cannot_be_read_spoils_no_other(
    router: gr.GraphRouter, store: Store, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with start(prompts="full") as client:
        vectors = ([1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 1.0])
        for number, vector in enumerate(vectors):
            views = {"embedding": {"vector": vector, "encoder": "clip"}, "context": ["Lakes."]}
            decision = route_with(client, f"{PROMPT} {number}", views)
            grade = {"decision": decision, "model": router.models[0], "effect": 1}
            client.post("/outcomes", json={**grade, "id": f"g{number}"}).raise_for_status()
    call = {"status": 200, "num_attempts": 1, "failures": "", "latency_s": 1.0}
    with store.engine.begin() as connection:  # as stores of before have them
        blanked = sa.update(outcomes).where(outcomes.c.id == "g0")
        connection.execute(blanked.values(context='["Lakes.", ""]'))
        asked = {"context": '["Lakes.", ""]', "asked": decisions.c.chosen}
        connection.execute(sa.update(decisions).values(asked))
        for each in connection.execute(sa.select(decisions)).all():
            row = {"decision_id": each.id, "time": each.time, "model": each.asked, **call}
            connection.execute(sa.insert(calls).values(row))
    with store.reader.connect() as connection:
        found, lessons, log = (
            read_feedback(connection),
            read_lessons(connection),
            read_log(connection),
        )
    assert found.unreadable == ("g1",)
    assert found.dataset.queries["context"].tolist() == [["Lakes."], ["Lakes."]]
    assert [len(each) for each in found.dataset.queries["embedding"]] == [2, 2]
    assert len(lessons) == 2
    assert "cannot be read: g1" in caplog.text
    assert [each.prompt for each in log] == [f"{PROMPT} 0", None, f"{PROMPT} 2"]
    assert [each.context for each in log] == [("Lakes.",), None, ("Lakes.",)]
    taught = teach(router, lessons)
    assert isinstance(taught, gr.GraphRouter)
    assert len(taught.support.queries) == len(router.support.queries) + 2


def test_without_prompts_nothing_that_goes_with_them_is_kept(store: Store, start: Start) -> None:
    for prompts in ("off", "hashed"):
        with start(prompts=prompts) as client:
            route_with(client, PROMPT, LAKES)
    assert [(row.context, row.embedding) for row in rows(store, decisions)] == [(None, None)] * 2


def test_what_went_with_the_prompts_of_a_user_goes_with_them(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    with start(prompts="full") as client:
        decision = route_with(client, PROMPT, LAKES)
        grade = {"decision": decision, "model": router.models[0], "thumb": "up", "user": "ann"}
        client.post("/outcomes", json=grade).raise_for_status()
    assert forget_user(store, "ann") == 1
    assert [(row.prompt, row.context) for row in rows(store, decisions)] == [(None, None)]


def test_hashes_are_of_the_redacted_text(store: Store, start: Start) -> None:
    with start(prompts="hashed", redact=Redaction(hide)) as client:
        for prompt in ("Ada sums.", "[name] sums.", "Bob sums."):
            route(client, prompt)
    first, second, third = (row.prompt_hash for row in rows(store, decisions))
    assert first == second != third


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("redact", "'redact' names no function"),
        ("nowhere.redact", "nowhere.redact cannot be imported (ModuleNotFoundError"),
        ("textwrap.nothing", "cannot be imported (AttributeError"),
        ("math.pi", "math.pi is a float; expected a function"),
        ("builtins.len", "does not make a text of the text 'Hello.'"),
        ("builtins.int", "does not make a text of the text 'Hello.'"),
    ],
)
def test_what_cannot_redact_is_told_before_anything_is_served(path: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_redaction(path)
    assert told in str(refused.value)


def test_old_prompts_are_deleted_and_all_else_stays(
    router: gr.GraphRouter, store: Store, start: Start
) -> None:
    with start(prompts="full") as client:
        decision = route(client, "An old one.")
        grade = {"decision": decision, "model": router.models[0], "thumb": "up"}
        client.post("/outcomes", json=grade).raise_for_status()
        route(client, "A new one.")
    now = time.time()
    body = {"card": {"model": "fresh"}, "outcomes": [{"prompt": "x"}, {"prompt": "y"}]}
    append_change(store, StoredChange(2, now - 9 * DAY_S, None, "", "model added", "fresh", body))
    with store.engine.begin() as connection:
        is_old = decisions.c.id == decision
        connection.execute(sa.update(decisions).where(is_old).values(time=now - 8 * DAY_S))
        connection.execute(sa.update(outcomes).values(time=now - 8 * DAY_S))
    assert delete_prompts(store, now - 7 * DAY_S) == 4
    assert delete_prompts(store, now - 7 * DAY_S) == 0
    old, new = sorted(rows(store, decisions), key=lambda row: row.time)
    assert (old.prompt, new.prompt) == (None, "A new one.")
    (grade_row,) = rows(store, outcomes)
    assert (grade_row.prompt, grade_row.effect) == (None, 1.0)
    assert [json.loads(row.body) for row in rows(store, changes)] == [{"card": {"model": "fresh"}}]


def test_many_prompts_are_deleted_in_several_transactions(
    store: Store, start: Start, monkeypatch: Any
) -> None:
    with start(prompts="hashed") as client:
        for number in range(5):
            route(client, f"Prompt {number}.")
    monkeypatch.setattr("graphrouter.gateway.store.retention.MOST_AT_ONCE", 2)
    assert delete_prompts(store, time.time() + 1) == 5
    assert {row.prompt_hash for row in rows(store, decisions)} == {None}


def test_a_gateway_deletes_what_is_too_old_while_it_serves(
    store: Store, start: Start, monkeypatch: Any
) -> None:
    monkeypatch.setattr(memory, "SWEEPS_EVERY_S", 0.0)
    with start(prompts="full", prompt_days=0.5 / DAY_S) as client:
        route(client, "It stays for half a second.")
        wait_for(lambda: rows(store, decisions)[0].prompt is None)
        address = str(client.base_url).removesuffix("v1/")
        wait_for(
            lambda: "deleted_prompts_total 1.0" in httpx2.get(f"{address}metrics", timeout=30).text
        )
