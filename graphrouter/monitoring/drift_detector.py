"""Watches one model outcome by outcome, and says when it answers otherwise than expected.

`check_drift` compares a batch; this one is asked after every outcome, so its error is stated for
that: an e-detector (Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for
sequential change detection", 2024). It bets against the model being as expected. A bet of size b
multiplies what it has by 1 + b (expected - tolerance - effect), which is at most 1 on average while
the true mean is at least expected - tolerance, whatever the distribution in [0, 1] (Waudby-Smith
and Ramdas, 2024). Each bet starts anew with 1 whenever it has less (CUSUM; Page, 1954), and the
alarm is raised once the mean over bets reaches `run_length`. While nothing has changed, this takes
at least `run_length` outcomes on average.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, NamedTuple

import numpy as np

from graphrouter.exceptions import DataError
from graphrouter.number_checks import is_number
from graphrouter.wording import show_value

__all__ = ["Drift", "DriftDetector"]

TOLERANCE = 0.05
"""Difference of a mean effect that is no drift: predictions are off by so much on a kind of prompt
without anybody having changed."""
_BETS = np.array([0.25, 0.5, 1.0, 2.0])
_MOST_OF_A_BET = 0.75
"""Share of what a bet has that one outcome may take."""
_MOST_KEPT = 2_000
"""Outcomes back to which the beginning of a change is looked for."""
_SIDES = ("worse", "better")


class Drift(NamedTuple):
    """A model that answers otherwise than expected."""

    direction: Literal["worse", "better"]
    since: int
    """Number of the outcome from which the change seems to be there."""
    num_outcomes: int
    """From that one to the newest."""
    expected: float
    """Mean expected effect of these, in [0, 1]."""
    observed: float
    """Mean effect of these, in [0, 1]."""


class DriftDetector:
    """A sequential test of one model.

    Example:
        >>> detector, found = DriftDetector(1_000), None
        >>> for number in range(200):
        ...     found = found or detector.observe(number, expected=0.8, effect=number % 2)
        >>> found.direction, found.since, found.num_outcomes < 100
        ('worse', 0, True)
    """

    def __init__(self, run_length: float = 10_000, tolerance: float = TOLERANCE) -> None:
        """A detector that has seen nothing.

        Args:
            run_length: Outcomes until a false alarm, at least, on average; above 1.
            tolerance: Difference of mean effects, in [0, 1), that is no change.

        Raises:
            DataError: One of them is out of range.
        """
        if not is_number(run_length) or not 1 < run_length < math.inf:
            raise DataError(f"run_length is {show_value(run_length)}; expected a number above 1.")
        if not is_number(tolerance) or not 0 <= tolerance < 1:
            raise DataError(f"tolerance is {show_value(tolerance)}; expected a number in [0, 1).")
        self.run_length, self.tolerance = run_length, tolerance
        self._wealth = np.zeros((len(_SIDES), len(_BETS)))
        self._seen: deque[tuple[int, float, float]] = deque(maxlen=_MOST_KEPT)
        """Number, expected and observed effect of the newest outcomes."""

    @property
    def evidence(self) -> float:
        """How far it is on the way to an alarm, in [0, 1], by the logarithm of what bets have."""
        wealth = max(1.0, float(self._wealth.mean()))
        return min(1.0, math.log(wealth) / math.log(self.run_length))

    def observe(self, number: int, *, expected: float, effect: float) -> Drift | None:
        """Take in an outcome; a drift where the alarm is raised by it.

        Args:
            number: Of the outcome, growing.
            expected: Its effect as it was expected before it was known, in [0, 1].
            effect: What it was, in [0, 1].
        """
        bounds = expected - self.tolerance, expected + self.tolerance
        gains = np.array([[bounds[0] - effect], [effect - bounds[1]]])
        largest = np.array([[bounds[0] - 1], [-bounds[1]]])  # of the losses that could have been
        most = np.divide(-_MOST_OF_A_BET, largest, out=np.full((2, 1), np.inf), where=largest < 0)
        self._seen.append((number, expected, effect))
        self._wealth = np.maximum(self._wealth, 1.0) * (1 + np.minimum(_BETS, most) * gains)
        if self._wealth.mean() < self.run_length:
            return None
        return self._describe(
            "worse" if self._wealth[0].sum() > self._wealth[1].sum() else "better"
        )

    def _describe(self, direction: Literal["worse", "better"]) -> Drift:
        """The drift whose beginning leaves the least squares, as a shift of the mean from 0 on."""
        numbers, expected, observed = map(np.array, zip(*self._seen, strict=True))
        shift = np.cumsum((observed - expected)[::-1])[::-1] * (-1 if direction == "worse" else 1)
        count = np.arange(len(shift), 0, -1)
        began = int((np.maximum(shift, 0.0) ** 2 / count).argmax())
        return Drift(
            direction,
            int(numbers[began]),
            int(count[began]),
            float(expected[began:].mean()),
            float(observed[began:].mean()),
        )
