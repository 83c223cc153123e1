"""The simulated world of these tests."""

from __future__ import annotations

import pytest

from graphrouter.bench.simulate import Simulation, simulate


@pytest.fixture(scope="session")
def world() -> Simulation:
    """The simulated default."""
    return simulate()
