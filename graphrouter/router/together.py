"""Calls side by side: which are worth it, and how they are made with threads or coroutines."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from graphrouter.router.call_plan import Option, Plan


class Returned(NamedTuple):
    """What a function gave, or the error that it raised."""

    value: Any
    error: BaseException | None
    took_s: float


class NotAwaitable(NamedTuple):
    """What a function gave that is no coroutine."""

    kind: str


def find_together(plan: Plan) -> tuple[str, ...]:
    """Whom to ask side by side: `plan.first`, and whom after it if all before them fail.

    One more is asked at once where that is worth more than asking it later: the seconds saved, or
    an answer that the deadline leaves no time for one after the other, against the dollars of a
    call that a pass makes needless.

    Args:
        plan: What is to be done next; its limits say how many at most.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> router = gr.GraphRouter.fit(data, instant=True)
        >>> policy = gr.Policy(usd_per_effect=1.0, usd_per_second=0.01)
        >>> judge = gr.Judge.parse("auc:0.8")
        >>> prompt = "Prove that 0.9... is 1."
        >>> plans = [router.plan(prompt, policy=policy, judge=judge, at_once=n) for n in (1, 3)]
        >>> [len(find_together(plan)) > 1 for plan in plans]
        [False, True]
    """
    asked, models, needed, wait_s = plan.asked, list[str](), 1.0, 0.0
    while plan.first is not None and len(models) < asked.limits.at_once:
        model, column = plan.first, asked.columns[plan.first]
        took_s = float(np.nan_to_num(asked.predictions.latency_s[0, column]))
        if models:
            price, second = float(asked.prices.call[0, column]), asked.prices.second
            later = needed * (_gain_in_time(plan, wait_s + took_s) + price)
            at_once = price + second * (max(took_s - wait_s, 0.0) - took_s)
            if later <= at_once:
                break
        models.append(model)
        if not plan.is_graded:
            break
        needed *= 1 - asked.judge.expect_pass(plan.options[0].effect)
        wait_s = max(wait_s, took_s)
        plan = plan.after(model, asked.judge.grade(0.0), latency_s=0.0)
    return tuple(models)


def find_voters(plan: Plan) -> tuple[str, ...]:
    """Whose answers are put to a vote: those worth most as the only call, within the limits.

    Args:
        plan: What is to be done next; its limits say how many at most.
    """
    limits, voters, spent = plan.asked.limits, list[str](), plan.spent_usd
    columns, prices = plan.asked.columns, plan.asked.prices

    def weigh(option: Option) -> float:
        return prices.per_effect * option.effect - float(prices.call[0, columns[option.model]])

    for option in sorted(plan.options, key=weigh, reverse=True):
        spent += float(np.nan_to_num(option.cost_usd))
        most = limits.max_total_cost_usd
        if len(voters) == min(limits.at_once, limits.max_calls) or (
            most is not None and spent > most
        ):
            break
        voters.append(option.model)
    return tuple(voters)


def _gain_in_time(plan: Plan, wait_s: float) -> float:
    """What asking `first` at once brings that asking it later cannot; 0 where there is time."""
    deadline = plan.asked.limits.deadline_s
    if deadline is None or plan.spent_s + wait_s <= deadline:
        return 0.0
    return plan.value - plan.value_of_stopping


def call_all(functions: Sequence[Callable[[], Any]], timeout_s: float | None) -> list[Returned]:
    """What each function gives, called side by side; TimeoutError where one takes longer.

    Each that is not the only one, or has a limit, runs in a thread of its own; one that is given up
    goes on there.
    """
    start = time.monotonic()
    if timeout_s is None and len(functions) == 1:
        return [_call(functions[0])]
    boxes = [SimpleQueue[Returned]() for _ in functions]

    def work(function: Callable[[], Any], box: SimpleQueue[Returned]) -> None:
        try:
            box.put(_call(function))
        except BaseException as error:  # as SystemExit: raised where it is waited for
            box.put(Returned(None, error, time.monotonic() - start))

    for each in zip(functions, boxes, strict=True):
        # A daemon: a call that never ends must not keep the process from ending.
        Thread(target=work, args=each, daemon=True).start()
    found = []
    for box in boxes:
        left = None if timeout_s is None else max(timeout_s - (time.monotonic() - start), 0.0)
        try:
            found.append(box.get(timeout=left) if left != 0 else box.get_nowait())
        except Empty:
            found.append(Returned(None, TimeoutError(), time.monotonic() - start))
    for returned in found:
        if returned.error is not None and not isinstance(returned.error, Exception):
            raise returned.error
    return found


async def await_all(
    functions: Sequence[Callable[[], Awaitable[Any]]], timeout_s: float | None
) -> list[Returned]:
    """As `call_all`, with coroutines, of which one that takes longer is cancelled."""
    import asyncio  # here and below: whoever calls this has it, and to answer takes none

    return list(await asyncio.gather(*(_await(function, timeout_s) for function in functions)))


def _call(function: Callable[[], Any]) -> Returned:
    start = time.monotonic()
    try:
        value, error = function(), None
    except Exception as raised:
        value, error = None, raised
    return Returned(value, error, time.monotonic() - start)


async def _await(function: Callable[[], Awaitable[Any]], timeout_s: float | None) -> Returned:
    import asyncio

    start, value, error = time.monotonic(), None, None
    try:
        called = function()
        value = (
            await asyncio.wait_for(called, timeout_s)
            if inspect.isawaitable(called)
            else NotAwaitable(type(called).__name__)
        )
    except Exception as raised:
        error = raised
    return Returned(value, error, time.monotonic() - start)
