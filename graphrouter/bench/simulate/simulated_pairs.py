"""What is expected of the pairs of a simulated world, and which of them were run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from graphrouter.bench.simulate.prompts import TASKS, SimulatedQuery
from graphrouter.bench.simulate.simulated_models import SimulatedModels
from graphrouter.types import BoolArray, FloatArray, IntArray

SHOWN_RANGE = 3.6
"""Logits between the easiest and the hardest text of a task of spread 1."""
HIDDEN_SPREAD = 0.3
"""Deviation of the difficulty that the text does not show, in logits."""
SLOPE = 2.2
"""Discrimination of the item response model."""
GUESS, CEILING = 0.02, 0.98
"""Chance of success of the worst and of the best model."""
LENGTH_SPREAD = 0.15
"""Deviation of the log length of a plain answer that the query does not show."""
TOKEN_SPREAD = 0.3
"""Deviation of log completion tokens from one run to another."""
CHARS_PER_TOKEN = 4.2
PROMPT_OVERHEAD_TOKENS = 8
_MOST_SPARSE = 0.5
"""Share of the pairs up to which those run are drawn, and above which the others are."""


@dataclass(frozen=True)
class SimulatedPairs:
    """What any pair of a simulated world is like, but for the chance of a single run.

    Numbers of queries and of models, not of pairs, are kept. Every method takes positions of
    queries and of models that broadcast together, and returns arrays of their common shape.
    """

    models: SimulatedModels
    task: IntArray
    """(num_queries,) position in TASKS."""
    facet: IntArray
    """(num_queries,) position among the facets of all tasks."""
    level: FloatArray
    """(num_queries,) difficulty that the text shows, in [0, 1]."""
    chars: FloatArray
    """(num_queries,) length of the prompt."""
    difficulty: FloatArray
    """(num_queries,) in logits, what the text does not show included."""
    plain_log_tokens: FloatArray
    """(num_queries,) log completion tokens of a model of average verbosity."""

    @classmethod
    def draw(
        cls, queries: list[SimulatedQuery], models: SimulatedModels, rng: np.random.Generator
    ) -> Self:
        """The pairs of these queries and models; what texts do not show comes from `rng`."""
        starts = np.cumsum([0, *(len(task.facets) for task in TASKS)])
        shown = np.array(
            [
                TASKS[q.task].hardness + TASKS[q.task].spread * SHOWN_RANGE * (q.level - 0.5)
                for q in queries
            ]
        )
        return cls(
            models=models,
            task=np.array([query.task for query in queries]),
            facet=np.array([starts[query.task] + query.facet for query in queries]),
            level=np.array([query.level for query in queries]),
            chars=np.array([len(query.prompt) for query in queries], dtype=np.float64),
            difficulty=shown + rng.normal(0.0, HIDDEN_SPREAD, len(queries)),
            plain_log_tokens=np.log([query.answer_tokens for query in queries])
            + rng.normal(0.0, LENGTH_SPREAD, len(queries)),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(num_queries, num_models)."""
        return len(self.task), len(self.models.specs)

    @property
    def grid(self) -> tuple[IntArray, IntArray]:
        """Positions (num_queries, 1) and (1, num_models), which make all pairs."""
        num_queries, num_models = self.shape
        return np.arange(num_queries)[:, None], np.arange(num_models)[None, :]

    def effect(self, query: IntArray, model: IntArray) -> FloatArray:
        """Probability of success, in (0, 1).

        A two-parameter logistic model with guess and ceiling.
        """
        skill = self.models.skill[model, self.facet[query]]
        chance: FloatArray = GUESS + (CEILING - GUESS) / (
            1.0 + np.exp(-SLOPE * (skill - self.difficulty[query]))
        )
        return chance

    def input_tokens(self, query: IntArray, model: IntArray) -> FloatArray:
        """Prompt tokens; a family has a tokenizer of its own."""
        families = sorted({spec.family for spec in self.models.specs})
        density = np.array([1.0 + 0.06 * families.index(spec.family) for spec in self.models.specs])
        tokens: FloatArray = (
            np.round(self.chars[query] / CHARS_PER_TOKEN * density[model]) + PROMPT_OVERHEAD_TOKENS
        )
        return tokens

    def log_output_tokens(self, query: IntArray, model: IntArray) -> FloatArray:
        """Log of the median completion tokens; wordy models think longer on hard queries."""
        wordiness = self.models.wordiness[model, self.task[query]]
        tokens: FloatArray = self.plain_log_tokens[query] + wordiness * (
            1.0 + 0.5 * (self.level[query] - 0.5)
        )
        return tokens

    def output_tokens(self, query: IntArray, model: IntArray) -> FloatArray:
        """Expected completion tokens: the mean of a log-normal distribution."""
        expected: FloatArray = np.exp(self.log_output_tokens(query, model) + TOKEN_SPREAD**2 / 2)
        return expected

    def cost_usd(
        self, model: IntArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """What tokens cost, in US dollars."""
        specs = self.models.specs
        prices = np.array([[spec.input_usd_per_mtok, spec.output_usd_per_mtok] for spec in specs])
        cost: FloatArray = (
            input_tokens * prices[model, 0] + output_tokens * prices[model, 1]
        ) / 1e6
        return cost

    def latency_s(self, model: IntArray, output_tokens: FloatArray) -> FloatArray:
        """Seconds to the end of an answer of so many tokens."""
        first = np.array([spec.first_token_s for spec in self.models.specs])
        speed = np.array([spec.tokens_per_s for spec in self.models.specs])
        latency: FloatArray = first[model] + output_tokens / speed[model]
        return latency


def draw_observed(shape: tuple[int, int], missing: float, rng: np.random.Generator) -> BoolArray:
    """Which pairs were run, of `shape`.

    Exactly the share `missing` of them was not, but one always was.
    """
    num_pairs = shape[0] * shape[1]
    observed = np.ones(num_pairs, dtype=bool)
    observed[rng.permutation(num_pairs)[: min(round(missing * num_pairs), num_pairs - 1)]] = False
    return observed.reshape(shape)


def draw_sparse_pairs(
    shape: tuple[int, int], density: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Positions of the queries and of the models of the pairs that were run, by query.

    Exactly the share `density` of all pairs, but at least one. Every query has one where they
    suffice; the others are any, all alike likely. Memory grows with the pairs drawn.
    """
    num_queries, num_models = shape
    num_pairs = num_queries * num_models
    count = max(1, round(density * num_pairs))
    first = np.arange(num_queries) * num_models + rng.integers(num_models, size=num_queries)
    if count < num_queries:
        chosen = first[rng.choice(num_queries, count, replace=False)]
    elif density > _MOST_SPARSE:
        others = np.setdiff1d(np.arange(num_pairs), first, assume_unique=True)
        more = rng.choice(others, count - num_queries, replace=False)
        chosen = np.concatenate([first, more])
    else:
        chosen = first
        # What was drawn already is drawn again: so each pair that is new is any of the others.
        while len(chosen) < count:
            more = rng.integers(num_pairs, size=count - len(chosen))
            chosen = np.union1d(chosen, more)
    query, model = np.divmod(np.sort(chosen), num_models)
    return query, model
