"""Decisions of prompts that come at once: as alone, and each for itself where one fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.decision import Decision
from graphrouter.encoders import CachedEncoder, HashingEncoder, WordLlamaEncoder
from graphrouter.exceptions import PolicyError
from graphrouter.gateway.deciding import MOST_AT_ONCE, QUICK_CHARS, QUICK_S, Asked, Decider

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


class Places:
    """Where a router decided: in the event loop or not; every decision takes no time or a given."""

    def __init__(self, router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch) -> None:
        self.in_loop: list[bool] = []
        self.takes_s = 0.0
        self._whole, self._now_s = router.route_batch, 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self._now_s)
        monkeypatch.setattr(router, "route_batch", self._note)

    def _note(self, prompts: list[str], **more: object) -> list[Decision]:
        self.in_loop.append(threading.current_thread() is threading.main_thread())
        self._now_s += self.takes_s
        return self._whole(prompts, **more)  # type: ignore[call-overload,no-any-return]


def test_a_long_prompt_or_context_is_decided_in_a_thread_after_quick_ones(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, decider, short = Places(router, monkeypatch), Decider(), ask(router, "Add 3.")
    long = short._replace(prompt="x" * (QUICK_CHARS + 1))
    for asked in (short, short, long, short, short._replace(context=("x" * QUICK_CHARS,))):
        decide(decider, [asked])
    assert places.in_loop == [False, True, False, True, False]
    places.in_loop.clear()
    decide(decider, [short._replace(prompt="x" * (QUICK_CHARS // 2 + 1))] * 2)
    assert places.in_loop == [False], "together they are long"


class OwnEncoder:
    """Of others, which may wait for anything."""

    id, revision, dimension = HashingEncoder.id, HashingEncoder.revision, 256

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
        return HashingEncoder().encode(texts)


def test_only_encoders_that_say_they_work_in_memory_encode_in_the_loop(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert WordLlamaEncoder.works_in_memory
    places, asked = Places(router, monkeypatch), ask(router, "Add 3.")
    for encoder in (OwnEncoder(), CachedEncoder(HashingEncoder(), tmp_path), HashingEncoder()):
        decider = Decider()
        with monkeypatch.context() as patched:
            patched.setattr(router, "encoder", encoder)
            for _ in range(2):
                decide(decider, [asked])
    assert places.in_loop == [False, False, False, False, False, True]


def test_the_loop_waits_for_no_thread_that_asks_the_router(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, decider = Places(router, monkeypatch), Decider()
    encoding, goes_on = threading.Event(), threading.Event()

    class Stuck(HashingEncoder):
        def encode(self, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
            if "a plan" in texts:
                encoding.set()
                goes_on.wait(10)
            return super().encode(texts)

    async def beat() -> Decision:
        answer = asyncio.create_task(decider.decide(ask(router, "Add 3.")))
        await asyncio.sleep(0.01)  # the loop goes on, and the decision waits
        goes_on.set()
        return await answer

    decide(decider, [ask(router, "Add 3.")])
    monkeypatch.setattr(router, "encoder", Stuck())
    other = threading.Thread(target=router.route, args=("a plan",))
    other.start()
    encoding.wait(10)
    assert asyncio.run(beat()).model in router.models
    other.join()
    assert places.in_loop == [False] * 3, "one of them is the other thread's"


def test_a_router_is_measured_in_a_thread_before_it_decides_in_the_loop(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = router.remove_model(router.models[-1])
    decider = Decider()
    places = [Places(each, monkeypatch) for each in (router, fresh)]
    for each in (router, router, fresh, fresh):
        decide(decider, [ask(each, "Add 3.")])
    assert [each.in_loop for each in places] == [[False, True], [False, True]]


def test_what_is_refused_counts_as_what_it_took(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = ask(router, "Add 3.")._replace(unavailable=frozenset(router.models))
    places, decider = Places(router, monkeypatch), Decider()
    for takes_s in (0.0, 3 * QUICK_S, 0.0, 0.0):
        places.takes_s = takes_s
        assert isinstance(decide(decider, [nobody])[0], PolicyError)
    assert places.in_loop == [False, True, False, True]


def test_the_loop_has_its_turn_between_those_that_are_decided_alone(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = router.predict(["Add 3.", "Add 3. " * 500]).cost_usd
    limit = gr.Policy(max_cost_usd=float(2 * costs[0].min()))
    assert costs[1].min() > limit.max_cost_usd
    asked = [ask(router, prompt, limit) for prompt in ["Add 3."] * 20 + ["Add 3. " * 500]]
    places, decider, turns = Places(router, monkeypatch), Decider(), list[int]()

    async def gather() -> list[Decision | BaseException]:
        async def beat() -> None:
            while True:
                turns.append(len(places.in_loop))
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        found = await asyncio.gather(*map(decider.decide, asked), return_exceptions=True)
        beating.cancel()
        return found

    decide(decider, asked[:1])
    assert [type(each) for each in asyncio.run(gather())] == [Decision] * 20 + [PolicyError]
    assert places.in_loop == [False, *[True] * 22]
    assert set(turns) >= set(range(3, 23)), "one turn at least before each"


def test_a_prompt_that_leaves_nobody_fails_alone(router: gr.GraphRouter) -> None:
    costs = router.predict(["Add 3 and 4.", "Add 3. " * 3000]).cost_usd
    limit = gr.Policy(max_cost_usd=float(2 * costs[0].min()))
    assert costs[1].min() > limit.max_cost_usd
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
