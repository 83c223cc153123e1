"""Which library computes: formulas are written once, for arrays of NumPy and of torch."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from graphrouter.scoring import numpy_operations

Array: TypeAlias = Any
"""Of NumPy or of torch; all arrays of a call are of one of them."""


def operations_of(array: Array) -> ModuleType:
    """The operations of the library that an array is of; both modules have the same names.

    Example:
        >>> operations_of(np.zeros(2)).sigmoid(np.zeros(2)).tolist()
        [0.5, 0.5]
    """
    if isinstance(array, np.ndarray):
        return numpy_operations
    return import_module("graphrouter.scoring.torch_operations")  # here: serving needs no torch


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """The same numbers as an array of NumPy; without a copy where they lie on the CPU."""
    if isinstance(array, np.ndarray):
        return array
    found: np.ndarray[Any, Any] = array.detach().cpu().numpy()
    return found
