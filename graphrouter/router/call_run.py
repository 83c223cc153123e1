"""A plan carried out: models are asked, answers graded, and the best is kept."""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from graphrouter.exceptions import DataError, GraphRouterError, RunError
from graphrouter.grades import Grade, Judge
from graphrouter.judging.agreement import Reader
from graphrouter.judging.agreement import vote as count_votes
from graphrouter.judging.answer_parts import AnswerJudge
from graphrouter.number_checks import is_amount
from graphrouter.router.call_plan import Plan
from graphrouter.router.plan_terms import Asked
from graphrouter.router.run_records import Answer, Call, Run
from graphrouter.router.together import (
    NotAwaitable,
    Returned,
    await_all,
    call_all,
    find_together,
    find_voters,
)

_LATE = "no answer before the deadline"
_logger = logging.getLogger(__name__)

Ask = Callable[[str, str], str | Answer]
"""(model, prompt) to an answer."""
AskLater = Callable[[str, str], Awaitable[str | Answer]]
JudgeLater = Callable[[str, str], Awaitable[float | Grade]]
"""As `Ask` and `AnswerJudge`, with coroutines."""


class _Request(NamedTuple):
    """Something to be called."""

    model: str
    answer: Answer | None = None
    """To be graded; None where the model is to be asked."""


class _Round(NamedTuple):
    """What is called side by side; a `Returned` for each is sent back."""

    requests: tuple[_Request, ...]
    timeout_s: float | None


class _Tried(NamedTuple):
    """A call so far."""

    call: Call
    is_final: bool = False
    """Whether it is not made again."""
    is_misused: bool = False
    """Whether `ask` gave something that is no answer."""


class _Problem(NamedTuple):
    """A grade that failed."""

    model: str
    told: str
    error: Exception


_Steps = Generator[_Round, list[Returned], Run]
_Calls = Generator[_Round, list[Returned], tuple[_Tried, ...]]


def run_plan(
    plan: Plan,
    ask: Ask,
    judge: AnswerJudge | None,
    *,
    task: str | None,
    retries: int,
    vote: Reader | None = None,
) -> Run:
    """Carry out a plan with functions that block; see `SequentialRouter.run`."""
    steps = _start(plan, judge is not None, vote, task, retries)
    try:
        asked = next(steps)
        while True:
            functions = _bind(asked, ask, judge, plan.asked)
            asked = steps.send(call_all(functions, asked.timeout_s))
    except StopIteration as end:
        run: Run = end.value
        return run


async def run_plan_later(
    plan: Plan,
    ask: AskLater,
    judge: JudgeLater | None,
    *,
    task: str | None,
    retries: int,
    vote: Reader | None = None,
) -> Run:
    """Carry out a plan with coroutines; see `SequentialRouter.arun`."""
    steps = _start(plan, judge is not None, vote, task, retries)
    try:
        asked = next(steps)
        while True:
            functions = _bind(asked, ask, judge, plan.asked)
            asked = steps.send(await await_all(functions, asked.timeout_s))
    except StopIteration as end:
        run: Run = end.value
        return run


def _bind(
    asked: _Round, ask: Callable[..., Any], judge: Callable[..., Any] | None, about: Asked
) -> list[Callable[[], Any]]:
    return [
        partial(ask, request.model, about.given)
        if request.answer is None or judge is None
        else partial(judge, about.prompt, request.answer.text)
        for request in asked.requests
    ]


def _start(
    plan: Plan, has_judge: bool, vote: Reader | None, task: str | None, retries: int
) -> _Steps:
    """The steps that both ways to call drive."""
    if vote is None:
        return _carry_out(plan, has_judge, task, retries)
    return _poll(plan, vote, task, retries)


def _poll(plan: Plan, read: Reader, task: str | None, retries: int) -> _Steps:
    """The models that are worth most, asked side by side, and what they agree on."""
    run = Run(plan, task)
    tried = yield from _ask(run, find_voters(plan), retries)
    for call, took_s in _wait_once(tried):
        run = _note_ungraded(run, call, took_s)
    _check_kinds(run, tried)
    _check_answered(run)
    answers = {call.model: call.answer.text for call in run.calls if call.answer is not None}
    try:
        voted = count_votes(answers, weights=run.plan.in_hand, read=read)
    except Exception as error:
        raise _fail(f"The vote failed: {_tell(error)}.", run) from error
    return dataclasses.replace(run, voted=voted)


def _carry_out(plan: Plan, has_judge: bool, task: str | None, retries: int) -> _Steps:
    """The calls of a plan, one round after the other."""
    run, is_over = Run(plan, task), False
    while run.plan.first is not None and not is_over:
        looks = run.plan.is_graded and has_judge
        models = find_together(run.plan) if looks else (run.plan.first,)
        tried = yield from _ask(run, models, retries)
        problem = None
        for call, took_s in _wait_once(tried):
            if call.answer is None:
                run = _note_ungraded(run, call, took_s)
            elif not looks or is_over or _measure_left(run.plan, took_s) == 0:
                run, is_over = _note_ungraded(run, call, took_s), True
            else:
                run, problem = yield from _grade(run, call, took_s)
                is_over = problem is not None or run.plan.first is None
        # Not before all calls of the round are noted: they were paid.
        if problem is not None:
            model, told, error = problem
            raise _fail(f"The judge of {model!r} failed: {told}.", run) from error
        _check_kinds(run, tried)
    _check_answered(run)
    return run


def _wait_once(tried: Sequence[_Tried]) -> Iterator[tuple[Call, float]]:
    """Calls side by side, and the seconds that each adds: all are waited for with the first."""
    wait_s = max(each.call.latency_s for each in tried)
    for number, each in enumerate(tried):
        yield each.call, 0.0 if number else wait_s


def _note_ungraded(run: Run, call: Call, took_s: float) -> Run:
    """The run with a call that nobody has graded, or that has brought no answer."""
    after = run.plan.failed if call.answer is None else run.plan.after
    return _note(run, call, after(call.model, cost_usd=call.cost_usd, latency_s=took_s))


def _check_kinds(run: Run, tried: Sequence[_Tried]) -> None:
    """Refuse what a call gave and is no answer."""
    wrong = [each.call for each in tried if each.is_misused]
    if wrong:
        raise _fail(f"The call of {wrong[0].model!r} failed: {wrong[0].error}.", run)


def _check_answered(run: Run) -> None:
    """Refuse a run without any answer."""
    if run.model is None:
        told = "; ".join(f"{call.model}: {call.error}" for call in run.calls)
        raise _fail(f"No model has answered ({told or 'nobody may be asked'}).", run)


def _grade(
    run: Run, call: Call, took_s: float
) -> Generator[_Round, list[Returned], tuple[Run, _Problem | None]]:
    """The run with an answer that was graded, and what was wrong with the grade."""
    left = _measure_left(run.plan, took_s)
    (said,) = yield _Round((_Request(call.model, call.answer),), left)
    try:
        read = _read_grade(said, run.plan.asked.judge)
    except Exception as error:
        told = _tell(error, is_late=_is_late(left, said.took_s))
        failed = dataclasses.replace(call, error=f"its grade failed: {told}")
        problem = _Problem(call.model, told, error)
        return _note_ungraded(run, failed, took_s), problem
    after = run.plan.after(call.model, read, cost_usd=call.cost_usd, latency_s=took_s)
    return _note(run, dataclasses.replace(call, grade=read), after), None


def _read_grade(said: Returned, judge: Judge) -> Grade:
    """The grade that a judge gave; raises what it raised, and what it gave in place of one."""
    if said.error is not None:
        raise said.error
    if inspect.iscoroutine(said.value) or isinstance(said.value, NotAwaitable):
        raise DataError(_explain_kind("judge", said.value))
    return said.value if isinstance(said.value, Grade) else judge.read(said.value)


def _ask(run: Run, models: tuple[str, ...], retries: int) -> _Calls:
    """A call of each model, side by side; those that fail are asked again."""
    tried = {model: _Tried(Call(model, 0.0, 0.0, error=_LATE)) for model in models}
    for _ in range(retries + 1):
        waiting = [each.call for each in tried.values() if not each.is_final]
        left = _measure_left(run.plan, max((call.latency_s for call in waiting), default=0.0))
        if not waiting or left == 0:
            break
        found = yield _Round(tuple(_Request(call.model) for call in waiting), left)
        for call, returned in zip(waiting, found, strict=True):
            expected_usd = run.plan.expect_cost(call.model)
            tried[call.model] = _read_call(call, returned, left, expected_usd)
    return tuple(tried.values())


def _read_call(
    before: Call, returned: Returned, left_s: float | None, expected_usd: float
) -> _Tried:
    """A call after one more attempt, with what those before it took."""
    cost, latency, error = before.cost_usd, before.latency_s, returned.error
    if error is not None:
        is_late = _is_late(left_s, returned.took_s)
        paid, took_s = cost + _read_bill(error), latency + returned.took_s
        return _Tried(
            Call(before.model, paid, took_s, error=_tell(error, is_late=is_late)), is_final=is_late
        )
    try:
        answer = _read_answer(returned.value, returned.took_s)
    except DataError as wrong:
        took_s = latency + returned.took_s
        call = Call(before.model, cost, took_s, error=_tell(wrong))
        return _Tried(call, is_final=True, is_misused=True)
    usd = expected_usd if answer.cost_usd is None else answer.cost_usd
    seconds = latency + float(answer.latency_s or 0.0)
    call = Call(before.model, cost + float(usd), seconds, answer=answer)
    return _Tried(call, is_final=True)


def _read_bill(error: BaseException) -> float:
    """US dollars that a failed call was billed: `cost_usd` of its error, 0 without it."""
    bill = getattr(error, "cost_usd", None)
    if bill is None:
        return 0.0
    if is_amount(bill):
        return float(bill)
    _logger.warning(
        "cost_usd of the error of a call is %r; expected a number of at least 0. It counts as not "
        "billed.",
        bill,
    )
    return 0.0


def _read_answer(received: object, took_s: float) -> Answer:
    """What a model answered, with the seconds that were measured where it says none.

    Raises:
        DataError: It is no answer, or an amount is no number of at least 0.
    """
    if isinstance(received, str):
        return Answer(received, latency_s=took_s)
    if not isinstance(received, Answer) or not isinstance(received.text, str):
        raise DataError(_explain_kind("ask", received))
    for name in ("cost_usd", "latency_s", "input_tokens", "output_tokens"):
        value = getattr(received, name)
        if value is not None and not is_amount(value):
            raise DataError(f"{name} of its answer is {value!r}; expected a number of at least 0")
    return (
        dataclasses.replace(received, latency_s=took_s) if received.latency_s is None else received
    )


def _explain_kind(who: str, received: object) -> str:
    """What a function should have given, and what it gave."""
    if inspect.iscoroutine(received):
        received.close()  # it is not waited for, and Python would warn of that
        return f"{who} gave a coroutine; expected its result. Use arun for coroutines"
    if isinstance(received, NotAwaitable):
        return f"{who} gave a {received.kind}; expected a coroutine. Use run for plain functions"
    wanted = "a string or an Answer" if who == "ask" else "a number or a Grade"
    return f"{who} gave a {type(received).__name__}; expected {wanted}"


def _measure_left(plan: Plan, since_s: float) -> float | None:
    """Seconds until the deadline; None without one."""
    deadline = plan.asked.limits.deadline_s
    return None if deadline is None else max(deadline - plan.spent_s - since_s, 0.0)


def _note(run: Run, call: Call, plan: Plan) -> Run:
    """The run with one call more, and the plan after it."""
    return dataclasses.replace(run, plan=plan, calls=(*run.calls, call))


def _is_late(left_s: float | None, took_s: float) -> bool:
    """Whether what failed had all the time that there was."""
    return left_s is not None and took_s >= left_s


def _tell(error: BaseException, *, is_late: bool = False) -> str:
    if is_late and isinstance(error, TimeoutError):
        return _LATE
    if isinstance(error, GraphRouterError):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}"


def _fail(message: str, run: Run) -> RunError:
    """An error that keeps what was called and paid."""
    paid = f" Paid so far: {run.cost_usd:.6g} USD; the attribute run of this error has every call."
    error = RunError(message + paid)
    error.run = run
    return error
