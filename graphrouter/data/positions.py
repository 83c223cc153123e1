"""Where the names of a column stand in a list of names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphrouter.lazy import pandas as pd
from graphrouter.types import IntArray


def find_positions(
    values: pd.Series[Any] | list[Any], names: Sequence[str] | pd.Series[Any]
) -> IntArray:
    """Position of each value among `names`, -1 where it is not among them: (num_values,).

    Args:
        values: A column of a frame, or of a stored table; what is missing is not among the names.
        names: Where to look.

    Example:
        >>> find_positions(["b", None, "b"], ["a", "b"]).tolist()
        [1, -1, 1]
    """
    if isinstance(values, list):  # what serves has lists, and no pandas
        place = {name: i for i, name in enumerate(names)}
        return np.array([place.get(value, -1) for value in values], dtype=np.int64)
    # Each distinct value is looked up once: outcomes name the same few models and queries.
    codes, distinct = pd.factorize(values)
    found = pd.Index(names).get_indexer(pd.Index(distinct))
    return np.append(found, -1)[codes].astype(np.int64)  # a missing value has the code -1
