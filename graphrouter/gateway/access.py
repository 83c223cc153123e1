"""Who may ask what: one key of the operator, and the keys of a store."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple

from starlette.requests import Request

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.store.client_keys import ClientKey, match_key

__all__ = ["Access", "Admitted"]

OPERATOR = "operator"
"""Id of the key of `--key-env`."""


class Admitted(NamedTuple):
    """Who asks."""

    key_id: str | None
    """None where keys are not asked for."""
    is_admin: bool
    """Whether everything may be seen."""
    key: ClientKey | None = None
    """Of the store; None for the operator's, and where keys are not asked for."""

    @property
    def models(self) -> frozenset[str] | None:
        """Those that it may ask; None for all."""
        return None if self.key is None else self.key.models


class Access:
    """Admits requests by their keys; everybody where there are none."""

    def __init__(
        self,
        operator_key: str | None = None,
        keys: Callable[[], Mapping[str, ClientKey]] = dict,
    ) -> None:
        """An access.

        Args:
            operator_key: May do everything.
            keys: Those of a store as they are now, by id.
        """
        self._operator, self._keys = operator_key, keys

    def admit(self, request: Request, scope: str) -> Admitted:
        """Who sends a request, by its bearer token or as Anthropic's clients send theirs.

        Args:
            request: With its headers.
            scope: Of `SCOPES`, what it wants to do.

        Raises:
            ApiError: It has no key, one that is not known, or one that is not good for that.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            token = request.headers.get("x-api-key", "")
        return self.admit_token(token.strip(), scope)

    def admit_change(self, request: Request) -> Admitted:
        """Who sends a request that changes what is served; nobody does without a key.

        Args:
            request: With its headers.

        Raises:
            ApiError: As `admit`, or no keys are asked for.
        """
        asks = self.admit(request, "admin")
        if asks.key_id is None:
            raise ApiError(
                403,
                "There is no key for admins, so nothing is changed from outside. Start the "
                "gateway with --key-env NAME, or make a key with graphrouter keys.",
            )
        return asks

    @property
    def is_open(self) -> bool:
        """Whether no keys are asked for."""
        return self._operator is None and not self._keys()

    def admit_token(self, token: str, scope: str) -> Admitted:
        """Who has a key.

        Args:
            token: What was sent.
            scope: Of `SCOPES`, what it is sent for.

        Raises:
            ApiError: It is no key that is known, or one that is not good for that.
        """
        if self.is_open:
            return Admitted(None, True)
        known = self._keys()
        is_operator = self._operator is not None and hmac.compare_digest(
            token.encode(), self._operator.encode()
        )
        found = match_key(known.values(), token)
        if is_operator:
            return Admitted(OPERATOR, True)
        if found is None:
            raise ApiError(
                401,
                "The key is missing or wrong; expected Authorization: Bearer KEY, or "
                "x-api-key: KEY.",
            )
        if not found.may(scope):
            scopes = ", ".join(found.scopes)
            raise ApiError(
                403, f"The key {found.name!r} lacks the scope {scope}; it has: {scopes}."
            )
        return Admitted(found.id, found.may("admin"), found)
