"""Small valid tables that the tests then break."""

from __future__ import annotations

import pandas as pd
import pytest

from graphrouter.bench.simulate import Simulation, simulate
from graphrouter.data import RoutingDataset

Frames = dict[str, pd.DataFrame]


@pytest.fixture
def frames() -> Frames:
    """Three queries, two models, four outcomes, one task."""
    return {
        "queries": pd.DataFrame(
            {
                "query_id": ["001", "002", "003"],
                "task": ["sums", "sums", None],
                "prompt": ["1 + 1?", "2 + 2?", "Say hello."],
            }
        ),
        "models": pd.DataFrame(
            {
                "model": ["nano", "grand"],
                "input_usd_per_mtok": [1.0, 10.0],
                "output_usd_per_mtok": [2.0, None],
            }
        ),
        "outcomes": pd.DataFrame(
            {
                "query_id": ["001", "001", "002", "003"],
                "model": ["nano", "grand", "nano", "grand"],
                "effect": [0.0, 1.0, 0.5, 1.0],
                "cost_usd": [None, 0.01, 0.5, None],
                "input_tokens": [100, 100, 50, 20],
                "output_tokens": [50, 60, None, 10],
            }
        ),
        "tasks": pd.DataFrame({"task": ["sums"], "description": ["Add numbers."]}),
    }


@pytest.fixture
def small(frames: Frames) -> RoutingDataset:
    """The dataset of the small tables."""
    return RoutingDataset.from_frames(**frames, name="small")


@pytest.fixture(scope="session")
def world() -> Simulation:
    """The simulated default."""
    return simulate()
