"""How good every model of a pool is at every task, and how surely that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router

__all__ = ["ModelStrengths", "Strength", "Strengths", "find_newcomers", "find_strengths"]

MOST_TASKS = 12
_PROMPTS_PER_TASK = 6


class Strength(NamedTuple):
    """What is expected of a model at a task."""

    effect: float
    """Mean expected effect on solved prompts of the task, in [0, 1]."""
    doubt: float | None
    """Mean width of its 80 % interval; None for a router that gives none."""

    @property
    def tenth(self) -> int:
        """The tenth of [0, 1] that the effect lies in, 0 to 9."""
        return min(9, int(10 * self.effect))


class ModelStrengths(NamedTuple):
    """A row of the table."""

    model: str
    num_outcomes: int
    is_new: bool
    """Whether it has less than a quarter of the outcomes that half of the pool has."""
    strengths: Sequence[Strength]
    """One for each task."""

    @property
    def mean_doubt(self) -> float | None:
        """Mean width of the 80 % intervals; None without any."""
        doubts = [each.doubt for each in self.strengths if each.doubt is not None]
        return float(np.mean(doubts)) if doubts else None


class Strengths(NamedTuple):
    """A table of models and tasks."""

    tasks: Sequence[str]
    """Those with the most solved queries."""
    num_tasks: int
    """All that there are."""
    rows: Sequence[ModelStrengths]
    """The best on average first."""


def find_newcomers(router: Router) -> dict[str, int]:
    """Models that are new, with the number of outcomes that are known of each.

    A model is new while it has less than a quarter of the outcomes that half of the pool has.

    Args:
        router: Nobody is new to one that keeps no outcomes.
    """
    if not isinstance(router, GraphRouter):
        return {}
    numbers = dict(zip(router.models, router.num_outcomes.tolist(), strict=True))
    few = float(np.median(list(numbers.values()))) / 4
    return {model: number for model, number in numbers.items() if number < few}


def find_strengths(router: Router) -> Strengths | None:
    """What a router expects of its models, by the tasks of its solved queries.

    Args:
        router: None comes back for one that keeps no solved queries with tasks.
    """
    if not isinstance(router, GraphRouter):
        return None
    queries = router.support.queries
    named = queries[queries["task"].notna()]
    counts = named["task"].value_counts()
    tasks = [str(task) for task in counts.index[:MOST_TASKS]]
    if not tasks:
        return None
    shown = [named[named["task"] == task]["prompt"].iloc[:_PROMPTS_PER_TASK] for task in tasks]
    asked = [task for task, prompts in zip(tasks, shown, strict=True) for _ in prompts]
    found = router.predict([text for prompts in shown for text in prompts], tasks=asked)
    which = np.asarray(asked)
    effect = np.stack([found.effect[which == task].mean(axis=0) for task in tasks])
    doubt = None
    if found.effect_low is not None and found.effect_high is not None:
        width = found.effect_high - found.effect_low
        doubt = np.stack([width[which == task].mean(axis=0) for task in tasks])
    numbers = router.num_outcomes.tolist()
    newcomers = find_newcomers(router)
    rows = [
        ModelStrengths(
            model,
            number,
            model in newcomers,
            [
                Strength(float(effect[i, j]), None if doubt is None else float(doubt[i, j]))
                for i in range(len(tasks))
            ],
        )
        for j, (model, number) in enumerate(zip(router.models, numbers, strict=True))
    ]
    rows.sort(key=lambda row: -float(np.mean([each.effect for each in row.strengths])))
    return Strengths(tasks, len(counts), rows)
