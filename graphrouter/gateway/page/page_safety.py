"""What keeps a page on loopback to those who may see it, and what it shows from doing anything."""

from __future__ import annotations

import ipaddress

__all__ = ["PAGE_HEADERS", "is_local_name"]

PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
"""Of every response: nothing of others is loaded, and nothing of the page's own text is run."""


def is_local_name(host: str) -> bool:
    """Whether a name can be no other site's: such a name could be pointed here by its owner.

    Args:
        host: Of the address that a browser asked.

    Example:
        >>> is_local_name("127.0.0.1"), is_local_name("page.example.com")
        (True, False)
    """
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
