"""Tables of means: what a row forecasts, and the words of their errors."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.types import Predictions


def test_each_query_gets_the_row_it_asks_for() -> None:
    table = MeanTable.from_arrays(
        ("a", "b"), np.array([[0.1, 0.2], [0.3, 0.4]]), cost_usd=np.array([[1.0, 2.0], [3.0, 4.0]])
    )
    looked_up = table.look_up(np.array([1, 0, 1]))
    assert type(looked_up) is Predictions
    assert looked_up.effect.tolist() == [[0.3, 0.4], [0.1, 0.2], [0.3, 0.4]]
    assert looked_up.cost_usd.tolist() == [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    assert np.isnan(looked_up.latency_s).all()
    assert len(table.look_up(np.array([], dtype=np.int64))) == 0


def test_rows_are_groups() -> None:
    with pytest.raises(
        ValueError, match=r"MeanTable\.effect .*\(num_groups, num_models\) = \(2, 1\)"
    ):
        MeanTable.from_arrays(("a",), np.zeros((2, 2)))
