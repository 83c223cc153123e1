"""List prices: found by name, never in the place of what a card states, and nothing is fetched for
them."""

from __future__ import annotations

import socket
import subprocess
import sys
from decimal import Decimal

import pytest
from genai_prices.types import (
    ClauseEquals,
    ClauseStartsWith,
    ModelInfo,
    ModelPrice,
    Provider,
    Tier,
    TieredPrices,
)

from graphrouter import prices
from graphrouter.exceptions import DataError
from graphrouter.pool import ModelCard
from graphrouter.prices import ListedPrice, fill_prices, find_listed_price


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
    assert find_listed_price("acme-1") == ListedPrice("acme/acme-1", 3.0, 15.0, 8000)
    assert (
        find_listed_price("ACME-1")
        == find_listed_price("acme/acme-1")
        == find_listed_price("Acme/acme-1")
    )
    assert find_listed_price("south/acme-1") == ListedPrice("south/acme-1", 9.0, 9.0, None)


@pytest.mark.usefixtures("small_list")
def test_providers_of_one_price_are_as_good_as_one() -> None:
    assert find_listed_price("same") == ListedPrice("north/same", 1.0, 2.0, None)
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
        ("acme-voice", "no price a token of text. State both prices in the card."),
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
