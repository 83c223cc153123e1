"""Stores of gateways, as commands open them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from graphrouter.extras import require_extra

if TYPE_CHECKING:
    from graphrouter.gateway.store import Store


@contextmanager
def open_store(place: str, purpose: str, *, must_exist: bool = False) -> Iterator[Store]:
    """The store of a gateway, closed in the end.

    Args:
        place: A file or an URL.
        purpose: The command, for who lacks the extra.
        must_exist: Refuse to make a file.

    Raises:
        MissingExtraError: The extra `serve` is not installed.
        StoreError: It cannot be opened.
    """
    require_extra("serve", purpose=purpose)

    from graphrouter.gateway.store import Store

    store = Store.open(place, must_exist=must_exist)
    try:
        yield store
    finally:
        store.close()


def tell_time(seconds: float) -> str:
    """A time of a store, in UTC.

    Example:
        >>> tell_time(0)
        '1970-01-01 00:00:00'
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
