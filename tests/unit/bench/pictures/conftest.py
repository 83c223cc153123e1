"""A world and a router for all pictures, made once."""

from __future__ import annotations

import pytest

import graphrouter as gr


@pytest.fixture(scope="session")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=260, num_models=6, seed=3).data


@pytest.fixture(scope="session")
def router(data: gr.RoutingDataset) -> gr.GraphRouter:
    return gr.GraphRouter.fit(data, instant=True)
