"""Predictions after answers to the very query have been graded."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import find_router
from graphrouter.exceptions import DataError, NotApplicableError, UnknownModelError
from graphrouter.types import Predictions, Queries

PROMPTS = ["Add 3 and 4.", "Translate 'tree' into French.", "Who wrote Faust?"]


def _same(one: Predictions, other: Predictions, row: int, to: int) -> None:
    for name in ("effect", "cost_usd", "output_tokens"):
        assert np.array_equal(getattr(one, name)[row], getattr(other, name)[to], equal_nan=True)
    for name in ("effect_low", "effect_high"):  # of which the last bit is not promised in batches
        assert getattr(one, name)[row] == pytest.approx(getattr(other, name)[to], abs=1e-14)


def test_nothing_known_is_the_prediction_to_the_bit(router: gr.GraphRouter) -> None:
    plain = router.predict(PROMPTS)
    for known in (None, [None, None, None], [{}, {}, {}]):
        told = router.predict(PROMPTS, known=known)
        for row in range(3):
            _same(plain, told, row, row)


def test_a_failure_speaks_against_the_others_and_a_pass_for_them(router: gr.GraphRouter) -> None:
    first, *others = range(len(router.models))
    name = router.models[first]
    plain = router.predict(PROMPTS)
    failed, passed = (router.predict(PROMPTS, known=[{name: grade}] * 3) for grade in (0, 1))
    assert (failed.effect[:, others] < plain.effect[:, others]).all()
    assert (passed.effect[:, others] > plain.effect[:, others]).all()
    assert (failed.effect[:, first] == 0).all()
    assert (passed.effect[:, first] == 1).all()
    assert np.array_equal(failed.cost_usd, plain.cost_usd, equal_nan=True)
    for told in (failed, passed):
        assert told.effect_low is not None
        assert told.effect_high is not None
        assert (told.effect_low <= told.effect).all()
        assert (told.effect <= told.effect_high).all()


def test_a_query_is_told_alone_and_in_a_batch_the_same(router: gr.GraphRouter) -> None:
    one, two, *_ = router.models
    known = [{one: 0.0}, None, {two: gr.Grade(1.0, 0.8, 0.3), one: 1.0}]
    together = router.predict(PROMPTS, tasks=["arithmetic", None, None], known=known)
    for row, (prompt, grades) in enumerate(zip(PROMPTS, known, strict=True)):
        task = ["arithmetic", None, None][row]
        alone = router.predict([prompt], tasks=[task], known=[grades])
        _same(alone, together, 0, row)


def test_a_judge_is_believed_as_far_as_it_is_right(router: gr.GraphRouter) -> None:
    name = router.models[0]
    plain = router.predict(PROMPTS[:1]).effect[0]
    moved = []
    for rates in ((1.0, 0.0), (0.9, 0.1), (0.7, 0.3), (0.5, 0.5)):
        told = router.predict(PROMPTS[:1], known=[{name: gr.Grade(0.0, *rates)}]).effect[0]
        moved.append(np.abs(told - plain).sum())
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] == pytest.approx(0, abs=1e-9)


def test_an_answer_whose_judge_may_err_keeps_its_interval(router: gr.GraphRouter) -> None:
    name = router.models[0]
    plain = router.predict(PROMPTS[:1])
    told = router.predict(PROMPTS[:1], known=[{name: gr.Grade(1.0, 0.6, 0.4)}])
    for predictions in (plain, told):
        assert predictions.effect_low is not None
        assert predictions.effect_high is not None
        assert (
            predictions.effect_low[0, 0] < predictions.effect[0, 0] < predictions.effect_high[0, 0]
        )
    assert told.effect[0, 0] > plain.effect[0, 0]


def test_a_newcomer_tells_and_is_told(router: gr.GraphRouter) -> None:
    wider = router.add_model(gr.ModelCard(model="newcomer"))
    plain = wider.predict(PROMPTS).effect
    told = wider.predict(PROMPTS, known=[{"newcomer": 0.0}] * 3).effect
    assert (told[:, :-1] < plain[:, :-1]).all()
    told = wider.predict(PROMPTS, known=[{router.models[0]: 0.0}] * 3).effect
    assert (told[:, -1] < plain[:, -1]).all()


def test_few_solved_queries_are_enough() -> None:
    answers = {"prompt": ["1 + 1?", "1 + 1?", "Hi.", "Hi."], "model": ["a", "b"] * 2}
    router = gr.GraphRouter.fit({**answers, "effect": [0, 1, 1, 1]}, instant=True)
    plain, told = router.predict(["2?"]), router.predict(["2?"], known=[{"a": 0}])
    assert told.effect[0, 1] < plain.effect[0, 1]


def test_decisions_take_what_is_known(router: gr.GraphRouter) -> None:
    best = router.route(PROMPTS[0], policy=gr.Policy.preset("performance_first")).model
    asked = Queries.of(PROMPTS[:1], known=[{best: 0.0}])
    after = router.route_batch(asked, policy=gr.Policy.preset("performance_first"))[0]
    assert after.model != best


def test_queries_keep_what_is_known() -> None:
    asked = Queries.of(["a", "b"], known=[{"m": 1}, None])
    assert asked.known == ({"m": gr.Grade(1.0)}, {})
    assert asked.take([1, 0]).known == ({}, {"m": gr.Grade(1.0)})
    assert asked.without_tasks().known == asked.known
    assert len({asked, asked.take([0, 1]), Queries.of(["a", "b"])}) == 2
    assert Queries.of(["a"]).with_known([{"m": gr.Grade(0.0)}]).known == ({"m": gr.Grade(0.0)},)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"m": 1}, "known is a dict; expected a sequence"),
        ([{"m": 1}, None], "known has 2 entries for 1 prompt"),
        ([3], r"known\[0\] is a int; expected a mapping"),
        ([{"m": 7}], r"known\[0\]\['m'\] is 7; expected a number in \[0, 1\]"),
        ([{"m": float("nan")}], r"known\[0\]\['m'\] is nan"),
        ([{"m": "good"}], r"known\[0\]\['m'\] is 'good'"),
    ],
)
def test_what_is_no_grade_is_refused(known: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Queries.of(["a"], known=known)  # type: ignore[arg-type]


def test_a_model_that_is_not_there_is_named(router: gr.GraphRouter) -> None:
    near = router.models[0] + "x"
    with pytest.raises(UnknownModelError, match=f"Did you mean '{router.models[0]}'"):
        router.predict(PROMPTS[:1], known=[{near: 1}])


def test_who_learns_nothing_from_grades_refuses_them(data: gr.RoutingDataset) -> None:
    baseline = find_router("best_single").fit(data)
    with pytest.raises(NotApplicableError, match="learns nothing from grades"):
        baseline.predict(PROMPTS[:1], known=[{baseline.models[0]: 1}])
