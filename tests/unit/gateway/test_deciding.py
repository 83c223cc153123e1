"""Decisions of prompts that come at once: as alone, and each for itself where one fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

import graphrouter as gr
from graphrouter.decision import Decision
from graphrouter.exceptions import PolicyError
from graphrouter.gateway.deciding import MOST_AT_ONCE, QUICK_S, Asked, Decider

BEST = gr.Policy.preset("performance_first")
NOBODY = frozenset[str]()


def ask(router: gr.GraphRouter, prompt: str, policy: gr.Policy | None = None) -> Asked:
    return Asked(router, prompt, None, policy, None, NOBODY)


def decide(decider: Decider, asked: Sequence[Asked]) -> list[Decision | BaseException]:
    async def gather() -> list[Decision | BaseException]:
        return await asyncio.gather(*map(decider.decide, asked), return_exceptions=True)

    return asyncio.run(gather())


def test_decisions_at_once_are_those_alone(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [ask(router, f"Add {i} and 4.", BEST if i % 3 else None) for i in range(100)]
    sizes, whole = [], router.route_batch

    def count(prompts: list[str], **more: object) -> list[Decision]:
        sizes.append(len(prompts))
        return whole(prompts, **more)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(router, "route_batch", count)
    found = decide(Decider(), asked)
    monkeypatch.undo()
    for together, each in zip(found, asked, strict=True):
        alone = router.route(each.prompt, policy=each.policy)
        assert isinstance(together, Decision)
        assert (together.model, together.policy) == (alone.model, alone.policy)
        assert together.effect == pytest.approx(alone.effect, abs=1e-12)
    assert sum(sizes) == 100
    assert len(sizes) <= 5
    assert max(sizes) <= MOST_AT_ONCE


def test_what_is_quick_is_decided_in_the_loop_and_what_is_not_in_a_thread(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, in_loop, pauses_s = router.route_batch, list[bool](), iter([0.0, 0.0, 3 * QUICK_S, 0.0])

    def count(prompts: list[str], **more: object) -> list[Decision]:
        in_loop.append(threading.current_thread() is threading.main_thread())
        now_s.append(now_s[-1] + next(pauses_s))
        return whole(prompts, **more)  # type: ignore[call-overload,no-any-return]

    now_s = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now_s[-1])
    monkeypatch.setattr(router, "route_batch", count)
    decider = Decider()
    for _ in range(4):
        decide(decider, [ask(router, "Add 3 and 4.")])
    assert in_loop == [False, True, True, False], "by what the one before took"


def test_a_prompt_that_leaves_nobody_fails_alone(router: gr.GraphRouter) -> None:
    costs = router.predict(["Add 3 and 4.", "Add 3. " * 3000]).cost_usd
    limit = gr.Policy(max_cost_usd=float(2 * costs[0].min()))
    assert costs[1].min() > limit.max_cost_usd  # type: ignore[operator]
    found = decide(
        Decider(), [ask(router, "Add 3 and 4.", limit), ask(router, "Add 3. " * 3000, limit)]
    )
    assert isinstance(found[0], Decision)
    assert isinstance(found[1], PolicyError)


def test_who_leaves_takes_nobody_with_him(router: gr.GraphRouter) -> None:
    async def leave() -> Decision:
        decider = Decider()
        left = asyncio.create_task(decider.decide(ask(router, "Add 1 and 1.")))
        await asyncio.sleep(0)
        stays = asyncio.create_task(decider.decide(ask(router, "Add 3 and 4.")))
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        return await stays

    assert asyncio.run(leave()).model == router.route("Add 3 and 4.").model
