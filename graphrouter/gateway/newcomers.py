"""The share of decisions that newcomers, models of which little is known, have earned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphrouter.types import FloatArray

__all__ = ["share_among_newcomers"]

_FIRST, _WHOLE = 10, 50
"""A newcomer without outcomes has a fifth of its share, and all of it from 40 outcomes on."""
_PLAUSIBLE = 0.1
"""Chance of being better than the best below which a newcomer loses its share in proportion."""


def share_among_newcomers(
    names: list[str],
    newcomers: Mapping[str, int],
    share: float,
    *,
    chance: FloatArray,
    doubt: FloatArray,
) -> FloatArray:
    """The share of a decision that each candidate has as a newcomer, (num_candidates,).

    Newcomers have equal parts of `share`. Each gets a fifth of its part at first, and all of it
    from 40 outcomes on. It gets nothing where its interval is no wider than those of half of the
    others, since it is known then, and less in proportion where its chance of being better than the
    best is below a tenth: outcomes that speak against it take its share away. It is compared with
    the best alone: among many, hardly anybody is the best of all draws.

    Args:
        names: Of the candidates.
        newcomers: By `find_newcomers`.
        share: Of decisions, for all newcomers together.
        chance: (num_candidates,) of being better than the best by the intervals, in [0, 1].
        doubt: (num_candidates,) width of the interval, 0 where it is not known.

    Example:
        >>> args = {"chance": np.array([0.8, 0.2]), "doubt": np.array([0.1, 0.4])}
        >>> share_among_newcomers(["old", "new"], {"new": 0}, 0.5, **args).tolist()
        [0.0, 0.1]
    """
    is_new = np.array([name in newcomers for name in names])
    found = np.zeros(len(names))
    if not is_new.any() or is_new.all():
        return found
    is_wide = doubt > np.median(doubt[~is_new])
    for place in np.flatnonzero(is_new & is_wide):
        earned = min(1.0, (_FIRST + newcomers[names[place]]) / _WHOLE)
        found[place] = share / is_new.sum() * earned * min(1.0, chance[place] / _PLAUSIBLE)
    return found
