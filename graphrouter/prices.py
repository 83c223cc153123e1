"""List prices of well-known models, from the list that the package genai-prices ships.

Nothing is downloaded, and no clock is read: the same list gives the same price at any hour.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from graphrouter.exceptions import DataError
from graphrouter.pool import ModelCard

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, Provider

__all__ = [
    "ListedPrice",
    "apply_listed_price",
    "fill_prices",
    "find_listed_price",
]

_MOST_NAMED = 4


class ListedPrice(NamedTuple):
    """What the list says of a model, on the day of the list.

    The base prices of text, without caches and batches.
    """

    name: str
    """`PROVIDER/MODEL`, as the list has it."""
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    context_tokens: int | None
    """None where the list does not say."""
    source: str = ""
    """Which list, of which day, and what of its prices was taken where it has several."""


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
        if name not in ("name", "source") and value is not None
    }
    return ModelCard.model_validate({**listing, **stated})


def find_listed_price(name: str) -> ListedPrice:
    """What the list says of a model.

    Names are exact, but for capitals: that of an entry, or one that the entry gives as another. A
    name that only begins like an entry may be another model at another price. The maker's own
    price counts before that of others who sell the model. A price with tiers counts with its lowest
    tier, one that changes with the hour as it is for most of the day, one that changed with the
    last change up to the day of the list.

    Args:
        name: MODEL or PROVIDER/MODEL, as an API would be asked for it.

    Raises:
        DataError: The list does not know the model or has no price of text alone for it, or several
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
            f"The price list has {name!r}, but no price a token of text that is all of a call's "
            "price. State both prices in the card."
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
    providers = {provider.id: provider for provider in _load_providers()}
    prefix, _, rest = name.lower().partition("/")
    if prefix in providers and rest:
        named = providers[prefix]
        sellers = [named, *(providers[each] for each in named.fallback_model_providers or ())]
        for seller in sellers:
            if found := _list_entries(seller, rest):
                return found
    makers = [
        p for p in providers.values() if p.model_match and p.model_match.is_match(name.lower())
    ]
    # Another seller's price of a name that the maker does not have may be that of another place.
    offers = [_list_entries(seller, name) for seller in makers or providers.values()]
    if makers:
        return next((some for some in offers if some), [])
    return [entry for some in offers for entry in some]


def _list_entries(provider: Provider, name: str) -> list[tuple[Provider, ModelInfo]]:
    """The entry of a provider that has the name, else one that gives it as another name."""
    wanted = name.lower()
    own = [model for model in provider.models if model.id.lower() == wanted]
    others = [model for model in provider.models if wanted in _list_names(model.match)]
    return [(provider, model) for model in (own or others)[:1]]


def _list_names(match: MatchLogic) -> Iterator[str]:
    """Names that a rule of the list spells out, in small letters.

    A rule that names begin or go on with something is a name where nothing more is there.
    """
    for part in getattr(match, "or_", ()):
        yield from _list_names(part)
    for word in ("equals", "starts_with"):
        if hasattr(match, word):
            yield getattr(match, word).lower()


def _make_offer(provider: Provider, model: ModelInfo) -> ListedPrice | None:
    """An entry in our units; None where it has no price of text, or one for the call besides."""
    prices, notes = _find_base_price(model)
    both: list[Any] = [getattr(prices, name, None) for name in ("input_mtok", "output_mtok")]
    if None in both or getattr(prices, "requests_kcount", None) is not None:
        return None
    if any(hasattr(price, "tiers") for price in both):
        notes.append("the lowest tier")
    prompt, completion = (float(getattr(price, "base", price)) for price in both)
    source = ", ".join([_describe_list(), *notes])
    name = f"{provider.id}/{model.id}"
    return ListedPrice(name, prompt, completion, model.context_window, source)


def _find_base_price(model: ModelInfo) -> tuple[ModelPrice, list[str]]:
    """The price on the day of the list at most hours of that day, and what is to be said of it."""
    if not isinstance(model.prices, list):
        return model.prices, []
    from genai_prices.types import TimeOfDateConstraint

    base, by_hour = model.prices[0].prices, []
    for each in model.prices:  # a later entry overrules an earlier one
        rule, day = each.constraint, _find_day()
        if isinstance(rule, TimeOfDateConstraint):
            minutes = (rule.end_time.hour - rule.start_time.hour) * 60
            minutes += rule.end_time.minute - rule.start_time.minute
            by_hour.append((minutes % 1440, each.prices))
        elif rule is None or day is None or rule.start_date <= day:
            base = each.prices
    for _, price in by_hour:
        if sum(minutes for minutes, other in by_hour if other == price) > 1440 / 2:
            base = price
    return base, ["as it is for most of the day"] if by_hour else []


@cache
def _find_day() -> date | None:
    """The day of the list: the last on which it notes a change of a price.

    By the provider of most such notes, which are gathered by a programme; others announce changes
    to come. None in a list without any.
    """
    days = [_list_days(provider) for provider in _load_providers()]
    most = max(range(len(days)), key=lambda i: len(days[i]))
    return max(days[most], default=None)


def _list_days(provider: Provider) -> list[date]:
    from genai_prices.types import StartDateConstraint

    prices = (model.prices for model in provider.models if isinstance(model.prices, list))
    rules = (each.constraint for some in prices for each in some)
    return [rule.start_date for rule in rules if isinstance(rule, StartDateConstraint)]


def _describe_list() -> str:
    day = _find_day()
    return f"genai-prices {version('genai-prices')}" + (f", prices of {day}" if day else "")


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
