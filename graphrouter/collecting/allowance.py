"""How much may be spent: reserved before a call, settled after it, never above the limit."""

from __future__ import annotations

import asyncio

from graphrouter.gateway.token_prices import to_usd

__all__ = ["Allowance", "SpentError"]


class SpentError(Exception):
    """The next call could go beyond a limit."""


class Allowance:
    """Limits of dollars and of calls that many calls at once share.

    Of a call the most that it can cost is set aside before it is sent. A call that does not fit
    beside those on their way waits for what they turn out to cost; where none is on its way the
    limit is reached, and nothing further is let through, so that cheap models do not go on where
    dear ones had to stop.
    """

    def __init__(
        self,
        limit_nanousd: int | None = None,
        max_calls: int | None = None,
        *,
        spent_nanousd: int = 0,
        num_calls: int = 0,
    ) -> None:
        """Limits, and what earlier runs have used of them.

        Args:
            limit_nanousd: Of money; None for none.
            max_calls: Of calls, attempts that failed among them; None for any number.
            spent_nanousd: Spent so far.
            num_calls: Sent so far.
        """
        self.limit_nanousd, self.max_calls = limit_nanousd, max_calls
        self.spent_nanousd, self.num_calls = spent_nanousd, num_calls
        self.reserved_nanousd, self._num_open = 0, 0
        self.reached = ""
        """Which limit it is, in words; empty while there is room."""
        self._changed = asyncio.Condition()

    async def reserve(self, nanousd: int) -> None:
        """Set money for a call aside, as soon as it is sure to be there.

        Args:
            nanousd: The most that the call can cost.

        Raises:
            SpentError: It would go beyond a limit.
        """
        async with self._changed:
            while not self.reached and not self._fits(nanousd):
                if self._num_open == 0:
                    self.reached = self._tell_limit(nanousd)
                    self._changed.notify_all()
                else:
                    await self._changed.wait()
            if self.reached:
                raise SpentError(self.reached)
            self.reserved_nanousd += nanousd
            self._num_open += 1
            self.num_calls += 1

    async def settle(self, reserved_nanousd: int, spent_nanousd: int) -> None:
        """Take what a call has cost in the place of what was set aside for it."""
        async with self._changed:
            self.reserved_nanousd -= reserved_nanousd
            self.spent_nanousd += spent_nanousd
            self._num_open -= 1
            self._changed.notify_all()

    def _fits(self, nanousd: int) -> bool:
        if self.max_calls is not None and self.num_calls >= self.max_calls:
            return False
        used = self.spent_nanousd + self.reserved_nanousd + nanousd
        return self.limit_nanousd is None or used <= self.limit_nanousd

    def _tell_limit(self, nanousd: int) -> str:
        if self.max_calls is not None and self.num_calls >= self.max_calls:
            return f"{self.num_calls:,} calls are made"
        return (
            f"{to_usd(self.spent_nanousd):.6f} USD are spent, and the next call may cost "
            f"{to_usd(nanousd):.6f} USD"
        )
