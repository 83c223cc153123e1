"""The simulated default dataset, with its truth.

Effects come from an item response model with skills by task and by kind of content; tokens and
latency are log-normal around lengths that depend on the query and the model. The text of a prompt
shows most of its difficulty, not all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from graphrouter.bench.simulate.prompts import TASKS, SimulatedQuery, compose_queries
from graphrouter.bench.simulate.simulated_models import (
    EFFORTS,
    MAX_MODELS,
    SimulatedModels,
    make_models,
    make_settings,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import ConfigError
from graphrouter.number_checks import is_number, is_whole
from graphrouter.types import BoolArray, FloatArray

SHOWN_RANGE = 3.6
"""Logits between the easiest and the hardest text of a task of spread 1."""
HIDDEN_SPREAD = 0.3
"""Deviation of the difficulty that the text does not show, in logits."""
SLOPE = 2.2
"""Discrimination of the item response model."""
GUESS, CEILING = 0.02, 0.98
"""Chance of success of the worst and of the best model."""
TOKEN_SPREAD = 0.3
"""Deviation of log completion tokens from one run to another."""
LATENCY_SPREAD = 0.2
"""Deviation of log latency from one run to another, at a given length."""
CHARS_PER_TOKEN = 4.2
PROMPT_OVERHEAD_TOKENS = 8


@dataclass(frozen=True)
class SimulatedTruth:
    """What only the maker of a world knows, of every pair.

    Rows as in `data.queries`, columns as in `data.models`.
    """

    query_ids: tuple[str, ...]
    models: tuple[str, ...]
    effect: FloatArray
    """(num_queries, num_models), probability of success, in (0, 1)."""
    cost_usd: FloatArray
    """(num_queries, num_models), expected US dollars a call."""
    latency_s: FloatArray
    """(num_queries, num_models), expected seconds to the end of the answer."""

    @property
    def table(self) -> pd.DataFrame:
        """One row a pair: query_id, model, effect, cost_usd, latency_s."""
        rows, columns = np.indices(self.effect.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "query_id": np.array(self.query_ids, dtype=object)[rows],
                "model": np.array(self.models, dtype=object)[columns],
                "effect": self.effect.ravel(),
                "cost_usd": self.cost_usd.ravel(),
                "latency_s": self.latency_s.ravel(),
            }
        ).astype({"query_id": "str", "model": "str"})


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
    missing: float = 0.15,
    num_efforts: int = 1,
) -> Simulation:
    """A simulated dataset and its truth; the same arguments give the same values.

    Args:
        num_queries: Queries, spread evenly over the tasks.
        num_models: Models, from 2 to 40; the first few of a world do not depend on how many there
            are.
        seed: Seed of the world: prompts, skills and outcomes.
        missing: Share of the (query, model) pairs without an outcome, from 0 to below 1.
        num_efforts: Settings of each model, from 1 to 3: with 3 there are three candidates a
            model, of low, medium and high reasoning effort.

    Example:
        >>> simulation = simulate(num_queries=50, num_models=4)
        >>> simulation.truth.effect.shape, len(simulation.data.outcomes)
        ((50, 4), 170)

    Raises:
        ConfigError: An argument is out of range.
        DataError: The templates cannot make so many distinct prompts.
    """
    _check_arguments(num_queries, num_models, seed=seed, missing=missing, num_efforts=num_efforts)
    queries = compose_queries(num_queries, np.random.default_rng([seed, 0]))
    models = make_settings(make_models(num_models, seed), num_efforts, seed)
    rng = np.random.default_rng([seed, 3])
    ids = [f"q{number:05d}" for number in range(num_queries)]

    chance = _compute_success(queries, models, rng)
    input_tokens = _count_input_tokens(queries, models)
    log_tokens = _draw_log_output_tokens(queries, models, rng)
    tokens = np.maximum(
        1.0, np.round(np.exp(log_tokens + rng.normal(0.0, TOKEN_SPREAD, log_tokens.shape)))
    )
    expected_tokens = np.exp(log_tokens + TOKEN_SPREAD**2 / 2)
    noise = np.exp(rng.normal(-(LATENCY_SPREAD**2) / 2, LATENCY_SPREAD, log_tokens.shape))  # mean 1

    truth = SimulatedTruth(
        query_ids=tuple(ids),
        models=tuple(spec.model for spec in models.specs),
        effect=chance,
        cost_usd=_compute_cost(models, input_tokens, expected_tokens),
        latency_s=_draw_latency(models, expected_tokens),
    )
    columns = {
        "effect": (rng.random(chance.shape) < chance).astype(np.float64),
        "cost_usd": np.round(_compute_cost(models, input_tokens, tokens), 9),
        "input_tokens": input_tokens,
        "output_tokens": tokens,
        "latency_s": np.round(_draw_latency(models, tokens) * noise, 3),
    }
    observed = _draw_observed(chance.shape, missing, rng)
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": ids,
                "task": [TASKS[q.task].task for q in queries],
                "prompt": [q.prompt for q in queries],
            }
        ),
        models=models.table,
        outcomes=_draw_outcomes(truth, columns, observed),
        tasks=pd.DataFrame(
            [{"task": task.task, "description": task.description} for task in TASKS]
        ),
        name="simulated",
    )
    return Simulation(data=data, truth=truth)


def _check_arguments(
    num_queries: int, num_models: int, *, seed: int, missing: float, num_efforts: int
) -> None:
    for name, value, least in (("num_queries", num_queries, 1), ("seed", seed, 0)):
        if not is_whole(value, least=least):
            raise ConfigError(f"{name} is {value!r}; expected a whole number of at least {least}.")
    if not is_whole(num_models, least=2) or num_models > MAX_MODELS:
        raise ConfigError(
            f"num_models is {num_models!r}; expected a whole number from 2 to {MAX_MODELS}."
        )
    if not is_number(missing) or not 0 <= missing < 1:
        raise ConfigError(f"missing is {missing!r}; expected a share from 0 to below 1.")
    if not is_whole(num_efforts, least=1) or num_efforts > len(EFFORTS):
        raise ConfigError(
            f"num_efforts is {num_efforts!r}; expected a whole number from 1 to {len(EFFORTS)}."
        )


def _compute_success(
    queries: list[SimulatedQuery], models: SimulatedModels, rng: np.random.Generator
) -> FloatArray:
    """Probability of success of every pair, (num_queries, num_models).

    A two-parameter logistic model with guess and ceiling.
    """
    starts = np.cumsum([0, *(len(task.facets) for task in TASKS)])
    facet = np.array([starts[query.task] + query.facet for query in queries])
    shown = np.array(
        [
            TASKS[q.task].hardness + TASKS[q.task].spread * SHOWN_RANGE * (q.level - 0.5)
            for q in queries
        ]
    )
    difficulty = shown + rng.normal(0.0, HIDDEN_SPREAD, len(queries))
    logits = SLOPE * (models.skill[:, facet].T - difficulty[:, None])
    chance: FloatArray = GUESS + (CEILING - GUESS) / (1.0 + np.exp(-logits))
    return chance


def _count_input_tokens(queries: list[SimulatedQuery], models: SimulatedModels) -> FloatArray:
    """Prompt tokens of every pair, (num_queries, num_models).

    A family has a tokenizer of its own.
    """
    families = sorted({spec.family for spec in models.specs})
    density = np.array([1.0 + 0.06 * families.index(spec.family) for spec in models.specs])
    chars = np.array([len(query.prompt) for query in queries], dtype=np.float64)
    tokens: FloatArray = (
        np.round(chars[:, None] / CHARS_PER_TOKEN * density) + PROMPT_OVERHEAD_TOKENS
    )
    return tokens


def _draw_log_output_tokens(
    queries: list[SimulatedQuery], models: SimulatedModels, rng: np.random.Generator
) -> FloatArray:
    """Log of the median completion tokens of every pair, (num_queries, num_models).

    Wordy models think longer on hard queries.
    """
    task = np.array([query.task for query in queries])
    level = np.array([query.level for query in queries])
    plain = np.log([query.answer_tokens for query in queries]) + rng.normal(0.0, 0.15, len(queries))
    wordiness = models.wordiness[:, task].T
    return plain[:, None] + wordiness * (1.0 + 0.5 * (level[:, None] - 0.5))


def _compute_cost(
    models: SimulatedModels, input_tokens: FloatArray, output_tokens: FloatArray
) -> FloatArray:
    prices = np.array(
        [[spec.input_usd_per_mtok, spec.output_usd_per_mtok] for spec in models.specs]
    )
    cost: FloatArray = (input_tokens * prices[:, 0] + output_tokens * prices[:, 1]) / 1e6
    return cost


def _draw_latency(models: SimulatedModels, output_tokens: FloatArray) -> FloatArray:
    first = np.array([spec.first_token_s for spec in models.specs])
    speed = np.array([spec.tokens_per_s for spec in models.specs])
    latency: FloatArray = first + output_tokens / speed
    return latency


def _draw_observed(shape: tuple[int, ...], missing: float, rng: np.random.Generator) -> BoolArray:
    """Which pairs were run, of `shape`.

    Exactly the share `missing` of them was not, but one always was.
    """
    num_pairs = shape[0] * shape[1]
    observed = np.ones(num_pairs, dtype=bool)
    observed[rng.permutation(num_pairs)[: min(round(missing * num_pairs), num_pairs - 1)]] = False
    return observed.reshape(shape)


def _draw_outcomes(
    truth: SimulatedTruth, columns: dict[str, FloatArray], observed: BoolArray
) -> pd.DataFrame:
    rows, positions = np.nonzero(observed)
    frame = pd.DataFrame(
        {
            "query_id": np.array(truth.query_ids, dtype=object)[rows],
            "model": np.array(truth.models, dtype=object)[positions],
        }
    )
    return frame.assign(**{name: values[rows, positions] for name, values in columns.items()})
