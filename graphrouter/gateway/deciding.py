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
QUICK_CHARS = 4_000
"""Characters that a batch may have in the event loop: read within `QUICK_S` though the encoder has
met none of the words before, whatever the last batch took."""


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

    @property
    def num_chars(self) -> int:
        """Characters that the text encoder may have to read."""
        return len(self.prompt) + sum(map(len, self.context or ()))


class _Waiting(NamedTuple):
    asked: Asked
    answer: asyncio.Future[Decision]


class Decider:
    """Decides one batch after the other; those who come meanwhile wait together.

    A decision does not depend on the others of its batch, and a prompt that leaves nobody to ask
    fails alone. Ten prompts at once take far less time than ten threads that hinder each other.

    What may take long is decided in a thread. What is known to be quick is decided in the event
    loop: a thread that has one interpreter with it waits for the loop, and then the loop for the
    thread, which takes longer than the decision. That is known of short prompts alone, of a router
    that waits for nothing and was quick with the last batch: what was asked before foretells
    neither the lock of a file nor a long text.
    """

    def __init__(self) -> None:
        self._prompt_s = math.inf
        """Seconds that a prompt of the last batch took."""
        self._measured: Router | None = None
        """Whose seconds they are: a router that was just loaded may take longer at first."""
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
            if self._is_quick([each.asked for each in batch]):
                decisions = route()
            else:
                decisions = await anyio.to_thread.run_sync(route)
        except Exception as error:
            if len(batch) == 1:
                self._give(batch[0], error)
                return
            for each in batch:
                await asyncio.sleep(0)  # each is quick, all of them may not be
                await self._answer([each])
        else:
            for each, decision in zip(batch, decisions, strict=True):
                self._give(each, decision)

    def _is_quick(self, batch: Sequence[Asked]) -> bool:
        router = batch[0].router
        return (
            router is self._measured
            and router.waits_for_nothing
            and self._prompt_s * len(batch) <= QUICK_S
            and sum(each.num_chars for each in batch) <= QUICK_CHARS
        )

    def _route(self, batch: Sequence[Asked]) -> list[Decision]:
        first, began = batch[0], time.perf_counter()
        try:
            return first.router.route_batch(
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
        finally:  # what is refused takes as long
            self._prompt_s = (time.perf_counter() - began) / len(batch)
            self._measured = first.router

    def _give(self, waiting: _Waiting, found: Decision | Exception) -> None:
        if waiting.answer.done():  # whoever asked has left
            return
        if isinstance(found, Exception):
            waiting.answer.set_exception(found)
        else:
            waiting.answer.set_result(found)
