"""Writes every decision and call to a store, and holds clients to their budgets."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.decision import Decision
from graphrouter.exceptions import StoreError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import CallEnd, CallLog, CallStart, OpenCall
from graphrouter.gateway.exploring import Exploration, Tried
from graphrouter.gateway.forwarding import tell_failures
from graphrouter.gateway.redaction import Redaction
from graphrouter.gateway.relaying import CLIENT_LEFT
from graphrouter.gateway.store.client_keys import ClientKey
from graphrouter.gateway.store.client_teams import Budget
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.drift_watch import DriftSettings
from graphrouter.gateway.store.group_commit import GroupCommit, Written
from graphrouter.gateway.store.spending import name_day, reserve, settle
from graphrouter.gateway.store.store_tables import calls, decisions, settings
from graphrouter.gateway.token_prices import TokenPrices, to_nanousd

__all__ = ["PromptKeeping", "StoredCallLog", "WhatIsKept", "list_candidates"]

PromptKeeping = Literal["off", "hashed", "full"]
EXPLORATION = "(exploration)"
"""In the place of a key: the budget of what exploration is expected to cost more."""
_SALT = "prompt_salt"


@dataclass(frozen=True)
class WhatIsKept:
    """How decisions are made and written down."""

    prices: Mapping[str, TokenPrices]
    """Of the models that can be called, by name."""
    artifact: str = ""
    """Which router decides at the start."""
    prompts: PromptKeeping = "off"
    """Whether the store has what was routed by: not at all, as a hash, or as text."""
    redact: Redaction = field(default_factory=Redaction)
    """Applied to every text before it is stored, hashed, logged or judged."""
    prompt_days: float | None = None
    """Days after which texts are deleted; None to keep them."""
    exploration: Exploration | None = None
    drift: DriftSettings | None = None
    """When alarms of models that have changed are raised; None for never."""
    observes: bool = False
    """Whether requests that name a model are decided too, though that model answers them."""
    marks: bool = True
    """Whether answers name their decisions themselves, beside the headers."""


class _Reserved(NamedTuple):
    owner_ids: tuple[str, ...]
    day: str
    nanousd: int


class StoredCallLog(CallLog):
    """Writes decisions and calls to a store; both are given to one thread, and nobody waits."""

    is_kept = True

    def __init__(
        self,
        store: Store,
        writer: GroupCommit,
        kept: WhatIsKept,
        find_key: Callable[[str], ClientKey | None],
    ) -> None:
        """A log.

        Args:
            store: Where to.
            writer: Of the store.
            kept: How.
            find_key: The key of an id.
        """
        self.store, self.writer, self.kept, self._find_key = store, writer, kept, find_key
        self.observes, self.marks = kept.observes, kept.marks
        self._salt = read_salt(store)

    async def begin(self, start: CallStart) -> OpenCall:
        """Write a decision down, once the budget of the client's key has room for the call.

        Args:
            start: What is known.

        Raises:
            ApiError: The budget has none, or the store takes nothing.
        """
        tried = self._try(start)
        order = _put_first(start.order, tried)
        key = None if start.key is None else self._find_key(start.key)
        reserved = None
        if order and key is not None and key.budgets:
            reserved, cheapest = await self._reserve(key.budgets, _expected(start), order)
            if cheapest is not None:
                tried = Tried(cheapest, {cheapest: 1.0})
                order = _put_first(order, tried)
        if tried is not None:
            self._count_tried(start, tried)
        decision_id = uuid4().hex
        written = self.writer.insert(decisions, self._to_row(decision_id, start, order, tried))
        return _StoredCall(self, decision_id, order, written, reserved)

    def hash_prompt(self, prompt: str) -> str:
        """The hash of a prompt, which only those who have the store can compute.

        Args:
            prompt: The text.
        """
        return hmac.new(self._salt, prompt.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def bill(self, end: CallEnd, prices: TokenPrices | None) -> int | None:
        """What a call has cost, in nanodollars; None where it cannot be known.

        Args:
            end: How it ended.
            prices: Of who answered.
        """
        if end.model is None:
            return 0
        if end.usage == (None, None, None):
            # A refusal costs nothing; whose client left, or who broke off, has worked all the same.
            return 0 if 400 <= end.status < CLIENT_LEFT else None
        prices = prices or self.kept.prices.get(end.model) or TokenPrices()
        return prices.bill(end.usage)

    def _try(self, start: CallStart) -> Tried | None:
        decision, exploration = start.decision, self.kept.exploration
        if decision is None and not start.order:
            return None
        if decision is not None and exploration is not None and _is_open(start):
            return exploration.try_one(decision, task=start.task, newcomers=start.newcomers)
        first = start.order[0] if start.order or decision is None else decision.model
        return Tried(first, {first: 1.0})

    def _count_tried(self, start: CallStart, tried: Tried) -> None:
        exploration = self.kept.exploration
        if exploration is None or start.decision is None or not _is_open(start):
            return
        extra = exploration.count(start.decision, tried, start.newcomers)
        if extra:
            day = name_day(time.time())

            def add(connection: sa.Connection) -> None:
                reserve(self.store, connection, EXPLORATION, day, extra, None)
                settle(self.store, connection, EXPLORATION, day, extra, extra)

            self.writer.run(add)

    async def _reserve(
        self, budgets: Sequence[Budget], costs: Mapping[str, int], order: Sequence[str]
    ) -> tuple[_Reserved, str | None]:
        """What was set aside, and the cheapest model where a budget had no room for the first."""
        day = name_day(time.time())
        first = costs.get(order[0]) or 0
        cheapest = min(order, key=lambda name: costs.get(name, math.inf))
        lowest = costs.get(cheapest) or 0
        owner_ids = tuple(each.owner_id for each in budgets)

        def take(connection: sa.Connection) -> list[Budget]:
            """Set aside in all budgets or in none; those that lack the room."""

            def put(each: Budget, nanousd: int, limit: int | None) -> bool:
                return reserve(self.store, connection, each.owner_id, day, nanousd, limit)

            lacking = [each for each in budgets if not put(each, first, each.nanousd_per_day)]
            if not lacking:
                return []
            for each in budgets:
                if each not in lacking:
                    settle(self.store, connection, each.owner_id, day, first, 0)
                if all(other.over_budget == "cheapest" for other in lacking):
                    put(each, lowest, None)
            return lacking

        lacking = await _wait(self.writer.run(take))
        if not lacking:
            return _Reserved(owner_ids, day, first), None
        for each in lacking:
            if each.over_budget == "refuse":
                raise ApiError(
                    429,
                    f"The budget of {each.owner} for {day} is used up. It begins anew at midnight, "
                    "UTC.",
                    code="budget_exceeded",
                )
        return _Reserved(owner_ids, day, lowest), cheapest

    def _to_row(
        self, decision_id: str, start: CallStart, order: Sequence[str], tried: Tried | None
    ) -> dict[str, Any]:
        decision, prompts = start.decision, self.kept.prompts
        text = None if prompts == "off" else self._redact(start.prompt)
        views = self._to_views(start)
        if (
            views is None or text is None
        ):  # a prompt without what went with it would teach another lesson
            text, views = None, dict.fromkeys(VIEWS)
        asked = order[0] if order else None
        return {
            "id": decision_id,
            "time": time.time(),
            "endpoint": start.endpoint,
            "request_id": start.request_id,
            "key_id": start.key,
            "session": start.session,
            "policy": start.policy,
            "route": None if decision is None else decision.route,
            "task": start.task,
            "prompt": text if prompts == "full" else None,
            "prompt_hash": None if text is None else self.hash_prompt(text),
            "chosen": None if decision is None else decision.model,
            "asked": asked,
            "is_observed": decision is not None and start.named is not None,
            "expected_nanousd": _expected(start).get(asked or ""),
            "expected_utility": _find_utility(decision, asked),
            "candidates": json.dumps(list_candidates(decision, tried)),
            "artifact": start.artifact,
            **views,
        }

    def _redact(self, prompt: str | None) -> str | None:
        """The prompt as it is kept; None where redaction fails, or leaves nothing of it."""
        text = self.kept.redact(prompt)
        return None if prompt and prompt.strip() and not (text or "").strip() else text

    def _to_views(self, start: CallStart) -> dict[str, str | None] | None:
        """Columns of what goes with a prompt that is kept; None where redaction leaves nothing."""
        found: dict[str, str | None] = dict.fromkeys(VIEWS)
        if self.kept.prompts != "full" or start.prompt is None:
            return found
        if start.context is not None:
            documents = [self.kept.redact(each) for each in start.context]
            kept = [each for each in documents if each is not None and each.strip()]
            if None in documents or not kept:
                return None
            found["context"] = json.dumps(kept)
        if start.embedding is not None:
            found["embedding"] = json.dumps(start.embedding.vector.tolist())
            found["embedding_encoder"] = start.embedding.encoder
        return found


class _StoredCall(OpenCall):
    def __init__(
        self,
        log: StoredCallLog,
        decision_id: str,
        order: Sequence[str],
        written: Written[None],
        reserved: _Reserved | None,
    ) -> None:
        super().__init__(decision_id, order)
        self._log, self._written, self._reserved = log, written, reserved

    async def kept(self) -> None:
        await _wait(self._written)

    def _end(self, end: CallEnd) -> Awaitable[None]:
        cost = self._log.bill(end, self.prices)
        written = self._log.writer.insert(
            calls,
            {
                "decision_id": self.decision_id,
                "time": time.time(),
                "model": end.model,
                "status": end.status,
                "num_attempts": len(end.failures) + (end.model is not None),
                "failures": tell_failures(end.failures),
                "latency_s": end.latency_s,
                "ttft_s": end.ttft_s,
                **end.usage._asdict(),
                "cost_nanousd": cost,
            },
        )
        if self._reserved is not None:
            owner_ids, day, reserved = self._reserved
            spent = reserved if cost is None else cost

            def settle_all(connection: sa.Connection) -> None:
                for owner_id in owner_ids:
                    settle(self._log.store, connection, owner_id, day, reserved, spent)

            written = self._log.writer.run(settle_all)
        return _Waited(written)


class _Waited:
    """A write whose failure is told to a client in the words of the API."""

    def __init__(self, written: Written[None]) -> None:
        self._written = written

    def __await__(self) -> Any:
        return _wait(self._written).__await__()


async def _wait(written: Written[Any]) -> Any:
    try:
        return await written
    except StoreError as error:
        raise ApiError(503, str(error), code="store_unavailable") from None


def list_candidates(decision: Decision | None, tried: Tried | None) -> list[dict[str, Any]]:
    """The candidates of a decision as the store has them, the best first.

    Each with `model`, `effect` and the ends of its interval, `cost_nanousd`, `utility`, `rejected`
    (why the policy ruled it out) and `propensity`, 0 for one that could not have been asked.

    Args:
        decision: None where a model was named: then that one alone stands there.
        tried: Whom it asked, with which probability.
    """
    chances = {} if tried is None else tried.propensities
    if decision is None:
        return [{"model": name, "propensity": chance} for name, chance in chances.items()]
    return [
        {
            "model": each.model,
            "effect": each.effect,
            "effect_low": each.effect_low,
            "effect_high": each.effect_high,
            "cost_nanousd": None if each.cost_usd is None else to_nanousd(each.cost_usd),
            "utility": each.utility,
            "rejected": each.rejected,
            "propensity": chances.get(each.model, 0.0),
        }
        for each in decision.candidates
    ]


def read_salt(store: Store) -> bytes:
    """What the prompts of a store are hashed with; made where there is none.

    Args:
        store: Where it is.
    """
    with store.engine.begin() as connection:
        row = {"name": _SALT, "value": secrets.token_hex(32)}
        connection.execute(store.insert_new(settings), row)
        wanted = sa.select(settings.c.value).where(settings.c.name == _SALT)
        return bytes.fromhex(connection.execute(wanted).scalar_one())


def _is_open(start: CallStart) -> bool:
    """Whether somebody else than the best may be tried."""
    return bool(start.order) and start.named is None and not start.is_settled


def _put_first(order: Sequence[str], tried: Tried | None) -> tuple[str, ...]:
    if not order or tried is None:
        return tuple(order)
    return tuple(dict.fromkeys((tried.model, *order)))


def _expected(start: CallStart) -> dict[str, int]:
    """Nanodollars of each candidate whose cost is known, all that is sent counted.

    Of a model that was named no answer is foretold, so those of what it reads.
    """
    context = start.context_nanousd
    if start.decision is None:
        return dict(context)
    return {
        each.model: to_nanousd(each.cost_usd) + context.get(each.model, 0)
        for each in start.decision.candidates
        if each.cost_usd is not None
    }


def _find_utility(decision: Decision | None, model: str | None) -> float | None:
    """What the policy expected of a model; None where it is no candidate."""
    for each in () if decision is None else decision.candidates:
        if each.model == model:
            return each.utility
    return None
