"""The calls of a period as arrays: what came of them, what is predicted, and who had a chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from graphrouter.bench.evaluation.held_out import choose_held_out, warn_of_unknown_models
from graphrouter.bench.observations import Observations
from graphrouter.data.assignment import measure_assignment
from graphrouter.policy import Policy
from graphrouter.selection import decide
from graphrouter.types import FloatArray, Predictions

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

Measured = Literal["effect", "cost_usd"]
_ALWAYS = 0.95
"""Share of a task's calls from which a model counts as asked on all of them, whoever chose it."""
_ONCE = 0.5
"""Share of prompts with one answer from which data count as a log of calls that were made."""


@dataclass(frozen=True, eq=False)
class Logged:
    """What the calls of the period brought, as they were made."""

    paid_usd: float
    """US dollars of all calls whose cost is known."""
    share_priced: float
    """Share of the calls whose cost is known, in [0, 1]."""
    effect: float
    """Mean grade; NaN where nothing is graded."""
    num_graded: int


@dataclass(frozen=True, eq=False)
class Period:
    """Calls of a period that a router may be judged on, and how many there were in all.

    n calls, M models of the router's pool.
    """

    name: str
    num_calls: int
    """In all. The others are taken to be like those that are judged on."""
    predictions: Predictions
    """(n, M) of the calls to judge on, by a router that has not seen what came of them."""
    observed: Mapping[Measured, FloatArray]
    """(n, M) effect in [0, 1] and US dollars; NaN = not in the log."""
    chance: Mapping[Measured, FloatArray]
    """(n, M) probability with which the log would hold it; NaN = unknown, 0 = none."""
    choose: Callable[[Policy], Sequence[str | None]]
    """The model that a policy asks at each of the n calls; None where it has none."""
    logged: Logged | None = None
    """As it was; None for data in which most prompts were answered by several models."""
    why_unknown: str = ""
    """Why chances are unknown, in a sentence; empty where all are known."""

    def take(self, rows: np.ndarray) -> Period:
        """The period judged on some of the calls.

        Args:
            rows: Their numbers.
        """

        def choose(policy: Policy) -> list[str | None]:
            found = self.choose(policy)
            return [found[row] for row in rows]

        return replace(
            self,
            predictions=self.predictions.take(rows=rows),
            observed={name: values[rows] for name, values in self.observed.items()},
            chance={name: values[rows] for name, values in self.chance.items()},
            choose=choose,
        )


def read_period(router: GraphRouter, data: RoutingDataset) -> Period:
    """The calls of a dataset, judged on those that the router has not learned from.

    The chance that a model's outcome is in the log is its share within the task, where words and
    length of the prompt do not tell who was asked. Where they do it is unknown, but for models that
    were asked at practically all calls of a task.

    Args:
        router: What would decide.
        data: The log: a query a call, with the outcomes of the models that were asked.

    Raises:
        DataError: The router has learned from all queries, or knows none of the models.
    """
    warn_of_unknown_models(router, data)
    seen = Observations.of(data, choose_held_out(router, data))
    tasks = [task if task in (router.known_tasks or ()) else None for task in seen.tasks]
    predictions = router.predict(list(seen.prompts), tasks=tasks)
    columns = pd.Index(seen.outcomes.models).get_indexer(pd.Index(router.models))
    observed: dict[Measured, FloatArray] = {
        "effect": _align(seen.outcomes.effect, columns),
        "cost_usd": _align(seen.outcomes.cost_usd, columns),
    }
    named = np.array([task or "" for task in seen.tasks], dtype=object)
    chance, reasons = {}, {}
    for name, values in observed.items():
        there = data.outcomes[data.outcomes[name].notna()]
        assignment = measure_assignment(replace(data, outcomes=there))
        share = _share_in_tasks(np.isfinite(values), named)
        if assignment.depends_on_prompt:
            reasons[name] = assignment.describe()
            share = np.where(share >= _ALWAYS, share, np.nan)
        chance[name] = share
    context = router.policy_context

    def choose(policy: Policy) -> list[str | None]:
        return [decide(policy, predictions, row, context).model for row in range(len(predictions))]

    return Period(
        data.name,
        int(data.outcomes["query_id"].nunique()),
        predictions,
        observed,
        chance,
        choose,
        _sum_up(data),
        next(iter(reasons.values()), ""),
    )


def _align(values: FloatArray, columns: np.ndarray) -> FloatArray:
    """The columns of the router's models; NaN for one that the log does not have."""
    return np.where(columns >= 0, values[:, np.maximum(columns, 0)], np.nan)


def _share_in_tasks(is_observed: np.ndarray, tasks: np.ndarray) -> FloatArray:
    """Share of the calls of its task in which a model's outcome is in the log, (n, M)."""
    share = np.zeros(is_observed.shape)
    for task in np.unique(tasks):
        rows = tasks == task
        share[rows] = is_observed[rows].mean(axis=0)
    return share


def _sum_up(data: RoutingDataset) -> Logged | None:
    outcomes = data.outcomes
    answers = outcomes["query_id"].value_counts()
    if float((answers == 1).mean()) < _ONCE:
        return None
    graded = outcomes["effect"].dropna()
    return Logged(
        float(outcomes["cost_usd"].sum()),
        float(outcomes["cost_usd"].notna().mean()),
        float(graded.mean()) if len(graded) else float("nan"),
        len(graded),
    )
