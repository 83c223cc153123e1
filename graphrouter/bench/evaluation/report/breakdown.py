"""Effect and cost by task and by model chosen, in one preset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphrouter.bench.evaluation.evaluate import BEST_SINGLE
from graphrouter.bench.evaluation.report.preset_choices import Choices, PresetChoices
from graphrouter.bench.evaluation.router_output import ORACLE
from graphrouter.policy import PresetName
from graphrouter.types import BoolArray


@dataclass(frozen=True, slots=True)
class Reached:
    """What some choices brought on average."""

    effect: float
    cost_usd: float
    """US dollars a query, over the choices whose cost was observed; NaN without any."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What is reached on the queries of one task."""

    task: str
    num_queries: int
    """Choices; over several runs, of all of them together."""
    router: Reached
    best_single: Reached | None
    oracle: Reached


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What one model is used for."""

    model: str
    share: float
    """Share of the queries that the evaluated router sends there, in [0, 1]."""
    reached: Reached | None
    """On the queries that it sends there; None where it sends none."""
    best_single_share: float
    """The same share under the best single model; NaN without that baseline."""
    oracle_share: float


@dataclass(frozen=True, slots=True)
class PresetBreakdown:
    """Effect and cost in one preset."""

    preset: PresetName
    tasks: tuple[TaskRow, ...]
    """Largest first."""
    models: tuple[ModelRow, ...]
    """By share of the router, then of the oracle; models that nobody chooses are left out."""


def break_down(made: PresetChoices, *, router: str) -> PresetBreakdown:
    """Effect and cost of the router by task and by model chosen.

    Beside best single and oracle where they are given.
    """
    mine, oracle, single = (
        made.choices[router],
        made.choices[ORACLE],
        made.choices.get(BEST_SINGLE),
    )
    tasks = []
    for task in np.unique(made.tasks):
        rows = made.tasks == task
        other = None if single is None else _reached(single, rows)
        tasks.append(
            TaskRow(str(task), int(rows.sum()), _reached(mine, rows), other, _reached(oracle, rows))
        )
    models = []
    for model in np.unique(
        np.concatenate([each.model for each in (mine, oracle, *((single,) if single else ()))])
    ):
        rows = mine.model == model
        single_share = float("nan") if single is None else float(np.mean(single.model == model))
        found = _reached(mine, rows) if rows.any() else None
        models.append(
            ModelRow(
                str(model),
                float(rows.mean()),
                found,
                single_share,
                float(np.mean(oracle.model == model)),
            )
        )
    return PresetBreakdown(
        made.preset,
        tuple(sorted(tasks, key=lambda row: (-row.num_queries, row.task))),
        tuple(sorted(models, key=lambda row: (-row.share, -row.oracle_share, row.model))),
    )


def _reached(choices: Choices, rows: BoolArray) -> Reached:
    """Means over the given choices, of which there is at least one."""
    cost = choices.cost_usd[rows]
    known = np.isfinite(cost)
    return Reached(
        float(choices.effect[rows].mean()),
        float(cost[known].mean()) if known.any() else float("nan"),
    )
