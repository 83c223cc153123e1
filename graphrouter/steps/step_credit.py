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

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.exceptions import DataError
from graphrouter.grades import Judge, believe
from graphrouter.lazy import pandas as pd
from graphrouter.number_checks import is_number
from graphrouter.steps.plan_steps import Step, StepPlan
from graphrouter.types import BoolArray, FloatArray, IntArray, Queries
from graphrouter.wording import name_some, show_value

if TYPE_CHECKING:
    from graphrouter.types import Predictions

CREDIT_COLUMNS = ("trajectory", "prompt", "model", "end_effect")
"""What a table of graded runs has to have, one row a step."""
_PASSED_ON = ("cost_usd", "input_tokens", "output_tokens", "latency_s")
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
            where somebody gave one), and `cost_usd`, `input_tokens`, `output_tokens`, `latency_s`,
            which are passed on.
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
    table = _read_runs(runs)
    read = _RunLinks.of(table)
    expected = _expect_each(table, expect)
    offsets = _Offsets.of(table)
    end = table["end_effect"].to_numpy(dtype=np.float64)
    own = table["effect"].to_numpy(dtype=np.float64)
    by = Judge() if judge is None else judge
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
        "task": table["role"],
        "model": table["model"],
        "effect": told.believed,
        "information": told.information,
        "expected": told.chance,
    }
    passed = {name: table[name] for name in _PASSED_ON if name in table.columns}
    return pd.DataFrame({**shown, **passed})


def thin_credit(told: pd.DataFrame) -> pd.DataFrame:
    """Outcomes that weigh as much as ends have told: of what tells a fifth, a fifth counts.

    A router takes each outcome for one whole grade. So of the steps of a model in a role as many
    keep their belief as their information adds up to, evenly in the order of the table and whatever
    the ends were; the others are calls that nobody graded, which still teach what they took. Those
    that have no amounts either are left out.

    Args:
        told: From `credit_steps`.

    Returns:
        The rows that are left, with NaN as the effect of those that nobody graded.

    Example:
        >>> rows = {"model": ["nano"] * 4, "task": ["talk"] * 4, "effect": [0.4, 0.5, 0.4, 1.0]}
        >>> told = pd.DataFrame({**rows, "information": [0.5] * 4, "cost_usd": 0.1})
        >>> thin_credit(told)["effect"].tolist()
        [nan, 0.5, nan, 1.0]
    """
    groups = _number_groups(told, ["model", "task"])
    summed = told["information"].groupby(groups).cumsum().to_numpy(dtype=np.float64)
    before = summed - told["information"].to_numpy(dtype=np.float64)
    keeps = np.floor(summed + _ROUNDING) > np.floor(before + _ROUNDING)
    kept: pd.DataFrame = told.assign(effect=told["effect"].where(keeps))
    amounts = [name for name in _PASSED_ON if name in told.columns]
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
        run = _number_groups(table, ["trajectory"])
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
        return cls((_number_groups(table, ["model"]), _number_groups(table, ["model", "role"])))

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


def _number_groups(table: pd.DataFrame, keys: list[str]) -> IntArray:
    """(num_rows,), the group of each row, those with empty keys among them."""
    groups = table.groupby(keys, sort=False, dropna=False)
    return np.asarray(groups.ngroup(), dtype=np.int64)


def _expect_each(table: pd.DataFrame, expect: Callable[[Queries], Predictions]) -> FloatArray:
    """(num_rows,), what is expected of each step, inside (0, 1)."""
    from graphrouter.moment import check_in_pool

    roles = [None if pd.isna(role) else str(role) for role in table["role"]]
    predictions = expect(Queries.of(table["prompt"].tolist(), roles))
    for model in table["model"].unique():
        check_in_pool("runs", model, predictions.models)
    place = {model: i for i, model in enumerate(predictions.models)}
    columns = table["model"].map(place).to_numpy(dtype=np.int64)
    found = predictions.effect[np.arange(len(table)), columns]
    return np.asarray(np.clip(np.nan_to_num(found, nan=0.5), _LEAST, _MOST))


def _read_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The table with all columns, steps named and links as tuples of names."""
    if not isinstance(runs, pd.DataFrame):
        raise DataError(f"runs is a {type(runs).__name__}; expected a data frame, one row a step.")
    missing = [name for name in CREDIT_COLUMNS if name not in runs.columns]
    if missing:
        found = name_some([str(name) for name in runs.columns], most=8)
        raise DataError(f"runs: column {missing[0]!r} is missing (found: {found}). Add it.")
    if runs.empty:
        raise DataError("runs has no rows; expected one a step.")
    table = runs.reset_index(drop=True)
    for name in ("trajectory", "prompt", "model"):
        blank = np.flatnonzero(table[name].isna().to_numpy(dtype=bool))
        if len(blank):
            raise DataError(f"runs, row {blank[0] + 1}: {name} is empty. Fill it in.")
    for name in ("end_effect", "effect"):
        if name in table.columns:
            _check_shares(table[name], name, may_be_missing=name == "effect")
    differs = table.groupby("trajectory", sort=False)["end_effect"].nunique() > 1
    if differs.any():
        raise DataError(
            f"runs, trajectory {differs.idxmax()!r}: its rows have several values of end_effect; "
            "expected one grade a run."
        )
    number = table.groupby("trajectory", sort=False).cumcount()
    if "step" not in table.columns:
        table["step"] = [f"step {i + 1}" for i in number]
    if "after" not in table.columns:
        earlier = table.groupby("trajectory", sort=False)["step"].shift()
        table["after"] = [() if pd.isna(name) else (str(name),) for name in earlier]
    else:
        table["after"] = [_read_after(value) for value in table["after"]]
    for name in ("role", "effect"):
        if name not in table.columns:
            table[name] = np.nan
    return table


def _read_after(value: object) -> tuple[str, ...]:
    """Names of steps: of a list, or separated by commas."""
    if isinstance(value, str):
        return tuple(name for part in value.split(",") if (name := part.strip()))
    if isinstance(value, list | tuple | set | np.ndarray):
        return tuple(str(name) for name in value)
    return ()


def _check_shares(values: pd.Series, name: str, *, may_be_missing: bool) -> None:
    """Refuse a column that holds something else than numbers in [0, 1]."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    is_known = values.notna().to_numpy(dtype=bool)
    bad = is_known & ~((numbers >= 0) & (numbers <= 1))
    if not may_be_missing:
        bad |= ~is_known
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"runs, row {row + 1}: {name} is {show_value(values.tolist()[row])}; expected a number "
            "in [0, 1]."
        )
