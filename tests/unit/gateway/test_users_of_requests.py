"""Who asks a gateway, and whose taste a grade is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

import graphrouter as gr
from graphrouter.bench.simulate import simulate_people
from graphrouter.encoders import HashingEncoder
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.deciding import Asked, Decider
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.feedback_dataset import read_feedback
from graphrouter.gateway.store.feedback_learner import teach
from graphrouter.gateway.store.retention import forget_user
from graphrouter.gateway.store.stored_outcomes import add_grade, read_grade, read_lessons
from graphrouter.gateway.wanted_models import read_wanted

STATE: Any = SimpleNamespace(names=("nano",), policy=None, routes=None)


@pytest.fixture(scope="module")
def people() -> gr.GraphRouter:
    data = simulate_people(num_queries=160, num_models=3, num_users=4, num_teams=2).data
    return gr.GraphRouter.fit(data, encoder=HashingEncoder(32), instant=True)


def test_who_asks_is_read_of_body_and_headers_and_not_of_the_apis() -> None:
    headers = {"x-graphrouter-user": "bob", "x-graphrouter-team": " "}
    body = {"model": "auto", "user": "cat", "graphrouter": {"user": "ann"}}
    assert read_wanted(body, headers, STATE)[-2:] == ("ann", None)
    assert read_wanted({"model": "auto", "user": "cat"}, headers, STATE).user == "bob"
    assert read_wanted({"model": "auto", "user": "cat"}, {}, STATE).user is None
    with pytest.raises(ApiError, match="user is 7; expected a name"):
        read_wanted({"model": "auto", "graphrouter": {"user": 7}}, {}, STATE)


def test_each_of_a_batch_is_decided_for_who_asks(people: gr.GraphRouter) -> None:
    users = ["user-001", None, "user-002"]

    async def ask() -> list[Any]:
        decider = Decider()
        asked = [
            Asked(people, "Add 3 and 4.", None, None, None, frozenset(), user=user)
            for user in users
        ]
        return await asyncio.gather(*map(decider.decide, asked))

    for user, decision in zip(users, asyncio.run(ask()), strict=True):
        alone = people.route("Add 3 and 4.", user=user)
        assert [c.effect for c in decision.candidates] == [c.effect for c in alone.candidates]


def test_grades_teach_the_taste_of_their_user_until_it_is_forgotten(
    people: gr.GraphRouter, store: Store
) -> None:
    model = people.models[0]
    with store.engine.begin() as connection:
        for user in ("eve", "adam", None):
            told = {"model": model, "prompt": "Two tarns?", "effect": 0.0 if user else 1.0}
            named = told if user is None else {**told, "user": f"{user} ", "team": "team-0"}
            add_grade(store, connection, read_grade(named), None)
        other = {"model": people.models[1], "prompt": "One tarn?", "effect": 1.0}
        add_grade(store, connection, read_grade(other), None)
    with store.engine.connect() as connection:
        taught = teach(people, read_lessons(connection))
        exported = read_feedback(connection)
    assert isinstance(taught, gr.GraphRouter)
    asked = taught.support.queries["prompt"] == "Two tarns?"
    assert set(taught.support.queries["user"][asked].dropna()) == {"eve", "adam"}
    assert asked.sum() == 3
    assert exported.dataset.queries["user"].nunique() == 2
    assert forget_user(store, " eve ") == 1
    assert forget_user(store, "eve") == 0
    with store.engine.connect() as connection:
        assert set(read_lessons(connection)["user"].dropna()) == {"adam"}
