"""The operations of scores on arrays of NumPy; those of torch have the same names."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy import (
    concat,
    exp,
    log,
    log1p,
    matmul,
    maximum,
    minimum,
    repeat,
    searchsorted,
    sqrt,
    stack,
    where,
    zeros_like,
)
from numpy.typing import NDArray

from graphrouter.types import BoolArray, FloatArray, IntArray

__all__ = [
    "average",
    "clip",
    "concat",
    "exp",
    "find_distinct",
    "gather",
    "gelu",
    "is_nowhere",
    "largest_of",
    "log",
    "log1p",
    "log_softmax",
    "matmul",
    "maximum",
    "minimum",
    "multiply_rows",
    "normalise",
    "permute",
    "positions_of",
    "repeat",
    "round_to",
    "searchsorted",
    "share_out",
    "sigmoid",
    "softmax",
    "spread",
    "sqrt",
    "stack",
    "take_columns",
    "take_largest",
    "take_models",
    "where",
    "zeros",
    "zeros_like",
]

_MOST_LOGIT = 700.0
"""Beyond it an exponential overflows, and the chance is 0 or 1."""
_FARTHEST = 8.5
"""Standard deviations beyond which the normal distribution is 0 or 1 in double precision."""
_STEPS = 1024
"""Of the table of the normal distribution, a standard deviation."""


def clip(values: FloatArray, low: float | None = None, high: float | None = None) -> FloatArray:
    """No less than `low`, no more than `high`; NaN stays."""
    found: FloatArray = values if low is None else np.maximum(values, low)
    # Two operations take a third of what NumPy's own takes, which asks for the types of the bounds.
    return found if high is None else np.minimum(found, high)


def average(values: FloatArray, axis: int) -> FloatArray:
    """Means along an axis."""
    found: FloatArray = np.add.reduce(values, axis=axis) / values.shape[axis]
    return found


def softmax(values: FloatArray) -> FloatArray:
    """Along the last axis."""
    raised = np.exp(values - np.maximum.reduce(values, axis=-1, keepdims=True))
    raised /= np.add.reduce(raised, axis=-1, keepdims=True)
    return raised


def log_softmax(values: FloatArray) -> FloatArray:
    """Along the last axis."""
    low = values - values.max(axis=-1, keepdims=True)
    found: FloatArray = low - np.log(np.exp(low).sum(axis=-1, keepdims=True))
    return found


def sigmoid(logit: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)), without overflow."""
    chance: FloatArray = 1 / (1 + np.exp(-clip(logit, -_MOST_LOGIT, _MOST_LOGIT)))
    return chance


def gelu(values: FloatArray) -> FloatArray:
    """X times the normal distribution function at x (Hendrycks and Gimpel 2016), to 1e-12.

    NumPy has no error function, and loading SciPy's takes longer than the first answer: the
    function is tabulated, and expanded to third order around the nearest node.
    """
    below, density, node = _tabulate_normal()
    near = clip(values, -_FARTHEST, _FARTHEST)
    place = np.rint(near * _STEPS).astype(np.int64) + len(node) // 2
    at = node[place]
    off = near - at
    rise = density[place] * off * (1 - off * at / 2 + off * off * (at * at - 1) / 6)
    found: FloatArray = values * (below[place] + rise)
    return found


@cache
def _tabulate_normal() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distribution function and density of the normal distribution, and where."""
    most = math.ceil(_FARTHEST * _STEPS)
    node = np.arange(-most, most + 1) / _STEPS
    below = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in node.tolist()])
    return below, np.exp(-(node**2) / 2) / math.sqrt(2 * math.pi), node


def normalise(vectors: FloatArray) -> FloatArray:
    """Rows of length 1; same shape."""
    length = np.sqrt(np.add.reduce(vectors * vectors, axis=-1, keepdims=True))
    unit: FloatArray = vectors / np.maximum(length, 1e-6)
    return unit


def is_nowhere(mask: BoolArray) -> bool:
    """Whether a mask is known to be true nowhere, so that what is masked need not be computed."""
    return not mask.any()


def permute(values: FloatArray, *axes: int) -> FloatArray:
    """The axes in another order."""
    return values.transpose(axes)


def positions_of(like: FloatArray, size: int) -> IntArray:
    """0 to size - 1."""
    return np.arange(size)


def zeros(like: FloatArray, *shape: int) -> FloatArray:
    """Zeros of a shape, in the precision of an array."""
    return np.zeros(shape, dtype=like.dtype)


def multiply_rows(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    """Rows (B, n) times a matrix (n, m), or each of some, (C, n, m): (B, m), or (C, B, m).

    One product a row: a row by itself is rounded as it is in any batch.
    """
    found: FloatArray
    if len(rows) == 1:
        found = np.matmul(rows, matrix)
    else:
        found = np.matmul(rows[:, None], matrix[..., None, :, :])[..., 0, :]
    return found


def find_distinct(values: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct values in ascending order, and where each value is among them."""
    return np.unique(values, return_inverse=True)


def gather(values: FloatArray, places: IntArray) -> FloatArray:
    """Values (C, n) of some places (B, K): (C, B, K)."""
    return values.take(places, axis=1)


def round_to(values: FloatArray, decimals: int) -> FloatArray:
    """Rounded to decimals."""
    return values.round(decimals)


def share_out(values: FloatArray, column: IntArray, size: int) -> FloatArray:
    """Sums of values (n, k) by the column (n, k) that each belongs to: (n, size)."""
    if len(values) == 1:
        return np.bincount(column[0], values[0], size)[None].astype(np.float64, copy=False)
    cell = (np.arange(len(values))[:, None] * size + column).ravel()
    sums = np.bincount(cell, values.ravel(), len(values) * size)
    return np.asarray(sums, np.float64).reshape(len(values), size)


def spread(values: FloatArray, place: IntArray, size: int) -> FloatArray:
    """Rows of values (n, k) at places (n,), zeros elsewhere: (size, k)."""
    flat = np.zeros((size, values.shape[1]), dtype=values.dtype)
    flat[place] = values
    return flat


def take_largest(values: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Positions and values of the largest of each row, largest first: (n, count) each."""
    last = values.shape[1] - count
    found = np.argpartition(values, last, axis=1)[:, last:] if last else _all_columns(values)
    of_found = np.take_along_axis(values, found, axis=1)
    # By position among equals, so that they are told apart in the same way in any batch.
    order = np.lexsort((found, -of_found), axis=1)
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(of_found, order, axis=1)


def largest_of(values: FloatArray, count: int) -> FloatArray:
    """The largest of each row, in any order: (n, count)."""
    return np.sort(values, axis=1)[:, values.shape[1] - count :]


def take_columns(values: FloatArray, columns: IntArray) -> FloatArray:
    """Values (n, m) at some columns (n, k) of each row: (n, k)."""
    first = np.arange(len(values))[:, None] * values.shape[1]
    return np.asarray(values.take(columns + first), np.float64)


def take_models(values: FloatArray, models: IntArray | None) -> FloatArray:
    """Values (..., B or 1, M) of the models asked for each target (B, L): (..., B, L).

    All of them as they are where `models` is None.
    """
    if models is None:
        return values
    outer = values.shape[:-2]
    rows = np.broadcast_to(values, (*outer, len(models), values.shape[-1]))
    return np.take_along_axis(rows, np.broadcast_to(models, (*outer, *models.shape)), axis=-1)


def _all_columns(values: NDArray[Any]) -> IntArray:
    return np.broadcast_to(np.arange(values.shape[1]), values.shape)
