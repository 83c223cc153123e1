"""Where the names of a column stand in a list of names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.types import IntArray


def find_positions(values: pd.Series[Any], names: Sequence[str]) -> IntArray:
    """Position of each value among `names`, -1 where it is not among them: (num_values,).

    Example:
        >>> find_positions(pd.Series(["b", "c", "b"]), ["a", "b"]).tolist()
        [1, -1, 1]
    """
    # Each distinct value is looked up once: outcomes name the same few models and queries.
    codes, distinct = pd.factorize(values)
    found = pd.Index(names).get_indexer(pd.Index(distinct))
    return np.append(found, -1)[codes].astype(np.int64)  # a missing value has the code -1
