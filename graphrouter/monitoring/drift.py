"""Which models answer differently than the router expects, as when a provider changes a model behind the same name.

A model's observed effects are compared with the expected ones, over all tasks and on each task.
Three things also move the difference when nothing has changed, and the test allows for each.
Predictions are off on average, by model and by task: the outcomes that the router knows tell how
far (`drift_reference`). Prompts of a batch can be harder than they look, for all models alike: the
shift that the models have in common is taken off (`step_down`). And the more models and tasks are
looked at, the more look odd: p-values are adjusted, so that a report without a change names any
model at all with a chance of at most `level`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import ndtri

from graphrouter.exceptions import DataError
from graphrouter.monitoring.drift_reference import COLUMNS, Calibration, held_back
from graphrouter.monitoring.drift_rows import read_outcomes, with_expected
from graphrouter.monitoring.step_down import Chance, adjusted_p_values
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.types import FloatArray, IntArray

FEWEST_OUTCOMES = 20
"""With fewer outcomes a model, or a task of it, gets no verdict."""
BATCH_SPREAD = 0.01
"""Deviation of a model's mean residual from batch to batch that is allowed for without any sign of
it."""
MODEL_SHARE = 0.8
"""Share of the level that is spent on models over all tasks; the rest is spent on single tasks of
models."""
Verdict = Literal["changed", "as expected", "too few to tell"]


@dataclass(frozen=True)
class Comparison:
    """Observed effect against expected effect of some outcomes.

    NaN where there are too few of them to test.
    """

    name: str
    """The model or the task; empty where the task is unknown."""
    num_outcomes: int
    expected: float
    """Mean effect that the router lets expect, its usual error and the shift common to all models
    included."""
    observed: float
    """Mean observed effect."""
    difference: float
    """observed - expected."""
    low: float
    """Lower end of the interval of the difference at 1 - level, for this comparison alone."""
    high: float
    """Upper end of the interval."""
    p_value: float
    """Adjusted for all comparisons of the report; to be compared with the level."""
    verdict: Verdict


@dataclass(frozen=True)
class ModelCheck:
    """A model over all tasks and on each of them."""

    overall: Comparison
    tasks: tuple[Comparison, ...]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.overall.name

    @property
    def changed_tasks(self) -> tuple[Comparison, ...]:
        """The tasks on which the model has changed."""
        return tuple(task for task in self.tasks if task.verdict == "changed")

    @property
    def verdict(self) -> Verdict:
        """Changed where it has, over all tasks or on one of them."""
        return "changed" if self.changed_tasks else self.overall.verdict


@dataclass(frozen=True)
class DriftReport:
    """What new outcomes say about the models of a router."""

    models: tuple[ModelCheck, ...]
    """The models with outcomes, in pool order."""
    tasks: tuple[Comparison, ...]
    """All models together on each task: a change here is of the prompts or of their grades, not of
    a model."""
    common_shift: float
    """Difference of observed and expected effect that the models have in common; it counts for no
    model."""
    level: float
    num_repeated: int
    """Outcomes that were compared with the known outcome of the same model on the same prompt."""
    num_left_out: int
    """Outcomes on prompts that the router knows from other models: nothing to compare them with."""

    @property
    def changed(self) -> tuple[str, ...]:
        """The models that have changed and should be refreshed."""
        return tuple(check.model for check in self.models if check.verdict == "changed")

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        models = [
            {
                "model": check.model,
                **_plain(check.overall),
                "verdict": check.verdict,
                "tasks": [{"task": task.name, **_plain(task)} for task in check.tasks],
            }
            for check in self.models
        ]
        return {
            "changed": list(self.changed),
            "level": self.level,
            "common_shift": self.common_shift,
            "num_repeated": self.num_repeated,
            "num_left_out": self.num_left_out,
            "models": models,
            "tasks": [{"task": task.name, **_plain(task)} for task in self.tasks],
        }


def check_drift(
    router: Router,
    outcomes: pd.DataFrame,
    *,
    level: float = 0.05,
    reference: pd.DataFrame | None = None,
) -> DriftReport:
    """Which models of the router have changed, by new outcomes.

    An outcome of a model on a prompt that the router already has an outcome of it for is compared
    with that one; any other is compared with what the router expects.

    Args:
        router: A trained router.
        outcomes: Columns `model`, `effect` (0 to 1), and `prompt` (perhaps `task`) or the
            `query_id` of a query of the router.
        level: Chance that any model is named when none has changed.
        reference: Older outcomes with the same columns that the router has not learned from and
            that are known to be of the unchanged models. Without it a graph router's own outcomes
            are predicted from one another.

    Raises:
        DataError: A table is empty, breaks the contract or names an unknown model or query, or the
            level is no share.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
        >>> router = gr.GraphRouter.fit(data, config)
        >>> table = gr.simulate(num_queries=8, seed=1).data
        >>> new = table.outcomes.merge(table.queries, on="query_id")[["model", "prompt", "task", "effect"]]
        >>> check_drift(router, new).models[0].verdict
        'too few to tell'
    """
    if not 0 < level < 1:
        raise DataError(f"level is {level}; expected a chance between 0 and 1, such as 0.05.")
    rows = read_outcomes(router, outcomes, "outcomes")
    if reference is not None:
        usual = with_expected(router, read_outcomes(router, reference, "reference"))
        known = usual.loc[~usual["repeated"], COLUMNS]
    else:
        known = (
            held_back(router) if isinstance(router, GraphRouter) else pd.DataFrame(columns=COLUMNS)
        )
    left_out = rows["in_support"] & rows["old"].isna()
    compared = with_expected(router, rows[~left_out].reset_index(drop=True))
    if compared.empty:
        raise DataError(
            f"All {len(rows)} outcomes are on prompts that the router knows from other models, so "
            "that there is nothing to "
            "compare them with. Give outcomes on new prompts."
        )
    cells = _Cells.of(compared, Calibration.fit(known), level)
    return cells.report(
        num_repeated=int(compared["repeated"].sum()), num_left_out=int(left_out.sum())
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Mean residuals of cells, a model on a task each, and how far they stray when nothing has
    changed.
    """

    table: pd.DataFrame
    """One row a cell: `place` of the model in the pool, `model`, `task`, `size`, and the means
    `effect`, `expected`, `usual`."""
    chance: Chance
    """For means over cells."""
    chance_of_cells: Chance
    """For the cells themselves."""
    level: float

    @classmethod
    def of(cls, rows: pd.DataFrame, calibration: Calibration, level: float) -> _Cells:
        """The cells of compared outcomes."""
        fresh = ~rows["repeated"]
        residual = rows["effect"] - rows["expected"]
        # An effect in [0, 1] with mean p varies by at most p (1 - p); a repeated one by what
        # changed both ways (McNemar, 1947).
        noise = np.where(fresh, rows["expected"] * (1 - rows["expected"]), residual**2)
        grouped = rows.assign(fresh=fresh, residual=residual, noise=noise).groupby(
            ["place", "model", "task"]
        )
        size = grouped.size()
        table = grouped[["effect", "expected", "fresh"]].mean().assign(size=size).reset_index()
        scatter = (
            grouped["noise"]
            .sum()
            .clip(lower=grouped["residual"].var(ddof=0) * size)
            .to_numpy(dtype=np.float64)
        )
        offsets = calibration.offsets(pd.MultiIndex.from_frame(table[["model", "task"]]))
        share = table["fresh"].to_numpy(dtype=float)
        same_model = np.equal.outer(table["place"].to_numpy(), table["place"].to_numpy())
        covariance = (
            _sampling(
                rows["query"],
                grouped.ngroup(),
                residual,
                scatter,
                np.asarray(size, dtype=np.float64),
            )
            + np.outer(share, share) * offsets.covariance
            + BATCH_SPREAD**2 * same_model
        )
        # One outcome's worth more: the normal curve underrates rare failures (in the spirit of
        # Agresti and Coull, 1998). A mean over cells needs it once, a cell by itself too.
        whole = size.groupby("place").transform("sum")
        once, each = (
            Chance.of(covariance + np.diag(np.asarray(extra, dtype=np.float64)))
            for extra in (1 / (size * whole), 1 / size**2)
        )
        return cls(table.assign(usual=table["expected"] + share * offsets.mean), once, each, level)

    def report(self, *, num_repeated: int, num_left_out: int) -> DriftReport:
        """Every model, and every task of it, beside what was expected."""
        models, tasks = (_positions(self.table[by]) for by in ("place", "task"))
        cells = [[np.array([cell]) for cell in task] for task in tasks]
        share = MODEL_SHARE if len(tasks) > 1 else 1.0
        overall = self._test([models], self.chance, share=share)
        single = self._test(cells, self.chance_of_cells, share=1 - share) if len(tasks) > 1 else {}
        everyone = self._test(
            [[task] for task in tasks], self.chance, share=1.0
        )  # alone in its group, a task shares no shift
        named = self.table["task"].tolist()
        return DriftReport(
            models=tuple(
                ModelCheck(
                    self._compare(self.table["model"].iloc[cells[0]], cells, overall),
                    tuple(
                        self._compare(named[cell], np.array([cell]), single or overall)
                        for cell in cells
                    ),
                )
                for cells in models
            ),
            tasks=tuple(self._compare(named[task[0]], task, everyone) for task in tasks),
            common_shift=next(iter(overall.values())).shift if overall else float("nan"),
            level=self.level,
            num_repeated=num_repeated,
            num_left_out=num_left_out,
        )

    def _test(
        self, groups: Sequence[Sequence[IntArray]], chance: Chance, *, share: float
    ) -> dict[tuple[int, ...], _Tested]:
        """By the cells that a test is made of, what it found.

        The tests of a group share a shift, all of them an error rate.

        Args:
            groups: Tests as positions of their cells; those with too few outcomes are left out.
            chance: How far the cells stray.
            share: Share of the level that these tests may spend.
        """
        size = self.table["size"].to_numpy(dtype=float)
        means = (self.table["effect"] - self.table["usual"]).to_numpy(dtype=float)
        enough = [
            [test for test in group if size[test].sum() >= FEWEST_OUTCOMES] for group in groups
        ]
        enough = [group for group in enough if group]
        if not enough:
            return {}
        parts = [chance.contrasts(means, _weights(group, size)) for group in enough]
        spread = np.concatenate([part.spread for part in parts])
        value = np.concatenate([part.value for part in parts])
        p_values = adjusted_p_values(
            value / spread, np.hstack([part.draws for part in parts]) / spread
        )
        shifts = [part.shift for part, group in zip(parts, enough, strict=True) for _ in group]
        tests = [tuple(test.tolist()) for group in enough for test in group]
        found = zip(
            value.tolist(),
            spread.tolist(),
            np.minimum(1.0, p_values / share).tolist(),
            shifts,
            strict=True,
        )
        return {test: _Tested(*figures) for test, figures in zip(tests, found, strict=True)}

    def _compare(
        self, name: str, cells: IntArray, tests: Mapping[tuple[int, ...], _Tested]
    ) -> Comparison:
        table = self.table.iloc[cells]
        size = table["size"].to_numpy(dtype=float)
        observed, usual = (
            float(np.average(table[column], weights=size)) for column in ("effect", "usual")
        )
        found = tests.get(tuple(cells.tolist()))
        if found is None:
            nan = float("nan")
            return Comparison(
                name,
                int(size.sum()),
                usual,
                observed,
                observed - usual,
                nan,
                nan,
                nan,
                "too few to tell",
            )
        reach = float(ndtri(1 - self.level / 2)) * found.spread
        ends = found.difference - reach, found.difference + reach
        verdict: Verdict = "changed" if found.p_value <= self.level else "as expected"
        expected = observed - found.difference
        return Comparison(
            name,
            int(size.sum()),
            expected,
            observed,
            found.difference,
            *ends,
            found.p_value,
            verdict,
        )


def _positions(names: pd.Series) -> list[IntArray]:
    """The rows of each name, in the order of the names."""
    codes, unique = pd.factorize(names, sort=True)
    return [np.flatnonzero(codes == code) for code in range(len(unique))]


class _Tested(NamedTuple):
    """What a test found."""

    difference: float
    spread: float
    """Standard deviation of the difference when nothing has changed."""
    p_value: float
    shift: float
    """The shift in common that was taken off the difference."""


def _weights(tests: Sequence[IntArray], size: FloatArray) -> FloatArray:
    """(num_tests, num_cells): the mean of a test's outcomes from the means of its cells."""
    weights = np.zeros((len(tests), len(size)))
    for row, cells in zip(weights, tests, strict=True):
        row[cells] = size[cells] / size[cells].sum()
    return weights


def _sampling(
    query: pd.Series, cell: pd.Series, residual: pd.Series, scatter: FloatArray, size: FloatArray
) -> FloatArray:
    """Covariance of the mean residuals of cells that is due to the draw of queries and answers, (num_cells, num_cells).

    Models that ran the same query err together on it: their residuals correlate. One correlation is
    estimated for all.

    Args:
        query: Query of each outcome.
        cell: Position of the cell of each outcome.
        residual: Observed less expected effect of each outcome.
        scatter: (num_cells,) sum of squares of the residuals of a cell.
        size: (num_cells,) outcomes of a cell.
    """
    codes, queries = pd.factorize(query)
    place = cell.to_numpy()
    runs = csr_array((np.ones(len(codes)), (place, codes)), shape=(len(size), len(queries)))
    shared = (runs @ runs.T).toarray()
    mean = np.bincount(place, residual, len(size)) / size
    deviation = np.sqrt(np.maximum(scatter, 1e-12) / size)
    score = (residual.to_numpy() - mean[place]) / deviation[place]
    total, squares, count = (
        np.bincount(codes, each) for each in (score, score**2, np.ones_like(score))
    )
    pairs = float((count * (count - 1)).sum())
    correlation = min(0.95, max(0.0, float((total**2 - squares).sum()) / pairs)) if pairs else 0.0
    covariance: FloatArray = correlation * shared * np.outer(deviation / size, deviation / size)
    np.fill_diagonal(covariance, scatter / size**2)
    return covariance


def _plain(comparison: Comparison) -> dict[str, Any]:
    """The figures of a comparison, without its name; None where NaN."""
    values = {
        field.name: getattr(comparison, field.name)
        for field in dataclasses.fields(comparison)
        if field.name != "name"
    }
    return {name: None if value != value else value for name, value in values.items()}
