"""Who was chosen for each query in one preset, and what that brought, over all runs together.

The protocol is that of `graphrouter.bench.evaluation.choices`: everybody chooses among the observed
models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphrouter.bench.evaluation.choices import Chooser
from graphrouter.bench.evaluation.evaluate import SeedRun
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.router_output import ORACLE, RouterOutput
from graphrouter.bench.evaluation.routing_measures import compute_preset_utility, select_weighed
from graphrouter.policy import Policy, PresetName
from graphrouter.types import BoolArray, FloatArray, IntArray

NameArray = NDArray[np.str_]
UNKNOWN_TASK = "(unknown)"


class Choices(NamedTuple):
    """The choices of one router, one entry a query.

    Queries without anything to choose from are left out.
    """

    model: NameArray
    """(num_choices,)."""
    effect: FloatArray
    """(num_choices,) observed, in [0, 1]."""
    cost_usd: FloatArray
    """(num_choices,) observed US dollars; NaN where unknown."""
    reward: FloatArray
    """(num_choices,) observed utility under the preset."""


class PresetChoices(NamedTuple):
    """The choices of several routers in one preset.

    Entries of all of them belong to the same queries.
    """

    preset: PresetName
    query_ids: NameArray
    """(num_choices,) an id stands there once for each run that has it."""
    tasks: NameArray
    """(num_choices,)."""
    choices: Mapping[str, Choices]
    """By router."""


def collect_choices(
    runs: Sequence[SeedRun], setting: SettingName, preset: PresetName, *, names: Iterable[str]
) -> PresetChoices:
    """The choices of the named routers over all runs together.

    The oracle may be among them, a cascade may not.
    """
    answered = [find_answered_rows(each.evaluation_set, preset) for each in runs]
    ids = [
        np.array(each.evaluation_set.query_ids)[rows]
        for each, rows in zip(runs, answered, strict=True)
    ]
    tasks = [
        np.array([task or UNKNOWN_TASK for task in each.evaluation_set.queries.tasks])[rows]
        for each, rows in zip(runs, answered, strict=True)
    ]
    choices = {}
    for name in names:
        parts = [
            choose(
                each.evaluation_set,
                RouterOutput(each.evaluation_set.observed.to_predictions())
                if name == ORACLE
                else each.outputs[setting][name],
                preset,
                rows,
            )
            for each, rows in zip(runs, answered, strict=True)
        ]
        choices[name] = Choices(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return PresetChoices(preset, np.concatenate(ids), np.concatenate(tasks), choices)


def choose(
    evaluation_set: EvaluationSet, output: RouterOutput, preset: PresetName, rows: IntArray
) -> Choices:
    """What the router chooses for the given rows, each with something to choose from."""
    policy, observed = Policy.preset(preset), evaluation_set.observed
    chooser = Chooser.among_observed(output.predictions, *select_weighed(evaluation_set, preset))
    columns = chooser.choose(compute_preset_utility(evaluation_set, output, preset))[rows]
    effect, cost = observed.effect[rows, columns], observed.cost_usd[rows, columns]
    return Choices(
        np.array(evaluation_set.models)[columns],
        effect,
        cost,
        policy.utility(effect, cost, evaluation_set.cost_scale),
    )


def find_answered_rows(evaluation_set: EvaluationSet, preset: PresetName) -> IntArray:
    """Rows with something to choose from, (num_rows,)."""
    known: BoolArray = np.asarray(
        np.isfinite(np.stack(select_weighed(evaluation_set, preset))).all(axis=0)
    )
    return np.flatnonzero(known.any(axis=1))
