"""The simulated world: prompts, models and outcomes whose truth is known."""

from graphrouter.bench.simulate.simulated_people import simulate_people
from graphrouter.bench.simulate.simulated_views import simulate_views
from graphrouter.bench.simulate.simulation import Simulation, simulate

__all__ = ["Simulation", "simulate", "simulate_people", "simulate_views"]
