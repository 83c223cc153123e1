"""Whatever many calls at once want and come to, no limit is passed."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.collecting.allowance import Allowance, SpentError

AMOUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=30)


@given(AMOUNTS, st.integers(0, 200), st.integers(1, 8), st.integers(0, 1000))
def test_no_limit_is_passed(amounts: list[int], limit: int, workers: int, seed: int) -> None:
    rng = random.Random(seed)
    waiting = iter([(amount, rng.randint(0, amount)) for amount in amounts])
    allowance, refused = Allowance(limit, max_calls=20), []

    async def work() -> None:
        for most, cost in waiting:
            try:
                await allowance.reserve(most)
            except SpentError:
                refused.append(most)
                continue
            assert allowance.spent_nanousd + allowance.reserved_nanousd <= limit
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(0)
            await allowance.settle(most, cost)

    async def run() -> None:
        await asyncio.gather(*(work() for _ in range(workers)))

    asyncio.run(run())
    assert allowance.spent_nanousd <= limit
    assert allowance.num_calls == len(amounts) - len(refused) <= 20
    assert allowance.reserved_nanousd == 0
    assert bool(allowance.reached) == bool(refused)


def test_a_call_that_may_fit_waits_for_those_on_their_way() -> None:
    async def run() -> list[str]:
        allowance, order = Allowance(10), []
        await allowance.reserve(8)

        async def second() -> None:
            await allowance.reserve(5)
            order.append("second")

        task = asyncio.ensure_future(second())
        for _ in range(5):
            await asyncio.sleep(0)
        order.append("first is settled")
        await allowance.settle(8, 1)
        await task
        return order

    assert asyncio.run(run()) == ["first is settled", "second"]


def test_once_reached_cheaper_calls_are_not_let_through() -> None:
    async def run() -> None:
        allowance = Allowance(10, spent_nanousd=8)
        with pytest.raises(SpentError, match="USD are spent"):
            await allowance.reserve(3)
        with pytest.raises(SpentError):
            await allowance.reserve(1)

    asyncio.run(run())


def test_earlier_calls_count() -> None:
    async def run() -> None:
        with pytest.raises(SpentError, match="7 calls are made"):
            await Allowance(max_calls=7, num_calls=7).reserve(0)

    asyncio.run(run())
