"""What baselines have that the evaluated router misses: as figures, and in words.

A baseline has something when the router explains surely more of the deviations once its own are
averaged with those of the baseline (`added_deviation_r2`), enough to be worth a word, and its log
loss does not surely rise by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.results import SettingResult

LEAST_ADDED, LEAST_SHARE = 5e-4, 0.1
"""Less deviation R2 than this, or less of what the router explains, is not worth a word."""


@dataclass(frozen=True, slots=True)
class Addition:
    """What one baseline adds to the evaluated router."""

    router: str
    """The baseline."""
    deviation_r2: Interval
    """What the baseline explains by itself."""
    added_deviation_r2: Interval
    added_log_loss: Interval
    explained: Interval
    """Deviation R2 of the evaluated router."""

    @property
    def is_known(self) -> bool:
        """Whether the baseline, the router and both together have a figure."""
        figures = (self.deviation_r2, self.added_deviation_r2, self.explained)
        return all(math.isfinite(figure.value) for figure in figures)

    @property
    def share(self) -> float:
        """What is added, relative to what the router explains; NaN where it explains nothing."""
        if not self.explained.value > 0:
            return math.nan
        return self.added_deviation_r2.value / self.explained.value

    @property
    def is_sure(self) -> bool:
        """Whether the interval lies above zero."""
        return self.added_deviation_r2.low > 0

    @property
    def is_left(self) -> bool:
        """Whether the baseline surely adds something that is worth a word."""
        is_enough = self.added_deviation_r2.value >= LEAST_ADDED and not self.share < LEAST_SHARE
        return self.is_sure and is_enough and not self.added_log_loss.high < 0


def find_additions(
    result: SettingResult, router: str, baselines: Sequence[str]
) -> tuple[Addition, ...]:
    """What each baseline adds, in the given order; those without a figure are left out.

    Args:
        result: Figures of one setting.
        router: The evaluated router.
        baselines: Whom to speak of, without cascades and without twins of one another.
    """
    explained = result.routers[router]["deviation_r2"]
    found = [
        Addition(
            name,
            result.routers[name]["deviation_r2"],
            result.routers[name]["added_deviation_r2"],
            result.routers[name]["added_log_loss"],
            explained,
        )
        for name in baselines
    ]
    # Who predicts some models only has no figure of its own: what is added there is added on other
    # pairs than those that the figures are shown of.
    return tuple(each for each in found if each.is_known)


def say_what_is_left(router: str, additions: Sequence[Addition]) -> str | None:
    """In words, who adds most to the router, and how many others add; None where nobody does."""
    left = sorted(
        (each for each in additions if each.is_left),
        key=lambda each: -each.added_deviation_r2.value,
    )
    if not left:
        return None
    most, *others = left
    alone = most.explained.value
    together = alone + most.added_deviation_r2.value
    said = (
        f"Something is left: averaged with {most.router}, {router} would "
        f"{_say_gain(most.share, together)} what tells models apart on a prompt (deviation R2 "
        f"{together:.4f} against {alone:.4f})."
    )
    if not others:
        return said
    return f"{said} {len(others)} other baseline{'s' if len(others) > 1 else ''} would add too."


def say_nothing_is_left(router: str, additions: Sequence[Addition]) -> str:
    """In words, that no baseline surely adds, or none enough to be worth a word."""
    much = "much " if any(each.is_sure for each in additions) else ""
    return f"No baseline surely adds {much}to what {router} knows."


def _say_gain(share: float, together: float) -> str:
    """What a router would do together with a baseline that adds this share to what it explains."""
    if together <= 0:
        return "be less wrong about"
    if math.isnan(share):
        return "explain some of"
    return (
        f"explain {100 * share:.0f} % more of"
        if share < 1
        else f"explain {1 + share:.1f} times as much of"
    )
