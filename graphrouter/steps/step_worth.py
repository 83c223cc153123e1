"""What a plan is worth: how the chance of a step hangs on those that it builds upon.

A step goes right by its own chance, given that everything it builds upon can be used. What a step
has done can be used when it went right, and with chance `tolerance` when it did not: an error that
somebody notices, or that does not matter. With chance c of each step's own success, u = tolerance +
(1 - tolerance) c of its use, and B(i) all steps that i builds upon, directly or through others,

    P(i goes right) = c_i * product of u_j over j in B(i),
    worth = sum of weight_i * P(i goes right).

Each step counts once however many ways lead through it, so the formula is exact for any graph
without rings, given that steps succeed independently where nothing is spoiled. That the links
between subtasks decide what a choice for one of them is worth is the point of M3 (Liu and others,
ICLR 2024, section 3), which learns a network of it; the product needs no training, and observed
steps enter it as grades.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.types import BoolArray, FloatArray

_FLOOR = 1e-12
"""Chance whose logarithm stands for that of 0."""


class Flow(NamedTuple):
    """How much of something hangs on each step; (num_steps,) each."""

    own: FloatArray
    """On its going right for its own sake."""
    through: FloatArray
    """On its use for what comes after it."""


class PlanWorth(NamedTuple):
    """A plan as the worth reads it."""

    before: BoolArray
    """(num_steps, num_steps), whether the row builds upon the column; no step upon itself."""
    weight: FloatArray
    """(num_steps,), >= 0, what each counts when it goes right."""
    tolerance: float = 0.0
    """In [0, 1]."""

    def usable(self, chance: FloatArray) -> FloatArray:
        """Chance that what a step has done can be used, of its own chance; any shape."""
        return self.tolerance + (1 - self.tolerance) * chance

    def right(self, chance: FloatArray) -> FloatArray:
        """Chance that each step goes right, with all that it builds upon.

        Args:
            chance: (num_steps,), own chance of each, in [0, 1].

        Example:
            >>> chain = PlanWorth(np.array([[False, False], [True, False]]), np.array([0.0, 1.0]))
            >>> chain.right(np.array([0.5, 0.8])).tolist()
            [0.5, 0.4]
        """
        usable = self.usable(chance)
        product = np.exp(self.before @ np.log(np.maximum(usable, _FLOOR)))
        spoiled = (self.before & (usable <= 0)).any(axis=1)
        return np.asarray(np.where(spoiled, 0.0, chance * product), dtype=np.float64)

    def total(self, chance: FloatArray) -> float:
        """The worth of the plan; arguments as in `right`."""
        return float(self.weight @ self.right(chance))

    def shares(self, chance: FloatArray) -> Flow:
        """Share of the worth that hangs on each step, in [0, 1].

        The derivative of the log worth by the logs of `chance` and of `usable`.

        Args:
            chance: (num_steps,), own chance of each, above 0.
        """
        worth = self.weight * self.right(np.maximum(chance, _FLOOR))
        own = worth / max(float(worth.sum()), _FLOOR**4)
        return Flow(own, own @ self.before)

    def slopes(self, chance: FloatArray) -> FloatArray:
        """Worth that each step's chance adds for each unit of it, the others as they are.

        The worth is linear in the chance of any one step. (num_steps,), >= 0.

        Args:
            chance: (num_steps,), own chance of each, above 0.
        """
        safe = np.maximum(chance, _FLOOR)
        worth = self.weight * self.right(safe)
        through = (
            (worth @ self.before) * (1 - self.tolerance) / np.maximum(self.usable(safe), _FLOOR)
        )
        return np.asarray(worth / safe + through)
