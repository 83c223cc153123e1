"""The sessions that are going on: each stays on its model unless there is a reason to leave it."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from graphrouter.chats.conversation import Conversation
from graphrouter.decision import Candidate, Decision
from graphrouter.gateway.sessions.session_lengths import SessionLengths
from graphrouter.gateway.sessions.session_names import SessionName
from graphrouter.gateway.sessions.switching import Prefix, Terms, count_prefix_usd
from graphrouter.gateway.thresholds import list_running, take
from graphrouter.gateway.token_prices import TokenPrices

__all__ = ["OpenSessions", "Settled"]

MOST_OPEN = 10_000
"""Sessions that are remembered; the one that was silent the longest ends for another."""
ENDS_AFTER_S = 3600.0
"""Silence after which a session has ended."""
CACHE_S = 300.0
"""Silence after which the upstream's cache of its prompt is gone."""
FAILED_CALLS = 2
"""Results of tools in a row that tell of failures, at which a stronger model is asked."""
ALIKE = 0.8
"""Share of words that two turns of the user have in common, from which he repeats himself."""
START_GROWTH = 1000.0
"""Tokens that a turn adds, before any were seen."""
LEAST_WORDS = 3
"""Of such a turn: "go on" twice is no repetition."""


class Settled(NamedTuple):
    """What a decision has become in its session."""

    decision: Decision
    is_settled: bool
    """Whether nobody else is to be tried in its place."""
    reason: str


class _Turn(NamedTuple):
    name: SessionName
    conversation: Conversation
    decision: Decision
    running: dict[str, Candidate]
    """Whom the policy leaves, by name."""
    terms: Terms
    silent_s: float
    """Since the turn before."""


Key = TypeVar("Key")


@dataclass
class _Session:
    model: str
    at: float
    num_turns: int = 0
    num_switches: int = 0
    pinned: str | None = None
    returns_to: str | None = None
    """The model to go back to once a request does not need what it lacks."""
    is_raised: bool = False
    """Whether it went to a stronger model since the weaker one failed; it goes to none below."""
    failed_at: int = 0
    """Failures in a row at which it did."""
    repeated_at: int = 0
    """Turns of the user at which it did."""
    utilities: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Sum over the turns, and their number, by model."""


class OpenSessions:
    """Settles which model each turn of a session goes to."""

    def __init__(
        self, *, max_switches: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """No session yet.

        Args:
            max_switches: Changes of the model in one session for its gain, at most; None for any
                number.
            clock: Seconds that never go back.
        """
        self._max_switches, self._clock = max_switches, clock
        self._open: OrderedDict[str, _Session] = OrderedDict()
        self._typical = dict[tuple[float, str], tuple[float, int]]()
        """Sum of utilities over the turns of all sessions, and their number: by policy, model."""
        self.lengths = SessionLengths()
        self.growth = START_GROWTH
        """Tokens that a turn of a session adds to its prompt: the mean of those seen."""

    def settle(
        self, name: SessionName, conversation: Conversation, decision: Decision, terms: Terms
    ) -> Settled:
        """Which model a turn goes to.

        A session that is known by its first turns alone begins with a request that holds no answer
        yet. It stays on its model, unless the policy rules it out; it goes to a stronger one when
        tools fail or the user repeats himself; and to another one where that gains more utility
        over the turns to go than the lost prompt cache costs.

        Args:
            name: Of the session.
            conversation: What was asked.
            decision: As it would be without a session.
            terms: What a switch is weighed by.
        """
        self._end_silent()
        session = self._open.get(name.key)
        has_answers = any(turn.role == "assistant" for turn in conversation.turns)
        if session is not None and not has_answers and not name.is_told:
            self._end(name.key)  # somebody begins anew with the same words
            session = None
        if session is None:
            session = self._open[name.key] = _Session(decision.model, self._clock())
            if len(self._open) > MOST_OPEN:
                self._end(next(iter(self._open)))
        running = {each.model: each for each in list_running(decision)}
        turn = _Turn(name, conversation, decision, running, terms, self._clock() - session.at)
        self._open.move_to_end(name.key)
        session.at, session.num_turns = self._clock(), session.num_turns + 1
        if name.control == "pin":
            session.pinned = name.pinned or session.model
        elif name.control == "unpin":
            session.pinned = None
        model, reason = self._choose(session, turn)
        is_first = session.num_turns == 1
        if len(self._typical) > MOST_OPEN:
            self._typical.clear()
        for each in running.values():
            _add(session.utilities, each.model, each.utility or 0.0)
            _add(self._typical, (terms.utility_per_usd, each.model), each.utility or 0.0)
        if session.num_turns > 1:
            seen = turn.conversation.num_earlier_tokens / (session.num_turns - 1)
            self.growth += (seen - self.growth) / 100  # of the last hundred turns or so
        session.model = model
        taken = take(decision, model) if model in running else decision
        return Settled(taken, not is_first or session.pinned is not None, reason)

    def end(self, name: SessionName) -> None:
        """Say that a session has ended, which silence says too."""
        if name.key in self._open:
            self._end(name.key)

    def note_answer(self, name: SessionName, model: str) -> None:
        """Take in who has answered the first turn of a session, which may be another than chosen.

        Args:
            name: Of the session.
            model: Who has answered.
        """
        session = self._open.get(name.key)
        if session is not None and session.num_turns == 1:
            session.model = model

    def _choose(self, session: _Session, turn: _Turn) -> tuple[str, str]:
        decision, running = turn.decision, turn.running
        if session.pinned is not None:
            if session.pinned in running:
                return session.pinned, "pinned"
            return decision.model, f"{session.pinned} is pinned but cannot take this turn"
        if session.num_turns == 1:
            if not (turn.name.is_told and running):
                return decision.model, "began"
            values = self._value(session, turn, None)
            return max(values, key=lambda model: values[model]), "began"
        if session.returns_to is not None and session.returns_to in running:
            model, session.returns_to = session.returns_to, None
            return model, "returned"
        current = running.get(session.model)
        if current is None:
            if "vision" in turn.conversation.needs and session.returns_to is None:
                session.returns_to = session.model
            return decision.model, f"{session.model} cannot take this turn"
        told = turn.name.max_switches
        limit = self._max_switches if told is None else told
        if limit is not None and session.num_switches >= limit:
            return session.model, "stayed: no switches left"
        stronger = _find_stronger(session, turn, current)
        if stronger is not None:
            session.is_raised = True
            session.num_switches += 1
            return stronger
        values = self._value(session, turn, session.model)
        if session.is_raised:
            values = {m: v for m, v in values.items() if running[m].effect >= current.effect}
        best = max(values, key=lambda model: (values[model], model == session.model))
        if best == session.model:
            return session.model, "stayed"
        session.num_switches += 1
        gain = values[best] - values[session.model]
        return best, f"switched for a gain of {gain:.3g}"

    def _value(self, session: _Session, turn: _Turn, current: str | None) -> dict[str, float]:
        """What each model is worth over this turn and those to go, in utility.

        Its utility on this turn, for the others its mean so far with that over all sessions as one
        turn more, less what is read again; nothing of that where a price is unknown.
        """
        turns = 1 + self.lengths.expect_more(session.num_turns)
        seen, conversation, terms = session.num_turns, turn.conversation, turn.terms
        earlier = conversation.num_earlier_tokens
        growth = earlier / (seen - 1) if seen > 1 else self.growth
        prefix = Prefix(earlier, max(conversation.num_tokens, earlier), growth)
        is_warm = turn.silent_s < CACHE_S
        values, spent = dict[str, float](), dict[str, float | None]()
        for name, each in turn.running.items():
            total, count = session.utilities.get(name, (0.0, 0))
            now = each.utility or 0.0
            of_all, times = self._typical.get((terms.utility_per_usd, name), (now, 1))
            mean = (total + now + of_all / times) / (count + 2)
            values[name] = now + (turns - 1) * mean
            prices = terms.prices.get(name, TokenPrices())
            is_cached = is_warm and name == current
            spent[name] = count_prefix_usd(prices, prefix, turns=turns, is_cached=is_cached)
        if None in spent.values():
            return values
        per_usd = terms.utility_per_usd
        return {name: value - per_usd * (spent[name] or 0.0) for name, value in values.items()}

    def _end_silent(self) -> None:
        while self._open:
            key, session = next(iter(self._open.items()))
            if self._clock() - session.at < ENDS_AFTER_S:
                return
            self._end(key)

    def _end(self, key: str) -> None:
        self.lengths.note(self._open.pop(key).num_turns)


def _find_stronger(session: _Session, turn: _Turn, current: Candidate) -> tuple[str, str] | None:
    """The model of the highest effect and why, where the present one does not get on."""
    failed, repeated = _count_failed(turn.conversation), _count_repeated(turn.conversation)
    session.failed_at = min(session.failed_at, failed)
    reason = ""
    if failed >= session.failed_at + FAILED_CALLS:
        reason, session.failed_at = f"{failed} calls of tools have failed", failed
    elif repeated > session.repeated_at:
        reason, session.repeated_at = "the user repeats himself", repeated
    best = max(turn.running.values(), key=lambda each: each.effect)
    if not reason or best.effect <= current.effect:
        return None
    return best.model, reason


def _add(sums: dict[Key, tuple[float, int]], key: Key, value: float) -> None:
    total, count = sums.get(key, (0.0, 0))
    sums[key] = (total + value, count + 1)


def _count_failed(conversation: Conversation) -> int:
    """Results of tools at the end of a conversation that tell of failures, in a row."""
    count = 0
    for turn in reversed(conversation.turns):
        if turn.role == "user" or (turn.role == "tool" and not turn.has_failed):
            break
        count += turn.role == "tool"
    return count


def _count_repeated(conversation: Conversation) -> int:
    """Turns of the user, where the last one says what the one before it said; else 0."""
    users = [turn.text for turn in conversation.turns if turn.role == "user"]
    if len(users) < 2 or conversation.turns[-1].role != "user":
        return 0
    last, before = (set(re.findall(r"\w+", text.lower())) for text in users[:-3:-1])
    if len(last) < LEAST_WORDS:
        return 0
    return len(users) if len(last & before) >= ALIKE * len(last | before) else 0
