"""What counts as a number: one rule for all arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from graphrouter.number_checks import is_amount, is_number, is_whole


@pytest.mark.parametrize(
    ("value", "number", "amount", "whole"),
    [
        (0, True, True, False),
        (1, True, True, True),
        (np.int64(1), True, True, True),
        (np.uint8(1), True, True, True),
        (1.0, True, True, False),
        (np.float32(1.5), True, True, False),
        (-1, True, False, False),
        (math.inf, True, False, False),
        (math.nan, True, False, False),
        (True, False, False, False),
        (np.True_, False, False, False),
        (1 + 0j, False, False, False),
        (np.complex64(1), False, False, False),
        ("1", False, False, False),
        (None, False, False, False),
        (np.ones(1), False, False, False),
    ],
)
def test_numbers_of_python_and_numpy_count_and_truth_values_do_not(
    value: Any, number: bool, amount: bool, whole: bool
) -> None:
    assert is_number(value) is number
    assert is_amount(value) is amount
    assert is_whole(value, least=1) is whole
