"""Prompts of the simulated dataset, written from templates.

Tasks, each with several kinds of content.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphrouter.bench.simulate.prompts import code, documents, knowledge, language, reasoning
from graphrouter.bench.simulate.prompts.draft import Draft, TaskSpec, draw_between, pick
from graphrouter.exceptions import DataError

__all__ = ["TASKS", "Draft", "SimulatedQuery", "TaskSpec", "compose_queries"]

TASKS: tuple[TaskSpec, ...] = (
    *reasoning.TASKS,
    *code.TASKS,
    *language.TASKS,
    *knowledge.TASKS,
    *documents.TASKS,
)
"""Every task of the simulated world, with what its prompts are made of."""

_MAX_TRIES = 200
_OPENERS = (
    "Hello. ", "Hi, ", "Quick question: ", "Please help. ", "For tomorrow: ", "Good morning! ", "I am stuck. ", "Once more: ",
    "From my colleague: ", "Urgent: ",
)  # fmt: skip
_CLOSERS = (
    " Thanks!",
    " Thank you.",
    " Take your time.",
    " No rush.",
    " Be brief.",
    " Please be careful.",
)


@dataclass(frozen=True, slots=True)
class SimulatedQuery:
    """One query of the simulated world."""

    task: int
    """Position in TASKS."""
    facet: int
    """Position in the task's facets."""
    prompt: str
    level: float
    """Difficulty that the text shows, in [0, 1]."""
    answer_tokens: float


def compose_queries(count: int, rng: np.random.Generator) -> list[SimulatedQuery]:
    """`count` queries with distinct prompts, the tasks in turn and in random order.

    Raises:
        DataError: The templates cannot make that many distinct prompts.
    """
    tasks = rng.permutation(np.arange(count) % len(TASKS))
    seen: set[str] = set()
    queries = []
    for task in tasks:
        query = _compose_new(int(task), seen, rng)
        seen.add(query.prompt)
        queries.append(query)
    return queries


def _compose_new(task: int, seen: set[str], rng: np.random.Generator) -> SimulatedQuery:
    spec = TASKS[task]
    for _ in range(_MAX_TRIES):
        facet = draw_between(rng, 0, len(spec.facets) - 1)
        level = float(rng.random())
        draft = spec.facets[facet].compose(rng, level)
        prompt = _add_small_talk(rng, draft.prompt)
        if prompt not in seen:
            return SimulatedQuery(
                task=task,
                facet=facet,
                prompt=prompt,
                level=level,
                answer_tokens=draft.answer_tokens,
            )
    raise DataError(
        f"The templates of {spec.task!r} gave no new prompt in {_MAX_TRIES} tries; {len(seen)} are made already. Simulate fewer queries."
    )


def _add_small_talk(rng: np.random.Generator, prompt: str) -> str:
    """The prompt with the small talk of real users around some."""
    if rng.random() < 0.15:
        prompt = pick(rng, _OPENERS) + prompt
    if rng.random() < 0.1 and not prompt.endswith("```"):
        prompt += pick(rng, _CLOSERS)
    return prompt
