"""Where each candidate is served: addresses, keys, names at the provider, parameters."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import ConfigError
from graphrouter.files import to_path
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.siblings import read_parameters
from graphrouter.text_files import read_plain_file
from graphrouter.wording import name_some, show_value, suggest

__all__ = ["Deployment", "Upstream", "load_upstreams"]

logger = logging.getLogger(__name__)
_KEYS = ("defaults", "upstreams")


class Upstream(DocumentedModel):
    """How one candidate is reached.

    Example:
        >>> Upstream(base_url="http://127.0.0.1:8001/v1", retries=0).timeout_s
        120.0
    """

    base_url: str = Field(description="Address of an API like OpenAI's, with its /v1.")
    api_key_env: str | None = Field(
        None, min_length=1, description="Environment variable that holds the key; none is sent."
    )
    model: str | None = Field(
        None, min_length=1, description="Name at the provider; the card's base, else its name."
    )
    parameters: dict[str, Any] | None = Field(
        None, description="Sent with every call where the request does not state them."
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
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as https://api.example.com/v1")
        return address.rstrip("/")

    @field_validator("parameters", mode="before")
    @classmethod
    def _read_parameters(cls, value: Any) -> dict[str, Any] | None:
        return read_parameters(value)


class Deployment(NamedTuple):
    """A candidate that can be called."""

    candidate: str
    """Name in the pool."""
    address: str
    """Of the API, without a slash at its end."""
    headers: Mapping[str, str]
    """With the key; never to be logged."""
    body: Mapping[str, Any]
    """What a request is sent with where it does not state it; `model` is always sent so."""
    timeout_s: float
    retries: int

    def __repr__(self) -> str:
        return f"Deployment({self.candidate!r}, {self.address!r})"


def load_upstreams(
    file: str | Path, pool: ModelPool, environ: Mapping[str, str]
) -> dict[str, Deployment]:
    """The candidates that can be called, by name, from a YAML or JSON file.

    `upstreams:` maps names of the pool to settings of `Upstream`, and `defaults:` holds settings
    for all that state none; with a `base_url` there every model of the pool can be called. Models
    without an address are left out, with a warning.

    Args:
        file: YAML, or JSON by its suffix.
        pool: Of the router.
        environ: Environment variables, for keys.

    Raises:
        ConfigError: There is no such file, a setting or a candidate is unknown, a value is not
            accepted, a key is not in the environment, or no candidate is left.
    """
    path = to_path(file, "a file of upstreams", ConfigError)
    values = read_plain_file(path, refuse=ConfigError)
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{path.name} holds {show_value(values)}; expected a mapping with upstreams, and "
            "perhaps defaults."
        )
    for name in values:
        if name not in _KEYS:
            raise ConfigError(
                f"{path.name}: unknown key {name!r}. {suggest(name, _KEYS, 'Keys: ')}"
            )
    defaults = _read_mapping(values, "defaults", path.name)
    own = _read_mapping(values, "upstreams", path.name)
    for name in own:
        if name not in pool.index:
            hint = suggest(name, pool.names, "The pool has: ")
            raise ConfigError(f"{path.name}: {name!r} is no model of the pool. {hint}")
    found = {}
    for card in pool:
        settings = {**defaults, **_read_mapping(own, card.model, path.name)}
        if card.model in own or "base_url" in defaults:
            upstream = Upstream.parse(settings, source=f"{path.name}: {card.model}")
            found[card.model] = _deploy(card, upstream, environ, path.name)
    if not found:
        raise ConfigError(
            f"{path.name} gives no model of the pool an address. Name them under upstreams, each "
            "with a base_url, or give one under defaults."
        )
    _warn_of_missing(pool.names, found, path.name)
    return found


def _deploy(
    card: ModelCard, upstream: Upstream, environ: Mapping[str, str], source: str
) -> Deployment:
    headers = {}
    if upstream.api_key_env is not None:
        key = environ.get(upstream.api_key_env, "")
        if not key.strip():
            raise ConfigError(
                f"{source}: {card.model}: the environment variable {upstream.api_key_env} holds no "
                "key. Set it, or leave api_key_env out where none is needed."
            )
        headers["authorization"] = f"Bearer {key.strip()}"
    body = {**(card.parameters or {}), **(upstream.parameters or {})}
    body["model"] = upstream.model or card.base or card.model
    return Deployment(
        card.model, upstream.base_url, headers, body, upstream.timeout_s, upstream.retries
    )


def _read_mapping(values: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    found = values.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{source}: {name} is {show_value(found)}; expected a mapping.")
    return found


def _warn_of_missing(names: Iterable[str], found: Mapping[str, Deployment], source: str) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        logger.warning(
            "%s gives no address for %s; they are never chosen.", source, name_some(missing)
        )
