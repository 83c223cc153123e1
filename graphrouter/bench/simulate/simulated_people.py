"""The simulated world with people in it, who grade answers by tastes of their own."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from graphrouter.bench.simulate.simulated_pairs import CEILING, GUESS, SLOPE, SimulatedPairs
from graphrouter.bench.simulate.simulation import Simulation, simulate
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import ConfigError
from graphrouter.number_checks import is_number, is_whole
from graphrouter.types import FloatArray, IntArray

STRICTNESS, TASTE, KIND = 1.0, 1.5, 1.0
"""Deviations, in logits, of how strictly users grade, of what they think of a model, and of what
they think of it in a task; half of each variance is that of their teams."""


@dataclass(frozen=True)
class TastefulPairs(SimulatedPairs):
    """Pairs of a world whose effects depend on who asked."""

    deviation: FloatArray
    """(num_queries, num_models) logits by which who asked grades otherwise than anybody."""

    @classmethod
    def of(cls, pairs: SimulatedPairs, deviation: FloatArray) -> Self:
        """The pairs of a world, graded by people."""
        plain = {field.name: getattr(pairs, field.name) for field in fields(SimulatedPairs)}
        return cls(**plain, deviation=deviation)

    def effect(self, query: IntArray, model: IntArray) -> FloatArray:
        """Probability that who asked grades the answer as good, in (0, 1)."""
        skill = self.models.skill[model, self.facet[query]]
        logit = SLOPE * (skill - self.difficulty[query]) + self.deviation[query, model]
        chance: FloatArray = GUESS + (CEILING - GUESS) / (1.0 + np.exp(-logit))
        return chance


def simulate_people(
    num_queries: int = 2400,
    num_models: int = 8,
    *,
    num_users: int = 40,
    num_teams: int = 5,
    strength: float = 1.0,
    seed: int = 0,
    density: float | None = None,
) -> Simulation:
    """The simulated world, each query asked by a user of a team, and graded to the user's taste.

    Args:
        num_queries: As in `simulate`.
        num_models: As in `simulate`.
        num_users: Users, each with about the same number of queries.
        num_teams: Teams of about the same size; 0 for users of none.
        strength: Factor of all tastes, at least 0; 0 for a world where users are noise.
        seed: Seed of the world, of its people, and of what they ask.
        density: As in `simulate`.

    Example:
        >>> world = simulate_people(num_queries=60, num_users=6, num_teams=2)
        >>> world.data.queries["user"].nunique(), world.data.queries["team"].nunique()
        (6, 2)
        >>> world.truth.effect.shape
        (60, 8)

    Raises:
        ConfigError: An argument is out of range.
    """
    if not is_whole(num_users, least=1) or not is_whole(num_teams, least=0):
        raise ConfigError(
            f"num_users is {num_users!r} and num_teams {num_teams!r}; expected whole numbers of at "
            "least 1 and 0."
        )
    if not is_number(strength) or not 0 <= strength < float("inf"):
        raise ConfigError(f"strength is {strength!r}; expected a finite number of at least 0.")
    world = simulate(num_queries, num_models, seed=seed, density=density)
    rng = np.random.default_rng([seed, 7])
    user = rng.permutation(np.arange(num_queries) % num_users)
    team = np.arange(num_users) % num_teams if num_teams else np.arange(num_users)
    plain = world.truth.pairs
    deviation = strength * _draw_tastes(plain, user, team, is_shared=num_teams > 0, rng=rng)
    pairs = TastefulPairs.of(plain, deviation)
    data = world.data
    rows, columns = data.pair_positions
    chance = pairs.effect(rows, columns)
    asked = {"user": [f"user-{number:03d}" for number in user]}
    if num_teams:
        asked["team"] = [f"team-{number}" for number in team[user]]
    return Simulation(
        RoutingDataset.from_frames(
            queries=data.queries.assign(**asked),
            models=data.models,
            outcomes=data.outcomes.assign(
                effect=(rng.random(len(chance)) < chance).astype(np.float64)
            ),
            tasks=data.tasks,
            name="people",
        ),
        replace(world.truth, pairs=pairs),
    )


def _draw_tastes(
    pairs: SimulatedPairs,
    user: IntArray,
    team: IntArray,
    *,
    is_shared: bool,
    rng: np.random.Generator,
) -> FloatArray:
    """What who asked each query deviates in, of each model: (num_queries, num_models)."""
    num_models = pairs.shape[1]
    num_users, num_tasks = len(team), int(pairs.task.max()) + 1

    def draw(spread: float, *shape: int) -> FloatArray:
        own = rng.normal(0.0, spread, (num_users, *shape))
        shared = rng.normal(0.0, spread, (int(team.max()) + 1, *shape))[team]
        both: FloatArray = (own + shared) / np.sqrt(2) if is_shared else own
        return both

    strictness, taste = draw(STRICTNESS), draw(TASTE, num_models)
    kind = draw(KIND, num_tasks, num_models)
    return strictness[user, None] + taste[user] + kind[user, pairs.task]
