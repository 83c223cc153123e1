"""A support in single precision is searched to the bit as the same numbers in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.scoring.nearest import find_nearest


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 in single precision."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 10, 300, 999])
def test_the_narrow_search_finds_the_same(count: int) -> None:
    rng = np.random.default_rng(count)
    support = unit(rng.normal(size=(300, 32)))
    support[200:] = support[:100]  # the same prompts again: ties, also at the end of the list
    targets = unit(np.vstack([rng.normal(size=(70, 32)), support[:5]])).astype(np.float64)
    positions, cosine = find_nearest(targets, support, count)
    wide = np.round(targets @ support.astype(np.float64).T, 10)
    order = np.argsort(-wide, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(positions, order)
    np.testing.assert_array_equal(cosine, np.take_along_axis(wide, order, axis=1))
    for row in (0, 69, 74):
        alone = find_nearest(targets[row : row + 1], support, count)
        np.testing.assert_array_equal(alone[0][0], positions[row])
        np.testing.assert_array_equal(alone[1][0], cosine[row])
