"""How many turns a session still has to go, by how long others were."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln

__all__ = ["SessionLengths"]

START = (3.0, 6.0)
"""The two parameters before any session has ended: 3 turns to go at first, 8 after ten."""
SPREAD = 0.7
"""Standard deviation of the logarithms of the parameters around those, before sessions are seen."""
LONGEST = 500
"""Turns of a session that are told apart."""
REFIT_AT = 1.2
"""Growth of the number of ended sessions at which the parameters are fitted again."""


class SessionLengths:
    """The shifted beta-geometric distribution of the turns of sessions (Fader and Hardie 2007).

    After each turn a session ends with a chance of its own, which is beta distributed over
    sessions; so the longer one has gone on, the more turns it has to go.

    Example:
        >>> lengths = SessionLengths()
        >>> lengths.expect_more(1) < lengths.expect_more(10)
        True
    """

    def __init__(self) -> None:
        self._ended: Counter[int] = Counter()
        self._num_fitted = 0
        self.parameters = START

    def note(self, num_turns: int) -> None:
        """Take in a session that has ended.

        Args:
            num_turns: At least 1.
        """
        self._ended[min(num_turns, LONGEST)] += 1
        total = self._ended.total()
        if total >= max(10, REFIT_AT * self._num_fitted):
            self._num_fitted = total
            self.parameters = _fit(self._ended)

    def expect_more(self, num_turns: int) -> float:
        """Expected turns to go of a session that has had some.

        The chance to end is Beta(a, b + n - 1) after n turns that did not end it but for the last,
        of which nothing is known; the mean of (1 - p) / p is (b + n - 1) / (a - 1).

        Args:
            num_turns: So far, this one among them.
        """
        a, b = self.parameters
        return (b + num_turns - 1) / (a - 1)


def _fit(ended: Counter[int]) -> tuple[float, float]:
    """The most likely parameters under normal priors of log(a - 1) and log(b)."""
    lengths = np.array(list(ended), dtype=float)
    counts = np.array(list(ended.values()), dtype=float)
    middle = np.array([math.log(START[0] - 1), math.log(START[1])])

    def lose(logs: np.ndarray) -> float:
        a, b = 1 + math.exp(logs[0]), math.exp(logs[1])
        likely = betaln(a + 1, b + lengths - 1) - betaln(a, b)
        return float(-(counts @ likely) + 0.5 * (((logs - middle) / SPREAD) ** 2).sum())

    found = minimize(lose, middle, method="L-BFGS-B", bounds=[(-4, 5), (-4, 7)])
    return 1 + math.exp(found.x[0]), math.exp(found.x[1])
