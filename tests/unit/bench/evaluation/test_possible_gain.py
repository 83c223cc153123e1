"""The share of the possible gain, by hand and at its ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphrouter.bench.evaluation.possible_gain import PossibleGain, measure_gain
from graphrouter.bench.simulate.simulation import Simulation, simulate
from graphrouter.policy import CostScale, Policy
from graphrouter.router.protocol import Router
from graphrouter.types import FloatArray, Predictions, Queries


class Scripted(Router):
    """Predicts given numbers for the queries of a simulation, whatever their task."""

    def __init__(self, simulation: Simulation, effect: FloatArray, cost_usd: FloatArray) -> None:
        self.pool = simulation.data.pool
        self.cost_scale = CostScale.fit(simulation.truth.cost_usd)
        self.row_of = {prompt: row for row, prompt in enumerate(simulation.data.queries["prompt"])}
        self.effect, self.cost_usd = effect, cost_usd

    def _predict(self, queries: Queries) -> Predictions:
        rows = [self.row_of[prompt] for prompt in queries.prompts]
        return Predictions.from_arrays(self.models, self.effect[rows], cost_usd=self.cost_usd[rows])


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(num_queries=40, num_models=3, seed=0)


def gain_of(simulation: Simulation, router: Router, policy: Policy) -> PossibleGain:
    constant = np.tile([1.0, 0.0, 0.0], (40, 1))
    single = Scripted(simulation, constant, np.zeros_like(constant))
    return measure_gain(
        simulation,
        ["q00003", "q00001", "q00007"],
        router=router,
        best_single=single,
        policy=policy,
        cost_scale=router.cost_scale,
    )


@pytest.mark.parametrize(
    "policy",
    [Policy.preset("balanced"), Policy.preset("performance_first"), Policy(usd_per_effect=0.01)],
)
def test_who_knows_the_truth_finds_all_of_it(simulation: Simulation, policy: Policy) -> None:
    truth = simulation.truth
    gain = gain_of(simulation, Scripted(simulation, truth.effect, truth.cost_usd), policy)
    assert gain.router == gain.best_possible > gain.best_single
    assert gain.share == 1


def test_by_hand(simulation: Simulation) -> None:
    effect = simulation.truth.effect[[3, 1, 7]]
    last = np.tile([0.0, 0.0, 1.0], (40, 1))
    gain = gain_of(
        simulation,
        Scripted(simulation, last, np.zeros_like(last)),
        Policy.preset("performance_first"),
    )
    assert gain.best_single == pytest.approx(effect[:, 0].mean())
    assert gain.router == pytest.approx(effect[:, 2].mean())
    assert gain.best_possible == pytest.approx(effect.max(axis=1).mean())


def test_an_unknown_cost_is_not_free(simulation: Simulation) -> None:
    effect = np.tile([0.1, 1.0, 0.2], (40, 1))
    cost = np.tile([0.0, np.nan, 0.0], (40, 1))
    gain = gain_of(simulation, Scripted(simulation, effect, cost), Policy.preset("balanced"))
    scale = CostScale.fit(simulation.truth.cost_usd)
    truth = simulation.truth
    reward = Policy.preset("balanced").utility(truth.effect, truth.cost_usd, scale)[[3, 1, 7]]
    assert gain.router == pytest.approx(reward[:, 2].mean())


def test_share() -> None:
    assert PossibleGain(best_single=0.2, router=0.5, best_possible=0.6).share == pytest.approx(0.75)
    assert PossibleGain(best_single=0.2, router=0.1, best_possible=0.6).share == pytest.approx(
        -0.25
    )
    assert math.isnan(PossibleGain(best_single=0.6, router=0.6, best_possible=0.6).share)
