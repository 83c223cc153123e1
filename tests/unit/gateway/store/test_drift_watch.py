"""Alarms by grades of a store: raised once by whichever gateway, heeded by all, and closed."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.drift_watch import (
    Alarm,
    DriftSettings,
    DriftWatch,
    close_alarm,
    read_alarms,
)
from graphrouter.gateway.store.feedback_dataset import read_feedback
from graphrouter.gateway.store.feedback_learner import FeedbackLearner, teach_since
from graphrouter.gateway.store.store_tables import decisions, outcomes
from tests.unit.gateway.store.test_feedback_learner import Holder

EXPECTED = 0.8


def grade(
    store: Store, model: str, effects: list[float], *, prompts: bool = True, **more: Any
) -> list[int]:
    """Decisions that expected 0.8 of every model, and their grades; the numbers of these."""
    with store.engine.begin() as connection:
        first = connection.execute(sa.select(sa.func.count()).select_from(outcomes)).scalar_one()
        candidates = [{"model": name, "effect": EXPECTED} for name in {model, "other"}]
        for number, effect in enumerate(effects, first):
            decision = {"id": f"d{number}", "time": time.time(), "endpoint": "", "policy": ""}
            decision |= {"is_observed": False, "artifact": "", "candidates": json.dumps(candidates)}
            connection.execute(sa.insert(decisions), decision)
            row = {"id": f"g{number}", "time": 0.0, "decision_id": f"d{number}", "model": model}
            row |= {"effect": effect, "grader": "client", **more}
            row |= {"prompt": f"Tarn {number}?" if prompts else None}
            connection.execute(sa.insert(outcomes), row)
        return list(range(first + 1, first + len(effects) + 1))


def find(store: Store) -> list[Alarm]:
    with store.reader.connect() as connection:
        return read_alarms(connection)


def watch_all(store: Store, watch: DriftWatch, numbers: list[int]) -> None:
    with store.reader.connect() as connection:
        watch.observe(connection, numbers)


def draw(mean: float, number: int, seed: int = 0) -> list[float]:
    return (np.random.default_rng(seed).random(number) < mean).astype(float).tolist()


def test_an_alarm_is_raised_once_and_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    numbers = grade(store, "a", [*draw(0.8, 100), *draw(0.4, 120)])
    watches = [DriftWatch(store, DriftSettings(1_000)) for _ in range(2)]
    with caplog.at_level(logging.WARNING):
        for watch in watches:
            watch_all(store, watch, numbers)
    (alarm,) = find(store)
    assert (alarm.model, alarm.direction, alarm.closed) == ("a", "worse", None)
    assert 60 < alarm.since <= 130
    assert alarm.number - 100 < 80
    assert (alarm.is_shared, alarm.forgets) == (False, True)
    assert alarm.expected == pytest.approx(EXPECTED)
    assert caplog.text.count("a answers worse than expected") == 1
    for watch in watches:
        with store.reader.connect() as connection:
            assert [each.id for each in watch.take_alarms(connection)] == [alarm.id]
            assert watch.take_alarms(connection) == []
        assert watch.open == (alarm,)
    with store.engine.begin() as connection:
        assert [close_alarm(connection, n) for n in (alarm.id, alarm.id, 99)] == [
            True,
            False,
            False,
        ]
        watches[0].take_alarms(connection)
    assert watches[0].open == ()


def test_a_gateway_that_starts_goes_on_where_others_were(store: Store) -> None:
    watch_all(store, DriftWatch(store, DriftSettings()), grade(store, "a", draw(0.4, 15)))
    assert find(store) == []
    numbers = grade(store, "a", draw(0.4, 20, 1))
    watch_all(store, DriftWatch(store, DriftSettings()), numbers)
    assert len(find(store)) == 1


def test_what_all_models_share_is_nobodys_change(store: Store) -> None:
    """Stricter graders: the alarm says so, nothing is forgotten, and it is told once."""
    watch, numbers = DriftWatch(store, DriftSettings(1_000)), []
    for seed in range(40):
        for model in ("a", "b", "c"):
            numbers += grade(store, model, draw(0.4, 5, 7 * seed + ord(model)))
    watch_all(store, watch, numbers)
    found = find(store)
    assert sorted(each.model for each in found) == ["a", "b", "c"]
    assert all(each.is_shared and not each.forgets for each in found)
    assert "other models too" in found[0].describe()


def test_grades_that_say_nothing_of_a_change_are_left_out(store: Store) -> None:
    """Of answers that nobody decided on, and second ones of the same answer."""
    numbers = grade(store, "a", draw(0.0, 5), prompts=False)
    with store.engine.begin() as connection:
        for number in range(200):
            row = {"id": f"x{number}", "time": 0.0, "model": "a", "effect": 0.0, "grader": "b"}
            row |= {"decision_id": "d0" if number % 2 else None}
            connection.execute(sa.insert(outcomes), row)
    watch = DriftWatch(store, DriftSettings(100))
    watch_all(store, watch, [*numbers, *range(6, 206)])
    assert find(store) == []
    assert 0 < watch.detectors["a"].evidence < 1


def test_a_judge_is_compared_with_what_it_would_say(store: Store) -> None:
    """It passes 0.9 of right and 0.5 of wrong answers: 0.82 of those of which 0.8 are right."""
    rates = {"hit_rate": 0.9, "false_alarm_rate": 0.5}
    numbers = []
    for score in draw(0.82, 300):
        numbers += grade(store, "a", [0.5], score=score, **rates)
    watch_all(store, DriftWatch(store, DriftSettings(1_000)), numbers)
    assert find(store) == []


def test_routers_forget_what_a_model_did_before(router: gr.GraphRouter, store: Store) -> None:
    """In the gateway that sees it, in one that starts later, and in an artifact that is read."""
    name = router.models[0]
    holder = Holder(router)
    learner = FeedbackLearner(store, holder.change, watch=DriftWatch(store, DriftSettings(1_000)))
    learner.learn()
    known = int((router.support.outcomes["model"] == name).sum())
    assert known > 50
    grade(store, name, draw(0.8, 50))
    assert learner.learn() == 50
    grade(store, name, draw(0.2, 60, 1))
    learner.learn()
    (alarm,) = find(store)
    left = 110 - alarm.since + 1
    later, read_again = Holder(router), router
    FeedbackLearner(store, later.change, watch=DriftWatch(store, DriftSettings())).learn()
    with store.reader.connect() as connection:
        read_again = teach_since(router, connection, 0)  # type: ignore[assignment]
        kept = teach_since(router, connection, 0, heeds_alarms=False)
        learned = teach_since(router, connection, alarm.number)
    for found in (holder.router, later.router, read_again):
        of_model = found.support.outcomes["model"] == name  # type: ignore[attr-defined]
        assert int(of_model.sum()) == left
    for found in (kept, learned):
        assert int((found.support.outcomes["model"] == name).sum()) > known  # type: ignore[attr-defined]
    expected = [each.predict(["Tarn 7?"]).effect[0, 0] for each in (router, holder.router)]
    assert expected[1] < expected[0] - 0.1
    grade(store, name, [0.0] * 3)
    assert learner.learn() == 3
    of_model = holder.router.support.outcomes["model"] == name  # type: ignore[attr-defined]
    assert int(of_model.sum()) == left + 3


def test_what_is_of_no_use_any_more_is_not_exported(store: Store) -> None:
    grade(store, "b", draw(0.8, 10))
    numbers = grade(store, "a", [*draw(0.8, 100), *draw(0.2, 60)])
    watch_all(store, DriftWatch(store, DriftSettings(1_000)), numbers)
    (alarm,) = find(store)
    grade(store, "a", [0.5], prompts=False)
    with store.reader.connect() as connection:
        found = read_feedback(connection)
    assert (found.num_unknown, found.num_outdated) == (1, alarm.since - 11)
    assert len(found.dataset.outcomes) == 170 - found.num_outdated


def test_without_prompts_an_alarm_changes_no_router(
    router: gr.GraphRouter, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    name, holder = router.models[0], Holder(router)
    learner = FeedbackLearner(store, holder.change, watch=DriftWatch(store, DriftSettings(1_000)))
    grade(store, name, draw(0.2, 80), prompts=False)
    with caplog.at_level(logging.WARNING):
        learner.learn()
    assert len(find(store)) == 1
    assert holder.router is router
    assert "has changed, and the router goes on with what it knew" in caplog.text


def test_what_is_kept_is_told_once(store: Store) -> None:
    settings = DriftSettings(1_000, forgets=False)
    watch = DriftWatch(store, settings)
    for seed in range(3):
        watch_all(store, watch, grade(store, "a", draw(0.2, 80, seed)))
    (alarm,) = find(store)
    assert "what it did before is kept" in alarm.describe()
