"""The solved queries that resemble a prompt: an exact search by one product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphrouter.scoring.operations import Array, operations_of
from graphrouter.types import FloatArray, IntArray

_TARGETS_AT_ONCE = 1024
_ROWS_AT_ONCE = 64
_SLACK = 1e-4
"""More than twice the error of a product of unit vectors in single precision."""
_FEW = 1.25
"""So many rows a neighbour are compared in double precision sooner than told apart."""
_GROUPS = 8
"""A neighbour; fewer would leave more to look through, more would take longer to find."""


def find_nearest(targets: Array, support: Array, num_neighbours: int) -> tuple[Array, Array]:
    """The most similar support rows of each target, most similar first.

    Args:
        targets: (num_targets, dimension) unit vectors.
        support: (num_support, dimension) unit vectors; arrays of NumPy in single precision stand
            for the same numbers in double precision.
        num_neighbours: K; fewer when the support is smaller.

    Returns:
        Positions (num_targets, K) int64 and cosines (num_targets, K) of the dtype of `targets`.
        Similarities are rounded before they are ranked: without that, equal prompts could change
        places with the number of rows in the product, and scores with them.
    """
    xp = operations_of(targets)
    count = min(num_neighbours, len(support))
    if isinstance(support, np.ndarray) and support.dtype != targets.dtype:
        return _search_narrow(targets, support, count)
    decimals = 6 if "float32" in str(targets.dtype) else 10
    found = [
        xp.take_largest(
            xp.round_to(targets[first : first + _TARGETS_AT_ONCE] @ support.T, decimals), count
        )
        for first in range(0, max(len(targets), 1), _TARGETS_AT_ONCE)
    ]
    if len(found) == 1:
        positions, cosine = found[0]
        return positions, cosine
    return xp.concat([part[0] for part in found]), xp.concat([part[1] for part in found])


def find_nearest_known(
    targets: Array, support: Array, rows: Array, num_neighbours: int
) -> tuple[Array, Array]:
    """As `find_nearest` where vectors may be missing.

    Args:
        targets: (num_targets, dimension) unit vectors, NaN rows where one is missing.
        support: (V, dimension) unit vectors, all there.
        rows: (V,) int64 positions to give in place of 0 to V - 1.
        num_neighbours: K; none where vectors have no width.

    Returns:
        Positions and cosines (num_targets, K) each; cosines are NaN for a target without a vector.
    """
    xp = operations_of(targets)
    if not len(support) or not support.shape[1]:
        none = xp.zeros(targets, len(targets), 0)
        return rows[:0] + xp.zeros(rows, len(targets), 0), none
    is_known = targets[:, :1] == targets[:, :1]
    plain = xp.where(is_known, targets, xp.zeros_like(targets))
    positions, cosine = find_nearest(plain, support, num_neighbours)
    found = rows[positions]
    positions = xp.where(is_known, found, xp.zeros_like(found))
    return positions, xp.where(is_known, cosine, cosine + float("nan"))


def _search_narrow(
    targets: FloatArray, support: NDArray[np.float32], count: int
) -> tuple[IntArray, FloatArray]:
    """As `find_nearest`, to the bit, for a support in single precision, which is half to read.

    Whatever is among the nearest lies at most `_SLACK` below the last of them by the product in
    single precision; of so few the product is taken in double precision.
    """
    positions = np.empty((len(targets), count), dtype=np.int64)
    cosine = np.empty((len(targets), count))
    for first in range(0, len(targets), _ROWS_AT_ONCE):
        rows = targets[first : first + _ROWS_AT_ONCE]
        # The support first: the other way round a product of few rows reads it several times.
        alike = np.ascontiguousarray((support @ rows.astype(np.float32).T).T)
        least = _reach_often(alike, count) - _SLACK
        for row, (target, rough) in enumerate(zip(rows, alike, strict=True), start=first):
            near = (rough >= least[row - first]).nonzero()[0]
            if len(near) > _FEW * count:
                found = rough[near]
                last = len(found) - count
                near = near[found >= np.partition(found, last)[last] - _SLACK]
            exact = (support.take(near, axis=0).astype(np.float64) @ target).round(10)
            order = (-exact).argsort(kind="stable")[:count]  # by position among equals
            positions[row], cosine[row] = near[order], exact[order]
    return positions, cosine


def _reach_often(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """For each row a number, near the largest such, that at least `count` of its values reach.

    The maximum of each of some groups of a row is one of its values, and of so few the last of the
    largest is found in a tenth of the time.
    """
    num_groups = _GROUPS * count
    size = values.shape[1] // num_groups
    if size > 1:
        groups = values[:, : size * num_groups].reshape(len(values), size, num_groups)
        values = groups.max(axis=1)
    last = values.shape[1] - count
    found: NDArray[np.float32] = np.partition(values, last, axis=1)[:, last]
    return found
