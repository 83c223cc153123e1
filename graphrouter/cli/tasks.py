"""Tasks that a router has never seen count as unknown; the commands say so."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphrouter.router.protocol import Router

_logger = logging.getLogger(__name__)


def warn_of_unknown_tasks(router: Router, tasks: Sequence[str | None]) -> None:
    """Nothing; logs one warning for each task that the router has never seen, with the nearest one
    that it knows.
    """
    known = router.known_tasks
    if known is None:
        return
    for task in dict.fromkeys(task for task in tasks if task is not None and task not in known):
        near = difflib.get_close_matches(task, known, n=1)
        hint = (
            f"Did you mean {near[0]!r}?"
            if near
            else f"Known tasks: {', '.join(known[:8])}{', ...' if known[8:] else '.'}"
        )
        _logger.warning(
            "The router has never seen the task %r, which counts as unknown. %s", task, hint
        )
