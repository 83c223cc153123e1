"""Where the router loses: groups of queries where a baseline has more reward, and examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.evaluate import SeedRun
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.report.preset_choices import (
    NameArray,
    PresetChoices,
    choose,
    find_answered_rows,
)
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.evaluation.routing_measures import select_weighed
from graphrouter.policy import PresetName
from graphrouter.types import BoolArray, FloatArray

NUM_EXAMPLES = 10
PROMPT_CHARS = 120
_NORMAL_QUANTILE = 1.96
_FEWEST = 10  # queries for a normal interval
_DIGITS = 9  # rewards closer than this are equal: sums differ in their last bits


@dataclass(frozen=True, slots=True)
class GroupLoss:
    """Queries on which the router's mean reward is below that of a baseline."""

    by: Literal["task", "model chosen"]
    group: str
    num_queries: int
    """Choices in the group."""
    share: float
    """Share of all choices, in [0, 1]."""
    against: str
    """The baseline."""
    loss: Interval
    """Mean reward that the router falls short of it by, above 0, with the normal 95 % interval of
    paired differences."""


@dataclass(frozen=True, slots=True)
class Example:
    """A query on which the router chose a model that did worse than another."""

    query_id: str
    task: str | None
    prompt: str
    """Its first characters, in one line."""
    model: str
    """Chosen."""
    effect: float
    solver: str
    """The cheapest of the models that did best."""
    solver_effect: float
    num_solvers: int
    """Models that did best."""
    num_run: int
    """Models that were run."""


def find_losses(
    made: PresetChoices, *, router: str, rivals: Sequence[str]
) -> tuple[GroupLoss, ...]:
    """Tasks and chosen models with less reward than a rival has, the largest total loss first.

    Both are compared on the same queries.
    """
    mine, losses = made.choices[router], []
    groupings: tuple[tuple[Literal["task", "model chosen"], NameArray], ...] = (
        ("task", made.tasks),
        ("model chosen", mine.model),
    )
    for by, groups in groupings:
        for group in np.unique(groups):
            rows = groups == group
            for rival in rivals:
                short = made.choices[rival].reward[rows] - mine.reward[rows]
                if short.mean() > 10**-_DIGITS:
                    loss = _mean_of_queries(short, made.query_ids[rows])
                    losses.append(
                        GroupLoss(by, str(group), int(rows.sum()), float(rows.mean()), rival, loss)
                    )
    return tuple(
        sorted(
            losses,
            key=lambda each: (
                -each.loss.value * each.num_queries,
                each.by,
                each.group,
                each.against,
            ),
        )
    )


def find_examples(
    runs: Sequence[SeedRun],
    setting: SettingName,
    preset: PresetName,
    *,
    router: str,
    limit: int = NUM_EXAMPLES,
) -> tuple[Example, ...]:
    """Queries on which the router lost most reward to the best choice.

    Of equals, those that most models solved.

    A query that stands in several runs is shown once, as in the first of them in which the router
    missed it.
    """
    found: dict[str, _Miss] = {}
    for each in runs:
        for miss in _misses(each.evaluation_set, each.outputs[setting][router], preset):
            found.setdefault(miss.example.query_id, miss)
    worst = sorted(
        found.values(), key=lambda miss: (-miss.regret, -miss.ease, miss.example.query_id)
    )
    return tuple(miss.example for miss in worst[:limit])


def shorten(prompt: str, limit: int = PROMPT_CHARS) -> str:
    r"""The first characters of a prompt in one line, without control characters.

    Example:
        >>> shorten("Prove\n  that 1 + 1 = 2", limit=12)
        'Prove that 1…'
    """
    line = " ".join(
        "".join(char if char.isprintable() else " " for char in prompt[: 4 * limit]).split()
    )
    return line if len(line) <= limit and len(prompt) <= 4 * limit else line[:limit].rstrip() + "…"


class _Miss(NamedTuple):
    """A query on which another model did better."""

    regret: float
    """Reward of the best choice minus that of the router's."""
    ease: float
    """Share of the models run that did best."""
    example: Example


def _misses(
    evaluation_set: EvaluationSet, output: RouterOutput, preset: PresetName
) -> Iterator[_Miss]:
    """The queries on which the router's choice did worse than another model, in their order."""
    rows = find_answered_rows(evaluation_set, preset)
    mine, ideal = (
        choose(evaluation_set, output, preset, rows),
        choose(
            evaluation_set, RouterOutput(evaluation_set.observed.to_predictions()), preset, rows
        ),
    )
    open_to_choice: BoolArray = np.asarray(
        np.isfinite(np.stack(select_weighed(evaluation_set, preset))).all(axis=0)
    )
    for i, row in enumerate(rows.tolist()):
        effect, cost = (
            np.where(open_to_choice[row], evaluation_set.observed.effect[row], np.nan),
            evaluation_set.observed.cost_usd[row],
        )
        best = float(np.nanmax(effect))
        if mine.effect[i] >= best:
            continue
        solvers = np.flatnonzero(effect == best)
        cheapest = int(solvers[np.argmin(np.nan_to_num(cost[solvers], nan=np.inf))])
        num_run = int(np.isfinite(effect).sum())
        example = Example(
            query_id=evaluation_set.query_ids[row],
            task=evaluation_set.queries.tasks[row],
            prompt=shorten(evaluation_set.queries.prompts[row]),
            model=str(mine.model[i]),
            effect=float(mine.effect[i]),
            solver=evaluation_set.models[cheapest],
            solver_effect=best,
            num_solvers=len(solvers),
            num_run=num_run,
        )
        yield _Miss(
            round(float(ideal.reward[i] - mine.reward[i]), _DIGITS), len(solvers) / num_run, example
        )


def _mean_of_queries(values: FloatArray, query_ids: NameArray) -> Interval:
    """The mean of all values with its normal interval, queries drawn as wholes.

    Without interval for a handful of queries.
    """
    mean = float(values.mean())
    ids, group = np.unique(query_ids, return_inverse=True)
    if len(ids) < _FEWEST:
        return Interval(mean, float("nan"), float("nan"))
    # What a query adds over all its runs: the ratio estimator's standard error.
    residuals = np.bincount(group, weights=values - mean)
    error = np.sqrt((residuals**2).sum() * len(ids) / (len(ids) - 1)) / len(values)
    return Interval(
        mean, mean - _NORMAL_QUANTILE * float(error), mean + _NORMAL_QUANTILE * float(error)
    )
