"""A world, a router that has learned from half of it, and a log of the other half."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.simulate.simulation import Simulation, simulate
from graphrouter.data import Split


@pytest.fixture(scope="session")
def world() -> Simulation:
    return simulate(num_queries=900, num_models=4, seed=5)


@pytest.fixture(scope="session")
def router(world: Simulation) -> gr.GraphRouter:
    """Has learned from the first 300 queries."""
    ids = world.data.queries["query_id"].tolist()
    return gr.GraphRouter.fit(
        world.data.select_queries(ids[:300]),
        split=Split(tuple(sorted(ids[:300])), (), ()),
        instant=True,
    )


@pytest.fixture(scope="session")
def log(world: Simulation) -> gr.RoutingDataset:
    """The other 600 queries, each with the outcome of one model at random."""
    data = world.data.select_queries(world.data.queries["query_id"].tolist()[300:])
    drawn = data.outcomes.sample(frac=1, random_state=3).drop_duplicates("query_id")
    return gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=drawn, tasks=data.tasks, name="november"
    )


@pytest.fixture(scope="session")
def truth(world: Simulation, log: gr.RoutingDataset) -> dict[str, np.ndarray]:
    """Expected effect and cost of every model on the queries of the log, (600, 4)."""
    place = {query: row for row, query in enumerate(world.truth.query_ids)}
    rows = [place[query] for query in log.queries["query_id"]]
    return {name: getattr(world.truth, name)[rows] for name in ("effect", "cost_usd")}
