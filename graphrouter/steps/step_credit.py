"""Credit for steps by the grade of the end: what each step of a run is believed to have done.

A run is a plan whose steps were taken by models, with one grade at its end. The run goes right when
every step that nothing comes after goes right and all they build upon could be used (see
`step_worth`), so given what is expected of all steps but one, that one passes on to the end as a
judge does: with the product of the others as its hit rate, and with `tolerance` times it as its
false alarm rate, or 0 for a step at the end. What the end says of a step is then Bayes' rule for
the grade of such a judge, `Grade.believe`, and exact.

What was expected of the steps may itself be off. So the end grades also move it: by an offset in
logits for each model and one for each model in a role, most probable under normal priors. The
derivative of the log likelihood of an end grade by the logit of a step is what the end moves its
chance by (Louis 1982, "Finding the Observed Information Matrix when Using the EM Algorithm",
Journal of the Royal Statistical Society B 44(2)), and its Fisher information is that of a direct
grade times the squared correlation of step and end grade: hence scoring steps in closed form, in
which an end that says little of a step moves little.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.exceptions import DataError
from graphrouter.grades import Judge, believe
from graphrouter.lazy import pandas as pd
from graphrouter.number_checks import is_number
from graphrouter.steps.plan_steps import Step, StepPlan
from graphrouter.steps.run_tables import list_passed_on, number_groups, read_runs
from graphrouter.types import BoolArray, FloatArray, IntArray, Queries
from graphrouter.wording import count_of, name_some, show_value

if TYPE_CHECKING:
    from graphrouter.types import Predictions

_logger = logging.getLogger(__name__)
_AMOUNTS = ("cost_usd", "input_tokens", "output_tokens", "latency_s")
_LEAST, _MOST = 1e-3, 1 - 1e-3
"""What is expected of a step stays this far off 0 and 1: an end may always say otherwise."""
_PRIOR_VARIANCES = (0.25, 0.25)
"""Of the offset of a model, and of a model in a role, in squared logits."""
_ROUNDS = 30
_ROUNDING = 1e-9
_MOST_STEP = 0.5


def credit_steps(
    runs: pd.DataFrame,
    expect: Callable[[Queries], Predictions],
    *,
    tolerance: float = 0.0,
    judge: Judge | None = None,
    moves_expectation: bool = True,
) -> pd.DataFrame:
    """What each step of graded runs is believed to have done: outcomes with grades of doubt.

    Args:
        runs: One row a step: `trajectory` (names its run), `prompt`, `model`, `end_effect` (grade
            of the whole run in [0, 1], the same in all of its rows), and perhaps `step` (its
            name), `role` (its task), `after` (names of the steps that it builds upon, a list or
            separated by commas; the row before without the column), `effect` (its own grade,
            where somebody gave one). All other columns are those that `add_outcomes` takes, by
            its names, and are passed on: what the call took, who asked (`user`, `team`) and what
            goes with the prompt (`context`, `embedding`), of which the last two kinds count in
            what is expected too.
        expect: What a router predicts, such as `router.predict`.
        tolerance: Chance in [0, 1] that a step that went wrong does no harm to what follows.
        judge: How far grades of the end are right; always without it.
        moves_expectation: Whether the end grades also move what is expected of models and of
            models in roles.

    Returns:
        One row a step, in the order given: trajectory, step, prompt, task, model, `effect` (what
        is believed, in [0, 1]; its own grade where there is one), `information` (share of what a
        grade of the step itself would have told, in [0, 1]), `expected` (before the end grade),
        and what was passed on. As outcomes they can go to `add_outcomes`.

    Raises:
        DataError: The table breaks that contract, or `tolerance` is no such number.
        UnknownModelError: A step was taken by a model that is not in the pool.

    Example:
        >>> import graphrouter as gr
        >>> router = gr.GraphRouter.fit(gr.simulate(num_queries=200, seed=0).data, instant=True)
        >>> runs = pd.DataFrame({
        ...     "trajectory": ["a", "a"], "prompt": ["Add 2 and 3.", "Write it as a sentence."],
        ...     "role": ["word_problems", "writing"], "model": ["tarn-grand", "juniper-7b"],
        ...     "end_effect": [0.0, 0.0],
        ... })
        >>> told = credit_steps(runs, router.predict)
        >>> bool((told["effect"] < told["expected"]).all())
        True
    """
    if not is_number(tolerance) or not 0 <= tolerance <= 1:
        raise DataError(f"tolerance is {show_value(tolerance)}; expected a number in [0, 1].")
    if judge is not None and not isinstance(judge, Judge):
        raise DataError(
            f"judge is {show_value(judge)}; expected a Judge, which says how often grades of the "
            "end are right, such as Judge(hit_rate=0.9, false_alarm_rate=0.2)."
        )
    table = read_runs(runs)
    read = _RunLinks.of(table)
    expected = _expect_each(table, expect)
    offsets = _Offsets.of(table)
    end = table["end_effect"].to_numpy(dtype=np.float64)
    own = table["effect"].to_numpy(dtype=np.float64)
    by = Judge() if judge is None else judge
    _warn_of_contradictions(table, read.contradicts(own, end, tolerance, by))
    logit = np.log(expected) - np.log1p(-expected)
    told = read.tell(expected, own, end, tolerance, by)
    for _ in range(_ROUNDS if moves_expectation else 0):
        moved = offsets.step(told)
        chance = np.clip(1 / (1 + np.exp(-(logit + offsets.total))), _LEAST, _MOST)
        told = read.tell(chance, own, end, tolerance, by)
        if moved < 1e-6:
            break
    shown = {
        "trajectory": table["trajectory"],
        "step": table["step"],
        "prompt": table["prompt"],
        "task": table["task"],
        "model": table["model"],
        "effect": told.believed,
        "information": told.information,
        "expected": told.chance,
    }
    return pd.DataFrame({**shown, **{name: table[name] for name in list_passed_on(table)}})


def thin_credit(told: pd.DataFrame) -> pd.DataFrame:
    """Outcomes that weigh as much as ends have told: of what tells a fifth, a fifth counts.

    A router takes each outcome for one whole grade. So of the steps of a model in a role as many
    count as their information adds up to, evenly in the order of the table and whatever the ends
    were. Each stands for those since the one before, with their working response: what was expected
    of it, and all that their ends have moved (McCullagh and Nelder 1989, section 2.5). For a single
    step that is its end grade over the chance that the others let it through. What would lie
    outside [0, 1] is left to the next one. A step that is told as much of as a grade would, such as
    one that has a grade, keeps its effect. The others are calls that nobody graded, which still
    teach what they took; those that have no amounts either are left out.

    Args:
        told: From `credit_steps`.

    Returns:
        The rows that are left, with NaN as the effect of those that nobody graded.

    Example:
        >>> rows = {"model": ["nano"] * 4, "task": ["talk"] * 4, "effect": [0.4, 0.5, 0.4, 1.0]}
        >>> told = pd.DataFrame({**rows, "information": [0.5, 0.5, 0.5, 1.0], "expected": 0.6})
        >>> thin_credit(told.assign(cost_usd=0.1))["effect"].round(1).tolist()
        [nan, 0.3, nan, 1.0]
    """
    names = ["information", "expected", "effect"]
    information, expected, believed = told[names].to_numpy(dtype=np.float64).T
    is_whole = information >= 1 - _ROUNDING
    effect = np.where(is_whole, believed, np.nan)
    groups = number_groups(told, ["model", "task"])
    size = int(groups.max(initial=-1)) + 1
    known, moved = np.zeros(size), np.zeros(size)  # since the last step that counts
    for row in np.flatnonzero(~is_whole):
        group = groups[row]
        known[group] += information[row]
        moved[group] += believed[row] - expected[row]
        if known[group] >= 1 - _ROUNDING:
            effect[row] = min(max(expected[row] + moved[group], 0.0), 1.0)
            known[group] -= 1
            moved[group] -= effect[row] - expected[row]
    keeps = np.isfinite(effect)
    if not keeps.any():
        _logger.warning(
            "runs: %s together tell less of any model in a role than one grade would, so effects "
            "stay as they are, and only what calls took is learned. Give more runs at once, or "
            "grade steps.",
            count_of(len(told), "step"),
        )
    kept: pd.DataFrame = told.assign(effect=effect)
    amounts = [name for name in _AMOUNTS if name in told.columns]
    has_amount = told[amounts].notna().any(axis=1).to_numpy(dtype=bool)
    left: pd.DataFrame = kept[keeps | has_amount]
    return left


class _Told(NamedTuple):
    """What ends say of steps; (num_rows,) each."""

    chance: FloatArray
    """Expected of the step before."""
    believed: FloatArray
    """Expected of it after."""
    information: FloatArray
    """Share of the Fisher information that a grade of the step itself would have."""


@dataclass(frozen=True)
class _RunLinks:
    """How the rows of a table make up runs."""

    run: IntArray
    """(num_rows,), number of the run."""
    is_end: BoolArray
    """(num_rows,), whether no step of its run comes after it."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> _RunLinks:
        """The runs of a checked table.

        Raises:
            DataError: The steps of a run are no plan.
        """
        run = number_groups(table, ["trajectory"])
        is_end = np.zeros(len(table), dtype=bool)
        for _, rows in table.groupby("trajectory", sort=False):
            places = rows.index.to_numpy()
            steps = [
                Step(role=None, prompt="", name=str(step), after=tuple(after))
                for step, after in zip(rows["step"], rows["after"], strict=True)
            ]
            try:
                is_end[places] = StepPlan.of(steps).is_end
            except DataError as error:
                name = rows["trajectory"].iloc[0]
                raise DataError(f"runs, trajectory {name!r}: {error}") from None
        return cls(run, is_end)

    def contradicts(
        self, own: FloatArray, end: FloatArray, tolerance: float, judge: Judge
    ) -> BoolArray:
        """(num_rows,), whether grades of the steps of its run leave no chance to that of its end.

        Arguments as in `tell`.
        """
        slack = np.where(self.is_end, 0.0, tolerance)
        factor = slack + (1 - slack) * own  # NaN where the step has no grade
        num_lost, num_unsure = (
            np.bincount(self.run, weights=marks)[self.run]
            for marks in (factor <= 0, ~(factor >= 1))
        )
        is_lost = (num_lost > 0) & (judge.false_alarm_rate <= 0)
        is_sure = (num_unsure == 0) & (judge.hit_rate >= 1)
        return np.asarray((is_lost & (end >= 1)) | (is_sure & (end <= 0)))

    def tell(
        self, chance: FloatArray, own: FloatArray, end: FloatArray, tolerance: float, judge: Judge
    ) -> _Told:
        """What the ends say of each step.

        Args:
            chance: (num_rows,), expected of each step, inside (0, 1).
            own: (num_rows,), its own grade, NaN where there is none.
            end: (num_rows,), grade of its run.
            tolerance: As in `credit_steps`.
            judge: As in `credit_steps`.
        """
        is_graded = np.isfinite(own)
        known = np.where(is_graded, own, chance)
        slack = np.where(self.is_end, 0.0, tolerance)
        factor = slack + (1 - slack) * known
        # Products over a run without each step itself; a step that was graded 0 may make some 0.
        logs, is_zero = np.log(np.where(factor > 0, factor, 1.0)), factor <= 0
        num_runs = int(self.run.max(initial=-1)) + 1
        total = np.bincount(self.run, weights=logs, minlength=num_runs)[self.run] - logs
        zeros = np.bincount(self.run, weights=is_zero, minlength=num_runs)[self.run] - is_zero
        others = np.where(zeros > 0, 0.0, np.exp(total))
        spread = judge.hit_rate - judge.false_alarm_rate
        hit = judge.false_alarm_rate + spread * others
        false = judge.false_alarm_rate + spread * others * slack
        believed = believe(chance, end, hit, false)
        passes = false + (hit - false) * chance
        certain = passes * (1 - passes)
        share = np.divide(
            chance * (1 - chance) * (hit - false) ** 2,
            certain,
            out=np.zeros_like(chance),
            where=certain > 0,
        )
        return _Told(
            chance,
            np.where(is_graded, own, believed),
            np.where(is_graded, 1.0, np.clip(share, 0.0, 1.0)),
        )


class _Offsets:
    """Offsets in logits of models, and of models in roles, that ends have moved."""

    def __init__(self, groups: tuple[IntArray, ...]) -> None:
        """All at 0.

        Args:
            groups: The group of each row: its model, and its model in its role.
        """
        self.groups = groups
        self.values = [np.zeros(int(group.max(initial=-1)) + 1) for group in groups]

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Offsets:
        """Those of a checked table."""
        return cls((number_groups(table, ["model"]), number_groups(table, ["model", "task"])))

    @property
    def total(self) -> FloatArray:
        """(num_rows,), what each row is moved by."""
        return np.asarray(
            sum(value[group] for value, group in zip(self.values, self.groups, strict=True))
        )

    def step(self, told: _Told) -> float:
        """Take a scoring step towards the most probable offsets; the largest change.

        Args:
            told: What ends say at the offsets as they are.
        """
        residual = told.believed - told.chance
        weight = told.information * told.chance * (1 - told.chance)
        largest = 0.0
        for value, group, variance in zip(self.values, self.groups, _PRIOR_VARIANCES, strict=True):
            gained = np.bincount(group, weights=residual, minlength=len(value)) - value / variance
            known = np.bincount(group, weights=weight, minlength=len(value)) + 1 / variance
            # Half of the step: both kinds of offsets move for the same residuals.
            move = np.clip(gained / known / 2, -_MOST_STEP, _MOST_STEP)
            value += move
            largest = max(largest, float(np.abs(move).max(initial=0.0)))
        return largest


def _warn_of_contradictions(table: pd.DataFrame, is_wrong: BoolArray) -> None:
    """Tell of runs whose grades do not go together."""
    names = [repr(name) for name in table["trajectory"][is_wrong].unique()]
    if names:
        _logger.warning(
            "runs: in %s the grades of the steps and of the end cannot both be right (%s). Each is "
            "taken as it stands; give a tolerance, or the judge of the end, if they may differ.",
            count_of(len(names), "run"),
            name_some(names, most=4),
        )


def _expect_each(table: pd.DataFrame, expect: Callable[[Queries], Predictions]) -> FloatArray:
    """(num_rows,), what is expected of each step, inside (0, 1)."""
    from graphrouter.moment import check_in_pool

    asked = table.assign(prompt=table["prompt"].fillna(""))  # one that has a context alone
    predictions = expect(Queries.of_frame(asked))
    for model in table["model"].unique():
        check_in_pool("runs", model, predictions.models)
    place = {model: i for i, model in enumerate(predictions.models)}
    columns = table["model"].map(place).to_numpy(dtype=np.int64)
    found = predictions.effect[np.arange(len(table)), columns]
    return np.asarray(np.clip(np.nan_to_num(found, nan=0.5), _LEAST, _MOST))
