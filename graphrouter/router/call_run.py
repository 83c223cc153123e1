"""A plan carried out: models are asked, answers graded, and the best is kept."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from graphrouter.exceptions import DataError, GraphRouterError, RunError
from graphrouter.grades import Grade
from graphrouter.judging.answer_parts import AnswerJudge
from graphrouter.number_checks import is_amount
from graphrouter.router.call_plan import Plan

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Answer:
    """What a model has answered, and what that took where the caller knows."""

    text: str
    cost_usd: float | None = None
    """US dollars of the call; what was expected without it."""
    latency_s: float | None = None
    """Seconds of the call; measured without it."""
    input_tokens: float | None = None
    output_tokens: float | None = None


_OUTCOMES = (
    "prompt",
    "task",
    "model",
    "effect",
    "cost_usd",
    "latency_s",
    "input_tokens",
    "output_tokens",
)
_LATE = "no answer before the deadline"
_logger = logging.getLogger(__name__)

Ask = Callable[[str, str], str | Answer]
"""(model, prompt) to an answer."""
AskLater = Callable[[str, str], Awaitable[str | Answer]]
JudgeLater = Callable[[str, str], Awaitable[float | Grade]]
"""As `Ask` and `AnswerJudge`, with coroutines."""


@dataclass(frozen=True)
class Call:
    """One call of a model."""

    model: str
    cost_usd: float
    """US dollars that it was charged."""
    latency_s: float
    """Seconds, with those of attempts that failed before it."""
    answer: Answer | None = None
    """None where it brought none."""
    grade: Grade | None = None
    """None where nobody looked."""
    error: str = ""
    """What went wrong with the call, or with its grade; empty where nothing did."""


@dataclass(frozen=True, repr=False, eq=False)
class Run:
    """What was called for a prompt, and the answer that was kept."""

    plan: Plan
    """After the last call."""
    task: str | None = None
    calls: tuple[Call, ...] = field(default=())
    """In order."""

    @property
    def prompt(self) -> str:
        """What was asked."""
        return self.plan.asked.prompt

    @property
    def model(self) -> str | None:
        """Whose answer was kept; None without any."""
        return self.plan.answer

    @property
    def answer(self) -> str | None:
        """The text of the answer that was kept; None without any."""
        kept = (call.answer for call in self.calls if call.model == self.model and call.answer)
        found = next(kept, None)
        return None if found is None else found.text

    @property
    def effect(self) -> float:
        """Expected effect of the answer that was kept, in [0, 1]; NaN without any."""
        return float("nan") if self.model is None else self.plan.in_hand[self.model]

    @property
    def cost_usd(self) -> float:
        """US dollars of all calls and grades, failed ones included."""
        return self.plan.spent_usd

    @property
    def outcomes(self) -> pd.DataFrame:
        """What was graded, as `add_outcomes` takes it, one row a grade.

        Columns `prompt`, `task`, `model`, `effect` (the grade itself), `cost_usd`, `latency_s`,
        `input_tokens`, `output_tokens`. Add those of judges that you trust: a router takes them for
        true.
        """
        import pandas as pd  # here, so that what runs need not load it

        rows = (
            {
                "prompt": self.prompt,
                "task": self.task,
                "model": call.model,
                "effect": call.grade.effect,
                "cost_usd": call.answer.cost_usd,
                "latency_s": call.answer.latency_s,
                "input_tokens": call.answer.input_tokens,
                "output_tokens": call.answer.output_tokens,
            }
            for call in self.calls
            if call.grade is not None and call.answer is not None
        )
        return pd.DataFrame(rows, columns=list(_OUTCOMES))

    def __repr__(self) -> str:
        called = ", ".join(call.model for call in self.calls)
        kept = f"kept {self.model} ({self.effect:.2f})" if self.model else "no answer"
        return f"Run({kept}; called {called or 'nobody'}; {self.cost_usd:.3g} USD)"


@dataclass(frozen=True)
class _Request:
    """Something to be called; its answer is sent back, or its error thrown in."""

    model: str
    answer: Answer | None = None
    """To be graded; None where the model is to be asked."""
    timeout_s: float | None = None


@dataclass(frozen=True)
class _NotAwaitable:
    """What a function gave that is no coroutine."""

    kind: str


_Steps = Generator[_Request, Any, Run]


def run_plan(
    plan: Plan, ask: Ask, judge: AnswerJudge | None, *, task: str | None, retries: int
) -> Run:
    """Carry out a plan with functions that block; see `SequentialRouter.run`."""
    steps, prompt = _carry_out(plan, judge is not None, task, retries), plan.asked.prompt
    try:
        request = next(steps)
        while True:
            try:
                result = (
                    _call_within(request.timeout_s, ask, request.model, prompt)
                    if request.answer is None or judge is None
                    else _call_within(request.timeout_s, judge, prompt, request.answer.text)
                )
            except Exception as error:
                request = steps.throw(error)
            else:
                request = steps.send(result)
    except StopIteration as end:
        run: Run = end.value
        return run


async def run_plan_later(
    plan: Plan, ask: AskLater, judge: JudgeLater | None, *, task: str | None, retries: int
) -> Run:
    """Carry out a plan with coroutines; see `SequentialRouter.arun`."""
    steps, prompt = _carry_out(plan, judge is not None, task, retries), plan.asked.prompt
    try:
        request = next(steps)
        while True:
            try:
                called = (
                    ask(request.model, prompt)
                    if request.answer is None or judge is None
                    else judge(prompt, request.answer.text)
                )
                result: Any = (
                    await asyncio.wait_for(called, request.timeout_s)
                    if inspect.isawaitable(called)
                    else _NotAwaitable(type(called).__name__)
                )
            except Exception as error:
                request = steps.throw(error)
            else:
                request = steps.send(result)
    except StopIteration as end:
        run: Run = end.value
        return run


def _carry_out(plan: Plan, has_judge: bool, task: str | None, retries: int) -> _Steps:
    """The calls of a plan, one after the other; both ways to call drive it."""
    run = Run(plan, task)
    while (model := run.plan.first) is not None:
        looks = run.plan.is_graded and has_judge
        answer, run = yield from _ask(run, model, retries)
        if answer is None:
            continue
        last = run.calls[-1]
        paid = {"cost_usd": last.cost_usd, "latency_s": last.latency_s}
        left = _measure_left(run.plan, last.latency_s)
        if not looks or left == 0:
            run = dataclasses.replace(run, plan=run.plan.after(model, **paid))
            break
        try:
            start = time.monotonic()
            said = yield _Request(model, answer, left)
            if inspect.iscoroutine(said) or isinstance(said, _NotAwaitable):
                raise DataError(_explain_kind("judge", said))
            read = said if isinstance(said, Grade) else run.plan.asked.judge.read(said)
        except Exception as error:
            told = _tell(error, is_late=_is_late(left, time.monotonic() - start))
            failed = dataclasses.replace(last, error=f"its grade failed: {told}")
            run = _note(run, failed, run.plan.after(model, **paid))
            raise _fail(f"The judge of {model!r} failed: {told}.", run) from error
        graded = dataclasses.replace(last, grade=read)
        run = _note(run, graded, run.plan.after(model, read, **paid))
    if run.model is None:
        told = "; ".join(f"{call.model}: {call.error}" for call in run.calls)
        raise _fail(f"No model has answered ({told or 'nobody may be asked'}).", run)
    return run


def _ask(run: Run, model: str, retries: int) -> Generator[_Request, Any, tuple[Answer | None, Run]]:
    """The answer of a model, asked again where it fails; the last call of the run holds it."""
    cost, latency = 0.0, 0.0
    for attempt in range(retries + 1):
        start, left = time.monotonic(), _measure_left(run.plan, latency)
        if left == 0:
            return None, _note_failure(run, Call(model, cost, latency, error=_LATE))
        try:
            received = yield _Request(model, timeout_s=left)
        except Exception as error:
            took = time.monotonic() - start
            latency += took
            is_late = _is_late(left, took)
            cost += _read_bill(error)
            call = Call(model, cost, latency, error=_tell(error, is_late=is_late))
            if attempt < retries and not is_late:
                continue
            return None, _note_failure(run, call)
        took = time.monotonic() - start
        try:
            answer = _read_answer(received, took)
        except DataError as error:
            call = Call(model, cost, latency + took, error=_tell(error))
            told = f"The call of {model!r} failed: {call.error}."
            raise _fail(told, _note_failure(run, call)) from None
        usd = run.plan.expect_cost(model) if answer.cost_usd is None else answer.cost_usd
        seconds = float(answer.latency_s or 0.0)
        call = Call(model, cost + float(usd), latency + seconds, answer=answer)
        return answer, dataclasses.replace(run, calls=(*run.calls, call))
    raise AssertionError("a loop over at least one attempt ends by itself")


def _note_failure(run: Run, call: Call) -> Run:
    """The run after a call that brought no answer."""
    paid = run.plan.failed(call.model, cost_usd=call.cost_usd, latency_s=call.latency_s)
    return dataclasses.replace(run, plan=paid, calls=(*run.calls, call))


def _read_bill(error: Exception) -> float:
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
    if isinstance(received, _NotAwaitable):
        return f"{who} gave a {received.kind}; expected a coroutine. Use run for plain functions"
    wanted = "a string or an Answer" if who == "ask" else "a number or a Grade"
    return f"{who} gave a {type(received).__name__}; expected {wanted}"


def _measure_left(plan: Plan, since_s: float) -> float | None:
    """Seconds until the deadline; None without one."""
    deadline = plan.asked.limits.deadline_s
    return None if deadline is None else max(deadline - plan.spent_s - since_s, 0.0)


def _note(run: Run, call: Call, plan: Plan) -> Run:
    """The run with another last call, and the plan after it."""
    return dataclasses.replace(run, plan=plan, calls=(*run.calls[:-1], call))


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


def _call_within(timeout_s: float | None, function: Callable[..., Any], *args: str) -> Any:
    """What a function gives, or TimeoutError; what is given up goes on in a thread of its own."""
    if timeout_s is None:
        return function(*args)
    box: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

    def work() -> None:
        try:
            box.put((function(*args), None))
        except Exception as error:
            box.put((None, error))

    # A daemon: a call that never ends must not keep the process from ending.
    Thread(target=work, daemon=True).start()
    try:
        result, error = box.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result
