"""What the tokens of a model cost, and what a call has cost by them."""

from __future__ import annotations

from typing import NamedTuple, Self

from graphrouter.chats.usage import Usage

__all__ = ["NANOUSD", "TokenPrices", "to_nanousd", "to_usd"]

NANOUSD = 1_000_000_000
"""Nanodollars of a dollar: money is counted in whole ones."""
MTOK = 1_000_000


def to_nanousd(usd: float) -> int:
    """US dollars as a whole number of nanodollars, the nearest.

    Example:
        >>> to_nanousd(0.0000375)
        37500
    """
    return round(usd * NANOUSD)


def to_usd(nanousd: int | None) -> float | None:
    """Nanodollars as US dollars.

    Example:
        >>> to_usd(37500), to_usd(None)
        (3.75e-05, None)
    """
    return None if nanousd is None else nanousd / NANOUSD


class TokenPrices(NamedTuple):
    """Nanodollars of a million tokens; None where unknown."""

    input: int | None = None
    cached_input: int | None = None
    """Of tokens that came from the upstream's cache; like all others where it is None."""
    output: int | None = None

    @classmethod
    def of_usd(
        cls, input_usd: float | None, output_usd: float | None, cached_usd: float | None = None
    ) -> Self:
        """Prices from US dollars of a million tokens.

        Example:
            >>> TokenPrices.of_usd(0.5, 2.0)
            TokenPrices(input=500000000, cached_input=None, output=2000000000)
        """
        found = (
            None if usd is None else to_nanousd(usd) for usd in (input_usd, cached_usd, output_usd)
        )
        return cls(*found)

    def bill(self, usage: Usage) -> int | None:
        """Nanodollars of a call, rounded once; None where tokens or prices are unknown.

        Example:
            >>> TokenPrices.of_usd(1.0, 4.0, 0.1).bill(Usage(1000, 400, 50))
            840000
        """
        cached = min(usage.cached_input_tokens or 0, usage.input_tokens or 0)
        fresh = None if usage.input_tokens is None else usage.input_tokens - cached
        of_cached = self.input if self.cached_input is None else self.cached_input
        if fresh is None or (usage.output_tokens is None and self.output != 0):
            return None
        total = 0
        for tokens, price in (
            (fresh, self.input),
            (cached, of_cached),
            (usage.output_tokens or 0, self.output),
        ):
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return (total + MTOK // 2) // MTOK
