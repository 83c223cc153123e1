"""A search that looks at a part of a large support: an inverted file of Faiss (extra `index`).

The solved queries are parted by their nearest centre (Jégou, Douze and Schmid, 2011), and a target
is compared with those of the nearest centres alone. How many centres are looked at is found on the
support itself, so that the share of the similar queries that was asked for is met.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrouter.exceptions import ConfigError
from graphrouter.extras import require_extra
from graphrouter.number_checks import is_number
from graphrouter.scoring.nearest import find_nearest
from graphrouter.scoring.operations import Array
from graphrouter.types import FloatArray, IntArray
from graphrouter.wording import show_value

Search = Callable[[Array, Array, int], tuple[Array, Array]]
"""Finds the most similar support rows of targets, as `find_nearest` does."""

LEAST_ROWS = 16_384
"""Below it, one product with all rows costs no more than an index saves."""
_SHARE = 1.5
"""Candidates a neighbour: the index compares in half precision, and they are ranked again."""
_NUM_TRIED = 256
"""Rows that are looked up to see what share is found."""
_ROWS_A_CENTRE = 64
"""Drawn to find the centres."""
_SLACK = 1e-6
"""Cosines that differ by less count as equal when found rows are counted."""


def build_search(rows: NDArray[np.float32], recall: float | None, num_neighbours: int) -> Search:
    """What finds the similar rows of a support.

    Args:
        rows: (S, dimension) unit vectors of the support.
        recall: Share of the most similar rows to find on average, in [0.5, 1); None, and a support
            of fewer than `LEAST_ROWS` rows, for all of them by comparing all.
        num_neighbours: K, for which the share is met.

    Returns:
        `find_nearest`, or a search of these rows alone that gives the same cosines for the rows
        that it finds.

    Raises:
        ConfigError: The share is out of range.
        MissingExtraError: Faiss is not installed.

    Example:
        >>> build_search(np.eye(4, dtype=np.float32), None, 2) is find_nearest
        True
    """
    check_recall(recall)
    if recall is None or len(rows) < LEAST_ROWS:
        return find_nearest
    return IndexedSearch(rows, recall, num_neighbours)


def check_recall(recall: object) -> None:
    """Check a share of similar rows to find, and that it can be asked for here.

    Raises:
        ConfigError: It is no share from 0.5 to below 1, and not None.
        MissingExtraError: Faiss is not installed.

    Example:
        >>> check_recall(None)
    """
    if recall is None:
        return
    if not is_number(recall) or not 0.5 <= recall < 1:
        raise ConfigError(
            f"search_recall is {show_value(recall)}; expected a share from 0.5 to below 1, or None "
            "to compare a prompt with all solved queries."
        )
    require_extra("index", purpose="A search by index")


class IndexedSearch:
    """A search in one support; each target is looked up by itself, whatever stands beside it."""

    def __init__(self, rows: NDArray[np.float32], recall: float, num_neighbours: int) -> None:
        """Find centres, and how many of them to look at.

        Args:
            rows: (S, dimension) unit vectors of the support.
            recall: Share of the `num_neighbours` most similar rows to find on average.
            num_neighbours: K.
        """
        import faiss  # of an extra

        num_centres = round(math.sqrt(len(rows)))
        dimension = rows.shape[1]
        self._index: Any = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dimension),
            dimension,
            num_centres,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
            False,
        )
        self._index.cp.max_points_per_centroid = _ROWS_A_CENTRE
        self._index.cp.min_points_per_centroid = 1
        self._index.train(rows)
        self._index.add(rows)
        self.num_looked_at = self._look_at_enough(rows, recall, min(num_neighbours, len(rows)))
        """Centres whose rows a target is compared with."""

    def __call__(
        self, targets: FloatArray, support: Array, num_neighbours: int
    ) -> tuple[IntArray, FloatArray]:
        """As `find_nearest`, in the rows that the index was made of."""
        count = min(num_neighbours, len(support))
        positions = np.empty((len(targets), count), dtype=np.int64)
        cosine = np.empty((len(targets), count))
        for row, target in enumerate(targets):
            near = self._draw_near(target.astype(np.float32), math.ceil(_SHARE * count))
            if len(near) < count:
                near = np.arange(len(support))
            exact = np.round(support[near].astype(np.float64) @ target, 10)
            order = np.lexsort((near, -exact))[:count]
            positions[row], cosine[row] = near[order], exact[order]
        return positions, cosine

    def _draw_near(self, target: NDArray[np.float32], count: int) -> IntArray:
        """Positions of about the `count` nearest rows, fewer where few lie at these centres."""
        _, found = self._index.search(target[None], count)
        near: IntArray = found[0][found[0] >= 0]
        return near

    def _look_at_enough(self, rows: NDArray[np.float32], recall: float, count: int) -> int:
        """Look at as many centres as find that share of the nearest rows of rows drawn.

        A row finds itself, which no prompt to come does, so it is left out on both sides.
        """
        drawn = np.random.default_rng(0).choice(len(rows), _NUM_TRIED, replace=False)
        alike = rows[drawn] @ rows.T
        alike[np.arange(len(drawn)), drawn] = -np.inf
        last = np.partition(alike, -count, axis=1)[:, -count] - _SLACK

        def is_enough(num_centres: int) -> bool:
            self._index.nprobe = num_centres
            shares = [
                (alike[i, self._draw_near(rows[row], count + 1)] >= last[i]).sum() / count
                for i, row in enumerate(drawn)
            ]
            doubt = np.std(shares) / math.sqrt(len(shares))
            return bool(np.mean(shares) - doubt >= recall)

        numbers = range(1, self._index.nlist)
        self._index.nprobe = 1 + bisect_left(numbers, True, key=is_enough)
        return int(self._index.nprobe)
