"""The simulated default dataset, with its truth.

Effects come from an item response model with skills by task and by kind of content; tokens and
latency are log-normal around lengths that depend on the query and the model. The text of a prompt
shows most of its difficulty, not all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from graphrouter.bench.simulate.prompts import TASKS, compose_queries
from graphrouter.bench.simulate.simulated_models import EFFORTS, make_models, make_settings
from graphrouter.bench.simulate.simulated_pairs import (
    TOKEN_SPREAD,
    SimulatedPairs,
    draw_observed,
    draw_sparse_pairs,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import ConfigError
from graphrouter.number_checks import is_number, is_whole
from graphrouter.types import FloatArray, IntArray

DEFAULT_MISSING = 0.15
LATENCY_SPREAD = 0.2
"""Deviation of log latency from one run to another, at a given length."""


@dataclass(frozen=True)
class SimulatedTruth:
    """What only the maker of a world knows, of every pair.

    Rows as in `data.queries`, columns as in `data.models`. The arrays are made when they are first
    looked at: a world of many queries and models has room for its outcomes, not for all pairs.
    """

    query_ids: tuple[str, ...]
    models: tuple[str, ...]
    pairs: SimulatedPairs
    told: tuple[IntArray, IntArray]
    """Positions of the queries and models, broadcast together, that `table` tells of."""

    @cached_property
    def effect(self) -> FloatArray:
        """(num_queries, num_models), probability of success, in (0, 1)."""
        return self.pairs.effect(*self.pairs.grid)

    @cached_property
    def cost_usd(self) -> FloatArray:
        """(num_queries, num_models), expected US dollars a call."""
        return self._compute_cost(*self.pairs.grid)

    @cached_property
    def latency_s(self) -> FloatArray:
        """(num_queries, num_models), expected seconds to the end of the answer."""
        query, model = self.pairs.grid
        return self.pairs.latency_s(model, self.pairs.output_tokens(query, model))

    @property
    def table(self) -> pd.DataFrame:
        """One row a pair: query_id, model, effect, cost_usd, latency_s.

        Every pair, or with `density` those that were run.
        """
        query, model = (part.ravel() for part in np.broadcast_arrays(*self.told))
        return pd.DataFrame(
            {
                "query_id": np.array(self.query_ids, dtype=object)[query],
                "model": np.array(self.models, dtype=object)[model],
                "effect": self.pairs.effect(query, model),
                "cost_usd": self._compute_cost(query, model),
                "latency_s": self.pairs.latency_s(model, self.pairs.output_tokens(query, model)),
            }
        ).astype({"query_id": "str", "model": "str"})

    def _compute_cost(self, query: IntArray, model: IntArray) -> FloatArray:
        tokens = self.pairs.input_tokens(query, model), self.pairs.output_tokens(query, model)
        return self.pairs.cost_usd(model, *tokens)


@dataclass(frozen=True)
class Simulation:
    """A simulated dataset and the truth behind it."""

    data: RoutingDataset
    truth: SimulatedTruth


def simulate(
    num_queries: int = 2400,
    num_models: int = 12,
    *,
    seed: int = 0,
    missing: float | None = None,
    density: float | None = None,
    num_efforts: int = 1,
) -> Simulation:
    """A simulated dataset and its truth; the same arguments give the same values.

    Args:
        num_queries: Queries, spread evenly over the tasks.
        num_models: Models, at least 2; the first few of a world do not depend on how many there
            are.
        seed: Seed of the world: prompts, skills and outcomes.
        missing: Share of the (query, model) pairs without an outcome, from 0 to below 1; 0.15
            where neither it nor `density` is given. Runs of all pairs are drawn, then some are
            forgotten.
        density: Share of the pairs with an outcome, above 0 and up to 1, instead of `missing`: for
            large worlds, since only these pairs are drawn, and memory grows with them. Every query
            has an outcome where they suffice.
        num_efforts: Settings of each model, from 1 to 3: with 3 there are three candidates a
            model, of low, medium and high reasoning effort.

    Example:
        >>> simulation = simulate(num_queries=50, num_models=4)
        >>> simulation.truth.effect.shape, len(simulation.data.outcomes)
        ((50, 4), 170)
        >>> len(simulate(num_queries=50, num_models=200, density=0.01).data.outcomes)
        100

    Raises:
        ConfigError: An argument is out of range, or both `missing` and `density` are given.
        DataError: The templates cannot make so many distinct prompts.
    """
    _check_arguments(num_queries, num_models, seed=seed, num_efforts=num_efforts)
    _check_share(missing, density)
    queries = compose_queries(num_queries, np.random.default_rng([seed, 0]))
    models = make_settings(make_models(num_models, seed), num_efforts, seed)
    rng = np.random.default_rng([seed, 3])
    pairs = SimulatedPairs.draw(queries, models, rng)
    if density is None:
        runs = _draw_runs(pairs, *pairs.grid, rng)
        share = DEFAULT_MISSING if missing is None else missing
        query, model = np.nonzero(draw_observed(pairs.shape, share, rng))
        runs = {name: values[query, model] for name, values in runs.items()}
        told = pairs.grid
    else:
        query, model = draw_sparse_pairs(pairs.shape, density, np.random.default_rng([seed, 5]))
        runs = _draw_runs(pairs, query, model, rng)
        told = query, model
    truth = SimulatedTruth(
        query_ids=tuple(f"q{number:05d}" for number in range(num_queries)),
        models=tuple(spec.model for spec in models.specs),
        pairs=pairs,
        told=told,
    )
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": truth.query_ids,
                "task": [TASKS[q.task].task for q in queries],
                "prompt": [q.prompt for q in queries],
            }
        ),
        models=models.table,
        outcomes=pd.DataFrame(
            {
                "query_id": np.array(truth.query_ids, dtype=object)[query],
                "model": np.array(truth.models, dtype=object)[model],
                **runs,
            }
        ),
        tasks=pd.DataFrame(
            [{"task": task.task, "description": task.description} for task in TASKS]
        ),
        name="simulated",
    )
    return Simulation(data=data, truth=truth)


def _check_arguments(num_queries: int, num_models: int, *, seed: int, num_efforts: int) -> None:
    least = {"num_queries": (num_queries, 1), "num_models": (num_models, 2), "seed": (seed, 0)}
    for name, (value, smallest) in least.items():
        if not is_whole(value, least=smallest):
            raise ConfigError(
                f"{name} is {value!r}; expected a whole number of at least {smallest}."
            )
    if not is_whole(num_efforts, least=1) or num_efforts > len(EFFORTS):
        raise ConfigError(
            f"num_efforts is {num_efforts!r}; expected a whole number from 1 to {len(EFFORTS)}."
        )


def _check_share(missing: float | None, density: float | None) -> None:
    if missing is not None and density is not None:
        raise ConfigError(
            f"missing is {missing!r} and density is {density!r}; expected one of them: density = "
            "1 - missing."
        )
    if missing is not None and (not is_number(missing) or not 0 <= missing < 1):
        raise ConfigError(f"missing is {missing!r}; expected a share from 0 to below 1.")
    if density is not None and (not is_number(density) or not 0 < density <= 1):
        raise ConfigError(f"density is {density!r}; expected a share above 0 and up to 1.")


def _draw_runs(
    pairs: SimulatedPairs, query: IntArray, model: IntArray, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """What came of running pairs: columns of outcomes, of the shape of the pairs."""
    chance, log_tokens = pairs.effect(query, model), pairs.log_output_tokens(query, model)
    spread = rng.normal(0.0, TOKEN_SPREAD, log_tokens.shape)
    tokens = np.maximum(1.0, np.round(np.exp(log_tokens + spread)))
    noise = np.exp(rng.normal(-(LATENCY_SPREAD**2) / 2, LATENCY_SPREAD, log_tokens.shape))  # mean 1
    input_tokens = pairs.input_tokens(query, model)
    return {
        "effect": (rng.random(chance.shape) < chance).astype(np.float64),
        "cost_usd": np.round(pairs.cost_usd(model, input_tokens, tokens), 9),
        "input_tokens": input_tokens,
        "output_tokens": tokens,
        "latency_s": np.round(pairs.latency_s(model, tokens) * noise, 3),
    }
