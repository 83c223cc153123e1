"""What a choice is worth to a policy: the scale of dollars, the reward, and the parts of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from graphrouter.types import FloatArray

__all__ = ["PRESETS", "Charges", "CostScale", "PresetName", "UtilityArrays", "weigh"]


PresetName = Literal["performance_first", "balanced", "cost_first"]
PRESETS: dict[PresetName, tuple[float, float]] = {
    "performance_first": (1.0, 0.0),
    "balanced": (0.5, 0.5),
    "cost_first": (0.2, 0.8),
}
"""(effect weight, cost weight) of each preset, from GraphRouter (Feng, Shen, You; ICLR 2025),
section 4."""


class CostScale(NamedTuple):
    """Maps US dollars a call to [0, 1]; fitted on training outcomes, saved with the artifact.

    A graph router moves it with the prices of its models, see `reprice_scale` of
    `features.recorded_prices`. The bounds are the 1st and the 99th percentile and not the extremes:
    a single runaway completion would otherwise squeeze all other costs to zero and with them the
    meaning of the presets.
    """

    low_usd: float
    high_usd: float

    @classmethod
    def fit(cls, cost_usd: FloatArray) -> CostScale:
        """The scale of the observed costs (any shape; NaN is skipped).

        NaN bounds when nothing was observed.
        """
        known = cost_usd[np.isfinite(cost_usd)]
        if known.size == 0:
            return cls(float("nan"), float("nan"))
        low, high = np.quantile(known, [0.01, 0.99])
        return cls(float(low), float(high))

    @property
    def is_known(self) -> bool:
        """False when no training outcome carried a cost."""
        return bool(np.isfinite(self.low_usd))

    @property
    def width_usd(self) -> float:
        """Dollars that one unit of scaled cost is; NaN where no costs are known, or all equal."""
        width = self.high_usd - self.low_usd
        return width if width > 0 else float("nan")

    def scale(self, cost_usd: FloatArray) -> FloatArray:
        """`cost_usd` (any shape) clipped to the bounds and mapped to [0, 1]; NaN stays NaN."""
        if not self.is_known:
            return np.full_like(cost_usd, np.nan)
        width = self.high_usd - self.low_usd
        if not width > 0:  # all costs equal
            return np.where(np.isfinite(cost_usd), 0.0, np.nan)
        kept = np.minimum(np.maximum(cost_usd, self.low_usd), self.high_usd)
        scaled: FloatArray = (kept - self.low_usd) / width
        return scaled


class Charges(NamedTuple):
    """What a policy may count beside effect and dollars; None where it counts neither."""

    latency_s: FloatArray | None = None
    """Seconds to the end of the answer, in the shape of the effects; NaN = unknown."""
    amounts: Mapping[str, FloatArray] | None = None
    """(num_models,) values of each penalised field, in the units of the cards; NaN = not
    stated."""

    def count_seconds(
        self, effect: FloatArray, per_usd: float, usd_per_second: float | None
    ) -> FloatArray:
        """What waiting takes off, in the shape of `effect`: zeros where no second counts.

        Args:
            effect: For its shape.
            per_usd: What a dollar takes off.
            usd_per_second: US dollars that a second stands for.
        """
        if usd_per_second is None:
            return np.zeros(np.shape(effect))
        waited = np.full_like(effect, np.nan) if self.latency_s is None else self.latency_s
        return per_usd * usd_per_second * waited

    def count_penalties(
        self, effect: FloatArray, per_effect: float, penalties: Mapping[str, float]
    ) -> dict[str, FloatArray]:
        """What each penalised field takes off, in the shape of `effect`.

        Args:
            effect: For its shape.
            per_effect: What one of effect counts.
            penalties: Effect that one unit of each field takes off.

        Example:
            >>> charges = Charges(amounts={"energy_wh": np.array([0.5, 2.0])})
            >>> charges.count_penalties(np.array([[0.6, 0.9]]), 1.0, {"energy_wh": 0.1})
            {'energy_wh': array([[0.05, 0.2 ]])}
        """
        amounts = self.amounts or {}
        return {
            name: np.zeros_like(effect) + per_effect * each * amounts.get(name, np.nan)
            for name, each in penalties.items()
        }


class UtilityArrays(NamedTuple):
    """The parts of what a policy maximises, of one shape each: effect less all others.

    NaN where what is needed is unknown; zeros for what does not count.
    """

    effect: FloatArray
    dollars: FloatArray
    """What the cost takes off."""
    seconds: FloatArray
    """What waiting takes off."""
    penalties: dict[str, FloatArray]
    """What each penalised field of the cards takes off, by its name."""

    @property
    def total(self) -> FloatArray:
        """What is maximised."""
        left = self.effect - self.dollars - self.seconds
        if self.penalties:
            left = left - sum(self.penalties.values())
        return np.asarray(left, np.float64)


def weigh(
    effect: FloatArray, scaled_cost: FloatArray, effect_weight: float, cost_weight: float
) -> FloatArray:
    """The reward of the GraphRouter paper: effect_weight * effect - cost_weight * scaled cost.

    Args:
        effect: In [0, 1], any shape; NaN = unknown.
        scaled_cost: In [0, 1], same shape; an unknown one (NaN) counts only where cost does.
        effect_weight: At least 0.
        cost_weight: At least 0.

    Example:
        >>> import numpy as np
        >>> weigh(np.array([0.9, 0.9]), np.array([0.5, np.nan]), 0.5, 0.5).tolist()
        [0.2, nan]
    """
    if cost_weight == 0:
        return effect_weight * effect
    return effect_weight * effect - cost_weight * scaled_cost
