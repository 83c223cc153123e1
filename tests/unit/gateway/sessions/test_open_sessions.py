"""Turns of a session: who stays, who goes, and what that costs on simulated sessions of agents."""

from __future__ import annotations

import pytest

from experiments.sessions.run import WORLDS, draw_sessions, play_all
from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.decision import Candidate, Decision
from graphrouter.gateway.sessions import open_sessions
from graphrouter.gateway.sessions.open_sessions import ENDS_AFTER_S, OpenSessions
from graphrouter.gateway.sessions.session_names import SessionName
from graphrouter.gateway.sessions.switching import Terms
from graphrouter.gateway.token_prices import TokenPrices

PRICES = {
    "small": TokenPrices.of_usd(1.0, 4.0, 0.1),
    "large": TokenPrices.of_usd(3.0, 12.0, 0.3),
}
TERMS = Terms(PRICES, 1 / 0.05)
NAME = SessionName("s", True)
BEGINS = (Turn("user", "Mend the tests."),)
GOES_ON = (*BEGINS, Turn("assistant", "I try."), Turn("user", "And the docs too, please."))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def decide(small: float, large: float, *, without: str | None = None) -> Decision:
    """By utilities, which are effects here."""
    both = {"small": small, "large": large}
    candidates = [
        Candidate(name, each, 0.001, None, None, None if name == without else each,
                  "unavailable now" if name == without else None)
        for name, each in both.items()
    ]  # fmt: skip
    candidates.sort(key=lambda each: (each.rejected is not None, -each.effect))
    best = candidates[0]
    return Decision(best.model, best.effect, best.cost_usd, tuple(candidates))


class Session:
    """Asks turn after turn."""

    def __init__(self, max_switches: int | None = None) -> None:
        self.clock = Clock()
        self.open = OpenSessions(max_switches=max_switches, clock=self.clock)

    def ask(
        self,
        decision: Decision,
        turns: tuple[Turn, ...] = GOES_ON,
        *,
        tokens: int = 10_000,
        name: SessionName = NAME,
        needs: frozenset[str] = frozenset(),
    ) -> str:
        conversation = Conversation(turns, needs, num_earlier_tokens=tokens)
        self.settled = self.open.settle(name, conversation, decision, TERMS)
        return self.settled.decision.model


def test_a_small_gain_does_not_pay_for_the_cache_and_a_large_one_does() -> None:
    session = Session()
    assert session.ask(decide(0.6, 0.5), BEGINS, tokens=0) == "small"
    assert not session.settled.is_settled
    assert session.ask(decide(0.5, 0.52)) == "small"
    assert session.settled.is_settled
    assert session.settled.reason == "stayed"
    assert session.settled.decision.candidates[0].model == "small"
    assert session.ask(decide(0.1, 0.9), tokens=100) == "large"
    assert session.settled.reason.startswith("switched for a gain of")


def test_a_session_that_is_told_begins_with_its_rest_in_mind() -> None:
    assert Session().ask(decide(0.5, 0.501), BEGINS, tokens=0) == "small"
    unnamed = SessionName("h", False)  # of which no rest need be there
    assert Session().ask(decide(0.5, 0.501), BEGINS, tokens=0, name=unnamed) == "large"


def test_a_cache_that_is_gone_holds_nobody() -> None:
    prices = {name: TokenPrices.of_usd(1.0, 4.0, 0.01) for name in PRICES}
    for silent_s, model in ((1.0, "large"), (open_sessions.CACHE_S + 1, "small")):
        session = Session()
        session.ask(decide(0.5, 0.6), BEGINS, tokens=0)
        session.clock.now += silent_s
        conversation = Conversation(GOES_ON, num_earlier_tokens=20_000)
        decision = decide(0.75, 0.5)
        found = session.open.settle(NAME, conversation, decision, Terms(prices, 50.0))
        assert found.decision.model == model


def test_prices_that_are_unknown_leave_the_cache_out() -> None:
    session = Session()
    session.ask(decide(0.6, 0.5), BEGINS, tokens=0)
    conversation = Conversation(GOES_ON, num_earlier_tokens=10**6)
    some = Terms({"small": PRICES["small"]}, 20.0)
    assert session.open.settle(NAME, conversation, decide(0.1, 0.9), some).decision.model == "large"


def test_failing_tools_raise_the_model_and_it_goes_to_none_below() -> None:
    session = Session()
    session.ask(decide(0.6, 0.5), BEGINS)
    failed = Turn("tool", "Error: no", has_failed=True)
    turns = (*BEGINS, Turn("assistant", "", calls=("run",)), failed)
    assert session.ask(decide(0.5, 0.51), turns) == "small"
    turns = (*turns, Turn("assistant", "", calls=("run",)), failed)
    assert session.ask(decide(0.5, 0.51), turns, tokens=100_000) == "large"
    assert session.settled.reason == "2 calls of tools have failed"
    assert session.ask(decide(0.9, 0.95), turns) == "large"
    cheap = Candidate("small", 0.4, 0.001, None, None, 0.99)
    dear = Candidate("large", 0.5, 0.001, None, None, 0.1)
    below = Decision("small", 0.4, 0.001, (cheap, dear))
    assert session.ask(below) == "large"


def test_who_repeats_himself_is_given_a_stronger_model() -> None:
    session = Session()
    session.ask(decide(0.6, 0.5), BEGINS)
    again = (*BEGINS, Turn("assistant", "Done."), Turn("user", "Please mend the tests!"))
    assert session.ask(decide(0.5, 0.51), again) == "small"  # 3 of 4 words
    again = (*BEGINS, Turn("assistant", "Done."), Turn("user", "mend THE tests"))
    assert session.ask(decide(0.5, 0.51), again) == "large"
    assert session.settled.reason == "the user repeats himself"
    short = (Turn("user", "go on"), Turn("assistant", "Done."), Turn("user", "go on"))
    other = SessionName("t", True)
    session.ask(decide(0.6, 0.5), short[:1], name=other)
    assert session.ask(decide(0.5, 0.51), short, name=other) == "small"


def test_it_returns_after_an_image() -> None:
    session = Session()
    session.ask(decide(0.6, 0.5), BEGINS)
    seen = frozenset({"vision"})
    assert session.ask(decide(0.6, 0.5, without="small"), needs=seen) == "large"
    assert session.settled.reason == "small cannot take this turn"
    assert session.ask(decide(0.6, 0.5, without="small"), needs=seen) == "large"
    assert session.ask(decide(0.5, 0.6)) == "small"
    assert session.settled.reason == "returned"
    assert session.ask(decide(0.6, 0.5, without="small")) == "large"  # paused, and no image
    assert session.ask(decide(0.5, 0.7)) == "large"


def test_pins_and_limits() -> None:
    session = Session(max_switches=1)
    session.ask(decide(0.6, 0.5), BEGINS)
    pin = NAME._replace(control="pin")
    assert session.ask(decide(0.1, 0.9), tokens=0, name=pin) == "small"
    assert session.ask(decide(0.1, 0.9), tokens=0) == "small"
    unpin = NAME._replace(control="unpin", max_switches=0)
    assert session.ask(decide(0.1, 0.9), tokens=0, name=unpin) == "small"
    assert session.settled.reason == "stayed: no switches left"
    assert session.ask(decide(0.1, 0.9), tokens=0) == "large"
    assert session.ask(decide(0.9, 0.1), tokens=0) == "large"
    assert session.ask(decide(0.1, 0.9), name=pin._replace(pinned="small")) == "small"
    assert session.ask(decide(0.1, 0.9, without="small")) == "large"
    assert session.settled.reason == "small is pinned but cannot take this turn"


def test_who_begins_anew_is_another_session() -> None:
    session, unnamed = Session(), SessionName("h", False)
    session.ask(decide(0.6, 0.5), BEGINS, name=unnamed)
    assert session.ask(decide(0.5, 0.51), BEGINS, name=unnamed) == "large"
    session.open.note_answer(unnamed, "small")  # the large one has failed
    assert session.ask(decide(0.5, 0.51), name=unnamed) == "small"
    session.clock.now += ENDS_AFTER_S
    assert session.ask(decide(0.5, 0.51), name=unnamed) == "large"


def test_sessions_that_are_silent_the_longest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_sessions, "MOST_OPEN", 3)
    session = Session()
    for i in range(5):
        session.ask(decide(0.6, 0.5), BEGINS, name=SessionName(str(i), True))
    assert session.ask(decide(0.5, 0.51), name=SessionName("4", True)) == "small"
    assert session.ask(decide(0.5, 0.9), name=SessionName("0", True)) == "large"
    assert session.settled.reason == "began"


@pytest.mark.parametrize("told", WORLDS)
def test_simulated_sessions_beat_always_and_never_switching(told: str) -> None:
    world = WORLDS[told]
    found = play_all(world, draw_sessions(world, 150, seed=1))
    own = found["the gateway"].worth(world)
    assert own > found["always"].worth(world)
    assert own > found["never"].worth(world)
    assert found["the gateway"].switches < found["always"].switches / 2
