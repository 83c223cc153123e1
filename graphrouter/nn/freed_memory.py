"""Memory that one step frees: kept for the next, which asks for it again, or given back."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of what `mallopt` sets (malloc.h of glibc)."""
_LARGEST_FROM_HEAP = 32 * 2**20
"""Bytes, the most that glibc allows: larger blocks come from the system, one by one."""
_MOST_KEPT = 512 * 2**20
"""Bytes of freed memory at the end of the heap."""


@cache
def keep_freed_memory() -> None:
    """Let the process keep up to half a gigabyte of what it has freed, from now on.

    For what trains or computes states: glibc gives large blocks back to the system as soon as they
    are free, and the system clears every page of the next ones, a tenth of the time of states. The
    most that the process takes grows by a few hundredths. With another allocator, or where
    variables of the environment (MALLOC_...) tell glibc what to do, nothing changes.
    """
    libc = _find_glibc()
    if libc is not None and not any(name.startswith("MALLOC_") for name in os.environ):
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)
        libc.mallopt(_TRIM_THRESHOLD, _MOST_KEPT)


def release_freed_memory(*, cycles: bool = False) -> None:
    """Give the system back what was freed, where another kind of work begins.

    What lies in pieces between that which is still in use is of no use to it, and would count to
    its peak. So is what pyarrow holds of tables that are gone. With another allocator than that of
    glibc nothing else happens.

    Args:
        cycles: Whether to look for what holds nothing but itself, as a trainer that has ended does,
            with all that it was given. It takes a quarter of a second.
    """
    if cycles:
        gc.collect()
    if (pyarrow := sys.modules.get("pyarrow")) is not None:
        pyarrow.default_memory_pool().release_unused()
    libc = _find_glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _find_glibc() -> ctypes.CDLL | None:
    """The C library of the process, where it is that of GNU."""
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):  # a system without a C library that is loaded already
        return None
    is_glibc = all(
        hasattr(libc, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim")
    )
    return libc if is_glibc else None
