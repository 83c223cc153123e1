"""Decisions of requests that come at once: one after the other, and all who wait in one batch."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import anyio.to_thread

from graphrouter.decision import Decision
from graphrouter.policy import Policy
from graphrouter.query_views import Context, Embedding
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes

MOST_AT_ONCE = 64
"""Prompts of one batch."""
QUICK_S = 0.005
"""Seconds that a batch may take in the event loop: no more than Python lets one thread keep the
others waiting (`sys.getswitchinterval`)."""


class Asked(NamedTuple):
    """A prompt to be decided on."""

    router: Router
    prompt: str
    task: str | None
    policy: Policy | None
    routes: Routes | None
    unavailable: frozenset[str]
    extra_s: tuple[tuple[str, float], ...] = ()
    """Seconds that models take longer just now, by name."""
    context: Context | None = None
    embedding: Embedding | None = None
    """What goes with the prompt beside its text, None where nothing does."""
    user: str | None = None
    """Who asks; None where nobody is named."""
    team: str | None = None

    @property
    def terms(self) -> tuple[object, ...]:
        """What a batch has in common."""
        return self.router, self.policy, self.routes, self.unavailable, self.extra_s


class _Waiting(NamedTuple):
    asked: Asked
    answer: asyncio.Future[Decision]


class Decider:
    """Decides one batch after the other; those who come meanwhile wait together.

    A decision does not depend on the others of its batch, and a prompt that leaves nobody to ask
    fails alone. Ten prompts at once take far less time than ten threads that hinder each other.

    What takes long is decided in a thread. What is quick, by what the last batch took, is decided
    in the event loop: a thread that has one interpreter with it waits for the loop, and then the
    loop for the thread, which takes longer than the decision.
    """

    def __init__(self) -> None:
        self._prompt_s = math.inf
        """Seconds that a prompt of the last batch took."""
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    async def decide(self, asked: Asked) -> Decision:
        """The decision on a prompt.

        Raises:
            GraphRouterError: What `Router.route` raises.
        """
        waiting = _Waiting(asked, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await waiting.answer

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # whoever comes in the same turn of the loop is in the batch
            terms = self._waiting[0].asked.terms
            batch = [each for each in self._waiting if each.asked.terms == terms][:MOST_AT_ONCE]
            taken = set(map(id, batch))
            self._waiting = [each for each in self._waiting if id(each) not in taken]
            await self._answer([each for each in batch if not each.answer.done()])

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        route = partial(self._route, [each.asked for each in batch])
        try:
            if self._prompt_s * len(batch) <= QUICK_S:
                decisions = route()
            else:
                decisions = await anyio.to_thread.run_sync(route)
        except Exception as error:
            if len(batch) == 1:
                self._give(batch[0], error)
                return
            for each in batch:
                await self._answer([each])
        else:
            for each, decision in zip(batch, decisions, strict=True):
                self._give(each, decision)

    def _route(self, batch: Sequence[Asked]) -> list[Decision]:
        first, began = batch[0], time.perf_counter()
        decisions = first.router.route_batch(
            [each.prompt for each in batch],
            tasks=[each.task for each in batch],
            contexts=[each.context for each in batch],
            embeddings=[each.embedding for each in batch],
            users=[each.user for each in batch],
            teams=[each.team for each in batch],
            policy=first.policy,
            extra_latency_s=dict(first.extra_s),
            unavailable=first.unavailable,
            routes=first.routes,
        )
        self._prompt_s = (time.perf_counter() - began) / len(batch)
        return decisions

    def _give(self, waiting: _Waiting, found: Decision | Exception) -> None:
        if waiting.answer.done():  # whoever asked has left
            return
        if isinstance(found, Exception):
            waiting.answer.set_exception(found)
        else:
            waiting.answer.set_result(found)
