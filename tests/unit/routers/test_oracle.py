"""The oracle says what was observed, and nothing about what was not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graphrouter.data import RoutingDataset
from graphrouter.policy import CostScale
from graphrouter.routers.oracle import Oracle


def test_predicts_the_observed_by_prompt() -> None:
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ["q1", "q2", "q3"], "task": "t", "prompt": ["one", "two", "two"]}),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame(
            [("q1", "a", 1.0, 0.1), ("q2", "a", 0.0, 0.2), ("q2", "b", 1.0, 0.3), ("q3", "a", 1.0, np.nan)],
            columns=["query_id", "model", "effect", "cost_usd"],
        ),
    )
    scale = CostScale(0.0, 1.0)
    oracle = Oracle.fit(data, ("q1", "q2", "q3"), cost_scale=scale)
    predictions = oracle.predict(["two", "one", "three"])
    nan = np.nan
    np.testing.assert_array_equal(predictions.effect, [[0.5, 1.0], [1.0, nan], [nan, nan]])
    np.testing.assert_array_equal(predictions.cost_usd, [[0.2, 0.3], [0.1, nan], [nan, nan]])
    assert oracle.cost_scale is scale
