"""List prices of well-known models, from the list that the package genai-prices ships.

Nothing is downloaded.
"""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from graphrouter.exceptions import DataError
from graphrouter.pool import ModelCard

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

__all__ = [
    "ListedPrice",
    "apply_listed_price",
    "fill_prices",
    "find_listed_price",
]

_MOST_NAMED = 4


class ListedPrice(NamedTuple):
    """What the list says of a model today.

    The base prices of text, without tiers, caches and batches.
    """

    name: str
    """`PROVIDER/MODEL`, as the list has it."""
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    context_tokens: int | None
    """None where the list does not say."""


def fill_prices(card: ModelCard, *, listed_as: str | None = None) -> ModelCard:
    """The card with the prices of the list where it has none; what the card states stays.

    The length of the context is filled in too where the list has it. A card that states both prices
    is returned as it is.

    Args:
        card: What is known of the model.
        listed_as: The model's name in the list where it is not the card's: MODEL or PROVIDER/MODEL.

    Raises:
        DataError: The list does not know the model, or several providers sell it at different
            prices.

    Example:
        >>> card = fill_prices(ModelCard(model="gpt-4o-mini", output_usd_per_mtok=0.7))
        >>> card.has_price, card.output_usd_per_mtok
        (True, 0.7)
    """
    return (
        card
        if card.has_price
        else apply_listed_price(card, find_listed_price(listed_as or card.model))
    )


def apply_listed_price(card: ModelCard, listed: ListedPrice) -> ModelCard:
    """The card with what the list says where it says nothing itself.

    Example:
        >>> listed = ListedPrice("maker/nano", 0.1, 0.4, 8000)
        >>> card = apply_listed_price(ModelCard(model="nano", input_usd_per_mtok=0.2), listed)
        >>> card.input_usd_per_mtok, card.output_usd_per_mtok, card.context_tokens
        (0.2, 0.4, 8000)
    """
    stated = card.model_dump(by_alias=True, exclude_none=True)
    listing = {
        name: value
        for name, value in listed._asdict().items()
        if name != "name" and value is not None
    }
    return ModelCard.model_validate({**listing, **stated})


def find_listed_price(name: str) -> ListedPrice:
    """What the list says of a model.

    The maker's own price counts before that of others who sell the model. A price with tiers counts
    with its lowest tier.

    Args:
        name: MODEL or PROVIDER/MODEL, as an API would be asked for it.

    Raises:
        DataError: The list does not know the model or has no price of text for it, or several
            providers sell it at different prices.

    Example:
        >>> listed = find_listed_price("openai/gpt-4o-mini")
        >>> listed.name, 0 < listed.input_usd_per_mtok < listed.output_usd_per_mtok
        ('openai/gpt-4o-mini', True)
    """
    found = _find_matches(name)
    if not found:
        raise DataError(f"The price list has no model {name!r}. {_suggest_near(name)}")
    offers = [
        offer for provider, model in found if (offer := _make_offer(provider, model)) is not None
    ]
    if not offers:
        raise DataError(
            f"The price list has {name!r}, but no price a token of text. State both prices in the "
            "card."
        )
    if len({offer[1:3] for offer in offers}) > 1:
        shown = ", ".join(offer.name for offer in offers[:_MOST_NAMED]) + (
            ", ..." if offers[_MOST_NAMED:] else ""
        )
        raise DataError(
            f"Several providers sell {name!r} at different prices: {shown}. Name the one meant, "
            "as PROVIDER/MODEL."
        )
    return offers[0]


def _find_matches(name: str) -> list[tuple[Provider, ModelInfo]]:
    """The entries of the list that a name may mean.

    Of the provider that it names, else of the maker, else of anyone.
    """
    providers = _load_providers()
    prefix, _, rest = name.partition("/")
    named = next((provider for provider in providers if provider.id == prefix.lower()), None)
    if (
        named is not None
        and rest
        and (model := named.find_model(rest, all_providers=providers)) is not None
    ):
        return [(named, model)]
    maker = next(
        (
            p
            for p in providers
            if p.model_match is not None and p.model_match.is_match(name.lower())
        ),
        None,
    )
    if maker is not None and (model := maker.find_model(name, all_providers=providers)) is not None:
        return [(maker, model)]
    return [
        (provider, model)
        for provider in providers
        for model in provider.models
        if model.is_match(name)
    ]


def _make_offer(provider: Provider, model: ModelInfo) -> ListedPrice | None:
    """An entry in our units; None where it has no price of text."""
    prices = model.get_prices(datetime.now(UTC))
    prompt, completion = (
        _read_base_price(prices, "input_mtok"),
        _read_base_price(prices, "output_mtok"),
    )
    if prompt is None or completion is None:
        return None
    return ListedPrice(f"{provider.id}/{model.id}", prompt, completion, model.context_window)


def _read_base_price(prices: ModelPrice, name: str) -> float | None:
    """A price in US dollars per million tokens, that of the lowest tier where there are several."""
    price = getattr(prices, name)
    if price is None:
        return None
    return float(getattr(price, "base", price))


def _suggest_near(name: str) -> str:
    """What to do about a name that the list does not have."""
    known = {
        model.id.rpartition("/")[2].lower(): model.id
        for provider in _load_providers()
        for model in provider.models
    }
    near = [
        known[key] for key in difflib.get_close_matches(name.rpartition("/")[2].lower(), known, n=3)
    ]
    hint = f"Did you mean {' or '.join(near)}? Otherwise state" if near else "State"
    return f"{hint} both prices in the card."


@cache
def _load_providers() -> list[Provider]:
    """The list as it lies in the installed package, whatever was fetched since."""
    from genai_prices.data import providers  # takes a while, and only those pay who ask

    return providers
