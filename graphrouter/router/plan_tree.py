"""What a plan leads to: who is asked next, and what follows from a pass and from a failure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PlanStep", "draw_steps"]


class PlanStep(NamedTuple):
    """A call to make, or an answer to keep; with what follows."""

    model: str | None
    """Whom to ask, or whose answer to keep; None where nobody can be asked."""
    effect: float
    """Expected of that answer, in [0, 1]; NaN where nobody can be asked."""
    cost_usd: float
    """Expected US dollars of the call; NaN where unknown, and for an answer that is kept."""
    is_call: bool
    """Whether the model is asked; else the answer in hand is kept."""
    branches: Sequence[tuple[str, float, PlanStep]] = ()
    """What may come of the call, `pass` or `fail` or, of one that is not graded, nothing; its
    probability; and what then. Empty of the last call that was looked at."""

    def describe(self) -> str:
        """The step in words.

        Example:
            >>> PlanStep("nano", 0.625, 0.00012, True).describe()
            'ask nano (0.62, 0.00012 USD)'
        """
        if self.model is None:
            return "nobody can be asked"
        price = "" if math.isnan(self.cost_usd) else f", {self.cost_usd:.2g} USD"
        return f"{'ask' if self.is_call else 'keep'} {self.model} ({self.effect:.2f}{price})"


def draw_steps(step: PlanStep) -> list[str]:
    """The lines of a tree in text.

    Example:
        >>> kept = PlanStep("nano", 1.0, float("nan"), is_call=False)
        >>> draw_steps(PlanStep("nano", 0.6, 0.001, True, (("", 1.0, kept),)))
        ['ask nano (0.60, 0.001 USD)', '└─ keep nano (1.00)']
    """
    lines = [step.describe()]
    if step.is_call and not step.branches:
        return [*lines, "└─ grade it, and see"]
    for number, (word, chance, then) in enumerate(step.branches, start=1):
        first, *rest = draw_steps(then)
        edge = "└─ " if number == len(step.branches) else "├─ "
        lines += _indent([f"{word} ({chance:.0%}): {first}" if word else first, *rest], edge)
    return lines


def _indent(lines: list[str], edge: str) -> list[str]:
    """Lines under an edge of a tree."""
    first, *rest = lines
    return [edge + first, *(("│  " if edge == "├─ " else "   ") + line for line in rest)]
