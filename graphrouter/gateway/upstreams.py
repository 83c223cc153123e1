"""Where each candidate is served: addresses, keys, names at the provider, parameters."""

from __future__ import annotations

import base64
import logging
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, get_args
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import Field, field_validator

from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import ConfigError
from graphrouter.files import to_path
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.pool import ModelCard, ModelPool, parse_card
from graphrouter.siblings import read_parameters
from graphrouter.text_files import read_plain_file
from graphrouter.wording import name_some, show_value, suggest

__all__ = ["Deployment", "Endpoint", "Upstream", "list_candidates", "load_upstreams"]

Endpoint = Literal["chat", "responses", "messages", "count_tokens", "completions", "embeddings"]

logger = logging.getLogger(__name__)
_KEYS = ("defaults", "upstreams", "others")
_EXPECTED = "expected an address such as https://api.example.com/v1"
_EXPECTED_LOGIN = (
    f"{_EXPECTED}, in whose user and password a / is %2F, a # %23 and a blank %20, and in whose "
    "path an @ is %40"
)
_ANTHROPIC_VERSION = "2023-06-01"


class Upstream(DocumentedModel):
    """How one model is reached.

    Example:
        >>> Upstream(base_url="http://127.0.0.1:8001/v1", retries=0).timeout_s
        120.0
    """

    addresses: ClassVar[frozenset[str]] = frozenset({"base_url"})

    base_url: str = Field(
        description="Address of an API like OpenAI's or Anthropic's, with its /v1; user and "
        "password in it are sent as a header."
    )
    protocol: Literal["openai", "anthropic"] = Field(
        "openai", description="Which of the two it is like."
    )
    weight: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="Share of the calls, beside other deployments of the same model.",
    )
    endpoints: tuple[Endpoint, ...] = Field(
        get_args(Endpoint), description="What may be sent there; all by default."
    )
    api_key_env: str | None = Field(
        None, min_length=1, description="Environment variable that holds the key; none is sent."
    )
    model: str | None = Field(
        None, min_length=1, description="Name at the provider; the card's base, else its name."
    )
    parameters: dict[str, Any] | None = Field(
        None, description="Sent with every call where the request does not state them."
    )
    input_usd_per_mtok: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="USD per million input tokens; the card's."
    )
    cached_input_usd_per_mtok: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="USD per million input tokens that its cache of prompts had; as all others.",
    )
    output_usd_per_mtok: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="USD per million output tokens; the card's."
    )
    hedge: bool = Field(
        False,
        description="Whether the next one is asked too when it takes longer than its 95th "
        "percentile to begin; both may be paid for.",
    )
    timeout_s: float = Field(
        120.0, gt=0, allow_inf_nan=False, description="Most seconds until the first byte."
    )
    retries: int = Field(
        2, ge=0, le=10, description="Further attempts before the next candidate is tried."
    )

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        has_login = "@" in address
        expected = _EXPECTED_LOGIN if has_login else _EXPECTED
        try:
            parts = urlsplit(address)
            is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError as error:  # it may quote what it takes for a port, a part of a password
            raise ValueError(expected if has_login else f"{error}; {expected}") from None
        if not is_one or any(map(str.isspace, parts.netloc)):
            raise ValueError(expected)
        if has_login and "@" not in parts.netloc and parts.port is not None:
            raise ValueError(expected)  # https://me:12/34@host: neither is a port, or both
        return address.rstrip("/")

    @field_validator("parameters", mode="before")
    @classmethod
    def _read_parameters(cls, value: Any) -> dict[str, Any] | None:
        return read_parameters(value)


class Deployment(NamedTuple):
    """A model at an address where it can be called."""

    candidate: str
    """Name of the model, as clients and the pool call it."""
    address: str
    """Of the API, without a slash at its end, and without user and password."""
    headers: Mapping[str, str]
    """With the key, or user and password; never to be logged."""
    body: Mapping[str, Any]
    """What a request is sent with where it does not state it; `model` is always sent so."""
    timeout_s: float
    retries: int
    protocol: Literal["openai", "anthropic"] = "openai"
    endpoints: tuple[Endpoint, ...] = get_args(Endpoint)
    """What may be sent there."""
    weight: float = 1.0
    """Share of the calls, beside other deployments of the model."""
    prices: TokenPrices | None = None
    """Of its tokens."""
    hedges: bool = False
    """Whether another is asked too when it is slow to begin."""

    def is_beside(self, other: Deployment) -> bool:
        """Whether both are of one upstream: the same address, and the same key."""
        return self.address == other.address and self.headers == other.headers

    def __repr__(self) -> str:
        return f"Deployment({self.candidate!r}, {self.address!r})"


def load_upstreams(
    file: str | Path, pool: ModelPool, environ: Mapping[str, str]
) -> dict[str, tuple[Deployment, ...]]:
    """Where models can be called, by name, from a YAML or JSON file.

    `upstreams:` maps models of the pool to settings of `Upstream`, or to a list of them where a
    model is served at several addresses, `others:` models that are no candidates, such as one of
    embeddings, and `defaults:` holds settings for all that state none; with a `base_url` there
    every model of the pool can be called. Models without an address are left out, with a warning.

    Args:
        file: YAML, or JSON by its suffix.
        pool: Of the router.
        environ: Environment variables, for keys.

    Raises:
        ConfigError: There is no such file, a setting or a candidate is unknown, a value is not
            accepted, a key is not in the environment, or no candidate is left.
    """
    path, defaults, own, others = _read_file(file)
    for name in own:
        if name not in pool.index:
            hint = suggest(name, pool.names, "The pool has: ")
            raise ConfigError(f"{path.name}: {show_value(name)} is no model of the pool. {hint}")
    for name in others:
        if name in pool.index:
            raise ConfigError(
                f"{path.name}: {name!r} is a model of the pool; expected it under upstreams."
            )
    found = {}
    cards = [card for card in pool if card.model in own or "base_url" in defaults]
    for card in (*cards, *(ModelCard(model=name) for name in others)):
        stated = {**own, **others}.get(card.model)
        found[card.model] = tuple(
            _deploy(card, {**defaults, **settings}, environ, path.name)
            for settings in _list_settings(stated, f"{path.name}: {card.model}")
        )
    if not cards:
        raise ConfigError(
            f"{path.name} gives no model of the pool an address. Name them under upstreams, each "
            "with a base_url, or give one under defaults."
        )
    _warn_of_missing(pool.names, found, path.name)
    return found


def list_candidates(file: str | Path) -> ModelPool:
    """The models under `upstreams` in a file, with cards that hold the prices which it states.

    For who has no cards yet; of several deployments the prices of the first.

    Args:
        file: As `load_upstreams` reads it.

    Raises:
        ConfigError: There is no such file, or it is no mapping of models to settings.
        DataError: A price is none.
    """
    path, defaults, own, _ = _read_file(file)
    cards = []
    for name, stated in own.items():
        settings = {**defaults, **_list_settings(stated, f"{path.name}: {name}")[0]}
        prices = {key: settings.get(key) for key in ("input_usd_per_mtok", "output_usd_per_mtok")}
        cards.append(parse_card({"model": str(name), **prices}, source=path.name))
    return ModelPool.of(cards)


def _read_file(
    file: str | Path,
) -> tuple[Path, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    """The path, and the mappings `defaults`, `upstreams` and `others`."""
    path = to_path(file, "a file of upstreams", ConfigError)
    values = read_plain_file(path, refuse=ConfigError, holds_secrets=True)
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{path.name} holds {show_value(values)}; expected a mapping with upstreams, and "
            "perhaps defaults."
        )
    for name in values:
        if name not in _KEYS:
            raise ConfigError(
                f"{path.name}: unknown key {show_value(name)}. {suggest(name, _KEYS, 'Keys: ')}"
            )
    defaults, own, others = (
        _read_mapping(values, name, path.name) for name in ("defaults", "upstreams", "others")
    )
    return path, defaults, own, others


def _deploy(
    card: ModelCard, settings: Mapping[str, Any], environ: Mapping[str, str], source: str
) -> Deployment:
    upstream = Upstream.parse(settings, source=f"{source}: {card.model}")
    address, headers = _split_login(upstream.base_url)
    is_anthropic = upstream.protocol == "anthropic"
    if is_anthropic:
        headers["anthropic-version"] = _ANTHROPIC_VERSION
    if upstream.api_key_env is not None:
        key = environ.get(upstream.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f"{source}: {card.model}: the environment variable {upstream.api_key_env} holds no "
                "key. Set it, or leave api_key_env out where none is needed."
            )
        if headers.keys() & {"authorization"} and not is_anthropic:
            raise ConfigError(
                f"{source}: {card.model}: both api_key_env and a user in base_url, and one header "
                "for both; expected one of them."
            )
        headers |= {"x-api-key": key} if is_anthropic else {"authorization": f"Bearer {key}"}
    body = {**(card.parameters or {}), **(upstream.parameters or {})}
    body["model"] = upstream.model or card.base or card.model
    return Deployment(
        card.model,
        address,
        headers,
        body,
        upstream.timeout_s,
        upstream.retries,
        upstream.protocol,
        upstream.endpoints,
        upstream.weight,
        _read_prices(upstream, card),
        upstream.hedge,
    )


def _split_login(address: str) -> tuple[str, dict[str, str]]:
    """An address without user and password, and the header that holds them.

    Addresses are logged and shown, headers are not.
    """
    parts = urlsplit(address)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return address, {}
    without = urlunsplit(parts._replace(netloc=host))
    user, _, password = login.partition(":")
    if not user and not password:
        return without, {}
    told = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return without, {"authorization": f"Basic {told}"}


def _read_prices(upstream: Upstream, card: ModelCard) -> TokenPrices:
    stated = (upstream.input_usd_per_mtok, upstream.output_usd_per_mtok)
    of_card = (card.input_usd_per_mtok, card.output_usd_per_mtok)
    asked, answered = (
        here if here is not None else there for here, there in zip(stated, of_card, strict=True)
    )
    return TokenPrices.of_usd(asked, answered, upstream.cached_input_usd_per_mtok)


def _list_settings(stated: object, source: str) -> list[Mapping[str, Any]]:
    """The settings of each deployment of a model: one mapping, or a list of them."""
    if stated is None:
        return [{}]
    several: list[Any] = stated if isinstance(stated, list) else [stated]
    if not several or not all(isinstance(each, Mapping) for each in several):
        raise ConfigError(
            f"{source} is {show_value(stated)}; expected a mapping, or a list of them."
        )
    return several


def _read_mapping(values: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    found = values.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{source}: {name} is {show_value(found)}; expected a mapping.")
    return found


def _warn_of_missing(names: Iterable[str], found: Collection[str], source: str) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        logger.warning(
            "%s gives no address for %s; they are never chosen.", source, name_some(missing)
        )
