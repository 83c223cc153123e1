"""The operations of scores on tensors of torch; those of NumPy have the same names."""

from __future__ import annotations

import torch
from torch import (
    Tensor,
    concat,
    exp,
    log,
    log1p,
    matmul,
    maximum,
    minimum,
    searchsorted,
    sigmoid,
    sqrt,
    stack,
    where,
    zeros_like,
)
from torch import repeat_interleave as repeat
from torch.nn import functional as F
from torch.nn.functional import gelu

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


def clip(values: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """No less than `low`, no more than `high`; NaN stays."""
    return values.clip(low, high)


def average(values: Tensor, axis: int) -> Tensor:
    """Means along an axis."""
    return values.mean(axis)


def softmax(values: Tensor) -> Tensor:
    """Along the last axis."""
    return torch.softmax(values, dim=-1)


def log_softmax(values: Tensor) -> Tensor:
    """Along the last axis."""
    return torch.log_softmax(values, dim=-1)


def normalise(vectors: Tensor) -> Tensor:
    """Rows of length 1; same shape."""
    return F.normalize(vectors, dim=-1, eps=1e-6)


def is_nowhere(mask: Tensor) -> bool:
    """Never known: no device is waited for, and weights of what is masked have a gradient."""
    return False


def permute(values: Tensor, *axes: int) -> Tensor:
    """The axes in another order."""
    return values.permute(*axes)


def positions_of(like: Tensor, size: int) -> Tensor:
    """0 to size - 1, where an array lies."""
    return torch.arange(size, device=like.device)


def zeros(like: Tensor, *shape: int) -> Tensor:
    """Zeros of a shape, in the precision of an array."""
    return like.new_zeros(shape)


def multiply_rows(rows: Tensor, matrix: Tensor) -> Tensor:
    """Rows (B, n) times a matrix (n, m), or each of some, (C, n, m): (B, m), or (C, B, m)."""
    return rows @ matrix


def find_distinct(values: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct values in ascending order, and where each value is among them."""
    found, position = torch.unique(values, return_inverse=True)
    return found, position


def gather(values: Tensor, places: Tensor) -> Tensor:
    """Values (C, n) of some places (B, K): (C, B, K)."""
    return values[:, places]


def round_to(values: Tensor, decimals: int) -> Tensor:
    """Rounded to decimals."""
    return torch.round(values, decimals=decimals)


def share_out(values: Tensor, column: Tensor, size: int) -> Tensor:
    """Sums of values (n, k) by the column (n, k) that each belongs to: (n, size)."""
    return values.new_zeros(len(values), size).scatter_add(1, column, values)


def spread(values: Tensor, place: Tensor, size: int) -> Tensor:
    """Rows of values (n, k) at places (n,), zeros elsewhere: (size, k)."""
    return values.new_zeros(size, values.shape[1]).index_copy(0, place, values)


def largest_of(values: Tensor, count: int) -> Tensor:
    """The largest of each row, in any order: (n, count)."""
    return torch.topk(values, count, dim=1).values


def take_largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Positions and values of the largest of each row, largest first: (n, count) each."""
    found = torch.topk(values, count, dim=1)
    return found.indices, found.values


def take_columns(values: Tensor, columns: Tensor) -> Tensor:
    """Values (n, m) at some columns (n, k) of each row: (n, k)."""
    return values.gather(1, columns)


def take_models(values: Tensor, models: Tensor | None) -> Tensor:
    """Values (..., B or 1, M) of the models asked for each target (B, L): (..., B, L).

    All of them as they are where `models` is None.
    """
    if models is None:
        return values
    outer = values.shape[:-2]
    rows = values.expand(*outer, len(models), values.shape[-1])
    return rows.gather(-1, models.expand(*outer, -1, -1))
