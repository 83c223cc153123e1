"""Grades become outcomes of a router: once, in order, and the bad ones alone left out."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pandas as pd
import pytest

import graphrouter as gr
from graphrouter import extras
from graphrouter.exceptions import DataError, NotApplicableError
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.feedback_learner import FeedbackLearner, teach, teach_since
from graphrouter.gateway.store.stored_outcomes import add_grade, read_grade
from graphrouter.router.protocol import Router


class Holder:
    """Holds a router, and counts how often it was exchanged."""

    def __init__(self, router: Router) -> None:
        self.router, self.num_changes = router, 0

    def change(self, change: Callable[[Router], Router]) -> None:
        self.router = change(self.router)
        self.num_changes += 1

    @property
    def num_outcomes(self) -> int:
        assert isinstance(self.router, gr.GraphRouter)
        return len(self.router.support.outcomes)


def say(store: Store, model: str, prompt: str | None, *, number: int = 0) -> None:
    grade = {"model": model, "prompt": prompt or "x", "effect": 1.0, "id": f"{prompt}{number}"}
    with store.engine.begin() as connection:
        add_grade(store, connection, read_grade(grade), None)


def test_each_grade_is_learned_once(router: gr.GraphRouter, store: Store) -> None:
    holder, name = Holder(router), router.models[0]
    before = holder.num_outcomes
    for prompt in ("One tarn?", "Two tarns?"):
        say(store, name, prompt)
    learner = FeedbackLearner(store, holder.change)
    assert (learner.learn(), learner.learn()) == (2, 0)
    say(store, name, "Three tarns?")
    say(store, "gone", "Four tarns?")
    assert (learner.learn(), learner.learn()) == (2, 0)
    assert holder.num_outcomes == before + 3
    later = Holder(router)
    assert FeedbackLearner(store, later.change, after=2).learn() == 2
    assert later.num_outcomes == before + 1


def test_grades_are_told_at_once_and_settled_afterwards(
    router: gr.GraphRouter, store: Store
) -> None:
    holder = Holder(router)
    learner = FeedbackLearner(store, holder.change)
    learner.settle()
    assert holder.num_changes == 0  # nothing to be settled
    say(store, router.models[0], "Nine tarns?")
    learner.learn()
    assert isinstance(holder.router, gr.GraphRouter)
    assert holder.router.num_unsettled == 1
    assert holder.router.route("Nine tarns?").evidence[0].prompt == "Nine tarns?"
    learner.settle()
    learner.settle()
    assert (holder.router.num_unsettled, holder.num_changes) == (0, 2)
    assert holder.router.route("Nine tarns?").evidence[0].prompt == "Nine tarns?"


def test_a_server_that_cannot_settle_goes_on(
    router: gr.GraphRouter,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(self: gr.GraphRouter) -> gr.GraphRouter:
        raise NotApplicableError("Changing a router needs torch, which is not installed.")

    monkeypatch.setattr(gr.GraphRouter, "settle", refuse)
    holder = Holder(router)
    learner = FeedbackLearner(store, holder.change)
    with caplog.at_level(logging.INFO):
        for number in range(3):
            say(store, router.models[0], f"Ten tarns and {number}?")
            assert learner.learn() == 1
            learner.settle()
    assert caplog.text.count("needs torch") == 1
    assert isinstance(holder.router, gr.GraphRouter)
    assert holder.router.num_unsettled == 3


def test_without_torch_as_many_grades_are_learned_as_may_be_unsettled(
    router: gr.GraphRouter,
    store: Store,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda library: library != "torch")
    full, other = router.models[:2]
    most = int(router.num_outcomes[0] * 0.25)
    graded = [(full, f"Tarn {number}?", None) for number in range(most + 3)]
    graded += [(other, "Tarn 0?", None), (other, "Tarn 1?", "ann")]
    lessons = pd.DataFrame(graded, columns=["model", "prompt", "user"])
    lessons = lessons.assign(effect=1.0, task=None)
    with caplog.at_level(logging.WARNING):
        taught = teach(router, lessons, settle=False)
    assert isinstance(taught, gr.GraphRouter)
    assert (taught.num_outcomes - router.num_outcomes).tolist()[:2] == [most, 1]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"4 graded answers of {most + 5} cannot be taken in here" in caplog.text
    with pytest.raises(NotApplicableError, match="needs torch"):
        teach(router, lessons)
    say(store, full, "Tarn 0?")
    with store.reader.connect() as connection:
        read = teach_since(router, connection, 0, settle=False)
    assert isinstance(read, gr.GraphRouter)
    assert read.num_unsettled == 1


def test_a_grade_whose_number_comes_late_is_seen(router: gr.GraphRouter, store: Store) -> None:
    """PostgreSQL gives numbers before it commits."""
    if not store.is_postgresql:
        return
    holder, name = Holder(router), router.models[0]
    learner = FeedbackLearner(store, holder.change)
    slow = store.engine.connect()
    transaction = slow.begin()
    grade = {"model": name, "prompt": "Slow tarn?", "effect": 1.0}
    add_grade(store, slow, read_grade(grade), None)
    say(store, name, "Quick tarn?")
    assert learner.learn() == 1
    transaction.commit()
    slow.close()
    assert (learner.learn(), learner.learn()) == (1, 0)


def test_a_bad_lesson_costs_no_other(
    router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    class Picky:
        models = ("a",)

        def __init__(self, known: tuple[str, ...] = ()) -> None:
            self.known = known

        def add_outcomes(self, outcomes: pd.DataFrame) -> Picky:
            if "bad" in set(outcomes["prompt"]):
                raise DataError("That prompt is bad.")
            return Picky((*self.known, *outcomes["prompt"]))

    lessons = pd.DataFrame(
        {"prompt": ["good", "bad", "bad", "fine"], "task": None, "model": "a", "effect": 1.0}
    )
    with caplog.at_level(logging.WARNING):
        taught = teach(Picky(), lessons)  # type: ignore[arg-type]
    assert taught.known == ("good", "fine")  # type: ignore[attr-defined]
    assert "That prompt is bad" in caplog.text
    for kind in (router, router):
        assert teach(kind, lessons) is kind  # nobody in the pool is called a
