"""List prices: found by name, never in the place of what a card states, and nothing is fetched for
them."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest
from genai_prices.types import (
    ClauseEquals,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from graphrouter import prices
from graphrouter.exceptions import DataError
from graphrouter.pool import ModelCard
from graphrouter.prices import fill_prices, find_listed_price


def entry(
    name: str, prompt: str | TieredPrices | None, completion: str | None, context: int | None = None
) -> ModelInfo:
    known = {"input_mtok": Decimal(prompt) if isinstance(prompt, str) else prompt}
    if completion is not None:
        known["output_mtok"] = Decimal(completion)
    return ModelInfo(
        id=name, match=ClauseEquals(equals=name), context_window=context, prices=ModelPrice(**known)
    )


@pytest.fixture
def small_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two makers and two resellers of our own making."""
    tiers = TieredPrices(base=Decimal("3"), tiers=[Tier(start=1000, price=Decimal("6"))])
    providers = [
        Provider(
            "north",
            "North",
            "north",
            models=[entry("twin", "1", "2"), entry("same", "1", "2"), entry("solo-7b", "4", "5")],
        ),
        Provider(
            "south",
            "South",
            "south",
            models=[entry("twin", "1", "3"), entry("same", "1", "2"), entry("acme-1", "9", "9")],
        ),
        Provider(
            "acme",
            "Acme",
            "acme",
            model_match=ClauseStartsWith(starts_with="acme"),
            models=[entry("acme-1", tiers, "15", 8000), entry("acme-voice", None, None)],
        ),
    ]
    monkeypatch.setattr(prices, "_load_providers", lambda: providers)
    monkeypatch.setattr(prices, "_find_day", prices._find_day.__wrapped__)


@pytest.mark.parametrize(
    "name", ["gpt-4o-mini", "openai/gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro"]
)
def test_well_known_models_are_listed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    listed = find_listed_price(name)
    assert 0 < listed.input_usd_per_mtok < listed.output_usd_per_mtok < 1000
    assert listed.name.endswith(name.partition("/")[2] or name)


@pytest.mark.usefixtures("small_list")
def test_the_maker_counts_before_those_who_sell_it_too_and_the_lowest_tier_before_the_others() -> (
    None
):
    listed = find_listed_price("acme-1")
    assert listed[:4] == ("acme/acme-1", 3.0, 15.0, 8000)
    assert listed.source == f"genai-prices {version('genai-prices')}, the lowest tier"
    assert (
        find_listed_price("ACME-1")
        == find_listed_price("acme/acme-1")
        == find_listed_price("Acme/acme-1")
    )
    assert find_listed_price("south/acme-1")[:4] == ("south/acme-1", 9.0, 9.0, None)


@pytest.mark.usefixtures("small_list")
def test_providers_of_one_price_are_as_good_as_one() -> None:
    assert find_listed_price("same")[:4] == ("north/same", 1.0, 2.0, None)
    assert find_listed_price("solo-7b").name == "north/solo-7b"


@pytest.mark.usefixtures("small_list")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "twin",
            "'twin' at different prices: north/twin, south/twin. Name the one meant, as "
            "PROVIDER/MODEL.",
        ),
        ("acme-voice", "no price a token of text that is all of a call's price. State both"),
        (
            "solo-8b",
            "no model 'solo-8b'. Did you mean solo-7b? Otherwise state both prices in the card.",
        ),
        ("acme/acme-2", "no model 'acme/acme-2'. Did you mean acme-1 or acme-voice"),
        ("something else", "no model 'something else'. State both prices in the card."),
        ("", "no model ''. State both prices"),
    ],
)
def test_what_the_list_cannot_say_is_one_clear_line(name: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        find_listed_price(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("small_list")
def test_what_the_card_states_stays() -> None:
    bare = fill_prices(ModelCard(model="acme-1", description="A model."))
    assert bare == ModelCard(
        model="acme-1",
        description="A model.",
        input_usd_per_mtok=3,
        output_usd_per_mtok=15,
        context_tokens=8000,
    )
    half = fill_prices(
        ModelCard(model="acme-1", input_usd_per_mtok=0, context_tokens=10, json=True)
    )
    assert (
        half.input_usd_per_mtok,
        half.output_usd_per_mtok,
        half.context_tokens,
        half.json_output,
    ) == (0, 15, 10, True)
    stated = ModelCard(model="nobody knows it", input_usd_per_mtok=1, output_usd_per_mtok=2)
    assert fill_prices(stated) is stated
    assert fill_prices(ModelCard(model="mine"), listed_as="south/twin").output_usd_per_mtok == 3
    with pytest.raises(DataError, match="no model 'mine'"):
        fill_prices(ModelCard(model="mine"))


def test_the_list_is_read_by_those_alone_who_ask() -> None:
    code = "import sys, graphrouter.prices; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def priced(prompt: str, completion: str, rule: object = None) -> ConditionalPrice:
    price = ModelPrice(input_mtok=Decimal(prompt), output_mtok=Decimal(completion))
    return ConditionalPrice(constraint=rule, prices=price)


def hours(start: int, end: int) -> TimeOfDateConstraint:
    return TimeOfDateConstraint(
        start_time=time(start, 30, tzinfo=UTC), end_time=time(end, 30, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        # DeepSeek in 2025: cheaper at night, full price from 0:30 to 16:30.
        ([priced("0.1", "0.5"), priced("0.3", "1", hours(0, 16))], (0.3, 1.0)),
        # DeepSeek in 2026: dearer in two spans of the day.
        (
            [
                priced("0.1", "0.5"),
                priced("0.3", "1", hours(1, 4)),
                priced("0.3", "1", hours(6, 10)),
            ],
            (0.1, 0.5),
        ),
        # Over midnight.
        ([priced("0.1", "0.5"), priced("0.3", "1", hours(12, 4))], (0.3, 1.0)),
        # Changes up to the day of the list, and one that is announced.
        (
            [
                priced("1", "2"),
                priced("3", "4", StartDateConstraint(date(2026, 2, 1))),
                priced("5", "6", StartDateConstraint(date(2031, 1, 1))),
            ],
            (3.0, 4.0),
        ),
    ],
    ids=["cheaper at night", "dearer by day", "over midnight", "changed"],
)
def test_a_price_that_changes_has_one_base(
    monkeypatch: pytest.MonkeyPatch, rules: list[ConditionalPrice], expected: tuple[float, float]
) -> None:
    changing = ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=rules)
    days = [priced("1", "1", StartDateConstraint(date(2026, month, 9))) for month in (1, 2, 3)]
    scraped = ModelInfo(id="s", match=ClauseEquals(equals="s"), prices=days)
    providers = [
        Provider("maker", "Maker", "maker", models=[changing]),
        Provider("shop", "Shop", "shop", models=[scraped]),
    ]
    monkeypatch.setattr(prices, "_load_providers", lambda: providers)
    monkeypatch.setattr(prices, "_find_day", prices._find_day.__wrapped__)
    listed = find_listed_price("m")
    assert listed[1:3] == expected
    assert "prices of 2026-03-09" in listed.source


def test_the_same_price_at_any_hour_and_no_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the list was asked for the prices of a moment")

    names = ["deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash", "gemini-3.8-flash", "o3"]
    monkeypatch.setattr(ModelInfo, "get_prices", refuse)
    found = [find_listed_price(name) for name in names]
    assert [listed[1:3] for listed in found[:2]] == [(0.27, 1.1), (0.55, 2.19)]
    assert "as it is for most of the day" in found[0].source
    source = Path(str(prices.__file__)).read_text(encoding="utf-8")
    for clock in ("import datetime", "datetime.", "today", "now(", "time.time"):
        assert clock not in source


def test_entries_are_found_by_their_own_names_at_a_price_that_holds_at_some_hour() -> None:
    checked = 0
    for provider in prices._load_providers():
        some = [model for model in provider.models if isinstance(model.prices, list)]
        for model in (*some, *provider.models[::10]):
            try:
                listed = find_listed_price(f"{provider.id}/{model.id}")
            except DataError:
                continue
            checked += 1
            assert listed.name == f"{provider.id}/{model.id}"
            at_some_hour = [
                model.get_prices(datetime(2026, 11, 9, hour, tzinfo=UTC)) for hour in range(24)
            ]
            assert listed.input_usd_per_mtok in [
                float(getattr(price.input_mtok, "base", price.input_mtok))
                for price in at_some_hour
                if price.input_mtok is not None
            ], listed
    assert checked > 200


@pytest.mark.parametrize(
    "name",
    [
        "deepseek-r1-distill-qwen-32b",
        "deepseek-reasoner-mini",
        "deepseek-chat-free",
        "deepseek-chat:batch",
        "gpt-4o-mini-preview-of-mine",
        "claude-sonnet-4-5-distill",
        "claude-sonnet-4-5-20250929",  # the maker lists no such name, a shop sells it dearer
        "gemini-2.5-pro-free",
        "o3-something",
    ],
)
def test_a_name_that_only_begins_like_an_entry_has_no_price(name: str) -> None:
    with pytest.raises(DataError, match="no model"):
        find_listed_price(name)


def test_other_names_that_the_maker_gives_are_as_good() -> None:
    assert find_listed_price("deepseek-r1")[:3] == find_listed_price("deepseek-reasoner")[:3]
    assert find_listed_price("claude-sonnet-4.5").name == "anthropic/claude-sonnet-4-5"
    assert find_listed_price("azure/gpt-4o").name == "openai/gpt-4o"  # sold at the maker's price


def test_a_model_that_charges_by_the_call_too_has_no_price_a_token() -> None:
    with pytest.raises(DataError, match="all of a call's price"):
        find_listed_price("perplexity/sonar")
