"""What a model is worth over the rest of a session, and what its prompt costs again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graphrouter.gateway.token_prices import MTOK, NANOUSD, TokenPrices
from graphrouter.policy import CostScale, Policy

__all__ = ["Prefix", "Terms", "count_prefix_usd", "weigh_dollars"]


class Terms(NamedTuple):
    """What a switch is weighed by."""

    prices: Mapping[str, TokenPrices]
    """Of each model."""
    utility_per_usd: float
    """What a dollar takes off the utility of the policy."""


def weigh_dollars(policy: Policy | None, scale: CostScale) -> float:
    """What a dollar takes off the utility of a policy; see `Policy.split_utility`.

    Args:
        policy: None for the default.
        scale: Of the router.

    Example:
        >>> weigh_dollars(Policy(usd_per_effect=0.5), CostScale(0.0, 0.1))
        2.0
    """
    by = (Policy() if policy is None else policy).resolve(scale)
    if by.min_effect is not None:
        return 1.0
    if by.usd_per_effect is not None:
        return 1 / by.usd_per_effect
    return by.cost_weight / scale.width_usd


class Prefix(NamedTuple):
    """What the turns of a session read again."""

    earlier_tokens: float
    """Before this turn: cached, if the model has read them."""
    tokens: float
    """With this turn: what the next one reads again."""
    growth: float
    """Tokens that a turn adds to that."""


def count_prefix_usd(
    prices: TokenPrices, prefix: Prefix, *, turns: float, is_cached: bool
) -> float | None:
    """Dollars that a model asks for what the turns of a session read again; None where unknown.

    The first time it pays for all of them, unless its cache holds them; from then on it finds them
    there. What is new in a turn is in the utilities of the models already.

    Args:
        prices: Of the model.
        prefix: What is read again.
        turns: This one and those to go.
        is_cached: Whether its cache holds what was said before this turn.

    Example:
        >>> prefix = Prefix(earlier_tokens=1e6, tokens=1e6, growth=0)
        >>> dear, cheap = TokenPrices.of_usd(3.0, 9.0, 0.3), TokenPrices.of_usd(1.0, 3.0, 0.1)
        >>> [round(count_prefix_usd(dear, prefix, turns=n, is_cached=True), 6) for n in (1, 9)]
        [0.3, 2.7]
        >>> [round(count_prefix_usd(cheap, prefix, turns=n, is_cached=False), 6) for n in (1, 9)]
        [1.0, 1.8]
    """
    if prices.input is None:
        return None
    cached = prices.input if prices.cached_input is None else prices.cached_input
    later = max(turns - 1, 0.0)
    first = (cached if is_cached else prices.input) * prefix.earlier_tokens
    rest = cached * later * (prefix.tokens + prefix.growth * (later - 1) / 2)
    return (first + rest) / MTOK / NANOUSD
