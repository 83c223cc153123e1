"""Which share of the possible gain a router finds, on simulated data, where the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.policy import CostScale, Policy
from graphrouter.router.protocol import Router
from graphrouter.types import FloatArray, Queries

if TYPE_CHECKING:
    from graphrouter.bench.simulate.simulation import Simulation


@dataclass(frozen=True, slots=True)
class PossibleGain:
    """Mean true reward a query under one policy, of three ways to choose."""

    best_single: float
    """One model for all queries: the best one by its training means."""
    router: float
    best_possible: float
    """For each query the best model by its true expected effect and cost."""

    @property
    def share(self) -> float:
        """Share of the possible gain that the router finds; at most 1.

        The gain is from the best single model to the best possible choice.

        Negative when the router does worse than the best single model, NaN when nothing can be
        gained.
        """
        possible = self.best_possible - self.best_single
        return (self.router - self.best_single) / possible if possible > 0 else float("nan")


def measure_gain(
    simulation: Simulation,
    query_ids: Sequence[str],
    *,
    router: Router,
    best_single: Router,
    policy: Policy,
    cost_scale: CostScale,
    task_known: bool = True,
) -> PossibleGain:
    """What the router finds of the possible gain, measured by the true effects and costs.

    All models are open to everyone: chance plays no part, since the truth of a pair is known
    whether it was run or not.

    Args:
        simulation: The dataset and its truth.
        query_ids: Queries that no router was fitted on.
        router: Knows all models of the simulation.
        best_single: Fitted on the training queries.
        policy: What to maximise: its weights, or `usd_per_effect`.
        cost_scale: Scale of the rewards, fitted on training outcomes.
        task_known: Tell the router the task of each query.
    """
    table = simulation.data.queries.set_index("query_id").loc[list(query_ids)]
    queries = Queries.of_frame(table)
    if not task_known:
        queries = queries.without_tasks()
    row_of = {query: row for row, query in enumerate(simulation.truth.query_ids)}
    rows = np.array([row_of[query] for query in query_ids])
    reward = policy.utility(
        simulation.truth.effect[rows], simulation.truth.cost_usd[rows], cost_scale
    )

    def reached(chooser: Router) -> float:
        expected = chooser.predict(queries)
        columns = [simulation.truth.models.index(model) for model in expected.models]
        return _mean_of_choices(
            policy.utility(expected.effect, expected.cost_usd, cost_scale), reward[:, columns]
        )

    return PossibleGain(reached(best_single), reached(router), float(reward.max(axis=1).mean()))


def _mean_of_choices(utility: FloatArray, reward: FloatArray) -> float:
    """Mean reward of taking the largest utility of each row; arrays (num_queries, num_models)."""
    choice = np.where(np.isnan(utility), -np.inf, utility).argmax(axis=1)
    return float(reward[np.arange(len(reward)), choice].mean())
