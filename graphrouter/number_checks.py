"""What counts as a number where a caller gives one: of Python or of NumPy, and no truth value."""

from __future__ import annotations

import math
from typing import TypeGuard

import numpy as np

__all__ = ["is_amount", "is_number", "is_whole"]


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, infinities and NaN included.

    Example:
        >>> is_number(3), is_number(np.float32(0.5)), is_number(True), is_number("3")
        (True, True, False, False)
    """
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_amount(value: object) -> TypeGuard[float]:
    """Whether it is a finite number of at least 0.

    Example:
        >>> is_amount(0), is_amount(-1), is_amount(float("inf"))
        (True, False, False)
    """
    return is_number(value) and bool(0 <= value < math.inf)


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether it is a whole number of at least so much.

    Example:
        >>> is_whole(2, least=1), is_whole(np.int64(0), least=1), is_whole(2.0, least=1)
        (True, False, False)
    """
    return (
        isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)
    )
