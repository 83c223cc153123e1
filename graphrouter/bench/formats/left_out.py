"""What a row of others' outcomes says besides its grade: that the call failed, or more that counts.

No reader drops a field that changes what a row means without saying so. A call that failed is no
answer, so it is no outcome; fields that nobody reads are named.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphrouter.types import BoolArray

logger = logging.getLogger(__name__)

FAILURE_FIELDS = ("error", "api_error", "success")
"""Fields that tell of a failed call."""
_FAILED_WORDS = ("generation failed:", "processing failed:", "unexpected error:", "api error:")
"""What stands in place of an answer where the call failed, in lower case."""
_MEANINGFUL = frozenset(
    {
        *("error", "api_error", "success", "status", "timeout", "timed_out", "refused", "refusal"),
        *("finish_reason", "stop_reason", "truncated", "is_truncated", "max_tokens_reached"),
        *("retry", "retries", "num_retries", "attempt", "attempts", "num_attempts"),
        *("cached", "is_cached", "cache_hit", "cached_tokens", "cached_input_tokens"),
        *("reasoning_tokens", "thinking_tokens", "total_tokens"),
        *("model_used", "llm_selected", "actual_model", "weight", "num_samples", "num_runs"),
    }
)
"""Fields that change what a row means."""


def find_failed(rows: Sequence[Mapping[Any, Any]], *, answer: str | None = None) -> BoolArray:
    """Which rows are of calls that failed, (num_rows,).

    Args:
        rows: What is known of each call; `success` is false, or `error` says something.
        answer: Field of the answer, which may tell of the failure in its place.

    Example:
        >>> find_failed([{"success": False}, {"error": "timeout"}, {"error": None}]).tolist()
        [True, True, False]
    """
    return np.array([_has_failed(row, answer) for row in rows], dtype=bool)


def _has_failed(row: Mapping[Any, Any], answer: str | None) -> bool:
    success = row.get("success")
    if success is False or (isinstance(success, str) and success.strip().lower() == "false"):
        return True
    for name in ("error", "api_error"):
        said = row.get(name)
        if said is True or (isinstance(said, str | dict) and said and said != "None"):
            return True
    text = row.get(answer) if answer is not None else None
    return isinstance(text, str) and text.lower().startswith(_FAILED_WORDS)


def tell_failed(failed: BoolArray, file: Path) -> None:
    """Say how many rows of a file are of calls that failed, and therefore no outcomes."""
    if failed.any():
        logger.warning(
            "%s: %d of %d calls failed and are left out, the first in row %d; a call that failed "
            "is no answer.",
            file.name,
            int(failed.sum()),
            len(failed),
            int(np.argmax(failed)) + 1,
        )


def tell_unread(found: Iterable[str], read: Iterable[str], file: Path) -> None:
    """Say which fields of a file change what a row means and are not read.

    Args:
        found: Names of the fields.
        read: Those that the reader looks at.
        file: Where they stand.
    """
    left = sorted({str(name) for name in found} & _MEANINGFUL - set(read))
    if left:
        logger.warning(
            "%s: left out, though they may change what a row means: %s. Look whether such rows "
            "should count.",
            file.name,
            ", ".join(left),
        )
