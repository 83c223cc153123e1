"""Recorded outcomes as cascades call them up, and what a run over them has paid and got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np

from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.exceptions import DataError
from graphrouter.pool import ModelPool
from graphrouter.types import BoolArray, FloatArray, IntArray


class Replay(NamedTuple):
    """What a cascade has paid and got on each query."""

    cost_usd: FloatArray
    """(num_queries,) US dollars of all calls together."""
    effect: FloatArray
    """(num_queries,) recorded effect of the answer that is kept."""
    answered: BoolArray
    """(num_queries,) False where no model could be called; all else is then 0."""
    num_calls: IntArray
    """(num_queries,) calls that were made, those that verify an answer included."""


class Recorded(NamedTuple):
    """Outcomes that a cascade may call up: pairs whose effect and cost were both recorded.

    NaN in both elsewhere.
    """

    prompts: tuple[str, ...]
    effect: FloatArray
    """(num_queries, num_models), in pool order."""
    cost_usd: FloatArray
    """(num_queries, num_models)."""

    @classmethod
    def of(cls, pool: ModelPool, prompts: Sequence[str], observed: ObservedOutcomes) -> Self:
        """The outcomes in pool order.

        A model of the pool that `observed` does not name cannot be called.

        Raises:
            DataError: The numbers of prompts and of outcomes differ.
        """
        if len(prompts) != len(observed):
            raise DataError(
                f"observed has {len(observed)} rows for {len(prompts)} prompts; expected one row "
                "a prompt."
            )
        effect, cost = np.full(
            (2, len(pool), len(prompts)), np.nan
        )  # by model: each is read as a whole
        for column, name in enumerate(observed.models):
            if name in pool.index:
                effect[pool.index[name]], cost[pool.index[name]] = (
                    observed.effect[:, column],
                    observed.cost_usd[:, column],
                )
        known = np.isfinite(effect) & np.isfinite(cost)
        return cls(
            tuple(prompts), np.where(known, effect, np.nan).T, np.where(known, cost, np.nan).T
        )


def call_in_turn(recorded: Recorded, chain: Sequence[int], accepted: BoolArray) -> Iterator[Replay]:
    """What was paid and got so far, after each model of the chain; the last answer is kept.

    Args:
        recorded: What can be called.
        chain: Columns of the models, first to last.
        accepted: (num_queries, len(chain)) whether the judge is content with that model's answer,
            so that no other is called.
    """
    cost, effect = np.zeros((2, len(recorded.prompts)))
    num_calls = np.zeros(len(recorded.prompts), dtype=np.int64)
    answered = num_calls > 0
    waiting = ~answered
    for position, model in enumerate(chain):
        called = waiting & np.isfinite(recorded.effect[:, model])
        cost = cost + np.where(called, recorded.cost_usd[:, model], 0.0)
        effect = np.where(called, recorded.effect[:, model], effect)
        answered, num_calls = answered | called, num_calls + called
        waiting = waiting & ~(called & accepted[:, position])
        yield Replay(cost, effect, answered, num_calls)
