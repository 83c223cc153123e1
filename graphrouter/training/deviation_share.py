"""How much is believed of what texts say of models: all, half or nothing, as held queries show.

Beside its levels a model has deviations: on this very query it does better or worse than on others
of the task, by its text and by similar queries. Without them a router chooses by levels, as a mean
a task does, shrunk over the pool; half of them is the mean of both choices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from graphrouter.training.start import FEWEST_QUERIES, HeldScores
from graphrouter.types import FloatArray

SHARES = (0.5, 0.0)
"""What is tried in the place of 1."""
NEEDED_ERRORS = 2.0
"""So many standard errors the log loss must fall before less is believed."""


def choose_share(held: Sequence[HeldScores]) -> float:
    """The share of the deviations with the lowest log loss: 1, or less where that is surely better.

    Surely: by more than `NEEDED_ERRORS` standard errors of the paired differences of queries, whose
    outcomes come together; a one-sided test at 2.5 %.

    Args:
        held: What the network says of queries in parts, at least one.
    """
    whole = _measure_losses(held, 1.0)
    if len(whole) < FEWEST_QUERIES:
        return 1.0
    gains = {share: whole - _measure_losses(held, share) for share in SHARES}
    sure = {
        share: float(gain.sum())
        for share, gain in gains.items()
        if gain.sum() > NEEDED_ERRORS * math.sqrt(len(gain)) * gain.std()
    }
    return max(sure, key=sure.__getitem__, default=1.0)


def _measure_losses(held: Sequence[HeldScores], share: float) -> FloatArray:
    """(B,) log loss of each query."""
    return np.concatenate([each.with_share(share).measure_losses() for each in held])
