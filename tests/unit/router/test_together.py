"""Calls side by side: where seconds are worth more than the dollars of a needless call."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError, PolicyError, RunError
from graphrouter.judging import RunningAgreement, read_number
from graphrouter.router import Answer
from graphrouter.router.together import NotAwaitable, await_all, call_all, find_together

PROMPT = "Add 3 and 4."
HURRIED = gr.Policy(usd_per_effect=1.0, usd_per_second=0.02)
PATIENT = gr.Policy(usd_per_effect=1.0)
JUDGE = gr.Judge.parse("rates:0.9,0.2")


def never(prompt: str, answer: str) -> float:
    return 0.0


def fails(prompt: str, answer: str) -> float:
    raise KeyError("x")


def reply(model: str, prompt: str) -> Answer:
    return Answer(f"{model}: 7", cost_usd=0.001, latency_s=0.5)


@pytest.fixture(scope="module")
def slow() -> gr.GraphRouter:
    """Answers take seconds and cost little, and the first is often wrong."""
    world = gr.simulate(num_queries=300, num_models=6, seed=3).data
    outcomes = world.outcomes.assign(effect=world.outcomes["effect"] * 0.5)
    return gr.GraphRouter.fit(
        gr.RoutingDataset.from_frames(
            queries=world.queries, models=world.models, outcomes=outcomes, tasks=world.tasks
        ),
        instant=True,
    )


def test_seconds_decide_how_many_are_asked_at_once(slow: gr.GraphRouter) -> None:
    for policy, most, number in (
        (HURRIED, 3, 3),
        (HURRIED, 2, 2),
        (HURRIED, 1, 1),
        (PATIENT, 3, 1),
    ):
        plan = slow.plan(PROMPT, policy=policy, judge=JUDGE, max_calls=3, at_once=most)
        together = find_together(plan)
        assert (together[0], len(together)) == (plan.first, number)


def test_more_are_asked_at_once_the_more_a_second_is_worth(slow: gr.GraphRouter) -> None:
    numbers = [
        len(
            find_together(
                slow.plan(
                    PROMPT,
                    policy=gr.Policy(usd_per_effect=1.0, usd_per_second=worth),
                    judge=JUDGE,
                    max_calls=4,
                    at_once=4,
                )
            )
        )
        for worth in (0.0, 1e-4, 1e-3, 1e-2)
    ]
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1] > 1) == (1, True)


def test_a_deadline_that_leaves_time_for_one_call_asks_several(slow: gr.GraphRouter) -> None:
    seconds = slow.predict([PROMPT]).latency_s[0]
    plan = slow.plan(
        PROMPT,
        policy=PATIENT,
        judge=JUDGE,
        max_calls=3,
        at_once=3,
        deadline_s=1.05 * float(seconds.max()),
    )
    assert len(find_together(plan)) > 1
    limited = slow.plan(
        PROMPT,
        policy=PATIENT,
        judge=JUDGE,
        at_once=3,
        deadline_s=1.05 * float(seconds.max()),
        max_total_cost_usd=1.2 * float(slow.predict([PROMPT]).cost_usd[0].min()),
    )
    assert len(find_together(limited)) == 1


def test_answers_that_fail_were_asked_side_by_side(slow: gr.GraphRouter) -> None:
    together = threading.Barrier(3, timeout=30)

    def ask(model: str, prompt: str) -> Answer:
        together.wait()  # returns only once all three are asked
        return reply(model, prompt)

    run = slow.run(
        PROMPT, ask=ask, judge=never, reliability=JUDGE, policy=HURRIED, max_calls=3, at_once=3
    )
    assert len(run.calls) == 3
    assert all(call.grade is not None for call in run.calls)
    assert run.cost_usd == pytest.approx(0.003)
    assert run.plan.spent_s == pytest.approx(0.5)  # waited for once


def test_after_a_pass_the_others_are_kept_ungraded(slow: gr.GraphRouter) -> None:
    graded = []

    def judge(prompt: str, answer: str) -> float:
        graded.append(answer)
        return 1.0

    run = slow.run(PROMPT, ask=reply, judge=judge, policy=HURRIED, at_once=3)
    assert len(run.calls) > 1
    assert len(graded) == len(run.outcomes) == 1
    assert (run.answer, run.effect) == (graded[0], 1.0)
    assert run.cost_usd == pytest.approx(0.001 * len(run.calls))


def test_coroutines_side_by_side(slow: gr.GraphRouter) -> None:
    waiting: list[str] = []

    async def ask(model: str, prompt: str) -> Answer:
        waiting.append(model)
        while len(waiting) < 3:
            await asyncio.sleep(0)
        return reply(model, prompt)

    async def judge(prompt: str, answer: str) -> float:
        return 0.0

    run = asyncio.run(
        slow.arun(
            PROMPT, ask=ask, judge=judge, reliability=JUDGE, policy=HURRIED, max_calls=3, at_once=3
        )
    )
    assert [call.model for call in run.calls] == waiting


def test_one_of_several_that_fails_is_asked_again_and_the_rest_stands(
    slow: gr.GraphRouter,
) -> None:
    first = slow.plan(PROMPT, policy=HURRIED, judge=JUDGE).first
    asked: list[str] = []

    def ask(model: str, prompt: str) -> Answer:
        asked.append(model)
        if model == first:
            error = ConnectionError("reset")
            error.cost_usd = 0.25  # type: ignore[attr-defined]
            raise error
        return reply(model, prompt)

    run = slow.run(
        PROMPT,
        ask=ask,
        judge=never,
        reliability=JUDGE,
        policy=HURRIED,
        max_calls=3,
        at_once=3,
        retries=1,
    )
    assert asked.count(str(first)) == 2
    failed, *others = run.calls
    assert (failed.error, failed.cost_usd) == ("ConnectionError: reset", pytest.approx(0.5))
    assert len(others) == 2
    assert run.cost_usd == pytest.approx(0.502)


def test_when_the_judge_fails_all_calls_of_the_round_are_in_the_trace(
    slow: gr.GraphRouter,
) -> None:
    with pytest.raises(RunError, match="KeyError: 'x'") as caught:
        slow.run(
            PROMPT,
            ask=reply,
            judge=fails,
            reliability=JUDGE,
            policy=HURRIED,
            max_calls=3,
            at_once=3,
        )
    run = caught.value.run
    assert len(run.calls) == 3
    assert run.cost_usd == pytest.approx(0.003)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_vote_weighs_what_models_agree_on(slow: gr.GraphRouter) -> None:
    options = sorted(
        slow.plan(PROMPT, policy=PATIENT).options,
        key=lambda option: option.cost_usd - option.effect,
    )
    best, *others = options[:5]
    says = {best.model: "7"} | {option.model: f"It is {4 + 4}." for option in others}
    assert best.effect < sum(option.effect for option in others)
    run = slow.run(
        PROMPT,
        ask=lambda model, prompt: Answer(says[model], cost_usd=0.001, latency_s=0.5),
        vote=read_number,
        policy=PATIENT,
        at_once=5,
        max_calls=5,
    )
    kept = max(others, key=lambda option: option.effect)
    assert (run.answer, run.model) == ("It is 8.", kept.model)
    assert run.effect == pytest.approx(kept.effect)
    assert (run.cost_usd, run.plan.spent_s) == (pytest.approx(0.005), pytest.approx(0.5))
    assert run.outcomes.empty

    async def ask(model: str, prompt: str) -> str:
        return says[model]

    later = slow.arun(PROMPT, ask=ask, vote=read_number, policy=PATIENT, at_once=2)
    heavier = max(options[:2], key=lambda option: option.effect)
    assert asyncio.run(later).model == heavier.model


def test_a_vote_needs_no_everybody(slow: gr.GraphRouter) -> None:
    best = slow.plan(PROMPT, policy=PATIENT).first

    def ask(model: str, prompt: str) -> str:
        if model == best:
            raise ConnectionError("reset")
        return "8"

    run = slow.run(PROMPT, ask=ask, vote=read_number, policy=PATIENT, at_once=3)
    assert (run.answer, len(run.calls)) == ("8", 3)
    with pytest.raises(RunError, match="The vote failed: ZeroDivisionError") as caught:
        slow.run(PROMPT, ask=reply, vote=lambda answer: 1 / 0, policy=PATIENT, at_once=2)
    assert len(caught.value.run.calls) == 2
    cheap = float(np.sort(slow.predict([PROMPT]).cost_usd[0])[0])
    limited = slow.run(
        PROMPT, ask=reply, vote=read_number, at_once=3, max_total_cost_usd=1.01 * cheap
    )
    assert len(limited.calls) == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"vote": "number", "at_once": 3}, "vote is a str; expected a function from an answer"),
        ({"vote": read_number}, "at_once is 1; a vote needs at least 2"),
        ({"vote": read_number, "judge": never, "at_once": 3}, "one of the two"),
    ],
)
def test_votes_that_cannot_be_held_are_refused(
    slow: gr.GraphRouter, more: dict[str, object], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        slow.run(PROMPT, ask=reply, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2", None])
def test_other_numbers_are_refused(slow: gr.GraphRouter, wrong: object) -> None:
    with pytest.raises(PolicyError, match="at_once is .*; expected a whole number from 1"):
        slow.run(PROMPT, ask=reply, judge=never, at_once=wrong)  # type: ignore[arg-type]


def test_what_takes_too_long_is_given_up_and_the_rest_is_there() -> None:
    stuck = threading.Event()
    found = call_all([lambda: 1, lambda: stuck.wait(60), lambda: 1 / 0], timeout_s=0.2)
    stuck.set()
    assert found[0].value == 1
    assert isinstance(found[1].error, TimeoutError)
    assert isinstance(found[2].error, ZeroDivisionError)

    async def later(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    waited = asyncio.run(
        await_all([lambda: later(0), lambda: later(60), lambda: 3], 0.2)  # type: ignore[list-item]
    )
    assert waited[0].value == 0
    assert isinstance(waited[1].error, TimeoutError)
    assert waited[2].value == NotAwaitable("int")


def test_the_end_of_the_process_is_not_swallowed_in_a_thread() -> None:
    def leave() -> None:
        raise SystemExit(3)

    for timeout_s in (None, 30.0):
        with pytest.raises(SystemExit):
            call_all([leave, lambda: 1], timeout_s)


def test_a_single_call_without_a_limit_stays_in_its_thread() -> None:
    assert call_all([threading.get_ident], None)[0].value == threading.get_ident()
    start = time.monotonic()
    (found,) = call_all([lambda: np.pi], 5.0)
    assert found.value == np.pi
    assert found.took_s <= time.monotonic() - start


def test_agreement_judges_coroutines_where_it_is_one(slow: gr.GraphRouter) -> None:
    agreement = RunningAgreement(JUDGE, read=read_number)

    async def ask(model: str, prompt: str) -> str:
        return "It is 7."

    async def compare(prompt: str, answer: str) -> gr.Grade:
        return agreement(prompt, answer)

    run = asyncio.run(
        slow.arun(PROMPT, ask=ask, judge=compare, reliability=JUDGE, policy=PATIENT, max_calls=2)
    )
    first, second = (call.grade for call in run.calls)
    assert first is not None
    assert (first.hit_rate, first.false_alarm_rate) == (0.5, 0.5)
    assert second == JUDGE.read(1.0)
