"""A Ray cluster for the time of some work: a running one, or one on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphrouter.extras import require_extra

__all__ = ["join_cluster"]


@contextmanager
def join_cluster(address: str | None, *, num_workers: int, purpose: str) -> Iterator[Any]:
    """The module `ray`, connected; a cluster that was started for it ends with the block.

    Args:
        address: Of a running cluster, such as `auto`; one on this machine is started without it.
        num_workers: Processors of a cluster that is started.
        purpose: What is done on it, for the error where Ray is missing.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    require_extra("ray", purpose=purpose)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    import ray

    is_mine = not ray.is_initialized()
    if is_mine:
        local: dict[str, Any] = {}
        if address is None:
            local = {"num_cpus": num_workers, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **local)
    try:
        yield ray
    finally:
        if is_mine:
            ray.shutdown()
