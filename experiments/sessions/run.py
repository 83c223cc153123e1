"""What a session that stays on its model costs and earns, beside always and never switching.

Usage:
    python -m experiments.sessions.run [--sessions 2000] [--seed 0]

Simulated sessions of agents: each has a difficulty of its own that its turns share, a prompt that
grows by a thousand tokens or more a turn, and ends by a chance of its own. What the router expects
of a turn is what is true of it with an error. Providers keep the prompts of a model in a cache, and
sell what is read from it at a tenth of the price. Each turn is paid for as it is sent.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.chats.usage import Usage
from graphrouter.decision import Candidate, Decision
from graphrouter.gateway.sessions.open_sessions import OpenSessions
from graphrouter.gateway.sessions.session_names import SessionName
from graphrouter.gateway.sessions.switching import Terms
from graphrouter.gateway.token_prices import NANOUSD, TokenPrices

MODELS = ("small", "middle", "large")
SKILLS = np.array([-0.5, 0.6, 1.6])
PRICES = {
    "small": TokenPrices.of_usd(0.25, 2.0, 0.025),
    "middle": TokenPrices.of_usd(1.0, 5.0, 0.1),
    "large": TokenPrices.of_usd(3.0, 15.0, 0.3),
}
NEW_TOKENS, ANSWER_TOKENS = 1000, 400


class World(NamedTuple):
    """How sessions are."""

    usd_per_effect: float = 0.05
    """What one more solved turn is worth."""
    own: float = 1.0
    """Standard deviation of the difficulty that the turns of a session share, in logits."""
    turn: float = 1.0
    """Of what each turn adds to it."""
    error: float = 0.7
    """Of what the router expects of a model on a turn."""
    ends: tuple[float, float] = (2.0, 14.0)
    """Beta distribution of the chance to end after a turn."""


class Asked(NamedTuple):
    """One turn of a session."""

    effects: np.ndarray
    """(num_models,), what is true."""
    decision: Decision
    prefix_tokens: int


class Paid(NamedTuple):
    """What came of all turns."""

    effect: float
    """Mean over turns."""
    usd: float
    """Mean over turns."""
    switches: float
    """Mean over sessions."""

    def worth(self, world: World) -> float:
        """Dollars that a turn has brought, less what it cost."""
        return self.effect * world.usd_per_effect - self.usd


def draw_sessions(world: World, num: int, seed: int) -> list[list[Asked]]:
    """The turns of some sessions."""
    rng = np.random.default_rng(seed)
    return [list(_draw_turns(world, rng)) for _ in range(num)]


def _draw_turns(world: World, rng: np.random.Generator) -> Iterator[Asked]:
    own, ends, prefix = world.own * rng.standard_normal(), rng.beta(*world.ends), 0
    while True:
        level = own + world.turn * rng.standard_normal()
        true = SKILLS - level
        expected = true + world.error * rng.standard_normal(len(MODELS))
        yield Asked(_chance(true), _decide(world, _chance(expected)), prefix)
        prefix += int(NEW_TOKENS * rng.lognormal(0.5, 0.8)) + ANSWER_TOKENS
        if rng.random() < ends or prefix > 200_000:
            return


def _chance(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def _decide(world: World, effects: np.ndarray) -> Decision:
    """What a router says that knows the turn and nothing of the session."""
    candidates = []
    for name, effect in zip(MODELS, effects.tolist(), strict=True):
        usd = _bill(name, 0, is_cached=False)
        utility = effect - usd / world.usd_per_effect
        candidates.append(Candidate(name, effect, usd, None, None, utility))
    candidates.sort(key=lambda each: -(each.utility or 0.0))
    best = candidates[0]
    return Decision(best.model, best.effect, best.cost_usd, tuple(candidates))


def _bill(model: str, prefix: int, *, is_cached: bool) -> float:
    usage = Usage(prefix + NEW_TOKENS, prefix if is_cached else 0, ANSWER_TOKENS)
    return (PRICES[model].bill(usage) or 0) / NANOUSD


Choose = Callable[[int, int, Asked, str | None], str]


def play(sessions: list[list[Asked]], choose: Choose) -> Paid:
    """What comes of sessions whose turns go where they are told.

    Args:
        sessions: Their turns.
        choose: By number of the session and the turn, the turn, and the model before it.
    """
    effects, usd, switches = [], 0.0, 0
    for number, turns in enumerate(sessions):
        before, cached = None, dict[str, int]()
        for at, asked in enumerate(turns):
            model = choose(number, at, asked, before)
            known = min(cached.get(model, 0), asked.prefix_tokens)
            usage = Usage(asked.prefix_tokens + NEW_TOKENS, known, ANSWER_TOKENS)
            usd += (PRICES[model].bill(usage) or 0) / NANOUSD
            cached[model] = asked.prefix_tokens
            effects.append(float(asked.effects[MODELS.index(model)]))
            switches += before not in (None, model)
            before = model
    return Paid(float(np.mean(effects)), usd / len(effects), switches / len(sessions))


def play_all(world: World, sessions: list[list[Asked]]) -> dict[str, Paid]:
    """Always, never, and as the gateway does it."""
    settling = OpenSessions(clock=lambda: 0.0)
    terms = Terms(PRICES, 1 / world.usd_per_effect)

    def settle(number: int, at: int, asked: Asked, before: str | None) -> str:
        turns = [Turn("user", "?"), Turn("assistant", "")] if at else [Turn("user", "?")]
        earlier = asked.prefix_tokens
        conversation = Conversation(
            tuple(turns), num_tokens=earlier + NEW_TOKENS, num_earlier_tokens=earlier
        )
        name = SessionName(str(number), True)
        found = settling.settle(name, conversation, asked.decision, terms).decision.model
        if asked is sessions[number][-1]:
            settling.end(name)
        return found

    def stay(number: int, at: int, asked: Asked, before: str | None) -> str:
        return before or asked.decision.model

    single = {f"only {name}": play(sessions, lambda *_, name=name: name) for name in MODELS}
    return {
        "always": play(sessions, lambda _n, _at, asked, _before: asked.decision.model),
        "never": play(sessions, stay),
        "the gateway": play(sessions, settle),
        **single,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("worth: millidollars a turn; effect; cost: millidollars a turn; switches a session")
    for told, world in WORLDS.items():
        sessions = draw_sessions(world, asked.sessions, asked.seed)
        turns = np.mean([len(each) for each in sessions])
        print(f"{told} ({turns:.1f} turns a session)")
        for name, paid in play_all(world, sessions).items():
            print(
                f"  {name:13} {1e3 * paid.worth(world):7.2f}  {paid.effect:.3f}  "
                f"{1e3 * paid.usd:6.2f}  {paid.switches:5.2f}"
            )


WORLDS = {
    "a solved turn is worth 5 cents": World(),
    "1 cent": World(usd_per_effect=0.01),
    "20 cents": World(usd_per_effect=0.2),
    "turns alike": World(turn=0.3),
    "turns unlike": World(own=0.3, turn=2.0),
    "a poor router": World(error=2.0),
    "short sessions": World(ends=(4.0, 4.0)),
    "long sessions": World(ends=(2.0, 60.0)),
}

if __name__ == "__main__":
    main()
