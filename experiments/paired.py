"""Differences between two ways to choose, with 95 % intervals over queries of several worlds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphrouter.types import FloatArray

NUM_DRAWS = 2000


def draw_difference(
    ours: Sequence[FloatArray], theirs: Sequence[FloatArray], *, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of ours minus theirs, and its 95 % bootstrap interval.

    Args:
        ours: One array a world, (num_queries,) each.
        theirs: The same queries.
        seed: Of the draws; queries are drawn anew within each world.

    Example:
        >>> draw_difference([np.ones(4)], [np.zeros(4)])
        (1.0, 1.0, 1.0)
    """
    rng = np.random.default_rng(seed)
    gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
    drawn = [gap[rng.integers(0, len(gap), (NUM_DRAWS, len(gap)))].mean(axis=1) for gap in gaps]
    means = np.mean(drawn, axis=0)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.mean([gap.mean() for gap in gaps])), float(low), float(high)


def show_difference(found: Sequence[float]) -> str:
    """The difference in words of a table, bold where its interval does not hold 0."""
    text = f"{found[0]:+.3f} [{found[1]:+.3f}, {found[2]:+.3f}]"
    return f"**{text}**" if found[1] > 0 or found[2] < 0 else text
