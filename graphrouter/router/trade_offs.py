"""Trade-offs between effect and cost, from effect alone to cost alone: what is swept and tested.

For a trade-off lambda, a query goes to the model with the best `effect - lambda * cost_usd`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphrouter.exceptions import PolicyError
from graphrouter.policy import CostScale, Policy
from graphrouter.policy_words import WEIGHTS
from graphrouter.types import FloatArray

LARGEST_COST_RATIO = 1e4
"""Costs that are further below the largest do not stretch a range of costs any more: a free model
would do so without end."""
NUM_TRADE_OFFS = 48
NUM_SWEPT = NUM_TRADE_OFFS + 2
"""Trade-offs of a sweep, both ends included."""
_GOALS = (*WEIGHTS, "usd_per_effect", "usd_per_second", "penalties", "min_effect")
"""Settings that are a trade-off themselves, or part of one."""


def build_trade_off_grid(cost_scale: CostScale) -> FloatArray:
    """Trade-offs from 0 to infinity in effect per US dollar, (NUM_SWEPT,).

    They are dense where choices change.

    From "the dearest call is worth 0.01 of effect" to "the cheapest call is worth 10", by the
    training costs.
    """
    high = max(cost_scale.high_usd, 1e-9)
    low = max(cost_scale.low_usd, high / LARGEST_COST_RATIO)
    return np.concatenate([[0.0], np.geomspace(0.01 / high, 10.0 / low, NUM_TRADE_OFFS), [np.inf]])


def list_trade_offs(cost_scale: CostScale, within: Policy | None = None) -> tuple[Policy, ...]:
    """The trade-offs of the grid as policies: the first by effect alone, the last by cost alone.

    Args:
        cost_scale: Of the training costs, known.
        within: What all of them respect.

    Raises:
        PolicyError: `within` is no policy, or names a trade-off itself.

    Example:
        >>> first, *_, last = list_trade_offs(CostScale(0.001, 0.02), Policy(excluded=("nano",)))
        >>> first.describe()
        'the highest expected effect; never nano'
        >>> last.effect_weight, last.cost_weight
        (0.0, 1.0)
    """
    limits = _read_limits(within)
    priced = [
        Policy(usd_per_effect=float(f"{1 / trade_off:.6g}"), **limits)
        for trade_off in build_trade_off_grid(cost_scale)[1:-1]
    ]
    return (
        Policy(effect_weight=1, cost_weight=0, **limits),
        *priced,
        Policy(effect_weight=0, cost_weight=1, **limits),
    )


def _read_limits(within: Policy | None) -> dict[str, Any]:
    """The settings of a policy that are no trade-off."""
    if within is None:
        return {}
    if not isinstance(within, Policy):
        raise PolicyError(
            f"within is a {type(within).__name__}; expected a Policy with what every trade-off is "
            "to respect, for example Policy(excluded=('nano',))."
        )
    goals = [name for name in _GOALS if name in within.model_fields_set]
    if goals:
        # One weight given is both weights set: which one was written is not known any more.
        said = goals[0] if goals[0] not in WEIGHTS else f"the weights ({', '.join(WEIGHTS)})"
        raise PolicyError(
            f"The policy sets {said}, and the trade-off is what is looked for; expected limits "
            "alone. Leave that out."
        )
    return {name: getattr(within, name) for name in within.model_fields_set}
