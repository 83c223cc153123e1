"""Who was chosen for each query in one preset, and what that brought, over all rounds together.

The protocol is that of `graphrouter.bench.evaluation.choices`: everybody chooses among the observed
models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphrouter.bench.evaluation.choices import Chooser
from graphrouter.bench.evaluation.contender import Contender
from graphrouter.bench.evaluation.evaluate import ORACLE, Round
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.routing_measures import preset_utility, weighed
from graphrouter.bench.evaluation.trial import Trial
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


class Played(NamedTuple):
    """The choices of several routers in one preset.

    Entries of all of them belong to the same queries.
    """

    preset: PresetName
    query_ids: NameArray
    """(num_choices,) an id stands there once for each round that has it."""
    tasks: NameArray
    """(num_choices,)."""
    choices: Mapping[str, Choices]
    """By router."""


def play(
    rounds: Sequence[Round], setting: SettingName, preset: PresetName, *, names: Iterable[str]
) -> Played:
    """The choices of the named routers (the oracle may be among them, a cascade may not) over all
    rounds together.
    """
    answered = [answered_rows(each.trial, preset) for each in rounds]
    ids = [
        np.array(each.trial.query_ids)[rows] for each, rows in zip(rounds, answered, strict=True)
    ]
    tasks = [
        np.array([task or UNKNOWN_TASK for task in each.trial.tasks])[rows]
        for each, rows in zip(rounds, answered, strict=True)
    ]
    choices = {}
    for name in names:
        parts = [
            choose(
                each.trial,
                Contender(each.trial.observed.to_predictions())
                if name == ORACLE
                else each.contenders[setting][name],
                preset,
                rows,
            )
            for each, rows in zip(rounds, answered, strict=True)
        ]
        choices[name] = Choices(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return Played(preset, np.concatenate(ids), np.concatenate(tasks), choices)


def choose(trial: Trial, contender: Contender, preset: PresetName, rows: IntArray) -> Choices:
    """What the contender chooses for the given rows of the trial, each with something to choose
    from.
    """
    policy, observed = Policy.preset(preset), trial.observed
    chooser = Chooser.among_observed(contender.predictions, *weighed(trial, preset))
    columns = chooser.choose(preset_utility(trial, contender, preset))[rows]
    effect, cost = observed.effect[rows, columns], observed.cost_usd[rows, columns]
    return Choices(
        np.array(trial.models)[columns],
        effect,
        cost,
        policy.utility(effect, cost, trial.cost_scale),
    )


def answered_rows(trial: Trial, preset: PresetName) -> IntArray:
    """Rows with something to choose from, (num_rows,)."""
    known: BoolArray = np.asarray(np.isfinite(np.stack(weighed(trial, preset))).all(axis=0))
    return np.flatnonzero(known.any(axis=1))
