"""Exploration: a stated share of decisions tries a candidate that is not the best by what is known.

Each decision has a propensity for every candidate, the probability with which it was to be asked;
what other policies would have earned can be estimated by them alone.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from graphrouter.decision import Candidate, Decision
from graphrouter.exceptions import ConfigError

__all__ = ["Exploration", "ExplorationKind", "Tried"]

ExplorationKind = Literal["thompson", "uniform"]
NUM_DRAWS = 200
_Z80 = 1.2815515655446004
"""Standard deviations from the middle to an end of an 80 % interval."""


class Tried(NamedTuple):
    """Whom a decision asks first, and with which probability it might have asked each."""

    model: str
    propensities: dict[str, float]
    """By model; they sum to 1, and a model that had no chance is absent."""


class Exploration:
    """Asks the best candidate but for a share of decisions, which is given by chance.

    `thompson` gives it in proportion to how often a candidate would be best if effects were what
    their intervals allow: normal ones with the interval as their middle 80 %, one draw for each
    candidate (Thompson, 1933). `uniform` gives each candidate that the policy allows the same.
    """

    def __init__(
        self, share: float, kind: ExplorationKind = "thompson", *, seed: int | None = None
    ) -> None:
        """An exploration.

        Args:
            share: Of decisions, in [0, 1].
            kind: By what the share is given.
            seed: Of what it draws; drawn too without one.

        Raises:
            ConfigError: The share is out of range.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"A share of {share} is explored; expected a number in [0, 1].")
        self.share, self.kind = share, kind
        self._rng = np.random.default_rng(seed)

    def try_one(self, decision: Decision) -> Tried:
        """Whom to ask first.

        A decision that fell back, or took the safe model, tries nobody else.

        Args:
            decision: What is known.

        Example:
            >>> pair = [Candidate(name, 0.5, None, None, None, 0.5) for name in ("a", "b")]
            >>> decision = Decision("a", 0.5, None, tuple(pair))
            >>> Exploration(0.5, "uniform", seed=0).try_one(decision).propensities
            {'a': 0.75, 'b': 0.25}
        """
        running = [each for each in decision.candidates if each.rejected is None]
        is_settled = decision.used_fallback or decision.used_safe_model
        if not self.share or is_settled or len(running) < 2:
            return Tried(decision.model, {decision.model: 1.0})
        shares = self.share * self._share_out(running)
        names = [each.model for each in running]
        shares[names.index(decision.model)] += 1 - self.share
        shares /= shares.sum()
        drawn = names[int(self._rng.choice(len(names), p=shares))]
        pairs = zip(names, shares.tolist(), strict=True)
        return Tried(drawn, {name: share for name, share in pairs if share > 0})

    def _share_out(self, running: list[Candidate]) -> np.ndarray:
        if self.kind == "uniform":
            return np.full(len(running), 1 / len(running))
        # The choice is drawn from the very frequencies that are written down, so that propensities
        # are exact however few the draws.
        utility = np.array([each.utility or 0.0 for each in running])
        spread = np.array([_slope(each) * (each.doubt or 0.0) / (2 * _Z80) for each in running])
        drawn = utility + spread * self._rng.standard_normal((NUM_DRAWS, len(running)))
        return np.bincount(drawn.argmax(axis=1), minlength=len(running)) / NUM_DRAWS


def _slope(candidate: Candidate) -> float:
    """What a policy gives for a unit of effect."""
    parts = candidate.parts
    if parts is None or not candidate.effect:
        return 1.0
    return parts.effect / candidate.effect
