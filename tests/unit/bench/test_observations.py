"""What baselines learn from and routers are scored on."""

from __future__ import annotations

import numpy as np

import graphrouter as gr
from graphrouter.bench.observations import Observations
from graphrouter.bench.simulate import simulate


def test_costs_of_0_beside_positive_ones_are_not_observed_and_free_models_stay_free() -> None:
    data = simulate(num_queries=40, num_models=3, missing=0.0).data
    ids = data.queries["query_id"].tolist()
    first, second, _ = data.pool.names
    outcomes = data.outcomes
    zero = outcomes["query_id"].isin(ids[:10]) & (outcomes["model"] == first)
    zero |= outcomes["model"] == second
    changed = gr.RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models,
        outcomes=outcomes.assign(cost_usd=outcomes["cost_usd"].mask(zero, 0.0)),
    )
    seen = Observations.of(changed, ids).outcomes
    before = Observations.of(data, ids).outcomes
    assert np.isnan(seen.cost_usd[:, 0]).tolist() == [True] * 10 + [False] * 30
    assert seen.cost_usd[:, 1].tolist() == [0.0] * 40
    assert seen.cost_usd[:, 2].tolist() == before.cost_usd[:, 2].tolist()
    assert np.array_equal(seen.effect, before.effect)
    assert changed.outcomes["cost_usd"].eq(0).sum() == 50  # the rows stay as they were written
