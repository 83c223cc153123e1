"""Plans carried out with the functions of a user."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError, RunError
from graphrouter.router import Answer, Run

PROMPT = "Add 3 and 4."
BEST = gr.Policy.preset("performance_first")


def _ask(model: str, prompt: str) -> Answer:
    return Answer(f"{model}: 7", cost_usd=0.001, latency_s=0.5, output_tokens=3)


def _never(prompt: str, answer: str) -> float:
    return 0.0


def _fail_run(call: Callable[[], object], told: str) -> Run:
    with pytest.raises(RunError, match=told) as caught:
        call()
    assert isinstance(caught.value.run, Run)
    return caught.value.run


def test_a_pass_is_kept_and_told(router: gr.GraphRouter) -> None:
    run = router.run(PROMPT, ask=_ask, judge=lambda prompt, answer: 1.0, policy=BEST)
    assert (run.effect, len(run.calls)) == (1.0, 1)
    assert run.answer == f"{run.model}: 7"
    assert run.cost_usd == pytest.approx(0.001)
    outcomes = run.outcomes
    assert outcomes["effect"].tolist() == [1.0]
    assert outcomes["output_tokens"].tolist() == [3]
    wider = router.add_outcomes(outcomes)
    assert len(wider.support.outcomes) == len(router.support.outcomes) + 1


def test_failures_go_on_to_the_next_until_the_most_calls(router: gr.GraphRouter) -> None:
    run = router.run(PROMPT, ask=_ask, judge=_never, policy=BEST, max_calls=2)
    assert len(run.calls) == 2
    assert run.cost_usd == pytest.approx(0.002)
    assert run.plan.spent_s == pytest.approx(1.0)
    assert run.model in {call.model for call in run.calls}
    assert repr(run).startswith("Run(kept ")


def test_without_a_judge_one_model_answers(router: gr.GraphRouter) -> None:
    run = router.run(PROMPT, ask=lambda model, prompt: "7", policy=BEST)
    assert run.model == router.route(PROMPT, policy=BEST).model
    assert len(run.calls) == 1
    assert run.outcomes.empty
    assert run.cost_usd == pytest.approx(run.plan.expect_cost(run.model or ""))


def test_a_call_that_fails_is_repeated_then_another_is_asked(router: gr.GraphRouter) -> None:
    first = router.route(PROMPT, policy=BEST).model
    asked = []

    def ask(model: str, prompt: str) -> str:
        asked.append(model)
        if model == first:
            error = ConnectionError("reset")
            error.cost_usd = 0.25  # type: ignore[attr-defined]
            raise error
        return "7"

    run = router.run(PROMPT, ask=ask, policy=BEST, retries=2)
    assert asked == [first] * 3 + [run.model]
    assert run.calls[0].error == "ConnectionError: reset"
    assert run.calls[0].cost_usd == pytest.approx(0.75)  # it was billed each time
    assert run.cost_usd > 0.75
    flaky = iter([False, True])

    def ask_again(model: str, prompt: str) -> str:
        if not next(flaky):
            raise ConnectionError
        return "7"

    assert router.run(PROMPT, ask=ask_again, policy=BEST, retries=1).model == first


def test_when_nobody_answers_the_trace_keeps_what_was_paid(router: gr.GraphRouter) -> None:
    def ask(model: str, prompt: str) -> str:
        raise RuntimeError(f"{model} is down")

    run = _fail_run(
        lambda: router.run(PROMPT, ask=ask, policy=BEST), "No model has answered .* is down"
    )
    assert len(run.calls) == 3
    assert run.model is None
    assert run.answer is None


@pytest.mark.parametrize(
    ("judge", "told"),
    [
        (lambda prompt, answer: 7, "the score is 7"),
        (lambda prompt, answer: None, "the score is None"),
        (lambda prompt, answer: {}["x"], "KeyError: 'x'"),
    ],
)
def test_a_judge_that_fails_ends_it_and_the_answer_is_kept(
    router: gr.GraphRouter, judge: Callable[[str, str], float], told: str
) -> None:
    run = _fail_run(lambda: router.run(PROMPT, ask=_ask, judge=judge, policy=BEST), told)
    assert run.cost_usd == pytest.approx(0.001)
    assert run.answer is not None
    assert told in run.calls[0].error


def test_what_hangs_is_given_up_at_the_deadline(router: gr.GraphRouter) -> None:
    stuck = threading.Event()

    def hang(*_: str) -> float:
        stuck.wait(60)
        return 1.0

    def answer(model: str, prompt: str) -> Answer:
        return Answer("7", cost_usd=0.001, latency_s=0.0)

    seconds = dict(zip(router.models, router.predict([PROMPT]).latency_s[0], strict=True))
    fast = sorted(seconds, key=lambda model: seconds[model])[:2]
    deadline = 1.05 * float(sum(seconds[model] for model in fast))  # room for a second call
    policy = BEST.model_copy(update={"allowed": tuple(fast)})
    run = _fail_run(
        lambda: router.run(PROMPT, ask=answer, judge=hang, policy=policy, deadline_s=deadline),
        "no answer before the deadline",
    )
    assert run.answer == "7"
    stuck.set()


@pytest.mark.parametrize(
    "answer",
    [3, None, Answer("7", cost_usd=-1.0), Answer("7", output_tokens="many")],  # type: ignore[arg-type]
)
def test_what_is_no_answer_is_refused_and_stands_in_the_trace(
    router: gr.GraphRouter, answer: object
) -> None:
    run = _fail_run(
        lambda: router.run(PROMPT, ask=lambda model, prompt: answer),  # type: ignore[arg-type, return-value]
        "expected",
    )
    assert len(run.calls) == 1
    assert "expected" in run.calls[0].error


@pytest.mark.filterwarnings("error")
def test_coroutines_and_functions_are_told_apart(router: gr.GraphRouter) -> None:
    async def later(model: str, prompt: str) -> str:
        return "7"

    async def judge_later(prompt: str, answer: str) -> float:
        return 1.0

    _fail_run(lambda: router.run(PROMPT, ask=later), "Use arun for coroutines")  # type: ignore[arg-type]
    _fail_run(
        lambda: router.run(PROMPT, ask=_ask, judge=judge_later, policy=BEST),  # type: ignore[arg-type]
        "Use arun for coroutines",
    )
    _fail_run(
        lambda: asyncio.run(router.arun(PROMPT, ask=_ask)),  # type: ignore[arg-type]
        "ask gave a Answer; expected a coroutine. Use run for plain functions",
    )


def test_a_timeout_of_the_provider_is_a_failure_like_others(router: gr.GraphRouter) -> None:
    left = iter([TimeoutError("read timed out"), None])

    def ask(model: str, prompt: str) -> str:
        error = next(left)
        if error is not None:
            raise error
        return "7"

    assert router.run(PROMPT, ask=ask, policy=BEST, retries=1).answer == "7"

    def never(model: str, prompt: str) -> str:
        raise TimeoutError("read timed out")

    _fail_run(lambda: router.run(PROMPT, ask=never, policy=BEST), "TimeoutError: read timed out")


def test_seconds_of_failed_attempts_are_no_latency_of_the_answer(router: gr.GraphRouter) -> None:
    left = iter([False, True])

    def ask(model: str, prompt: str) -> Answer:
        if not next(left):
            threading.Event().wait(0.05)
            raise ConnectionError
        return Answer("7", latency_s=0.25)

    run = router.run(PROMPT, ask=ask, judge=lambda prompt, answer: 1.0, policy=BEST, retries=1)
    assert run.outcomes["latency_s"].tolist() == [0.25]
    assert run.calls[0].latency_s > 0.25


def test_a_bill_that_is_no_amount_is_told(
    router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    def ask(model: str, prompt: str) -> str:
        error = RuntimeError("down")
        error.cost_usd = "much"  # type: ignore[attr-defined]
        raise error

    run = _fail_run(lambda: router.run(PROMPT, ask=ask, policy=BEST), "No model has answered")
    assert run.cost_usd == 0
    assert "cost_usd of the error of a call is 'much'" in caplog.text


def test_amounts_of_numpy_count(router: gr.GraphRouter) -> None:
    def ask(model: str, prompt: str) -> Answer:
        return Answer("7", cost_usd=np.float32(0.5), latency_s=np.int64(2))  # type: ignore[arg-type]

    run = router.run(PROMPT, ask=ask, policy=BEST)
    assert (run.cost_usd, run.calls[0].latency_s) == (0.5, 2.0)
    assert type(run.cost_usd) is type(run.calls[0].cost_usd) is float


def test_what_cannot_be_called_is_refused(router: gr.GraphRouter) -> None:
    with pytest.raises(DataError, match="retries is -1"):
        router.run(PROMPT, ask=_ask, retries=-1)
    with pytest.raises(DataError, match="ask is a NoneType; expected a function"):
        router.run(PROMPT, ask=None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="judge is a float; expected a function"):
        router.run(PROMPT, ask=_ask, judge=1.0)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="judge is a Judge.*Give the Judge as reliability="):
        router.run(PROMPT, ask=_ask, judge=gr.Judge(0.9, 0.1))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="reliability was given without judge"):
        router.run(PROMPT, ask=_ask, reliability=gr.Judge(0.9, 0.1))


def test_an_answer_at_the_deadline_is_kept_without_a_grade(router: gr.GraphRouter) -> None:
    def late(model: str, prompt: str) -> Answer:
        return Answer("7", cost_usd=0.001, latency_s=1000.0)

    def judge(prompt: str, answer: str) -> float:
        raise AssertionError("there was no time left")

    run = router.run(PROMPT, ask=late, judge=judge, policy=BEST, deadline_s=900.0)
    assert run.answer == "7"
    assert run.calls[0].grade is None


def test_nobody_is_asked_when_no_time_is_left(router: gr.GraphRouter) -> None:
    asked = []

    def slow(model: str, prompt: str) -> str:
        asked.append(model)
        threading.Event().wait(0.3)
        raise ConnectionError

    waiting = router.predict([PROMPT]).latency_s[0]
    run = _fail_run(
        lambda: router.run(
            PROMPT, ask=slow, policy=BEST, retries=5, deadline_s=float(waiting.min()) + 0.05
        ),
        "No model has answered",
    )
    assert len(asked) < 6 * len(router.models)
    assert run.plan.spent_s > 0


def test_a_run_without_grades_has_outcomes_of_no_rows(router: gr.GraphRouter) -> None:
    run = router.run(PROMPT, ask=lambda model, prompt: "7", policy=BEST)
    assert list(run.outcomes.columns)[:4] == ["prompt", "task", "model", "effect"]
    assert len(run.outcomes) == 0


def test_coroutines_do_the_same(router: gr.GraphRouter) -> None:
    async def ask(model: str, prompt: str) -> Answer:
        await asyncio.sleep(0)
        return _ask(model, prompt)

    async def judge(prompt: str, answer: str) -> float:
        await asyncio.sleep(0)
        return 0.0

    async def ask_all() -> list[Run]:
        return await asyncio.gather(
            *(router.arun(PROMPT, ask=ask, judge=judge, policy=BEST) for _ in range(3))
        )

    blocking = router.run(PROMPT, ask=_ask, judge=_never, policy=BEST)
    for run in asyncio.run(ask_all()):
        assert run.calls == blocking.calls
        assert run.model == blocking.model


def test_a_cancelled_run_cancels_its_call(router: gr.GraphRouter) -> None:
    cancelled = []

    async def ask(model: str, prompt: str) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(model)
            raise
        return "7"

    async def give_up() -> None:
        task = asyncio.create_task(router.arun(PROMPT, ask=ask))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert len(cancelled) == 1
