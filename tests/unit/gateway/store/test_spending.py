"""Bills, budgets under many calls at once, and the report of what was spent."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.chats.usage import Usage
from graphrouter.decision import Candidate, Decision
from graphrouter.exceptions import UnknownModelError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.call_log import CallStart
from graphrouter.gateway.exploring import Exploration
from graphrouter.gateway.store import GroupCommit, Store
from graphrouter.gateway.store.client_keys import ClientKey, KeyTerms, add_key, read_keys
from graphrouter.gateway.store.spending import read_prices, write_prices
from graphrouter.gateway.store.spending_report import read_observed, read_spending
from graphrouter.gateway.store.store_tables import budgets, decisions
from graphrouter.gateway.store.stored_calls import StoredCallLog, WhatIsKept
from graphrouter.gateway.token_prices import TokenPrices, to_nanousd

DEAR, CHEAP = TokenPrices.of_usd(10.0, 40.0), TokenPrices.of_usd(0.1, 0.4, 0.01)
COUNTS = st.integers(0, 10**7)


@pytest.fixture
def writer(store: Store) -> Iterator[GroupCommit]:
    found = GroupCommit(store)
    yield found
    found.close()


def make_log(store: Store, writer: GroupCommit) -> StoredCallLog:
    with store.reader.connect() as connection:
        keys = {each.id: each for each in read_keys(connection)}
    kept = WhatIsKept({"grand": DEAR, "nano": CHEAP})
    return StoredCallLog(store, writer, kept, keys.get)


def make_start(key: ClientKey | str | None, expected_usd: float = 0.01) -> CallStart:
    candidates = (
        Candidate("grand", 0.9, expected_usd, None, None, 0.9),
        Candidate("nano", 0.6, expected_usd / 100, None, None, 0.6),
    )
    decision = Decision("grand", 0.9, expected_usd, candidates)
    order = ("grand", "nano")
    return CallStart("/v1/chat/completions", order, "Hello.", decision=decision, key=key)


def find_key(store: Store) -> ClientKey:
    with store.reader.connect() as connection:
        (found,) = read_keys(connection)
    return found


def read_budget(store: Store) -> tuple[int, int]:
    with store.reader.connect() as connection:
        row = connection.execute(sa.select(budgets)).one()
    return row.spent_nanousd, row.reserved_nanousd


def test_a_bill_is_rounded_once_and_knows_what_it_does_not_know() -> None:
    assert CHEAP.bill(Usage(1, None, 1)) == 500  # 100 and 400 nanodollars
    assert CHEAP.bill(Usage(1_000_000, 400_000, 0)) == 60_000_000 + 4_000_000
    assert TokenPrices.of_usd(1.0, 4.0).bill(Usage(10, 4, 0)) == 10_000  # cached as all others
    assert TokenPrices.of_usd(0.0000004, 0.0).bill(Usage(1, None, 0)) == 0
    assert TokenPrices(output=5).bill(Usage(1, None, 1)) is None
    assert CHEAP.bill(Usage(1, None, None)) is None
    assert TokenPrices.of_usd(0.1, 0.0).bill(Usage(1_000_000)) == 100_000_000  # of embeddings
    assert CHEAP.bill(Usage()) is None


@given(COUNTS, COUNTS, COUNTS)
def test_a_cached_token_costs_no_more_than_another(asked: int, cached: int, answered: int) -> None:
    found = CHEAP.bill(Usage(asked, cached, answered))
    plain = CHEAP.bill(Usage(asked, 0, answered))
    assert found is not None
    assert plain is not None
    assert 0 <= found <= plain


@pytest.mark.parametrize("expected_usd", [0.0, 0.002, 0.05])
def test_a_budget_under_100_calls_at_once_is_overspent_by_those_in_flight_at_most(
    store: Store, writer: GroupCommit, expected_usd: float
) -> None:
    """Of two gateways that share a store."""
    limit, rng = to_nanousd(0.1), random.Random(0)
    add_key(store, "ada", KeyTerms(nanousd_per_day=limit))
    other = GroupCommit(store)
    key, logs = find_key(store), [make_log(store, each) for each in (writer, other)]
    in_flight: dict[int, int] = {}
    most, refused = 0, []

    async def call(number: int) -> None:
        nonlocal most
        true = rng.randrange(to_nanousd(0.0005), to_nanousd(0.004))
        try:
            opened = await logs[number % 2].begin(make_start(key.id, expected_usd))
        except ApiError as error:
            refused.append((error.status, error.code))
            return
        in_flight[number] = true
        most = max(most, sum(in_flight.values()))
        await asyncio.sleep(rng.uniform(0, 0.01))
        opened.mark_first_byte()
        await opened.end(200, "grand", usage=Usage(true // 10_000, None, 0))
        del in_flight[number]

    async def call_all() -> None:
        await asyncio.gather(*map(call, range(100)))
        await asyncio.gather(*map(call, range(100, 110)))

    asyncio.run(call_all())
    other.close()
    spent, reserved = read_budget(store)
    assert reserved == 0
    assert spent <= limit + most
    assert set(refused) == {(429, "budget_exceeded")}
    if expected_usd:  # what is set aside keeps them from beginning at all
        assert spent <= limit + to_nanousd(0.004) * (limit // to_nanousd(expected_usd) + 1)


def test_beyond_its_budget_a_key_is_sent_to_the_cheapest_where_it_says_so(
    store: Store, writer: GroupCommit
) -> None:
    add_key(store, "ada", KeyTerms(nanousd_per_day=to_nanousd(0.015), over_budget="cheapest"))
    key, log = find_key(store), make_log(store, writer)

    async def call() -> tuple[str, ...]:
        opened = await log.begin(make_start(key.id))
        await opened.kept()
        return opened.order

    assert asyncio.run(call()) == ("grand", "nano")
    assert asyncio.run(call()) == ("nano", "grand")
    assert read_budget(store) == (0, to_nanousd(0.0101))
    with store.reader.connect() as connection:
        asked = connection.execute(sa.select(decisions.c.asked).order_by(decisions.c.time))
        assert asked.scalars().all() == ["grand", "nano"]


@pytest.mark.parametrize("exploration", [None, Exploration(1.0, "uniform", seed=1)])
def test_a_session_stays_on_its_model(
    store: Store, writer: GroupCommit, exploration: Exploration | None
) -> None:
    kept = WhatIsKept({}, exploration=exploration)
    log = StoredCallLog(store, writer, kept, lambda _: None)
    start = replace(make_start(None), order=("nano", "grand"), is_settled=True)

    async def call() -> tuple[str, ...]:
        opened = await log.begin(start)
        await opened.kept()
        return opened.order

    assert {asyncio.run(call()) for _ in range(5)} == {("nano", "grand")}
    with store.reader.connect() as connection:
        (row, *_) = connection.execute(sa.select(decisions)).all()
    assert (row.chosen, row.asked) == ("grand", "nano")
    chances = {each["model"]: each["propensity"] for each in json.loads(row.candidates)}
    assert chances == {"grand": 0.0, "nano": 1.0}


def test_a_call_that_nobody_ended_counts_as_what_was_expected(
    store: Store, writer: GroupCommit
) -> None:
    add_key(store, "ada", KeyTerms(nanousd_per_day=to_nanousd(0.015)))
    key, log = find_key(store), make_log(store, writer)

    async def call_and_fail() -> None:
        (await log.begin(make_start(key.id))).end(502)
        (await log.begin(make_start(key.id)))
        with pytest.raises(ApiError, match="The budget of the key 'ada' for .* is used up"):
            await log.begin(make_start(key.id))
        await log.begin(make_start(None))  # others have no budget

    asyncio.run(call_and_fail())
    assert read_budget(store) == (0, to_nanousd(0.01))


def test_what_was_spent_and_what_was_saved(store: Store, writer: GroupCommit) -> None:
    write_prices(store, {"grand": DEAR, "nano": CHEAP})
    write_prices(store, {"grand": DEAR, "nano": CHEAP})
    add_key(store, "ada")
    key, log = find_key(store), make_log(store, writer)

    async def call_all() -> None:
        for model, usage, status in (
            ("nano", Usage(1000, 500, 100), 200),
            ("nano", Usage(1000, None, 100), 200),
            ("grand", Usage(1000, None, 100), 200),
            ("grand", Usage(), 200),
            (None, None, 502),
            ("grand", Usage(), 400),
        ):
            opened = await log.begin(make_start(key.id if model else None))
            await opened.end(status, model, usage=usage)

    asyncio.run(call_all())
    with store.reader.connect() as connection:
        assert read_prices(connection) == {"grand": DEAR, "nano": CHEAP}
        grand, nano, nobody = read_spending(connection, baseline="grand")
        assert (grand.name, grand.num_calls, grand.num_unknown) == ("grand", 3, 1)
        assert grand.cost_usd == pytest.approx(0.014)
        assert (grand.saved_usd, nobody.cost_usd, nobody.name) == (0.0, 0.0, "(nobody)")
        assert nano.cost_usd == pytest.approx((500 * 0.1 + 500 * 0.01 + 1000 * 0.1 + 80) / 1e6)
        assert nano.baseline_usd == pytest.approx((2000 * 10 + 200 * 40) / 1e6)
        assert [row.name for row in read_spending(connection, by="key")] == ["ada", "(nobody)"]
        assert read_spending(connection, until=0.0) == []
        with pytest.raises(UnknownModelError, match="no prices of 'gran'. Did you mean 'grand'"):
            read_spending(connection, baseline="gran")


def test_what_was_observed_says_what_would_have_been_saved(
    store: Store, writer: GroupCommit
) -> None:
    log = make_log(store, writer)

    async def call_all() -> None:
        named = replace(make_start(None), order=("nano",), named="nano")
        for start in (
            named,
            replace(named, order=("grand",), named="grand"),
            replace(named, order=("elsewhere",), named="elsewhere"),
            make_start(None),
        ):
            opened = await log.begin(start)
            await opened.end(200, start.order[0], usage=Usage(1000, None, 0))

    with store.reader.connect() as connection:
        assert read_observed(connection) is None
    asyncio.run(call_all())
    with store.reader.connect() as connection:
        found = read_observed(connection)
        assert read_observed(connection, until=0.0) is None
    assert found is not None
    assert (found.num_calls, found.num_others) == (2, 1)
    assert (found.named_effect, found.chosen_effect) == (pytest.approx(0.75), pytest.approx(0.9))
    assert found.named_usd == pytest.approx((0.01 + 0.0001) / 2)
    assert found.cost_usd == pytest.approx((0.1 + 10) / 1000)
    assert found.saved_usd == pytest.approx(found.cost_usd * (1 - 0.02 / 0.0101))
